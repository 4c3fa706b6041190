//! Networks that are hard to get through: hardly a port to connect from, short packets, little room
//! in the kernel, packets that are lost.
//!
//! Each test runs once more in a network namespace of its own, which takes `unshare`, `ip` and `tc`.

use sockeye::{Message, WebSocket};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, Served, TEXT, command, handshake, masked, receive, run};

/// Runs a test in a network of its own, once this has been set up by the shell.
async fn in_own_network(test: &str, set_up: &str) {
    let own = std::env::current_exe().unwrap();
    let script = format!("set -e; ip link set lo up; {set_up}; exec \"$0\" --exact \"$1\"");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", &script]).arg(own).arg(test);
    let output = command.env(INSIDE, "1").kill_on_drop(true).output();
    let output = timeout(4 * PATIENCE, output).await.expect("it ends").unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains(" 1 passed"), "{output:?}");
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Is set in the namespace.
const INSIDE: &str = "IN_A_NETWORK_OF_ITS_OWN";

// RES-008
#[tokio::test]
async fn clients_without_a_port_to_connect_from_say_so_and_come_back() {
    const NAME: &str = "narrow::clients_without_a_port_to_connect_from_say_so_and_come_back";
    if !is_inside() {
        let ports = "echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range";
        return in_own_network(NAME, ports).await;
    }
    let served = Served::spawn(command(&["serve"]).args(["--listen", "127.0.0.1:9000"])).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(served.raw().await);
    }
    let url = "ws://127.0.0.1:9000/echo";
    let error = sockeye::connect(url).await.expect_err("there is no port");
    assert_eq!(error.kind(), sockeye::ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains(NO_PORT), "{error}");
    let ended = run(&["connect", url]).await;
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains(NO_PORT), "{ended:?}");
    let mut sub = command(&["sub", "--count", "1", "http://127.0.0.1:9000", "a"]).spawn().unwrap();
    let mut told = BufReader::new(sub.stderr.take().unwrap()).lines();
    for _ in 0..2 {
        let line = told.next_line().await.unwrap().unwrap();
        assert!(line.contains(NO_PORT) && line.contains("; trying again in "), "{line}");
    }
    for raw in held {
        // A port whose connection ends in good order is not free at once.
        raw.io.set_zero_linger().unwrap();
    }
    let mut publishing = served.connect("/t/a").await;
    let seen = async {
        while sub.try_wait().unwrap().is_none() {
            publishing.send("there").await.unwrap();
            receive(&mut publishing).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("it comes back");
}

/// What systems say of EADDRNOTAVAIL.
const NO_PORT: &str = "Cannot assign requested address";

// RES-020
#[tokio::test]
async fn short_packets_lost_packets_and_hardly_any_room_change_nothing_but_the_time_it_takes() {
    const NAME: &str = "narrow::\
        short_packets_lost_packets_and_hardly_any_room_change_nothing_but_the_time_it_takes";
    if !is_inside() {
        return in_own_network(
            NAME,
            "ip link set lo mtu 576; echo 4096 4608 8192 > /proc/sys/net/ipv4/tcp_wmem; \
             tc qdisc add dev lo root tbf rate 16mbit burst 2kb limit 12kb",
        )
        .await;
    }
    let served = Served::start(&["serve"]).await;
    let mut members = Vec::new();
    for _ in 0..3 {
        members.push(served.join("narrow").await);
    }
    let mut tasks = JoinSet::new();
    for number in 0..4 {
        tasks.spawn(echoes(served.address, number));
    }
    tasks.join_all().await;
    for number in 0..20 {
        members[0].send(numbered(number)).await.unwrap();
    }
    for member in &mut members {
        for number in 0..20 {
            assert_eq!(next(member).await, Message::from(numbered(number)));
        }
    }
    let shown = Command::new("tc").args(["-s", "qdisc", "show", "dev", "lo"]).output();
    let shown = String::from_utf8(shown.await.unwrap().stdout).unwrap();
    let dropped = shown.split("dropped ").nth(1).unwrap().split(',').next().unwrap();
    assert_ne!(dropped, "0", "{shown}");
}

fn numbered(number: usize) -> String {
    format!("{number}-{}", "x".repeat(number * 997))
}

/// Receives the next message that is not of somebody who joined.
async fn next(member: &mut WebSocket) -> Message {
    loop {
        let message = receive(member).await;
        if message != Message::from("joined") {
            return message;
        }
    }
}

/// Has messages of many lengths echoed over a socket with the least room that there is.
async fn echoes(address: std::net::SocketAddr, seed: usize) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(1).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    let mut raw = Raw::new(socket.connect(address).await.unwrap());
    raw.write(handshake("/echo").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    for length in [0, 1, 125, 126, 535, 537, 4_608, 20_000, 65_535] {
        let text: String =
            (0..length).map(|at| char::from(b'a' + ((at * 7 + seed) % 26) as u8)).collect();
        raw.write(&masked(0x80 | TEXT, text.as_bytes())).await;
        assert_eq!(raw.frame().await.unwrap().text(), text);
    }
}
