//! Nothing is open by oversight, and no secret is shown.

use std::time::SystemTime;

use serde_json::json;
use sockeye_hub::TopicName;

use super::*;
use crate::auth::{Auth, Denied, Mint, Moment, Patterns, Secret};
use crate::auth::{ClientRequest, Credentials};
use crate::fetch::Fetcher;

const SECRET: &str = "correct-horse-battery-staple-123";

fn topic() -> TopicName {
    TopicName::new("chat").unwrap()
}

/// Collects what a client without a token, or with one, sends.
fn client(token: Option<&str>) -> Credentials {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> =
        bearer.iter().map(|bearer| ("authorization", bearer.as_bytes())).collect();
    let ip = std::net::Ipv4Addr::LOCALHOST.into();
    let request = ClientRequest { client: "c1", ip, target: "/t/chat", headers: &headers };
    Credentials::collect(&request, &Config::default().credential_rules()).unwrap()
}

fn auth(text: &str) -> Auth {
    parse(text).unwrap().auth(&Fetcher::new().unwrap()).unwrap()
}

#[test]
fn without_auth_only_this_machine_is_served_unless_anonymous_is_allowed() {
    for open in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "example.com:80"] {
        let told = error(&format!("listen = ['127.0.0.1:80', '{open}']"));
        assert!(told.starts_with("f:1: listen: ") && told.contains("--allow-anonymous"), "{told}");
        let allowed = format!("allow_anonymous = true\nlisten = ['{open}']");
        assert!(parse(&allowed).is_ok(), "{open}");
        let guarded = format!("listen = ['{open}']\n[auth.jwt]\nsecret = '{SECRET}'");
        assert!(parse(&guarded).is_ok(), "{open}");
    }
    for closed in ["127.0.0.1:80", "[::1]:80", "localhost:80"] {
        assert!(parse(&format!("listen = ['{closed}']")).is_ok(), "{closed}");
    }
    let flag = Config::load(None, vars(&[]), &flags(&[("listen", "0.0.0.0:80")])).unwrap_err();
    assert!(flag.to_string().starts_with("--listen: listen: 0.0.0.0:80 can be reached"), "{flag}");
}

#[test]
fn http_api_is_off_without_a_key() {
    let none = Config::default();
    assert!(none.api_keys().unwrap().is_empty());
    let keys = format!("[auth]\napi_keys = ['{SECRET}']");
    assert!(!parse(&keys).unwrap().api_keys().unwrap().is_empty());
    let open = parse("[auth.anonymous]\npublish = ['chat']").unwrap();
    assert!(open.api_keys().unwrap().is_empty());
}

#[test]
fn admin_that_others_reach_needs_keys() {
    assert!(error("admin = '0.0.0.0:9000'").contains("so it needs auth.api_keys"));
    let keys = format!("admin = '0.0.0.0:9000'\n[auth]\napi_keys = ['{SECRET}']");
    let warnings = parse(&keys).unwrap().warnings();
    assert_eq!(warnings, ["admin: the admin's pages can be reached from other machines"]);
    assert!(parse("admin = '127.0.0.1:9000'").unwrap().warnings().is_empty());
}

#[test]
fn whatever_makes_the_server_less_safe_is_warned_of() {
    assert!(Config::default().warnings().is_empty());
    let text =
        "listen = ['0.0.0.0:80']\nallow_anonymous = true\ninsecure_http = true\norigins = ['*']";
    let warnings = parse(text).unwrap().warnings();
    let keys: Vec<_> = warnings.iter().filter_map(|warning| warning.split(':').next()).collect();
    assert_eq!(keys, ["allow_anonymous", "insecure_http", "origins"]);
}

