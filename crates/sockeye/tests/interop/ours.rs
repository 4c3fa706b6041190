//! Our ends of the exchange: what the client sends and expects, and what the server offers.
//!
//! Both sides know four paths. `/echo` sends everything back, `/fragments` sends a message of
//! each kind in fragments, `/ping` pings and says so when the answer has come, `/close` closes.

use std::path::PathBuf;
use std::time::Duration;

use sockeye::tls::{ServerTls, Tls};
use sockeye::{
    Client, CloseCode, CloseInfo, Config, DeflateConfig, Error, Event, Kind, Message, Origins,
    Result, Server, WebSocket,
};
use tokio::sync::mpsc;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Off,
    /// Each message afresh, in the small window that is the default.
    NoTakeover,
    /// Messages refer to those before them, in the largest window.
    Takeover,
}

/// A certificate for `localhost` and its key, in files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A server of ours that runs.
pub(crate) struct Running {
    pub(crate) url: String,
    /// How each connection to `/echo` ended.
    pub(crate) closes: mpsc::UnboundedReceiver<CloseInfo>,
}

impl Compression {
    pub(crate) const ALL: [Self; 3] = [Self::Off, Self::NoTakeover, Self::Takeover];

    /// Returns the name that the scripts know.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::NoTakeover => "no-takeover",
            Self::Takeover => "takeover",
        }
    }

    /// Asserts that this is what the server's header agreed to.
    pub(crate) fn assert_agreed(self, header: &str) {
        let agreed = match self {
            Self::Off => header.is_empty(),
            Self::NoTakeover => header.contains("server_no_context_takeover"),
            Self::Takeover => {
                header.starts_with("permessage-deflate") && !header.contains("no_context_takeover")
            }
        };
        assert!(agreed, "{self:?}, but the server answered {header:?}");
    }

    fn set(self, mut config: Config) -> Config {
        if self != Self::Off {
            let mut deflate = DeflateConfig::default();
            deflate.threshold = 0;
            if self == Self::Takeover {
                deflate.server_max_window_bits = 15;
                deflate.client_max_window_bits = 15;
                deflate.server_no_context_takeover = false;
                deflate.client_no_context_takeover = false;
            }
            config.deflate = Some(deflate);
        }
        config
    }
}

impl Certificate {
    /// Makes one, in files named after a test.
    pub(crate) fn make(test: &str) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let made = made.map_err(Error::other)?;
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let [certificate, key] =
            ["cert", "key"].map(|what| directory.join(format!("{test}.{what}.pem")));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        Ok(Self { certificate, key })
    }
}

/// Makes a client that trusts `roots`, if any.
pub(crate) fn client(compression: Compression, roots: Option<&Certificate>) -> Result<Client> {
    let builder = Client::builder().config(compression.set(Config::client()));
    Ok(match roots {
        Some(roots) => builder.tls(Tls::with_roots(&roots.certificate)?).build(),
        None => builder.build(),
    })
}

/// Exchanges messages of every length and kind, in one frame and in several; pings; closes.
pub(crate) async fn echo(client: &Client, url: &str) -> Result<()> {
    let request = client.request(&format!("{url}/echo")).subprotocols(&["other", SUBPROTOCOL]);
    let mut ws = request.await?;
    assert_eq!(ws.subprotocol(), Some(SUBPROTOCOL));
    for message in messages() {
        ws.send(message.clone()).await?;
        assert!(ws.recv().await? == Some(message.clone()), "{} bytes", message.as_bytes().len());
    }
    write_fragments(&mut ws).await?;
    assert_fragments(&mut ws).await?;
    assert!(ws.ping().await? < Duration::from_secs(10));
    let (code, reason) = OUR_CLOSE;
    let end = ws.close(code, reason).await?;
    assert!(end.clean && end.code == code, "{end:?}");
    Ok(())
}

