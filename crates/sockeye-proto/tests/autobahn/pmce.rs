//! The fuzzer's permessage-deflate: parameters as text, messages through zlib.
//!
//! Holds its peer to what was agreed: bytes that refer back further than the agreed window, or
//! beyond a message whose context was to be forgotten, do not inflate.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use super::cases::Request;
use super::slow_inflate;

/// What was agreed, as the fuzzer reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) server: Direction,
    pub(crate) client: Direction,
}

/// What binds one end's compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) forgets: bool,
    pub(crate) window_bits: u8,
}

/// The parameters of one element of `Sec-WebSocket-Extensions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Params {
    server_forgets: bool,
    client_forgets: bool,
    server_bits: Option<u8>,
    /// `Some(None)` for a parameter without a value.
    client_bits: Option<Option<u8>>,
}

impl Params {
    fn parse(element: &str) -> Self {
        let mut parts = element.split(';').map(str::trim);
        assert_eq!(parts.next(), Some("permessage-deflate"), "{element}");
        let mut params = Self::default();
        for part in parts {
            match part.split_once('=') {
                None if part == "server_no_context_takeover" => params.server_forgets = true,
                None if part == "client_no_context_takeover" => params.client_forgets = true,
                None if part == "client_max_window_bits" => params.client_bits = Some(None),
                Some(("server_max_window_bits", bits)) => params.server_bits = bits.parse().ok(),
                Some(("client_max_window_bits", bits)) => {
                    params.client_bits = Some(bits.parse().ok());
                }
                _ => panic!("{part:?} in {element:?}"),
            }
        }
        params
    }
}

/// Reads a server's answer to a fuzzing client's offers. Panics at an answer that fits none.
pub(crate) fn read_answer(offers: &[String], answer: &str) -> Agreed {
    let given = Params::parse(answer);
    assert_ne!(given.client_bits, Some(None), "{answer}");
    let fits = |offer: &Params| {
        let server_fits = match (given.server_bits, offer.server_bits) {
            (Some(given), Some(asked)) => given <= asked,
            (given, asked) => given.is_some() || asked.is_none(),
        };
        let client_fits = given.client_bits.is_none() || offer.client_bits.is_some();
        server_fits && client_fits && given.server_forgets >= offer.server_forgets
    };
    let mut offers = offers.iter().map(|offer| Params::parse(offer));
    assert!(offers.any(|offer| fits(&offer)), "{answer} fits no offer");
    agreed(&given)
}

/// Answers a client's offer with the first request that the offer allows, as the suite does.
pub(crate) fn answer_offer(offer: &str, requests: &[Request]) -> (String, Agreed) {
    let offered = Params::parse(offer);
    let request = requests.iter().find(|request| {
        (!request.no_context_takeover || offered.client_forgets)
            && (request.window_bits == 0 || offered.client_bits.is_some())
    });
    let request = request.unwrap_or_else(|| panic!("{offer} allows no request"));
    let mut answer = String::from("permessage-deflate");
    if offered.server_forgets {
        answer.push_str("; server_no_context_takeover");
    }
    if let Some(bits) = offered.server_bits {
        answer.push_str(&format!("; server_max_window_bits={bits}"));
    }
    if request.no_context_takeover {
        answer.push_str("; client_no_context_takeover");
    }
    if request.window_bits != 0 {
        answer.push_str(&format!("; client_max_window_bits={}", request.window_bits));
    }
    let agreed = agreed(&Params::parse(&answer));
    (answer, agreed)
}

fn agreed(answer: &Params) -> Agreed {
    Agreed {
        server: Direction {
            forgets: answer.server_forgets,
            window_bits: answer.server_bits.unwrap_or(15),
        },
        client: Direction {
            forgets: answer.client_forgets,
            window_bits: answer.client_bits.flatten().unwrap_or(15),
        },
    }
}

/// Both directions' states.
pub(crate) struct Codec {
    ours: Direction,
    theirs: Direction,
    deflate: Deflate,
    inflate: Inflate,
    /// Compressed messages that came in.
    pub(crate) inflated: usize,
    /// What the first of them held, for the exact check of a small window.
    history: Vec<u8>,
}

impl Codec {
    pub(crate) fn new(ours: Direction, theirs: Direction) -> Self {
        Self {
            ours,
            theirs,
            deflate: Deflate::new(LEVEL, false, ours.window_bits),
            inflate: Inflate::new(false, theirs.window_bits),
            inflated: 0,
            history: Vec::new(),
        }
    }

