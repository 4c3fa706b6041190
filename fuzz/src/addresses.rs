//! Any bytes as an address: a PROXY header, what proxies forward, a URL that a redirect names.

use std::net::SocketAddr;

use sockeye_proto::Limits;
use sockeye_proto::handshake::{
    ClientRequest, ForwardedHeader, HeadReader, Network, Policy, ProxyHeader, RequestHead, Url,
    Version, accept, client_addr,
};

/// Reads the bytes as what the first of them says.
pub fn addresses(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => proxy_header(bytes),
        1 => forwarded(ForwardedHeader::Forwarded, "Forwarded", bytes),
        2 => forwarded(ForwardedHeader::XForwardedFor, "X-Forwarded-For", bytes),
        _ => url(bytes),
    }
}

/// Checks that a header that arrives byte by byte is judged once, and not otherwise later.
fn proxy_header(bytes: &[u8]) {
    let verdict = ProxyHeader::read(bytes);
    let mut prefixes = (0..bytes.len()).map(|end| ProxyHeader::read(&bytes[..end]));
    if let Some(early) = prefixes.find(|verdict| *verdict != Ok(None)) {
        assert_eq!(early, verdict, "another verdict with more bytes");
    }
    if let Ok(Some(header)) = verdict {
        assert!(header.length <= bytes.len());
        assert_eq!(ProxyHeader::read(&bytes[..header.length]), verdict, "it needs what follows it");
    }
}

/// Checks that only a trusted peer is believed, and that a trusted proxy is not the client where
/// the header names another.
fn forwarded(header: ForwardedHeader, name: &str, value: &[u8]) {
    let head = RequestHead::from_parts("GET", "/", Version::Http11, [(name, value)]);
    let peer = SocketAddr::from(([10, 0, 0, 1], 4_000));
    assert_eq!(client_addr(head.headers(), peer, header, &[]), peer);
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "fd00::/8"].iter().filter_map(|network| network.parse().ok()).collect();
    let client = client_addr(head.headers(), peer, header, &trusted);
    // What the client made up stands to the left of what the proxy appends.
    let appended = match header {
        ForwardedHeader::Forwarded => &b", for=192.0.2.7"[..],
        ForwardedHeader::XForwardedFor => b", 192.0.2.7",
    };
    let longer = [value, appended].concat();
    let head = RequestHead::from_parts("GET", "/", Version::Http11, [(name, &longer[..])]);
    let behind = client_addr(head.headers(), peer, header, &trusted);
    assert_eq!(behind, SocketAddr::from(([192, 0, 2, 7], 0)), "not {client}, which is made up");
}

/// Checks that a request for a URL that was taken is one that a server takes.
fn url(bytes: &[u8]) {
    let Some(url) = std::str::from_utf8(bytes).ok().and_then(|text| Url::parse(text).ok()) else {
        return;
    };
    let scheme = if url.is_secure() { "wss" } else { "ws" };
    let again = Url::parse(&format!("{scheme}://{}{}", url.authority(), url.target()));
    assert_eq!(again.as_ref(), Ok(&url), "a URL that does not come back");
    let mut request = Vec::new();
    ClientRequest::new(&url, [7; 16]).write(&mut request);
    let length = HeadReader::request().read(&request, &Limits::default());
    assert_eq!(length, Ok(Some(request.len())), "the request is a head and no more");
    let head = RequestHead::parse(&request).expect("a head that was read can be taken apart");
    assert_eq!((head.target(), head.host()), (url.target(), Some(url.authority())));
    if let Err(rejection) = accept(&head, &Policy::default()) {
        // A client sends what its user percent-encoded; a server wants it to mean UTF-8.
        let encoded = rejection.rule() == "target" && url.target().contains('%');
        assert!(encoded, "{url:?} is refused: {}", rejection.rule());
    }
}
