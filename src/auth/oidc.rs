//! A provider that speaks OpenID Connect: found by discovery, its ID token verified in full.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use oauth2::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreProviderMetadata,
};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, CsrfToken, DiscoveryError, IssuerUrl, Nonce, OAuth2TokenResponse,
    TokenResponse,
};
use parking_lot::Mutex;
use url::Url;

use super::outbound::{Outbound, OutboundError};
use super::provider::{ProviderFault, subject};
use super::relying_party::{Flow, Person};
use super::settings::ProviderSettings;
use crate::ambient::Clock;

/// After which metadata and keys are fetched again.
const METADATA_LASTS_MS: u64 = 3_600_000;
/// Least time between two fetches because a token's key is unknown: whoever sends forged tokens must not make us hammer the
/// provider.
const REFETCH_EVERY_MS: u64 = 30_000;
/// Signatures by the provider alone; one by the shared client secret would be worth less.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 10] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EcdsaP521Sha512,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Metadata = Arc<CoreProviderMetadata>;

pub struct Oidc {
    settings: ProviderSettings,
    issuer: String,
    redirect: RedirectUrl,
    outbound: Outbound,
    clock: Clock,
    known: Mutex<Option<Known>>,
    /// One fetch at a time; the others wait for it and find its result.
    fetching: tokio::sync::Mutex<()>,
}

struct Known {
    metadata: Metadata,
    fetched_ms: u64,
    /// When it was last fetched because of an unknown key.
    refetched_ms: Option<u64>,
}

impl Oidc {
    pub fn new(
        settings: ProviderSettings,
        issuer: String,
        redirect: RedirectUrl,
        outbound: Outbound,
        clock: Clock,
    ) -> Self {
        Self { settings, issuer, redirect, outbound, clock, known: Mutex::new(None), fetching: Default::default() }
    }

    /// Where to send the person.
    pub async fn authorize_url(&self, flow: &Flow) -> Result<Url, ProviderFault> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata);
        let (state, nonce) = (CsrfToken::new(flow.state.clone()), Nonce::new(flow.nonce.clone()));
        let verifier = PkceCodeVerifier::new(flow.verifier.clone());
        let (url, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scopes(self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url)
    }

    /// Whether the `iss` parameter of the person's return, which only some providers send, names this provider (RFC 9207).
    pub fn is_issuer(&self, issuer: Option<&str>) -> bool {
        issuer.is_none_or(|issuer| issuer == self.issuer)
    }

    /// Exchanges the code for an ID token, and this for the person.
    pub async fn person(&self, flow: &Flow, code: String) -> Result<Person, ProviderFault> {
        let metadata = self.metadata().await?;
        let client = self.client(&metadata);
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| ProviderFault::Untrusted("its metadata name no token endpoint".into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
        let answer = exchange.request_async(&self.outbound).await?;
        let token = answer.id_token().ok_or_else(|| ProviderFault::Untrusted("its answer has no ID token".into()))?;
        let person = self.verified(token, &metadata, flow, answer.access_token());
        if !matches!(person, Err(Unverified::Key(_))) {
            return Ok(person?);
        }
        // The provider may sign with a key that is newer than what we know.
        let metadata = self.refetched().await?;
        Ok(self.verified(token, &metadata, flow, answer.access_token())?)
    }

    fn verified(
        &self,
        token: &CoreIdToken,
        metadata: &Metadata,
        flow: &Flow,
        access_token: &openidconnect::AccessToken,
    ) -> Result<Person, Unverified> {
        let client = self.client(metadata);
        let clock = self.clock.clone();
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || DateTime::<Utc>::from_timestamp_micros(clock.unix_us()).unwrap_or_default());
        let claims = token.claims(&verifier, &Nonce::new(flow.nonce.clone()))?;
        check_access_token(token, claims, &verifier, access_token)?;
        Ok(Person { subject: subject(claims.subject())?, name: suggested_name(claims) })
    }

    fn client(&self, metadata: &CoreProviderMetadata) -> Client {
        let secret = Some(&self.settings.client_secret).filter(|secret| !secret.is_empty());
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes_basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            secret.cloned().map(ClientSecret::new),
        )
        .set_redirect_uri(self.redirect.clone())
        .set_auth_type(if takes_basic { AuthType::BasicAuth } else { AuthType::RequestBody })
    }

    async fn metadata(&self) -> Result<Metadata, ProviderFault> {
        if let Some(metadata) = self.fresh() {
            return Ok(metadata);
        }
        let _turn = self.fetching.lock().await;
        match self.fresh() {
            Some(metadata) => Ok(metadata),
            None => self.fetch(None).await,
        }
    }

    fn fresh(&self) -> Option<Metadata> {
        let now_ms = self.clock.now_ms();
        let known = self.known.lock();
        let known = known.as_ref().filter(|known| now_ms < known.fetched_ms.saturating_add(METADATA_LASTS_MS))?;
        Some(known.metadata.clone())
    }

    /// Metadata and keys anew, unless that was done a moment ago.
    async fn refetched(&self) -> Result<Metadata, ProviderFault> {
        let _turn = self.fetching.lock().await;
        let now_ms = self.clock.now_ms();
        let recent = |known: &&Known| {
            known.refetched_ms.is_some_and(|refetched_ms| now_ms < refetched_ms.saturating_add(REFETCH_EVERY_MS))
        };
        if let Some(known) = self.known.lock().as_ref().filter(recent) {
            return Ok(known.metadata.clone());
        }
        tracing::info!(
            provider = self.settings.name,
            "the key of an ID token is not known, fetching the provider's keys"
        );
        self.fetch(Some(now_ms)).await
    }

    async fn fetch(&self, refetched_ms: Option<u64>) -> Result<Metadata, ProviderFault> {
        let issuer =
            IssuerUrl::new(self.issuer.clone()).map_err(|error| ProviderFault::Untrusted(error.to_string()))?;
        let metadata = Arc::new(CoreProviderMetadata::discover_async(issuer, &self.outbound).await?);
        *self.known.lock() = Some(Known { metadata: metadata.clone(), fetched_ms: self.clock.now_ms(), refetched_ms });
        Ok(metadata)
    }
}

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

