//! Control frames in every state, and how connections end.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use futures_util::FutureExt;
use sockeye::{Client, CloseCode, Config, ErrorKind, Event, Result, Server, Side, WebSocket};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::yield_now;

use crate::support::{
    BINARY, CLOSE, From, PING, PONG, Raw, TEXT, answer, echo, frame, parse_all, raw_client,
    scripted, start, whole, with_raw,
};

/// Lets other tasks run until `ready`.
async fn until(mut ready: impl FnMut() -> bool) {
    while !ready() {
        yield_now().await;
    }
}

#[tokio::test]
async fn pings_are_answered_while_only_sending_flushing_or_pinging() {
    for from in [From::Client, From::Server] {
        let (mut ws, script) = scripted(from, Config::server()).await;
        script.push(&whole(from, PING, b"1"));
        script.allow_read(usize::MAX);
        // The transport takes the first byte only, so that each call waits.
        script.allow_write(1);
        assert!(ws.send("sent").now_or_never().is_none());
        script.push(&whole(from, PING, b"2"));
        assert!(ws.flush().now_or_never().is_none());
        script.push(&whole(from, PING, b"3"));
        assert!(ws.ping().now_or_never().is_none());
        script.allow_write(usize::MAX);
        script.push(&whole(from, PING, b"4"));
        ws.flush().await.unwrap();
        let frames = parse_all(&script.written()).into_iter();
        let pongs: Vec<_> =
            frames.filter(|frame| frame.opcode == PONG).map(|frame| frame.payload).collect();
        assert_eq!(pongs, [b"1", b"2", b"3", b"4"]);
    }
}

#[tokio::test]
async fn pings_are_answered_while_only_the_sending_half_is_awaited() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 64).await;
    let (sender, mut receiver) = ws.split();
    raw.send(PING, b"still there?").await;
    let send = sender.send("x".repeat(1000));
    let read = async { (raw.frame().await.unwrap(), raw.frame().await.unwrap()) };
    let (sent, (first, second)) = tokio::join!(send, read);
    sent.unwrap();
    let mut opcodes = [first.opcode, second.opcode];
    opcodes.sort_unstable();
    assert_eq!(opcodes, [TEXT, PONG]);
    assert_eq!(receiver.event().await.unwrap(), Some(Event::Ping((&b"still there?"[..]).into())));
}

#[tokio::test]
async fn a_ping_measures_while_messages_wait_to_be_received() {
    let (mut ws, mut raw) = with_raw(From::Server, Config::client(), 1 << 10).await;
    let peer = async {
        raw.send(TEXT, b"first").await;
        let ping = raw.frame().await.unwrap();
        raw.send(TEXT, b"second").await;
        raw.send(PONG, &ping.payload).await;
    };
    let (rtt, ()) = tokio::join!(ws.ping(), peer);
    rtt.unwrap();
    for text in ["first", "second"] {
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(text));
    }
}

#[tokio::test]
async fn a_ping_behind_more_messages_than_are_kept_ends_with_an_error() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_write(usize::MAX);
    script.allow_read(usize::MAX);
    for _ in 0..70 {
        script.push(&whole(From::Client, BINARY, &[0; 1 << 10]));
    }
    assert_eq!(ws.ping().await.unwrap_err().kind(), ErrorKind::TooBig);
    for _ in 0..70 {
        assert!(ws.recv().await.unwrap().is_some());
    }
}

// LIM-010
#[tokio::test]
async fn reading_stops_while_the_application_only_sends() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_read(usize::MAX);
    let mut pushed = 0;
    for payload in [&[0; 1 << 10][..], b""] {
        let bytes = whole(From::Client, TEXT, payload).repeat(40_000);
        pushed += bytes.len();
        script.push(&bytes);
    }
    assert!(ws.send("waits").now_or_never().is_none());
    let read = pushed - script.unread();
    assert!(read <= (64 << 10) + (1 << 10), "{read}");
    // Once there is room again, pings among what comes next are answered.
    script.push(&whole(From::Client, PING, b"late"));
    script.allow_write(usize::MAX);
    for _ in 0..79_999 {
        assert!(ws.recv().await.unwrap().is_some());
    }
    ws.flush().await.unwrap();
    assert_eq!(parse_all(&script.written()).last().unwrap().opcode, PONG);
    assert!(ws.recv().await.unwrap().is_some());
}

// LIM-010
#[tokio::test]
async fn a_flood_of_empty_messages_is_bounded_too() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_read(usize::MAX);
    let bytes = whole(From::Client, TEXT, b"").repeat(100_000);
    script.push(&bytes);
    for _ in 0..100 {
        assert!(ws.send("w").now_or_never().is_none());
    }
    let read = bytes.len() - script.unread();
    assert!(read <= 64 << 10, "{read}");
}

