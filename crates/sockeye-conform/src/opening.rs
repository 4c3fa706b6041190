//! The opening handshake, from the tester's side: as a client with a server under test, as a server
//! with a client under test.

use crate::case::{Answer, Answers, Case, Client, Opening};
use crate::wire::deflate::{self, Agreed};
use crate::wire::http::{self, Head};

/// What has become of a handshake.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The head is not all there.
    Unfinished,
    /// The connection is open; the head took this many bytes.
    Open { size: usize, agreed: Option<Agreed>, strict: Strict },
    /// The peer refused, as it should.
    Refused { strict: Strict },
    /// The case needs compression and the peer has none.
    NoCompression,
    /// The peer broke a rule.
    Wrong(String),
}

/// Whether an answer was right or only tolerable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strict {
    Yes,
    No,
}

/// A request of the tester and what its answer is held against.
#[derive(Debug)]
pub(crate) struct ClientOpening {
    pub(crate) request: Vec<u8>,
    key: String,
    offers: String,
    subprotocols: Vec<String>,
    answers: Answers,
    field: Option<(String, String)>,
    needs_deflate: bool,
}

impl ClientOpening {
    /// Builds the request of a case for a server at `host` and `path`.
    pub(crate) fn new(case: &Case, host: &str, path: &str, nonce: [u8; 16]) -> Self {
        let opening = &case.opening;
        let key = http::key(nonce);
        let offers = opening.deflate.as_ref().map(|deflate| deflate.offers.join(", "));
        let template = opening.request.clone().unwrap_or_else(|| usual_request(opening, &offers));
        let values = [("path", path), ("host", host), ("key", key.as_str())];
        let request = http::fill(&template, &values);
        // Of a request that is no request at all nothing was offered.
        let head = Head::read(&request).ok().flatten();
        let field = |name| head.as_ref().and_then(|head| head.field(name)).unwrap_or_default();
        let subprotocols = field("sec-websocket-protocol");
        let own_key = Some(field("sec-websocket-key")).filter(|key| !key.is_empty());
        Self {
            offers: field("sec-websocket-extensions"),
            subprotocols: subprotocols.split(',').map(|name| name.trim().to_owned()).collect(),
            request,
            key: own_key.unwrap_or(key),
            answers: opening.answer.clone(),
            field: opening.field.clone(),
            needs_deflate: opening.deflate.is_some(),
        }
    }

    /// Reads the answer as far as it is there.
    pub(crate) fn read(&self, bytes: &[u8]) -> Opened {
        match self.judge(bytes) {
            Ok(opened) => opened,
            Err(problem) => Opened::Wrong(problem),
        }
    }

    /// Judges that the connection ended without an answer.
    pub(crate) fn ended(&self) -> Opened {
        match self.fits(None) {
            Some(strict) => Opened::Refused { strict },
            None => Opened::Wrong("the connection ended without an answer".into()),
        }
    }

    /// Judges that no answer came in time.
    pub(crate) fn timed_out(&self) -> Option<Opened> {
        let any = |answers: &[Answer]| answers.contains(&Answer::Any);
        match (any(&self.answers.right), any(&self.answers.lenient)) {
            (true, _) => Some(Opened::Refused { strict: Strict::Yes }),
            (false, true) => Some(Opened::Refused { strict: Strict::No }),
            (false, false) => None,
        }
    }

    fn judge(&self, bytes: &[u8]) -> Result<Opened, String> {
        let Some(head) = Head::read(bytes)? else {
            return Ok(Opened::Unfinished);
        };
        let status = head.status()?;
        let Some(strict) = self.fits(Some(status)) else {
            return Err(format!("the answer is {:?}", head.line));
        };
        if status != 101 {
            head.check_refusal(status, self.field.as_ref())?;
            return Ok(Opened::Refused { strict });
        }
        head.check_response(&self.key, &self.subprotocols)?;
        let agreed = match head.field("sec-websocket-extensions") {
            Some(answer) => Some(deflate::read_answer(&self.offers, &answer)?),
            None if self.needs_deflate => return Ok(Opened::NoCompression),
            None => None,
        };
        Ok(Opened::Open { size: head.size, agreed, strict })
    }

    fn fits(&self, status: Option<u16>) -> Option<Strict> {
        let any = |answers: &[Answer]| answers.iter().any(|answer| answer.fits(status));
        match (any(&self.answers.right), any(&self.answers.lenient)) {
            (true, _) => Some(Strict::Yes),
            (false, true) => Some(Strict::No),
            (false, false) => None,
        }
    }
}

/// The tester's answer to a client's request.
#[derive(Debug)]
pub(crate) struct ServerOpening {
    pub(crate) response: Vec<u8>,
    pub(crate) agreed: Option<Agreed>,
    pub(crate) client: Client,
    /// The case needs compression and the client did not offer it so that it would do.
    pub(crate) lacks_compression: bool,
}

impl ServerOpening {
    /// Builds the response of a case to a request.
    ///
    /// # Errors
    /// The request breaks a rule.
    pub(crate) fn new(case: &Case, request: &Head) -> Result<Self, String> {
        request.check_request()?;
        let opening = &case.opening;
        let accept = http::accept_key(&request.field("sec-websocket-key").unwrap_or_default());
        let offers = request.field("sec-websocket-extensions").unwrap_or_default();
        let answer = opening.deflate.as_ref().and_then(|deflate| match &deflate.answer {
            // An answer that suits no offer cannot be tried on this client.
            Some(answer) => {
                deflate::read_answer(&offers, answer).ok().map(|agreed| (answer.clone(), agreed))
            }
            None => deflate::answer_offer(&offers, &deflate.requests),
        });
        let template = opening.response.clone().unwrap_or_else(|| {
            let extensions = answer.as_ref().map(|(answer, _)| answer.as_str());
            usual_response(opening, extensions)
        });
        Ok(Self {
            response: http::fill(&template, &[("accept", &accept)]),
            lacks_compression: opening.deflate.is_some() && answer.is_none(),
            agreed: answer.map(|(_, agreed)| agreed),
            client: opening.client,
        })
    }
}

fn usual_request(opening: &Opening, offers: &Option<String>) -> String {
    let extensions = offers
        .as_ref()
        .map_or_else(String::new, |offers| format!("Sec-WebSocket-Extensions: {offers}\r\n"));
    format!(
        "GET {{path}} HTTP/1.1\r\nHost: {{host}}\r\nUser-Agent: sockeye-conform/{}\r\nUpgrade: \
         websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {{key}}\r\nSec-WebSocket-Version: \
         13\r\n{extensions}{}\r\n",
        env!("CARGO_PKG_VERSION"),
        opening.headers
    )
}

fn usual_response(opening: &Opening, extensions: Option<&str>) -> String {
    let extensions = extensions.map_or_else(String::new, |extensions| {
        format!("Sec-WebSocket-Extensions: {extensions}\r\n")
    });
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nServer: sockeye-conform/{}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Accept: {{accept}}\r\n{extensions}{}\r\n",
        env!("CARGO_PKG_VERSION"),
        opening.headers
    )
}
