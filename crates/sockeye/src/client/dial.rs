//! Reaching a server: DNS, TCP with a head start for the first address, TLS.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use std::{future, io};

use socket2::SockRef;
use sockeye_proto::handshake::Url;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{AnyIo, tune};
use crate::race::{First, race};

/// The head start of each address before the next is tried too (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens the transport to the server of `url`.
pub(super) async fn dial(url: &Url, settings: &Settings) -> Result<AnyIo> {
    let name = format!("{}:{}", url.host(), url.port());
    let addresses = lookup_host((url.host(), url.port())).await;
    let addresses: Vec<_> = addresses
        .map_err(|error| {
            Error::new(ErrorKind::Dns, format!("no address for {}", url.host())).with_source(error)
        })?
        .collect();
    let tcp = first_to_answer(interleave(addresses), TcpStream::connect).await;
    let tcp = tcp.map_err(|error| {
        Error::new(ErrorKind::Connect, format!("cannot connect to {name}")).with_source(error)
    })?;
    tune(&SockRef::from(&tcp))?;
    if url.is_secure() { encrypt(tcp, url, settings).await } else { Ok(tcp.into()) }
}

#[cfg(feature = "rustls")]
async fn encrypt(tcp: TcpStream, url: &Url, settings: &Settings) -> Result<AnyIo> {
    // SNI and certificates have names without the dot that a URL may end its host with.
    let name = url.server_name().unwrap_or(url.host()).to_owned();
    let name = rustls::pki_types::ServerName::try_from(name)
        .map_err(|error| Error::new(ErrorKind::InvalidUrl, "host name").with_source(error))?;
    let connector = tokio_rustls::TlsConnector::from(settings.tls.config()?);
    let stream = connector.connect(name, tcp).await.map_err(|error| {
        Error::new(ErrorKind::Tls, format!("TLS handshake with {}", url.host())).with_source(error)
    })?;
    Ok(tokio_rustls::TlsStream::from(stream).into())
}

#[cfg(not(feature = "rustls"))]
async fn encrypt(_: TcpStream, _: &Url, _: &Settings) -> Result<AnyIo> {
    Err(Error::new(ErrorKind::Tls, "wss:// needs the feature `rustls`"))
}

/// Orders addresses so that the two families take turns, the resolver's first choice first
/// (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair.iter().all(Option::is_none) {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// Connects to the first address that answers. Each gets a head start; one that fails passes the
/// turn on at once.
async fn first_to_answer<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(connect(address));
        }
        if attempts.is_empty() {
            return Err(failure);
        }
        let head_start =
            async { if is_last { future::pending().await } else { sleep(HEAD_START).await } };
        match race(pin!(attempts.join_next()), pin!(head_start)).await {
            First::One(Some(Ok(Ok(tcp)))) => return Ok(tcp),
            First::One(Some(Ok(Err(error)))) => failure = error,
            First::One(_) | First::Other(()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[test]
    fn address_families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"];
        let parsed = addresses.map(|address| address.parse().unwrap());
        let ordered =
            interleave(parsed.to_vec()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ordered, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"]);
    }

    #[tokio::test]
    async fn an_address_that_refuses_passes_the_turn_on() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bad = closed.local_addr().unwrap();
        drop(closed);
        let tcp = first_to_answer(vec![bad, good], TcpStream::connect).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), good);
    }

    /// Returns the `count` addresses that the tests know of.
    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    // HSC-025
    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_has_a_head_start_of_a_quarter_of_a_second() {
        let start = Instant::now();
        let all = addresses(2);
        let silent = all[0];
        let connect = move |address| async move {
            if address == silent { future::pending().await } else { Ok(address) }
        };
        let answered = first_to_answer(all.clone(), connect).await.unwrap();
        assert_eq!((answered, start.elapsed()), (all[1], Duration::from_millis(250)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_answers_late_still_may_be_the_first() {
        let start = Instant::now();
        let all = addresses(2);
        let first = all[0];
        let connect = move |address| async move {
            if address != first {
                return future::pending().await;
            }
            sleep(Duration::from_millis(400)).await;
            Ok(address)
        };
        let answered = first_to_answer(all, connect).await.unwrap();
        assert_eq!((answered, start.elapsed()), (first, Duration::from_millis(400)));
    }

    // HSC-026
    #[tokio::test(start_paused = true)]
    async fn addresses_that_are_all_silent_are_all_tried_until_nobody_waits_any_more() {
        let start = Instant::now();
        let (tried, mut trials) = mpsc::unbounded_channel();
        let connect = move |address: SocketAddr| {
            tried.send((address.port(), start.elapsed().as_millis())).unwrap();
            future::pending::<io::Result<()>>()
        };
        let waiting = timeout(Duration::from_secs(10), first_to_answer(addresses(3), connect));
        assert!(waiting.await.is_err());
        let mut all = Vec::new();
        trials.recv_many(&mut all, 9).await;
        assert_eq!(all, [(1, 0), (2, 250), (3, 500)]);
    }

    /// Dials TLS for `url` over a connection to a server that only looks at the ClientHello, and
    /// returns the SNI in it.
    #[cfg(all(feature = "rustls", feature = "idn"))]
    async fn sni(url: &str) -> Option<String> {
        use rustls::server::Acceptor;
        use tokio::io::AsyncReadExt;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let url = crate::client::address::parse(url).unwrap();
        let settings = Settings {
            tls: crate::tls::Tls::dangerous_no_verification().unwrap(),
            ..Settings::default()
        };
        let look = async {
            let mut tcp = listener.accept().await.unwrap().0;
            let mut acceptor = Acceptor::default();
            loop {
                let mut bytes = Vec::new();
                assert!(tcp.read_buf(&mut bytes).await.unwrap() > 0);
                acceptor.read_tls(&mut &bytes[..]).unwrap();
                if let Some(accepted) = acceptor.accept().map_err(|(error, _)| error).unwrap() {
                    return accepted.client_hello().server_name().map(str::to_owned);
                }
            }
        };
        tokio::select! {
            name = look => name,
            _ = encrypt(tcp, &url, &settings) => unreachable!("nobody answers"),
        }
    }

    // HSC-024
    #[cfg(all(feature = "rustls", feature = "idn"))]
    #[tokio::test]
    async fn tls_asks_for_names_and_never_for_addresses() {
        for (url, asked) in [
            ("wss://Example.org:8443/", Some("example.org")),
            ("wss://example.org./", Some("example.org")),
            ("wss://b\u{fc}cher.example/", Some("xn--bcher-kva.example")),
            ("wss://xn--bcher-kva.example./", Some("xn--bcher-kva.example")),
            ("wss://127.0.0.1/", None),
            ("wss://[::1]/", None),
            ("wss://[::ffff:127.0.0.1]/", None),
        ] {
            assert_eq!(sni(url).await.as_deref(), asked, "{url}");
        }
    }
}
