//! The PROXY protocol, versions 1 and 2: a load balancer's word in front of everything else about
//! whom a connection comes from.
//!
//! Owns the header only, and reads nothing of what it says but the source address.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a PROXY header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// How many bytes the header took; the connection proper follows.
    pub length: usize,
    /// Who connected to the proxy. `None` when the proxy speaks for itself, as in a health check, or
    /// does not know.
    pub source: Option<SocketAddr>,
}

/// Why bytes are no PROXY header. The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// Neither version's first bytes.
    Signature,
    /// A line of version 1 without its end in 107 bytes.
    TooLong,
    /// A line of version 1 that breaks its grammar.
    Line,
    /// A version 2 header with another version or an unknown command.
    Command,
    /// A version 2 header of an unknown family or transport.
    Family,
    /// A version 2 header too short for its addresses, or longer than 4 KiB.
    Length,
    /// An attribute of a version 2 header that reaches beyond its end.
    Attribute,
}

impl ProxyHeader {
    /// Reads the header at the start of `bytes`; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The peer's faults: anything but a well-formed header, told as early as it shows.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ProxyError> {
        if starts_alike(bytes, SIGNATURE_2) {
            read_binary(bytes)
        } else if starts_alike(bytes, SIGNATURE_1) {
            read_line(bytes)
        } else {
            Err(ProxyError::Signature)
        }
    }
}

/// Whether `bytes` begins with `signature`, as far as either goes.
fn starts_alike(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

fn read_line(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let start = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = start.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(ProxyError::TooLong) };
    };
    let line = start.get(SIGNATURE_1.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| core::str::from_utf8(line).ok()).ok_or(ProxyError::Line)?;
    let source = source_of(line).ok_or(ProxyError::Line)?;
    Ok(Some(ProxyHeader { length: end + 1, source }))
}

/// Reads what follows `PROXY ` in a line; `None` if it breaks the grammar.
fn source_of(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let mut address = || match family {
        "TCP4" => words.next()?.parse().ok().map(IpAddr::V4),
        "TCP6" => words.next()?.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    let (source, _) = (address()?, address()?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Some(SocketAddr::new(source, port)))
}

/// Reads a port, without signs or leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_shortest)
}

fn read_binary(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyError> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Ok(None) };
    let Some(&[command, family, high, low]) = fixed.last_chunk() else { return Ok(None) };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Command),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let addresses = match family {
        0x00 => 0,
        0x11 | 0x12 => 12,
        0x21 | 0x22 => 36,
        0x31 | 0x32 => 216,
        _ => return Err(ProxyError::Family),
    };
    // A local header's family means nothing, so nothing has to be there for it.
    let addresses = if is_local { 0 } else { addresses };
    if length < addresses || length > MAX_LENGTH {
        return Err(ProxyError::Length);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let (addresses, attributes) = body.split_at_checked(addresses).ok_or(ProxyError::Length)?;
    if !is_local {
        check_attributes(attributes)?;
    }
    Ok(Some(ProxyHeader { length: FIXED + length, source: source_in(addresses) }))
}

/// Reads the source out of a pair of addresses and their ports; `None` if they are not of IP.
fn source_in(addresses: &[u8]) -> Option<SocketAddr> {
    let port = |at: usize| {
        let port = addresses.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*port))
    };
    match addresses.len() {
        12 => {
            let ip = addresses.first_chunk::<4>()?;
            Some(SocketAddr::new(Ipv4Addr::from(*ip).into(), port(8)?))
        }
        36 => {
            let ip = addresses.first_chunk::<16>()?;
            Some(SocketAddr::new(Ipv6Addr::from(*ip).to_canonical(), port(32)?))
        }
        _ => None,
    }
}

/// Checks that each attribute, a type and a length before its value, ends where the header does or
/// earlier.
fn check_attributes(mut attributes: &[u8]) -> Result<(), ProxyError> {
    while !attributes.is_empty() {
        let Some((&[_, high, low], rest)) = attributes.split_first_chunk() else {
            return Err(ProxyError::Attribute);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        attributes = rest.get(length..).ok_or(ProxyError::Attribute)?;
    }
    Ok(())
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signature => "no PROXY header",
            Self::TooLong => "a PROXY line longer than 107 bytes",
            Self::Line => "a malformed PROXY line",
            Self::Command => "a PROXY header with an unknown version or command",
            Self::Family => "a PROXY header with an unknown family",
            Self::Length => "a PROXY header whose length does not fit its addresses",
            Self::Attribute => "a PROXY header with an attribute beyond its end",
        })
    }
}

impl core::error::Error for ProxyError {}

