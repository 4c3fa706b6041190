//! The data plane: WebSockets live on the reactor once their handshake is done.

use std::io;
use std::sync::Arc;

use sockeye::{CloseCode, HandedOver, Incoming, Place};
use sockeye_proto::{CloseInfo, Connection, Error, MessageRef, Server};
use sockeye_reactor::{Adopted, Handler, Out, Reactor};

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
        let HandedOver { io, accepted, received, config, place, .. } = whole;
        let tcp_and_session = match io.into_tcp() {
            Ok(tcp) => Some((tcp, None)),
            Err(io) => io.into_server_tls().ok().map(|(tcp, session)| (tcp, Some(session))),
        };
        // The commands serve no other transport.
        let Some((tcp, session)) = tcp_and_session else { return };
        // A socket that leaves tokio can only fail to for a reason that ends it anyway.
        let Ok(socket) = tcp.into_std() else { return };
        let core = Connection::new(Server, config, sockeye_reactor::now());
        let core = accepted.deflate().into_iter().fold(core, Connection::with_deflate);
        place.opened();
        let served = Served { service, place };
        let adopted = match session {
            Some(session) => Adopted::tls(socket, session, core, served),
            None => Adopted::new(socket, core, served),
        };
        self.0.adopt(adopted.received(received));
    }

    /// Closes all connections, and those that still come.
    pub(crate) fn close_all(&self, code: CloseCode) {
        self.0.close_all(code, "");
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
