//! Logging in: a real provider, a real gateway, a browser or a visitor by hand.

mod browser;
mod provider_faults;
mod refusals;
mod tokens;

use serde_json::Value;

use crate::support::node::{Node, Plan};
use crate::support::oidc::Provider;
use crate::support::ports;
pub use crate::support::token::KEY;
use crate::support::visitor::{Answer, Visitor};

const TOKEN: &str = "crosstalk_token";
const FLOW: &str = "crosstalk_flow";

/// A gateway at which people log in with a provider.
struct Site {
    provider: Provider,
    plan: Plan,
    node: Node,
    /// Where the gateway is, without a slash at the end.
    url: String,
}

impl Site {
    fn start() -> Self {
        Self::start_with(|plan| plan)
    }

    fn start_with(change: impl FnOnce(Plan) -> Plan) -> Self {
        let address = format!("127.0.0.1:{}", ports::lasting());
        let url = format!("http://{address}");
        let provider = Provider::start(&["test", "plain"].map(|name| format!("{url}/auth/{name}/callback")));
        let plan = Plan::embedded()
            .set("listen.http", &address)
            .set("auth.token_key", KEY)
            .set("auth.public_url", &url)
            .set("auth.providers.test.issuer", provider.issuer())
            .set("auth.providers.test.client_id", "gateway")
            .set("auth.providers.test.client_secret", "secret")
            .set("auth.providers.test.label", "Test <Provider>")
            .set("auth.providers.test.scope", "openid profile");
        let plan = change(plan);
        let node = plan.start();
        Self { provider, plan, node, url }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Begins a login and goes through the provider's pages; the address to which the provider sends them back.
    async fn agreed(&self, visitor: &mut Visitor, name: &str) -> String {
        let begun = visitor.get(&self.at("/auth/test")).await;
        assert_eq!(begun.status, 303, "{}", begun.body);
        visitor.agree(&self.provider, &begun.location.unwrap(), name).await
    }

    /// A whole login; what the gateway answers to their return.
    async fn returned(&self, visitor: &mut Visitor, name: &str) -> Answer {
        let back = self.agreed(visitor, name).await;
        visitor.get(&back).await
    }

    async fn choose(&self, visitor: &mut Visitor, username: &str) -> Answer {
        visitor.post(&self.at("/auth/username"), &format!("username={username}"), &[]).await
    }

    /// Somebody with a fresh account, whose username is their name at the provider.
    async fn registered(&self, name: &str) -> Visitor {
        let mut visitor = Visitor::new();
        let returned = self.returned(&mut visitor, name).await;
        assert_eq!(returned.location.as_deref(), Some(self.at("/auth/username").as_str()), "{}", returned.body);
        let chosen = self.choose(&mut visitor, name).await;
        assert_eq!((chosen.status, chosen.location), (303, Some(self.at("/"))), "{}", chosen.body);
        visitor
    }

    /// As whom the gateway knows them.
    async fn username(&self, visitor: &mut Visitor) -> Option<String> {
        let answer = visitor.get(&self.at("/auth")).await;
        assert_eq!((answer.status, answer.headers["cache-control"].to_str().unwrap()), (200, "no-store"));
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        answer["username"].as_str().map(str::to_owned)
    }

    fn token(&self, visitor: &mut Visitor) -> String {
        visitor.cookie(&self.url, TOKEN).expect("they are logged in")
    }

    /// What the gateway answers to whoever brings this token.
    async fn status_of(&self, token: &str) -> u16 {
        Visitor::new().post(&self.at("/auth/renew"), "", &[("x-auth-token", token)]).await.status
    }

    async fn counted(&self, outcome: &str) -> f64 {
        self.node.metric("crosstalk_auth_total", &[("outcome", outcome)]).await.unwrap_or(f64::NAN)
    }
}

/// A clear page for people, that leads back to the chat.
#[track_caller]
fn is_page(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(says) && answer.body.contains("<a href=\"/\">"), "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
}