#[test]
fn anonymous_may_do_everything_without_auth_and_nothing_with() {
    let grant = Config::default().anonymous().unwrap();
    assert!(grant.may_publish(&topic()) && grant.may_subscribe(&topic()));
    let listed = parse("[auth.anonymous]\nsubscribe = ['chat']").unwrap().anonymous().unwrap();
    assert!(!listed.may_publish(&topic()) && listed.may_subscribe(&topic()));
    let jwt = format!("[auth.jwt]\nsecret = '{SECRET}'\n");
    assert_eq!(parse(&jwt).unwrap().anonymous(), None);
    let listed = parse(&format!("{jwt}[auth.anonymous]\npublish = ['*']")).unwrap();
    assert!(listed.anonymous().unwrap().may_publish(&topic()));
}

#[test]
fn token_by_the_configured_secret_comes_in_and_none_does_not() {
    let text = format!("[auth.jwt]\nsecret = '{SECRET}'\nissuer = 'me'\naudience = ['chat']");
    let auth = auth(&text);
    let mint = |issuer: &str| {
        let mint = Mint {
            subject: "ann".into(),
            lifetime: Duration::from_secs(60),
            publish: vec!["chat".into()],
            subscribe: Vec::new(),
            info: None,
            issuer: Some(issuer.into()),
            audience: Some("chat".into()),
        };
        mint.sign(&Secret::new(SECRET.as_bytes()).unwrap(), SystemTime::now()).unwrap()
    };
    let admit = |who: &Credentials| auth.admit_now(who, Moment::now()).unwrap();
    let grant = admit(&client(Some(&mint("me")))).unwrap();
    assert_eq!(grant.publish, Patterns::from_json(&json!(["chat"])).unwrap());
    assert!(matches!(admit(&client(Some(&mint("you")))), Err(Denied::Token(_))));
    assert!(matches!(admit(&client(None)), Err(Denied::Missing)));
}

#[test]
fn webhook_is_asked_as_the_configuration_says() {
    let url = "url = 'https://a.example/auth'";
    let text = format!("[auth.webhook]\n{url}\nsecret = '{SECRET}'\nevents = ['publish']");
    let Auth::Webhook(webhook) = auth(&text) else { panic!("no webhook") };
    assert!(webhook.asks(crate::auth::webhook::Event::Publish));
    assert!(!webhook.asks(crate::auth::webhook::Event::Disconnect));
    for (text, told) in [
        (format!("[auth.webhook]\n{url}"), "f:2: auth.webhook.url: needs auth.webhook.secret"),
        (format!("[auth.webhook]\nsecret = '{SECRET}'"), "f:2: auth.webhook.secret: needs auth"),
        (
            format!("[auth.anonymous]\npublish = []\n{text}"),
            "f:2: auth.anonymous.publish: a webhook",
        ),
        (
            format!("[auth.jwt]\nsecret = '{SECRET}'\n{text}"),
            "f:4: auth.webhook.url: set auth.jwt or",
        ),
        (text.replace("https", "http"), "f:2: auth.webhook.url: http is for the loop-back"),
    ] {
        assert!(error(&text).starts_with(told), "{}", error(&text));
    }
    assert!(parse(&format!("insecure_http = true\n{}", text.replace("https", "http"))).is_ok());
}

#[test]
fn keys_of_tokens_come_from_a_secret_file_a_jwks_or_pem_files() {
    let secret = Scratch::new("secret", format!("{SECRET}\n"));
    let config = parse(&format!("[auth.jwt]\nsecret_file = {}", secret.quoted())).unwrap();
    assert!(config.jwt_secret().unwrap().is_some());
    let pem = Scratch::new("pem", "no key");
    let told = error(&format!("[auth.jwt]\nkey_files = [{}]", pem.quoted()));
    assert!(told.starts_with("f:2: auth.jwt.key_files: not a public key"), "{told}");
    let jwks = Scratch::new(
        "jwks",
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
    );
    let Auth::Jwt { verifier: _, anonymous: None } =
        auth(&format!("[auth.jwt]\njwks_file = {}", jwks.quoted()))
    else {
        panic!("no tokens")
    };
    let missing = error("[auth.jwt]\njwks_file = '/nowhere'");
    assert_eq!(missing, "f:2: auth.jwt.jwks_file: /nowhere: entity not found");
}

