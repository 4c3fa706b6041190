//! The core with an application that echoes: what a case is played against.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sockeye_proto::deflate::DeflateConfig;
use sockeye_proto::handshake::{ClientRequest, HeadReader, Policy, RequestHead, Url, accept};
use sockeye_proto::{
    AnyRole, Client, CloseInfo, Config, Connection, Error, Event, Kind, Message, MessageRef, Next,
    Piece, Position, Time,
};

use super::Setting;

/// The core as one end of a connection.
pub(crate) struct Endpoint {
    pub(crate) connection: Connection<AnyRole>,
    out: Vec<u8>,
    pub(crate) error: Option<Error>,
}

/// What a server made of a request.
pub(crate) struct Served {
    pub(crate) response: Vec<u8>,
    /// `None` after a refusal.
    pub(crate) endpoint: Option<Endpoint>,
}

/// A message or a piece of one, out of the core's hands.
struct Taken {
    kind: Kind,
    bytes: Vec<u8>,
    /// `None` for a whole message.
    position: Option<Position>,
}

/// Answers the beginning of a request; `None` while its head is not complete.
pub(crate) fn serve(request: &[u8], id: &str, setting: Setting) -> Option<Served> {
    let config = config(id, setting);
    let refuse = |rejection: sockeye_proto::handshake::Rejection| {
        let mut response = Vec::new();
        rejection.write(&mut response);
        Some(Served { response, endpoint: None })
    };
    let length = match HeadReader::request().read(request, &config.limits) {
        Ok(length) => length?,
        Err(error) => return refuse(error.into()),
    };
    let mut policy = Policy::default();
    policy.deflate.clone_from(&config.deflate);
    let head = RequestHead::parse(&request[..length]);
    let accepted = match head.map_err(Into::into).and_then(|head| accept(&head, &policy)) {
        Ok(accepted) => accepted,
        Err(rejection) => return refuse(rejection),
    };
    let mut response = Vec::new();
    accepted.write(&mut response);
    let core = Connection::new(AnyRole::Server, config, START);
    let core = accepted.deflate().into_iter().fold(core, Connection::with_deflate);
    let mut endpoint = Endpoint::new(core, setting);
    endpoint.receive(&mut request[length..].to_vec(), START);
    Some(Served { response, endpoint: Some(endpoint) })
}

/// Returns a client's request, and what becomes of it.
pub(crate) fn connect(id: &str, setting: Setting) -> (Vec<u8>, Connecting) {
    let config = config(id, setting);
    let url = Url::parse("ws://127.0.0.1:9001/runCase?case=1&agent=Sockeye").unwrap();
    let mut request = ClientRequest::new(&url, *b"the sample nonce");
    if let Some(deflate) = &config.deflate {
        request = request.deflate(deflate);
    }
    let mut bytes = Vec::new();
    request.write(&mut bytes);
    let handshake = request.handshake(&config.limits);
    (bytes, Connecting { handshake, config, setting, inbox: Vec::new() })
}

/// A client that waits for the response.
pub(crate) struct Connecting {
    handshake: sockeye_proto::handshake::ClientHandshake,
    config: Arc<Config>,
    setting: Setting,
    inbox: Vec<u8>,
}

impl Connecting {
    /// Reads some of the response; an error is the end of the attempt.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Option<Endpoint>, String> {
        self.inbox.extend_from_slice(bytes);
        let read = self.handshake.read(&self.inbox).map_err(|error| error.to_string())?;
        let Some(established) = read else { return Ok(None) };
        let role = AnyRole::Client(Client::new(next_mask));
        let core = Connection::new(role, self.config.clone(), START);
        let core = established.deflate.into_iter().fold(core, Connection::with_deflate);
        let mut endpoint = Endpoint::new(core, self.setting);
        endpoint.receive(&mut self.inbox[established.head_len..], START);
        Ok(Some(endpoint))
    }
}

impl Endpoint {
    fn new(mut connection: Connection<AnyRole>, setting: Setting) -> Self {
        connection.set_delivery(setting.echoes);
        Self { connection, out: Vec::new(), error: None }
    }

