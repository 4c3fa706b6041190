//! What stands where wins over what, and what becomes of it.

mod bad_files;
mod safety;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::find;
use super::*;

/// A configuration file in a temporary directory, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let name = format!("sockeye-config-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn quoted(&self) -> String {
        value::quoted(&self.0.to_string_lossy())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads a file of this text, named `f`.
fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::from_file(&File::from_bytes(Path::new("f"), text.into())?)
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn vars(of: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
    let pairs: Vec<_> = of.iter().map(|(name, value)| (name.into(), value.into())).collect();
    pairs.into_iter()
}

fn env(of: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(None, vars(of), &Overrides::default())
}

fn flags(of: &[(&str, &str)]) -> Overrides {
    let mut flags = Overrides::default();
    for (path, text) in of {
        flags.flag(find(keys(), path).unwrap(), *text);
    }
    flags
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(env(&[]).unwrap(), Config::default());
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().check(), Ok(()));
}

// SIG-013
#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let file = Scratch::new(
        "order",
        "deflate = true\nmax_message = 1\n[time]\ndrain = '1s'\nping = '2s'\n",
    );
    let said = [("SOCKEYE_DRAIN", "2s"), ("SOCKEYE_MAX_MESSAGE", "2"), ("SOCKEYE_LOG", "warn")];
    let config =
        Config::load(Some(file.path()), vars(&said), &flags(&[("max_message", "3")])).unwrap();
    assert_eq!(config.max_message, 3, "flag, environment and file");
    assert_eq!(config.time.drain, Duration::from_secs(2), "environment and file");
    assert_eq!((config.time.ping, config.deflate), (Duration::from_secs(2), true), "file");
    assert_eq!(config.log.level, LogLevel::Warn, "environment");
    assert_eq!(config.time.pong, Times::default().pong, "default");
}

#[test]
fn file_is_the_one_given_or_the_one_the_environment_names() {
    let (one, other) =
        (Scratch::new("one", "max_message = 1"), Scratch::new("two", "max_message = 2"));
    let named = [("SOCKEYE_CONFIG", other.path().to_str().unwrap())];
    assert_eq!(env(&named).unwrap().max_message, 2);
    let given = Config::load(Some(one.path()), vars(&named), &Overrides::default()).unwrap();
    assert_eq!(given.max_message, 1);
}

#[test]
fn secret_given_elsewhere_takes_the_place_of_the_files_of_the_file() {
    let secret = "s".repeat(32);
    let text = "[auth]\napi_keys_file = '/nowhere'\n[auth.jwt]\njwks_file = '/nowhere'";
    let file = Scratch::new("instead", text);
    let said = [("SOCKEYE_AUTH_JWT_SECRET", &*secret), ("SOCKEYE_AUTH_API_KEYS", &*secret)];
    let config = Config::load(Some(file.path()), vars(&said), &Overrides::default()).unwrap();
    assert_eq!(config.auth.jwt.sources(), ["auth.jwt.secret"]);
    assert_eq!(config.auth.api_keys_file, None);
    let both = format!("[auth.jwt]\nsecret = '{secret}'\njwks_file = '/nowhere'");
    assert_eq!(
        error(&both),
        "f:3: auth.jwt.jwks_file: set one of auth.jwt.secret, auth.jwt.jwks_file"
    );
}

