//! `sockeye connect` as a process: pipes, exit statuses and signals. What a terminal shows is in
//! `connect/terminal.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share fail the test in which they fail"
)]

#[cfg(target_os = "linux")]
mod apart;
#[cfg(target_os = "linux")]
#[path = "connect/names.rs"]
mod names;
mod scratch;
#[path = "connect/support.rs"]
mod support;
#[cfg(target_os = "linux")]
#[path = "connect/terminal.rs"]
mod terminal;

use std::process::Stdio;
use std::time::{Duration, Instant};

use scratch::Scratch;
use sockeye::CloseCode;
use support::{HOSTILE, PATIENCE, TestServer, command, finish, read_line, run, run_command};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::time::timeout;

// CMD-001
#[tokio::test]
async fn help_succeeds_and_wrong_flags_are_usage_errors() {
    let help = run(&["--help"], b"").await;
    assert_eq!(help.code, Some(0));
    assert!(help.text().contains("Exit status:"), "{}", help.text());
    let mut version = tokio::process::Command::new(env!("CARGO_BIN_EXE_sockeye"));
    let version = version.arg("--version").output().await.unwrap();
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(version.stdout, concat!("sockeye ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    for args in [&[][..], &["--nonsense", "localhost"], &["localhost", "-H"], &["a", "b"]] {
        let ended = run(args, b"").await;
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?}");
    }
}

// CMD-002
#[tokio::test]
async fn a_wrong_url_or_header_exits_with_2() {
    for url in ["ftp://localhost", "ws://", "ws://h:0", "ws://a b/", "ws://localhost/#x"] {
        run(&[url], b"").await.fails_with(2);
    }
    run(&["ws://localhost", "-H", "no colon"], b"").await.fails_with(2);
    run(&["ws://localhost", "-H", "Upgrade: other"], b"").await.fails_with(2);
    run(&["ws://localhost", "--cacert", "/nonexistent.pem"], b"").await.fails_with(2);
}

// CMD-002
#[tokio::test]
async fn a_refused_connection_exits_with_3() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ended = run(&[&address], b"").await;
    assert!(ended.fails_with(3).contains(&address));
    run(&["ws://name.invalid"], b"").await.fails_with(3);
}

// CMD-002
#[tokio::test]
async fn a_server_that_does_not_answer_exits_with_4() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ended = run(&["--connect-timeout", "0.2", &address], b"").await;
    assert!(ended.fails_with(4).contains("--connect-timeout"));
}

