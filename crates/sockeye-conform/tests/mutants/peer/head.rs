//! Heads of HTTP/1.1 messages, read strictly (RFC 9112), but for the rule that a fault breaks.

use crate::fault::Fault;

/// A head whose lines are well formed.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Names in lower case; values have a character per byte.
    fields: Vec<(String, String)>,
    /// Bytes of the head, the empty line included.
    pub(crate) size: usize,
}

/// The status with which a bad head is answered.
pub(crate) type Status = u16;

impl Head {
    /// Reads a head; `None` if it is not all there. What is wrong in it is told as soon as its line
    /// is there.
    pub(crate) fn read(bytes: &[u8], fault: Option<Fault>) -> Result<Option<Self>, Status> {
        let has = |wanted| fault == Some(wanted);
        let too_long = || if has(Fault::HeadUnbounded) { Ok(None) } else { Err(431) };
        let (mut start, mut fields, mut at, mut empty) = (None::<String>, Vec::new(), 0, 0);
        if bytes.first().is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r') {
            return Err(400);
        }
        while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = &bytes[at..at + length];
            at += length + 1;
            if at > LONGEST && !has(Fault::HeadUnbounded) {
                return Err(if start.is_none() { 414 } else { 431 });
            }
            let line = match line.strip_suffix(b"\r") {
                Some(line) => line,
                None if has(Fault::BareLfAccepted) => line,
                None => return Err(400),
            };
            let is_wrong = |byte: &u8| matches!(byte, 0..=8 | 10..=31 | 127);
            if line.iter().any(is_wrong) && !has(Fault::ControlBytesAccepted) {
                return Err(400);
            }
            match (&mut start, line) {
                (None, []) if empty < 4 => empty += 1,
                (None, []) => return Err(400),
                (None, line) => start = Some(latin1(line)),
                (Some(start), []) => {
                    return Ok(Some(Self { start: std::mem::take(start), fields, size: at }));
                }
                (Some(_), line) => read_field(line, &mut fields, fault)?,
            }
            if fields.len() > MOST_FIELDS && !has(Fault::HeadUnbounded) {
                return Err(431);
            }
        }
        let target = bytes.iter().take_while(|byte| **byte != b'\n').count();
        if start.is_none() && target > LONGEST_TARGET + 64 && !has(Fault::HeadUnbounded) {
            return Err(414);
        }
        if bytes.len() > LONGEST { too_long() } else { Ok(None) }
    }

    /// Returns the values of a field, one for each of its lines.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// Tells whether a field that holds a list has a token, in any case.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        let values = self.values(name);
        let mut elements = values.iter().flat_map(|value| value.split(',')).map(str::trim);
        elements.any(|element| element.eq_ignore_ascii_case(token))
    }
}

fn read_field(
    line: &[u8],
    fields: &mut Vec<(String, String)>,
    fault: Option<Fault>,
) -> Result<(), Status> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        let folds = fault == Some(Fault::FoldedLineAccepted);
        let (Some((_, value)), true) = (fields.last_mut(), folds) else { return Err(400) };
        value.push_str(&latin1(line));
        return Ok(());
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(400_u16)?;
    let mut name = latin1(&line[..colon]);
    if fault == Some(Fault::SpaceBeforeColonAccepted) {
        name.truncate(name.trim_end().len());
    }
    if !is_token(&name) {
        return Err(400);
    }
    let value = latin1(&line[colon + 1..]);
    fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    Ok(())
}

/// Tells whether a text is a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The longest head, in bytes.
const LONGEST: usize = 16 << 10;

/// The longest target of a request, in bytes.
pub(crate) const LONGEST_TARGET: usize = 8 << 10;

const MOST_FIELDS: usize = 100;
