//! A process that is stopped for a while and goes on.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use crate::scratch::Scratch;
use crate::support::{Frame, Raw, Served, TEXT};

const PING: u8 = 9;
const PONG: u8 = 10;

/// Answers a ping; returns whether it was one.
async fn answers(client: &mut Raw, frame: &Frame) -> bool {
    let is_ping = frame.opcode() == PING;
    if is_ping {
        client.send(0x80 | PONG, &frame.payload).await;
    }
    is_ping
}

// SIG-006
#[tokio::test]
async fn clients_that_kept_to_their_time_outs_survive_a_stop_and_get_no_burst_of_pings() {
    let scratch = Scratch::new("stopped");
    let served = Served::configured(&scratch, "[time]\nping = '1s'\npong = '1s'\n").await;
    // One that is quiet, one that has just been asked, one that talks, over each way to be served.
    let mut clients = Vec::new();
    for path in ["/echo", "/t/a", "/t/b"] {
        clients.push(served.open(path).await);
    }
    let asked = clients.first_mut().unwrap();
    let ping = asked.frame().await.unwrap();
    assert_eq!(ping.opcode(), PING);
    served.signal(Signal::STOP);
    assert!(answers(asked, &ping).await);
    // Longer than ping and pong together: all its deadlines are over when it goes on. How much longer
    // does not matter.
    sleep(Duration::from_secs(3)).await;
    for client in &mut clients {
        client.send(0x80 | TEXT, b"still there").await;
    }
    served.signal(Signal::CONT);
    for client in &mut clients {
        let mut pings = 0;
        loop {
            let frame = client.frame().await.expect("it is not given up");
            if !answers(client, &frame).await {
                assert_eq!(frame.text(), "still there");
                break;
            }
            pings += 1;
        }
        // One from before, and one that was due.
        assert!(pings <= 2, "{pings}");
    }
    // And it goes on as before.
    for client in &mut clients {
        let frame = client.frame().await.unwrap();
        assert!(answers(client, &frame).await, "{frame:?}");
        client.send(0x80 | TEXT, b"on").await;
        loop {
            let frame = client.frame().await.expect("it is not given up");
            if !answers(client, &frame).await {
                assert_eq!(frame.text(), "on");
                break;
            }
        }
    }
}
