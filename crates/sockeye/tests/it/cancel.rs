//! Receiving, opening and closing with a future that is dropped at every byte.

use futures_util::FutureExt;
use sockeye::{
    Acceptor, Client, CloseCode, Config, Event, Message, MessageReader, Result, WebSocket,
};
use tokio::runtime::Handle;
use tokio::task::yield_now;

use crate::support::{
    BINARY, CLOSE, CONTINUATION, From, PING, PONG, REQUEST, Script, TEXT, answer, frame, parse_all,
    scripted, whole,
};

/// Messages with everything that can stand between them, and what they come to.
fn wire(from: From) -> (Vec<u8>, Vec<Message>) {
    let long = vec![7; 300];
    let bytes = [
        whole(from, TEXT, "h\u{e9}llo".as_bytes()),
        frame(from, BINARY, &[1, 2, 3]),
        whole(from, PING, b"one"),
        frame(from, CONTINUATION, &[]),
        whole(from, CONTINUATION, &[4]),
        whole(from, TEXT, b""),
        whole(from, PING, b""),
        whole(from, BINARY, &long),
        frame(from, TEXT, &"\u{20ac}".as_bytes()[..1]),
        whole(from, CONTINUATION, &"\u{20ac}".as_bytes()[1..]),
    ];
    let messages = vec![
        Message::text("h\u{e9}llo"),
        Message::binary(vec![1, 2, 3, 4]),
        Message::text(""),
        Message::binary(long),
        Message::text("\u{20ac}"),
    ];
    (bytes.concat(), messages)
}

fn pongs(script: &Script) -> Vec<Vec<u8>> {
    let frames = parse_all(&script.written());
    assert!(frames.iter().all(|frame| frame.opcode == PONG), "{frames:?}");
    frames.into_iter().map(|frame| frame.payload).collect()
}

fn note(received: Option<Result<Option<Message>>>, into: &mut Vec<Message>) {
    if let Some(message) = received {
        into.push(message.unwrap().unwrap());
    }
}

// SAF-013
#[tokio::test]
async fn recv_dropped_at_every_byte_loses_and_doubles_nothing() {
    for from in [From::Client, From::Server] {
        let (bytes, expected) = wire(from);
        let (mut ws, script) = scripted(from, Config::server()).await;
        script.push(&bytes);
        let mut received = Vec::new();
        for _ in 0..bytes.len() {
            script.allow_read(1);
            script.allow_write(1);
            note(ws.recv().now_or_never(), &mut received);
        }
        script.allow_write(100);
        note(ws.recv().now_or_never(), &mut received);
        assert_eq!(received, expected);
        assert_eq!(pongs(&script), [&b"one"[..], b""]);
    }
}

// SAF-013
#[tokio::test]
async fn recv_cut_once_at_any_byte_goes_on_where_it_was() {
    for from in [From::Client, From::Server] {
        let (bytes, expected) = wire(from);
        for cut in 0..=bytes.len() {
            let (mut ws, script) = scripted(from, Config::server()).await;
            script.push(&bytes);
            script.allow_write(usize::MAX);
            script.allow_read(cut);
            let mut received = Vec::new();
            while let Some(message) = ws.recv().now_or_never() {
                received.push(message.unwrap().unwrap());
            }
            script.allow_read(bytes.len() - cut);
            while let Some(message) = ws.recv().now_or_never() {
                received.push(message.unwrap().unwrap());
            }
            assert_eq!(received, expected, "cut at {cut}");
            assert_eq!(pongs(&script), [&b"one"[..], b""]);
        }
    }
}

// SAF-013
#[tokio::test]
async fn event_dropped_at_every_byte_tells_each_event_once() {
    let (mut bytes, _) = wire(From::Client);
    bytes.extend(whole(From::Client, CLOSE, &1000u16.to_be_bytes()));
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    script.push(&bytes);
    let (mut messages, mut pings, mut closings, mut ended) = (0, 0, 0, false);
    for _ in 0..bytes.len() + 40 {
        script.allow_read(1);
        script.allow_write(1);
        match ws.event().now_or_never().transpose().unwrap() {
            Some(Some(Event::Message(_))) => messages += 1,
            Some(Some(Event::Ping(_))) => pings += 1,
            Some(Some(Event::Closing(_))) => closings += 1,
            Some(Some(event)) => panic!("{event:?}"),
            Some(None) => ended = true,
            None => {}
        }
    }
    assert_eq!((messages, pings, closings, ended), (5, 2, 1, true));
    let opcodes: Vec<_> = parse_all(&script.written()).iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [PONG, PONG, CLOSE]);
}