// CMD-002, CMD-019, TLS-003
#[tokio::test]
async fn a_certificate_that_is_not_trusted_exits_with_5_unless_told_to_trust_it() {
    let scratch = Scratch::new("tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = scratch.write("cert.pem", &made.cert.pem());
    let key = scratch.write("key.pem", &made.signing_key.serialize_pem());
    let tls = sockeye::tls::ServerTls::from_pem_files(&certificate, &key).unwrap();
    let server = TestServer::with(|server| server.tls(tls)).await;
    let url = format!("wss://localhost:{}/", server.address.port());

    run(&[&url], b"").await.fails_with(5);

    let trusted = run(&["--cacert", &certificate, "-1", &url], b"hi\n").await;
    assert_eq!((trusted.code, trusted.text()), (Some(0), "hi\n"));
    assert_eq!(trusted.stderr, "");

    for quiet in [&["-k", "-1", &url][..], &["-q", "--insecure", "-1", &url]] {
        let insecure = run(quiet, b"hi\n").await;
        assert_eq!((insecure.code, insecure.text()), (Some(0), "hi\n"));
        // At the start, and of the connection.
        let warnings =
            insecure.stderr.lines().filter(|line| line.starts_with("warning: --insecure"));
        assert_eq!((warnings.count(), insecure.stderr.lines().count()), (2, 2), "{insecure:?}");
    }
}

// CMD-002
#[tokio::test]
async fn an_http_refusal_exits_with_6_and_says_the_status() {
    let server = TestServer::start().await;
    let ended = run(&[&server.url("/nowhere")], b"").await;
    assert!(ended.fails_with(6).contains("404"));
    let shown = run(&["-v", &server.url("/nowhere")], b"").await;
    assert_eq!(shown.code, Some(6));
    assert!(shown.stderr.contains("\n< content-length: "), "{shown:?}");
}

// CMD-002
#[tokio::test]
async fn a_server_that_breaks_the_protocol_exits_with_7() {
    let ended = run(&[&speak_garbage(b"SSH-2.0-OpenSSH\r\n\r\n").await], b"").await;
    ended.fails_with(7);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = async {
        let mut tcp = accept_raw(&listener).await;
        // A frame of the reserved opcode 3.
        tcp.write_all(&[0x83, 0]).await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await
    };
    let args = ["-n", &address];
    let (ended, _) = tokio::join!(run(&args, b""), serving);
    ended.fails_with(7);
    let server = TestServer::start().await;
    let ended = run(&["--max-message", "5", &server.url("/close/1000")], b"").await;
    assert!(ended.fails_with(7).contains("--max-message"));
}

// CMD-003
#[tokio::test]
async fn at_the_inputs_end_replies_are_printed_and_the_close_is_normal() {
    let mut server = TestServer::start().await;
    let started = Instant::now();
    let ended = run(&[&server.url("/")], "one\n\nzwei ä\nlast".as_bytes()).await;
    assert_eq!((ended.code, ended.text()), (Some(0), "one\n\nzwei ä\nlast\n"));
    assert_eq!(ended.stderr, "");
    let end = server.end().await;
    assert!(end.clean && end.code == CloseCode::NORMAL, "{end:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

// CMD-003
#[tokio::test]
async fn a_server_that_never_pauses_is_closed_all_the_same() {
    let server = TestServer::start().await;
    let ended = run(&["--wait", "0.01", &server.url("/many")], b"").await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert!(ended.text().starts_with("message 0\n"));
}

// CMD-003
#[tokio::test]
async fn a_server_that_never_answers_the_close_delays_the_end_by_the_close_timeout_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = async {
        let mut tcp = accept_raw(&listener).await;
        // Answers the ping, so that the input counts as read, and nothing else.
        let ping = read_frame(&mut tcp).await;
        assert_eq!(ping.0, 9);
        tcp.write_all(&[&[0x8a, 8][..], &ping.1].concat()).await.unwrap();
        let close = read_frame(&mut tcp).await;
        assert_eq!(close, (8, 1000_u16.to_be_bytes().to_vec()));
        let started = Instant::now();
        tcp.read_to_end(&mut Vec::new()).await.unwrap();
        started.elapsed()
    };
    let args = ["--wait", "0", &address];
    let (ended, waited) = tokio::join!(run(&args, b""), serving);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
}

#[tokio::test]
async fn a_large_input_comes_back_whole_in_order() {
    let server = TestServer::start().await;
    let input: String = (0..50_000).map(|number| format!("line number {number}\n")).collect();
    let ended = run(&[&server.url("/")], input.as_bytes()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.text() == input, "{} of {} bytes", ended.stdout.len(), input.len());
}

// CMD-004
#[tokio::test]
async fn input_that_is_no_text_is_refused_with_its_offset_or_sent_as_bytes() {
    let mut server = TestServer::start().await;
    let url = server.url("/");
    for (input, what) in
        [(&b"ok\nab\xFFcd\n"[..], "offset 5 is not UTF-8"), (b"ok\na\0\n", "offset 4 is NUL")]
    {
        let ended = run(&[&url], input).await;
        assert!(ended.fails_with(1).contains(what), "{ended:?}");
        assert!(ended.fails_with(1).contains("--binary"), "{ended:?}");
        assert!(!ended.text().contains('\u{fffd}'));
        assert_eq!(server.end().await.code, CloseCode::NORMAL);
        let bytes = run(&["--binary", &url], input).await;
        assert_eq!((bytes.code, &bytes.stdout[..]), (Some(0), input));
        server.end().await;
    }
    let nul = run(&["-0", &url], b"two\nlines\0second").await;
    assert_eq!((nul.code, nul.text()), (Some(0), "two\nlines\0second\0"));
}

// CMD-005
#[tokio::test]
async fn a_line_of_100_mb_is_refused_in_bounded_memory() {
    let mut server = TestServer::start().await;
    let mut child = command(&[&server.url("/")]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        timeout(PATIENCE, stdin.write_all(&block)).await.unwrap().unwrap();
    }
    let held = peak_memory(&child);
    assert!(held < 64 << 20, "{held} bytes held for the longest line");
    let mut fed = 16;
    while fed < 100 && stdin.write_all(&block).await.is_ok() {
        fed += 1;
    }
    assert!(fed < 100, "the rest is not read");
    drop(stdin);
    let ended = finish(child).await;
    assert!(ended.fails_with(1).contains("line 1 of standard input is longer"), "{ended:?}");
    assert!(ended.fails_with(1).contains("--max-message"), "{ended:?}");
    assert_eq!(server.end().await.code, CloseCode::NORMAL);
}

// CMD-006
#[tokio::test]
async fn a_closed_output_ends_the_run_in_silence() {
    let server = TestServer::start().await;
    let mut child = command(&["-n", &server.url("/many")]).spawn().unwrap();
    let _stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout).await, "message 0");
    drop(stdout);
    let ended = finish(child).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

// CMD-006
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_output_is_noticed_while_the_server_is_silent() {
    let mut server = TestServer::start().await;
    let mut child = command(&["-m", "hi", &server.url("/")]).spawn().unwrap();
    let _stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout).await, "hi");
    drop(stdout);
    let ended = finish(child).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(server.end().await.code, CloseCode::AWAY);
}

