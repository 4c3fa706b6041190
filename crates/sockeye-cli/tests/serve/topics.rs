//! Topics: who gets what, which names there are, and members that do not read.

use std::time::Duration;

use sockeye::Message;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::support::{BINARY, PATIENCE, Raw, Served, TEXT, handshake, receive};

#[tokio::test]
async fn what_one_sends_all_on_its_topic_get_as_it_was_and_nobody_else() {
    let served = Served::start(&["serve"]).await;
    let mut members = Vec::new();
    for _ in 0..3 {
        let joined = served.join("river").await;
        for member in &mut members {
            assert_eq!(receive(member).await, Message::from("joined"));
        }
        members.push(joined);
    }
    let mut stranger = served.connect("/t/sea").await;
    let messages = [
        Message::from("text, \u{1f41f} and\0all"),
        Message::from(&b"\xff\x00binary\x80"[..]),
        Message::from(""),
        Message::from(&b""[..]),
    ];
    for (at, message) in messages.iter().enumerate() {
        let sender = at % members.len();
        members[sender].send(message.clone()).await.unwrap();
        for member in &mut members {
            assert_eq!(receive(member).await, *message);
        }
    }
    stranger.send("alone").await.unwrap();
    assert_eq!(receive(&mut stranger).await, Message::from("alone"));
    for member in &mut members {
        assert!(timeout(Duration::from_millis(20), member.recv()).await.is_err());
    }
}

#[tokio::test]
async fn who_left_is_no_member_any_more_and_the_others_go_on() {
    let served = Served::start(&["serve"]).await;
    let mut stays = served.join("x").await;
    for _ in 0..20 {
        let leaves = served.join("x").await;
        assert_eq!(receive(&mut stays).await, Message::from("joined"));
        leaves.abort();
        stays.send("left").await.unwrap();
        assert_eq!(receive(&mut stays).await, Message::from("left"));
    }
}

#[tokio::test]
async fn a_name_has_at_most_255_bytes_after_decoding() {
    let served = Served::start(&["serve"]).await;
    let cases = [
        ("a".repeat(255), "101"),
        ("a".repeat(256), "400"),
        ("%C3%A4".repeat(127) + "a", "101"),
        ("%C3%A4".repeat(128), "400"),
        ("%FF".to_owned(), "400"),
        (String::new(), "404"),
        ("a/b".to_owned(), "404"),
    ];
    for (name, status) in cases {
        let mut raw = served.raw().await;
        raw.write(handshake(&format!("/t/{name}")).as_bytes()).await;
        let head = raw.head().await;
        assert_eq!(&head[9..12], status, "{name}: {head}");
    }
}

#[tokio::test]
async fn a_name_is_the_same_however_it_was_encoded() {
    let served = Served::start(&["serve"]).await;
    for [one, other] in [["%e6%b2%b3", "%E6%B2%B3"], ["%72iver", "river"], ["a%2Fb", "a%2fb"]] {
        let mut sender = served.connect(&format!("/t/{one}")).await;
        let mut receiver = served.connect(&format!("/t/{other}")).await;
        receiver.send("in").await.unwrap();
        assert_eq!(receive(&mut receiver).await, Message::from("in"));
        sender.send("up").await.unwrap();
        assert_eq!(receive(&mut receiver).await, Message::from("up"));
    }
}

/// The kernel's buffers and the queue of 1 MiB take some; far less than what is sent here.
#[tokio::test]
async fn a_member_that_does_not_read_is_closed_with_1008_while_the_others_go_on() {
    let served = Served::start(&["serve"]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = Raw::new(socket.connect(served.address).await.unwrap());
    slow.write(handshake("/t/x").as_bytes()).await;
    assert!(slow.head().await.starts_with("HTTP/1.1 101 "));
    slow.send(0x80 | TEXT, b"joined").await;
    assert_eq!(slow.frame().await.unwrap().payload, b"joined");

    let mut publisher = served.join("x").await;
    let mut witness = served.join("x").await;
    assert_eq!(receive(&mut publisher).await, Message::from("joined"));
    let message = Message::from(vec![7; 64 << 10]);
    for _ in 0..400 {
        publisher.send(message.clone()).await.unwrap();
        assert_eq!(receive(&mut witness).await, message);
        assert_eq!(receive(&mut publisher).await, message);
    }

    let mut delivered = 0;
    let last = timeout(PATIENCE, async {
        loop {
            let frame = slow.frame().await.expect("a Close frame comes before the end");
            if frame.opcode() != BINARY && frame.payload != b"joined" {
                return frame;
            }
            delivered += 1;
        }
    });
    assert_eq!(last.await.unwrap().close_code(), Some(1008));
    assert!(delivered < 400);
    publisher.send("go on").await.unwrap();
    assert_eq!(receive(&mut witness).await, Message::from("go on"));
}
