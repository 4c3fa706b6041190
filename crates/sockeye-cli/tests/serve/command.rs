//! The commands themselves: flags, the line that says where, complaints, and what flags change.

use rcgen::{CertificateParams, KeyPair};
use sockeye::tls::Tls;
use sockeye::{Client, Config, DeflateConfig, Message};
use tokio::net::TcpListener;

use crate::scratch::Scratch;
use crate::support::{Served, TEXT, command, handshake, receive, run};

// CMD-001
#[tokio::test]
async fn help_and_version_succeed_and_wrong_usage_exits_with_2() {
    for args in [&["--help"][..], &["--version"], &["serve", "--help"], &["echo", "--help"]] {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(0), "{args:?} {ended:?}");
        assert!(!ended.stdout.is_empty() && ended.stderr.is_empty(), "{args:?} {ended:?}");
    }
    let wrong: [&[&str]; 10] = [
        &[],
        &["nonsense"],
        &["serve", "--nonsense"],
        &["echo", "--nonsense"],
        &["serve", "--listen"],
        &["serve", "--listen", ""],
        &["echo", "--max-message", "many"],
        &["serve", "--tls-cert", "alone.pem"],
        &["serve", "--drain", "-1"],
        &["serve", "--trusted-proxy", "10.0.0.0/33"],
    ];
    for args in wrong {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?} {ended:?}");
    }
}

// CMD-012
#[tokio::test]
async fn port_0_is_replaced_by_the_chosen_one_in_a_line_that_programs_can_read() {
    for name in ["echo", "serve"] {
        let served = Served::start(&[name]).await;
        assert_eq!(served.scheme, "http");
        assert!(served.address.ip().is_loopback());
        assert_ne!(served.address.port(), 0);
        let mut ws = served.connect("/echo").await;
        ws.send("there").await.unwrap();
        assert_eq!(receive(&mut ws).await, Message::from("there"));
    }
}

#[tokio::test]
async fn the_environment_sets_what_flags_do_not() {
    let mut command = command(&["echo"]);
    command.env("SOCKEYE_LISTEN", "127.0.0.1:0").env("SOCKEYE_MAX_MESSAGE", "3");
    let served = Served::spawn(&mut command).await;
    let mut raw = served.open("/").await;
    raw.send(0x80 | TEXT, b"four").await;
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1009));
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_one_line_that_says_what_to_do() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999"] {
        let ended = run(&["serve", "--listen", address]).await;
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.starts_with("--listen: ") && ended.stderr.contains(address));
    }
    for address in ["192.0.2.1:0", &taken] {
        for command in [&["serve", "--allow-anonymous"][..], &["echo"]] {
            let ended = run(&[command, &["--listen", address]].concat()).await;
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert_eq!(ended.stdout, "");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            assert!(ended.stderr.starts_with("sockeye: cannot listen on "), "{ended:?}");
            assert!(ended.stderr.contains(address), "{ended:?}");
            assert!(ended.stderr.contains("--listen HOST:PORT"), "{ended:?}");
        }
    }
    let in_use = run(&["serve", "--listen", &taken]).await;
    assert!(in_use.stderr.contains("in use"), "{in_use:?}");
    drop(holder);
}

