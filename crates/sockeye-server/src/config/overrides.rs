//! What flags and the environment say: texts for keys, and who gave them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use super::Config;
use super::error::{ConfigError, Place};
use super::file::unknown;
use super::key::Key;
use super::keys::keys;
use super::load::Draft;

/// Values for keys, as text. `Debug` shows which keys, and no value.
#[derive(Clone, Default)]
pub struct Overrides(BTreeMap<&'static str, Given>);

#[derive(Clone)]
struct Given {
    key: &'static Key<Config>,
    text: String,
    place: Place,
}

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// The file that `SOCKEYE_CONFIG` names.
    pub(super) file: Option<PathBuf>,
    pub(super) overrides: Overrides,
}

impl Overrides {
    /// Takes the value of a flag; items of a list are separated by commas. A flag that is given
    /// again counts anew.
    pub fn flag(&mut self, key: &'static Key<Config>, text: impl Into<String>) {
        self.add(key, text.into(), Place::Flag(key.flag));
    }

    fn add(&mut self, key: &'static Key<Config>, text: String, place: Place) {
        self.0.insert(key.path, Given { key, text, place });
    }

    /// Sets what they say.
    ///
    /// # Errors
    /// A value that its key does not take.
    pub(super) fn apply(&self, draft: &mut Draft) -> Result<(), ConfigError> {
        for Given { key, text, place } in self.0.values() {
            let refuse = |text| ConfigError::new(Some(place.clone()), text);
            let value = key.read_text(text).map_err(refuse)?;
            draft.put(key, value, place.clone())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Picks our variables.
    ///
    /// # Errors
    /// One that begins with `SOCKEYE_` and is none of ours, or whose value is not UTF-8.
    pub(super) fn read(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut environment = Self::default();
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if !name.starts_with(PREFIX) {
                continue;
            }
            if name == CONFIG {
                environment.file = Some(value.into());
                continue;
            }
            let Some(key) = keys().iter().find(|key| key.env == name) else {
                if is_of_others(&name) || is_of_kubernetes(&name, &value) {
                    continue;
                }
                let known = keys().iter().filter_map(Key::env).chain([CONFIG]);
                return Err(ConfigError::new(None, unknown("variable", &name, known)));
            };
            let place = Place::Env(name.into_owned());
            let Ok(text) = value.into_string() else {
                return Err(ConfigError::new(Some(place), format!("{}: not UTF-8", key.path)));
            };
            environment.overrides.add(key, text, place);
        }
        Ok(environment)
    }
}

/// Tells whether a variable that begins as ours do is another command's or a test's.
fn is_of_others(name: &str) -> bool {
    OTHERS.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Tells whether Kubernetes may have set a variable, as it does in each container for each service:
/// for one named `sockeye`, `SOCKEYE_PORT=tcp://10.0.0.1:80` and more of the kind.
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    let is_port = |rest: &str| match rest.as_bytes() {
        [] => value.to_string_lossy().contains("://"),
        [separator, digit, ..] => *separator == b'_' && digit.is_ascii_digit(),
        [_] => false,
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.rsplit_once("_PORT").is_some_and(|(_, rest)| is_port(rest))
}

/// What our variables begin with.
const PREFIX: &str = "SOCKEYE_";

/// Names the file.
const CONFIG: &str = "SOCKEYE_CONFIG";

/// Variables of other commands.
const OTHERS: [&str; 3] = ["SOCKEYE_API_KEY", "SOCKEYE_BEARER", "SOCKEYE_TOKEN"];

/// What variables of tests and benchmarks begin with.
const OTHER_PREFIXES: [&str; 4] =
    ["SOCKEYE_BENCH_", "SOCKEYE_HUB_SEED", "SOCKEYE_SIMULATION_SEED", "SOCKEYE_TEST_"];
