//! Hosts of every form in the requests that a client writes.

use sockeye::Client;

use crate::support::{From, Raw, answer};

/// Returns the `Host` of the request for `url`.
async fn host(url: &str) -> String {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let mut raw = Raw::new(theirs, From::Server);
    let serve = async {
        let head = raw.head().await;
        raw.write(&answer(head.as_bytes())).await;
        head.lines().find_map(|line| line.strip_prefix("Host: ")).unwrap().to_owned()
    };
    let (opened, host) = tokio::join!(Client::default().request(url).over(ours), serve);
    opened.unwrap().abort();
    host
}

// HSC-024
#[tokio::test]
async fn the_host_header_names_every_form_of_host_as_browsers_do() {
    for (url, expected) in [
        ("ws://[::1]/", "[::1]"),
        ("ws://[0:0:0:0:0:0:0:1]:80/", "[::1]"),
        ("wss://[2001:DB8::A]:8443/", "[2001:db8::a]:8443"),
        ("ws://[::ffff:192.0.2.1]:81/", "[::ffff:c000:201]:81"),
        ("ws://192.0.2.1:81/", "192.0.2.1:81"),
        ("ws://Example.ORG./", "example.org."),
        ("wss://example.org.:443/", "example.org."),
        ("ws://xn--bcher-kva.example/", "xn--bcher-kva.example"),
        #[cfg(feature = "idn")]
        ("ws://B\u{fc}cher.example:81/", "xn--bcher-kva.example:81"),
    ] {
        assert_eq!(host(url).await, expected, "{url}");
    }
}

#[tokio::test]
async fn an_ipv4_mapped_address_reaches_the_ipv4_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async {
        let mut raw = Raw::new(listener.accept().await.unwrap().0, From::Server);
        let head = raw.head().await;
        raw.write(&answer(head.as_bytes())).await;
        head
    };
    let url = format!("ws://[::ffff:127.0.0.1]:{port}/");
    let (opened, head) = tokio::join!(sockeye::connect(&url), serve);
    opened.unwrap().abort();
    assert!(head.contains(&format!("\r\nHost: [::ffff:7f00:1]:{port}\r\n")), "{head}");
}
