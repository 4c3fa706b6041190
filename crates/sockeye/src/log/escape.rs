//! What peers sent, in a form that cannot break a line, command a terminal or pass for something else.

use std::ascii::escape_default;

/// Shows bytes in visible ASCII: others and backslashes are escaped as in `b"..."`. What is longer
/// than [`LONGEST`] then is cut, and ends in dots.
///
/// Quotes are left to whoever writes the event down: it is handed on as a string, not as something
/// that displays itself, so that no blank in it can pass for the end of the value.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for byte in bytes {
        let before = shown.len();
        match byte {
            b'"' | b'\'' => shown.push(char::from(*byte)),
            byte => shown.extend(escape_default(*byte).map(char::from)),
        }
        if shown.len() > LONGEST {
            shown.truncate(before);
            shown.push_str("...");
            break;
        }
    }
    shown
}

/// What a refused request said of itself. It may be no valid request at all, so each part is what
/// stands where it should be.
#[cfg(feature = "server")]
pub(super) struct Request {
    /// Without the query, which may hold secrets.
    pub(super) path: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) user_agent: Option<String>,
}

#[cfg(feature = "server")]
impl Request {
    /// Looks for the parts in what was received.
    pub(super) fn find(received: &[u8]) -> Self {
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
            slot.get_or_insert_with(|| escape(value.get(1..).unwrap_or_default().trim_ascii()));
        }
        request
    }
}

/// Returns the path in a request line; `None` if it begins with anything but a method.
#[cfg(feature = "server")]
fn path_of(line: &[u8]) -> Option<String> {
    let (method, target) = line.split_at(line.iter().position(|byte| *byte == b' ')?);
    if !method.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let end = |byte: &u8| matches!(byte, b' ' | b'?' | b'#');
    target.get(1..)?.split(end).next().map(escape)
}

/// The most that is shown of one value, escapes counted in full.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_ascii_is_left_of_any_bytes() {
        for byte in 0..=u8::MAX {
            let shown = escape(&[byte]);
            assert!(shown.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{shown}");
        }
        let shown = escape("a\r\n\x1b[2J\u{9b}\u{202e}\"\\ b".as_bytes());
        assert_eq!(shown, r#"a\r\n\x1b[2J\xc2\x9b\xe2\x80\xae"\\ b"#);
    }

    #[test]
    fn a_long_value_is_cut_between_escapes() {
        assert_eq!(escape(&[b'a'; 256]), "a".repeat(256));
        assert_eq!(escape(&[b'a'; 257]), "a".repeat(256) + "...");
        let shown = escape(&[[b'a'; 255].as_slice(), &[0x1b; 999]].concat());
        assert_eq!(shown, "a".repeat(255) + "...");
    }

    #[cfg(feature = "server")]
    #[test]
    fn the_parts_of_a_request_are_found_in_broken_ones_too() {
        let shown = |received: &[u8]| {
            let Request { path, origin, user_agent } = Request::find(received);
            [path, origin, user_agent]
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
