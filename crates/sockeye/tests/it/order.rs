//! What leaves for the peer: masks, and frames in an order that a peer can put together.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use sockeye::{Config, Kind, SendOptions, Sender, WebSocket};
use tokio::io::DuplexStream;

use crate::support::{
    BINARY, CLOSE, CONTINUATION, Frame, From, PING, PONG, Raw, Script, TEXT, parse_all, parse_one,
    scripted, whole, with_raw,
};

fn fragments(len: usize) -> SendOptions {
    SendOptions { fragment: NonZeroUsize::new(len), ..SendOptions::default() }
}

/// Sends frames of every kind and returns the bytes of them.
async fn say_everything(mut ws: WebSocket<Script>, script: &Script, peer: From) -> Vec<u8> {
    script.allow_write(usize::MAX);
    for number in 0..400 {
        ws.send(number.to_string()).await.unwrap();
        ws.send(vec![7; number]).await.unwrap();
    }
    ws.send_with("in fragments ".repeat(20), fragments(7)).await.unwrap();
    let mut writer = ws.writer(Kind::Binary);
    writer.write([1, 2, 3]).await.unwrap();
    writer.finish().await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(ws.ping()).is_none());
    let last_words = [
        whole(peer, PING, b"are you there"),
        whole(peer, TEXT, b"then go"),
        whole(peer, CLOSE, &1000u16.to_be_bytes()),
    ];
    script.push(&last_words.concat());
    script.allow_read(usize::MAX);
    while ws.recv().await.unwrap().is_some() {}
    script.take_written()
}

fn assert_every_kind(frames: &[Frame]) {
    for opcode in [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] {
        assert!(frames.iter().any(|frame| frame.opcode == opcode), "{opcode}");
    }
}

// FRM-036
#[tokio::test]
async fn a_client_masks_each_frame_with_a_new_key() {
    let (ws, script) = scripted(From::Server, Config::client()).await;
    let bytes = say_everything(ws, &script, From::Server).await;
    let frames = parse_all(&bytes);
    assert_every_kind(&frames);
    assert!(frames.iter().all(|frame| frame.masked));

    let (mut keys, mut rest) = (HashSet::new(), &bytes[..]);
    while let Some((frame, len)) = parse_one(rest) {
        let key_at = len - frame.payload.len() - 4;
        keys.insert(<[u8; 4]>::try_from(&rest[key_at..key_at + 4]).unwrap());
        rest = &rest[len..];
    }
    // Chance repeats one key in 10,000 runs, and three in 10^13.
    assert!(frames.len() > 800 && keys.len() + 2 >= frames.len());
}

// FRM-036
#[tokio::test]
async fn a_server_never_masks() {
    let (ws, script) = scripted(From::Client, Config::server()).await;
    let frames = parse_all(&say_everything(ws, &script, From::Client).await);
    assert_every_kind(&frames);
    assert!(frames.iter().all(|frame| !frame.masked));
}

/// What arrived: messages put together by the strictest reading, and control frames inside them.
#[derive(Default)]
struct Assembled {
    messages: Vec<Vec<u8>>,
    inside: usize,
    open: Option<Vec<u8>>,
}

impl Assembled {
    fn add(&mut self, frame: Frame) {
        match (frame.opcode, &mut self.open) {
            (PING | PONG, open) => self.inside += usize::from(open.is_some()),
            (TEXT | BINARY, None) => self.open = Some(frame.payload),
            (CONTINUATION, Some(open)) => open.extend(frame.payload),
            (opcode, _) => panic!("frame of opcode {opcode} inside a message, or beside one"),
        }
        if frame.fin && frame.opcode < CLOSE {
            self.messages.extend(self.open.take());
        }
    }
}

const EACH: usize = 60;

/// Sends messages of one letter each, so that a foreign fragment shows.
async fn send_letters(sender: Sender<DuplexStream>, letter: u8) {
    for number in 0..EACH {
        let message = vec![letter; 50 + number * 7];
        match number % 3 {
            0 => sender.send_with(message, fragments(13)).await.unwrap(),
            1 => sender.send(message).await.unwrap(),
            _ => sender.feed(message).await.unwrap(),
        }
    }
}

/// Reads what four senders and two pinging tasks send, pinging too, and answers pings.
async fn assemble(raw: &mut Raw<DuplexStream>) -> Assembled {
    let mut assembled = Assembled::default();
    while assembled.messages.len() < 4 * EACH {
        let frame = raw.frame().await.unwrap();
        if frame.opcode == PING {
            raw.send(PONG, &frame.payload).await;
        } else if frame.opcode != PONG && assembled.messages.len() % 16 == 0 {
            raw.send(PING, b"between").await;
        }
        assembled.add(frame);
    }
    assembled
}

// FRM-038
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_many_senders_never_mix_and_only_control_frames_come_between() {
    for peer in [From::Client, From::Server] {
        let mut config = if peer == From::Client { Config::server() } else { Config::client() };
        config.limits.control_rate = u16::MAX;
        // So narrow that every fragmented message waits on the way.
        let (ws, mut raw) = with_raw(peer, config, 64).await;
        let (sender, mut receiver) = ws.split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        let senders: Vec<_> = (b'a'..=b'd')
            .map(|letter| tokio::spawn(send_letters(sender.clone(), letter)))
            .collect();
        let pinging = sender.clone();
        let pings = tokio::spawn(async move { while pinging.ping().await.is_ok() {} });
        let assembled = assemble(&mut raw).await;
        for message in &assembled.messages {
            assert!(message.iter().all(|byte| byte == &message[0]), "{message:?}");
        }
        for task in senders {
            task.await.unwrap();
        }
        drop(raw);
        let _ = receiving.await.unwrap();
        pings.await.unwrap();
    }
}

// FRM-038
#[tokio::test]
async fn a_ping_is_answered_inside_a_message_that_is_being_sent() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    let mut assembled = Assembled::default();
    let mut writer = ws.writer(Kind::Text);
    for number in 0..10u8 {
        raw.send(PING, &[number]).await;
        writer.write("piece").await.unwrap();
        // What was read with the last piece is answered with this one.
        writer.write("piece").await.unwrap();
        assembled.add(raw.frame().await.unwrap());
        assembled.add(raw.frame().await.unwrap());
    }
    writer.finish().await.unwrap();
    while assembled.messages.is_empty() {
        assembled.add(raw.frame().await.unwrap());
    }
    assert_eq!(assembled.messages, ["piece".repeat(20).into_bytes()]);
    assert!(assembled.inside > 0, "a pong came between");
}
