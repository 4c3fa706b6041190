//! A client whose TLS handshake is an honest one, and which then writes records as a test wants them.

use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::tls::rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use sockeye::tls::rustls::crypto::ring::{cipher_suite, default_provider};
use sockeye::tls::rustls::pki_types::ServerName;
use sockeye::tls::rustls::{
    ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    SupportedCipherSuite,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The forger of records.
pub(crate) struct Forger {
    io: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    sent: u64,
    received: u64,
    unread: Vec<u8>,
}

/// The versions of TLS, with the one cipher suite of each that a forger knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub(crate) const BOTH: [Self; 2] = [Self::Tls12, Self::Tls13];

    fn suite(self) -> SupportedCipherSuite {
        match self {
            Self::Tls12 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            Self::Tls13 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        }
    }
}

impl Forger {
    /// Shakes hands as `localhost`'s client.
    pub(crate) async fn connect(
        address: SocketAddr,
        roots: RootCertStore,
        version: Version,
    ) -> Self {
        Self::try_connect(address, roots, version).await.expect("the handshake succeeds")
    }

    /// As [`connect`](Self::connect); `None` where the server ends the handshake.
    pub(crate) async fn try_connect(
        address: SocketAddr,
        roots: RootCertStore,
        version: Version,
    ) -> Option<Self> {
        let mut provider = default_provider();
        provider.cipher_suites = vec![version.suite()];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version.suite().version()])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.ok()?;
        let (io, session) = shaken.into_inner();
        let secrets = session.dangerous_extract_secrets().unwrap();
        let ((sent, ours), (received, theirs)) = (secrets.tx, secrets.rx);
        let (encrypter, decrypter) = (encrypter(version, ours), decrypter(version, theirs));
        Some(Self { io, encrypter, decrypter, sent, received, unread: Vec::new() })
    }

    /// Seals a record, which is the next one then.
    pub(crate) fn seal(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(payload);
        let plain = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let sealed = self.encrypter.encrypt(plain, self.sent).unwrap().encode();
        self.sent += 1;
        sealed
    }

    /// Seals so many equal records.
    pub(crate) fn seal_all(&mut self, count: usize, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        (0..count).flat_map(|_| self.seal(typ, payload)).collect()
    }

    /// Writes what the server takes; it may have closed.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }

    /// Sends data as honest clients do.
    pub(crate) async fn send(&mut self, data: &[u8]) {
        let sealed = self.seal(ContentType::ApplicationData, data);
        self.write(&sealed).await;
    }

    /// Reads a record; `None` at the end of the stream, which a reset counts as.
    pub(crate) async fn record(&mut self) -> Option<(ContentType, Vec<u8>)> {
        loop {
            if let Some(mut body) = self.next_body() {
                let typ = ContentType::from(self.unread[0]);
                let sealed = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, &mut body);
                let plain = self.decrypter.decrypt(sealed, self.received).unwrap();
                self.received += 1;
                let opened = (plain.typ, plain.payload.to_vec());
                self.unread.drain(..self.next_len());
                return Some(opened);
            }
            if self.io.read_buf(&mut self.unread).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Reads data up to and with `end`.
    pub(crate) async fn data_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        while !data.windows(end.len()).any(|window| window == end) {
            let (typ, payload) = self.record().await.expect("the connection goes on");
            match typ {
                ContentType::ApplicationData => data.extend(payload),
                // Tickets for sessions to resume.
                ContentType::Handshake => {}
                other => panic!("{other:?} {payload:?}"),
            }
        }
        data
    }

    /// Reads to the end of the stream; returns the alert that is its last record.
    pub(crate) async fn last_alert(&mut self) -> (u8, u8) {
        let mut last = None;
        while let Some(record) = self.record().await {
            last = Some(record);
        }
        match last {
            Some((ContentType::Alert, alert)) => (alert[0], alert[1]),
            other => panic!("no alert: {other:?}"),
        }
    }

    /// Returns the length of the record that is next, with its header, as far as that is known.
    fn next_len(&self) -> usize {
        let length = self.unread.get(3..5).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
        5 + usize::from(length)
    }

    fn next_body(&self) -> Option<Vec<u8>> {
        self.unread.get(5..self.next_len()).filter(|_| self.unread.len() >= 5).map(<[u8]>::to_vec)
    }
}

fn encrypter(version: Version, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { unreachable!() };
    match version.suite() {
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.encrypter(key, iv.as_ref(), &[]),
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
    }
}

fn decrypter(version: Version, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageDecrypter> {
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { unreachable!() };
    match version.suite() {
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, iv.as_ref()),
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
    }
}

/// A record that ends its connection, and with which alert.
pub(crate) struct Offence {
    pub(crate) name: &'static str,
    pub(crate) records: fn(&mut Forger) -> Vec<u8>,
    pub(crate) alert: (u8, u8),
}

/// What no client may send, each as few records as it takes.
pub(crate) const OFFENCES: [Offence; 4] = [
    Offence {
        name: "a record a byte too long",
        records: |forger| forger.seal(ContentType::ApplicationData, &vec![b'x'; LONGEST + 1]),
        alert: (FATAL, 22),
    },
    Offence {
        name: "a bad MAC",
        records: |forger| {
            let mut sealed = forger.seal(ContentType::ApplicationData, b"x");
            *sealed.last_mut().unwrap() ^= 1;
            sealed
        },
        alert: (FATAL, 20),
    },
    Offence {
        name: "a flood of alerts",
        records: |forger| forger.seal_all(5, ContentType::Alert, &[WARNING, USER_CANCELED]),
        alert: (WARNING, CLOSE_NOTIFY),
    },
    Offence {
        name: "a flood of empty records",
        records: |forger| forger.seal_all(33, ContentType::ApplicationData, b""),
        alert: (WARNING, CLOSE_NOTIFY),
    },
];

pub(crate) const WARNING: u8 = 1;
pub(crate) const FATAL: u8 = 2;

pub(crate) const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// The most bytes of a record (RFC 8446 section 5.1).
const LONGEST: usize = 1 << 14;
