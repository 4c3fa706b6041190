//! The client's address behind reverse proxies: which of the addresses they tell can be believed.
//!
//! Knows no sockets: the peer's address and the networks of trusted proxies are arguments.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use super::fields::trim;

/// A range of addresses in CIDR notation, such as `10.0.0.0/8`; a single address is one too.
///
/// ```
/// use sockeye_proto::handshake::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("11.1.2.3".parse().unwrap()));
/// # Ok::<(), sockeye_proto::handshake::NetworkError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkError;

/// The header in which proxies tell whom they speak for. Only the one that the proxy in front writes
/// can be believed: the other passes through it as the client made it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `Forwarded` of RFC 7239.
    Forwarded,
    /// `X-Forwarded-For`, which most proxies write.
    XForwardedFor,
}

/// Returns the address of the client of a request: of those that proxies told, the right-most that is
/// not itself a trusted proxy's. What stands to the left of it may be made up.
///
/// When `peer` is not trusted, nothing is believed. Where the list holds what is no address, the
/// client is taken to be the last proxy before it. The port is 0 where none is told.
///
/// `headers` are all headers of the request, in their order.
pub fn client_addr<'a>(
    headers: impl DoubleEndedIterator<Item = (&'a str, &'a [u8])>,
    peer: SocketAddr,
    header: ForwardedHeader,
    trusted: &[Network],
) -> SocketAddr {
    let is_trusted = |addr: SocketAddr| trusted.iter().any(|network| network.contains(addr.ip()));
    if !is_trusted(peer) {
        return peer;
    }
    let name = match header {
        ForwardedHeader::Forwarded => "forwarded",
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
    };
    let mut client = peer;
    let mut lines = headers.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    // No address holds a comma, so a quote that the client left open cannot hide what a proxy
    // appended.
    while let Some((_, line)) = lines.next_back() {
        for element in line.rsplit(|byte| *byte == b',') {
            let told = core::str::from_utf8(trim(element)).ok().and_then(|element| match header {
                ForwardedHeader::Forwarded => forwarded_for(element),
                ForwardedHeader::XForwardedFor => node(element),
            });
            match told {
                None => return client,
                Some(told) if !is_trusted(told) => return told,
                Some(told) => client = told,
            }
        }
    }
    client
}

/// Reads the one `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let is_for = |(name, _): &(&str, &str)| name.trim().eq_ignore_ascii_case("for");
    let (_, value) = pairs.by_ref().find(is_for)?;
    if pairs.any(|pair| is_for(&pair)) {
        return None;
    }
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    node(quoted.unwrap_or(value))
}

/// Reads an address, with or without a port, that of IPv6 in brackets or not.
fn node(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let addr = match bare.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 0),
        Err(_) => text.parse().ok()?,
    };
    Some(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
}

impl Network {
    /// Whether the address is in this range. One of IPv4 written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differs = own.to_bits() ^ other.to_bits();
                differs.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `address` or `address/prefix`.
    ///
    /// # Errors
    /// The caller's faults: no address, or a prefix that is longer than one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            None => return Ok(text.parse::<IpAddr>().map_err(|_| NetworkError)?.into()),
            Some(parts) => parts,
        };
        let address = address.parse::<IpAddr>().map_err(|_| NetworkError)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        match prefix.parse::<u8>() {
            Ok(prefix) if is_number && prefix <= longest => Ok(Self { address, prefix }),
            _ => Err(NetworkError),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a network: write an address such as 10.0.0.1, or a range such as 10.0.0.0/8",
        )
    }
}

