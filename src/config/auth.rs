//! What must hold of the section `[auth]` as a whole, and the secrets that it takes from files.

use std::path::Path;

use super::load::ConfigError;
use super::schema::{Auth, LoginProvider};
use super::values::{Protocol, TextList, split};

/// HS256 is as strong as its key, up to the 32 bytes of its hash.
const KEY_MIN_BYTES: usize = 32;
/// Each is tried for a token that names none.
const FORMER_KEYS_MAX: usize = 8;
const PROVIDERS_MAX: usize = 32;
const PROVIDER_NAME_MAX_BYTES: usize = 32;

fn wrong<T>(key: &str, reason: &str) -> Result<T, ConfigError> {
    Err(ConfigError::Value(format!("{key}: {reason}")))
}

/// Reads the secrets that are in files.
pub fn read_secrets(auth: &mut Auth) -> Result<(), ConfigError> {
    take_file(&mut auth.token_key, &auth.token_key_file, "auth.token_key_file")?;
    let mut former = String::new();
    if auth.token_keys_former.0.is_empty() {
        take_file(&mut former, &auth.token_keys_former_file, "auth.token_keys_former_file")?;
        auth.token_keys_former = TextList(split(&former, '\n'));
    }
    for (name, provider) in &mut auth.providers {
        let key = format!("auth.providers.{name}.client_secret_file");
        take_file(&mut provider.client_secret, &provider.client_secret_file, &key)?;
    }
    Ok(())
}

/// Fills an empty setting from the file named by another.
pub fn take_file(setting: &mut String, file: &str, key: &str) -> Result<(), ConfigError> {
    if setting.is_empty() && !file.is_empty() {
        let text = std::fs::read_to_string(Path::new(file))
            .map_err(|error| ConfigError::Value(format!("{key}: {file}: {error}")))?;
        *setting = text.trim().to_owned();
    }
    Ok(())
}

pub fn check(auth: &Auth) -> Result<(), ConfigError> {
    check_keys(auth)?;
    if auth.token_issuer.is_empty() {
        return wrong("auth.token_issuer", "must not be empty");
    }
    if auth.token_s == 0 || auth.login_s < auth.token_s || auth.login_s > i32::MAX as u64 {
        return wrong("auth.login_s", "must be at least auth.token_s, which must be above 0");
    }
    if auth.public_url.url().is_some_and(|url| url.path() != "/" || url.query().is_some()) {
        return wrong("auth.public_url", "must end with the host: the page is at / and logins are at /auth");
    }
    for origin in &auth.allowed_origins.0 {
        let parsed = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
        if parsed.as_ref() != Ok(origin) {
            return wrong(
                "auth.allowed_origins",
                &format!("{origin:?} is no origin, such as `https://app.example.org`"),
            );
        }
    }
    if auth.providers.is_empty() {
        return Ok(());
    }
    if auth.public_url.is_empty() {
        return wrong("auth.public_url", "is needed, because login providers are configured");
    }
    if auth.providers.len() > PROVIDERS_MAX {
        return wrong("auth.providers", &format!("are more than {PROVIDERS_MAX}"));
    }
    auth.providers.iter().try_for_each(|(name, provider)| check_provider(name, provider))
}

fn check_keys(auth: &Auth) -> Result<(), ConfigError> {
    let needed_for = if !auth.providers.is_empty() {
        "is needed, because login providers are configured"
    } else if auth.require_login {
        "is needed, because auth.require_login is set"
    } else {
        ""
    };
    if auth.token_key.is_empty() && !needed_for.is_empty() {
        return wrong("auth.token_key", needed_for);
    }
    let too_short = |key: &String| key.len() < KEY_MIN_BYTES;
    if !auth.token_key.is_empty() && too_short(&auth.token_key) {
        return wrong("auth.token_key", &format!("must have at least {KEY_MIN_BYTES} bytes"));
    }
    let former = &auth.token_keys_former.0;
    if former.iter().any(too_short) {
        return wrong("auth.token_keys_former", &format!("each must have at least {KEY_MIN_BYTES} bytes"));
    }
    if former.len() > FORMER_KEYS_MAX {
        return wrong("auth.token_keys_former", &format!("are more than {FORMER_KEYS_MAX}"));
    }
    Ok(())
}

fn check_provider(name: &str, provider: &LoginProvider) -> Result<(), ConfigError> {
    let key = |key: &str| format!("auth.providers.{name}.{key}");
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > PROVIDER_NAME_MAX_BYTES || !name.bytes().all(letter) {
        return wrong(&format!("auth.providers.{name}"), "a provider's name has 1 to 32 characters of a-z, 0-9 and -");
    }
    if matches!(name, "username" | "renew" | "logout") {
        return wrong(&format!("auth.providers.{name}"), "this name is taken by a page of the login itself");
    }
    if name == "token" {
        return wrong(&format!("auth.providers.{name}"), "this name is taken by accounts that exist by a token alone");
    }
    if provider.client_id.is_empty() {
        return wrong(&key("client_id"), "is needed");
    }
    let oidc = [("issuer", &provider.issuer)];
    let oauth2 = [
        ("authorize_url", &provider.authorize_url),
        ("token_url", &provider.token_url),
        ("user_url", &provider.user_url),
    ];
    let (needed, foreign) = match provider.kind {
        Protocol::Oidc => (&oidc[..], &oauth2[..]),
        Protocol::OAuth2 => (&oauth2[..], &oidc[..]),
    };
    for (field, url) in needed {
        if url.is_empty() {
            return wrong(&key(field), "is needed for a provider of this kind");
        }
        if !url.is_private() {
            return wrong(&key(field), "must be https, because secrets go there");
        }
    }
    match foreign.iter().find(|(_, url)| !url.is_empty()) {
        Some((field, _)) => wrong(&key(field), "means nothing for a provider of this kind"),
        None => Ok(()),
    }
}
