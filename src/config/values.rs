//! Types of values that several settings share.

use serde::{Deserialize, Serialize};
use url::Url;

/// The address of a web page or service, kept as it was written; empty for none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebUrl(String);

impl WebUrl {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// Whether what goes there is encrypted, or never leaves this machine.
    pub fn is_private(&self) -> bool {
        self.url().is_some_and(|url| {
            let local = match url.host() {
                Some(url::Host::Domain(name)) => name == "localhost",
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                None => false,
            };
            url.scheme() == "https" || local
        })
    }
}

impl TryFrom<String> for WebUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = |url: Url| {
            matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.fragment().is_none()
        };
        if text.is_empty() || Url::parse(&text).is_ok_and(fits) {
            return Ok(Self(text));
        }
        Err(format!("{text:?} is no web address, such as `https://chat.example.org`"))
    }
}

impl From<WebUrl> for String {
    fn from(url: WebUrl) -> Self {
        url.0
    }
}

/// Several texts: a list in the file, or one text with commas anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Texts", into = "String")]
pub struct TextList(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl From<Texts> for TextList {
    fn from(texts: Texts) -> Self {
        match texts {
            Texts::One(text) => Self(split(&text, ',')),
            Texts::Many(texts) => Self(texts),
        }
    }
}

impl From<TextList> for String {
    fn from(list: TextList) -> Self {
        list.0.join(",")
    }
}

/// The parts of a text that are not blank.
pub fn split(text: &str, separator: char) -> Vec<String> {
    text.split(separator).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What a login provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Oidc,
    OAuth2,
}
