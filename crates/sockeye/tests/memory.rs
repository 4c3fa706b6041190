//! What a connection costs in memory, counted by an allocator of this test's own: at rest, and while
//! a message passes that is longer than what may be held.
//!
//! One test after the other, in a process of its own: the count is the process's.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells its figures"
)]
#![expect(unsafe_code, reason = "a global allocator cannot be implemented without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::{SinkExt, StreamExt};
use sockeye::{Acceptor, Client, Kind, Message, MessageRef, Out, Sent, Server, WebSocket};
use tokio::io::{DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio_tungstenite::tungstenite;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Connections that a figure is the average of.
const MANY: usize = 200;

/// The bound on an idle connection, in bytes.
const IDLE: usize = 512;

/// The bound on one that a server runs: with the task, and the handler's own state in it.
const IDLE_SERVED: usize = 1472;

/// The same for a handler of the callback form.
const IDLE_HANDLED: usize = 896;

/// The bound on what is left of an HTTP connection that became a WebSocket of another host: its place.
#[cfg(feature = "hyper")]
const LEFT_BEHIND: usize = 64;

/// A client's half of the opening handshake.
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn held() -> usize {
    HELD.load(Relaxed)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_holds_less_than_half_a_kibibyte_and_a_long_message_passes_in_little() {
        idle_ends();
        idle_served();
        #[cfg(feature = "hyper")]
        upgraded_later();
        idle_tungstenite();
        long_message();
        slow_peer();
    }
}

/// The ends of a connection after traffic, at rest in a `recv` that waits.
fn idle_ends() {
    let (client, server) = run(async {
        let (client, acceptor) = (Client::default(), Acceptor::new());
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        for _ in 0..MANY {
            let (client, server) = pair(&client, &acceptor).await;
            clients.push(client);
            servers.push(server);
        }
        (freed(clients), freed(servers))
    });
    let inline = size_of::<WebSocket<DuplexStream>>();
    println!("client {client} B, server {server} B on the heap, {inline} B in the handle");
    assert!(client + inline < IDLE && server + inline < IDLE);
}

/// Returns what each connection gives back when only its transport is left.
fn freed(connections: Vec<WebSocket<DuplexStream>>) -> usize {
    let count = connections.len();
    let mut transports = Vec::with_capacity(count);
    let mut freed = 0;
    for connection in connections {
        let before = held();
        transports.push(connection.into_inner().unwrap().0);
        freed += before - held();
    }
    freed / count
}

/// What the transports of a pair cost after traffic, that are no part of the connection.
async fn cost_of_transports() -> usize {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut pairs = Vec::with_capacity(MANY);
    let before = held();
    for _ in 0..MANY {
        let (mut one, mut other) = duplex(256);
        let mut bytes = [0; 256];
        one.write_all(&bytes).await.unwrap();
        other.read_exact(&mut bytes).await.unwrap();
        other.write_all(&bytes).await.unwrap();
        one.read_exact(&mut bytes).await.unwrap();
        pairs.push((one, other));
    }
    (held() - before) / MANY
}

async fn pair(
    client: &Client,
    acceptor: &Acceptor,
) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (ours, theirs) = duplex(256);
    let (ours, theirs) =
        tokio::join!(client.request("ws://x/").over(ours), acceptor.accept(theirs));
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap().0);
    for text in ["short".to_owned(), "long".repeat(1000)] {
        let (sent, received) = tokio::join!(ours.send(text.as_str()), theirs.recv());
        sent.unwrap();
        let (sent, received) = tokio::join!(theirs.send(received.unwrap().unwrap()), ours.recv());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(Message::text(text)));
    }
    // Waiting arms the timers and registers the wakers.
    let waits = futures_util::future::join(ours.recv(), theirs.recv());
    assert!(futures_util::FutureExt::now_or_never(waits).is_none());
    (ours, theirs)
}

