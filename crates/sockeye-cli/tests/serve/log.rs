//! The log on standard error: what is told, in which form, and that it never holds up serving.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use sockeye::{CloseCode, Message};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::ChildStderr;
use tokio::time::timeout;

use crate::command::certificate;
use crate::scratch::Scratch;
use crate::support::{CLOSE, PATIENCE, Raw, Served, TEXT, handshake, receive, run, tells_of_panic};

/// A server and its log.
struct Logged {
    served: Served,
    stderr: BufReader<ChildStderr>,
}

impl Logged {
    async fn start(args: &[&str]) -> Self {
        let mut served = Served::start(args).await;
        let stderr = served.take_stderr();
        Self { served, stderr }
    }

    /// Returns the next line that is not of the server's own life.
    async fn line(&mut self) -> String {
        loop {
            let mut line = Vec::new();
            let reading = self.stderr.read_until(b'\n', &mut line);
            timeout(PATIENCE, reading).await.expect("a line comes").unwrap();
            let line = String::from_utf8(line).unwrap();
            assert!(!tells_of_panic(&line), "{line}");
            if !OF_THE_SERVER.iter().any(|event| line.contains(event)) {
                return line;
            }
        }
    }

    /// Returns what was logged up to now, a line for each event. Requests are answered after they are
    /// logged, so that one more marks the end.
    async fn so_far(&mut self) -> Vec<String> {
        assert!(self.served.ask(&handshake("/the-end")).await.starts_with("HTTP/1.1 404 "));
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if line.contains("/the-end") {
                return lines;
            }
            lines.push(line);
        }
    }

    /// Sends bytes and returns all of the answer, and the address they came from.
    async fn send(&self, ip: &str, bytes: &[u8]) -> (String, String) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        let tcp = socket.connect(self.served.address).await.unwrap();
        let peer = tcp.local_addr().unwrap().to_string();
        let mut raw = Raw::new(tcp);
        raw.write(bytes).await;
        (String::from_utf8(raw.rest().await).unwrap(), peer)
    }

    async fn opened(&self) -> (Raw, String) {
        let raw = self.served.open("/echo").await;
        let peer = raw.io.local_addr().unwrap().to_string();
        (raw, peer)
    }
}

/// Events that are told of every server, or of every client.
const OF_THE_SERVER: [&str; 3] = ["server.started", "drain.", "client."];

/// Whether a line of text tells of this event: its second word is the level, its third the name.
fn is(line: &str, level: &str, event: &str) -> bool {
    let mut words = line.split_whitespace().skip(1);
    words.next() == Some(level) && words.next() == Some(event)
}

fn assert_refused(answer: &str, status: u16) {
    let lower = answer.to_ascii_lowercase();
    assert!(lower.starts_with(&format!("http/1.1 {status} ")), "{answer}");
    assert_eq!(lower.matches("http/1.1 ").count(), 1, "{answer}");
    let (head, body) = lower.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}", body.len());
    let fields =
        ["connection: close", "content-type: text/plain", "x-content-type-options: nosniff"];
    for field in [fields.as_slice(), &[length.as_str()]].concat() {
        assert!(head.lines().any(|line| line.starts_with(field)), "{field}: {answer}");
    }
    assert!(!body.is_empty(), "{answer}");
}

/// The start of a TLS handshake as browsers send it.
fn client_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.resize(517, 0x5a);
    hello
}

// HSS-079
#[cfg(target_os = "linux")]
#[tokio::test]
async fn tls_on_a_plain_port_is_answered_400_and_logged_once_a_minute_for_each_peer() {
    for name in ["serve", "echo"] {
        let mut logged = Logged::start(&[name]).await;
        let mut peers = Vec::new();
        for ip in ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"] {
            let (answer, peer) = logged.send(ip, &client_hello()).await;
            assert_refused(&answer, 400);
            peers.push(peer);
        }
        // Every path of `echo` is a WebSocket, so its end of the log is marked by a wrong request.
        let end = handshake("/the-end").replace("Version: 13", "Version: 7");
        logged.send("127.0.0.1", end.as_bytes()).await;
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains("/the-end")) {
            lines.push(logged.line().await);
        }
        let hellos: Vec<_> =
            lines.iter().filter(|line| is(line, "INFO", "tls_on_plain_port")).collect();
        assert_eq!(hellos.len(), 2, "{lines:?}");
        for (line, peer) in hellos.iter().zip([&peers[0], &peers[2]]) {
            assert!(line.ends_with(&format!(" peer={peer}\n")), "{line}");
        }
        let refused = |line: &&String| {
            is(line, "INFO", "handshake.rejected") && line.contains("status=400 reason=tls_on")
        };
        assert_eq!(lines.iter().filter(refused).count(), 5, "{lines:?}");
    }
}

