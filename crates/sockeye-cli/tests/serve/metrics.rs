//! What a server tells of itself, read by a parser that knows nothing but the format.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::Signal;
use serde_json::json;
use sockeye_server::metrics::series;
use tokio::time::timeout;

use crate::operated::Operated;
use crate::scratch::Scratch;
use crate::support::{PATIENCE, Raw, TEXT, handshake_with, receive};

/// Samples by series and labels, as they are written, and the type of each family.
#[derive(Debug, Default)]
struct Scrape {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

impl Scrape {
    /// Reads the text format, version 0.0.4: each family's HELP and TYPE once and before its samples,
    /// no sample twice.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut scrape = Self::default();
        let (mut helps, mut family) = (BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty() && helps.insert(name.to_owned()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(helps.contains(name), "{line}");
                family = name.to_owned();
                assert!(scrape.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                scrape.sample(line, &family);
            }
        }
        assert_eq!(helps.len(), scrape.types.len());
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
            None => (series, ""),
        };
        let is_name = |name: &str| {
            let mut bytes = name.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        assert!(is_name(name), "{line}");
        let suffix = name.strip_prefix(family).expect(line);
        match self.types[family].as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            "counter" => assert!(suffix.is_empty() && name.ends_with("_total"), "{line}"),
            _ => assert_eq!(suffix, "", "{line}"),
        }
        if !labels.is_empty() {
            let (label, text) = labels.split_once('=').expect(line);
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            assert!(is_name(label) && text.is_some_and(|text| !text.contains(['"', '\\'])));
        }
        let value = value.parse().expect(line);
        assert!(self.samples.insert(series.to_owned(), value).is_none(), "{line}");
    }

    fn get(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("{series}: {self:#?}"))
    }
}

async fn scrape(operated: &Operated) -> Scrape {
    let answer = operated.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{answer:?}");
    Scrape::parse(&answer.body)
}

/// Scrapes until the server has counted what it has already answered, which comes a moment later.
async fn until(operated: &Operated, expected: &[(&str, f64)]) -> Scrape {
    let looking = async {
        loop {
            let scrape = scrape(operated).await;
            let differs =
                |(series, value): &&(&str, f64)| scrape.samples.get(*series) != Some(value);
            match expected.iter().find(differs) {
                None => return scrape,
                Some((series, value)) => {
                    let seen = scrape.samples.get(*series).copied();
                    assert!(seen.is_none_or(|seen| seen <= value.max(seen)), "{series}");
                }
            }
        }
    };
    match timeout(PATIENCE, looking).await {
        Ok(scrape) => scrape,
        Err(_) => {
            let scrape = scrape(operated).await;
            let differs =
                |(series, value): &&(&str, f64)| scrape.samples.get(*series) != Some(value);
            panic!("{:?} {scrape:#?}", expected.iter().filter(differs).collect::<Vec<_>>());
        }
    }
}

