//! The server as its providers see it: a relying party that sends people there and takes what they come back with.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use oauth2::RedirectUrl;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use url::Url;

use super::oauth2::OAuth2;
use super::oidc::Oidc;
use super::outbound::{Outbound, OutboundError};
use super::provider::ProviderFault;
use super::settings::{ProviderKind, ProviderSettings};
use crate::ambient::{Clock, Entropy};
use crate::chat::Identity;

/// Exchanges with providers at a time; further ones are told to come back.
const EXCHANGES_MAX: usize = 64;
/// One whole exchange: discovery, keys, code, user.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(15);

pub struct RelyingParty {
    providers: BTreeMap<String, Provider>,
    exchanges: Semaphore,
    entropy: Entropy,
}

struct Provider {
    label: String,
    protocol: Protocol,
}

enum Protocol {
    Oidc(Box<Oidc>),
    OAuth2(Box<OAuth2>),
}

/// What is remembered, by the person's own browser, while they are at the provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Flow {
    provider: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
}

/// Somebody on the way to a provider.
pub struct Departure {
    pub url: Url,
    pub flow: Flow,
}

/// What somebody who comes back brings.
pub struct Arrival {
    pub code: String,
    /// The parameter `iss`, where the provider sends it.
    pub issuer: Option<String>,
}

/// A person as their provider knows them.
pub(super) struct Person {
    pub subject: String,
    /// What they may like to be called.
    pub name: Option<String>,
}

impl RelyingParty {
    /// # Errors
    /// When the client for requests to providers cannot be made.
    pub fn new(
        public_url: &Url,
        providers: Vec<ProviderSettings>,
        clock: &Clock,
        entropy: Entropy,
    ) -> Result<Self, OutboundError> {
        let outbound = Outbound::new()?;
        let providers = providers.into_iter().map(|settings| {
            let redirect = RedirectUrl::from_url(callback(public_url, &settings.name));
            let (name, label) = (settings.name.clone(), settings.label.clone());
            let protocol = match settings.kind.clone() {
                ProviderKind::Oidc { issuer } => {
                    let oidc = Oidc::new(settings, issuer, redirect, outbound.clone(), clock.clone());
                    Protocol::Oidc(Box::new(oidc))
                }
                ProviderKind::OAuth2(endpoints) => {
                    Protocol::OAuth2(Box::new(OAuth2::new(settings, *endpoints, redirect, outbound.clone())))
                }
            };
            (name, Provider { label, protocol })
        });
        Ok(Self { providers: providers.collect(), exchanges: Semaphore::new(EXCHANGES_MAX), entropy })
    }

    /// Names and labels of the providers.
    pub fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.providers.iter().map(|(name, provider)| (name.as_str(), provider.label.as_str()))
    }

    /// Sends somebody to a provider; `None` for one that is not configured.
    pub async fn begin(&self, provider: &str) -> Option<Result<Departure, ProviderFault>> {
        let Provider { protocol, .. } = self.providers.get(provider)?;
        let flow =
            Flow { provider: provider.to_owned(), state: self.secret(), nonce: self.secret(), verifier: self.secret() };
        let url = match protocol {
            Protocol::OAuth2(oauth2) => Ok(oauth2.authorize_url(&flow)),
            Protocol::Oidc(oidc) => self.bounded(oidc.authorize_url(&flow)).await,
        };
        Some(url.map(|url| Departure { url, flow }))
    }

    /// Finds out who came back from a provider.
    pub async fn finish(&self, flow: &Flow, arrival: Arrival) -> Result<(Identity, Option<String>), ProviderFault> {
        let unknown = || ProviderFault::Refused("the provider is no longer configured".into());
        let provider = self.providers.get(&flow.provider).ok_or_else(unknown)?;
        let person = match &provider.protocol {
            Protocol::OAuth2(oauth2) => self.bounded(oauth2.person(flow, arrival.code)).await?,
            Protocol::Oidc(oidc) if oidc.is_issuer(arrival.issuer.as_deref()) => {
                self.bounded(oidc.person(flow, arrival.code)).await?
            }
            Protocol::Oidc(_) => return Err(ProviderFault::Untrusted("another issuer answered".into())),
        };
        Ok((Identity { provider: flow.provider.clone(), subject: person.subject }, person.name))
    }

    async fn bounded<T>(&self, exchange: impl Future<Output = Result<T, ProviderFault>>) -> Result<T, ProviderFault> {
        let _place = self.exchanges.try_acquire().map_err(|_| ProviderFault::Busy)?;
        let late = |_| ProviderFault::Unreachable("the exchange took too long".into());
        tokio::time::timeout(EXCHANGE_LIMIT, exchange).await.map_err(late)?
    }

    /// 256 random bits in 64 characters that fit a URL and a PKCE verifier.
    fn secret(&self) -> String {
        format!("{:032x}{:032x}", self.entropy.bits(), self.entropy.bits())
    }
}

impl Flow {
    /// Whether what came back belongs to what was sent out: the same provider and the same state.
    pub fn fits(&self, provider: &str, state: &str) -> bool {
        self.provider == provider && verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }
}

/// `<public_url>/auth/<provider>/callback`.
fn callback(public_url: &Url, provider: &str) -> Url {
    let mut url = public_url.clone();
    url.set_path(&format!("/auth/{provider}/callback"));
    url
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn only_so_many_exchanges_are_under_way_at_a_time() {
        // Accepts and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = ProviderSettings {
            name: "silent".into(),
            label: "Silent".into(),
            client_id: "x".into(),
            client_secret: String::new(),
            scopes: Vec::new(),
            kind: ProviderKind::Oidc { issuer: format!("http://{}", silent.local_addr().unwrap()) },
        };
        let public_url = Url::parse("http://127.0.0.1").unwrap();
        let party = RelyingParty::new(&public_url, vec![settings], &Clock::manual(), Entropy::seeded(1)).unwrap();
        let party = Arc::new(party);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..EXCHANGES_MAX {
            let party = party.clone();
            waiting.spawn(async move { party.begin("silent").await.is_some() });
        }
        while party.exchanges.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(party.begin("silent").await, Some(Err(ProviderFault::Busy))));
        waiting.shutdown().await;
        assert_eq!(party.exchanges.available_permits(), EXCHANGES_MAX, "given up, their places are free");
        assert!(party.begin("nowhere").await.is_none());
    }
}
