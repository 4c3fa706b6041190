//! The flags that say how a server's certificate is checked.

use std::path::PathBuf;

use sockeye::tls::Tls;

use super::exit::{Exit, Failure};
use super::output::complain;

/// How a server's certificate is checked.
#[derive(clap::Args)]
pub(crate) struct TlsArgs {
    /// Accepts any certificate. Anyone on the way can then read and change the traffic
    #[arg(short = 'k', long, conflicts_with = "cacert", help_heading = "TLS")]
    insecure: bool,
    /// Trusts the certificate authorities in this PEM file, and no others
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cacert: Option<PathBuf>,
}

impl TlsArgs {
    /// Warns on standard error if nothing is checked.
    pub(crate) fn warn(&self) {
        if self.insecure {
            complain(
                "warning: --insecure: the server's certificate is not checked; \
                 anyone on the way can read and change what is sent",
            );
        }
    }

    /// Returns what connections are opened with.
    ///
    /// # Errors
    /// The file holds no certificates.
    pub(crate) fn tls(&self) -> Result<Tls, Failure> {
        let tls = match &self.cacert {
            Some(file) => Tls::with_roots(file),
            None if self.insecure => Tls::dangerous_no_verification(),
            None => return Ok(Tls::System),
        };
        tls.map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }
}