const SIGNATURE_1: &[u8] = b"PROXY ";
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, with its CRLF.
const MAX_LINE: usize = 107;

/// The signature of version 2, command, family and length.
const FIXED: usize = 16;

/// The most that may follow them: certificates that proxies pass on fit, and it bounds what is kept.
const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [SIGNATURE_2, &[command, family], &length, body].concat()
    }

    fn ip4() -> Vec<u8> {
        vec![198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80]
    }

    /// Reads a header followed by other bytes, and every beginning of it.
    fn read_whole(header: &[u8]) -> Option<SocketAddr> {
        for cut in 0..header.len() {
            assert_eq!(ProxyHeader::read(&header[..cut]), Ok(None), "{header:?} cut at {cut}");
        }
        let read = ProxyHeader::read(&[header, b"GET / HTTP/1.1"].concat()).unwrap().unwrap();
        assert_eq!(read.length, header.len());
        read.source
    }

    #[test]
    fn lines_of_version_1_are_read() {
        let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
        let cases = [
            ("PROXY TCP4 198.51.100.7 10.0.0.1 4660 80\r\n", Some("198.51.100.7:4660")),
            ("PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", Some("[2001:db8::1]:65535")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
            (&long, None),
        ];
        for (line, expected) in cases {
            assert_eq!(read_whole(line.as_bytes()), expected.map(|text| text.parse().unwrap()));
        }
    }

    #[test]
    fn headers_of_version_2_are_read() {
        let ip4 = ip4();
        let source = Some("198.51.100.7:4660".parse().unwrap());
        assert_eq!(read_whole(&binary(0x21, 0x11, &ip4)), source);
        assert_eq!(read_whole(&binary(0x21, 0x12, &ip4)), source);
        let with_attributes = [&ip4[..], &[4, 0, 0, 2, 0, 3], b"abc"].concat();
        assert_eq!(read_whole(&binary(0x21, 0x11, &with_attributes)), source);
        let mut ip6 = vec![0; 36];
        ip6[15] = 1;
        ip6[33] = 80;
        assert_eq!(read_whole(&binary(0x21, 0x21, &ip6)), Some("[::1]:80".parse().unwrap()));
        assert_eq!(read_whole(&binary(0x21, 0x31, &[b'/'; 216])), None);
        assert_eq!(read_whole(&binary(0x21, 0x00, &[])), None);
        assert_eq!(read_whole(&binary(0x20, 0x00, &[])), None);
        assert_eq!(read_whole(&binary(0x20, 0x11, &ip4)), None);
    }

    #[test]
    fn what_is_no_header_is_told_apart() {
        let ip4 = ip4();
        let cut = |at: usize| binary(0x21, 0x11, &ip4[..at]);
        let mut broken = binary(0x21, 0x11, &ip4);
        broken[11] = b'\r';
        let attribute = |bytes: &[u8]| binary(0x21, 0x11, &[&ip4[..], bytes].concat());
        let cases = [
            (b"GET / HTTP/1.1\r\n".to_vec(), ProxyError::Signature),
            (vec![0x16, 3, 1], ProxyError::Signature),
            (broken, ProxyError::Signature),
            (binary(0x11, 0x11, &ip4), ProxyError::Command),
            (binary(0x22, 0x11, &ip4), ProxyError::Command),
            (binary(0x21, 0x41, &ip4), ProxyError::Family),
            (binary(0x21, 0x13, &ip4), ProxyError::Family),
            (cut(0), ProxyError::Length),
            (cut(11), ProxyError::Length),
            (binary(0x21, 0x21, &ip4), ProxyError::Length),
            (binary(0x21, 0x11, &[0; 5000])[..16].to_vec(), ProxyError::Length),
            (attribute(&[1]), ProxyError::Attribute),
            (attribute(&[1, 0]), ProxyError::Attribute),
            (attribute(&[1, 0, 1]), ProxyError::Attribute),
            (attribute(&[4, 0, 0, 1, 0xff, 0xff, 0]), ProxyError::Attribute),
        ];
        for (bytes, expected) in cases {
            assert_eq!(ProxyHeader::read(&bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn lines_that_break_the_grammar_are_refused() {
        let lines = [
            "PROXY \r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        ];
        for line in lines {
            assert_eq!(ProxyHeader::read(line.as_bytes()), Err(ProxyError::Line), "{line:?}");
        }
        let endless: String = format!("PROXY UNKNOWN {}", "x".repeat(93));
        assert_eq!(ProxyHeader::read(endless.as_bytes()), Err(ProxyError::TooLong));
        let late_end = endless + "\r\n";
        assert_eq!(ProxyHeader::read(late_end.as_bytes()), Err(ProxyError::TooLong));
    }
}
