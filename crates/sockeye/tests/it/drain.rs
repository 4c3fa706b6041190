//! How a server takes leave of its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye::{CloseCode, Config, Drain, Server};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::handshake::assert_retry_after;
use crate::support::{CLOSE, From, REQUEST, Raw, echo, raw_client};

const LONG: Duration = Duration::from_secs(3600);

/// Serves until told to stop.
async fn serve(
    server: Server,
    drain: Drain,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<sockeye::Result<()>>) {
    let server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve_until(stopped, drain));
    (address, stop, task)
}

#[tokio::test]
async fn every_connection_gets_a_close_frame_and_the_server_waits_for_their_answers() {
    let drain = Drain::new(CloseCode::RESTART, Duration::ZERO, LONG);
    let (address, stop, serving) = serve(echo(Config::server()), drain).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(raw_client(address).await);
    }
    stop.send(()).unwrap();
    for mut client in clients {
        assert!(!serving.is_finished());
        assert_eq!(client.frame().await.unwrap().close_code(), Some(1012));
        client.send(CLOSE, &1012u16.to_be_bytes()).await;
        assert_eq!(client.frame().await, None);
    }
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_handler_that_is_stuck_is_dropped_at_the_deadline() {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let dropped = Arc::new(Notify::new());
    let notify = dropped.clone();
    let server = Server::bind("127.0.0.1:0").route("/", move |ws, _| {
        let guard = OnDrop(notify.clone());
        async move {
            std::future::pending::<()>().await;
            drop((ws, guard));
            Ok(())
        }
    });
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, Duration::from_millis(20));
    let (address, stop, serving) = serve(server, drain).await;
    let mut client = raw_client(address).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    dropped.notified().await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_connection_whose_turn_comes_after_the_deadline_is_dropped_at_the_deadline() {
    let drain = Drain::new(CloseCode::AWAY, LONG, Duration::from_millis(20));
    let (address, stop, serving) = serve(echo(Config::server()), drain).await;
    let mut client = raw_client(address).await;
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_handler_that_only_sends_sees_the_end_too() {
    let server = Server::bind("127.0.0.1:0").route("/", |mut ws, _| async move {
        loop {
            ws.send("tick").await?;
            tokio::task::yield_now().await;
        }
    });
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, LONG);
    let (address, stop, serving) = serve(server, drain).await;
    let mut client = raw_client(address).await;
    client.frame().await.unwrap();
    stop.send(()).unwrap();
    while client.frame().await.unwrap().close_code() != Some(1001) {}
    client.send(CLOSE, &1001u16.to_be_bytes()).await;
    drop(client);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_split_and_moved_away_is_asked_to_close() {
    let server = Server::bind("127.0.0.1:0").route("/", |ws, _| async move {
        let (_, mut receiver) = ws.split();
        tokio::spawn(async move { while let Ok(Some(_)) = receiver.recv().await {} });
        Ok(())
    });
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, LONG);
    let (address, stop, serving) = serve(server, drain).await;
    let mut client = raw_client(address).await;
    stop.send(()).unwrap();
    assert_eq!(client.frame().await.unwrap().close_code(), Some(1001));
    client.send(CLOSE, &1001u16.to_be_bytes()).await;
    drop(client);
    serving.await.unwrap().unwrap();
}

// HSS-075
#[tokio::test]
async fn a_handshake_that_comes_while_draining_is_answered_503_with_retry_after() {
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, LONG);
    let (address, stop, serving) = serve(echo(Config::server()), drain).await;
    let mut open = raw_client(address).await;
    let mut late = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    let (first, rest) = REQUEST.split_at(10);
    late.write(first.as_bytes()).await;
    // Accepting stops with the drain, so this one must have been accepted before.
    let witness = raw_client(address).await;
    stop.send(()).unwrap();
    assert_eq!(open.frame().await.unwrap().close_code(), Some(1001));
    late.write(rest.as_bytes()).await;
    let answer = String::from_utf8(late.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_retry_after(&answer);
    for mut client in [open, witness] {
        client.send(CLOSE, &1001u16.to_be_bytes()).await;
    }
    serving.await.unwrap().unwrap();
}