// CMD-007
#[tokio::test]
async fn a_blocked_output_holds_the_server_back_in_bounded_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut child = command(&["-n", &address]).spawn().unwrap();
    let _stdin = child.stdin.take();
    let mut tcp = accept_raw(&listener).await;
    // A text message of 64 KiB.
    let mut frame = vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0];
    frame.resize(frame.len() + 65_536, b'x');
    let mut frames = 0;
    while timeout(Duration::from_secs(2), tcp.write_all(&frame)).await.is_ok() {
        frames += 1;
        assert!(frames < 4096, "the server is never held back");
    }
    let held = peak_memory(&child);
    assert!(held < 64 << 20, "{held} bytes held");
    // Once read, it goes on.
    let mut stdout = child.stdout.take().unwrap();
    let mut read = vec![0; frames * 65_537];
    timeout(PATIENCE, stdout.read_exact(&mut read)).await.unwrap().unwrap();
    child.kill().await.unwrap();
}

// CMD-007
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_read_late_neither_loses_replies_nor_the_server() {
    let server = TestServer::with(|server| {
        // The server is patient, so that the client's own time-outs are what is tested.
        let mut config = sockeye::Config::server();
        config.keepalive = None;
        server.config(config)
    })
    .await;
    let mut child = command(&["--ping", "1", &server.url("/")]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than pipes and sockets hold.
    let input: String = (0..1_000_000).map(|number| format!("line number {number}\n")).collect();
    let expected = input.len();
    let feeding = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    // Longer than a server may be silent: a ping after 1 s, and 10 s for its answer.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert!(!feeding.is_finished(), "the input is held back");
    let ended = finish(child).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(ended.stdout.len(), expected);
}

// CMD-008
#[tokio::test]
async fn into_a_pipe_messages_go_as_they_are() {
    let server = TestServer::start().await;
    let hostile = run(&["-1", &server.url("/hostile")], b"").await;
    assert_eq!((hostile.code, hostile.text()), (Some(0), &*format!("{HOSTILE}\n")));
    let bytes = run(&["-1", &server.url("/bytes")], b"").await;
    assert_eq!((bytes.code, &bytes.stdout[..]), (Some(0), &b"\x00\xff\x1b[2J\n"[..]));
}

// CMD-009
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_closes_with_1001_and_exits_with_130() {
    let mut server = TestServer::start().await;
    let mut child = command(&["-m", "hi", &server.url("/")]).spawn().unwrap();
    let _stdin = child.stdin.take();
    assert_eq!(read_line(child.stdout.as_mut().unwrap()).await, "hi");
    interrupt(&child);
    let end = server.end().await;
    assert!(end.clean && end.code == CloseCode::AWAY, "{end:?}");
    let ended = finish(child).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(130), ""));
}

