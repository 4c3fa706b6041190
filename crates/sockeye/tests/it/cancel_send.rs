//! Sending with a future that is dropped at every byte: a message goes out whole or not at all.

use std::num::NonZeroUsize;

use futures_util::FutureExt;
use sockeye::{Config, Kind, SendOptions};

use crate::support::{BINARY, CONTINUATION, From, PING, TEXT, parse_all, scripted, whole};

/// A configuration whose queue is full after a few bytes, so that calls wait before they take the
/// message too.
fn narrow(queue_high: usize) -> Config {
    let mut config = Config::server();
    config.limits.queue_high = queue_high;
    config
}

fn message(number: usize) -> String {
    format!("message {number}")
}

/// Returns the texts on the wire; frames must be whole and, of a client, masked.
fn texts(from: From, bytes: &[u8]) -> Vec<String> {
    let frames = parse_all(bytes).into_iter().map(|frame| {
        assert_eq!((frame.fin, frame.opcode), (true, TEXT));
        assert_eq!(frame.masked, from == From::Server);
        String::from_utf8(frame.payload).unwrap()
    });
    frames.collect()
}

// FRM-039, FRM-040, SAF-013
#[tokio::test]
async fn send_dropped_at_every_byte_sends_all_of_a_message_or_nothing() {
    for from in [From::Client, From::Server] {
        for queue_high in [0, 1, 10, 40, 1 << 16] {
            let (mut ws, script) = scripted(from, narrow(queue_high)).await;
            let mut taken = Vec::new();
            for number in 0..200 {
                let before = (ws.buffered_amount(), script.written().len());
                let sent = ws.send(message(number)).now_or_never();
                let after = (ws.buffered_amount(), script.written().len());
                if after.0 + after.1 > before.0 + before.1 {
                    taken.push(message(number));
                } else {
                    assert!(sent.is_none(), "a message that was not taken waits");
                }
                script.allow_write(1 + number % 3);
            }
            script.allow_write(usize::MAX);
            ws.flush().await.unwrap();
            assert_eq!(texts(from, &script.written()), taken);
        }
    }
}

// FRM-039, FRM-040
#[tokio::test]
async fn send_cut_at_any_byte_leaves_a_wire_that_can_be_read() {
    for from in [From::Client, From::Server] {
        for cut in 0..=16 {
            let (mut ws, script) = scripted(from, Config::server()).await;
            script.allow_write(cut);
            let _ = ws.send("first").now_or_never();
            script.allow_write(usize::MAX);
            ws.send("second").await.unwrap();
            assert_eq!(texts(from, &script.written()), ["first", "second"], "cut at {cut}");
        }
    }
}

// FRM-039, SAF-013
#[tokio::test]
async fn feed_and_flush_dropped_at_every_byte_send_each_message_once() {
    for from in [From::Client, From::Server] {
        let (mut ws, script) = scripted(from, narrow(10)).await;
        let mut number = 0;
        while number < 100 {
            if let Some(fed) = ws.feed(message(number)).now_or_never() {
                fed.unwrap();
                number += 1;
            }
            script.allow_write(1);
            let _ = ws.flush().now_or_never();
        }
        script.allow_write(usize::MAX);
        ws.flush().await.unwrap();
        assert_eq!(texts(from, &script.written()), (0..100).map(message).collect::<Vec<_>>());
    }
}

// FRM-039
#[tokio::test]
async fn fragments_of_a_dropped_send_all_go_out() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    let options = SendOptions { fragment: NonZeroUsize::new(3), ..SendOptions::default() };
    for cut in 0..16 {
        script.take_written();
        script.allow_write(cut);
        let _ = ws.send_with("0123456789", options).now_or_never();
        while ws.flush().now_or_never().is_none() {
            script.allow_write(1);
        }
        let frames = parse_all(&script.written());
        assert_eq!(frames.len(), 4);
        let payload: Vec<_> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
        assert_eq!(payload, b"0123456789");
    }
}

