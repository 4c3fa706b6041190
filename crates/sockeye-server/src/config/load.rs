//! Puts a configuration together: the file over the defaults, the environment over the file, flags
//! over all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::Config;
use super::error::{ConfigError, Place};
use super::file::{File, TOPIC};
use super::key::Key;
use super::keys::{find, keys};
use super::overrides::{Environment, Overrides};
use super::value::Value;

/// A configuration in the making, and where its values were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) config: Config,
    places: BTreeMap<String, Place>,
}

impl Config {
    /// Reads and checks a configuration: flags over the environment over the file over the
    /// defaults. The file is the one given, or the one that `SOCKEYE_CONFIG` names, or none.
    ///
    /// # Errors
    /// The first fault, and where it stands.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
        flags: &Overrides,
    ) -> Result<Self, ConfigError> {
        Self::default().overridden(file, env, flags)
    }

    /// As [`Config::load`], over this configuration instead of the defaults.
    ///
    /// # Errors
    /// As there.
    pub fn overridden(
        self,
        file: Option<&Path>,
        env: impl Iterator<Item = (OsString, OsString)>,
        flags: &Overrides,
    ) -> Result<Self, ConfigError> {
        let env = Environment::read(env)?;
        let mut draft = Draft { config: self, ..Draft::default() };
        if let Some(path) = file.or(env.file.as_deref()) {
            File::read(path)?.apply(&mut draft)?;
        }
        env.overrides.apply(&mut draft)?;
        flags.apply(&mut draft)?;
        draft.finish()
    }

    /// Reads and checks a configuration of which there is a file only.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_file(file: &File) -> Result<Self, ConfigError> {
        let mut draft = Draft::default();
        file.apply(&mut draft)?;
        draft.finish()
    }
}

impl Draft {
    /// Sets a key. What would say the same in another way is forgotten where it was given
    /// elsewhere: a secret in the environment takes the place of a secret's file in the file.
    pub(super) fn put(
        &mut self,
        key: &Key<Config>,
        value: Value,
        place: Place,
    ) -> Result<(), ConfigError> {
        let put = key.put(&mut self.config, value);
        put.map_err(|text| ConfigError::new(Some(place.clone()), text))?;
        for other in alternatives(key.path) {
            let given = self.places.get(other);
            if given.is_some_and(|given| !given.is_beside(&place)) {
                self.forget(other);
            }
        }
        self.places.insert(key.path.to_owned(), place);
        Ok(())
    }

    /// Notes where a key of the topic that is read was given.
    pub(super) fn note_topic(&mut self, path: &str, place: Place) {
        let index = self.config.topics.len();
        self.places.insert(format!("{TOPIC}[{index}].{path}"), place);
    }

    fn forget(&mut self, path: &str) {
        if let Some(key) = find(keys(), path) {
            key.clear(&mut self.config);
            self.places.remove(path);
        }
    }

    /// Checks what no key can be blamed for alone.
    fn finish(self) -> Result<Config, ConfigError> {
        match self.config.check() {
            Ok(()) => Ok(self.config),
            Err(error) => Err(error.placed(|key| self.places.get(key).cloned())),
        }
    }
}

impl Place {
    /// Tells whether both are the file, both the environment, or both flags.
    fn is_beside(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// Lists the keys that say the same as one does.
fn alternatives(path: &str) -> impl Iterator<Item = &'static str> {
    let group = ALTERNATIVES.iter().find(|group| group.contains(&path));
    let others = group.into_iter().flat_map(|group| group.iter().copied());
    others.filter(move |other| *other != path)
}

/// Keys of which one at most is set in each of file, environment and flags.
const ALTERNATIVES: [&[&str]; 3] = [
    &["auth.api_keys", "auth.api_keys_file"],
    &[
        "auth.jwt.secret",
        "auth.jwt.secret_file",
        "auth.jwt.key_files",
        "auth.jwt.jwks_file",
        "auth.jwt.jwks_url",
    ],
    &["auth.webhook.secret", "auth.webhook.secret_file"],
];
