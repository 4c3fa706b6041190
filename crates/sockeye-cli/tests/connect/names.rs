//! Names of hosts, asked of a name server that answers as a test wants.

use std::net::UdpSocket;
use std::time::Duration;

use sockeye::{Client, ErrorKind, WebSocket};

use crate::apart::{is_apart, system};
use crate::scratch::Scratch;

// HSC-027
#[test]
fn names_without_an_address_are_errors_of_their_kind_and_a_silent_resolver_holds_nothing_up() {
    const NAME: &str = "names::names_without_an_address_are_errors_of_their_kind_and_a_silent_resolver_holds_nothing_up";
    if !is_apart(NAME, &["--net", "--mount"]) {
        return;
    }
    let _files = ask_only_here();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert_eq!(connect("unknown").await.unwrap_err().kind(), ErrorKind::Dns);
        assert_eq!(connect("empty").await.unwrap_err().kind(), ErrorKind::Dns);
        // Others resolve, and time-outs end the wait, on the one thread that there is.
        let silent = connect("silent");
        tokio::pin!(silent);
        tokio::select! {
            biased;
            _ = &mut silent => panic!("nobody has answered"),
            known = connect("known") => assert_eq!(known.unwrap_err().kind(), ErrorKind::Connect),
        }
        assert_eq!(silent.await.unwrap_err().kind(), ErrorKind::Timeout);
    });
    // The system's resolver still waits, on a thread of its own.
    runtime.shutdown_background();
}

async fn connect(label: &str) -> sockeye::Result<WebSocket> {
    let client = Client::builder().connect_timeout(Duration::from_secs(3)).build();
    client.request(&format!("ws://{label}.test:9/")).await
}

/// Has the system ask nobody but a name server on this machine.
fn ask_only_here() -> Scratch {
    let scratch = Scratch::new("names");
    let resolver = "nameserver 127.0.0.1\nsearch .\noptions timeout:30 attempts:1\n";
    for (name, content) in [("resolv.conf", resolver), ("nsswitch.conf", "hosts: dns\n")] {
        let file = scratch.write(name, content);
        system("mount", &["--bind", &file, &format!("/etc/{name}")]);
    }
    system("ip", &["link", "set", "lo", "up"]);
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    scratch
}

/// Answers a question (RFC 1035 section 4) as the first label of its name asks for.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let label = &query[13..13 + usize::from(query[12])];
    let question = &query[12..];
    let asks_for_a = question.ends_with(&[0, 1, 0, 1]);
    let (code, count) = match label {
        b"known" => (0, u8::from(asks_for_a)),
        b"empty" => (0, 0),
        b"unknown" => (3, 0),
        _ => return None,
    };
    let mut answer =
        [&query[..2], &[0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0], question].concat();
    if count > 0 {
        answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x7f\0\0\x01");
    }
    Some(answer)
}
