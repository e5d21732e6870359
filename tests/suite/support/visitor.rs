//! Somebody with a cookie jar who follows no redirect on their own.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use url::Url;

use super::DEADLINE;

pub struct Visitor {
    http: reqwest::Client,
    /// By host and port: unlike in a browser, one server's cookies never reach another's.
    jars: BTreeMap<String, BTreeMap<String, String>>,
}

pub struct Answer {
    pub status: u16,
    /// Where a redirect leads, in full.
    pub location: Option<String>,
    pub headers: HeaderMap,
    pub body: String,
}

impl Visitor {
    pub fn new() -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            .no_proxy()
            // A kept connection may lead to a gateway that was restarted meanwhile.
            .pool_max_idle_per_host(0);
        Self { http: http.build().expect("a client can be made"), jars: BTreeMap::new() }
    }

    pub async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, None, &[]).await
    }

    /// Sends a form.
    pub async fn post(&mut self, url: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, url, Some(form), headers).await
    }

    pub async fn send(&mut self, method: Method, url: &str, form: Option<&str>, headers: &[(&str, &str)]) -> Answer {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let mut request = self.http.request(method, url.clone());
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cookies: Vec<_> = self.jar(&url).iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        self.keep_cookies(&url, &headers);
        let location = headers.get(LOCATION).map(|value| value.to_str().expect("an address is text"));
        let location = location.map(|location| url.join(location).expect("an address").to_string());
        let body = response.text().await.unwrap_or_else(|error| panic!("{url}: {error}"));
        Answer { status, location, headers, body }
    }

    pub fn cookie(&mut self, url: &str, name: &str) -> Option<String> {
        self.jar(&Url::parse(url).unwrap()).get(name).cloned()
    }

    pub fn set_cookie(&mut self, url: &str, name: &str, value: &str) {
        self.jar(&Url::parse(url).unwrap()).insert(name.to_owned(), value.to_owned());
    }

    fn jar(&mut self, url: &Url) -> &mut BTreeMap<String, String> {
        self.jars.entry(url.authority().to_owned()).or_default()
    }

    fn keep_cookies(&mut self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().expect("a cookie is text");
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').expect("a cookie has a name");
            let gone = value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0");
            if gone {
                self.jar(url).remove(name);
            } else {
                self.jar(url).insert(name.to_owned(), value.to_owned());
            }
        }
    }
}
