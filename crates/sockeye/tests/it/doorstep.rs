//! A host that accepts connections itself and brings them to the server's doorstep.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sockeye::{
    CloseCode, Config, Doorstep, Drain, HandedOver, HttpConnection, Rejection, Server, Transport,
};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{From, REQUEST, Raw, TEXT, echo};

/// How long a host waits for the first bytes of a connection, and a test for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Accepts connections and brings them to the doorstep, one after the other.
fn accept(listener: &TcpListener, doorstep: &Doorstep, patience: Duration) {
    listener.set_nonblocking(false).unwrap();
    while let Ok((tcp, peer)) = listener.accept() {
        let Some((mut tcp, caller)) = doorstep.arrived(tcp, peer) else { continue };
        tcp.set_read_timeout(Some(patience)).unwrap();
        let mut first = [0; 4096];
        let count = tcp.read(&mut first).unwrap_or(0);
        tcp.set_nonblocking(true).unwrap();
        doorstep.first_bytes(tcp, caller, &first[..count]);
    }
}

/// Starts a server for which such a host accepts.
async fn start_with(server: Server, patience: Duration) -> SocketAddr {
    let mut server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (listener, doorstep) = server.let_accept().unwrap().unwrap();
    assert!(server.let_accept().unwrap().is_none(), "there is one listener to give");
    thread::spawn(move || accept(&listener, &doorstep, patience));
    tokio::spawn(server.serve());
    address
}

async fn start(server: Server) -> SocketAddr {
    start_with(server, PATIENCE).await
}

/// A server that gives the connections of `/away` to another host, which is the test.
fn handing_over(server: Server) -> (Server, mpsc::Receiver<HandedOver>) {
    let (sender, taken) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let take = move |whole| sender.lock().unwrap().send(whole).unwrap();
    (server.hand_over("/away/{name}", take), taken)
}

async fn connect(address: SocketAddr, bytes: &[u8]) -> Raw<TcpStream> {
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap(), From::Client);
    raw.write(bytes).await;
    raw
}

fn request_for(path: &str) -> String {
    REQUEST.replacen("GET / ", &format!("GET {path} "), 1)
}

#[tokio::test]
async fn an_upgrade_for_another_host_is_answered_and_handed_over_with_what_came_behind_it() {
    let (server, taken) = handing_over(echo(Config::server()));
    let address = start(server).await;
    let bytes = [request_for("/away/home").as_bytes(), b"behind"].concat();
    let mut raw = connect(address, &bytes).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    let whole = taken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(whole.received, b"behind");
    assert_eq!(whole.incoming.param("name"), Some("home"));
    assert_eq!(whole.place.peer_addr(), raw.io.local_addr().unwrap());
    let Transport::Tcp(mut tcp) = whole.transport else { panic!("{:?}", whole.transport) };
    assert!(tcp.nodelay().unwrap(), "set up as all connections are");
    assert_eq!(tcp.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    tcp.write_all(b"here").unwrap();
    assert_eq!(raw.take(4).await, b"here");
}

#[tokio::test]
async fn an_upgrade_in_pieces_goes_the_long_way_to_the_same_host() {
    let (server, taken) = handing_over(echo(Config::server()));
    let address = start_with(server, Duration::from_millis(20)).await;
    for cut in [0, 1, 30] {
        let request = request_for("/away/home");
        let (first, second) = request.as_bytes().split_at(cut);
        let mut raw = connect(address, first).await;
        // The host brings it to the doorstep now, whatever there is.
        tokio::time::sleep(Duration::from_millis(40)).await;
        raw.write(second).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 101 "), "{cut}");
        let whole = taken.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(whole.transport, Transport::Tcp(_)), "{cut}");
    }
}

