//! Connections over TLS.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use socket2::SockRef;
use sockeye_proto::{Config, Connection, Server};
use sockeye_reactor::{Adopted, Reactor, now};

use crate::peer::{BINARY, CLOSE, frame};
use crate::probe::{PATIENCE, Probe};

/// Both ends' configurations, with a certificate of their own.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Connects over TLS, and gives the server's end to the reactor.
fn connect(reactor: &Reactor<Probe>, probe: Probe) -> StreamOwned<ClientConnection, TcpStream> {
    let (server, client) = configs();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // What a listener has, its connections begin with.
    SockRef::from(&listener).set_send_buffer_size(SMALL).unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        SockRef::from(&socket).set_send_buffer_size(SMALL).unwrap();
        let mut session = ServerConnection::new(server).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut socket).unwrap();
        }
        (socket, session)
    });
    let mut socket = TcpStream::connect(address).unwrap();
    SockRef::from(&socket).set_recv_buffer_size(SMALL).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(client, name).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut socket).unwrap();
    }
    let (accepted, accepted_session) = accepting.join().unwrap();
    let core = Connection::new(Server, Arc::new(Config::server()), now());
    reactor.adopt(Adopted::tls(accepted, Box::new(accepted_session), core, probe));
    StreamOwned::new(session, socket)
}

#[test]
fn what_the_session_holds_back_leaves_before_the_connection_ends() {
    let reactor = Reactor::start(1).unwrap();
    let (probe, _watch) = Probe::new();
    let mut stream = connect(&reactor, probe);
    let message = vec![b'm'; LONG];
    let sent = [frame(BINARY, &message), frame(CLOSE, &1000_u16.to_be_bytes())].concat();
    std::io::Write::write_all(&mut stream, &sent).unwrap();

    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    let close = [0x88, 2, 0x03, 0xe8];
    // A header of ten bytes, the echo, the Close.
    assert_eq!(received.len(), 10 + LONG + close.len());
    assert!(received[10..].starts_with(&message));
    assert!(received.ends_with(&close));
}

/// More than the session holds back, and little enough above it that the server reads on.
const LONG: usize = 100 << 10;

/// A buffer of the kernel's that holds next to nothing, in bytes.
const SMALL: usize = 4096;