    /// Appends the compressed form of a message to `out`.
    pub(crate) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if self.ours.forgets {
            self.deflate.reset();
        }
        let (mut used, mut made) = (0, 0);
        // Room enough that one call does, which is what makes the flush complete.
        out.resize(payload.len() + payload.len() / 8 + 128, 0);
        loop {
            let (before_in, before_out) = (self.deflate.total_in(), self.deflate.total_out());
            let input = &payload[used..];
            self.deflate.compress(input, &mut out[made..], DeflateFlush::SyncFlush).unwrap();
            used += usize::try_from(self.deflate.total_in() - before_in).unwrap();
            made += usize::try_from(self.deflate.total_out() - before_out).unwrap();
            if made < out.len() {
                break;
            }
            out.resize(made * 2, 0);
        }
        assert_eq!(used, payload.len());
        out.truncate(made);
        assert!(out.ends_with(&TAIL));
        out.truncate(made - TAIL.len());
    }

    /// Inflates a message.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        if self.theirs.forgets && self.inflated > 0 {
            self.inflate = Inflate::new(false, self.theirs.window_bits);
        }
        self.inflated += 1;
        let mut out = Vec::with_capacity(payload.len() * 4);
        self.feed(payload, &mut out)?;
        self.feed(&TAIL, &mut out)?;
        if self.theirs.window_bits < 15 && self.inflated <= EXACT {
            self.check_window(payload, &out)?;
        }
        Ok(out)
    }

    fn check_window(&mut self, payload: &[u8], message: &[u8]) -> Result<(), String> {
        if self.theirs.forgets {
            self.history.clear();
        }
        let start = self.history.len();
        let payload = [payload, &TAIL].concat();
        slow_inflate::inflate(&payload, &mut self.history, 1 << self.theirs.window_bits)?;
        let same = self.history.get(start..) == Some(message);
        if same { Ok(()) } else { Err("two inflaters disagree".into()) }
    }

    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let step = 64 << 10;
        loop {
            let made = out.len();
            out.resize(made + step, 0);
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(input, &mut out[made..], InflateFlush::SyncFlush);
            let status = result.map_err(|error| format!("does not inflate: {}", error.as_str()))?;
            let used = usize::try_from(self.inflate.total_in() - before_in).unwrap();
            let new = usize::try_from(self.inflate.total_out() - before_out).unwrap();
            out.truncate(made + new);
            input = &input[used..];
            if status == zlib_rs::Status::StreamEnd {
                return Err("a final block".into());
            }
            if new < step {
                return if input.is_empty() { Ok(()) } else { Err("bytes left over".into()) };
            }
        }
    }
}

/// zlib's fastest: chapters 12 and 13 compress 22 GB in each direction, both roles together.
const LEVEL: i32 = 1;

/// So many messages of a connection are checked against a small window to the byte; it is slow.
const EXACT: usize = 32;

/// The end of an empty stored block, which stays off the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::super::data::File;
    use super::*;

    fn pass_on(sender: Direction, receiver: Direction, messages: &[&[u8]]) -> Result<(), String> {
        let mut sending = Codec::new(sender, receiver);
        let mut receiving = Codec::new(receiver, sender);
        receiving.theirs = receiver;
        receiving.inflate = Inflate::new(false, receiver.window_bits);
        for message in messages {
            let mut packed = Vec::new();
            sending.compress(message, &mut packed);
            assert_eq!(receiving.inflate(&packed)?, *message);
        }
        Ok(())
    }

    #[test]
    fn a_window_larger_than_agreed_does_not_inflate() {
        let (large, small) = (direction(false, 15), direction(false, 9));
        let file = File::new("pdf", false);
        // Bytes that come again after just as many others as the distance tells.
        let at_distance = |distance: usize| {
            let (start, between) = (file.window(7, 40), file.window(300, distance - 40));
            [start, between, start].concat()
        };
        let (near, far) = (&at_distance(200)[..], &at_distance(513)[..]);
        assert_eq!(pass_on(large, large, &[near, far]), Ok(()));
        assert_eq!(pass_on(small, small, &[near, far]), Ok(()));
        assert_eq!(pass_on(large, small, &[near]), Ok(()));
        let error = "a distance of 513 in a window of 512";
        assert_eq!(pass_on(large, small, &[far]), Err(error.into()));
    }

    #[test]
    fn a_context_that_was_to_be_forgotten_does_not_inflate() {
        let (keeps, forgets) = (direction(false, 15), direction(true, 15));
        let message = &b"the same message once and once again"[..];
        assert_eq!(pass_on(keeps, keeps, &[message; 3]), Ok(()));
        assert_eq!(pass_on(forgets, forgets, &[message; 3]), Ok(()));
        assert!(pass_on(keeps, forgets, &[message; 3]).is_err());
    }

    fn direction(forgets: bool, window_bits: u8) -> Direction {
        Direction { forgets, window_bits }
    }
}
