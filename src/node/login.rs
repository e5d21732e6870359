//! Makes what logging in needs from the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use url::Url;

use crate::ambient::{Clock, Entropy};
use crate::auth::{OAuth2Settings, Origins, ProviderKind, ProviderSettings, RelyingParty, TokenSettings, Tokens};
use crate::config::{Auth, LoginProvider, Protocol, WebUrl};
use crate::http::{Gate, LoginPages};
use crate::service::Accounts;
use crate::telemetry::Metrics;

/// # Errors
/// When the client for requests to providers cannot be made; what is wrong with the settings was told when they were read.
pub fn login_pages(
    auth: &Auth,
    accounts: Arc<Accounts>,
    clock: &Clock,
    entropy: &Entropy,
    metrics: Arc<Metrics>,
) -> anyhow::Result<LoginPages> {
    let tokens = tokens(auth, clock, entropy).map(Arc::new);
    let public_url = auth.public_url.url();
    let origins = Origins::new(public_url.as_ref(), auth.allowed_origins.0.iter().cloned());
    let gate = Gate::new(tokens.clone(), accounts.clone(), origins, auth.require_login, metrics);
    let secure = public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let relying_party = match public_url {
        Some(url) if !auth.providers.is_empty() => {
            let providers = auth.providers.iter().map(|(name, provider)| provider_settings(name, provider));
            let providers = providers.collect::<anyhow::Result<_>>()?;
            Some(RelyingParty::new(&url, providers, clock, entropy.clone()).context("auth.providers")?)
        }
        _ => None,
    };
    Ok(LoginPages { gate: Arc::new(gate), accounts, tokens, relying_party, secure, clock: clock.clone() })
}

fn tokens(auth: &Auth, clock: &Clock, entropy: &Entropy) -> Option<Tokens> {
    if auth.token_key.is_empty() {
        return None;
    }
    let settings = TokenSettings {
        key: auth.token_key.clone().into_bytes(),
        former_keys: auth.token_keys_former.0.iter().map(|key| key.clone().into_bytes()).collect(),
        issuer: auth.token_issuer.clone(),
        token_lasts: Duration::from_secs(auth.token_s),
        login_lasts: Duration::from_secs(auth.login_s),
    };
    Some(Tokens::new(&settings, clock.clone(), entropy.clone()))
}

fn provider_settings(name: &str, provider: &LoginProvider) -> anyhow::Result<ProviderSettings> {
    let url = |key: &str, url: &WebUrl| -> anyhow::Result<Url> {
        url.url().with_context(|| format!("auth.providers.{name}.{key}"))
    };
    let kind = match provider.kind {
        Protocol::Oidc => ProviderKind::Oidc { issuer: provider.issuer.as_str().to_owned() },
        Protocol::OAuth2 => ProviderKind::OAuth2(Box::new(OAuth2Settings {
            authorize_url: url("authorize_url", &provider.authorize_url)?,
            token_url: url("token_url", &provider.token_url)?,
            user_url: url("user_url", &provider.user_url)?,
            subject_field: provider.subject_field.clone(),
            name_field: provider.name_field.clone(),
        })),
    };
    let label = if provider.label.is_empty() { name } else { &provider.label };
    Ok(ProviderSettings {
        name: name.to_owned(),
        label: label.to_owned(),
        client_id: provider.client_id.clone(),
        client_secret: provider.client_secret.clone(),
        scopes: provider.scope.split_whitespace().map(str::to_owned).collect(),
        kind,
    })
}