// CMD-009
#[cfg(unix)]
#[tokio::test]
async fn a_second_ctrl_c_does_not_wait_for_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut child = command(&["-n", &address]).spawn().unwrap();
    let _stdin = child.stdin.take();
    let mut tcp = accept_raw(&listener).await;
    tcp.write_all(b"\x81\x02hi").await.unwrap();
    assert_eq!(read_line(child.stdout.as_mut().unwrap()).await, "hi");
    interrupt(&child);
    assert_eq!(read_frame(&mut tcp).await, (8, 1001_u16.to_be_bytes().to_vec()));
    let started = Instant::now();
    interrupt(&child);
    assert_eq!(finish(child).await.code, Some(130));
    assert!(started.elapsed() < Duration::from_secs(3), "the close time-out is 5 s");
}

// CMD-009
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_a_run_whose_output_nobody_reads() {
    let server = TestServer::start().await;
    let mut child = command(&["-n", &server.url("/many")]).spawn().unwrap();
    let _stdin = child.stdin.take();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout).await, "message 0");
    interrupt(&child);
    assert_eq!(finish(child).await.code, Some(130));
    drop(stdout);
}

// CMD-009
#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_an_attempt_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let child = command(&[&address]).spawn().unwrap();
    let (_tcp, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    interrupt(&child);
    assert_eq!(finish(child).await.code, Some(130));
}

// CMD-010
#[tokio::test]
async fn a_close_code_other_than_1000_is_printed_and_can_be_made_a_failure() {
    let server = TestServer::start().await;
    for code in [1001, 1011, 4000] {
        let url = server.url(&format!("/close/{code}"));
        let ended = run(&["-n", &url], b"").await;
        assert_eq!((ended.code, ended.text()), (Some(0), "last words\n"));
        let line = format!("closed code={code} reason=why \\x1b[31mnot\n");
        assert_eq!(ended.stderr, line);
        let failed = run(&["-n", "--fail-on-close", &url], b"").await;
        assert_eq!((failed.code, &*failed.stderr), (Some(1), &*line));
        let quiet = run(&["-nq", &url], b"").await;
        assert_eq!((quiet.code, &*quiet.stderr), (Some(0), ""));
    }
    let normal = run(&["-n", "--fail-on-close", &server.url("/close/1000")], b"").await;
    assert_eq!((normal.code, &*normal.stderr), (Some(0), ""));
}

#[tokio::test]
async fn a_connection_lost_without_a_close_frame_is_a_failure() {
    let server = TestServer::start().await;
    let ended = run(&["-n", &server.url("/vanish")], b"").await;
    assert_eq!(ended.text(), "last words\n");
    ended.fails_with(1);
}

// CMD-018
#[tokio::test]
async fn secrets_may_stand_in_files_and_are_never_shown() {
    let mut server = TestServer::start().await;
    let scratch = Scratch::new("secrets");
    let file = scratch.write("headers", "Authorization: Basic s3cret\n\nX-Other: 1\n");
    let flag = format!("@{file}");
    let ended = run(&["-v", "-1", "-H", &flag, &server.url("/?token=s3cret")], b"hi\n").await;
    assert_eq!((ended.code, ended.text()), (Some(0), "hi\n"));
    let request = server.request().await;
    assert_eq!(request.header("authorization"), Some("Basic s3cret"));
    assert_eq!(request.header("x-other"), Some("1"));
    assert!(ended.stderr.contains("connected"), "{ended:?}");
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");

    let mut from_environment = command(&["-v", "-1", &server.url("/")]);
    from_environment.env("SOCKEYE_BEARER", "s3cret");
    let ended = run_command(from_environment, b"hi\n").await;
    assert_eq!(server.request().await.header("authorization"), Some("Bearer s3cret"));
    assert!(!ended.stderr.contains("s3cret"), "{ended:?}");

    let mut help = command(&["--help"]);
    help.env("SOCKEYE_BEARER", "s3cret");
    assert!(!run_command(help, b"").await.text().contains("s3cret"));

    for args in [
        &["ws://user:s3cret@localhost/"][..],
        &["localhost", "-H", "Authorization s3cret"],
        &["localhost", "-H", "Authorization: s3cret\n"],
        &["localhost", "-H", "Bad Name: s3cret"],
        &["localhost:1", "--bearer", "s3cret"],
    ] {
        let ended = run(args, b"").await;
        assert_ne!(ended.code, Some(0));
        assert!(!ended.stderr.contains("s3cret"), "{args:?}: {ended:?}");
    }
}

