//! What a configuration that is read again changes.

use super::file::TOPIC;
use super::key::Reload;
use super::keys::keys;
use super::{Config, Topic};

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
            // The hub has its rules for life; who answers a topic is asked anew each time.
            let bare = |config: &Self| -> Vec<Topic> {
                config.topics.iter().map(|topic| Topic { hook: None, ..topic.clone() }).collect()
            };
            let only_hooks = bare(self) == bare(new);
            let keys = if only_hooks { &mut difference.live } else { &mut difference.restart };
            keys.push(TOPIC);
        }
        difference
    }
}
