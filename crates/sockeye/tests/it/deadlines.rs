//! Every deadline, by tokio's paused clock: it jumps to the next timer when nothing else can happen.

use std::time::Duration;

use sockeye::{Acceptor, Client, CloseCode, Config, ErrorKind, Keepalive, Side};
use tokio::io::{AsyncWriteExt, duplex};
#[cfg(target_os = "linux")]
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::support::{CLOSE, From, PING, PONG, REQUEST, Raw, TEXT, frame, whole, with_raw};

const SECOND: Duration = Duration::from_secs(1);

/// Runs `future` and returns its result with the time that it took, which must be `seconds`.
async fn takes<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = future.await;
    let took = start.elapsed();
    let expected = SECOND * u32::try_from(seconds).unwrap();
    assert!(took >= expected && took < expected + SECOND / 10, "{took:?}, not {expected:?}");
    result
}

fn quiet() -> Config {
    let mut config = Config::server();
    config.keepalive = None;
    config
}

// HSS-041
#[tokio::test(start_paused = true)]
async fn a_request_that_drips_is_answered_408_at_the_deadline_of_all_of_it() {
    let (ours, mut theirs) = duplex(1 << 10);
    let drip = async {
        for byte in REQUEST.as_bytes() {
            if theirs.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(2 * SECOND).await;
        }
    };
    let accept = async { Acceptor::new().accept(ours).await.unwrap_err().kind() };
    let kind = tokio::select! {
        () = drip => panic!("the request came through"),
        // The refusal then waits a second for a peer that goes on sending.
        kind = takes(11, accept) => kind,
    };
    assert_eq!(kind, ErrorKind::Timeout);
    let answer = Raw::new(theirs, From::Client).rest().await;
    assert!(answer.starts_with(b"HTTP/1.1 408 "));
}

// HSS-042
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_nothing_is_closed_without_a_word() {
    let (ours, theirs) = duplex(1 << 10);
    let error = takes(10, Acceptor::new().accept(ours)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(Raw::new(theirs, From::Client).rest().await.is_empty());
}

/// Listens where no more connections are taken: the system swallows what asks for one.
#[cfg(target_os = "linux")]
async fn swallows() -> (TcpListener, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let waits = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener, waits)
}

// HSC-026
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_server_that_swallows_packets_is_given_up_after_ten_seconds() {
    let (listener, _waits) = swallows().await;
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let error = takes(10, sockeye::connect(&url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "connecting took longer than 10s");
}

// HSC-017
#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_is_given_up_after_ten_seconds() {
    let (ours, _theirs) = duplex(1 << 10);
    let error = takes(10, Client::default().request("ws://x/").over(ours)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

// HSC-018
#[tokio::test(start_paused = true)]
async fn a_server_that_drips_its_answer_is_given_up_after_ten_seconds() {
    let (ours, mut theirs) = duplex(1 << 10);
    let drip = async {
        for byte in b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" {
            theirs.write_all(&[*byte]).await.unwrap();
            sleep(SECOND).await;
        }
    };
    let open = async {
        takes(10, Client::default().request("ws://x/").over(ours)).await.unwrap_err().kind()
    };
    tokio::select! {
        () = drip => panic!("nobody gave up"),
        kind = open => assert_eq!(kind, ErrorKind::Timeout),
    }
}

// CLS-009
#[tokio::test(start_paused = true)]
async fn a_close_that_is_not_answered_ends_with_1006_after_five_seconds() {
    for peer in [From::Client, From::Server] {
        let (ws, mut raw) = with_raw(peer, Config::server(), 1 << 10).await;
        let info = takes(5, ws.close(CloseCode::NORMAL, "")).await.unwrap();
        assert_eq!((info.code, info.clean, info.by), (CloseCode::ABNORMAL, false, Side::Transport));
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
        assert_eq!(raw.frame().await, None);
    }
}

// CLS-010
#[tokio::test(start_paused = true)]
async fn a_peer_that_streams_on_after_our_close_frame_is_cut_off_after_five_seconds() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    let stream = async {
        let bytes = whole(From::Client, TEXT, &[b'x'; 500]);
        while raw.io.write_all(&bytes).await.is_ok() {
            sleep(SECOND / 100).await;
        }
    };
    let (info, ()) = tokio::join!(takes(5, ws.close(CloseCode::NORMAL, "")), stream);
    assert_eq!(info.unwrap().code, CloseCode::ABNORMAL);
}

// CLS-012
#[tokio::test(start_paused = true)]
async fn a_close_behind_data_that_a_stalled_peer_does_not_read_gives_up_after_five_seconds() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    ws.try_send(vec![0; 1 << 20]).unwrap();
    let info = takes(5, ws.close(CloseCode::NORMAL, "")).await.unwrap();
    assert_eq!(info.code, CloseCode::ABNORMAL);
    assert_eq!(raw.frame_is_cut().await, 1 << 10);
}

