//! What this module needs to be told; the node makes it from the configuration.

use std::time::Duration;

use url::Url;

/// How our own tokens are signed and how long they last.
#[derive(Clone)]
pub struct TokenSettings {
    pub key: Vec<u8>,
    /// Keys that sign no more and still verify.
    pub former_keys: Vec<Vec<u8>>,
    /// The value of the claims `iss` and `aud`.
    pub issuer: String,
    /// After which a token must be renewed.
    pub token_lasts: Duration,
    /// After which a login ends, however often its token was renewed.
    pub login_lasts: Duration,
}

/// One provider.
#[derive(Clone)]
pub struct ProviderSettings {
    pub name: String,
    /// What people know it by.
    pub label: String,
    pub client_id: String,
    /// Empty for a public client.
    pub client_secret: String,
    pub scopes: Vec<String>,
    pub kind: ProviderKind,
}

#[derive(Clone)]
pub enum ProviderKind {
    /// OpenID Connect by discovery at this issuer; exactly as the provider writes it, a final slash included.
    Oidc {
        issuer: String,
    },
    OAuth2(Box<OAuth2Settings>),
}

/// A provider that only hands out access tokens and says at another address whose they are.
#[derive(Clone)]
pub struct OAuth2Settings {
    pub authorize_url: Url,
    pub token_url: Url,
    pub user_url: Url,
    /// Field of the answer of `user_url` with the person's stable id.
    pub subject_field: String,
    /// Field with a name to suggest.
    pub name_field: String,
}