#[tokio::test]
async fn tls_files_that_do_not_serve_are_one_line_that_says_what_to_do() {
    let scratch = Scratch::new("bad-tls");
    let (certificate, key) = certificate();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let good = (scratch.write("good.pem", &certificate), scratch.write("good.key", &key));
    let empty = scratch.write("empty.pem", "");
    let cut = scratch.write("cut.pem", &certificate[..certificate.len() / 2]);
    let other = scratch.write("other.key", &other);
    let missing = "/nonexistent/file.pem".to_owned();
    let pairs = [
        (&missing, &good.1),
        (&good.0, &missing),
        (&empty, &good.1),
        (&good.0, &empty),
        (&cut, &good.1),
        (&good.0, &other),
        (&good.1, &good.0),
    ];
    for (certificate, key) in pairs {
        let args = ["--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
        let ended = run(&[&["serve"], &args[..]].concat()).await;
        assert_eq!(ended.code, Some(1), "{args:?} {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{args:?} {ended:?}");
        assert!(ended.stderr.starts_with("sockeye: "), "{ended:?}");
        assert!(ended.stderr.contains("check --tls-cert and --tls-key"), "{ended:?}");
    }
}

/// A certificate for localhost and its key, in PEM.
pub(crate) fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn with_a_certificate_it_serves_https_and_wss() {
    let scratch = Scratch::new("tls");
    let (certificate, key) = certificate();
    let certificate = scratch.write("certificate.pem", &certificate);
    let key = scratch.write("key.pem", &key);
    for (name, path) in [("serve", "/t/secret"), ("echo", "/")] {
        let served = Served::start(&[name, "--tls-cert", &certificate, "--tls-key", &key]).await;
        assert_eq!(served.scheme, "https");
        let client = Client::builder().tls(Tls::with_roots(&certificate).unwrap()).build();
        let url = format!("wss://localhost:{}{path}", served.address.port());
        let mut ws = client.request(&url).await.unwrap();
        ws.send("whispered").await.unwrap();
        assert_eq!(receive(&mut ws).await, Message::from("whispered"));
        assert_ne!(served.ask(&handshake(path)).await.get(..12), Some("HTTP/1.1 101"));
    }
}

#[tokio::test]
async fn it_compresses_only_when_told_to() {
    let offer = handshake("/echo")
        .replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    for name in ["serve", "echo"] {
        for (flags, agreed) in [(&[][..], false), (&["--deflate"], true)] {
            let served = Served::start(&[&[name], flags].concat()).await;
            let mut raw = served.raw().await;
            raw.write(offer.as_bytes()).await;
            let head = raw.head().await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            assert_eq!(head.contains("permessage-deflate"), agreed, "{head}");
            let mut config = Config::client();
            config.deflate = Some(DeflateConfig::default());
            let client = Client::builder().config(config).build();
            let url = format!("ws://{}/echo", served.address);
            let mut ws = client.request(&url).await.unwrap();
            let long = "salmon ".repeat(5_000);
            ws.send(long.as_str()).await.unwrap();
            assert_eq!(receive(&mut ws).await, Message::from(long));
        }
    }
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009_and_one_at_the_limit_does_not() {
    for (name, path) in [("serve", "/t/x"), ("serve", "/echo"), ("echo", "/")] {
        let served = Served::start(&[name, "--max-message", "1000"]).await;
        let mut raw = served.open(path).await;
        raw.send(0x80 | TEXT, &[b'a'; 1000]).await;
        assert_eq!(raw.frame().await.unwrap().payload, [b'a'; 1000]);
        raw.send(0x80 | TEXT, &[b'a'; 1001]).await;
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(1009));
    }
}

/// A message longer than any queue by default is still delivered to those who may send it.
#[tokio::test]
async fn a_raised_limit_makes_room_for_its_messages() {
    let served = Served::start(&["serve", "--max-message", "3000000"]).await;
    let mut config = Config::client();
    config.limits.message = 3_000_000;
    let client = Client::builder().config(config).build();
    let mut ws = client.request(&format!("ws://{}/t/x", served.address)).await.unwrap();
    let long = "a".repeat(3_000_000);
    ws.send(long.as_str()).await.unwrap();
    assert_eq!(receive(&mut ws).await, Message::from(long));
}

#[tokio::test]
async fn pending_handshakes_are_bounded_by_the_address_that_a_trusted_proxy_tells() {
    let flags = ["serve", "--max-pending-per-ip", "1"];
    let served = Served::start(&flags).await;
    let _waiting = served.raw().await;
    assert!(served.raw().await.head().await.starts_with("HTTP/1.1 429 "));
    let trusting = ["--trusted-proxy", "192.0.2.1,127.0.0.0/8"];
    let served = Served::start(&[&flags[..], &trusting].concat()).await;
    let _waiting = served.raw().await;
    served.open("/echo").await;
    let served = Served::start(&[&flags[..], &["--proxy-protocol"]].concat()).await;
    assert_eq!(served.ask(&handshake("/echo")).await, "");
    let mut raw = served.raw().await;
    let line = "PROXY TCP4 198.51.100.7 10.0.0.1 4660 80\r\n";
    raw.write((line.to_owned() + &handshake("/echo")).as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    for name in ["serve", "echo"] {
        let mut shell = tokio::process::Command::new("sh");
        let binary = env!("CARGO_BIN_EXE_sockeye");
        let line = format!("ulimit -Sn 64; exec '{binary}' {name} --listen 127.0.0.1:0");
        shell.args(["-c", &line]).kill_on_drop(true).stdout(std::process::Stdio::piped());
        let served = Served::spawn(&mut shell).await;
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.pid())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let values: Vec<_> = line.split_whitespace().collect();
        assert_eq!(values[3], values[4], "{line}");
        assert_ne!(values[3], "64", "{line}");
    }
}
