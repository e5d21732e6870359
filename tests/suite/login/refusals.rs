//! Returns and requests that are refused, one by one.

use super::*;

#[tokio::test]
async fn the_gateway_tells_its_providers_and_sends_people_there_with_state_nonce_and_pkce() {
    let site = Site::start();
    let mut visitor = Visitor::new();
    let answer = visitor.get(&site.at("/auth")).await;
    let expected = serde_json::json!({
        "providers": [{"name": "test", "label": "Test <Provider>"}], "login_required": false, "username": null,
    });
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);

    let begun = visitor.get(&site.at("/auth/test")).await;
    assert_eq!(begun.status, 303);
    let location = begun.location.unwrap();
    let asked = url::Url::parse(&location).unwrap();
    let value = |name: &str| asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "gateway"),
        ("code_challenge_method", "S256"),
        ("scope", "openid profile"),
        ("redirect_uri", &site.at("/auth/test/callback")),
    ] {
        assert_eq!(value(name).as_deref(), Some(expected), "{location}");
    }
    for secret in ["state", "nonce", "code_challenge"] {
        assert!(value(secret).unwrap().len() >= 43, "{secret} in {location}");
    }
    let cookie = begun.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/auth; Max-Age=600; HttpOnly; SameSite=Lax"), "{cookie}");
    is_page(&visitor.get(&site.at("/auth/nowhere")).await, 404, "no such login");
    is_page(&visitor.get(&site.at("/auth/nowhere/callback?code=x&state=y")).await, 400, "begin again");
}