// TLS-017
#[tokio::test]
async fn plain_http_on_a_tls_port_is_closed_and_logged() {
    let scratch = Scratch::new("http-on-tls");
    let (certificate, key) = certificate();
    let certificate = scratch.write("certificate.pem", &certificate);
    let key = scratch.write("key.pem", &key);
    let args = ["serve", "--tls-cert", &certificate, "--tls-key", &key];
    let mut logged = Logged::start(&args).await;
    let mut raw = logged.served.raw().await;
    let peer = raw.io.local_addr().unwrap();
    raw.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = raw.rest().await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let line = logged.line().await;
    assert!(line.ends_with(&format!(" INFO http_on_tls_port peer={peer}\n")), "{line}");
}

/// Requests that would forge lines, command the terminal that shows the log, or reorder it; with what
/// stands in the log of each.
fn hostile() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let request = |target: &[u8], headers: &[u8]| {
        let good = handshake("/nothing").replace("/nothing", "TARGET").replace("\r\n\r\n", "\r\n");
        let (before, behind) = good.split_once("TARGET").unwrap();
        [before.as_bytes(), target, behind.as_bytes(), headers, b"\r\n\r\n"].concat()
    };
    let ok = b"/nothing".as_slice();
    vec![
        (request(b"/p\x1b[2J\x9b31m", b"A: b"), "path", r"/p\x1b[2J\x9b31m"),
        (request(b"/p\n2026-01-01T00:00:00Z", b"A: b"), "path", "/p"),
        (request(b"/p%0a%1b%9b\"\\=", b"A: b"), "path", r#"/p%0a%1b%9b"\\="#),
        (request("/\u{202e}\u{9b}".as_bytes(), b"A: b"), "path", r"/\xe2\x80\xae\xc2\x9b"),
        (request(ok, b"User-Agent: u\x1b]0;t\x07"), "user_agent", r"u\x1b]0;t\x07"),
        (
            request(ok, b"User-Agent: u\xff\x9b\" status=101"),
            "user_agent",
            r#"u\xff\x9b" status=101"#,
        ),
        (request(ok, b"User-Agent: u\rv\n2026 INFO forged"), "user_agent", r"u\rv"),
        (request(ok, b"Origin: http://o\x1b[1A\x7f"), "origin", r"http://o\x1b[1A\x7f"),
        (request(ok, b"Origin: http://o\xe2\x80\xae\x85"), "origin", r"http://o\xe2\x80\xae\x85"),
        (request(ok, b"Origin: http://o\n{\"level\":\"error\"}"), "origin", "http://o"),
    ]
}

// HSS-085
#[tokio::test]
async fn what_clients_send_is_escaped_and_an_event_stays_on_one_line_of_json() {
    for (line, answer, peer, field, expected) in refused_in("json").await {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["event"], "handshake.rejected");
        assert_eq!(event["level"], "info");
        assert_eq!(event["status"].to_string(), answer[9..12]);
        assert_eq!(event["peer"], peer);
        assert_eq!(event[field], expected, "{event}");
    }
}

// HSS-085
#[tokio::test]
async fn what_clients_send_is_escaped_and_an_event_stays_on_one_line_of_text() {
    for (line, answer, peer, field, expected) in refused_in("text").await {
        assert!(is(&line, "INFO", "handshake.rejected"), "{line}");
        assert!(line.contains(&format!(" status={} ", &answer[9..12])), "{line}");
        assert!(line.contains(&format!(" peer={peer} ")), "{line}");
        let quoted = expected.replace('\\', "\\\\").replace('"', "\\\"");
        let shown = match expected.contains(['\\', '"', '=', ' ']) {
            true => format!(" {field}=\"{quoted}\""),
            false => format!(" {field}={expected}"),
        };
        assert!(line.ends_with(&(shown.clone() + "\n")) || line.contains(&(shown + " ")), "{line}");
    }
}

