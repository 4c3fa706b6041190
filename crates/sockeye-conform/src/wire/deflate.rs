//! permessage-deflate (RFC 7692): parameters as text, messages through zlib.
//!
//! Holds its peer to what was agreed: bytes that refer back further than the agreed window, or
//! beyond a message whose context was to be forgotten, do not inflate.

use std::mem::replace;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use super::inflate;
use crate::case::Request;

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
    /// Reads an element; `None` if it is of another extension.
    fn read(element: &str) -> Result<Option<Self>, String> {
        let mut parts = element.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return Ok(None);
        }
        let mut params = Self::default();
        for part in parts {
            let unfit = || format!("the parameter {part:?} of permessage-deflate");
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (part, None),
            };
            let bits = value.map(|value| {
                let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits));
                bits.filter(|_| !value.starts_with(['0', '+'])).ok_or_else(unfit)
            });
            let bits = bits.transpose()?;
            let again = match (name, bits) {
                ("server_no_context_takeover", None) => replace(&mut params.server_forgets, true),
                ("client_no_context_takeover", None) => replace(&mut params.client_forgets, true),
                ("server_max_window_bits", Some(bits)) => {
                    params.server_bits.replace(bits).is_some()
                }
                ("client_max_window_bits", bits) => params.client_bits.replace(bits).is_some(),
                _ => return Err(unfit()),
            };
            if again {
                return Err(format!("{} twice", unfit()));
            }
        }
        Ok(Some(params))
    }

    /// Reads all elements of a header that are of this extension and well formed.
    fn read_offers(header: &str) -> Vec<Self> {
        header.split(',').filter_map(|element| Self::read(element.trim()).ok().flatten()).collect()
    }
}

/// Reads a server's answer to the offers made.
pub(crate) fn read_answer(offers: &str, answer: &str) -> Result<Agreed, String> {
    let given = Params::read(answer)?;
    let given = given.ok_or_else(|| format!("the extension {answer:?} was not offered"))?;
    if given.client_bits == Some(None) {
        return Err("client_max_window_bits without a value in a response".into());
    }
    let fits = |offer: &Params| {
        let server_fits = match (given.server_bits, offer.server_bits) {
            (Some(given), Some(asked)) => given <= asked,
            (given, asked) => given.is_some() || asked.is_none(),
        };
        let client_fits = given.client_bits.is_none() || offer.client_bits.is_some();
        server_fits && client_fits && given.server_forgets >= offer.server_forgets
    };
    if !Params::read_offers(offers).iter().any(fits) {
        return Err(format!("the answer {answer:?} fits no offer of {offers:?}"));
    }
    Ok(agreed(&given))
}

/// Answers a client's offers with the first request that one of them allows, as Autobahn does.
pub(crate) fn answer_offer(offers: &str, requests: &[Request]) -> Option<(String, Agreed)> {
    let offers = Params::read_offers(offers);
    let (request, offered) = requests.iter().find_map(|request| {
        let allows = |offer: &&Params| {
            (!request.no_context_takeover || offer.client_forgets)
                && (request.window_bits == 0 || offer.client_bits.is_some())
        };
        offers.iter().find(allows).map(|offer| (request, offer))
    })?;
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
    let params = Params::read(&answer).ok().flatten()?;
    Some((answer, agreed(&params)))
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
    /// What the last of them held, for the exact inflater.
    history: Vec<u8>,
    /// The peer has sent a final block, which it may (RFC 7692, section 7.2.3.4).
    had_final_block: bool,
}

impl Codec {
    pub(crate) fn new(ours: Direction, theirs: Direction) -> Self {
        Self {
            ours,
            theirs,
            // zlib has no window of 256 bytes; cases that agree on one send less than that.
            deflate: Deflate::new(LEVEL, false, ours.window_bits.max(9)),
            inflate: Inflate::new(false, theirs.window_bits),
            inflated: 0,
            history: Vec::new(),
            had_final_block: false,
        }
    }

    /// Appends the compressed form of a message to `out`.
    pub(crate) fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if self.ours.forgets {
            self.deflate.reset();
        }
        compress(&mut self.deflate, payload, out);
    }

    /// Inflates a message.
    pub(crate) fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        if self.theirs.forgets && self.inflated > 0 {
            self.inflate = Inflate::new(false, self.theirs.window_bits);
            self.history.clear();
        }
        self.inflated += 1;
        let payload = &[payload, &TAIL].concat()[..];
        let small = self.theirs.window_bits < 15 && self.inflated <= EXACT;
        if self.had_final_block {
            return self.inflate_slowly(payload);
        }
        let mut out = Vec::with_capacity(payload.len() * 4);
        if self.feed(payload, &mut out)? == Fed::UpToFinalBlock {
            // Only the slow inflater goes on behind it, in this message and those to come.
            self.had_final_block = true;
            return self.inflate_slowly(payload);
        }
        if small {
            let exact = self.inflate_slowly(payload)?;
            return if exact == out { Ok(out) } else { Err("two inflaters disagree".into()) };
        }
        self.remember(&out);
        Ok(out)
    }

    /// Inflates a message by the exact way, which refuses distances beyond the agreed window.
    fn inflate_slowly(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let start = self.history.len();
        inflate::inflate(payload, &mut self.history, 1 << self.theirs.window_bits)?;
        let message = self.history.get(start..).unwrap_or_default().to_vec();
        self.remember(&[]);
        Ok(message)
    }

    /// Keeps as much of what came as the largest window holds.
    fn remember(&mut self, message: &[u8]) {
        let start = message.len().saturating_sub(WINDOW);
        self.history.extend_from_slice(message.get(start..).unwrap_or_default());
        let beyond = self.history.len().saturating_sub(WINDOW);
        // Only now and then, since it moves the rest.
        if beyond > WINDOW {
            self.history.drain(..beyond);
        }
    }

    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<Fed, String> {
        let step = 64 << 10;
        loop {
            let made = out.len();
            out.resize(made + step, 0);
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(input, &mut out[made..], InflateFlush::SyncFlush);
            let status = result.map_err(|error| format!("does not inflate: {}", error.as_str()))?;
            let used = difference(self.inflate.total_in(), before_in);
            let new = difference(self.inflate.total_out(), before_out);
            out.truncate(made + new);
            input = input.get(used..).unwrap_or_default();
            if out.len() > LONGEST {
                return Err(format!("a message that inflates to more than {LONGEST} bytes"));
            }
            if status == zlib_rs::Status::StreamEnd {
                return Ok(Fed::UpToFinalBlock);
            }
            if new < step {
                return if input.is_empty() { Ok(Fed::All) } else { Err("bytes left over".into()) };
            }
        }
    }
}

