//! The table of keys, and what is made of it.

use std::collections::HashSet;

use super::*;
use crate::config::value::Value;

/// A value that a key takes, as the environment gives it.
fn sample<C>(key: &Key<C>) -> String {
    match (key.path(), key.kind()) {
        (_, Kind::Flag) => "true".to_owned(),
        (_, Kind::Bytes { min, .. } | Kind::Count { min, .. }) => min.to_string(),
        (_, Kind::Time { max, .. }) => value::show_time(max),
        (_, Kind::Choice(names) | Kind::Choices(names)) => (*names.last().unwrap()).to_owned(),
        (_, Kind::Secret | Kind::Secrets) => "s".repeat(32),
        ("listen" | "admin", _) => "[::1]:5".to_owned(),
        ("trusted_proxies", _) => "10.0.0.0/8".to_owned(),
        ("origins", _) => "https://example.com".to_owned(),
        (_, Kind::Text(_) | Kind::List(_)) => "https://example.com/a".to_owned(),
    }
}

#[test]
fn every_key_sets_its_own_field() {
    for key in keys() {
        let mut config = Config::default();
        let value = key.read_text(&sample(key)).unwrap();
        key.put(&mut config, value).unwrap();
        let changed: Vec<_> = keys()
            .iter()
            .filter(|other| other.value(&config) != other.value(&Config::default()))
            .collect();
        assert_eq!(changed.iter().map(|key| key.path()).collect::<Vec<_>>(), [key.path()]);
        key.clear(&mut config);
        let optional =
            key.value(&Config::default()).is_none_or(|value| value == Value::List(Vec::new()));
        assert!(!optional || config == Config::default(), "{}", key.path());
    }
    for key in topic_keys() {
        let mut topic = Topic::default();
        let value = key.read_text(&sample(key)).unwrap();
        key.put(&mut topic, value).unwrap();
        assert_ne!(topic, Topic::default(), "{}", key.path());
    }
}

#[test]
fn bounds_of_a_key_are_taken_and_what_is_beyond_is_not() {
    for key in keys() {
        let (inside, beyond) = match key.kind() {
            Kind::Bytes { min, max } | Kind::Count { min, max } => (
                vec![min, max].into_iter().map(|n| n.to_string()).collect::<Vec<_>>(),
                (max + 1).to_string(),
            ),
            Kind::Time { min, max, .. } => (
                vec![value::show_time(min), value::show_time(max)],
                value::show_time(max + Duration::from_millis(1)),
            ),
            _ => continue,
        };
        for text in inside {
            let value = key.read_text(&text).unwrap();
            assert!(key.put(&mut Config::default(), value).is_ok(), "{}", key.path());
        }
        assert!(key.read_text(&beyond).is_err(), "{}", key.path());
        let default = key.show(&Config::default());
        let default = default.map(|text| text.trim_matches('"').to_owned());
        assert!(default.is_none_or(|text| key.read_text(&text).is_ok()), "{}", key.path());
    }
}

#[test]
fn names_of_variables_and_flags_follow_from_the_key_but_for_the_oldest() {
    let oldest = [
        ("trusted_proxies", "SOCKEYE_TRUSTED_PROXY", "trusted-proxy"),
        ("limits.pending_per_ip", "SOCKEYE_MAX_PENDING_PER_IP", "max-pending-per-ip"),
        ("time.drain", "SOCKEYE_DRAIN", "drain"),
        ("log.level", "SOCKEYE_LOG", "log"),
    ];
    for key in keys() {
        let path = key.path();
        let oldest = oldest.iter().find(|(old, ..)| *old == path);
        let (env, flag) = oldest.map_or_else(
            || {
                (
                    format!("SOCKEYE_{}", path.replace('.', "_").to_uppercase()),
                    path.replace(['.', '_'], "-"),
                )
            },
            |(_, env, flag)| ((*env).to_owned(), (*flag).to_owned()),
        );
        assert_eq!(key.env(), Some(&*env));
        assert_eq!(key.flag(), Some(&*flag).filter(|_| !key.kind().is_secret()));
    }
    let distinct: HashSet<_> = keys().iter().filter_map(Key::env).collect();
    assert_eq!(distinct.len(), keys().len());
}

#[test]
fn example_is_the_default_and_names_every_key() {
    let example = Config::example();
    assert_eq!(parse(&example).unwrap(), Config::default());
    let bare: String = example
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    for key in keys() {
        let name = key.path().rsplit('.').next().unwrap();
        assert!(bare.lines().any(|line| line.starts_with(&format!("{name} = "))), "{name}");
    }
    for key in topic_keys() {
        assert!(example.contains(&format!("# {} = ", key.path())), "{}", key.path());
    }
}

#[test]
fn printed_configuration_is_read_back_the_same() {
    let text = "listen = ['127.0.0.1:0', '[::1]:1']\ntrusted_proxies = ['10.0.0.0/8']\n\
                origins = ['*.example.com']\n[time]\ndrain = '1500ms'\n[log]\nlevel = 'off'\n\
                [auth]\ncookie = 'a'\n[auth.anonymous]\npublish = []\nsubscribe = ['a\"\\b', 'c*']\n\
                [[topic]]\nmatch = 'x'\nslow = 'drop-oldest'\nhook = 'https://a.example/'\n\
                [[topic]]\nmatch = '*'\nttl = '0s'";
    let config = parse(text).unwrap();
    assert_ne!(config, Config::default());
    assert_eq!(parse(&config.to_toml()).unwrap(), config);
    assert_eq!(parse(&Config::default().to_toml()).unwrap(), Config::default());
}

/// Writes the row of a key in the page of all keys.
fn row<C>(key: &Key<C>, default: Option<String>) -> String {
    let code = |text: Option<String>| text.map_or("–".to_owned(), |text| format!("`{text}`"));
    let mut cells = vec![code(Some(key.path().to_owned()))];
    if let Some(env) = key.env() {
        cells.push(code(Some(env.to_owned())));
        cells.push(code(key.flag().map(|flag| format!("--{flag}"))));
    }
    cells.extend([key.doc().to_owned(), key.kind().allowed(), code(default)]);
    if key.env().is_some() {
        cells.push(if key.reload() == Reload::Live { "reload" } else { "start" }.to_owned());
    }
    format!("| {} |", cells.join(" | "))
}

#[test]
fn page_of_all_keys_lists_them_as_they_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let listed: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let (config, topic) = (Config::default(), Topic::default());
    let rows = keys().iter().map(|key| row(key, key.show(&config)));
    let required = |key: &Key<Topic>| key.show(&topic).filter(|_| key.path() != "match");
    let rows = rows.chain(topic_keys().iter().map(|key| row(key, required(key))));
    let rows: Vec<_> = rows.collect();
    assert!(listed == rows, "the page should have these rows:\n{}", rows.join("\n"));
}