// SAF-013
#[tokio::test]
async fn the_receiving_half_dropped_at_every_byte_loses_nothing() {
    for from in [From::Client, From::Server] {
        let (bytes, expected) = wire(from);
        let (ws, script) = scripted(from, Config::server()).await;
        let (sender, mut receiver) = ws.split();
        script.push(&bytes);
        let mut received = Vec::new();
        for _ in 0..bytes.len() {
            script.allow_read(1);
            script.allow_write(1);
            // Whoever is polled reads: the other half must not take messages away.
            assert_eq!(sender.flush().now_or_never().is_none(), sender.buffered_amount() > 0);
            note(receiver.recv().now_or_never(), &mut received);
        }
        script.allow_write(100);
        note(receiver.recv().now_or_never(), &mut received);
        assert_eq!(received, expected);
        assert_eq!(pongs(&script), [&b"one"[..], b""]);
    }
}

/// Reads what there is of a message; true when that was the end of it.
fn drain(reader: &mut MessageReader<'_, Script>, into: &mut Vec<u8>) -> bool {
    while let Some(chunk) = reader.chunk().now_or_never() {
        match chunk.unwrap() {
            Some(bytes) => into.extend_from_slice(&bytes),
            None => return true,
        }
    }
    false
}

// SAF-013
#[tokio::test]
async fn chunk_dropped_at_every_byte_loses_nothing() {
    for from in [From::Client, From::Server] {
        let (bytes, expected) = wire(from);
        let (mut ws, script) = scripted(from, Config::server()).await;
        script.push(&bytes);
        script.allow_write(usize::MAX);
        let mut received = Vec::new();
        for _ in 0..bytes.len() {
            script.allow_read(1);
            let Some(reader) = ws.reader().now_or_never() else { continue };
            let mut reader = reader.unwrap().unwrap();
            let mut payload = Vec::new();
            while !drain(&mut reader, &mut payload) {
                script.allow_read(1);
            }
            received.push((reader.kind(), payload));
        }
        let expected: Vec<_> =
            expected.iter().map(|message| (message.kind(), message.as_bytes().to_vec())).collect();
        assert_eq!(received, expected);
        assert_eq!(pongs(&script), [&b"one"[..], b""]);
    }
}

/// Receives the first message by one call up to `cut`, and by another from there.
async fn change_over(cut: usize, bytes: &[u8], first: Take, then: Take) -> Vec<u8> {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    script.push(bytes);
    script.allow_write(usize::MAX);
    for _ in 0..cut {
        script.allow_read(1);
        if let Some(payload) = first(&mut ws) {
            return payload;
        }
    }
    script.allow_read(bytes.len());
    then(&mut ws).expect("the message is there")
}

type Take = fn(&mut WebSocket<Script>) -> Option<Vec<u8>>;

fn by_recv(ws: &mut WebSocket<Script>) -> Option<Vec<u8>> {
    let message = ws.recv().now_or_never()?;
    Some(message.unwrap().unwrap().as_bytes().to_vec())
}

/// A reader that is dropped before its first piece.
fn by_reader(ws: &mut WebSocket<Script>) -> Option<Vec<u8>> {
    let mut reader = ws.reader().now_or_never()?.unwrap().unwrap();
    let mut payload = Vec::new();
    drain(&mut reader, &mut payload).then_some(payload)
}

// SAF-013
#[tokio::test]
async fn a_message_begun_with_recv_can_be_finished_with_a_reader() {
    let from = From::Client;
    let bytes = [frame(from, BINARY, &[1; 130]), whole(from, CONTINUATION, &[2; 20])].concat();
    let expected = [vec![1; 130], vec![2; 20]].concat();
    for cut in 0..bytes.len() {
        assert_eq!(change_over(cut, &bytes, by_recv, by_reader).await, expected, "cut at {cut}");
    }
}

