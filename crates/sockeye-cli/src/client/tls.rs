//! The flags that say how a server's certificate is checked, and which one it is shown.

use std::path::PathBuf;

use sockeye::tls::Tls;

use super::exit::{Exit, Failure};
use super::output::complain;

/// How a server's certificate is checked, and what it is shown.
#[derive(Clone, clap::Args)]
pub(crate) struct TlsArgs {
    /// Accepts any certificate. Anyone on the way can then read and change the traffic
    #[arg(short = 'k', long, conflicts_with = "cacert", help_heading = "TLS")]
    insecure: bool,
    /// Trusts the certificate authorities in this PEM file, and no others
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cacert: Option<PathBuf>,
    /// Presents the certificate in this PEM file to a server that asks for one
    #[arg(long, value_name = "FILE", requires = "key_file", help_heading = "TLS")]
    cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long = "cert-key", value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key_file: Option<PathBuf>,
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

    /// Warns on standard error of a connection to a server that was not checked.
    pub(crate) fn warn_of(&self, url: &str) {
        if let (true, Some(server)) = (self.insecure, server_of(url)) {
            complain(&format!("warning: --insecure: connected to {server}, whoever that is"));
        }
    }

    /// Returns what connections are opened with.
    ///
    /// # Errors
    /// A file does not hold what it should.
    pub(crate) fn tls(&self) -> Result<Tls, Failure> {
        let trusting = match &self.cacert {
            Some(file) => Tls::with_roots(file),
            None if self.insecure => Tls::dangerous_no_verification(),
            None => Ok(Tls::System),
        };
        let tls = trusting.and_then(|tls| match (&self.cert, &self.key_file) {
            (Some(cert), Some(key)) => tls.with_certificate(cert, key),
            _ => Ok(tls),
        });
        tls.map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    }
}

/// Returns the host and port of a URL; `None` where it is one without TLS.
fn server_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = ["wss", "https"].iter().any(|name| scheme.eq_ignore_ascii_case(name));
    rest.split(['/', '?', '#']).next().filter(|_| is_secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_named_without_what_may_be_secret() {
        assert_eq!(server_of("wss://h:81/a?token=s3cret"), Some("h:81"));
        assert_eq!(server_of("HTTPS://h?token=s3cret"), Some("h"));
        assert_eq!(server_of("ws://h/"), None);
    }
}
