//! What a configuration that is read again changes.

use super::Config;
use super::file::TOPIC;
use super::key::Reload;
use super::keys::keys;

/// Which keys two configurations have different values for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Those whose new values take effect at once.
    pub live: Vec<&'static str>,
    /// Those whose new values wait for the next start.
    pub restart: Vec<&'static str>,
}

impl Difference {
    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

impl Config {
    /// Compares the configuration that is in use with a new one. What files hold that they name,
    /// certificates and keys, is not compared.
    pub fn difference(&self, new: &Self) -> Difference {
        let mut difference = Difference::default();
        let tls_begins_or_ends = self.tls.cert.is_some() != new.tls.cert.is_some();
        for key in keys().iter().filter(|key| key.value(self) != key.value(new)) {
            let waits = tls_begins_or_ends && key.path.starts_with("tls.");
            match key.reload {
                Reload::Live if !waits => difference.live.push(key.path),
                Reload::Live | Reload::Restart => difference.restart.push(key.path),
            }
        }
        if self.topics != new.topics {
            difference.live.push(TOPIC);
        }
        difference
    }
}