/// Sends what is hostile and returns the line that each is logged as, the answer and the peer.
async fn refused_in(format: &str) -> Vec<(String, String, String, &'static str, &'static str)> {
    let mut logged = Logged::start(&["serve", "--log-format", format]).await;
    let mut sent = Vec::new();
    for (request, field, expected) in hostile() {
        let (answer, peer) = logged.send("127.0.0.1", &request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        sent.push((answer, peer, field, expected));
    }
    let lines = logged.so_far().await;
    assert_eq!(lines.len(), sent.len(), "{lines:?}");
    lines.iter().for_each(|line| assert_visible(line));
    let both = lines.into_iter().zip(sent);
    both.map(|(line, (answer, peer, field, expected))| (line, answer, peer, field, expected))
        .collect()
}

/// Nothing in the line can do more than be read.
fn assert_visible(line: &str) {
    let line = line.strip_suffix('\n').unwrap();
    assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
}

#[tokio::test]
async fn a_long_value_is_cut_and_a_query_is_left_out() {
    let mut logged = Logged::start(&["serve"]).await;
    let path = format!("/{}?token=secret", "a".repeat(4000));
    logged.served.ask(&handshake(&path)).await;
    let lines = logged.so_far().await;
    let expected = format!(" path=/{}...\n", "a".repeat(255));
    assert!(lines[0].ends_with(&expected), "{lines:?}");
    assert!(!lines.concat().contains("secret"), "{lines:?}");
}

#[tokio::test]
async fn a_refused_upgrade_behind_a_page_is_logged_as_what_it_is() {
    let mut logged = Logged::start(&["serve"]).await;
    let mut raw = logged.served.raw().await;
    let peer = raw.io.local_addr().unwrap();
    raw.write(b"GET /chat HTTP/1.1\r\nHost: localhost\r\nUser-Agent: first\r\n\r\n").await;
    assert!(raw.response().await.starts_with("HTTP/1.1 200 "));
    raw.write(handshake("/nothing").as_bytes()).await;
    assert!(raw.response().await.starts_with("HTTP/1.1 404 "));
    let line = logged.line().await;
    let expected =
        format!(" handshake.rejected status=404 reason=path peer={peer} path=/nothing\n");
    assert!(line.ends_with(&expected), "{line}");
}

#[tokio::test]
async fn a_connection_that_fails_is_logged_once() {
    let mut logged = Logged::start(&["serve"]).await;
    let (mut failing, peer) = logged.opened().await;
    failing.send(0x83, b"reserved").await;
    assert_eq!(failing.frame().await.unwrap().close_code(), Some(1002));
    assert_eq!(failing.frame().await, None);
    let lines = logged.so_far().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = format!(" INFO ws.failed code=1002 reason=\"reserved opcode 3\" peer={peer}\n");
    assert!(lines[0].ends_with(&expected), "{lines:?}");
}

#[tokio::test]
async fn a_client_that_resets_is_told_at_level_debug_only() {
    let mut logged = Logged::start(&["serve", "--log", "debug"]).await;
    let (mut leaving, peer) = logged.opened().await;
    leaving.send(0x80 | TEXT, b"there").await;
    leaving.frame().await.unwrap();
    leaving.io.set_zero_linger().unwrap();
    drop(leaving);
    assert!(is(&logged.line().await, "DEBUG", "ws.opened"));
    let line = logged.line().await;
    assert!(is(&line, "DEBUG", "ws.closed"), "{line}");
    assert!(line.contains(" code=1006 "), "{line}");
    assert!(line.ends_with(&format!(" peer={peer}\n")), "{line}");
}

#[tokio::test]
async fn at_level_debug_a_connection_s_beginning_and_end_are_told() {
    let mut logged = Logged::start(&["serve", "--log", "debug"]).await;
    let (mut raw, peer) = logged.opened().await;
    assert!(logged.line().await.ends_with(&format!(" DEBUG ws.opened peer={peer}\n")));
    raw.send(0x80 | CLOSE, b"\x03\xe8\x1b[2Jbye\xe2\x80\xae").await;
    let expected = format!(
        " DEBUG ws.closed code=1000 reason=\"\\\\x1b[2Jbye\\\\xe2\\\\x80\\\\xae\" clean=true by=remote peer={peer}\n"
    );
    let line = logged.line().await;
    assert!(line.ends_with(&expected), "{line} {expected}");
}

#[tokio::test]
async fn levels_and_forms_are_chosen_by_flags_and_environment() {
    for (args, variable, expected) in [
        (&["serve", "--log", "off"][..], "debug", ""),
        (&["serve", "--log", "error"], "debug", ""),
        (&["serve", "--log", "warn"], "debug", ""),
        (&["serve"], "off", ""),
        (&["serve"], "info", "handshake.rejected"),
        (
            &["serve", "--log", "trace", "--log-format", "json"],
            "off",
            "\"event\":\"handshake.rejected\"",
        ),
    ] {
        let mut command = crate::support::command(args);
        command.args(["--listen", "127.0.0.1:0"]).env("SOCKEYE_LOG", variable);
        let served = Served::spawn(&mut command).await;
        served.ask(&handshake("/nothing")).await;
        served.signal(Signal::TERM);
        let ended = served.end().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?} {ended:?}");
        assert_eq!(ended.stderr.is_empty(), expected.is_empty(), "{args:?} {ended:?}");
    }
    for args in [["serve", "--log", "loud"], ["echo", "--log-format", "xml"]] {
        assert_eq!(run(&args).await.code, Some(2), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_out_of_descriptors_says_so_and_goes_on_when_it_has_some() {
    let mut shell = tokio::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_sockeye");
    let line = format!("ulimit -n 24; exec '{binary}' serve --listen 127.0.0.1:0");
    shell.args(["-c", &line]).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut served = Served::spawn(&mut shell).await;
    let stderr = served.take_stderr();
    let mut logged = Logged { served, stderr };
    let mut waiting = Vec::new();
    for _ in 0..24 {
        waiting.push(logged.served.raw().await);
    }
    let line = logged.line().await;
    assert!(is(&line, "ERROR", "accept.error"), "{line}");
    assert!(line.contains(" error=\"Too many open files"), "{line}");
    drop(waiting);
    logged.served.open("/echo").await;
}

#[tokio::test]
async fn a_log_that_is_closed_stops_nobody() {
    let Logged { served, stderr } = Logged::start(&["serve", "--log", "debug"]).await;
    drop(stderr);
    for _ in 0..20 {
        assert!(served.ask(&handshake("/nothing")).await.starts_with("HTTP/1.1 404 "));
        served.open("/echo").await;
    }
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nobody_and_tells_how_much_is_missing() {
    let mut logged = Logged::start(&["serve", "--log", "debug"]).await;
    // Each opens and closes in one event of some 100 bytes: more than a pipe and the queue hold.
    for _ in 0..1500 {
        let mut ws = logged.served.connect("/echo").await;
        ws.send("hi").await.unwrap();
        assert_eq!(receive(&mut ws).await, Message::from("hi"));
        ws.close(CloseCode::NORMAL, &"r".repeat(100)).await.unwrap();
    }
    let mut lines = 0;
    let told = loop {
        let line = logged.line().await;
        if let Some((_, told)) = line.split_once(" WARN log.dropped n=") {
            break told.trim_end().parse::<u32>().unwrap();
        }
        lines += 1;
        assert!(lines < 3000, "nothing was dropped");
    };
    assert!(told > 0);
    logged.served.signal(Signal::TERM);
    let mut rest = String::new();
    timeout(PATIENCE, logged.stderr.read_to_string(&mut rest)).await.unwrap().unwrap();
    assert_eq!(logged.served.end().await.code, Some(0));
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_log_that_nobody_reads() {
    let Logged { served, stderr } = Logged::start(&["serve", "--log", "debug"]).await;
    for _ in 0..1500 {
        served.connect("/echo").await.close(CloseCode::NORMAL, "").await.unwrap();
    }
    served.signal(Signal::TERM);
    // The other end stays open and full all the while.
    assert_eq!(served.end().await.code, Some(0));
    drop(stderr);
}