/// How much of a message an inflater took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    All,
    UpToFinalBlock,
}

/// Compresses bytes from an empty window, as the frames that are sent `packed`.
pub(crate) fn pack(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(&mut Deflate::new(LEVEL, false, 15), payload, &mut out);
    out
}

/// Appends all that comes out of a compressor, but for the tail that stays off the wire.
fn compress(deflate: &mut Deflate, payload: &[u8], out: &mut Vec<u8>) {
    let (mut rest, mut made) = (payload, out.len());
    // Room enough that one call does, which is what makes the flush complete.
    out.resize(made + payload.len() + payload.len() / 8 + 128, 0);
    loop {
        let (before_in, before_out) = (deflate.total_in(), deflate.total_out());
        // Without an output too small for anything it cannot fail.
        let _ = deflate.compress(rest, &mut out[made..], DeflateFlush::SyncFlush);
        rest = rest.get(difference(deflate.total_in(), before_in)..).unwrap_or_default();
        made += difference(deflate.total_out(), before_out);
        if made < out.len() {
            break;
        }
        out.resize(made * 2, 0);
    }
    out.truncate(made);
    if out.ends_with(&TAIL) {
        out.truncate(made - TAIL.len());
    }
}

fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now - before).unwrap_or(usize::MAX)
}

/// The longest message that is inflated, in bytes: no case asks for more than 16 MiB.
const LONGEST: usize = 256 << 20;

/// zlib's fastest: chapters 12 and 13 compress 11 GB.
const LEVEL: i32 = 1;

/// So many messages of a connection are checked against a small window to the byte; it is slow.
const EXACT: usize = 32;

/// The largest window, in bytes.
const WINDOW: usize = 1 << 15;

/// The end of an empty stored block, which stays off the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::SampleKind;

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
        let sample = SampleKind::Pdf.sample();
        // Bytes that come again after just as many others as the distance tells.
        let at_distance = |distance: usize| {
            let (start, between) =
                (sample.window(7, 40, false), sample.window(300, distance - 40, false));
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

    #[test]
    fn answers_that_fit_no_offer_are_refused() {
        let offer = "permessage-deflate; client_max_window_bits; server_max_window_bits=10";
        assert!(read_answer(offer, "permessage-deflate; server_max_window_bits=9").is_ok());
        for wrong in [
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=10; more",
            "permessage-bzip2",
        ] {
            assert!(read_answer(offer, wrong).is_err(), "{wrong}");
        }
        assert!(
            read_answer("permessage-deflate", "permessage-deflate; client_max_window_bits=9")
                .is_err()
        );
    }

    #[test]
    fn the_first_request_that_an_offer_allows_is_made() {
        let ask = |no_context_takeover, window_bits| Request { no_context_takeover, window_bits };
        let requests = [ask(true, 9), ask(true, 0), ask(false, 0)];
        let answer = |offers| answer_offer(offers, &requests).map(|(answer, _)| answer);
        let full = "permessage-deflate; client_no_context_takeover; client_max_window_bits";
        let best = "permessage-deflate; client_no_context_takeover; client_max_window_bits=9";
        assert_eq!(answer(full).as_deref(), Some(best));
        assert_eq!(answer("foo, permessage-deflate").as_deref(), Some("permessage-deflate"));
        assert_eq!(answer("foo"), None);
    }

    #[test]
    fn messages_with_final_blocks_inflate_with_what_follows_them() {
        // The example of RFC 7692, section 7.2.3.4, and the one of section 7.2.3.2 that refers back.
        let is_final = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
        let refers_back = b"\xf2\x00\x11\x00\x00";
        let mut codec = Codec::new(direction(false, 15), direction(false, 15));
        for payload in [&is_final[..], refers_back, is_final, refers_back] {
            assert_eq!(codec.inflate(payload).as_deref(), Ok(&b"Hello"[..]));
        }
        let mut codec = Codec::new(direction(true, 15), direction(true, 15));
        assert_eq!(codec.inflate(is_final).as_deref(), Ok(&b"Hello"[..]));
        assert!(codec.inflate(refers_back).is_err());
    }

    fn direction(forgets: bool, window_bits: u8) -> Direction {
        Direction { forgets, window_bits }
    }
}
