//! What peers sent, in a form that cannot break a line, command a terminal or pass for something else.

use std::ascii::escape_default;
use std::fmt;

/// Shows bytes in visible ASCII: others, quotes and backslashes are escaped as in `b"..."`. What is
/// longer than [`LONGEST`] when escaped is cut, and ends in dots.
#[derive(Clone, Copy)]
pub(super) struct Escaped<'a>(&'a [u8]);

impl<'a> Escaped<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = LONGEST;
        for byte in self.0 {
            let escaped = escape_default(*byte);
            match room.checked_sub(escaped.len()) {
                Some(left) => room = left,
                None => return f.write_str("..."),
            }
            escaped.fmt(f)?;
        }
        Ok(())
    }
}

/// What a refused request said of itself. It may be no valid request at all, so each part is what
/// stands where it should be.
#[cfg(feature = "server")]
pub(super) struct Request<'a> {
    /// Without the query, which may hold secrets.
    pub(super) path: Option<Escaped<'a>>,
    pub(super) origin: Option<Escaped<'a>>,
    pub(super) user_agent: Option<Escaped<'a>>,
}

#[cfg(feature = "server")]
impl<'a> Request<'a> {
    /// Looks for the parts in what was received.
    pub(super) fn find(received: &'a [u8]) -> Self {
        let mut request = Self { path: None, origin: None, user_agent: None };
        let mut lines = received.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        request.path = lines.find(|line| !line.is_empty()).and_then(path_of);
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let slot = if name.eq_ignore_ascii_case(b"origin") {
                &mut request.origin
            } else if name.eq_ignore_ascii_case(b"user-agent") {
                &mut request.user_agent
            } else {
                continue;
            };
            slot.get_or_insert(Escaped(value.get(1..).unwrap_or_default().trim_ascii()));
        }
        request
    }
}

/// Returns the path in a request line; `None` if it begins with anything but a method.
#[cfg(feature = "server")]
fn path_of(line: &[u8]) -> Option<Escaped<'_>> {
    let (method, target) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    if !method.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let end = |byte: &u8| matches!(byte, b' ' | b'?' | b'#');
    target.get(1..)?.split(end).next().map(Escaped)
}

/// The most that is shown of one value, escapes counted in full.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_left_of_any_bytes() {
        for byte in 0..=u8::MAX {
            let shown = Escaped(&[byte]).to_string();
            assert!(shown.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{shown}");
        }
        let shown = Escaped::text("a\r\n\x1b[2J\u{9b}\u{202e}\"\\ b").to_string();
        assert_eq!(shown, r#"a\r\n\x1b[2J\xc2\x9b\xe2\x80\xae\"\\ b"#);
    }

    #[test]
    fn a_long_value_is_cut_between_escapes() {
        assert_eq!(Escaped(&[b'a'; 256]).to_string(), "a".repeat(256));
        assert_eq!(Escaped(&[b'a'; 257]).to_string(), "a".repeat(256) + "...");
        let shown = Escaped(&[[b'a'; 255].as_slice(), &[0x1b; 999]].concat()).to_string();
        assert_eq!(shown, "a".repeat(255) + "...");
    }

    #[cfg(feature = "server")]
    #[test]
    fn the_parts_of_a_request_are_found_in_broken_ones_too() {
        let shown = |received: &[u8]| {
            let Request { path, origin, user_agent } = Request::find(received);
            [path, origin, user_agent].map(|part| part.map(|part| part.to_string()))
        };
        let whole =
            b"\r\nGET /a%0a?token=secret HTTP/1.1\r\nuser-AGENT:  x\x1by \r\nOrigin: o\r\n\r\n\
            Origin: p";
        assert_eq!(shown(whole), ["/a%0a", "o", r"x\x1by"].map(|part| Some(part.to_owned())));
        assert_eq!(shown(b"GET /\xff\x1b"), [Some(r"/\xff\x1b".to_owned()), None, None]);
        assert_eq!(shown(b"GET"), [None, None, None]);
        assert_eq!(shown(b"\x16\x03 /hello"), [None, None, None]);
        assert_eq!(shown(b""), [None, None, None]);
    }
}
