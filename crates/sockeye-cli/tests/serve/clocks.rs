//! The wall's clock is set while a server runs, by a library that shows the server another time.

use std::process::Command;

use crate::doors::{guarded, token};
use crate::scratch::Scratch;
use crate::support::{Raw, Served, TEXT, command};

/// A server and what its wall's clock shows.
struct Clocked {
    served: Served,
    scratch: Scratch,
}

impl Clocked {
    /// Starts a server that wants tokens and pings after a second of silence.
    async fn start(name: &str) -> Self {
        let scratch = Scratch::new(name);
        scratch.write(CLOCK, "+0");
        let config = scratch.write("sockeye.toml", &guarded());
        let mut command = command(&["serve", "--config", &config, "--listen", "127.0.0.1:0"]);
        command.args(["--time-ping", "1s", "--time-pong", "5m"]);
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", scratch.path(CLOCK));
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Self { served: Served::spawn(&mut command).await, scratch }
    }

    /// Sets the wall's clock, so far from the true time.
    fn set(&self, offset: &str) {
        let new = self.scratch.write("new", offset);
        std::fs::rename(new, self.scratch.path(CLOCK)).unwrap();
    }

    /// Opens a WebSocket with a token that lasts for so long.
    async fn open(&self, lasts: &str) -> Raw {
        let all = ["--subscribe", "*", "--publish", "*", "--expires", lasts];
        let token = token(&self.scratch, &all).await;
        self.served.open(&format!("/t/a?token={token}")).await
    }
}

/// Returns where the library is, which only its command knows.
fn library() -> String {
    let mut command = Command::new("faketime");
    let output = command.args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let path = String::from_utf8(output.expect("faketime is there").stdout).unwrap();
    path.trim().to_owned()
}

// LIM-016
#[tokio::test]
async fn wall_clock_that_jumps_ends_tokens_and_nothing_else() {
    let clocked = Clocked::start("clocks").await;
    let mut short = clocked.open("1h").await;
    let mut long = Vec::new();
    for _ in 0..20 {
        long.push(clocked.open("30d").await);
    }
    for offset in ["+10d", "-10d", "+0"] {
        clocked.set(offset);
        for raw in &mut long {
            let ping = raw.frame().await.expect("it is open");
            assert_eq!(ping.opcode(), PING, "{offset}: {ping:?}");
            raw.send(0x80 | PONG, &ping.payload).await;
        }
        if offset == "+10d" {
            short.send(0x80 | TEXT, b"too late").await;
            let mut last = short.frame().await.unwrap();
            while last.opcode() == PING {
                last = short.frame().await.unwrap();
            }
            assert_eq!(last.close_code(), Some(3005));
        }
    }
}

// LIM-016
#[tokio::test]
async fn token_whose_clock_is_set_back_ends_later_and_does_end() {
    let clocked = Clocked::start("clocks-back").await;
    let mut raw = clocked.open("3s").await;
    clocked.set("-4");
    for _ in 0..60 {
        let frame = raw.frame().await.unwrap();
        if frame.opcode() != PING {
            return assert_eq!(frame.close_code(), Some(3005));
        }
        raw.send(0x80 | PONG, &frame.payload).await;
    }
    panic!("it does not end");
}

const PING: u8 = 9;
const PONG: u8 = 10;

/// The file that says how far the clock is off.
const CLOCK: &str = "clock";