/// Connections of a server with everything that they are made of: task, handler, socket's state in
/// the runtime; in both forms.
fn idle_served() {
    let echo = |mut ws: WebSocket, _| async move {
        while let Some(message) = ws.recv().await? {
            ws.send(message).await?;
        }
        Ok(())
    };
    let cost = cost_of_served(|server| server.route("/", echo));
    println!("server with its task: {cost} B");
    assert!(cost < IDLE_SERVED, "{cost}");

    let echo = |message: MessageRef<'_>, out: &mut Out<'_>| {
        assert_eq!(out.send(message), Sent::Ok);
    };
    let cost = cost_of_served(|server| server.handle("/", move |_| echo));
    println!("server with its task, callback form: {cost} B");
    assert!(cost < IDLE_HANDLED, "{cost}");
}

fn cost_of_served(with_path: impl FnOnce(Server) -> Server) -> usize {
    run(async {
        let server = with_path(Server::bind("127.0.0.1:0")).listen().await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.serve());
        let mut sockets = Vec::with_capacity(MANY + 1);
        sockets.push(served(address).await);
        let before = held();
        for _ in 0..MANY {
            sockets.push(served(address).await);
        }
        let both = (held() - before) / MANY;
        both - cost_of_socket().await
    })
}

/// Connections that HTTP served before they became WebSockets of another host, which keeps no more
/// than the bare socket and the place: the HTTP connection, its task and its buffers are gone.
#[cfg(feature = "hyper")]
fn upgraded_later() {
    let cost = run(async {
        let (sender, taken) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let take = move |whole: sockeye::HandedOver| {
            sender.lock().unwrap().send((whole.transport, whole.place)).unwrap();
        };
        let server = Server::bind("127.0.0.1:0").hand_over("/", take).http(serve_http);
        let server = server.listen().await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(server.serve());
        let (mut clients, mut kept) = (Vec::with_capacity(MANY + 1), Vec::with_capacity(MANY + 1));
        clients.push(page_then_upgrade(address).await);
        kept.push(taken.recv().unwrap());
        let before = held();
        for _ in 0..MANY {
            // Without a runtime's registration, as the server's end is kept.
            clients.push(page_then_upgrade(address).await);
            kept.push(taken.recv().unwrap());
        }
        (held() - before) / MANY
    });
    println!("left of an HTTP connection that another host took: {cost} B");
    assert!(cost < LEFT_BEHIND, "{cost}");
}

/// Serves a page, and hands upgrades back.
#[cfg(feature = "hyper")]
async fn serve_http(connection: sockeye::HttpConnection) {
    let upgrades = connection.upgrades;
    let service = hyper::service::service_fn(|mut request| {
        let upgrades = upgrades.clone();
        async move {
            Ok::<_, std::convert::Infallible>(match request.uri().path() {
                "/page" => http::Response::new("page".to_owned()),
                _ => upgrades.upgrade(&mut request).await.map(|_| String::new()),
            })
        }
    });
    let http = hyper::server::conn::http1::Builder::new();
    let io = hyper_util::rt::TokioIo::new(connection.io);
    let _ = http.serve_connection(io, service).with_upgrades().await;
}

/// Gets a page and then a WebSocket over the same connection; keeps the bare socket.
#[cfg(feature = "hyper")]
async fn page_then_upgrade(address: std::net::SocketAddr) -> std::net::TcpStream {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = TcpStream::connect(address).await.unwrap();
    for (request, end) in [("GET /page HTTP/1.1\r\nHost: x\r\n\r\n", "page"), (UPGRADE, "\r\n\r\n")]
    {
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(end.as_bytes()) {
            assert!(tcp.read_buf(&mut received).await.unwrap() > 0);
        }
    }
    // The HTTP server's task ends.
    for _ in 0..20 {
        yield_now().await;
    }
    tcp.into_std().unwrap()
}

/// Shakes hands and exchanges a message without any state of its own.
async fn served(address: std::net::SocketAddr) -> TcpStream {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(UPGRADE.as_bytes()).await.unwrap();
    tcp.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\x81\x02hi") {
        assert!(tcp.read_buf(&mut received).await.unwrap() > 0);
    }
    // The handler comes to rest.
    for _ in 0..10 {
        yield_now().await;
    }
    tcp
}