/// Why an ID token is not believed.
enum Unverified {
    /// Its signature does not fit the keys we know.
    Key(String),
    Fault(ProviderFault),
}

impl From<ClaimsVerificationError> for Unverified {
    fn from(error: ClaimsVerificationError) -> Self {
        use openidconnect::SignatureVerificationError::{CryptoError, NoMatchingKey};
        match error {
            ClaimsVerificationError::SignatureVerification(NoMatchingKey | CryptoError(_)) => {
                Self::Key(format!("its signature does not fit the provider's keys: {error}"))
            }
            other => Self::Fault(ProviderFault::Untrusted(other.to_string())),
        }
    }
}

impl From<ProviderFault> for Unverified {
    fn from(fault: ProviderFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unverified> for ProviderFault {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Key(reason) => Self::Untrusted(reason),
            Unverified::Fault(fault) => fault,
        }
    }
}

impl From<DiscoveryError<OutboundError>> for ProviderFault {
    fn from(error: DiscoveryError<OutboundError>) -> Self {
        match error {
            DiscoveryError::Request(error) => error.into(),
            DiscoveryError::Response(status, ..) => Self::Unreachable(format!("discovery answered {status}")),
            other => Self::Untrusted(other.to_string()),
        }
    }
}

/// Where the ID token vouches for an access token, it must be the one that came with it.
fn check_access_token(
    token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    verifier: &CoreIdTokenVerifier<'_>,
    access_token: &openidconnect::AccessToken,
) -> Result<(), ProviderFault> {
    let Some(expected) = claims.access_token_hash() else { return Ok(()) };
    let untrusted = |reason: &dyn std::fmt::Display| ProviderFault::Untrusted(format!("access token: {reason}"));
    let algorithm = token.signing_alg().map_err(|error| untrusted(&error))?;
    let key = token.signing_key(verifier).map_err(|error| untrusted(&error))?;
    let actual = AccessTokenHash::from_token(access_token, algorithm, key).map_err(|error| untrusted(&error))?;
    if actual == *expected { Ok(()) } else { Err(untrusted(&"it belongs to another ID token")) }
}

fn suggested_name(claims: &CoreIdTokenClaims) -> Option<String> {
    let preferred = claims.preferred_username().map(|name| name.to_string());
    let nickname = || Some(claims.nickname()?.get(None)?.to_string());
    let name = || Some(claims.name()?.get(None)?.to_string());
    preferred.or_else(nickname).or_else(name)
}
