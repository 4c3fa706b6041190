//! Handlers on connections whose transport does exactly what a test says: every cut, every write.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use sockeye::handler::{Handler, MessageRef, Out, Sender, Sent, Topics};
use sockeye::{CloseInfo, Config, Message, Side};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::yield_now;

use crate::support::{
    BINARY, CLOSE, CONTINUATION, From, PING, PONG, REQUEST, Raw, TEXT, frame, parse_all, scripted,
    whole,
};

/// What a handler was told, in order.
type Told = Arc<Mutex<Vec<Call>>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Open,
    Message(Vec<u8>),
    Close(CloseInfo),
}

/// A handler that reports, and echoes unless told to be silent.
struct Reporter {
    told: Told,
    echoes: bool,
}

impl Reporter {
    fn echo() -> (Self, Told) {
        let told = Told::default();
        (Self { told: told.clone(), echoes: true }, told)
    }

    fn silent() -> (Self, Told) {
        let (mut reporter, told) = Self::echo();
        reporter.echoes = false;
        (reporter, told)
    }
}

impl Handler for Reporter {
    fn open(&mut self, _: &mut Out<'_>) {
        self.told.lock().unwrap().push(Call::Open);
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        self.told.lock().unwrap().push(Call::Message(message.as_bytes().to_vec()));
        if self.echoes {
            assert_ne!(out.send(message), Sent::Dropped);
        }
    }

    fn close(&mut self, info: &CloseInfo) {
        self.told.lock().unwrap().push(Call::Close(info.clone()));
    }
}

fn abnormal() -> CloseInfo {
    CloseInfo { code: 1006.into(), reason: String::new(), clean: false, by: Side::Transport }
}

fn told(told: &Told) -> Vec<Call> {
    told.lock().unwrap().clone()
}

/// Messages with everything that can stand between them, and what they come to.
fn wire(from: From) -> (Vec<u8>, Vec<Call>) {
    let bytes = [
        whole(from, TEXT, "h\u{e9}llo".as_bytes()),
        frame(from, BINARY, &[1, 2, 3]),
        whole(from, PING, b"one"),
        whole(from, CONTINUATION, &[4]),
        whole(from, TEXT, b""),
        whole(from, BINARY, &[7; 300]),
    ];
    let messages = ["h\u{e9}llo".as_bytes(), &[1, 2, 3, 4], b"", &[7; 300]];
    let calls = messages.map(|message| Call::Message(message.to_vec()));
    (bytes.concat(), [vec![Call::Open], calls.to_vec()].concat())
}

// SAF-013
#[tokio::test]
async fn a_run_tells_and_answers_each_message_once_wherever_reads_and_writes_are_cut() {
    for from in [From::Client, From::Server] {
        let (bytes, expected) = wire(from);
        let (ws, script) = scripted(from, Config::server()).await;
        script.push(&bytes);
        let (handler, calls) = Reporter::echo();
        let mut run = Box::pin(ws.run(handler));
        for _ in 0..bytes.len() {
            script.allow_read(1);
            script.allow_write(1);
            assert!((&mut run).now_or_never().is_none());
        }
        script.allow_write(usize::MAX);
        assert!((&mut run).now_or_never().is_none());
        assert_eq!(told(&calls), expected);
        let opcodes: Vec<_> = parse_all(&script.take_written())
            .iter()
            .map(|frame| (frame.opcode, frame.masked))
            .collect();
        let masked = from == From::Server;
        let expected = [TEXT, PONG, BINARY, TEXT, BINARY].map(|opcode| (opcode, masked));
        assert_eq!(opcodes, expected);
    }
}

// SAF-013
#[tokio::test(start_paused = true)]
async fn a_run_dropped_at_every_byte_says_goodbye_on_both_sides_once_and_cuts_no_frame() {
    let (bytes, expected) = wire(From::Client);
    for cut in 0..=bytes.len() {
        let (ws, script) = scripted(From::Client, Config::server()).await;
        script.push(&bytes);
        script.allow_read(cut);
        // What is written is cut elsewhere than what is read.
        script.allow_write(cut / 2);
        let (handler, calls) = Reporter::echo();
        let mut run = Box::pin(ws.run(handler));
        assert!((&mut run).now_or_never().is_none());
        drop(run);
        let calls = told(&calls);
        let Some((Call::Close(info), before)) = calls.split_last() else { panic!("{calls:?}") };
        assert_eq!(*info, abnormal());
        assert!(expected.starts_with(before), "cut at {cut}");
        script.allow_write(usize::MAX);
        script.push(&whole(From::Client, CLOSE, &1000u16.to_be_bytes()));
        script.allow_read(usize::MAX);
        script.end();
        while !script.is_dropped() {
            yield_now().await;
        }
        let frames = parse_all(&script.written());
        assert_eq!(frames.last().and_then(|frame| frame.close_code()), Some(1000), "{cut}");
        assert_eq!(frames.iter().filter(|frame| frame.opcode == CLOSE).count(), 1);
    }
}

