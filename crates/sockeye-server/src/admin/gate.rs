//! Who may use the admin's API.
//!
//! A key of the HTTP API opens it. Where none is configured and only this machine reaches the
//! listener, everybody on this machine may: programs, that is. A page in a browser here can send
//! requests to this machine too, so pages of others are refused; and since a name of theirs may be
//! made to lead here, so is every host that is not this machine's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use sockeye_proto::handshake::{Origins, Scheme};

use crate::app::App;
use crate::auth::Denied;
use crate::http::problem::Problem;

/// The gate, and what is behind it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) app: Arc<App>,
    is_local: AtomicBool,
}

impl Gate {
    /// Makes one that lets nobody in without a key.
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app, is_local: AtomicBool::new(false) }
    }

    /// Takes note of where it listens.
    pub(super) fn listens_at(&self, address: SocketAddr) {
        self.is_local.store(address.ip().is_loopback(), Ordering::Relaxed);
    }

    /// Decides whether a request may come in.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let host = text(parts.headers.get(HOST));
        let is_foreign =
            |origin: &HeaderValue| !Origins::Same.allows(origin.as_bytes(), host, Scheme::Unknown);
        if parts.headers.get_all(ORIGIN).iter().any(is_foreign) {
            return Err(Problem::foreign_page());
        }
        let keys = &self.app.policies.current().api_keys;
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let headers = parts.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        match keys.check(target, &headers) {
            // Whoever sends a key expects it to count.
            Err(Denied::Missing) if keys.is_empty() && self.is_local.load(Ordering::Relaxed) => {
                if is_of_this_machine(host) {
                    Ok(())
                } else {
                    Err(foreign_host())
                }
            }
            checked => Ok(checked?),
        }
    }
}

/// Tells whether a host, as a request names it, is this machine whoever is asked for names.
fn is_of_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn foreign_host() -> Problem {
    let message = "without a key, the host must be localhost or an address of this machine";
    Problem::new(StatusCode::FORBIDDEN, "host_denied", message)
}

fn text(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_this_machine_is_localhost_or_a_loopback_address() {
        for host in ["localhost", "LocalHost:9000", "127.0.0.1", "127.1.2.3:1", "[::1]:9", "[::1]"]
        {
            assert!(is_of_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:80", "10.0.0.1:80", "::2", ":80"] {
            assert!(!is_of_this_machine(host), "{host}");
        }
    }
}