#[test]
fn api_keys_come_from_a_file_line_by_line() {
    let file = Scratch::new("keys", format!("{SECRET}\r\n\n{SECRET}x\n"));
    let config = parse(&format!("[auth]\napi_keys_file = {}", file.quoted())).unwrap();
    let keys = config.api_keys().unwrap();
    assert_eq!(keys.check("/", &[("x-api-key", SECRET.as_bytes())]), Ok(()));
    let empty = Scratch::new("no-keys", "\n");
    assert!(parse(&format!("[auth]\napi_keys_file = {}", empty.quoted())).is_err());
}

/// Sets every secret there is, and a URL with a key in its query.
fn secretive() -> String {
    format!(
        "listen = ['0.0.0.0:80']\n[auth]\napi_keys = ['{SECRET}']\n[auth.webhook]\n\
         secret = '{SECRET}'\nurl = 'https://a.example/auth?key={SECRET}'\n\
         [[topic]]\nmatch = '*'\nhook = 'https://a.example/?{SECRET}'"
    )
}

// SIG-019
#[test]
fn debug_print_and_panic_with_a_configuration_show_no_secret() {
    let webhook = parse(&secretive()).unwrap();
    let jwt = parse(&format!("[auth.jwt]\nsecret = '{SECRET}'")).unwrap();
    for config in [webhook, jwt] {
        let fetcher = Fetcher::new().unwrap();
        let auth = format!("{:?} {:?}", config.auth(&fetcher), config.api_keys());
        let hooks = format!("{:?} {:?}", config.hooks(), config.warnings());
        for shown in [format!("{config:?} {config:#?}"), config.to_toml(), auth, hooks] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
        assert!(config.to_toml().contains("\"***\""));
        let panicked = std::panic::catch_unwind(|| panic!("{config:?}")).unwrap_err();
        let text = panicked.downcast_ref::<String>().unwrap();
        assert!(text.contains("webhook") && !text.contains(SECRET), "{text}");
    }
    let file = File::from_bytes(Path::new("f"), secretive().into()).unwrap();
    assert!(!format!("{file:?}").contains(SECRET));
    let env = overrides::Environment::read(vars(&[("SOCKEYE_AUTH_JWT_SECRET", SECRET)]));
    assert!(!format!("{env:?}").contains(SECRET));
}

// SIG-013, SIG-019
#[test]
fn error_about_a_secret_shows_none_of_it() {
    let short = &SECRET[..20];
    for text in [
        format!("[auth.jwt]\nsecret = '{short}'"),
        format!("[auth.jwt]\nsecret = ['{SECRET}']"),
        format!("[auth.jwt]\nsecret = '{SECRET}"),
        format!("[auth.jwt]\nsecret = {SECRET}"),
        format!("[auth.jwt]\nsecret = '{SECRET}'\nsecret = '{SECRET}'"),
        format!("[auth]\napi_keys = '{SECRET}'"),
        format!("[auth]\napi_keys = ['{short}', '{SECRET}']"),
        format!("[auth]\napi_keys = ['{SECRET}']\napi_keys_file = 'x'"),
        format!("[auth.webhook]\nsecret = '{SECRET}'"),
    ] {
        let told = error(&text);
        assert!(!told.contains(short), "{told}");
    }
    for name in ["SOCKEYE_AUTH_JWT_SECRET", "SOCKEYE_AUTH_API_KEYS", "SOCKEYE_AUTH_JWT_SECRETT"] {
        let told = env(&[(name, short)]).unwrap_err().to_string();
        assert!(!told.contains(short), "{told}");
    }
}

// SIG-013
#[test]
fn no_flag_takes_a_secret_and_every_secret_has_a_file_and_a_variable() {
    let secrets = keys().iter().filter(|key| key.kind().is_secret());
    for key in secrets.clone() {
        assert_eq!(key.flag(), None, "{}", key.path());
        assert!(key.env().is_some(), "{}", key.path());
        let file = find(keys(), &format!("{}_file", key.path())).unwrap();
        assert!(file.flag().is_some() && !file.kind().is_secret());
    }
    assert_eq!(secrets.count(), 3);
}
