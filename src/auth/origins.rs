//! Which pages may speak in the name of whoever is logged in: those of this server, and those that were configured.
//!
//! Browsers send cookies along with requests that another site's page makes; the header `Origin`, which a page cannot
//! forge, tells them apart. A request without it does not come from a page.

use url::Url;

/// The allowed origins beside the server's own.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Vec<String>,
}

impl Origins {
    pub fn new(public_url: Option<&Url>, allowed: impl IntoIterator<Item = String>) -> Self {
        let own = public_url.map(|url| url.origin().ascii_serialization());
        Self { allowed: own.into_iter().chain(allowed).collect() }
    }

    /// Whether a request with this `Origin`, sent to this `Host`, may use credentials.
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let own = host.is_some_and(|host| authority(origin).is_some_and(|origin| origin.eq_ignore_ascii_case(host)));
        own || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

/// Host and port of a web origin. Whether it is http or https a server behind a proxy cannot know.
fn authority(origin: &str) -> Option<&str> {
    origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_configured_pages_may_use_credentials() {
        let public = Url::parse("https://chat.example.org/sub/").unwrap();
        let origins = Origins::new(Some(&public), ["https://app.example.org".to_owned()]);
        let host = Some("10.0.0.1:8080");
        let allowed =
            [None, Some("https://chat.example.org"), Some("https://app.example.org"), Some("http://10.0.0.1:8080")];
        for origin in allowed {
            assert!(origins.allows(origin, host), "{origin:?}");
        }
        let foreign = [
            "null",
            "",
            "http://chat.example.org",
            "https://chat.example.org:444",
            "https://chat.example.org.evil.example",
            "https://evil.example",
            "http://10.0.0.1",
            "ftp://10.0.0.1:8080",
        ];
        for origin in foreign {
            assert!(!origins.allows(Some(origin), host), "{origin}");
        }
        assert!(!Origins::default().allows(Some("https://evil.example"), None));
    }
}
