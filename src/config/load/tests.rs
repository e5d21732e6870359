use super::*;

fn sets(pairs: &[(&str, &str)]) -> Overrides {
    let sets = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Overrides { file: None, sets }
}

fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> + use<> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
}

#[test]
fn flags_win_over_the_environment_and_this_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, "[limits]\nstrikes = 3\ntext_bytes = 10\n[log]\nlevel = 'warn'\n").unwrap();
    let overrides = Overrides { file: Some(path), ..sets(&[("limits.strikes", "5")]) };
    let environment =
        variables(&[("CROSSTALK_LIMITS_STRIKES", "4"), ("CROSSTALK_LIMITS_TEXT_BYTES", "11"), ("HOME", "/")]);
    let config = load(&overrides, environment).unwrap();
    assert_eq!((config.limits.strikes, config.limits.text_bytes, config.log.level.as_str()), (5, 11, "warn"));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let error = load(&sets(&[("limits.strike", "5")]), variables(&[])).unwrap_err().to_string();
    assert!(error.contains("`limits.strike`") && error.contains("`limits.strikes`"), "{error}");
    let error = load(&sets(&[]), variables(&[("CROSSTALK_LISTEN_HTPP", "off")])).unwrap_err().to_string();
    assert!(error.contains("CROSSTALK_LISTEN_HTTP"), "{error}");
}

#[test]
fn a_value_that_does_not_fit_names_its_key() {
    let long = "x".repeat(33);
    for (key, value) in [
        ("listen.http", "8080"),
        ("limits.strikes", "many"),
        ("cluster.heartbeat_ms", "9000"),
        ("log.level", "a=b=c"),
        ("server.nickname", long.as_str()),
        ("server.description", "two\nlines"),
    ] {
        let error = load(&sets(&[(key, value)]), variables(&[])).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn text_settings_take_digits_as_text() {
    let config = load(&sets(&[("redis.key_prefix", "123"), ("storage.data_dir", "true")]), variables(&[])).unwrap();
    assert_eq!((config.redis.key_prefix.as_str(), config.storage.data_dir.as_str()), ("123", "true"));
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn providers_come_from_file_environment_and_flags_alike() {
    let dir = tempfile::tempdir().unwrap();
    let (path, secret) = (dir.path().join("c.toml"), dir.path().join("secret"));
    std::fs::write(&secret, "s3cret\n").unwrap();
    let file = format!(
        "[auth]\ntoken_key = '{KEY}'\npublic_url = 'http://chat'\nallowed_origins = ['https://a.org', 'https://b.org']\n\
         [auth.providers.my-idp]\nissuer = 'https://idp.example/'\nclient_id = '1'\nlabel = 'file'\n"
    );
    std::fs::write(&path, file).unwrap();
    let overrides = Overrides { file: Some(path), ..sets(&[("auth.providers.my-idp.scope", "profile")]) };
    let former = format!("{KEY}1, {KEY}2");
    let environment = variables(&[
        ("CROSSTALK_AUTH_PROVIDERS_MY_IDP_LABEL", "12"),
        ("CROSSTALK_AUTH_PROVIDERS_MY_IDP_CLIENT_SECRET_FILE", secret.to_str().unwrap()),
        ("CROSSTALK_AUTH_REQUIRE_LOGIN", "true"),
        ("CROSSTALK_AUTH_TOKEN_KEYS_FORMER", former.as_str()),
    ]);
    let auth = load(&overrides, environment).unwrap().auth;
    let provider = &auth.providers["my-idp"];
    assert_eq!((provider.label.as_str(), provider.client_id.as_str()), ("12", "1"));
    assert_eq!((provider.scope.as_str(), provider.client_secret.as_str()), ("profile", "s3cret"));
    assert_eq!(provider.issuer.as_str(), "https://idp.example/", "kept as it was written");
    assert_eq!((auth.require_login, auth.token_keys_former.0.len(), auth.allowed_origins.0.len()), (true, 2, 2));
}

#[test]
fn an_unknown_key_of_a_provider_is_refused_with_the_nearest_known_one() {
    let error = load(&sets(&[("auth.providers.idp.isuer", "x")]), variables(&[])).unwrap_err().to_string();
    assert!(error.contains("`auth.providers.idp.issuer`"), "{error}");
    let error = load(&sets(&[]), variables(&[("CROSSTALK_AUTH_PROVIDERS_IDP_ISUER", "x")])).unwrap_err().to_string();
    assert!(error.contains("`CROSSTALK_AUTH_PROVIDERS_IDP_ISSUER`"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    for text in ["[auth.providers.idp]\nisuer = 'x'", "[auth.provider.idp]\nissuer = 'x'", "[auth.providers]\nidp = 1"]
    {
        std::fs::write(&path, text).unwrap();
        let overrides = Overrides { file: Some(path.clone()), sets: Vec::new() };
        let error = load(&overrides, variables(&[])).unwrap_err().to_string();
        assert!(error.contains("unknown setting"), "{text}: {error}");
    }
}

#[test]
fn providers_that_cannot_work_are_refused_with_the_key() {
    let good = [
        ("auth.token_key", KEY),
        ("auth.public_url", "https://chat.example.org"),
        ("auth.providers.a.issuer", "https://idp.example"),
        ("auth.providers.a.client_id", "x"),
    ];
    assert!(load(&sets(&good), variables(&[])).is_ok());
    for (key, value) in [
        ("auth.token_key", ""),
        ("auth.token_key", "short"),
        ("auth.token_keys_former", "short"),
        ("auth.public_url", ""),
        ("auth.public_url", "https://chat.example.org/sub"),
        ("auth.public_url", "chat"),
        ("auth.allowed_origins", "https://app.example.org/"),
        ("auth.require_login", "maybe"),
        ("auth.login_s", "10"),
        ("auth.providers.a.kind", "saml"),
        ("auth.providers.a.issuer", ""),
        ("auth.providers.a.issuer", "http://idp.example"),
        ("auth.providers.a.client_id", ""),
        ("auth.providers.a.client_secret_file", "/nowhere/at/all"),
        ("auth.providers.a.token_url", "https://idp.example"),
        ("auth.providers.A.client_id", "x"),
        ("auth.providers.logout.client_id", "x"),
    ] {
        let pairs = [good.as_slice(), &[(key, value)]].concat();
        let error = load(&sets(&pairs), variables(&[])).unwrap_err().to_string();
        let place = key.rsplit_once('.').unwrap().0;
        assert!(error.contains(key) || (error.contains(place) && key.ends_with("client_id")), "{key}={value}: {error}");
    }
}

/// The name is part of every identity, and a path: what is taken in either would let one pass for the other.
#[test]
fn a_provider_cannot_have_a_name_that_is_taken() {
    for name in ["username", "renew", "logout", "token"] {
        let (issuer, client) = (format!("auth.providers.{name}.issuer"), format!("auth.providers.{name}.client_id"));
        let pairs = [
            ("auth.token_key", KEY),
            ("auth.public_url", "https://chat.example.org"),
            (issuer.as_str(), "https://idp.example"),
            (client.as_str(), "x"),
        ];
        let error = load(&sets(&pairs), variables(&[])).unwrap_err().to_string();
        assert!(error.contains(&format!("auth.providers.{name}")) && error.contains("taken"), "{error}");
    }
}

#[test]
fn the_default_file_reads_as_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("default.toml");
    std::fs::write(&path, crate::config::default_file()).unwrap();
    let overrides = Overrides { file: Some(path), sets: Vec::new() };
    assert_eq!(load(&overrides, variables(&[])).unwrap(), Config::default());
}