// LIM-001
#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_pinged_after_25_seconds_and_given_up_10_later() {
    for peer in [From::Client, From::Server] {
        let (mut ws, mut raw) = with_raw(peer, Config::server(), 1 << 10).await;
        let pinged = async {
            let ping = takes(25, raw.frame()).await.unwrap();
            assert_eq!(ping.opcode, PING);
        };
        let (error, ()) = tokio::join!(takes(35, ws.recv()), pinged);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.close_info().unwrap().code, CloseCode::ABNORMAL);
        assert_eq!(ws.recv().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_stays_and_its_round_trip_is_known() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    let peer = async {
        for _ in 0..10 {
            let ping = raw.frame().await.unwrap();
            sleep(SECOND).await;
            raw.send(PONG, &ping.payload).await;
        }
        raw.send(TEXT, b"alive").await;
    };
    let (message, ()) = tokio::join!(ws.recv(), peer);
    assert_eq!(message.unwrap().unwrap().as_text(), Some("alive"));
    let rtt = ws.rtt().unwrap();
    assert!(rtt >= SECOND && rtt < SECOND + SECOND / 10, "{rtt:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_peer_is_found_while_only_a_message_in_pieces_is_awaited() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    raw.write(&frame(From::Client, TEXT, b"begun")).await;
    let mut reader = ws.reader().await.unwrap().unwrap();
    assert!(reader.chunk().await.unwrap().is_some());
    let error = takes(35, reader.chunk()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_not_dead_because_this_end_does_not_read() {
    let mut config = Config::server();
    config.keepalive = Some(Keepalive::new(2 * SECOND, SECOND));
    let (mut ws, mut raw) = with_raw(From::Client, config, 256 << 10).await;
    for _ in 0..3 {
        raw.send(TEXT, &[b'x'; 60 << 10]).await;
    }
    // The peer reads nothing for ten seconds, then everything.
    let send = ws.send(vec![0; 1 << 20]);
    let peer = async {
        sleep(10 * SECOND).await;
        while raw.frame().await.unwrap().payload.len() != 1 << 20 {}
    };
    let (sent, ()) = tokio::join!(send, peer);
    sent.unwrap();
    for _ in 0..3 {
        assert_eq!(ws.recv().await.unwrap().unwrap().as_bytes().len(), 60 << 10);
    }
}

// LIM-005
#[tokio::test(start_paused = true)]
async fn a_connection_without_messages_closes_with_1001_idle() {
    let mut config = quiet();
    config.timeouts.idle = Some(60 * SECOND);
    let (mut ws, mut raw) = with_raw(From::Client, config, 1 << 10).await;
    let peer = async {
        sleep(30 * SECOND).await;
        raw.send(TEXT, b"not yet").await;
        let close = takes(60, raw.frame()).await.unwrap();
        assert_eq!((close.close_code(), &close.payload[2..]), (Some(1001), &b"idle"[..]));
        raw.send(CLOSE, &1001u16.to_be_bytes()).await;
    };
    let receive = async {
        assert!(ws.recv().await.unwrap().is_some());
        assert!(ws.recv().await.unwrap().is_none());
        ws.close_info().unwrap().code
    };
    let ((), code) = tokio::join!(peer, receive);
    assert_eq!(code, CloseCode::AWAY);
}

// LIM-011
#[tokio::test(start_paused = true)]
async fn a_connection_closes_with_1001_at_its_lifetime_and_up_to_a_tenth_more() {
    let mut ages = Vec::new();
    for peer in [From::Client, From::Server].into_iter().cycle().take(20) {
        let mut config = quiet();
        config.timeouts.lifetime = Some(3600 * SECOND);
        let (mut ws, mut raw) = with_raw(peer, config, 1 << 10).await;
        let born = tokio::time::Instant::now();
        let told = async { (raw.frame().await.unwrap().close_code(), born.elapsed()) };
        let (_, (code, age)) = tokio::join!(ws.recv(), told);
        assert_eq!(code, Some(1001));
        assert!((3600 * SECOND..=3961 * SECOND).contains(&age), "{age:?}");
        ages.push(age);
    }
    ages.sort();
    assert!(ages.windows(2).any(|pair| pair[1] - pair[0] > SECOND), "spread: {ages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_send_that_the_peer_does_not_read_fails_after_the_write_stall_and_the_close() {
    let (mut ws, _raw) = with_raw(From::Client, quiet(), 1 << 10).await;
    let error = takes(35, ws.send(vec![0; 1 << 20])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(ws.recv().await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_finished_in_a_minute_fails_the_connection() {
    let (mut ws, mut raw) = with_raw(From::Client, quiet(), 1 << 10).await;
    let peer = async {
        raw.write(&frame(From::Client, TEXT, b"a")).await;
        loop {
            tokio::select! {
                frame = raw.frame() => return frame.unwrap().close_code(),
                () = sleep(7 * SECOND) => {}
            }
            raw.write(&frame(From::Client, 0, b"a")).await;
        }
    };
    let (result, code) = tokio::join!(takes(60, ws.recv()), peer);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(code.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_waits_a_second_for_the_answer() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    drop(ws);
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
    assert_eq!(takes(1, raw.frame()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_two_seconds_for_the_server_to_close_first() {
    let (ws, mut raw) = with_raw(From::Server, Config::client(), 1 << 10).await;
    let peer = async {
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
        raw.send(CLOSE, &1000u16.to_be_bytes()).await;
    };
    let (info, ()) = tokio::join!(takes(2, ws.close(CloseCode::NORMAL, "")), peer);
    assert!(info.unwrap().clean);
}