// FRM-039, SAF-013
#[tokio::test]
async fn clones_of_the_sending_half_dropped_at_every_byte_send_whole_messages() {
    for from in [From::Client, From::Server] {
        let (ws, script) = scripted(from, narrow(30)).await;
        let (sender, mut receiver) = ws.split();
        let other = sender.clone();
        let mut taken = Vec::new();
        for number in 0..200 {
            let half = if number % 2 == 0 { &sender } else { &other };
            let before = half.buffered_amount() + script.written().len();
            let _ = half.send(message(number)).now_or_never();
            if half.buffered_amount() + script.written().len() > before {
                taken.push(message(number));
            }
            script.allow_write(2);
            assert!(receiver.recv().now_or_never().is_none());
        }
        script.allow_write(usize::MAX);
        sender.flush().await.unwrap();
        assert_eq!(texts(from, &script.written()), taken);
    }
}

// FRM-039, SAF-013
#[tokio::test]
async fn write_dropped_at_every_byte_sends_each_piece_once() {
    for from in [From::Client, From::Server] {
        let (mut ws, script) = scripted(from, Config::server()).await;
        let mut writer = ws.writer(Kind::Binary);
        for number in 0..100 {
            // Dropped while it waits for the transport, it has taken the piece.
            assert!(writer.write([number; 5]).now_or_never().is_none());
            script.allow_write(1);
        }
        script.allow_write(usize::MAX);
        writer.finish().await.unwrap();
        let frames = parse_all(&script.written());
        let opcodes: Vec<_> = frames.iter().map(|frame| frame.opcode).collect();
        assert_eq!(opcodes[0], BINARY);
        assert!(opcodes[1..].iter().all(|&opcode| opcode == CONTINUATION));
        let (last, others) = frames.split_last().unwrap();
        assert!(last.fin && others.iter().all(|frame| !frame.fin));
        let payload: Vec<_> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
        assert_eq!(payload, (0..100).flat_map(|number| [number; 5]).collect::<Vec<_>>());
    }
}

// FRM-039
#[tokio::test]
async fn a_write_that_waits_for_room_when_dropped_has_taken_nothing() {
    let (mut ws, script) = scripted(From::Client, narrow(10)).await;
    let mut writer = ws.writer(Kind::Binary);
    assert!(writer.write([1; 20]).now_or_never().is_none());
    assert!(writer.write([2; 20]).now_or_never().is_none());
    script.allow_write(usize::MAX);
    writer.write([3; 20]).await.unwrap();
    writer.finish().await.unwrap();
    let firsts: Vec<_> =
        parse_all(&script.written()).iter().map(|frame| frame.payload.first().copied()).collect();
    assert_eq!(firsts, [Some(1), Some(3), None]);
}

// FRM-039, SAF-013
#[tokio::test]
async fn ping_dropped_at_every_byte_pings_whole_and_keeps_messages() {
    for from in [From::Client, From::Server] {
        let (mut ws, script) = scripted(from, Config::server()).await;
        script.push(&whole(from, TEXT, b"between"));
        script.allow_read(usize::MAX);
        for _ in 0..20 {
            script.allow_write(1);
            assert!(ws.ping().now_or_never().is_none());
        }
        script.allow_write(usize::MAX);
        ws.flush().await.unwrap();
        let frames = parse_all(&script.written());
        assert_eq!(frames.len(), 20);
        assert!(frames.iter().all(|frame| frame.opcode == PING));
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("between"));
    }
}

#[tokio::test]
async fn a_long_message_waits_behind_a_short_one() {
    let mut config = Config::server();
    config.limits.queue = 100;
    let (mut ws, script) = scripted(From::Client, config).await;
    ws.feed("short").await.unwrap();
    assert!(ws.send("x".repeat(200)).now_or_never().is_none());
    script.allow_write(3);
    assert!(ws.send("y".repeat(200)).now_or_never().is_none());
    script.allow_write(usize::MAX);
    ws.send("z".repeat(200)).await.unwrap();
    let written = texts(From::Client, &script.written());
    assert_eq!(written, ["short".to_owned(), "z".repeat(200)]);
}
