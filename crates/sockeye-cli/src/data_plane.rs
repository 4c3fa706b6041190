//! The data plane: WebSockets live on the reactor once their handshake is done.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use sockeye::{Caller, CloseCode, Doorstep, HandedOver, Incoming, Place, Transport};
use sockeye_proto::{CloseInfo, Connection, Error, MessageRef, Server};
use sockeye_reactor::{Adopted, Door, Handler, Out, Reactor};

/// What is done with a connection's messages.
#[derive(Clone, Debug)]
pub(crate) enum Service {
    /// Each goes back.
    Echo,
    /// Each goes to all members of a topic, of which the connection is one.
    Topic(Arc<str>),
}

/// The reactor of a serving command.
#[derive(Debug)]
pub(crate) struct DataPlane(Reactor<Served>);

/// A connection on the reactor.
#[derive(Debug)]
struct Served {
    service: Service,
    place: Place,
}

impl DataPlane {
    /// Starts a thread for each core.
    ///
    /// # Errors
    /// The system has no threads or pollers left.
    pub(crate) fn start() -> io::Result<Self> {
        Reactor::start(0).map(Self)
    }

    /// Returns what takes connections over: `service` says what is done with each.
    pub(crate) fn taker(
        self: &Arc<Self>,
        service: impl Fn(&Incoming) -> Service + Send + Sync + 'static,
    ) -> impl Fn(HandedOver) + Send + Sync + 'static {
        let plane = self.clone();
        move |whole| {
            let service = service(&whole.incoming);
            plane.take(whole, service);
        }
    }

    fn take(&self, whole: HandedOver, service: Service) {
        let HandedOver { transport, accepted, received, config, place, .. } = whole;
        let core = Connection::new(Server, config, sockeye_reactor::now());
        let core = accepted.deflate().into_iter().fold(core, Connection::with_deflate);
        place.opened();
        let served = Served { service, place };
        let adopted = match transport {
            Transport::Tcp(tcp) => Adopted::unblocked(tcp, core, served),
            Transport::Tls(tcp, session) => Adopted::tls(tcp, session, core, served),
            // The commands serve no other transport.
            _ => return,
        };
        self.0.adopt(adopted.received(received));
    }

    /// Accepts connections at `listener` on the reactor's threads.
    pub(crate) fn listen(&self, listener: TcpListener, doorstep: Doorstep) {
        let patience = doorstep.patience();
        self.0.listen(listener, Entrance(doorstep), patience);
    }

    /// Accepts no more connections.
    pub(crate) fn unlisten(&self) {
        self.0.unlisten();
    }

    /// Closes all connections, and those that still come.
    pub(crate) fn close_all(&self, code: CloseCode) {
        self.0.close_all(code, "");
    }
}

/// The server's door, where the reactor accepts.
struct Entrance(Doorstep);

impl Door for Entrance {
    type Caller = Caller;

    fn arrived(&self, stream: TcpStream, peer: SocketAddr) -> Option<(TcpStream, Caller)> {
        self.0.arrived(stream, peer)
    }

    fn first_bytes(&self, stream: TcpStream, caller: Caller, bytes: &[u8]) {
        self.0.first_bytes(stream, caller, bytes);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.0.accept_failed(error);
    }
}

impl Handler for Served {
    fn open(&mut self, out: &mut Out<'_>) {
        if let Service::Topic(topic) = &self.service {
            out.subscribe(topic);
        }
    }

    fn message(&mut self, message: MessageRef<'_>, out: &mut Out<'_>) {
        match &self.service {
            // One for which there is no room is lost: the client reads none of its echoes.
            Service::Echo => drop(out.send(message)),
            Service::Topic(topic) => out.publish(topic, message),
        }
    }

    fn fail(&mut self, error: &Error) {
        self.place.failed(error);
    }

    fn panicked(&mut self) {
        self.place.panicked();
    }

    fn close(&mut self, info: &CloseInfo) {
        self.place.closed(info);
    }
}