#[tokio::test]
async fn a_queue_above_its_soft_mark_makes_send_wait_and_a_full_one_refuses() {
    let (mut ws, script) = scripted(From::Client, Config::server()).await;
    let piece = vec![0; 16 << 10];
    while ws.buffered_amount() <= 64 << 10 {
        ws.try_send(piece.clone()).unwrap();
    }
    assert!(ws.send("waits").now_or_never().is_none());
    assert!(ws.feed("waits").now_or_never().is_none());
    let error = loop {
        match ws.try_send(piece.clone()) {
            Ok(()) => assert!(ws.buffered_amount() <= (1 << 20) + 16),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::BufferFull);
    assert_eq!(error.into_message().unwrap().as_bytes(), piece);
    script.allow_write(usize::MAX);
    ws.send("goes").await.unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_no_bytes_any_more_is_told_to_the_sender_at_once() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let mut raw = Raw::new(theirs, From::Client);
    let (accepted, ()) = tokio::join!(sockeye::accept(ours), async {
        raw.write(crate::support::REQUEST.as_bytes()).await;
        raw.head().await;
    });
    let mut ws = accepted.unwrap().0;
    for _ in 0..80 {
        ws.try_send(vec![0; 1 << 10]).unwrap();
    }
    drop(raw);
    let error = ws.feed("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.into_message().unwrap().as_text(), Some("x"));
}

/// Peer faults over TCP, with much behind them that nobody will read, and their codes.
fn faults() -> Vec<(Vec<u8>, u16)> {
    let from = From::Client;
    vec![
        (frame(from, 0xc1, b"rsv1"), 1002),
        (frame(from, 0x83, b"opcode"), 1002),
        (whole(From::Server, TEXT, b"unmasked"), 1002),
        (whole(from, 0, b"nothing to continue"), 1002),
        (whole(from, CLOSE, &[3]), 1002),
        (whole(from, TEXT, &[0xff]), 1007),
        (whole(from, CLOSE, &[3, 232, 0xff]), 1007),
        (whole(from, BINARY, &vec![0; (1 << 20) + 1])[..20].to_vec(), 1009),
    ]
}

// FRM-046
#[tokio::test]
async fn the_close_frame_of_a_fault_arrives_whatever_the_peer_sent_behind_it() {
    let address = start(echo(Config::server())).await;
    for (bytes, code) in faults() {
        let mut raw = raw_client(address).await;
        raw.write(&bytes).await;
        let _ = raw.io.write_all(&vec![0; 200 << 10]).await;
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(code), "{bytes:?}");
        raw.io.shutdown().await.ok();
        assert!(raw.rest().await.is_empty());
    }
}

// CLS-017
#[tokio::test]
async fn messages_that_came_before_a_reset_are_delivered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let mut raw = Raw::new(listener.accept().await.unwrap().0, From::Server);
        let request = raw.head().await;
        let mut bytes = answer(request.as_bytes());
        bytes.extend(whole(From::Server, TEXT, b"one"));
        bytes.extend(whole(From::Server, TEXT, b"two"));
        raw.write(&bytes).await;
        raw
    };
    let url = format!("ws://{address}/");
    let client = Client::default();
    let (ws, raw) = tokio::join!(client.request(&url), server);
    let mut ws = ws.unwrap();
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("one"));
    raw.io.set_zero_linger().unwrap();
    drop(raw);
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("two"));
    let error = ws.recv().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.close_info().unwrap().code, CloseCode::ABNORMAL);
}

// CLS-018
#[tokio::test]
async fn an_end_without_a_close_frame_is_1006_and_not_clean() {
    for peer in [From::Client, From::Server] {
        let (mut ws, raw) = with_raw(peer, Config::server(), 1 << 10).await;
        drop(raw);
        let error = ws.recv().await.unwrap_err();
        let info = error.close_info().unwrap();
        assert_eq!((info.code, info.clean, info.by), (CloseCode::ABNORMAL, false, Side::Transport));
        assert_eq!(ws.recv().await.unwrap(), None);
    }
}

async fn fails(mut ws: WebSocket) -> Result<()> {
    ws.recv().await?;
    Err(sockeye::Error::other("no"))
}

async fn panics(mut ws: WebSocket) -> Result<()> {
    ws.recv().await?;
    std::panic::resume_unwind(Box::new("handler"));
}

async fn returns(mut ws: WebSocket) -> Result<()> {
    ws.recv().await?;
    ws.try_send("last")
}

async fn lets_go(mut ws: WebSocket) -> Result<()> {
    ws.recv().await?;
    drop(ws);
    std::future::pending().await
}