#[tokio::test]
async fn behind_tls_every_cookie_is_for_tls_only() {
    let site = Site::start_with(|plan| plan.set("auth.public_url", "https://chat.example.org"));
    let begun = Visitor::new().get(&site.at("/auth/test")).await;
    assert!(begun.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    assert!(begun.location.unwrap().contains("redirect_uri=https%3A%2F%2Fchat.example.org%2Fauth%2Ftest%2Fcallback"));
}

#[tokio::test]
async fn a_return_that_does_not_fit_its_departure_is_refused() {
    let site = Site::start();
    let mut visitor = Visitor::new();
    let back = site.agreed(&mut visitor, "alice").await;
    let flow = visitor.cookie(&site.url, FLOW).unwrap();

    // Somebody else's return, put into this browser: without the departure's cookie, or with another departure's.
    is_page(&Visitor::new().get(&back).await, 400, "not begun in this browser");
    let mut other = Visitor::new();
    other.get(&site.at("/auth/test")).await;
    is_page(&other.get(&back).await, 400, "not begun in this browser");
    assert_eq!(other.cookie(&site.url, FLOW), None, "a departure is good for one return");

    let mut forged = Visitor::new();
    let (head, signature) = flow.rsplit_once('.').unwrap();
    let turned: String = signature.chars().rev().collect();
    forged.set_cookie(&site.url, FLOW, &format!("{head}.{turned}"));
    is_page(&forged.get(&back).await, 400, "not begun in this browser");

    let wrong_state = back.replace("state=", "state=x");
    let mut same = Visitor::new();
    same.set_cookie(&site.url, FLOW, &flow);
    is_page(&same.get(&wrong_state).await, 400, "not begun in this browser");
    same.set_cookie(&site.url, FLOW, &flow);
    is_page(&same.get(&back.replace("/auth/test/", "/auth/other/")).await, 400, "not begun in this browser");
    same.set_cookie(&site.url, FLOW, &flow);
    is_page(&same.get(&back.replace("iss=http", "iss=https")).await, 502, "could not be verified");

    // None of this has used the code up; its second use is refused by the provider.
    assert_eq!(visitor.get(&back).await.status, 303);
    visitor.set_cookie(&site.url, FLOW, &flow);
    is_page(&visitor.get(&back).await, 400, "provider refused");
    assert_eq!(site.counted("refused").await, 7.0);
}

#[tokio::test]
async fn what_was_refused_at_the_provider_is_told_without_its_words() {
    let site = Site::start();
    let mut visitor = Visitor::new();
    let begun = visitor.get(&site.at("/auth/test")).await.location.unwrap();
    let back = visitor.decline(&begun).await;
    assert!(back.contains("error=access_denied"), "{back}");
    is_page(&visitor.get(&back).await, 400, "cancelled");

    visitor.get(&site.at("/auth/test")).await;
    let back = site.agreed(&mut visitor, "alice").await;
    let state = back.split_once("state=").unwrap().1.split('&').next().unwrap();
    let smuggled = site.at(&format!("/auth/test/callback?state={state}&error=%3Cscript%3Ealert(1)%3C/script%3E"));
    let answer = visitor.get(&smuggled).await;
    is_page(&answer, 400, "cancelled");
    assert!(!answer.body.contains("script"), "{}", answer.body);
    assert_eq!(site.counted("denied").await, 2.0);
}

#[tokio::test]
async fn a_username_follows_the_rules_and_is_had_once() {
    let site = Site::start();
    site.registered("alice").await;
    let mut visitor = Visitor::new();
    assert_eq!(visitor.get(&site.at("/auth/username")).await.status, 400, "nobody came from a provider");
    site.returned(&mut visitor, "bob").await;
    let form = visitor.get(&site.at("/auth/username")).await;
    is_page(&form, 200, "Choose a username");
    assert!(form.body.contains("value=\"&lt;bob&gt;\""), "the provider's name is suggested, escaped: {}", form.body);

    is_page(&site.choose(&mut visitor, "alice").await, 409, "This username is taken.");
    is_page(&site.choose(&mut visitor, "").await, 422, "This username is empty.");
    is_page(&site.choose(&mut visitor, "%23bob").await, 422, "begins with a sigil");
    is_page(&site.choose(&mut visitor, &"x".repeat(33)).await, 422, "is too long");
    let answer = site.choose(&mut visitor, "%22%3E%3Cscript%3E%07").await;
    is_page(&answer, 422, "control character");
    assert!(!answer.body.contains("<script>"), "{}", answer.body);
    let form_url = site.at("/auth/username");
    is_page(&visitor.post(&form_url, "name=bob", &[]).await, 400, "could not be read");
    is_page(&visitor.post(&form_url, &"x".repeat(5_000), &[]).await, 400, "could not be read");
    let foreign = [("origin", "https://evil.example")];
    is_page(&visitor.post(&form_url, "username=bob", &foreign).await, 403, "another page");
    assert_eq!(site.username(&mut visitor).await, None);

    let chosen = visitor.post(&form_url, "username=bob", &[("origin", &site.url)]).await;
    assert_eq!((chosen.status, chosen.location), (303, Some(site.at("/"))));
    assert_eq!(chosen.headers["x-auth-token"].to_str().unwrap(), site.token(&mut visitor));
    assert_eq!(site.username(&mut visitor).await.as_deref(), Some("bob"));
    assert_eq!(visitor.get(&form_url).await.status, 400, "the choice is made");
}

#[tokio::test]
async fn pages_of_another_origin_change_nothing() {
    let site = Site::start_with(|plan| plan.set("auth.allowed_origins", "https://app.example.org"));
    let mut alice = site.registered("alice").await;
    for path in ["/auth/renew", "/auth/logout", "/auth/logout?everywhere=1"] {
        for origin in ["https://evil.example", "null"] {
            let answer = alice.post(&site.at(path), "", &[("origin", origin)]).await;
            assert_eq!((answer.status, answer.headers.contains_key("set-cookie")), (403, false), "{path} {origin}");
        }
    }
    assert_eq!(site.username(&mut alice).await.as_deref(), Some("alice"));
    for origin in ["https://app.example.org", &site.url] {
        assert_eq!(alice.post(&site.at("/auth/renew"), "", &[("origin", origin)]).await.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn without_configuration_nobody_logs_in() {
    let node = Plan::embedded().start();
    let url = format!("http://{}", node.address("http"));
    let mut visitor = Visitor::new();
    visitor.set_cookie(&url, TOKEN, "x");
    let answer = visitor.get(&format!("{url}/auth")).await;
    assert_eq!(answer.body, r#"{"login_required":false,"providers":[],"username":null}"#);
    is_page(&visitor.get(&format!("{url}/auth/test")).await, 404, "no such login");
    assert_eq!(visitor.post(&format!("{url}/auth/renew"), "", &[]).await.status, 401);
    assert_eq!(visitor.post(&format!("{url}/auth/logout"), "", &[]).await.status, 204);
}
