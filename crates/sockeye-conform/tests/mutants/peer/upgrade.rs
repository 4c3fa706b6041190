//! The fields of the opening handshake (RFC 6455 section 4): a server's view of a request, a
//! client's view of a response.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::extension::{self, Agreed};
use super::head::{Head, LONGEST_TARGET, Status, is_token};
use crate::fault::Fault;

/// A request that may be answered with 101.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) key: String,
    pub(crate) deflate: Option<(String, Agreed)>,
}

/// Checks a request.
pub(crate) fn check_request(head: &Head, fault: Option<Fault>) -> Result<Accepted, Status> {
    let has = |wanted| fault == Some(wanted);
    check_line(&head.start, fault)?;
    check_host(head, fault)?;
    check_body(head, fault)?;
    let upgrade = head.values("upgrade");
    if upgrade.contains(&"") {
        return Err(400);
    }
    if !head.has_token("upgrade", "websocket") && !has(Fault::UpgradeUnchecked) {
        return Err(426);
    }
    if !head.has_token("connection", "upgrade") && !has(Fault::ConnectionUnchecked) {
        return Err(426);
    }
    let key = read_key(&head.values("sec-websocket-key"), fault)?;
    match head.values("sec-websocket-version")[..] {
        ["13"] => {}
        _ if has(Fault::VersionUnchecked) => {}
        [] | [_] if has(Fault::VersionRefusedAs400) => return Err(400),
        [] | [_] => return Err(426),
        _ => return Err(400),
    }
    check_subprotocols(&head.values("sec-websocket-protocol"), fault)?;
    let offers = extension::parse(&head.values("sec-websocket-extensions"));
    let offers = match offers {
        None if has(Fault::ExtensionSyntaxUnchecked) => Vec::new(),
        offers => offers.ok_or(400_u16)?,
    };
    Ok(Accepted { key, deflate: extension::answer(&offers, fault) })
}

fn check_line(line: &str, fault: Option<Fault>) -> Result<(), Status> {
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(400) };
    let digits = version.strip_prefix("HTTP/").ok_or(400_u16)?.as_bytes();
    let [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = digits else { return Err(400) };
    match (major, minor) {
        _ if fault == Some(Fault::HttpVersionUnchecked) => {}
        (b'1', b'0') => return Err(426),
        (b'1', _) => {}
        _ => return Err(505),
    }
    if !is_token(method) {
        return Err(400);
    }
    if method != "GET" && fault != Some(Fault::MethodUnchecked) {
        return Err(405);
    }
    if target.len() > LONGEST_TARGET && fault != Some(Fault::HeadUnbounded) {
        return Err(414);
    }
    let path = match target.split_once("://") {
        Some(("ws" | "wss" | "http" | "https", rest)) if !rest.is_empty() => {
            &rest[rest.find('/').unwrap_or(rest.len())..]
        }
        _ if target.starts_with('/') => target,
        _ if fault == Some(Fault::TargetUnchecked) => "",
        _ => return Err(400),
    };
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let fits = visible && is_percent_encoded_text(path);
    if fits || fault == Some(Fault::TargetUnchecked) { Ok(()) } else { Err(400) }
}