// CLS-021
#[tokio::test]
async fn the_end_of_a_handler_closes_its_connection_with_the_code_it_deserves() {
    let server = Server::bind("127.0.0.1:0")
        .route("/fails", |ws, _| fails(ws))
        .route("/panics", |ws, _| panics(ws))
        .route("/returns", |ws, _| returns(ws))
        .route("/letsgo", |ws, _| lets_go(ws))
        .route("/elsewhere", |ws, _| async move {
            tokio::spawn(returns(ws));
            Ok(())
        });
    let address = start(server).await;
    let ends = [
        ("fails", 1011),
        ("panics", 1011),
        ("returns", 1000),
        ("letsgo", 1000),
        ("elsewhere", 1000),
    ];
    for (path, code) in ends {
        let mut ws = sockeye::connect(&format!("ws://{address}/{path}")).await.unwrap();
        ws.send("go").await.unwrap();
        while let Some(message) = ws.recv().await.unwrap() {
            assert_eq!(message.as_text(), Some("last"));
        }
        let info = ws.close_info().unwrap();
        assert_eq!((info.code.get(), info.clean), (code, true), "{path}");
    }
}

// CLS-021
#[tokio::test]
async fn what_was_queued_when_a_connection_is_dropped_leaves_before_the_goodbye() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 64).await;
    ws.try_send("x".repeat(1000)).unwrap();
    drop(ws);
    assert_eq!(raw.frame().await.unwrap().payload.len(), 1000);
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
}

// CLS-021
#[tokio::test]
async fn a_connection_dropped_by_a_panic_closes_with_1011() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 64).await;
    let task = tokio::spawn(async move {
        let _ws = ws;
        std::panic::resume_unwind(Box::new("task"));
    });
    let _: std::result::Result<(), _> = task.await;
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1011));
}

// CLS-011
#[tokio::test]
async fn a_client_leaves_the_end_of_the_transport_to_the_server() {
    let (ws, script) = scripted(From::Server, Config::client()).await;
    script.allow_write(usize::MAX);
    script.allow_read(usize::MAX);
    let closing = tokio::spawn(async move { ws.close(CloseCode::NORMAL, "").await.unwrap() });
    until(|| !script.written().is_empty()).await;
    script.push(&whole(From::Server, CLOSE, &1000u16.to_be_bytes()));
    script.allow_read(0);
    until(|| script.unread() == 0).await;
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!script.is_shut() && !closing.is_finished());
    script.end();
    assert!(closing.await.unwrap().clean);
}

// HSC-031, HSC-009
#[tokio::test]
async fn frames_behind_the_101_in_the_same_segment_are_received() {
    let (ours, theirs) = tokio::io::duplex(1 << 12);
    let mut raw = Raw::new(theirs, From::Server);
    let server = async {
        let request = raw.head().await;
        let mut bytes = answer(request.as_bytes());
        bytes.extend(whole(From::Server, TEXT, b"early"));
        bytes.extend(whole(From::Server, CLOSE, &1008u16.to_be_bytes()));
        raw.write(&bytes).await;
        raw.frame().await.unwrap().close_code()
    };
    let client = async {
        let mut ws = Client::default().request("ws://x/").over(ours).await.unwrap();
        assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some("early"));
        assert_eq!(ws.recv().await.unwrap(), None);
        ws
    };
    let (code, ws) = tokio::join!(server, client);
    assert_eq!(code, Some(1008));
    let info = ws.close_info().unwrap();
    assert_eq!((info.code, info.clean, info.by), (CloseCode::POLICY, true, Side::Remote));
}

struct Woken;

impl Wake for Woken {
    fn wake(self: Arc<Self>) {}
}

#[tokio::test]
async fn a_sender_that_is_done_leaves_no_waker_behind() {
    let (ws, script) = scripted(From::Client, Config::server()).await;
    script.allow_write(usize::MAX);
    let (sender, mut receiver) = ws.split();
    let (task, waiting) = (Arc::new(Woken), Arc::new(Woken));
    let receiver_waker = Waker::from(waiting.clone());
    let mut receive = pin!(receiver.recv());
    assert!(receive.as_mut().poll(&mut Context::from_waker(&receiver_waker)).is_pending());
    drop(receiver_waker);
    for _ in 0..100 {
        let waker = Waker::from(task.clone());
        let mut send = pin!(sender.send("x"));
        assert!(send.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }
    assert_eq!(Arc::strong_count(&task), 1);
    assert_eq!(Arc::strong_count(&waiting), 2, "the half that waits stays registered");
}

#[tokio::test]
async fn a_connection_without_a_runtime_to_say_goodbye_in_just_ends() {
    let (ws, script) = scripted(From::Client, Config::server()).await;
    std::thread::spawn(move || drop(ws)).join().unwrap();
    assert!(script.is_dropped());
}