// SAF-013
#[tokio::test]
async fn a_reader_dropped_before_its_first_piece_leaves_the_message_to_recv() {
    let bytes = whole(From::Client, BINARY, &[1; 130]);
    // Eight bytes are the header; a reader that saw payload would own the message.
    for cut in 0..=8 {
        assert_eq!(change_over(cut, &bytes, by_reader, by_recv).await, [1; 130], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_reader_dropped_in_the_middle_passes_over_its_message_only() {
    let from = From::Client;
    let bytes = [frame(from, BINARY, &[1; 10]), whole(from, CONTINUATION, &[2; 10])].concat();
    let next = whole(from, TEXT, b"next");
    for cut in 9..bytes.len() {
        let (mut ws, script) = scripted(from, Config::server()).await;
        script.push(&bytes);
        script.push(&next);
        script.allow_read(cut);
        drop(ws.reader().now_or_never().unwrap().unwrap().unwrap());
        for _ in cut..bytes.len() {
            script.allow_read(1);
            assert!(ws.recv().now_or_never().is_none());
        }
        script.allow_read(next.len());
        assert_eq!(ws.recv().await.unwrap(), Some(Message::text("next")), "cut at {cut}");
    }
}

// HSC-032, SAF-013
#[tokio::test]
async fn connecting_dropped_at_every_byte_closes_the_transport_and_leaves_no_task() {
    let script = Script::new();
    script.allow_write(usize::MAX);
    let _ = Client::default().request("ws://x/").over(script.clone()).now_or_never();
    let request_len = script.written().len();
    for cut in 0..request_len {
        let script = Script::new();
        script.allow_write(cut);
        let opened = Client::default().request("ws://x/").over(script.clone()).now_or_never();
        assert!(opened.is_none());
        assert!(script.is_dropped(), "written {cut}");
        assert_eq!(script.written().len(), cut);
    }
    for cut in 0..answer(REQUEST.as_bytes()).len() {
        let script = Script::new();
        script.allow_write(usize::MAX);
        let mut opening = Box::pin(Client::default().request("ws://x/").over(script.clone()));
        assert!((&mut opening).now_or_never().is_none());
        script.push(&answer(&script.written()));
        script.allow_read(cut);
        assert!((&mut opening).now_or_never().is_none());
        drop(opening);
        assert!(script.is_dropped(), "read {cut}");
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

// SAF-013
#[tokio::test]
async fn accepting_dropped_at_every_byte_closes_the_transport_and_leaves_no_task() {
    for cut in 0..REQUEST.len() {
        let script = Script::new();
        script.push(REQUEST.as_bytes());
        script.allow_read(cut);
        assert!(Acceptor::new().accept(script.clone()).now_or_never().is_none());
        assert!(script.is_dropped(), "read {cut}");
        assert!(script.written().is_empty());
    }
    let script = Script::new();
    script.push(REQUEST.as_bytes());
    script.allow_read(usize::MAX);
    script.allow_write(usize::MAX);
    drop(Acceptor::new().accept(script.clone()).await.unwrap().0.into_inner());
    for cut in 0..script.written().len() {
        let script = Script::new();
        script.push(REQUEST.as_bytes());
        script.allow_read(usize::MAX);
        script.allow_write(cut);
        assert!(Acceptor::new().accept(script.clone()).now_or_never().is_none());
        assert!(script.is_dropped(), "written {cut}");
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

// FRM-039, SAF-013
#[tokio::test(start_paused = true)]
async fn close_dropped_at_every_byte_still_says_goodbye_once() {
    for from in [From::Client, From::Server] {
        for cut in 0..10 {
            let (ws, script) = scripted(from, Config::server()).await;
            script.allow_write(cut);
            assert!(ws.close(CloseCode::AWAY, "bye").now_or_never().is_none());
            script.allow_write(usize::MAX);
            script.push(&whole(from, CLOSE, &1001u16.to_be_bytes()));
            script.allow_read(usize::MAX);
            script.end();
            while !script.is_dropped() {
                yield_now().await;
            }
            let frames = parse_all(&script.written());
            assert_eq!(frames.len(), 1, "cut at {cut}");
            assert_eq!(frames[0].close_code(), Some(1001));
        }
    }
}
