//! Redirects followed and not, and what is told of the answer that opened.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sockeye::{Client, ErrorKind};
use tokio::net::TcpListener;

use crate::support::{From, Raw, answer};

/// A server that sends every request to the next of its paths, `/1`, `/2` and so on, and opens a
/// WebSocket at `/open_at`.
struct Chain {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

async fn chain(status: u16, open_at: usize) -> Chain {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let mut raw = Raw::new(tcp, From::Server);
            let head = raw.head().await;
            let path: usize = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            seen.lock().unwrap().push(head.clone());
            let next = path + 1;
            let away = format!(
                "HTTP/1.1 {status} Elsewhere\r\nLocation: /{next}\r\nContent-Length: 0\r\n\r\n"
            );
            let opened = answer(head.as_bytes());
            raw.write(if path == open_at { &opened } else { away.as_bytes() }).await;
        }
    });
    Chain { address, heads }
}

impl Chain {
    fn url(&self) -> String {
        format!("ws://{}/0", self.address)
    }

    /// Returns the values that `name` had in the requests so far.
    fn values(&self, name: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let value = |head: &String| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap().to_owned()
        };
        heads.iter().map(value).collect()
    }

    fn requests(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn following(most: u8) -> Client {
    Client::builder().redirects(most).build()
}

// HSC-003
#[tokio::test]
async fn redirects_are_not_followed_unless_asked() {
    for status in [301, 302, 307, 308] {
        let chain = chain(status, 1).await;
        let error = sockeye::connect(&chain.url()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert_eq!(error.response().unwrap().status(), status);
        assert_eq!(error.response().unwrap().headers()["location"], "/1");
        assert_eq!(chain.requests(), 1);
    }
}

// HSC-003
#[tokio::test]
async fn five_hops_are_followed_with_a_new_key_each_and_a_sixth_is_refused() {
    for status in [301, 302, 307, 308] {
        let good = chain(status, 5).await;
        let request = following(5).request(&good.url()).header("Cookie", "a=b");
        request.subprotocols(&["x"]).optional_subprotocol().await.unwrap().abort();
        let mut keys = good.values("Sec-WebSocket-Key");
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 6);
        assert_eq!(good.values("Cookie"), ["a=b"; 6]);
        assert_eq!(good.values("Sec-WebSocket-Protocol"), ["x"; 6]);
        assert_eq!(good.values("Host"), vec![good.address.to_string(); 6]);

        for most in [5, 6, u8::MAX] {
            let long = chain(status, 6).await;
            let error = following(most).request(&long.url()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Handshake);
            assert_eq!(error.response().unwrap().headers()["location"], "/6");
            assert_eq!(long.requests(), 6);
        }
    }
    let short = chain(302, 2).await;
    assert!(following(1).request(&short.url()).await.is_err());
    assert_eq!(short.requests(), 2);
}

#[tokio::test]
async fn a_303_points_to_another_thing_and_is_not_followed() {
    let chain = chain(303, 1).await;
    assert!(following(5).request(&chain.url()).await.is_err());
    assert_eq!(chain.requests(), 1);
}

// HSC-004
#[tokio::test]
async fn credentials_never_reach_another_origin() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = other.local_addr().unwrap();
    for name in ["Authorization", "Cookie", "cookie"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let serve = async {
            let mut raw = Raw::new(listener.accept().await.unwrap().0, From::Server);
            raw.head().await;
            let away = format!("HTTP/1.1 307 T\r\nLocation: ws://{there}/\r\n\r\n");
            raw.write(away.as_bytes()).await;
        };
        let request = following(5).request(&format!("ws://{here}/")).header(name, "secret");
        let (opened, ()) = tokio::join!(request.into_future(), serve);
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Handshake);
        assert!(error.to_string().contains("credentials"), "{error}");
        assert_eq!(error.response().unwrap().status(), 307);
    }
    assert!(futures_util::FutureExt::now_or_never(other.accept()).is_none());
}

#[tokio::test]
async fn the_answer_that_opened_is_there_for_who_asks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serve = async {
        let mut raw = Raw::new(listener.accept().await.unwrap().0, From::Server);
        let opened = String::from_utf8(answer(raw.head().await.as_bytes())).unwrap();
        let head = opened.strip_suffix("\r\n").unwrap();
        raw.write(format!("{head}Set-Cookie: a=1\r\nset-cookie: b=2\r\n\r\n").as_bytes()).await;
        raw
    };
    let (opened, _raw) = tokio::join!(Client::default().request(&url).with_response(), serve);
    let (ws, response) = opened.unwrap();
    assert_eq!(response.status(), 101);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    ws.abort();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_never_ends_is_told_within_a_second() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let mut raw = Raw::new(theirs, From::Server);
    let serve = async {
        raw.head().await;
        raw.write(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n").await;
    };
    let start = tokio::time::Instant::now();
    let (opened, ()) = tokio::join!(Client::default().request("ws://x/").over(ours), serve);
    let error = opened.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 404);
    assert_eq!(error.response().unwrap().body(), "2\r\nno\r\n");
    assert!(start.elapsed() <= std::time::Duration::from_millis(1100));
}