    /// Reads bytes and answers each message before it reads on.
    pub(crate) fn receive(&mut self, input: &mut [u8], now: Time) {
        let mut at = 0;
        loop {
            let mut events = self.connection.receive(&mut input[at..], now, &mut self.out);
            let taken = match events.next() {
                None => {
                    at += events.consumed();
                    assert_eq!(at, input.len(), "bytes are left that hold no event");
                    return;
                }
                Some(Err(error)) => {
                    assert!(self.error.is_none(), "a connection fails once");
                    self.error = Some(error);
                    return;
                }
                Some(Ok(Event::Message(message))) => Some(Taken::whole(message)),
                Some(Ok(Event::Piece(piece))) => Some(Taken::piece(piece)),
                Some(Ok(_)) => None,
            };
            at += events.consumed();
            if let Some(taken) = taken {
                self.send_back(&taken);
            }
        }
    }

    /// Lets everything happen that is due by then.
    pub(crate) fn pass(&mut self, now: Time) {
        let result = self.connection.handle_timeout(now, &mut self.out);
        self.error = self.error.take().or(result.err());
    }

    /// Returns what is to be written, as if the transport had taken all of it.
    pub(crate) fn take_output(&mut self, now: Time) -> Vec<u8> {
        let mut taken = std::mem::take(&mut self.out);
        let mut count = taken.len();
        while count > 0 {
            self.connection.written(count, now, &mut self.out);
            count = self.out.len();
            taken.append(&mut self.out);
        }
        assert_eq!(self.connection.queued(), 0);
        taken
    }

    /// Tells whether the core wants the transport ended.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.connection.next(), Next::Shutdown | Next::Close)
    }

    /// Checks what the core reports of the end: a clean one, or the error whose code it sent.
    pub(crate) fn check_report(&self, sent: Option<u16>) -> Result<(), String> {
        let Some(info) = self.connection.close_info() else {
            return Err("the core does not say how it ended".into());
        };
        if self.connection.next() != Next::Close {
            return Err("the core holds on to the transport".into());
        }
        let fits = match &self.error {
            None => info.clean || sent.is_none(),
            Some(error @ (Error::Peer(_) | Error::Limit(_))) => {
                !info.clean && error.close_code().map(|code| code.get()) == sent
            }
            Some(_) => false,
        };
        let told: (&CloseInfo, _) = (info, &self.error);
        if fits { Ok(()) } else { Err(format!("the core sent {sent:?} and reports {told:?}")) }
    }

    fn send_back(&mut self, taken: &Taken) {
        let Taken { kind, bytes, position } = taken;
        let (connection, out) = (&mut self.connection, &mut self.out);
        let result = match (position, kind) {
            (Some(position), _) => connection.send_piece(*kind, bytes, *position, out),
            (None, Kind::Text) => connection.send(std::str::from_utf8(bytes).unwrap(), out),
            (None, Kind::Binary) => connection.send(MessageRef::Binary(bytes), out),
        };
        result.unwrap();
    }
}

impl Taken {
    fn whole(message: Message<'_>) -> Self {
        let (kind, bytes) = match message {
            Message::Text(text) => (Kind::Text, text.into_string().into_bytes()),
            Message::Binary(bytes) => (Kind::Binary, bytes.into_vec()),
        };
        Self { kind, bytes, position: None }
    }

    fn piece(piece: Piece<'_>) -> Self {
        Self { kind: piece.kind, bytes: piece.bytes.to_vec(), position: Some(piece.position) }
    }
}

/// Returns how the core is set up in a case of this name: with compression, in chapter 12 with the
/// server's defaults, in chapter 13 with all that the tester lets it have, even for the shortest
/// messages.
fn config(id: &str, setting: Setting) -> Arc<Config> {
    let is_server = setting.plays == super::Plays::Server;
    let mut config = if is_server { Config::server() } else { Config::client() };
    // Cases 9.1.6 and 9.2.6 send messages of this length; a server's default is 1 MiB.
    config.limits.message = 16 << 20;
    let mut deflate = DeflateConfig::default();
    if id.starts_with("13.") {
        deflate.threshold = 0;
    }
    if !is_server || id.starts_with("13.") {
        deflate.server_max_window_bits = 15;
        deflate.client_max_window_bits = 15;
        deflate.server_no_context_takeover = false;
        deflate.client_no_context_takeover = !is_server;
    }
    config.deflate = Some(deflate);
    Arc::new(config)
}

/// A counter, scattered: a test needs masking keys that differ, not such that nobody foresees.
fn next_mask() -> [u8; 4] {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1).to_ne_bytes()
}

const START: Time = Time::from_micros(0);
