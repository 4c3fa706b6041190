//! Paths of a server that run handlers of the callback form.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use sockeye::handler::{Handler, MessageRef, Out, Topics};
use sockeye::{CloseInfo, Config, Drain, Server, Side};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{CLOSE, From, REQUEST, Raw, TEXT, raw_client, start, whole};

/// Returns a handler that sends each message back.
pub(crate) fn echo() -> impl Handler + Copy {
    |message: MessageRef<'_>, out: &mut Out<'_>| {
        let _ = out.send(message);
    }
}

fn server() -> Server {
    Server::bind("127.0.0.1:0")
}

#[tokio::test]
async fn each_connection_of_a_path_has_a_handler_made_for_its_request() {
    let address = start(server().handle("/rooms/{room}", |incoming| {
        let room = incoming.param("room").unwrap().to_owned();
        move |_: MessageRef<'_>, out: &mut Out<'_>| {
            let _ = out.send(room.as_str());
        }
    }))
    .await;
    for room in ["one", "two"] {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut raw = Raw::new(tcp, From::Client);
        let request = REQUEST.replacen("/ ", &format!("/rooms/{room} "), 1);
        raw.write(request.as_bytes()).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
        raw.send(TEXT, b"where am I?").await;
        assert_eq!(raw.frame().await.unwrap().payload, room.as_bytes());
    }
}

#[tokio::test]
async fn bytes_behind_the_request_are_the_first_messages() {
    let address = start(server().handle("/", |_| echo())).await;
    let behind = [whole(From::Client, TEXT, b"one"), whole(From::Client, TEXT, b"two")].concat();
    for cut in 0..=behind.len() {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut raw = Raw::new(tcp, From::Client);
        raw.write(&[REQUEST.as_bytes(), &behind[..cut]].concat()).await;
        raw.head().await;
        raw.write(&behind[cut..]).await;
        assert_eq!(raw.frame().await.unwrap().payload, b"one", "{cut}");
        assert_eq!(raw.frame().await.unwrap().payload, b"two", "{cut}");
    }
}

#[tokio::test]
async fn a_handler_that_cannot_be_made_closes_with_1011_and_others_are_served() {
    let server = server().handle("/", |incoming| {
        assert_eq!(incoming.header("x-good"), Some("yes"), "nobody is told of this");
        echo()
    });
    let address = start(server).await;
    let mut raw = raw_client(address).await;
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1011));
    raw.send(CLOSE, &1011_u16.to_be_bytes()).await;
    assert_eq!(raw.frame().await, None);
    let mut raw = Raw::new(tokio::net::TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(REQUEST.replace("Host: x\r\n", "Host: x\r\nX-Good: yes\r\n").as_bytes()).await;
    raw.head().await;
    raw.send(TEXT, b"hi").await;
    assert_eq!(raw.frame().await.unwrap().payload, b"hi");
}

/// A handler that joins a topic, and tells how it ended.
struct Member(mpsc::Sender<CloseInfo>);

impl Handler for Member {
    fn open(&mut self, out: &mut Out<'_>) {
        out.subscribe("all");
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        out.publish("all", message);
    }

    fn close(&mut self, info: &CloseInfo) {
        self.0.send(info.clone()).unwrap();
    }
}

#[tokio::test]
async fn one_that_has_its_101_gets_all_that_is_published_after_it() {
    let topics = Topics::new();
    let (ends, _end) = mpsc::channel();
    let server = server().topics(&topics).handle("/", move |_| Member(ends.clone()));
    let address = start(server).await;
    let mut members = Vec::new();
    for number in 0..20 {
        members.push(raw_client(address).await);
        topics.publish("all", number.to_string().as_str());
        members.last_mut().unwrap().send(TEXT, b"x").await;
        for member in &mut members {
            assert_eq!(member.frame().await.unwrap().payload, number.to_string().as_bytes());
            assert_eq!(member.frame().await.unwrap().payload, b"x");
        }
    }
}

/// Serves members until told to stop; returns how to tell, and how they end.
async fn serve_members(
    drain: Drain,
) -> (SocketAddr, oneshot::Sender<()>, mpsc::Receiver<CloseInfo>, JoinHandle<()>) {
    let (ends, end) = mpsc::channel();
    let server = server().config(Config::server()).handle("/", move |_| Member(ends.clone()));
    let server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move { server.serve_until(stopped, drain).await.unwrap() });
    (address, stop, end, serving)
}

#[tokio::test]
async fn a_drain_closes_with_its_code_and_waits_for_the_end() {
    let (address, stop, end, serving) = serve_members(Drain::default()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(raw_client(address).await);
    }
    stop.send(()).unwrap();
    for raw in &mut clients {
        let close = raw.frame().await.unwrap();
        assert_eq!(close.close_code(), Some(1001));
        assert_eq!(&close.payload[2..], b"server is stopping");
        raw.send(CLOSE, &close.payload).await;
        assert_eq!(raw.frame().await, None);
    }
    drop(clients);
    serving.await.unwrap();
    let ends: Vec<_> = end.iter().collect();
    assert_eq!(ends.len(), 5);
    assert!(ends.iter().all(|info| info.clean && info.code == 1001.into()), "{ends:?}");
}

#[tokio::test]
async fn one_that_does_not_answer_a_drain_is_dropped_at_its_deadline_and_told_so() {
    let drain = Drain::new(1012.into(), Duration::ZERO, Duration::from_millis(50));
    let (address, stop, end, serving) = serve_members(drain).await;
    let mut raw = raw_client(address).await;
    stop.send(()).unwrap();
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1012));
    serving.await.unwrap();
    let ends: Vec<_> = end.iter().collect();
    assert_eq!(ends.len(), 1);
    assert!(!ends[0].clean && ends[0].by == Side::Transport, "{ends:?}");
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn a_server_that_is_dropped_drops_its_connections() {
    let (address, _stop, end, serving) = serve_members(Drain::default()).await;
    let mut raw = raw_client(address).await;
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    assert_eq!(raw.frame().await, None);
    assert_eq!(end.iter().count(), 1);
}
