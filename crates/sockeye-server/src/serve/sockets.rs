//! Where listening sockets come from: the server that ran before, the service manager, or nowhere, and
//! then they are bound.

use std::io;
use std::net::{SocketAddr, TcpListener};

use sockeye::Server;

use crate::config::{Address, Config, ConfigError};
use crate::systemd;
use crate::takeover::{Inherited, Takeover, TakeoverError};

/// The sockets that are there already.
#[derive(Debug)]
pub(super) struct Sockets {
    inherited: Option<Inherited>,
    activated: Vec<(Address, TcpListener)>,
}

/// The addresses that are used whatever the configuration says of `listen`: those of the sockets that
/// the service manager passed.
#[derive(Clone, Debug, Default)]
pub(super) struct Given(Vec<Address>);

impl Given {
    /// Puts them into a configuration, which has to hold for them too.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn apply(&self, mut config: Config) -> Result<Config, ConfigError> {
        if !self.0.is_empty() {
            config.listen.clone_from(&self.0);
            config.check()?;
        }
        Ok(config)
    }
}

impl Sockets {
    /// Takes what the service manager has passed.
    ///
    /// # Errors
    /// It is not what was announced.
    pub(super) fn activated() -> io::Result<(Self, Given)> {
        let mut activated = Vec::new();
        for one in systemd::activated()? {
            activated.push((address(one.listener.local_addr()?)?, one.listener));
        }
        let given = Given(activated.iter().map(|(address, _)| address.clone()).collect());
        Ok((Self { inherited: None, activated }, given))
    }

    /// Asks a server that runs for its sockets, if there is one.
    ///
    /// # Errors
    /// There is, and it does not give them.
    pub(super) async fn inherit(&mut self, config: &Config) -> Result<(), TakeoverError> {
        if let Some(path) = &config.takeover {
            self.inherited = Takeover::claim(path).await?;
        }
        Ok(())
    }

    /// Returns a server for an address.
    ///
    /// # Errors
    /// The socket that is there can't be watched.
    pub(super) fn server(&mut self, address: &Address) -> io::Result<Server> {
        let name = address.to_string();
        let inherited = self.inherited.as_mut().and_then(|inherited| inherited.take(&name));
        match inherited.or_else(|| self.take(address)) {
            Some(listener) => Ok(Server::listener(tokio::net::TcpListener::from_std(listener)?)),
            None => Ok(Server::bind(name)),
        }
    }

    /// Tells the server that ran before that this one accepts; returns whether there was one.
    ///
    /// # Errors
    /// It does not confirm that it ends.
    pub(super) async fn ready(self) -> Result<bool, TakeoverError> {
        let Some(inherited) = self.inherited else { return Ok(false) };
        inherited.ready().await?;
        Ok(true)
    }

    fn take(&mut self, address: &Address) -> Option<TcpListener> {
        let at = self.activated.iter().position(|(own, _)| own == address)?;
        Some(self.activated.remove(at).1)
    }
}

/// Names an address as a configuration does.
fn address(local: SocketAddr) -> io::Result<Address> {
    // Without the scope of a link's address, which a configuration can't tell.
    let plain = SocketAddr::new(local.ip(), local.port()).to_string();
    plain.parse().map_err(io::Error::other)
}
