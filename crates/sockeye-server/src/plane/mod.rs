//! The data plane: WebSockets live on the reactor once their handshake is done.
//!
//! ```text
//!   HandedOver ──► DataPlane::take ──► Served: Echo | Raw | Json | Refused
//!                                        │ publish            ▲ Feed: rendered once
//!                                        ▼                    │
//!                                    sockeye-hub ─────────────┘
//! ```

mod feed;
mod json;
mod raw;
mod relay;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use sockeye::{Caller, CloseCode, Doorstep, HandedOver, Place, Transport as Wire};
use sockeye_hub::Listener;
use sockeye_proto::{CloseInfo, Connection, Error, MessageRef, Server};
use sockeye_reactor::{Adopted, Blocked, Door, Handler, Out, Reactor, Traffic};
use tokio::sync::mpsc;

pub(crate) use feed::Form;
pub(crate) use json::Json;
pub(crate) use raw::{From, Publishing, Raw};
pub(crate) use relay::Relay;

use feed::Feed;

use crate::auth::Denied;
use crate::clients::{Clients, Entry, Link, Seat, Stay, Topics};
use crate::crowd::Ticket;
use crate::guest::Guest;
use crate::metrics::{Metrics, Transport};

/// The reactor of a server.
#[derive(Debug)]
pub struct DataPlane {
    reactor: Arc<Reactor<Served>>,
    clients: Arc<Clients>,
}

/// A connection on the reactor.
#[derive(Debug)]
pub(crate) struct Served {
    service: Service,
    place: Place,
}

// An idle echo holds little more than this.
const _: () = assert!(size_of::<Served>() <= 48);

/// What is done with a connection's messages.
#[derive(Debug)]
enum Service {
    Echo(Seat),
    Raw(Box<Member<Raw>>),
    Json(Box<Member<Json>>),
    Refused(Box<Turned>),
}

/// What a connection is to be served with.
pub(crate) enum Asked {
    /// Each message goes back.
    Echo,
    /// Each is published, and what is published comes back.
    Raw(Raw),
    /// It speaks `sockeye.v1.json`.
    Json(Box<Json>),
    /// The connection is closed at once: its client is told why.
    Refused(CloseCode, &'static str),
}

/// A connection that is among the clients.
#[derive(Debug)]
struct Member<C> {
    connection: C,
    stay: Stay,
    /// Held until the connection ends.
    #[expect(dead_code, reason = "held, not read")]
    ticket: Option<Ticket>,
}

/// A connection that is turned away.
#[derive(Debug)]
struct Turned {
    code: CloseCode,
    reason: &'static str,
    clients: Arc<Clients>,
}

impl Asked {
    /// Tells a client that it may not come in.
    pub(crate) fn refused(denied: &Denied) -> Self {
        Self::Refused(denied.close_code().into(), denied.code())
    }

    /// Returns what clients come by; `None` for those who may not come in.
    fn transport(&self) -> Option<Transport> {
        match self {
            Self::Echo => Some(Transport::Echo),
            Self::Raw(_) => Some(Transport::Raw),
            Self::Json(_) => Some(Transport::Json),
            Self::Refused(..) => None,
        }
    }

    fn serve(self, clients: &Arc<Clients>, ticket: Option<Ticket>) -> Service {
        let stay = Stay::new(clients.clone());
        match self {
            Self::Echo => Service::Echo(Seat::new(clients.clone())),
            Self::Raw(connection) => Service::Raw(Box::new(Member { connection, stay, ticket })),
            Self::Json(json) => Service::Json(Box::new(Member { connection: *json, stay, ticket })),
            Self::Refused(code, reason) => {
                Service::Refused(Box::new(Turned { code, reason, clients: clients.clone() }))
            }
        }
    }
}

impl Service {
    fn metrics(&self) -> &Metrics {
        match self {
            Self::Echo(seat) => seat.metrics(),
            Self::Raw(raw) => raw.stay.metrics(),
            Self::Json(json) => json.stay.metrics(),
            Self::Refused(turned) => turned.clients.metrics(),
        }
    }
}

impl DataPlane {
    /// Starts a thread for each core.
    ///
    /// # Errors
    /// The system has no threads or pollers left.
    pub fn start(clients: Arc<Clients>) -> io::Result<Self> {
        let mut reactor = Reactor::start(0)?;
        reactor.report_blocking(BLOCKED, |Blocked { thread, since, .. }| {
            let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(thread, ms, "handler.blocked");
        })?;
        Ok(Self { reactor: Arc::new(reactor), clients })
    }

    /// Takes a connection over.
    pub(crate) fn take(&self, whole: HandedOver, asked: Asked, ticket: Option<Ticket>) {
        let HandedOver { transport: wire, accepted, received, config, place, .. } = whole;
        let core = Connection::new(Server, config, sockeye_reactor::now());
        let core = accepted.deflate().into_iter().fold(core, Connection::with_deflate);
        place.opened();
        self.clients.metrics().handshakes.add(1);
        let class = asked.transport().and_then(Transport::class).unwrap_or_default();
        let served = Served { service: asked.serve(&self.clients, ticket), place };
        let adopted = match wire {
            Wire::Tcp(tcp) => Adopted::unblocked(tcp, core, served),
            Wire::Tls(tcp, session) => Adopted::tls(tcp, session, core, served),
            // No other transport is served.
            _ => return,
        };
        self.reactor.adopt(adopted.class(class).received(received));
    }

