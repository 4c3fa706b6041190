//! The echo client: connects to a tester once for each of its cases.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::deflate::Codec;
use super::echo::Echo;
use super::extension::{Agreed, OFFER};
use super::head::Head;
use super::{Role, host, upgrade};
use crate::fault::Fault;

/// A client of the server at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) fault: Option<Fault>,
}

impl Client {
    /// Plays the cases from 1 to `count`, `jobs` at a time.
    pub(crate) async fn play(self, count: usize, jobs: usize) {
        let (mut running, places) = (JoinSet::new(), Arc::new(Semaphore::new(jobs)));
        for number in 1..=count {
            let places = places.clone();
            running.spawn(async move {
                let _place = places.acquire().await;
                let path = format!("/runCase?case={number}&agent=mutant");
                let _ = self.connect(&path, number).await;
                if self.fault == Some(Fault::KeyAlwaysTheSame) {
                    // The first connection of all is blameless, so each case has a second.
                    let _ = self.connect(&path, number).await;
                }
            });
        }
        running.join_all().await;
    }

    /// Connects and echoes until the connection ends.
    pub(crate) async fn connect(self, path: &str, number: usize) -> io::Result<()> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let key = match self.fault {
            Some(Fault::KeyAlwaysTheSame) => upgrade::key(7),
            Some(Fault::KeyShortSent) => "c2hvcnQ=".to_owned(),
            // Distinct is all that a tester on the same machine asks for.
            _ => upgrade::key((number as u128) << 64 | u128::from(stream.local_addr()?.port())),
        };
        stream.write_all(self.request(path, &key).as_bytes()).await?;
        let mut bytes = Vec::with_capacity(4 << 10);
        let answered = self.read_answer(&mut stream, &mut bytes, &key);
        let agreed = match self.fault {
            Some(Fault::HeadDeadlineMissing) => answered.await,
            _ => timeout(HEAD, answered).await?,
        };
        let agreed = match agreed {
            Err(_) if self.fault == Some(Fault::TakesAnything) => {
                stream.write_all(TOOK).await?;
                None
            }
            agreed => agreed.map_err(io::Error::other)?,
        };
        host::run(stream, self.open(agreed), &bytes, Role::Client, self.fault).await;
        Ok(())
    }

    /// Returns the client's end of a connection for which this was agreed of compression.
    pub(super) fn open(self, agreed: Option<Agreed>) -> Echo {
        let codec = agreed.map(|agreed| Codec::new(agreed.client, agreed.server, self.fault));
        Echo::new(Role::Client, codec, self.fault)
    }

    pub(super) fn request(self, path: &str, key: &str) -> String {
        let field = |fault, line: &str| match self.fault == Some(fault) {
            true => String::new(),
            false => format!("{line}\r\n"),
        };
        let version = if self.fault == Some(Fault::VersionWrong) { 8 } else { 13 };
        let host = field(Fault::HostLeftOut, &format!("Host: {}", self.address));
        let upgrade = field(Fault::UpgradeLeftOut, "Upgrade: websocket");
        let connection = field(Fault::ConnectionLeftOut, "Connection: Upgrade");
        format!(
            "GET {path} HTTP/1.1\r\n{host}{upgrade}{connection}Sec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Extensions: {OFFER}\r\n\r\n"
        )
    }

    /// Reads the response; leaves in `bytes` what comes behind it.
    async fn read_answer(
        self,
        stream: &mut TcpStream,
        bytes: &mut Vec<u8>,
        key: &str,
    ) -> Result<Option<Agreed>, String> {
        let mut early = 0;
        loop {
            if let Some(agreed) = self.take_answer(bytes, key, &mut early)? {
                return Ok(agreed);
            }
            match stream.read_buf(bytes).await {
                Ok(0) | Err(_) => return Err("the end of the connection".to_owned()),
                Ok(_) => {}
            }
        }
    }

    /// Takes the response out of `bytes`, and those that came `early` before it; `None` if it is
    /// not all there.
    pub(super) fn take_answer(
        self,
        bytes: &mut Vec<u8>,
        key: &str,
        early: &mut usize,
    ) -> Result<Option<Option<Agreed>>, String> {
        while let Some(head) = Head::read(bytes, self.fault).map_err(|_| "malformed")? {
            bytes.drain(..head.size);
            if let Some(agreed) = upgrade::check_response(&head, key, self.fault)? {
                return Ok(Some(agreed));
            }
            *early += 1;
            if *early > MOST_EARLY && self.fault != Some(Fault::EarlyResponsesUnbounded) {
                return Err("too many responses before the 101".to_owned());
            }
        }
        Ok(None)
    }
}

/// What a client says that took a wrong response: a pong, which nobody else would send.
pub(super) const TOOK: &[u8] = b"\x8a\x80\0\0\0\0";

/// How long a server may take for its head.
const HEAD: Duration = Duration::from_secs(5);

/// As many responses may come before the one that counts.
const MOST_EARLY: usize = 8;
