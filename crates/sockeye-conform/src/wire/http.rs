//! Heads of HTTP/1.1 messages and the fields of the opening handshake (RFC 6455, section 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A request's or a response's head, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, String)>,
    /// Bytes of the head, the empty line included.
    pub(crate) size: usize,
}

impl Head {
    /// Reads a head; `None` if it is not all there.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return match bytes.len() {
                0..=LONGEST => Ok(None),
                _ => Err(format!("a head of more than {LONGEST} bytes")),
            };
        };
        let text = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
            }
            _ => Err(format!("{line:?} is no header field")),
        };
        let fields = lines.map(field).collect::<Result<_, _>>()?;
        Ok(Some(Self { line, fields, size: end + 4 }))
    }

    /// Returns the value of a field, the values of several joined with commas.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values = self.fields.iter().filter(|(field, _)| field == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Returns the status of a response.
    pub(crate) fn status(&self) -> Result<u16, String> {
        let mut words = self.line.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        let status = words.next().filter(|status| status.len() == 3);
        match status.and_then(|status| status.parse().ok()) {
            Some(status) if version.starts_with("HTTP/1.") => Ok(status),
            _ => Err(format!("{:?} is no status line", self.line)),
        }
    }

    /// Returns the target of a request.
    #[cfg(feature = "net")]
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// Checks what a server says of an upgrade, all but extensions.
    pub(crate) fn check_response(&self, key: &str, offered: &[String]) -> Result<(), String> {
        self.check_upgrade()?;
        let accept = self.field("sec-websocket-accept");
        if accept.as_deref() != Some(accept_key(key).as_str()) {
            return Err(format!("Sec-WebSocket-Accept is {accept:?}, not {}", accept_key(key)));
        }
        match self.field("sec-websocket-protocol") {
            Some(chosen) if !offered.contains(&chosen) => {
                Err(format!("the subprotocol {chosen:?} was not offered"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a refusal has the field which its status demands (RFC 9110, section 15.5), and
    /// an element of a field that the case demands.
    pub(crate) fn check_refusal(
        &self,
        status: u16,
        field: Option<&(String, String)>,
    ) -> Result<(), String> {
        let demanded = match status {
            401 => Some("www-authenticate"),
            405 => Some("allow"),
            426 => Some("upgrade"),
            _ => None,
        };
        if let Some(name) = demanded.filter(|name| self.field(name).is_none()) {
            return Err(format!("a refusal by {status} has no {name}"));
        }
        let Some((name, element)) = field else { return Ok(()) };
        let value = self.field(name).unwrap_or_default();
        match value.split(',').any(|other| other.trim() == element) {
            true => Ok(()),
            false => Err(format!("{name} is {value:?}, without {element}")),
        }
    }

    /// Checks a client's request.
    pub(crate) fn check_request(&self) -> Result<(), String> {
        if !(self.line.starts_with("GET ") && self.line.ends_with(" HTTP/1.1")) {
            return Err(format!("the request line is {:?}", self.line));
        }
        self.check_upgrade()?;
        if self.field("host").is_none_or(|host| host.is_empty() || host.contains(',')) {
            return Err(format!("Host is {:?}", self.field("host")));
        }
        let version = self.field("sec-websocket-version");
        if version.as_deref() != Some("13") {
            return Err(format!("Sec-WebSocket-Version is {version:?}, not 13"));
        }
        let key = self.field("sec-websocket-key").unwrap_or_default();
        match BASE64.decode(&key) {
            Ok(nonce) if nonce.len() == 16 => Ok(()),
            _ => Err(format!("Sec-WebSocket-Key {key:?} is not 16 bytes in base64")),
        }
    }

    fn check_upgrade(&self) -> Result<(), String> {
        let upgrade = self.field("upgrade").unwrap_or_default();
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(format!("Upgrade is {upgrade:?}"));
        }
        let connection = self.field("connection").unwrap_or_default();
        let mut options = connection.split(',').map(str::trim);
        if !options.any(|option| option.eq_ignore_ascii_case("upgrade")) {
            return Err(format!("Connection is {connection:?}"));
        }
        Ok(())
    }
}

/// Returns the answer to a key (RFC 6455, section 4.2.2).
pub(crate) fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(sha1_smol::Sha1::from(text).digest().bytes())
}

/// Returns a key of these 16 bytes.
pub(crate) fn key(nonce: [u8; 16]) -> String {
    BASE64.encode(nonce)
}

/// Fills in a template of a head: `{name}` by a value, `{n*a}` by a letter n times, characters up
/// to U+00FF by single bytes.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        append_latin1(&mut out, before);
        let Some((name, after)) = behind.split_once('}') else {
            out.push(b'{');
            rest = behind;
            continue;
        };
        let value = values.iter().find(|(known, _)| *known == name);
        let repeated = name
            .split_once('*')
            .and_then(|(count, letters)| Some(letters.repeat(count.parse().ok()?)));
        match (value, repeated) {
            (Some((_, value)), _) => append_latin1(&mut out, value),
            (None, Some(letters)) => append_latin1(&mut out, &letters),
            (None, None) => append_latin1(&mut out, &format!("{{{name}}}")),
        }
        rest = after;
    }
    append_latin1(&mut out, rest);
    out
}

fn append_latin1(out: &mut Vec<u8>, text: &str) {
    let mut buffer = [0; 4];
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// The longest head that is read, in bytes.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_has_its_answer() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn templates_are_filled_in() {
        let filled = fill("GET {path} {3*ab}{\u{ff}{x} {", &[("path", "/é")]);
        assert_eq!(filled, b"GET /\xe9 ababab{\xff{x} {");
    }

    #[test]
    fn a_refusal_has_what_its_status_and_the_case_demand() {
        let field = ("sec-websocket-version".to_owned(), "13".to_owned());
        let check = |status, lines: &str, field| {
            let text = format!("HTTP/1.1 {status} No\r\n{lines}\r\n");
            Head::read(text.as_bytes()).unwrap().unwrap().check_refusal(status, field)
        };
        assert!(check(405, "", None).is_err());
        assert_eq!(check(405, "Allow: GET\r\n", None), Ok(()));
        assert!(check(426, "", None).is_err());
        assert!(check(400, "Sec-WebSocket-Version: 8\r\n", Some(&field)).is_err());
        assert_eq!(check(400, "Sec-WebSocket-Version: 13, 8\r\n", Some(&field)), Ok(()));
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let bytes =
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nA: 1\r\na:2\r\n\r\nrest";
        for cut in 0..bytes.len() - 4 {
            assert_eq!(Head::read(&bytes[..cut]), Ok(None));
        }
        let head = Head::read(bytes).unwrap().unwrap();
        assert_eq!((head.size, head.status()), (bytes.len() - 4, Ok(101)));
        assert_eq!(head.field("a").as_deref(), Some("1, 2"));
        assert!(head.check_response("", &[]).unwrap_err().contains("Connection"));
        assert!(Head::read(b"HTTP/1.1 200 OK\r\nno field\r\n\r\n").is_err());
    }
}
