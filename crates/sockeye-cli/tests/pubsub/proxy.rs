//! A network between a client and a server that cuts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A proxy. It ends with the test.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// How many connections were cut.
    pub(crate) cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// Starts one that cuts each connection once the client has got so many bytes of the server as
    /// `budget` has next; when it has none, connections live on.
    pub(crate) async fn start(
        server: SocketAddr,
        budget: impl IntoIterator<Item = u64, IntoIter: Send + 'static>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cuts = Arc::new(AtomicUsize::new(0));
        let (counter, mut budget) = (cuts.clone(), budget.into_iter());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, budget.next(), counter.clone()));
            }
        });
        Self { url, cuts }
    }
}

async fn pass(client: TcpStream, server: SocketAddr, budget: Option<u64>, cuts: Arc<AtomicUsize>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending::<()>().await;
    };
    let down = limited(&mut from_server, &mut to_client, budget);
    // Both sockets are dropped with whatever is in them.
    tokio::select! {
        () = up => {}
        is_cut = down => if is_cut { cuts.fetch_add(1, Ordering::Relaxed); },
    }
}

/// Copies at most so many bytes. Tells whether there were more.
async fn limited(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    budget: Option<u64>,
) -> bool {
    let Some(mut left) = budget else {
        let _ = copy(from, to).await;
        return false;
    };
    let mut buffer = vec![0; 4096];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return false };
        let passed = count.min(left.try_into().unwrap());
        if to.write_all(&buffer[..passed]).await.is_err() {
            return false;
        }
        left -= u64::try_from(passed).unwrap();
        if passed < count {
            return true;
        }
    }
}

/// Random numbers below a bound, from a seed (xorshift64).
pub(crate) fn random(seed: u64, below: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed | 1), |state| {
        let mut next = *state;
        next ^= next << 13;
        next ^= next >> 7;
        Some(next ^ (next << 17))
    })
    .skip(1)
    .map(move |state| (state >> 11) % below)
}
