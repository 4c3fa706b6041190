//! Connections that come in crowds, and come and go by the thousand: all are served or told when to
//! come back, and none leaves anything behind.

use std::net::{Ipv4Addr, SocketAddr};

use sockeye_server::serve::raise_descriptors;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::operated::Operated;
use crate::support::{PATIENCE, Raw, TEXT, command, handshake, handshake_with, masked};

/// What a server has in hand that comes and goes with its clients.
#[derive(Debug, PartialEq, Eq)]
struct InHand {
    descriptors: usize,
    /// Connections, topics and subscriptions, as the metrics tell.
    entries: u64,
}

/// Connects from an address of loop-back's own network.
async fn connect_from(ip: Ipv4Addr, to: SocketAddr) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ip, 0).into()).unwrap();
    Raw::new(timeout(PATIENCE, socket.connect(to)).await.expect("it is accepted").unwrap())
}

fn count_in(pid: u32, directory: &str) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/{directory}")).unwrap().count()
}

async fn metrics(operated: &Operated) -> Vec<(String, u64)> {
    let text = operated.get("/metrics").await.body;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = samples.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    pairs.collect()
}

async fn in_hand(operated: &Operated) -> InHand {
    let comes_and_goes = |name: &str| {
        ["sockeye_connections{", "sockeye_topics", "sockeye_subscriptions"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let metrics = metrics(operated).await;
    let entries = metrics.iter().filter(|(name, _)| comes_and_goes(name)).map(|(_, n)| n).sum();
    InHand { descriptors: count_in(operated.served.pid(), "fd"), entries }
}

async fn resident(operated: &Operated) -> u64 {
    let metrics = metrics(operated).await;
    metrics.iter().find(|(name, _)| name == "sockeye_rss_bytes").unwrap().1
}

/// Waits until a server has no more in hand than before anybody came.
async fn settled(operated: &Operated, fresh: &InHand) {
    let mut last = None;
    let settling = async {
        loop {
            let now = in_hand(operated).await;
            if now.descriptors <= fresh.descriptors && now.entries == fresh.entries {
                return;
            }
            last = Some(now);
        }
    };
    let settled = timeout(PATIENCE, settling).await;
    settled.unwrap_or_else(|_| panic!("{last:?}, not {fresh:?}"));
}

/// Comes by one of the doors, and goes in one of the ways there are. Tells whether it was let in: the
/// server may learn later that others are gone.
async fn come_and_go(address: SocketAddr, number: usize) -> bool {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap());
    let topic = format!("/t/cycle-{number}");
    let get = |accept: &str| format!("GET {topic} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
    let json = handshake_with("/ws", &[("Sec-WebSocket-Protocol", "sockeye.v1.json")]);
    let is_in = match number % 8 {
        0 => opened(&mut raw, &handshake(&topic), 0x88, b"\x03\xe8").await,
        1 => opened(&mut raw, &handshake(&topic), 0xf0 | TEXT, b"reserved bits").await,
        2 => opened(&mut raw, &handshake("/echo"), TEXT, b"a fragment").await,
        3 => {
            let subscribe = br#"{"type":"subscribe","ref":1,"topics":["one"]}"#;
            opened(&mut raw, &json, 0x80 | TEXT, subscribe).await
        }
        4 => let_in(&mut raw, &get("text/event-stream"), 200).await,
        unheard => {
            let request = get("application/json") + &handshake(&topic);
            raw.write(&request.as_bytes()[..request.len() * (unheard - 5) / 3]).await;
            true
        }
    };
    if number.is_multiple_of(3) {
        raw.io.set_zero_linger().unwrap();
    }
    is_in
}

/// Asks, and tells whether it was let in with that status.
async fn let_in(raw: &mut Raw, request: &str, status: u16) -> bool {
    raw.write(request.as_bytes()).await;
    let Some(head) = raw.try_head().await else { return false };
    let is_in = head.starts_with(&format!("HTTP/1.1 {status} "));
    assert!(is_in || head.starts_with("HTTP/1.1 429 "), "{head}");
    is_in
}

/// Opens a WebSocket and sends a frame, or tells that it was not let in.
async fn opened(raw: &mut Raw, request: &str, first: u8, payload: &[u8]) -> bool {
    let is_in = let_in(raw, request, 101).await;
    raw.write(&masked(first, payload)).await;
    is_in
}

async fn come_and_go_often(address: SocketAddr, count: usize) {
    let mut tasks = JoinSet::new();
    for first in 0..AT_ONCE {
        tasks.spawn(async move {
            for number in (first..count).step_by(AT_ONCE) {
                while !come_and_go(address, number).await {}
            }
        });
    }
    timeout(4 * PATIENCE, tasks.join_all()).await.expect("all are let in");
}

// RES-016
#[cfg(target_os = "linux")]
#[tokio::test]
async fn after_thousands_of_connections_by_all_doors_nothing_of_them_is_left() {
    let places = (4 * AT_ONCE).to_string();
    let operated =
        Operated::start(&["--limits-per-ip", &places, "--max-pending-per-ip", &places]).await;
    let (address, fresh) = (operated.served.address, in_hand(&operated).await);
    come_and_go_often(address, 1_000).await;
    settled(&operated, &fresh).await;
    let threads = count_in(operated.served.pid(), "task");
    until_memory_stays(&operated).await;
    settled(&operated, &fresh).await;
    assert_eq!(count_in(operated.served.pid(), "task"), threads);
    // Each place of an address is free again, and none has been made.
    let mut members = Vec::new();
    for _ in 0..4 * AT_ONCE {
        members.push(operated.served.open("/t/again").await);
    }
    let answer = operated.served.ask(&handshake("/t/again")).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

/// Lets thousands come and go until five thousand more take next to nothing: an allocator fills up what
/// it has first, and what is left behind of each would take more every time.
async fn until_memory_stays(operated: &Operated) {
    let mut taken = vec![resident(operated).await];
    loop {
        assert!(taken.len() < 50, "{taken:?}");
        come_and_go_often(operated.served.address, 1_000).await;
        taken.push(resident(operated).await);
        // Fewer bytes for each than anything that could be left behind has.
        if taken.len() > 5 && taken[taken.len() - 1] < taken[taken.len() - 6] + 5_000 * 16 {
            break;
        }
    }
}

// RES-010
#[cfg(target_os = "linux")]
#[tokio::test]
async fn two_thousand_that_connect_at_once_are_all_served() {
    raise_descriptors();
    let operated = Operated::start(&[]).await;
    let (address, fresh) = (operated.served.address, in_hand(&operated).await);
    let mut tasks = JoinSet::new();
    for number in 0..2_000_u16 {
        let [high, low] = (number / 50).to_be_bytes();
        let ip = Ipv4Addr::new(127, 1, high, low + 1);
        tasks.spawn(async move {
            let mut raw = connect_from(ip, address).await;
            assert!(opened(&mut raw, &handshake("/echo"), 0x80 | TEXT, b"here").await);
            assert_eq!(raw.frame().await.unwrap().text(), "here");
            raw
        });
    }
    let connected = timeout(PATIENCE, tasks.join_all()).await.expect("all are served");
    assert_eq!(in_hand(&operated).await.entries, 2_000);
    drop(connected);
    settled(&operated, &fresh).await;
}

// RES-011
#[tokio::test]
async fn more_than_may_come_in_a_second_are_told_when_to_come_back() {
    let operated = Operated::start(&["--limits-new-per-second", "5"]).await;
    let address = operated.served.address;
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        tasks.spawn(async move {
            let request = handshake("/t/crowd");
            let mut raw = Raw::new(TcpStream::connect(address).await.unwrap());
            raw.write(request.as_bytes()).await;
            (raw.head().await, raw)
        });
    }
    let answers = tasks.join_all().await;
    let is_in = |(head, _): &&(String, Raw)| head.starts_with("HTTP/1.1 101 ");
    let (inside, outside) = answers.iter().partition::<Vec<_>, _>(is_in);
    assert!(inside.len() >= 5 && !outside.is_empty(), "{}", inside.len());
    for (head, _) in outside {
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nretry-after: 1\r\n"), "{head}");
    }
    operated.until_clients(inside.len()).await;
}

// RES-011
#[tokio::test]
async fn all_subscribers_of_a_killed_server_are_back_though_few_may_come_in_a_second() {
    let operated = Operated::start(&[]).await;
    let address = operated.served.address.to_string();
    let url = format!("http://{address}");
    let mut subscribers = Vec::new();
    for _ in 0..12 {
        subscribers.push(command(&["sub", "--quiet", &url, "crowd"]).spawn().unwrap());
    }
    operated.until_clients(subscribers.len()).await;
    operated.served.kill().await;
    let args = ["--limits-new-per-second", "4", "--listen", &address];
    let again = Operated::start(&args).await;
    again.until_clients(subscribers.len()).await;
    assert!(refusals(&again).await > 0);
}

/// Returns how many were told to come back.
async fn refusals(operated: &Operated) -> u64 {
    let metrics = metrics(operated).await;
    let refused = metrics.iter().find(|(name, _)| name.contains("refused_total{code=\"overloaded"));
    refused.map_or(0, |(_, count)| *count)
}

/// How many come and go at a time.
const AT_ONCE: usize = 16;