#[tokio::test]
async fn a_run_that_was_never_awaited_calls_nothing() {
    let (ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_write(usize::MAX);
    let (handler, calls) = Reporter::echo();
    drop(ws.run(handler));
    assert!(told(&calls).is_empty());
}

#[tokio::test]
async fn a_run_ends_with_how_the_connection_did_and_its_handler_is_told_the_same() {
    let (ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_write(usize::MAX);
    script.push(&whole(From::Client, CLOSE, b"\x0b\xb9bye"));
    script.allow_read(usize::MAX);
    script.end();
    let (handler, calls) = Reporter::echo();
    let info = ws.run(handler).await;
    assert_eq!((info.code, info.reason.as_str(), info.clean), (3001.into(), "bye", true));
    assert_eq!(told(&calls), [Call::Open, Call::Close(info)]);
    assert_eq!(parse_all(&script.written())[0].close_code(), Some(3001));
}

#[tokio::test]
async fn what_arrived_before_the_run_comes_first() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    let messages = ["one", "two", "three", "four"];
    let bytes: Vec<Vec<u8>> =
        messages.iter().map(|text| whole(From::Client, TEXT, text.as_bytes())).collect();
    script.push(&bytes.concat());
    script.allow_read(usize::MAX);
    assert_eq!(ws.recv().await.unwrap(), Some(Message::text("one")));
    // A sender whose peer does not read keeps what arrives.
    assert!(ws.send("first").now_or_never().is_none());
    script.push(&whole(From::Client, TEXT, b"five"));
    let (handler, calls) = Reporter::silent();
    script.allow_write(usize::MAX);
    let mut run = Box::pin(ws.run(handler));
    assert!((&mut run).now_or_never().is_none());
    let later = ["two", "three", "four", "five"].map(|text| Call::Message(text.into()));
    assert_eq!(told(&calls), [vec![Call::Open], later.to_vec()].concat());
    assert_eq!(parse_all(&script.written())[0].payload, b"first");
}

/// A transport that counts its writes.
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Shakes hands over a transport that counts writes.
async fn counted() -> (sockeye::WebSocket<Counted>, Raw<DuplexStream>, Arc<AtomicUsize>) {
    let (ours, theirs) = duplex(1 << 20);
    let writes = Arc::new(AtomicUsize::new(0));
    let mut raw = Raw::new(theirs, From::Client);
    raw.write(REQUEST.as_bytes()).await;
    let io = Counted { io: ours, writes: writes.clone() };
    let ws = sockeye::accept(io).await.unwrap().0;
    raw.head().await;
    writes.store(0, Ordering::Relaxed);
    (ws, raw, writes)
}

#[tokio::test]
async fn answers_to_what_one_read_brought_leave_with_one_write() {
    let (ws, mut raw, writes) = counted().await;
    let sent = whole(From::Client, TEXT, b"hello").repeat(100);
    raw.write(&[&sent[..], &whole(From::Client, PING, b"p")].concat()).await;
    let (handler, _) = Reporter::echo();
    let mut run = Box::pin(ws.run(handler));
    assert!((&mut run).now_or_never().is_none());
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    for _ in 0..100 {
        assert_eq!(raw.frame().await.unwrap().payload, b"hello");
    }
    assert_eq!(raw.frame().await.unwrap().opcode, PONG);
}

#[tokio::test]
async fn what_others_sent_meanwhile_leaves_with_one_write() {
    let (ws, mut raw, writes) = counted().await;
    let topics = Topics::new();
    let sender: Arc<Mutex<Option<Sender>>> = Arc::default();
    let keep = sender.clone();
    let handler = move |_: MessageRef<'_>, out: &mut Out<'_>| {
        out.subscribe("t");
        *keep.lock().unwrap() = Some(out.sender());
    };
    raw.send(TEXT, b"go").await;
    let mut run = Box::pin(ws.run_with(handler, &topics));
    assert!((&mut run).now_or_never().is_none());
    topics.publish("t", "one");
    sender.lock().unwrap().as_ref().unwrap().send("two");
    topics.publish("t", "three");
    topics.publish("u", "not for this one");
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    assert!((&mut run).now_or_never().is_none());
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    for expected in ["one", "two", "three"] {
        assert_eq!(raw.frame().await.unwrap().payload, expected.as_bytes());
    }
}

#[tokio::test]
async fn what_a_client_is_published_goes_out_masked() {
    let (ws, script) = scripted(From::Server, Config::client()).await;
    script.allow_write(usize::MAX);
    script.push(&whole(From::Server, TEXT, b"go"));
    script.allow_read(usize::MAX);
    let topics = Topics::new();
    let join = |_: MessageRef<'_>, out: &mut Out<'_>| out.subscribe("t");
    let mut run = Box::pin(ws.run_with(join, &topics));
    assert!((&mut run).now_or_never().is_none());
    topics.publish("t", "hello");
    assert!((&mut run).now_or_never().is_none());
    let frames = parse_all(&script.written());
    assert_eq!((frames[0].masked, &frames[0].payload[..]), (true, &b"hello"[..]));
}

#[tokio::test]
async fn a_peer_that_never_stops_sending_leaves_the_thread_to_others() {
    let (ws, mut raw, _) = counted().await;
    let flood = whole(From::Client, TEXT, b"more").repeat(10_000);
    let flooding = tokio::spawn(async move { while raw.io.write_all(&flood).await.is_ok() {} });
    let (handler, calls) = Reporter::silent();
    let running = tokio::spawn(ws.run(handler));
    // This task has the same one thread.
    while told(&calls).len() < 100_000 {
        yield_now().await;
    }
    running.abort();
    flooding.await.unwrap();
}
