//! Providers that lie, are down, change their keys, or speak OAuth 2 only.

use serde_json::json;

use super::*;

#[tokio::test]
async fn id_tokens_that_prove_nothing_are_refused() {
    let site = Site::start();
    for claims in [
        json!({"iss": "https://evil.example"}),
        json!({"aud": "another client"}),
        json!({"aud": ["gateway", "another client"]}),
        json!({"exp": 1_000_000_000}),
        json!({"nonce": "another one"}),
    ] {
        site.provider.falsify(claims.clone()).await;
        let answer = site.returned(&mut Visitor::new(), "alice").await;
        assert_eq!(answer.status, 502, "{claims}");
        is_page(&answer, 502, "could not be verified");
    }
    site.provider.falsify(json!({})).await;
    assert_eq!(site.returned(&mut Visitor::new(), "alice").await.status, 303);
    assert_eq!(site.counted("refused").await, 5.0);
}

#[tokio::test]
async fn a_provider_that_is_not_the_configured_issuer_is_refused() {
    // The same server under another name than it gives itself.
    let provider = Provider::start(&[]);
    let elsewhere = provider.issuer().replace("127.0.0.1", "localhost");
    let plan = Plan::embedded()
        .set("auth.token_key", KEY)
        .set("auth.public_url", "http://127.0.0.1:1")
        .set("auth.providers.test.issuer", &elsewhere)
        .set("auth.providers.test.client_id", "gateway");
    let node = plan.start();
    let answer = Visitor::new().get(&format!("http://{}/auth/test", node.address("http"))).await;
    is_page(&answer, 502, "could not be verified");
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_clear_page() {
    let mut site = Site::start();
    let mut visitor = Visitor::new();
    let back = site.agreed(&mut visitor, "alice").await;
    site.provider.kill();
    is_page(&visitor.get(&back).await, 502, "does not answer");
    // A gateway that has not heard of it before cannot even send people there.
    drop(site.node);
    site.node = site.plan.start();
    is_page(&visitor.get(&site.at("/auth/test")).await, 502, "does not answer");
    assert_eq!(site.counted("unavailable").await, 1.0);
}

#[tokio::test]
async fn a_provider_may_change_its_keys() {
    let site = Site::start();
    site.registered("alice").await;
    site.provider.rotate().await;
    let mut again = Visitor::new();
    assert_eq!(site.returned(&mut again, "alice").await.location, Some(site.at("/")));
    assert_eq!(site.username(&mut again).await.as_deref(), Some("alice"));
}

/// The same provider without discovery and ID token, as GitHub and Facebook are configured.
#[tokio::test]
async fn oauth2_without_discovery_works_from_configuration_alone() {
    let site = Site::start();
    let issuer = site.provider.issuer();
    let plan = site
        .plan
        .clone()
        .set("auth.providers.plain.kind", "oauth2")
        .set("auth.providers.plain.client_id", "gateway-post")
        .set("auth.providers.plain.client_secret", "secret")
        .set("auth.providers.plain.authorize_url", &format!("{issuer}/auth"))
        .set("auth.providers.plain.token_url", &format!("{issuer}/token"))
        .set("auth.providers.plain.user_url", &format!("{issuer}/me"))
        .set("auth.providers.plain.scope", "openid profile")
        .set("auth.providers.plain.subject_field", "sub");
    let Site { provider, node, url, .. } = site;
    drop(node);
    let site = Site { node: plan.start(), provider, plan, url };
    site.registered("alice").await;

    let mut visitor = Visitor::new();
    let begun = visitor.get(&site.at("/auth/plain")).await.location.unwrap();
    assert!(begun.contains("code_challenge_method=S256") && begun.contains("state="), "{begun}");
    let back = visitor.agree(&site.provider, &begun, "alice").await;
    let returned = visitor.get(&back).await;
    assert_eq!(returned.location, Some(site.at("/auth/username")), "another provider's alice is somebody else");
    assert!(visitor.get(&site.at("/auth/username")).await.body.contains("value=\"&lt;alice&gt;\""));
    assert_eq!(site.choose(&mut visitor, "alice").await.status, 409);
    assert_eq!(site.choose(&mut visitor, "plain alice").await.status, 303);
    assert_eq!(site.username(&mut visitor).await.as_deref(), Some("plain alice"));
}