#[test]
fn text_means_the_same_from_the_environment_and_from_a_flag() {
    for (path, variable, text, shown) in [
        ("listen", "SOCKEYE_LISTEN", "127.0.0.1:1, [::1]:2", r#"["127.0.0.1:1", "[::1]:2"]"#),
        ("time.drain", "SOCKEYE_DRAIN", "90", "\"90s\""),
        ("time.drain", "SOCKEYE_DRAIN", "500ms", "\"500ms\""),
        ("deflate", "SOCKEYE_DEFLATE", "true", "true"),
        ("trusted_proxies", "SOCKEYE_TRUSTED_PROXY", "", "[]"),
        ("log.format", "SOCKEYE_LOG_FORMAT", "json", "\"json\""),
    ] {
        let key = find(keys(), path).unwrap();
        let from_env = env(&[(variable, text)]).unwrap();
        let from_flag = Config::load(None, vars(&[]), &flags(&[(path, text)])).unwrap();
        assert_eq!(key.show(&from_env).as_deref(), Some(shown), "{path}");
        assert_eq!(from_env, from_flag, "{path}");
    }
}

#[test]
fn bad_value_of_a_variable_or_flag_is_told_with_its_name() {
    let told = env(&[("SOCKEYE_MAX_MESSAGE", "64k")]).unwrap_err().to_string();
    let allowed = "allowed is a number of bytes from 1 to 1073741824";
    assert_eq!(told, format!("SOCKEYE_MAX_MESSAGE: max_message: found \"64k\"; {allowed}"));
    let told = Config::load(None, vars(&[]), &flags(&[("max_message", "+1")])).unwrap_err();
    assert_eq!(told.to_string(), format!("--max-message: max_message: found \"+1\"; {allowed}"));
    assert_eq!(told.place(), Some(&Place::Flag("max-message")));
}

#[test]
fn unknown_variable_of_ours_is_refused_and_those_of_others_are_not() {
    let told = env(&[("SOCKEYE_LIMITS_CONECTIONS", "5")]).unwrap_err().to_string();
    let meant = "did you mean `SOCKEYE_LIMITS_CONNECTIONS`?";
    assert_eq!(told, format!("unknown variable \"SOCKEYE_LIMITS_CONECTIONS\"; {meant}"));
    assert!(env(&[("SOCKEYE_PORT", "80")]).is_err());
    let others = [
        ("SOCKEYE_BEARER", "x"),
        ("SOCKEYE_TEST_PYTHON", "python3"),
        ("SOCKEYE_HUB_SEEDS", "5"),
        ("SOCKEYE_SIMULATION_SEED", "5"),
        ("SOCKEYE_SERVICE_HOST", "10.0.0.1"),
        ("SOCKEYE_SERVICE_PORT_HTTP", "80"),
        ("SOCKEYE_PORT", "tcp://10.0.0.1:80"),
        ("SOCKEYE_ADMIN_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("PATH", "/bin"),
    ];
    assert_eq!(env(&others).unwrap(), Config::default());
}

#[cfg(unix)]
#[test]
fn variable_that_is_not_utf8_is_refused_by_name() {
    use std::os::unix::ffi::OsStringExt;
    let broken = (OsString::from("SOCKEYE_ADMIN"), OsString::from_vec(vec![0xff]));
    let told = Config::load(None, [broken].into_iter(), &Overrides::default()).unwrap_err();
    assert_eq!(told.to_string(), "SOCKEYE_ADMIN: admin: not UTF-8");
}

#[test]
fn topics_become_rules_in_their_order_over_the_hubs_defaults() {
    let text = "
        insecure_http = true
        [[topic]]
        match = 'chat:*'
        history = 5
        ttl = '10m'
        presence = 'announced'
        [[topic]]
        match = 'chat:lobby'
        [[topic]]
        match = '*'
        slow = 'latest'
        hook = 'http://backend.example/hook'";
    let config = parse(text).unwrap();
    let topic = |name: &str| {
        name.parse::<Pattern>()
            .map(|name| match name {
                Pattern::Exact(name) => name,
                Pattern::Prefix(_) => unreachable!(),
            })
            .unwrap()
    };
    let rules = config.rules();
    let chat = rules.of(&topic("chat:lobby"));
    assert_eq!((chat.history.messages, chat.history.age), (5, Duration::from_secs(600)));
    assert_eq!(chat.presence, sockeye_hub::Presence::Announced);
    let news = rules.of(&topic("news"));
    assert_eq!(news.history, sockeye_hub::HistoryRules::default());
    assert_eq!(news.slow, sockeye_hub::Slow::Latest);
    let defaults = Config::default().rules();
    assert_eq!(*defaults.of(&topic("news")), sockeye_hub::TopicRules::default());
    let hooks = config.hooks().unwrap();
    assert!(hooks.of(&topic("news")).is_some());
    assert!(hooks.of(&topic("chat:1")).is_none(), "the first rule that matches has none");
}

#[test]
fn limits_reach_the_hub_and_the_queues() {
    let config = parse("max_message = 1000\n[limits]\nqueue = 70000").unwrap();
    assert_eq!(config.hub_limits().payload, 1000);
    assert_eq!(config.queue_limits().bytes, 70_000);
    let defaults = Config::default();
    assert_eq!(defaults.hub_limits(), sockeye_hub::Limits::default());
    assert_eq!(defaults.queue_limits(), sockeye_hub::QueueLimits::default());
}

#[test]
fn origins_are_the_same_a_list_or_any() {
    use sockeye_proto::handshake::Origins;
    assert_eq!(Config::default().origins(), Origins::Same);
    let list = parse("origins = ['https://a.example', '*.b.example']").unwrap().origins();
    assert!(matches!(list, Origins::List(list) if list.len() == 2));
    assert_eq!(parse("origins = ['https://a.example', '*']").unwrap().origins(), Origins::Any);
}

#[test]
fn difference_tells_what_takes_effect_at_once_and_what_waits() {
    let old = Config::default();
    assert!(old.difference(&old).is_empty());
    let text = "listen = ['127.0.0.1:1']\norigins = ['*']\n[limits]\nqueue = 70000\n\
                [[topic]]\nmatch = '*'\n[tls]\ncert = 'a'\nkey = 'b'";
    let new = parse(text).unwrap();
    let difference = old.difference(&new);
    assert_eq!(difference.live, ["origins", "topic"]);
    let waiting = ["listen", "tls.cert", "tls.key", "limits.queue"];
    assert_eq!(difference.restart, waiting);
    let mut renewed = new.clone();
    renewed.tls.cert = Some("c".into());
    assert_eq!(new.difference(&renewed).live, ["tls.cert"]);
    assert!(new.difference(&renewed).restart.is_empty());
}

#[test]
fn difference_sees_secrets_and_queries_that_are_not_shown() {
    let with = |secret: &str, query: &str| {
        let text = format!(
            "[auth.webhook]\nsecret = '{}'\nurl = 'https://a.example/?key={query}'",
            secret.repeat(32)
        );
        parse(&text).unwrap()
    };
    let difference = with("a", "1").difference(&with("b", "2"));
    assert_eq!(difference.live, ["auth.webhook.url", "auth.webhook.secret"]);
}