async fn events(operated: &Operated, target: &str) -> Raw {
    let mut raw = operated.served.raw().await;
    let head = "Host: x\r\nAccept: text/event-stream\r\n";
    raw.write(format!("GET {target} HTTP/1.1\r\n{head}\r\n").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
    raw
}

#[tokio::test]
async fn known_traffic_is_counted_exactly() {
    let operated = Operated::start(&[]).await;
    let served = &operated.served;
    // A WebSocket of payloads: one message in, itself and two more out.
    let mut raw = served.join("a").await;
    // One of the protocol: the welcome, an answer, and two messages.
    let mut json = served.connect("/ws").await;
    let welcome = receive(&mut json).await;
    let subscribe = r#"{"type":"subscribe","topics":["a"]}"#;
    json.send(subscribe).await.unwrap();
    let answer = receive(&mut json).await;
    let mut echo = served.connect("/echo").await;
    echo.send("1234").await.unwrap();
    receive(&mut echo).await;
    let mut stream = events(&operated, "/t/a").await;
    // The echo is counted and not listed.
    operated.until_clients(3).await;
    let request =
        "POST /t/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n";
    assert!(
        served.ask(&format!("{request}Content-Length: 5\r\n\r\nhello")).await.contains(" 200 ")
    );
    operated.post("/publish", &json!({"topic": "a", "data": "admin"})).await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        receive(&mut raw).await;
        texts.push(receive(&mut json).await);
    }
    let mut seen = String::new();
    while !seen.contains("data: admin") {
        seen.push_str(&String::from_utf8_lossy(&stream.piece().await));
    }
    let refused = served.ask("GET /t/a* HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(refused.contains(" 400 "));
    let foreign = handshake_with("/t/a", &[("Origin", "https://evil.example")]);
    assert!(served.ask(&foreign).await.contains(" 403 "));
    // One who comes back and has missed nothing, and one with a cursor of another life.
    for since in ["x-1", "%20"] {
        let target = format!("/t/a?since={since}&wait=0");
        served.ask(&format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
    }
    let length = |message: &sockeye::Message| {
        f64::from(u32::try_from(message.as_text().unwrap().len()).unwrap())
    };
    let out = length(&welcome) + length(&answer) + texts.iter().map(length).sum::<f64>();
    let command = f64::from(u32::try_from(subscribe.len()).unwrap());
    let scrape = until(
        &operated,
        &[
            ("sockeye_connections{transport=\"raw\"}", 1.0),
            ("sockeye_connections{transport=\"json\"}", 1.0),
            ("sockeye_connections{transport=\"echo\"}", 1.0),
            ("sockeye_connections{transport=\"sse\"}", 1.0),
            ("sockeye_connections{transport=\"poll\"}", 0.0),
            ("sockeye_handshakes_total", 3.0),
            ("sockeye_subscriptions", 3.0),
            ("sockeye_topics", 1.0),
            ("sockeye_history_messages", 3.0),
            ("sockeye_messages_in_total{transport=\"raw\"}", 1.0),
            ("sockeye_messages_out_total{transport=\"raw\"}", 3.0),
            ("sockeye_bytes_in_total{transport=\"raw\"}", 6.0),
            ("sockeye_bytes_out_total{transport=\"raw\"}", 16.0),
            ("sockeye_messages_in_total{transport=\"json\"}", 1.0),
            ("sockeye_bytes_in_total{transport=\"json\"}", command),
            ("sockeye_messages_out_total{transport=\"json\"}", 4.0),
            ("sockeye_bytes_out_total{transport=\"json\"}", out),
            ("sockeye_messages_in_total{transport=\"echo\"}", 1.0),
            ("sockeye_messages_out_total{transport=\"echo\"}", 1.0),
            ("sockeye_bytes_out_total{transport=\"echo\"}", 4.0),
            ("sockeye_messages_in_total{transport=\"http\"}", 1.0),
            ("sockeye_bytes_in_total{transport=\"http\"}", 5.0),
            ("sockeye_messages_in_total{transport=\"admin\"}", 1.0),
            ("sockeye_messages_out_total{transport=\"sse\"}", 2.0),
            ("sockeye_bytes_out_total{transport=\"sse\"}", 10.0),
            ("sockeye_publish_seconds_count", 3.0),
            ("sockeye_publish_seconds_bucket{le=\"+Inf\"}", 3.0),
            ("sockeye_refused_total{code=\"bad_request\"}", 1.0),
            ("sockeye_refused_total{code=\"origin_denied\"}", 1.0),
            ("sockeye_recover_total{result=\"gap\"}", 2.0),
            ("sockeye_recover_total{result=\"complete\"}", 0.0),
            ("sockeye_slow_total{policy=\"disconnect\"}", 0.0),
            ("sockeye_handler_panics_total", 0.0),
            ("sockeye_config_reload_failures_total", 0.0),
            ("sockeye_draining", 0.0),
        ],
    )
    .await;
    assert!(scrape.get("sockeye_history_bytes") > 16.0);
    assert!(scrape.get("sockeye_rss_bytes") > 1_000_000.0);
    assert!(scrape.get("sockeye_start_time_seconds") > 1_700_000_000.0);
    assert!(scrape.get("sockeye_publish_seconds_sum") > 0.0);
    let version = format!("sockeye_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.get(&version), 1.0);
    ends(&operated, (raw, json, echo)).await;
}

/// Ends the WebSockets in several ways and looks at how that is counted.
async fn ends(
    operated: &Operated,
    (raw, json, echo): (sockeye::WebSocket, sockeye::WebSocket, sockeye::WebSocket),
) {
    raw.close(1000.into(), "").await.unwrap();
    json.close(4321.into(), "made up").await.unwrap();
    drop(echo);
    let mut broken = operated.served.open("/echo").await;
    broken.send(0xf0 | TEXT, b"reserved bits").await;
    assert_eq!(broken.frame().await.unwrap().close_code(), Some(1002));
    // One that is gone without a word.
    drop((broken, operated.served.open("/echo").await));
    until(
        operated,
        &[
            ("sockeye_closes_total{code=\"1000\"}", 2.0),
            ("sockeye_closes_total{code=\"other\"}", 1.0),
            ("sockeye_closes_total{code=\"1002\"}", 1.0),
            ("sockeye_closes_total{code=\"1006\"}", 1.0),
            ("sockeye_connections{transport=\"raw\"}", 0.0),
            ("sockeye_connections{transport=\"json\"}", 0.0),
            ("sockeye_connections{transport=\"echo\"}", 0.0),
            ("sockeye_handshakes_total", 5.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn every_series_of_the_table_is_told_with_its_type_and_no_other() {
    let operated = Operated::start(&[]).await;
    let scrape = scrape(&operated).await;
    let table: BTreeMap<_, _> =
        series().iter().map(|one| (one.name.to_owned(), one.kind.name().to_owned())).collect();
    assert_eq!(scrape.types, table);
    assert_eq!(series().len(), table.len());
    assert!(table.keys().all(|name| name.starts_with("sockeye_")));
}

#[test]
fn page_of_the_series_is_the_table() {
    let page = include_str!("../../../../docs/metrics.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `sockeye_")).collect();
    let table: Vec<_> = series()
        .iter()
        .map(|one| {
            let label = one.label.map_or(String::new(), |label| format!("`{label}`"));
            format!("| `{}` | {} | {label} | {} |", one.name, one.kind.name(), one.help)
        })
        .collect();
    assert_eq!(rows, table, "the rows of docs/metrics.md are:\n{}", table.join("\n"));
}

// PUB-010
#[tokio::test]
async fn settings_that_make_the_server_less_safe_are_told_at_the_start_and_as_a_metric() {
    let safe = Operated::start(&[]).await;
    assert_eq!(scrape(&safe).await.get("sockeye_insecure_mode"), 0.0);
    for (args, told) in [
        (&["--insecure-http"][..], "insecure_http"),
        (&["--listen", "0.0.0.0:0", "--allow-anonymous"], "allow_anonymous"),
        (&["--origins", "*"], "origins"),
    ] {
        let mut operated = Operated::start(args).await;
        assert!(operated.logged(" WARN server.insecure ").await.contains(told), "{args:?}");
        assert_eq!(scrape(&operated).await.get("sockeye_insecure_mode"), 1.0, "{args:?}");
    }
    let key = [("SOCKEYE_AUTH_API_KEYS", crate::operated::KEY)];
    let mut open = Operated::with_environment(&["--admin", "0.0.0.0:0"], &key).await;
    assert!(open.logged(" server.insecure ").await.contains("admin"));
    let header = format!("X-API-Key: {}", crate::operated::KEY);
    let answer = open.ask("GET", "/metrics", &[&header]).await;
    assert!(answer.body.contains("\nsockeye_insecure_mode 1\n"), "{answer:?}");
}

#[tokio::test]
async fn configuration_that_is_wrong_when_it_is_read_anew_is_counted() {
    let scratch = Scratch::new("reload-metric");
    let file = scratch.write("sockeye.toml", "max_message = 1000\n");
    let mut operated = Operated::start(&["--config", &file]).await;
    scratch.write("sockeye.toml", "max_mesage = 1000\n");
    operated.served.signal(Signal::HUP);
    operated.logged(" config.reload_failed ").await;
    until(&operated, &[("sockeye_config_reload_failures_total", 1.0)]).await;
}