/// Tells whether the escapes are whole and what they stand for is UTF-8.
fn is_percent_encoded_text(path: &str) -> bool {
    let (mut decoded, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        decoded.push(*byte);
        if *byte == b'%' {
            let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let value =
                digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let Some(value) = value.and_then(|value| u8::from_str_radix(value, 16).ok()) else {
                return false;
            };
            decoded.pop();
            decoded.push(value);
            rest = &behind[2..];
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

fn check_host(head: &Head, fault: Option<Fault>) -> Result<(), Status> {
    let hosts = head.values("host");
    let host = match hosts[..] {
        [host] => host,
        [] if fault == Some(Fault::HostMissingAccepted) => return Ok(()),
        [_, _, ..] if fault == Some(Fault::HostTwiceAccepted) => return Ok(()),
        _ => return Err(400),
    };
    if fault == Some(Fault::HostUnchecked) {
        return Ok(());
    }
    let after_name = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match host[after_name..].rfind(':') {
        Some(colon) => (&host[..after_name + colon], &host[after_name + colon + 1..]),
        None => (host, ""),
    };
    let in_brackets = name.starts_with('[') && name.ends_with(']');
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let literal = |byte: u8| byte.is_ascii_hexdigit() || b":.[]v".contains(&byte);
    let right = match in_brackets {
        true => name.bytes().all(literal),
        false => name.bytes().all(named),
    };
    let port_is_right = port.bytes().all(|digit| digit.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    if !name.is_empty() && right && port_is_right { Ok(()) } else { Err(400) }
}

/// A request for an upgrade has no body.
fn check_body(head: &Head, fault: Option<Fault>) -> Result<(), Status> {
    let has_body = !matches!(head.values("content-length")[..], [] | ["0"])
        || !head.values("transfer-encoding").is_empty();
    if has_body && fault != Some(Fault::BodyUnchecked) { Err(400) } else { Ok(()) }
}

fn read_key(keys: &[&str], fault: Option<Fault>) -> Result<String, Status> {
    let key = match keys {
        [key] => *key,
        [] if fault == Some(Fault::KeyMissingAccepted) => "",
        [key, ..] if fault == Some(Fault::KeyTwiceAccepted) => key,
        _ => return Err(400),
    };
    // The unused bits of the last letter may be set; the accept value is made of the text.
    let body = key.strip_suffix("==").filter(|body| body.len() == 22);
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let lax = matches!(fault, Some(Fault::KeyUnchecked | Fault::KeyMissingAccepted));
    match body.is_some_and(|body| body.bytes().all(letter)) || lax {
        true => Ok(key.to_owned()),
        false => Err(400),
    }
}

fn check_subprotocols(values: &[&str], fault: Option<Fault>) -> Result<(), Status> {
    let names: Vec<_> = values.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let right = names.iter().all(|name| is_token(name)) && distinct.len() == names.len();
    let few = names.len() <= MOST_SUBPROTOCOLS;
    if right && few || fault == Some(Fault::SubprotocolSyntaxUnchecked) { Ok(()) } else { Err(400) }
}

/// Checks the response to a request with `key`; returns what was agreed of compression.
///
/// `None` for a response that comes before the one that counts.
pub(crate) fn check_response(
    head: &Head,
    key: &str,
    fault: Option<Fault>,
) -> Result<Option<Option<Agreed>>, String> {
    let has = |wanted| fault == Some(wanted);
    let check = |right: bool, what: &str| if right { Ok(()) } else { Err(what.to_owned()) };
    let line = head.start.as_bytes();
    let status = head.start.get(9..12).and_then(|status| status.parse::<u16>().ok());
    let formed = head.start.starts_with("HTTP/1.1 ") && matches!(line.get(12), None | Some(b' '));
    check(formed || has(Fault::StatusLineUnchecked), "no status line")?;
    let early = status.is_some_and(|status| (100..200).contains(&status) && status != 101);
    if early && !has(Fault::StatusUnchecked) {
        return check(!has(Fault::EarlyResponseRefused), "a response before the 101")
            .map(|()| None);
    }
    let redirects = status.is_some_and(|status| status / 100 == 3) && has(Fault::RedirectTaken);
    if redirects {
        return Ok(Some(None));
    }
    check(status == Some(101) || has(Fault::StatusUnchecked), "the status is not 101")?;
    let upgrades =
        matches!(head.values("upgrade")[..], [name] if name.eq_ignore_ascii_case("websocket"));
    check(upgrades || has(Fault::UpgradeUnchecked), "no Upgrade")?;
    let connects = head.has_token("connection", "upgrade");
    check(connects || has(Fault::ConnectionUnchecked), "no Connection")?;
    let accept = head.values("sec-websocket-accept");
    let accepts = accept == [accept_key(key).as_str()];
    check(accepts || has(Fault::AcceptUnchecked), "a wrong Sec-WebSocket-Accept")?;
    check(check_body(head, fault).is_ok(), "a body")?;
    let subprotocols = head.values("sec-websocket-protocol");
    check(
        subprotocols.is_empty() || has(Fault::SubprotocolUnofferedTaken),
        "a subprotocol that was not offered",
    )?;
    let extensions = head.values("sec-websocket-extensions");
    if extensions.is_empty() {
        return Ok(Some(None));
    }
    let extensions = match extension::parse(&extensions) {
        None if has(Fault::ExtensionSyntaxUnchecked) => return Ok(Some(None)),
        extensions => extensions.ok_or("malformed extensions")?,
    };
    let agreed = extension::read_answer(&extensions, fault);
    agreed.map(|agreed| Some(Some(agreed))).ok_or_else(|| "a wrong extension".to_owned())
}

/// Returns the answer to a key (RFC 6455 section 4.2.2).
pub(crate) fn accept_key(key: &str) -> String {
    let text = [key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    BASE64.encode(sha1_smol::Sha1::from(text).digest().bytes())
}

/// Returns a key made of a number.
pub(crate) fn key(number: u128) -> String {
    BASE64.encode(number.to_be_bytes())
}

/// As many subprotocols may be offered.
const MOST_SUBPROTOCOLS: usize = 64;