#[tokio::test]
async fn a_path_of_this_host_is_served_by_its_handler() {
    let (server, _taken) = handing_over(echo(Config::server()));
    let address = start(server).await;
    let mut raw = connect(address, REQUEST.as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    raw.send(TEXT, b"hello").await;
    assert_eq!(raw.frame().await.unwrap().payload, b"hello");
}

#[tokio::test]
async fn what_is_refused_is_refused_as_ever() {
    let check = |request: &mut sockeye::Incoming| match request.param("name") {
        Some("closed") => Err(Rejection::new(403, "It is closed.\n")),
        Some("panic") => panic!("a check may panic"),
        _ => Ok(()),
    };
    let (server, taken) = handing_over(echo(Config::server()));
    let address = start(server.check(check)).await;
    for (request, status) in [
        (request_for("/away/closed"), "403"),
        (request_for("/away/panic"), "500"),
        (request_for("/nowhere"), "404"),
        (request_for("/away/home").replace("Version: 13", "Version: 12"), "426"),
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), "400"),
    ] {
        let mut raw = connect(address, request.as_bytes()).await;
        let answer = String::from_utf8(raw.rest().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    assert!(taken.try_recv().is_err());
}

#[tokio::test]
async fn a_hook_that_waits_is_waited_for_off_the_host() {
    let (server, taken) = handing_over(echo(Config::server()));
    let hook = |_: &sockeye::Incoming| async {
        tokio::task::yield_now().await;
        Ok(())
    };
    let address = start(server.authorize(hook)).await;
    let mut raw = connect(address, request_for("/away/home").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    taken.recv_timeout(PATIENCE).unwrap();
}

#[tokio::test]
async fn other_requests_go_to_the_http_server_with_all_that_was_read() {
    let (told, heard) = oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let http = move |connection: HttpConnection| {
        let told = told.lock().unwrap().take();
        async move {
            let mut raw = Raw::new(connection.io, From::Server);
            let head = raw.head().await;
            told.unwrap().send(head).unwrap();
        }
    };
    let (server, _taken) = handing_over(echo(Config::server()));
    let address = start(server.http(http)).await;
    let request = "GET /page HTTP/1.1\r\nHost: x\r\n\r\n";
    let _raw = connect(address, request.as_bytes()).await;
    assert_eq!(heard.await.unwrap(), request);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go_when_its_time_is_over() {
    let mut config = Config::server();
    config.timeouts.handshake = Duration::from_millis(60);
    let (server, _taken) = handing_over(echo(config));
    let address = start_with(server, Duration::from_millis(10)).await;
    let mut raw = connect(address, b"").await;
    assert_eq!(raw.rest().await, b"");
    let mut raw = connect(address, b"GET").await;
    let answer = String::from_utf8(raw.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

// HSS-077
#[tokio::test]
async fn connections_on_the_doorstep_count_as_pending() {
    let (server, _taken) = handing_over(echo(Config::server()));
    let mut server = server.max_pending_handshakes(1).listen().await.unwrap();
    let (listener, doorstep) = server.let_accept().unwrap().unwrap();
    let address = server.local_addr().unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    let (tcp, peer) = accept_one(&listener);
    let waiting = doorstep.arrived(tcp, peer);
    assert!(waiting.is_some());
    let mut second = connect(address, request_for("/away/home").as_bytes()).await;
    let (tcp, peer) = accept_one(&listener);
    assert!(doorstep.arrived(tcp, peer).is_none());
    let answer = String::from_utf8(second.rest().await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // When the first has gone there is room again.
    drop(waiting);
    let _third = TcpStream::connect(address).await.unwrap();
    let (tcp, peer) = accept_one(&listener);
    assert!(doorstep.arrived(tcp, peer).is_some());
}

fn accept_one(listener: &TcpListener) -> (std::net::TcpStream, SocketAddr) {
    listener.set_nonblocking(false).unwrap();
    let (tcp, peer) = listener.accept().unwrap();
    tcp.set_nonblocking(true).unwrap();
    (tcp, peer)
}

#[tokio::test]
async fn a_server_that_stops_refuses_who_still_arrives_and_waits_for_places() {
    let (server, taken) = handing_over(echo(Config::server()));
    let mut server = server.listen().await.unwrap();
    let address = server.local_addr().unwrap();
    let (listener, doorstep) = server.let_accept().unwrap().unwrap();
    thread::spawn(move || accept(&listener, &doorstep, PATIENCE));
    let (stop, stopped) = oneshot::channel::<()>();
    let drain = Drain::new(CloseCode::AWAY, Duration::ZERO, PATIENCE);
    let serving = tokio::spawn(server.serve_until(stopped, drain));
    let mut raw = connect(address, request_for("/away/home").as_bytes()).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 101 "));
    let HandedOver { place, .. } = taken.recv_timeout(PATIENCE).unwrap();
    stop.send(()).unwrap();
    let mut late = loop {
        let mut late = connect(address, request_for("/away/late").as_bytes()).await;
        let head = late.head().await;
        if !head.starts_with("HTTP/1.1 101 ") {
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            break late;
        }
        drop(taken.recv_timeout(PATIENCE).unwrap());
    };
    late.rest().await;
    assert!(!serving.is_finished(), "one place is still taken");
    drop(place);
    serving.await.unwrap().unwrap();
}
