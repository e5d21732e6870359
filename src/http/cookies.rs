//! Cookies, read and written.

use axum::http::{HeaderMap, HeaderValue, header};

/// A cookie to set. Never readable by scripts, never sent along with what another site's page makes, a link followed by the
/// person excepted.
pub struct Cookie<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub path: &'a str,
    pub lasts_s: i64,
    /// Only over TLS.
    pub secure: bool,
}

impl Cookie<'_> {
    pub fn set(&self, headers: &mut HeaderMap) {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{}={}; Path={}; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.name, self.value, self.path, self.lasts_s
        );
        // Our own values are of letters, digits, dots and dashes.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// The value of a cookie that a request brings; an empty one counts as none.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; token=x.y-z;b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=3; empty="));
        assert_eq!(read(&headers, "token"), Some("x.y-z"));
        assert_eq!(read(&headers, "c"), Some("3"));
        assert_eq!((read(&headers, "oken"), read(&headers, "empty")), (None, None));
    }

    #[test]
    fn a_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let mut headers = HeaderMap::new();
        Cookie { name: "n", value: "v", path: "/auth", lasts_s: 60, secure: true }.set(&mut headers);
        assert_eq!(headers[header::SET_COOKIE], "n=v; Path=/auth; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    }
}