/// What the runtime keeps for the client's socket and the server's, beside the connection.
async fn cost_of_socket() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = Vec::with_capacity(MANY);
    let before = held();
    for _ in 0..MANY {
        sockets.push(tokio::join!(TcpStream::connect(address), listener.accept()));
    }
    (held() - before) / MANY
}

/// The peer that most programs use today, measured in the same way.
fn idle_tungstenite() {
    let cost = run(async {
        let mut pairs = Vec::with_capacity(MANY + 1);
        pairs.push(tungstenite_pair().await);
        let transports = cost_of_transports().await;
        let before = held();
        for _ in 0..MANY {
            pairs.push(tungstenite_pair().await);
        }
        ((held() - before) / MANY - transports) / 2
    });
    let inline = size_of::<tokio_tungstenite::WebSocketStream<DuplexStream>>();
    println!("tokio-tungstenite: {cost} B on the heap, {inline} B in the handle");
}

type Stream = tokio_tungstenite::WebSocketStream<DuplexStream>;

async fn tungstenite_pair() -> (Stream, Stream) {
    let (ours, theirs) = duplex(256);
    let (ours, theirs) = tokio::join!(
        tokio_tungstenite::client_async("ws://x/", ours),
        tokio_tungstenite::accept_async(theirs)
    );
    let (mut ours, mut theirs) = (ours.unwrap().0, theirs.unwrap());
    for text in ["short".to_owned(), "long".repeat(1000)] {
        let message = tungstenite::Message::text(text);
        let (sent, received) = tokio::join!(ours.send(message), theirs.next());
        sent.unwrap();
        let (sent, received) = tokio::join!(theirs.send(received.unwrap().unwrap()), ours.next());
        sent.unwrap();
        assert!(received.unwrap().unwrap().is_text());
    }
    (ours, theirs)
}

/// 64 MiB through a writer and a reader, over limits of 1 MiB.
fn long_message() {
    const LONG: usize = 64 << 20;
    let peak = run(async {
        let (mut ours, mut theirs) = pair(&Client::default(), &Acceptor::new()).await;
        let before = held();
        PEAK.store(before, Relaxed);
        let send = async {
            let piece = vec![7; 32 << 10];
            let mut writer = ours.writer(Kind::Binary);
            for _ in 0..LONG / piece.len() {
                writer.write(&piece).await.unwrap();
            }
            writer.finish().await.unwrap();
        };
        let receive = async {
            let mut reader = theirs.reader().await.unwrap().unwrap();
            let mut received = 0;
            while let Some(chunk) = reader.chunk().await.unwrap() {
                received += chunk.len();
            }
            received
        };
        assert_eq!(tokio::join!(send, receive).1, LONG);
        PEAK.load(Relaxed) - before
    });
    println!("64 MiB in pieces: {peak} B at most");
    assert!(peak < 512 << 10, "{peak}");
}

/// A queue that is refilled before it is ever empty: 64 MiB to a peer that is always a little slower.
fn slow_peer() {
    use tokio::io::AsyncReadExt;
    let peak = run(async {
        let (ours, mut theirs) = duplex(1 << 10);
        let acceptor = Acceptor::new();
        let request = async {
            use tokio::io::AsyncWriteExt;
            let request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Version: 13\r\n\r\n";
            theirs.write_all(request).await.unwrap();
        };
        let (accepted, ()) = tokio::join!(acceptor.accept(ours), request);
        let mut ws = accepted.unwrap().0;
        let reading = tokio::spawn(async move {
            let mut scrap = [0; 1 << 10];
            while theirs.read(&mut scrap).await.unwrap() > 0 {}
        });
        let message = Message::binary(vec![7; 8 << 10]);
        let before = held();
        PEAK.store(before, Relaxed);
        for _ in 0..8 << 10 {
            ws.feed(message.clone()).await.unwrap();
        }
        let peak = PEAK.load(Relaxed) - before;
        ws.abort();
        reading.await.unwrap();
        peak
    });
    println!("64 MiB to a slow peer: {peak} B at most");
    assert!(peak < 512 << 10, "{peak}");
}