impl core::error::Error for NetworkError {}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::{RequestHead, Version};
    use super::*;

    fn client(peer: &str, header: ForwardedHeader, headers: &[(&str, &str)]) -> SocketAddr {
        let trusted: Vec<Network> =
            ["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(|text| text.parse().unwrap()).into();
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        let head = RequestHead::from_parts("GET", "/", Version::Http11, headers);
        client_addr(head.headers(), peer.parse().unwrap(), header, &trusted)
    }

    fn by_x_forwarded_for(peer: &str, lines: &[&str]) -> SocketAddr {
        let lines: Vec<_> = lines.iter().map(|line| ("X-Forwarded-For", *line)).collect();
        client(peer, ForwardedHeader::XForwardedFor, &lines)
    }

    fn by_forwarded(lines: &[&str]) -> SocketAddr {
        let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
        client("10.0.0.1:99", ForwardedHeader::Forwarded, &lines)
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_an_untrusted_peer_tells_is_ignored() {
        for peer in ["192.0.2.1:99", "11.0.0.1:99", "[2001:db8::1]:99", "127.0.0.2:99"] {
            assert_eq!(by_x_forwarded_for(peer, &["198.51.100.7"]), addr(peer));
            let headers = [("Forwarded", "for=198.51.100.7")];
            assert_eq!(client(peer, ForwardedHeader::Forwarded, &headers), addr(peer));
        }
    }

    #[test]
    fn the_right_most_address_that_is_no_trusted_proxy_is_the_client() {
        let peer = "10.0.0.1:99";
        let cases: [(&[&str], &str); 14] = [
            (&[], peer),
            (&["198.51.100.7"], "198.51.100.7:0"),
            (&["1.1.1.1, 198.51.100.7"], "198.51.100.7:0"),
            (&["10.9.9.9, 198.51.100.7"], "198.51.100.7:0"),
            (&["1.1.1.1, 198.51.100.7, 10.2.3.4 ,\t10.0.0.9"], "198.51.100.7:0"),
            (&["1.1.1.1", "198.51.100.7, 10.2.3.4"], "198.51.100.7:0"),
            (&["198.51.100.7", "10.2.3.4"], "198.51.100.7:0"),
            (&["10.2.3.4, 10.2.3.5"], "10.2.3.4:0"),
            (&["198.51.100.7:1234"], "198.51.100.7:1234"),
            (&["2001:db8::1"], "[2001:db8::1]:0"),
            (&["[2001:db8::1]:80, fd00::5"], "[2001:db8::1]:80"),
            (&["::ffff:198.51.100.7"], "198.51.100.7:0"),
            (&["1.1.1.1, unknown, 10.2.3.4"], "10.2.3.4:0"),
            (&["1.1.1.1, , 10.2.3.4, "], peer),
        ];
        for (lines, expected) in cases {
            assert_eq!(by_x_forwarded_for(peer, lines), addr(expected), "{lines:?}");
        }
        let mapped = "[::ffff:10.0.0.1]:99";
        assert_eq!(by_x_forwarded_for(mapped, &["198.51.100.7"]), addr("198.51.100.7:0"));
    }

    #[test]
    fn the_standard_header_is_read_by_its_grammar() {
        let cases: [(&[&str], &str); 13] = [
            (&["for=198.51.100.7"], "198.51.100.7:0"),
            (&["For=\"198.51.100.7:47011\";proto=https;by=10.0.0.1"], "198.51.100.7:47011"),
            (&["proto=http; FOR = 198.51.100.7"], "198.51.100.7:0"),
            (&["for=\"[2001:db8:cafe::17]:4711\""], "[2001:db8:cafe::17]:4711"),
            (&["for=\"[2001:db8:cafe::17]\""], "[2001:db8:cafe::17]:0"),
            (&["for=1.1.1.1, for=198.51.100.7, for=10.0.0.7"], "198.51.100.7:0"),
            (&["for=1.1.1.1", "for=198.51.100.7;proto=ws"], "198.51.100.7:0"),
            (&["for=\"1.1.1.1, for=198.51.100.7"], "198.51.100.7:0"),
            (&["for=1.1.1.1, for=unknown"], "10.0.0.1:99"),
            (&["for=1.1.1.1, for=_hidden, for=10.0.0.7"], "10.0.0.7:0"),
            (&["for=1.1.1.1, proto=https"], "10.0.0.1:99"),
            (&["for=1.1.1.1;for=2.2.2.2"], "10.0.0.1:99"),
            (&["for=\"1.1.1.1\\\""], "10.0.0.1:99"),
        ];
        for (lines, expected) in cases {
            assert_eq!(by_forwarded(lines), addr(expected), "{lines:?}");
        }
    }

    #[test]
    fn the_header_that_the_proxy_does_not_write_is_not_read() {
        let headers = [("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "198.51.100.7")];
        let peer = "10.0.0.1:99";
        let found = client(peer, ForwardedHeader::XForwardedFor, &headers);
        assert_eq!(found, addr("198.51.100.7:0"));
        let found = client(peer, ForwardedHeader::Forwarded, &headers[1..]);
        assert_eq!(found, addr(peer));
    }

    #[test]
    fn bytes_that_are_no_text_end_the_search() {
        let headers = [("x-forwarded-for", &b"1.1.1.1, \xff"[..])];
        let head = RequestHead::from_parts("GET", "/", Version::Http11, headers);
        let peer = addr("127.0.0.1:5");
        let trusted = [Network::from(peer.ip())];
        let found = client_addr(head.headers(), peer, ForwardedHeader::XForwardedFor, &trusted);
        assert_eq!(found, peer);
    }

    #[test]
    fn networks_hold_what_their_prefix_says() {
        let cases = [
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "1.2.3.4", false),
            ("192.0.2.0/25", "192.0.2.127", true),
            ("192.0.2.0/25", "192.0.2.128", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("2001:db8::/33", "2001:db8:7fff::", true),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("2001:db8::1/128", "2001:db8::1", true),
            ("2001:db8::1/128", "2001:db8::2", false),
        ];
        for (network, address, expected) in cases {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), expected, "{network} {address}");
        }
        for wrong in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10/8", "x"] {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError), "{wrong}");
        }
    }
}
