//! The fuzzer's permessage-deflate: parameters as text, messages through zlib.
//!
//! Holds its peer to what was agreed: bytes that refer back further than the agreed window, or
//! beyond a message whose context was to be forgotten, do not inflate.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

use super::cases::Request;

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
}

impl Codec {
    pub(crate) fn new(ours: Direction, theirs: Direction) -> Self {
        Self {
            ours,
            theirs,
            deflate: Deflate::new(LEVEL, false, ours.window_bits),
            inflate: Inflate::new(false, theirs.window_bits),
            inflated: 0,
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
        Ok(out)
    }

    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        // zlib keeps to the window only between calls, so a small window takes small calls.
        let step = if self.theirs.window_bits < 15 { 1024 } else { 64 * 1024 };
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

/// zlib's fastest: the runs of chapter 13 compress 22 GB.
const LEVEL: i32 = 1;

/// The end of an empty stored block, which stays off the wire (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
