//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1, RFC 7692 section 7.1): its syntax, offers and
//! answers of permessage-deflate.

use super::deflate::Direction;
use super::head::is_token;
use crate::fault::Fault;

/// An element of the header: a name and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    name: String,
    params: Vec<(String, Option<String>)>,
}

/// What was agreed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) server: Direction,
    pub(crate) client: Direction,
}

/// The parameters of permessage-deflate.
#[derive(Clone, Copy, Debug, Default)]
struct Params {
    server_forgets: bool,
    client_forgets: bool,
    server_bits: Option<u8>,
    /// `Some(None)` for a parameter without a value.
    client_bits: Option<Option<u8>>,
}

/// Reads the header's values; `None` if they break the grammar.
pub(crate) fn parse(values: &[&str]) -> Option<Vec<Extension>> {
    let elements = values.iter().flat_map(|value| split(value, ','));
    elements.map(parse_one).collect()
}

fn parse_one(element: &str) -> Option<Extension> {
    let mut parts = split(element, ';').into_iter().map(str::trim);
    let name = parts.next().filter(|name| is_token(name))?.to_owned();
    let params = parts.map(|part| {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquote(value.trim_start())?)),
            None => (part, None),
        };
        is_token(name).then(|| (name.to_owned(), value))
    });
    Some(Extension { name, params: params.collect::<Option<_>>()? })
}

/// Splits at a separator outside quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let cut = |letter: char| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    };
    text.split(cut).collect()
}

/// Returns a parameter's value, which is a token even where it is quoted.
fn unquote(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
    let plain = inner.replace('\\', "");
    is_token(&plain).then_some(plain)
}

/// Answers a client's offers: the first that will do.
pub(crate) fn answer(offers: &[Extension], fault: Option<Fault>) -> Option<(String, Agreed)> {
    let mut offers = offers.iter().take(MOST).filter(|offer| offer.name == NAME);
    let params = offers.find_map(|offer| {
        let params = Params::read(offer, fault)?;
        // zlib has no window of 256 bytes.
        (params.server_bits != Some(8)).then_some(params)
    })?;
    let mut text = NAME.to_owned();
    if params.server_forgets {
        text.push_str("; server_no_context_takeover");
    }
    if let Some(bits) = params.server_bits {
        text.push_str(&format!("; server_max_window_bits={bits}"));
    }
    if fault == Some(Fault::PmdAnswerUnoffered) {
        text.push_str("; client_max_window_bits");
    }
    // What the client says of its own compressor is only a hint, and is left at that.
    Some((text, Agreed { server: params.agreed().server, client: Direction::default() }))
}

/// Reads a server's answer to [`OFFER`]; `None` if it may not be.
pub(crate) fn read_answer(answer: &[Extension], fault: Option<Fault>) -> Option<Agreed> {
    let [answer] = answer else {
        let first = answer.first().filter(|_| fault == Some(Fault::PmdTwiceTaken));
        return Params::read(first?, fault).map(|params| params.agreed());
    };
    if answer.name != NAME {
        return (fault == Some(Fault::ExtensionUnofferedTaken)).then(Agreed::default);
    }
    let params = Params::read(answer, fault)?;
    let unfit = params.client_bits == Some(None) && fault != Some(Fault::PmdParametersUnchecked);
    (!unfit).then(|| params.agreed())
}

impl Params {
    /// Reads an element; `None` if it has a parameter that is unknown, wrong or there twice.
    fn read(extension: &Extension, fault: Option<Fault>) -> Option<Self> {
        let mut params = Self::default();
        let mut seen = Vec::new();
        for (name, value) in &extension.params {
            let twice = seen.contains(&name);
            seen.push(name);
            let fits = params.set(name, value.as_deref());
            let lax = fault == Some(Fault::PmdParametersUnchecked)
                || twice && fault == Some(Fault::PmdParameterTwiceAccepted);
            if (twice || fits.is_none()) && !lax {
                return None;
            }
        }
        Some(params)
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Option<()> {
        match (name, value) {
            ("server_no_context_takeover", None) => self.server_forgets = true,
            ("client_no_context_takeover", None) => self.client_forgets = true,
            ("server_max_window_bits", Some(value)) => self.server_bits = Some(window_bits(value)?),
            ("client_max_window_bits", None) => self.client_bits = Some(None),
            ("client_max_window_bits", Some(value)) => {
                self.client_bits = Some(Some(window_bits(value)?));
            }
            _ => return None,
        }
        Some(())
    }

    fn agreed(&self) -> Agreed {
        let server =
            Direction { forgets: self.server_forgets, window_bits: self.server_bits.unwrap_or(15) };
        let client = Direction {
            forgets: self.client_forgets,
            window_bits: self.client_bits.flatten().unwrap_or(15),
        };
        Agreed { server, client }
    }
}

fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits));
    bits.filter(|_| !value.starts_with(['0', '+']))
}

/// What the client offers.
pub(crate) const OFFER: &str =
    "permessage-deflate; client_no_context_takeover; client_max_window_bits";

const NAME: &str = "permessage-deflate";

/// As many offers are looked at.
const MOST: usize = 16;
