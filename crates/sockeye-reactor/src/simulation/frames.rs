//! Frames as a client writes and reads them, by hand: the core is not asked what it would say.

/// Builds a client's frame.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | u8::try_from(length).unwrap_or(0)),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap_or(0).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if payload.len() > 200 {
        // A key that masks nothing: thousands of simulations have no time to mask byte by byte.
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(payload);
        return out;
    }
    let key = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Builds a message of so many fragments, with a ping before each but the first.
pub(super) fn message(payload: &[u8], fragments: usize) -> Vec<u8> {
    let length = payload.len().div_ceil(fragments.max(1)).max(1);
    let count = payload.len().div_ceil(length).max(1);
    let mut out = Vec::new();
    for number in 0..count {
        let start = number * length;
        let end = payload.len().min(start + length);
        let opcode = if number == 0 { BINARY } else { 0 };
        let fin = if number + 1 == count { FIN } else { 0 };
        if number > 0 {
            out.extend(frame(FIN | PING, b"between"));
        }
        out.extend(frame(fin | opcode, payload.get(start..end).unwrap_or_default()));
    }
    out
}

/// What a server's bytes begin with.
#[derive(Debug)]
pub(super) enum Parsed {
    /// A frame's opcode and payload, and its length in all.
    Frame(u8, Vec<u8>, usize),
    /// Not enough.
    More,
    /// No frame that a server may send here.
    Wrong,
}

/// Reads a server's frame, which is neither masked nor compressed nor in fragments.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Parsed::More };
    if first & 0xf0 != FIN {
        return Parsed::Wrong;
    }
    let (length, start): (u64, usize) = match second {
        short @ 0..=125 => (u64::from(*short), 2),
        126 => match bytes.get(2..).and_then(|rest| rest.first_chunk()) {
            Some(length) => (u16::from_be_bytes(*length).into(), 4),
            None => return Parsed::More,
        },
        127 => match bytes.get(2..).and_then(|rest| rest.first_chunk()) {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Parsed::More,
        },
        _ => return Parsed::Wrong,
    };
    let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
    let Some(end) = end else { return Parsed::Wrong };
    match bytes.get(start..end) {
        Some(payload) => Parsed::Frame(first & 0x0f, payload.to_vec(), end),
        None => Parsed::More,
    }
}

pub(super) const FIN: u8 = 0x80;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;
