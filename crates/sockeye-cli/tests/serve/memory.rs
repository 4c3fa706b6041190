//! How much of the server's memory many clients get, those that want to fill it among them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{BINARY, Raw, Served, handshake, handshake_with, masked};

/// Opens so many connections; this process must be allowed as many files.
async fn open(served: &Served, count: usize, request: &str) -> Vec<Raw> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let mut raw = served.raw().await;
        raw.write(request.as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        all.push(raw);
    }
    all
}

/// Reads from the system how many KiB of memory a process has, `VmRSS` now or `VmHWM` at most so far.
fn kibibytes(served: &Served, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

// FRM-016
#[tokio::test]
async fn declared_length_takes_no_memory_before_its_bytes_come() {
    let served = Served::start(&["echo"]).await;
    let before = kibibytes(&served, "VmRSS");
    let mut all = open(&served, 1000, &handshake("/")).await;
    // The pong tells that what came with its ping has been read.
    let mut bytes = masked(0x80 | PING, b"read");
    bytes.extend([0x80 | BINARY, 0x80 | 127]);
    bytes.extend((1_u64 << 20).to_be_bytes());
    bytes.extend([0x37, 0xfa, 0x21, 0x3d, b'x']);
    for raw in &mut all {
        raw.write(&bytes).await;
    }
    for raw in &mut all {
        assert_eq!(raw.frame().await.expect("it is open").opcode(), PONG);
    }
    let grown = kibibytes(&served, "VmRSS") - before;
    assert!(grown <= 64 * all.len(), "{grown} KiB");
}

// DFL-009
#[tokio::test]
async fn thousand_bombs_at_once_are_refused_in_a_quarter_of_a_gigabyte() {
    let served = Served::start(&["echo", "--deflate"]).await;
    let mut all = open(&served, 1000, &handshake_with("/", &[OFFER])).await;
    let bytes = masked(0xc0 | BINARY, &bomb(4 << 20));
    assert!(bytes.len() < 32 << 10, "it leaves in one write");
    for raw in &mut all {
        raw.write(&bytes).await;
    }
    for raw in &mut all {
        assert_eq!(raw.frame().await.expect("it says why").close_code(), Some(1009));
    }
    let most = kibibytes(&served, "VmHWM");
    assert!(most <= 256 << 10, "{most} KiB");
}

/// Returns how many bytes each of so many idle connections takes, once it has sent and got a message.
async fn idle(count: usize, request: &str, message: &[u8]) -> usize {
    let served = Served::start(&["echo", "--deflate"]).await;
    let before = kibibytes(&served, "VmRSS");
    let mut all = open(&served, count, request).await;
    for raw in &mut all {
        raw.write(message).await;
        let echo = raw.frame().await.expect("it is open");
        // The one bit that compression has.
        assert_eq!(echo.first & 0x40, message[0] & 0x40);
    }
    (kibibytes(&served, "VmRSS") - before) * 1024 / count
}

#[tokio::test]
async fn idle_connection_that_compresses_takes_at_most_a_kibibyte_more() {
    let plain = masked(0x80 | BINARY, &[0; 2048]);
    let plain = idle(10_000, &handshake("/"), &plain).await;
    let packed = masked(0xc0 | BINARY, &bomb(2048));
    let packed = idle(10_000, &handshake_with("/", &[OFFER]), &packed).await;
    assert!(packed <= plain + 1024, "{plain} bytes without, {packed} with compression");
}

/// Returns zeros as they are compressed best (RFC 1951 section 3.2.6): one, and copies of it.
fn bomb(length: usize) -> Vec<u8> {
    const BLOCK: &[u8] = &[0, 1, 0];
    const ZERO: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0];
    const COPY_258_FROM_1_BACK: &[u8] = &[1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    const END: &[u8] = &[0; 7];
    const EMPTY_BLOCK: &[u8] = &[0, 0, 0];
    let copies = COPY_258_FROM_1_BACK.repeat(length / 258);
    let bits = [BLOCK, ZERO, &copies, END, EMPTY_BLOCK].concat();
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    bits.chunks(8).map(byte).collect()
}

const OFFER: (&str, &str) = ("Sec-WebSocket-Extensions", "permessage-deflate");

const PING: u8 = 9;
const PONG: u8 = 10;