#[tokio::test]
async fn the_request_says_what_the_flags_say() {
    let mut server = TestServer::with(|server| server.origins(sockeye::Origins::Any)).await;
    let url = server.address.to_string();
    let args =
        ["-o", "https://example.com", "--protocol", "chat.v1", "-H", "X-A: 1", "-H", "X-B: 2"];
    let ended = run(&[&args[..], &["--deflate", "-v", "-1", "-m", "hi", &url]].concat(), b"").await;
    assert_eq!((ended.code, ended.text()), (Some(0), "hi\n"));
    assert!(ended.stderr.contains("subprotocol chat.v1"), "{ended:?}");
    assert!(ended.stderr.contains("< HTTP/1.1 101 Switching Protocols\n"), "{ended:?}");
    assert!(ended.stderr.contains("< sec-websocket-protocol: chat.v1\n"), "{ended:?}");
    let request = server.request().await;
    assert_eq!(request.header("origin"), Some("https://example.com"));
    assert_eq!(request.header("x-a"), Some("1"));
    assert_eq!(request.header("x-b"), Some("2"));
    assert!(request.header("sec-websocket-extensions").unwrap().starts_with("permessage-deflate"));
}

#[tokio::test]
async fn one_prints_one_message_and_fails_without_any() {
    let server = TestServer::start().await;
    let ended = run(&["-1", "-m", "a", "-m", "b", &server.url("/")], b"c\n").await;
    assert_eq!((ended.code, ended.text()), (Some(0), "a\n"));
    let ended = run(&["--once", "--wait", "0.1", &server.url("/")], b"").await;
    assert!(ended.fails_with(4).contains("no message"));
    let silent = TestServer::with(|server| server.route("/silent", |_, _| async { Ok(()) })).await;
    run(&["-1", &silent.url("/silent")], b"").await.fails_with(1);
}

#[tokio::test]
async fn nothing_panics_when_standard_error_is_closed() {
    let mut refused = command(&["ws://"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    refused.stderr(Stdio::from(writer));
    assert_eq!(run_command(refused, b"").await.code, Some(2));
}

/// Sends a signal as Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &Child) {
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// Returns the most memory that the child has held, in bytes; zero where that cannot be told.
fn peak_memory(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024)
}

/// Answers one connection with bytes that are no HTTP; returns the address.
async fn speak_garbage(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        tcp.read_to_end(&mut Vec::new()).await
    });
    address
}

/// Accepts a WebSocket and returns its transport, on which the test speaks itself.
async fn accept_raw(listener: &TcpListener) -> TcpStream {
    let (tcp, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let (tcp, rest) = sockeye::accept(tcp).await.unwrap().0.into_inner().unwrap();
    assert!(rest.is_empty());
    tcp
}

/// Reads a short masked frame; returns its opcode and payload.
async fn read_frame(tcp: &mut TcpStream) -> (u8, Vec<u8>) {
    let reading = async {
        let mut head = [0; 6];
        tcp.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        tcp.read_exact(&mut payload).await.unwrap();
        for (index, byte) in payload.iter_mut().enumerate() {
            *byte ^= head[2 + index % 4];
        }
        (head[0] & 0xf, payload)
    };
    timeout(PATIENCE, reading).await.expect("a frame comes")
}
