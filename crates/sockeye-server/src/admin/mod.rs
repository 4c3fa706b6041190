//! Operating a server while it runs: an API on a listener of its own, and what tells whether the
//! server lives and takes clients.
//!
//! ```text
//!   admin's listener ──► Gate: whose page, which host, which key ──► publish, disconnect, drain
//!                                                                └─► topics, clients, nodes, config,
//!                                                                    metrics
//!   every listener ────► /healthz, /readyz
//! ```
//!
//! Nothing of this is at the listeners of clients, but for the two that tell how the server is.

#![warn(clippy::indexing_slicing, clippy::string_slice, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::string_slice))]

mod disconnect;
mod gate;
mod health;
mod lists;
mod publish;
mod routes;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::Server;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::config::Config;
use crate::serve::serve_http;

pub(crate) use health::router as health;

/// The admin's listener, which ends when this is dropped.
pub(crate) struct Admin {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Admin {
    /// Starts to listen where the configuration says; nowhere if it does not say.
    ///
    /// # Errors
    /// The address can't be bound.
    pub(crate) async fn listen(app: &Arc<App>, config: &Config) -> sockeye::Result<Option<Self>> {
        let Some(address) = &config.admin else { return Ok(None) };
        // Who may do without a key is known once it is known where this listens.
        let gate = Arc::new(gate::Gate::new(app.clone()));
        let router = routes::router(gate.clone());
        let server = Server::bind(address.to_string()).max_connections(CONNECTIONS);
        let server = server.http(move |connection| serve_http(connection, router.clone()));
        let listening = server.listen().await?;
        let address = listening.local_addr()?;
        gate.listens_at(address);
        let serving = tokio::spawn(async move {
            // It goes on whatever happens to single connections.
            let _ = listening.serve().await;
        });
        Ok(Some(Self { address, serving }))
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Connections at a time: those who operate a server are few.
const CONNECTIONS: usize = 256;
