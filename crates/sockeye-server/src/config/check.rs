//! What no key can be blamed for alone, and what an operator should know before he opens a door.

use http::HeaderName;

use super::error::ConfigError;
use super::file::TOPIC;
use super::types::Address;
use super::{Anonymous, Config};

impl Config {
    /// Checks that the parts fit together and that the server is not open by oversight; reads the
    /// files of keys and secrets, and nothing else.
    ///
    /// # Errors
    /// The first rule that is broken: addresses that others reach without auth and without
    /// `allow_anonymous` are one.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_addresses()?;
        self.check_tls()?;
        self.check_ways_of_auth()?;
        self.check_names()?;
        self.check_hooks()?;
        self.api_keys()?;
        self.fixed_keys()?;
        self.webhook_rules()?;
        self.jwks_endpoint()?;
        Ok(())
    }

    /// Tells whether neither tokens nor a back end decide who comes in.
    pub fn has_no_auth(&self) -> bool {
        !self.auth.jwt.has_keys() && self.auth.webhook.url.is_none()
    }

    /// Lists what makes the server less safe than it could be, a sentence each, for the log at the
    /// start. While there is any, the server counts as insecure.
    pub fn warnings(&self) -> Vec<String> {
        let open = self.has_no_auth() && self.listen.iter().any(|address| !address.is_loopback());
        let any_page = self.origins.iter().any(|origin| origin.pattern().is_none());
        let in_clear = self.admin.as_ref().is_some_and(|admin| !admin.is_loopback());
        let told = [
            (open, "allow_anonymous: whoever reaches the server may use it"),
            (self.insecure_http, "insecure_http: back ends may be asked without TLS"),
            (any_page, "origins: pages of any origin may connect"),
            (in_clear, "admin: the admin's pages can be reached from other machines"),
        ];
        told.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned()).collect()
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        let refuse = |key, text: String| Err(ConfigError::of(key, text));
        if !(1..=ADDRESSES).contains(&self.listen.len()) {
            let found = self.listen.len();
            return refuse(
                "listen",
                format!("found {found} addresses; allowed is 1 to {ADDRESSES}"),
            );
        }
        let open = self.listen.iter().find(|address| !address.is_loopback());
        if let (Some(open), true, false) = (open, self.has_no_auth(), self.allow_anonymous) {
            return refuse("listen", open_without_auth(open));
        }
        let Some(admin) = &self.admin else { return Ok(()) };
        if self.listen.contains(admin) && admin.port() != 0 {
            return refuse("admin", format!("{admin} is in `listen` too; it needs its own port"));
        }
        let has_keys = !self.auth.api_keys.is_empty() || self.auth.api_keys_file.is_some();
        if !admin.is_loopback() && !has_keys {
            let text = "can be reached from other machines, so it needs auth.api_keys or \
                        auth.api_keys_file";
            return refuse("admin", format!("{admin} {text}"));
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        match (&self.tls.cert, &self.tls.key) {
            (Some(_), None) => Err(ConfigError::of("tls.cert", "needs tls.key")),
            (None, Some(_)) => Err(ConfigError::of("tls.key", "needs tls.cert")),
            (None, None) if self.tls.client_ca.is_some() => {
                Err(ConfigError::of("tls.client_ca", "needs tls.cert and tls.key"))
            }
            _ => Ok(()),
        }
    }

    fn check_ways_of_auth(&self) -> Result<(), ConfigError> {
        let jwt = &self.auth.jwt;
        let sources = jwt.sources();
        if let [_, second, ..] = sources.as_slice() {
            return Err(ConfigError::of(*second, format!("set one of {}", sources.join(", "))));
        }
        let says = [
            ("auth.jwt.issuer", jwt.issuer.is_some()),
            ("auth.jwt.audience", !jwt.audience.is_empty()),
        ];
        if let (true, Some((key, _))) = (sources.is_empty(), says.iter().find(|(_, set)| *set)) {
            return Err(ConfigError::of(*key, "no keys are set to check tokens with"));
        }
        if self.auth.webhook.url.is_none() {
            return Ok(());
        }
        if !sources.is_empty() {
            let text = "set auth.jwt or auth.webhook, not both";
            return Err(ConfigError::of("auth.webhook.url", text));
        }
        let Anonymous { publish, subscribe } = &self.auth.anonymous;
        let anonymous =
            [("auth.anonymous.publish", publish), ("auth.anonymous.subscribe", subscribe)];
        match anonymous.iter().find(|(_, patterns)| patterns.is_some()) {
            None => Ok(()),
            Some((key, _)) => {
                Err(ConfigError::of(*key, "a webhook is asked about those without a token too"))
            }
        }
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let is_name = |name: &String| HeaderName::try_from(name.as_str()).is_ok();
        if let Some(name) = self.auth.webhook.forward.iter().find(|name| !is_name(name)) {
            let text = format!("{} is no name of a header", super::value::shown(name));
            return Err(ConfigError::of("auth.webhook.forward", text));
        }
        // Names of cookies have the characters of names of headers (RFC 6265, section 4.1.1).
        match self.auth.cookie.as_ref().filter(|name| !is_name(name)) {
            None => Ok(()),
            Some(name) => {
                let text = format!("{} is no name of a cookie", super::value::shown(name));
                Err(ConfigError::of("auth.cookie", text))
            }
        }
    }

    fn check_hooks(&self) -> Result<(), ConfigError> {
        for (index, topic) in self.topics.iter().enumerate() {
            let Some(hook) = &topic.hook else { continue };
            let refuse = |error| ConfigError::of(format!("{TOPIC}[{index}].hook"), error);
            hook.endpoint(self.insecure_http).map_err(refuse)?;
        }
        Ok(())
    }
}

fn open_without_auth(address: &Address) -> String {
    format!(
        "{address} can be reached from other machines and there is no auth; set auth.jwt or \
         auth.webhook, or let everybody in with --allow-anonymous"
    )
}

/// The most addresses to listen on.
const ADDRESSES: usize = 16;
