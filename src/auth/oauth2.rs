//! A provider that speaks OAuth 2 only: its access token proves nothing to us, so it is used at once to ask whose it is.
//! Sound for the code flow, where the token comes straight from the provider.

use oauth2::basic::BasicClient;
use oauth2::http::header::{ACCEPT, AUTHORIZATION};
use oauth2::http::{HeaderValue, Method, Request};
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, TokenUrl,
};
use serde_json::Value;
use url::Url;

use super::outbound::Outbound;
use super::provider::{ProviderFault, subject};
use super::relying_party::{Flow, Person};
use super::settings::{OAuth2Settings, ProviderSettings};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

pub struct OAuth2 {
    client: Client,
    scopes: Vec<String>,
    endpoints: OAuth2Settings,
    outbound: Outbound,
}

impl OAuth2 {
    pub fn new(
        settings: ProviderSettings,
        endpoints: OAuth2Settings,
        redirect: RedirectUrl,
        outbound: Outbound,
    ) -> Self {
        let mut client = BasicClient::new(ClientId::new(settings.client_id));
        if !settings.client_secret.is_empty() {
            client = client.set_client_secret(ClientSecret::new(settings.client_secret));
        }
        let client = client
            // What GitHub and Facebook document; the standard's Basic is not understood everywhere.
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::from_url(endpoints.authorize_url.clone()))
            .set_token_uri(TokenUrl::from_url(endpoints.token_url.clone()))
            .set_redirect_uri(redirect);
        Self { client, scopes: settings.scopes, endpoints, outbound }
    }

    /// Where to send the person.
    pub fn authorize_url(&self, flow: &Flow) -> Url {
        let state = CsrfToken::new(flow.state.clone());
        let verifier = PkceCodeVerifier::new(flow.verifier.clone());
        let (url, _) = self
            .client
            .authorize_url(move || state)
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        url
    }

    /// Exchanges the code for an access token, and this for the person.
    pub async fn person(&self, flow: &Flow, code: String) -> Result<Person, ProviderFault> {
        let exchange = self
            .client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier.clone()));
        let answer = exchange.request_async(&self.outbound).await?;
        let user = self.user(answer.access_token()).await?;
        let id = text_of(&user, &self.endpoints.subject_field).unwrap_or_default();
        Ok(Person { subject: subject(&id)?, name: text_of(&user, &self.endpoints.name_field) })
    }

    async fn user(&self, token: &AccessToken) -> Result<Value, ProviderFault> {
        let strange = |reason: &dyn std::fmt::Display| ProviderFault::Untrusted(format!("the user's data: {reason}"));
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.secret()))
            .map_err(|_| strange(&"the access token cannot be sent"))?;
        authorization.set_sensitive(true);
        let request = Request::builder()
            .method(Method::GET)
            .uri(self.endpoints.user_url.as_str())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization)
            .body(Vec::new())
            .map_err(|error| strange(&error))?;
        let answer = self.outbound.send(request).await?;
        if !answer.status().is_success() {
            return Err(ProviderFault::Unreachable(format!("the user's data: status {}", answer.status())));
        }
        serde_json::from_slice(answer.body()).map_err(|error| strange(&error))
    }
}

/// A field as text; ids are numbers at some providers.
fn text_of(user: &Value, field: &str) -> Option<String> {
    match user.get(field)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
