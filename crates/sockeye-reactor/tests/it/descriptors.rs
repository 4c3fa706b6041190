//! A process that runs out of descriptors.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::door::{HELLO, House};
use crate::peer::{End, Peer, TEXT, frame};
use crate::probe::{PATIENCE, eventually};

/// Connects, says hello, and sends a message.
fn knock(house: &House) -> std::io::Result<Peer> {
    let mut stream = TcpStream::connect(house.address)?;
    stream.write_all(&[HELLO, &frame(TEXT, b"here")].concat())?;
    Ok(Peer::new(stream))
}

/// What is run in a process with few descriptors.
fn run_out(house: &House) {
    let mut served = knock(house).unwrap();
    assert_eq!(served.read_text(), "here");
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    // One for a client's end, and none for the server's.
    hoard.pop();
    let turned_away = TcpStream::connect(house.address).unwrap();
    eventually(|| house.failures.load(Ordering::Relaxed) > 0);
    let end = Peer::new(turned_away).try_frame().expect_err("it is not served");
    assert!(matches!(end, End::Fin | End::Reset));
    for _ in 0..100 {
        served.text("still");
        assert_eq!(served.read_text(), "still");
    }
    assert!(house.failures.load(Ordering::Relaxed) < 20, "it waits between attempts");
    drop(hoard);
    // Who comes first may find the wait of the last attempt not over, and is served after it.
    let mut late = knock(house).unwrap();
    assert_eq!(late.read_text(), "here");
    served.text("and on");
    assert_eq!(served.read_text(), "and on");
}

// RES-001
#[test]
fn without_descriptors_one_is_turned_away_and_those_served_go_on() {
    if std::env::var_os(INSIDE).is_some() {
        return run_out(&House::start(Duration::from_secs(5)));
    }
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(own)
        .arg("descriptors::without_descriptors_one_is_turned_away_and_those_served_go_on")
        .env(INSIDE, "1")
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE * 2 {
            let _ = child.kill();
        }
        std::thread::yield_now();
    };
    assert!(status.success(), "{status}");
}

/// Set in the process with few descriptors.
const INSIDE: &str = "SOCKEYE_TEST_FEW_DESCRIPTORS";