    /// Returns the listener for all connections that get messages in a form.
    pub(crate) fn feed(&self, form: Form) -> Arc<dyn Listener> {
        Feed::listener(form, &self.reactor)
    }

    /// Accepts connections at `listener` on the reactor's threads. `open` is dropped once no more are
    /// accepted there and all that were have said something, or had the time to.
    pub(crate) fn listen(&self, listener: TcpListener, doorstep: Doorstep, open: Open) {
        let patience = doorstep.patience();
        self.reactor.listen(listener, Entrance { doorstep, _open: open }, patience);
    }

    /// Returns what has gone over the connections of a class.
    pub(crate) fn traffic(&self, class: u8) -> Traffic {
        self.reactor.traffic(class)
    }

    /// Accepts no more connections.
    pub(crate) fn unlisten(&self) {
        self.reactor.unlisten();
    }

    /// Closes all connections, a part at a time, and then those that still come.
    pub(crate) async fn close_over(&self, code: CloseCode, over: Duration) {
        let shares = u32::try_from(over.as_millis() / SHARE.as_millis()).unwrap_or(u32::MAX);
        let mut ticks = tokio::time::interval(SHARE);
        for share in 0..shares {
            ticks.tick().await;
            self.reactor.close_share(share, shares, code, HINT);
        }
        self.reactor.close_all(code, HINT);
    }
}

/// Is held while connections may come in at a listener.
pub(crate) type Open = mpsc::Sender<Infallible>;

/// The server's door, where the reactor accepts.
struct Entrance {
    doorstep: Doorstep,
    _open: Open,
}

impl Door for Entrance {
    type Caller = Caller;

    fn arrived(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Caller)> {
        self.doorstep.arrived(stream, peer)
    }

    fn first_bytes(&self, stream: TcpStream, caller: Caller, bytes: &[u8]) {
        self.doorstep.first_bytes(stream, caller, bytes);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.doorstep.accept_failed(error);
    }
}

impl<C> Member<C> {
    /// Takes its place among the clients.
    fn enter(
        &mut self,
        (guest, topics): (Option<Arc<Guest>>, Topics),
        transport: Transport,
        ip: IpAddr,
        out: &Out<'_>,
    ) {
        let number = guest.as_ref().map(|guest| guest.number);
        let number = number.unwrap_or_else(|| self.stay.clients().number());
        let subject = guest.as_ref().and_then(|guest| guest.grant.subject.as_deref());
        let name = || self.stay.clients().name(number);
        tracing::debug!(client = name(), %ip, transport = transport.name(), "client.admitted");
        let link = Link::Socket(out.sender());
        self.stay.enter(number, Entry::new(link, transport, (ip, subject), topics));
    }
}

impl Handler for Served {
    fn open(&mut self, out: &mut Out<'_>) {
        let ip = self.place.peer_addr().ip();
        match &mut self.service {
            Service::Echo(_) => {}
            Service::Raw(raw) => {
                let who = raw.connection.introduce();
                raw.enter(who, Transport::Raw, ip, out);
                raw.connection.open(out);
            }
            Service::Json(json) => {
                let who = json.connection.introduce();
                json.enter(who, Transport::Json, ip, out);
                json.connection.open(out);
            }
            Service::Refused(turned) => out.close(turned.code, turned.reason),
        }
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        match &mut self.service {
            // One for which there is no room is lost: the client reads none of its echoes.
            Service::Echo(_) => drop(out.send(message)),
            Service::Raw(raw) => raw.connection.message(message, out),
            Service::Json(json) => json.connection.message(message, out),
            Service::Refused(_) => {}
        }
    }

    fn wake(&mut self, out: &mut Out<'_>) {
        match &mut self.service {
            Service::Echo(_) | Service::Refused(_) => {}
            Service::Raw(raw) => raw.connection.wake(out),
            Service::Json(json) => json.connection.wake(out),
        }
    }

    fn missed(&mut self, channel: &str, position: u64, out: &mut Out<'_>) {
        match &mut self.service {
            Service::Echo(_) | Service::Refused(_) => {}
            Service::Raw(raw) => raw.connection.missed(channel, position, out),
            Service::Json(json) => json.connection.missed(channel, position, out),
        }
    }

    fn drain(&mut self, out: &mut Out<'_>) {
        match &mut self.service {
            Service::Echo(_) | Service::Refused(_) => {}
            Service::Raw(raw) => raw.connection.drain(out),
            Service::Json(json) => json.connection.drain(out),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.place.failed(error);
    }

    fn panicked(&mut self) {
        self.service.metrics().panics.add(1);
        self.place.panicked();
    }

    fn close(&mut self, info: &CloseInfo) {
        self.service.metrics().closed(info);
        self.place.closed(info);
        match &mut self.service {
            Service::Echo(_) | Service::Refused(_) => {}
            Service::Raw(raw) => raw.connection.close(),
            Service::Json(json) => json.connection.close(),
        }
    }
}

/// What those that take leave are told: when to come back, at the soonest. That they do not come back
/// in a crowd is for their own random waits, and for the time over which they leave.
const HINT: &str = "retry-after=1";

/// The time between two parts of those that take leave.
const SHARE: Duration = Duration::from_millis(50);

/// How long a thread of the reactor may work on end before the log tells.
const BLOCKED: Duration = Duration::from_secs(1);
