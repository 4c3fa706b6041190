//! Both halves at work at once: no wake-up is lost between them.

use sockeye::{CloseCode, Config, ErrorKind, Message, Sender, connect};
use tokio::io::DuplexStream;

use crate::support::{CLOSE, From, TEXT, echo, start, with_raw};

const EACH: usize = 500;

async fn send_all(sender: Sender<DuplexStream>, name: usize) {
    for number in 0..EACH {
        let text = format!("{name} {number} {}", "x".repeat(number % 50 * 40));
        match number % 3 {
            0 => sender.send(text).await.unwrap(),
            1 => sender.feed(text).await.unwrap(),
            _ => {
                let mut message = Message::text(text);
                while let Err(error) = sender.try_send(message) {
                    assert_eq!(error.kind(), ErrorKind::BufferFull);
                    message = error.into_message().unwrap();
                    sender.flush().await.unwrap();
                }
            }
        }
    }
}

// Everything goes through a transport of 64 bytes, so that both halves wait all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_and_an_echoing_peer_move_everything_in_order() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 64).await;
    let (sender, mut receiver) = ws.split();
    let peer = tokio::spawn(async move {
        let mut seen = [0; 4];
        for _ in 0..4 * EACH {
            let text = String::from_utf8(raw.frame().await.unwrap().payload).unwrap();
            let mut words = text.split(' ').map(|word| word.parse::<usize>());
            let (name, number) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
            assert_eq!(seen[name], number);
            seen[name] += 1;
            raw.send(TEXT, text.as_bytes()).await;
        }
        assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
        raw.send(CLOSE, &1000u16.to_be_bytes()).await;
    });
    let receiving = tokio::spawn(async move {
        for _ in 0..4 * EACH {
            assert!(receiver.recv().await.unwrap().is_some());
        }
        receiver
    });
    let senders: Vec<_> = (0..4).map(|name| tokio::spawn(send_all(sender.clone(), name))).collect();
    for task in senders {
        task.await.unwrap();
    }
    let mut receiver = receiving.await.unwrap();
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(receiver.close_info().unwrap().clean);
    peer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_of_many_tasks_are_all_answered() {
    let address = start(echo(Config::server())).await;
    let ws = connect(&format!("ws://{address}/")).await.unwrap();
    let (sender, mut receiver) = ws.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    for _ in 0..20 {
        let pings = (0..8).map(|_| sender.ping());
        for rtt in futures_util::future::join_all(pings).await {
            rtt.unwrap();
        }
    }
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(receiving.await.unwrap().unwrap(), None);
    assert!(sender.is_closed());
}

#[tokio::test]
async fn more_pings_than_are_kept_end_with_an_error_and_none_hangs() {
    let address = start(echo(Config::server())).await;
    let ws = connect(&format!("ws://{address}/")).await.unwrap();
    let (sender, _receiver) = ws.split();
    let results = futures_util::future::join_all((0..40).map(|_| sender.ping())).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 16);
}

#[tokio::test]
async fn a_task_that_only_receives_writes_what_others_queue() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    let (sender, mut receiver) = ws.split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    tokio::task::yield_now().await;
    sender.try_send("queued").unwrap();
    assert_eq!(raw.frame().await.unwrap().payload, b"queued");
    sender.feed("fed").await.unwrap();
    assert_eq!(raw.frame().await.unwrap().payload, b"fed");
    raw.send(TEXT, b"end").await;
    assert!(receiving.await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn both_halves_in_one_select_loop_lose_nothing() {
    let address = start(echo(Config::server())).await;
    let ws = connect(&format!("ws://{address}/")).await.unwrap();
    let (sender, mut receiver) = ws.split();
    let (mut sent, mut received) = (0, 0);
    while received < 1000 {
        tokio::select! {
            result = sender.send(sent.to_string()), if sent < 1000 => {
                result.unwrap();
                sent += 1;
            }
            message = receiver.recv() => {
                let text = message.unwrap().unwrap().as_text().unwrap().to_owned();
                assert_eq!(text, received.to_string());
                received += 1;
            }
        }
    }
}

#[tokio::test]
async fn the_last_half_to_go_says_goodbye() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 10).await;
    let (sender, receiver) = ws.split();
    let other = sender.clone();
    drop(receiver);
    drop(sender);
    other.send("still there").await.unwrap();
    assert_eq!(raw.frame().await.unwrap().payload, b"still there");
    drop(other);
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1000));
}

// A publisher that never yields fills no queue while its members' transports take bytes.
#[tokio::test]
async fn try_send_writes_at_once_though_nobody_drives_the_connection() {
    let (ws, mut raw) = with_raw(From::Client, Config::server(), 1 << 16).await;
    let (sender, _receiver) = ws.split();
    for number in 0..100 {
        sender.try_send(format!("{number}")).unwrap();
        assert_eq!(sender.buffered_amount(), 0);
    }
    for number in 0..100 {
        assert_eq!(raw.frame().await.unwrap().payload, format!("{number}").into_bytes());
    }
}