/// Receives what the server sends in fragments.
pub(crate) async fn fragments(client: &Client, url: &str) -> Result<()> {
    let mut ws = client.request(&format!("{url}/fragments")).await?;
    assert_fragments(&mut ws).await?;
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

/// Is pinged; the server says what came back.
pub(crate) async fn ping(client: &Client, url: &str) -> Result<()> {
    let mut ws = client.request(&format!("{url}/ping")).await?;
    assert_eq!(ws.event().await?, Some(Event::Ping("are you there?".into())));
    assert_eq!(ws.recv().await?, Some("are you there?".into()));
    ws.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

/// Is closed.
pub(crate) async fn close(client: &Client, url: &str) -> Result<()> {
    let mut ws = client.request(&format!("{url}/close")).await?;
    assert_eq!(ws.recv().await?, None);
    let end = ws.close_info().ok_or_else(|| Error::other("still open"))?;
    assert_eq!((end.code, end.reason.as_str()), THEIR_CLOSE);
    assert!(end.clean, "{end:?}");
    Ok(())
}

/// Starts our server on a free port.
pub(crate) async fn serve(
    compression: Compression,
    certificate: Option<&Certificate>,
) -> Result<Running> {
    let (ended, closes) = mpsc::unbounded_channel();
    let mut server = Server::bind("127.0.0.1:0")
        .config(compression.set(Config::server()))
        .origins(Origins::Any)
        .subprotocols([SUBPROTOCOL])
        .route("/echo", move |ws, _| serve_echo(ws, ended.clone()))
        .route("/fragments", |mut ws, _| async move {
            write_fragments(&mut ws).await?;
            ws.recv().await.map(drop)
        })
        .route("/ping", |mut ws, _| async move {
            ws.ping().await?;
            ws.send("ponged").await?;
            ws.recv().await.map(drop)
        })
        .route("/close", |ws, _| async move {
            let (code, reason) = THEIR_CLOSE;
            ws.close(code, reason).await.map(drop)
        });
    if let Some(Certificate { certificate, key }) = certificate {
        server = server.tls(ServerTls::from_pem_files(certificate, key)?);
    }
    let server = server.listen().await?;
    let port = server.local_addr()?.port();
    tokio::spawn(server.serve());
    let url = match certificate {
        Some(_) => format!("wss://localhost:{port}"),
        None => format!("ws://127.0.0.1:{port}"),
    };
    Ok(Running { url, closes })
}

impl Running {
    /// Asserts that the peer closed its first connection as both sides know.
    pub(crate) async fn assert_closed(&mut self) {
        let end = self.closes.recv().await;
        let seen = end.as_ref().map(|end| (end.code, end.reason.as_str(), end.clean));
        assert_eq!(seen, Some((OUR_CLOSE.0, OUR_CLOSE.1, true)));
    }
}

async fn serve_echo(mut ws: WebSocket, ended: mpsc::UnboundedSender<CloseInfo>) -> Result<()> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    let end = ws.close_info().cloned();
    let _ = end.map(|end| ended.send(end));
    Ok(())
}

async fn write_fragments(ws: &mut WebSocket) -> Result<()> {
    let mut text = ws.writer(Kind::Text);
    for piece in ["frag", "", "ments ✓"] {
        text.write(piece).await?;
    }
    text.finish().await?;
    let mut binary = ws.writer(Kind::Binary);
    binary.write([0, 255]).await?;
    binary.write([128]).await?;
    binary.finish().await
}

async fn assert_fragments(ws: &mut WebSocket) -> Result<()> {
    assert_eq!(ws.recv().await?, Some("fragments ✓".into()));
    assert_eq!(ws.recv().await?, Some(Message::binary(vec![0, 255, 128])));
    Ok(())
}

/// Returns text and binary messages around every change of a frame's form, and Unicode.
pub(crate) fn messages() -> impl Iterator<Item = Message> {
    let lengths = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    let texts =
        lengths.map(|length| Message::text("abcdefgh".repeat(length / 8 + 1)[..length].to_owned()));
    let binary = lengths.map(|length| Message::binary(noise(length)));
    let unicode = ["κόσμε", "日本語", "🐟🐠", "\0\u{fffe}\u{10ffff}"].map(Message::text);
    texts.into_iter().chain(unicode).chain(binary)
}

/// Returns bytes that do not compress, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let step = |state: &u32| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 17);
        Some(state ^ (state << 5))
    };
    std::iter::successors(Some(1), step).map(|state| state.to_le_bytes()[1]).take(length).collect()
}

pub(crate) const SUBPROTOCOL: &str = "sockeye.test";

/// What the client closes with, and the server behind `/close`.
pub(crate) const OUR_CLOSE: (CloseCode, &str) = (CloseCode::new(4002), "tschüß");
pub(crate) const THEIR_CLOSE: (CloseCode, &str) = (CloseCode::new(4001), "because ß");
