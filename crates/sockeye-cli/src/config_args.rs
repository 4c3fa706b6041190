//! Flags for the configuration: one for each key that has one, made of the server's table of keys.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use sockeye_server::config::{self, Config, ConfigError, Key, Kind, Overrides};

use crate::say;

/// The configuration as the command line gives it: a file, and values that win over it.
#[derive(Clone, Debug)]
pub(crate) struct ConfigArgs<C = Serving> {
    pub(crate) file: Option<PathBuf>,
    flags: Overrides,
    command: PhantomData<C>,
}

/// A command that is configured.
pub(crate) trait Configured {
    /// Tells whether it has a flag for a key.
    fn takes(key: &Key) -> bool;

    /// Returns what it does without being told anything.
    fn default() -> Config {
        Config::default()
    }
}

/// `sockeye serve`, which all keys are for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serving;

impl Configured for Serving {
    fn takes(_: &Key) -> bool {
        true
    }
}

impl<C: Configured> ConfigArgs<C> {
    /// Reads the configuration: these flags over the environment over the file.
    ///
    /// # Errors
    /// The exit code for a configuration that is refused; why has been said then.
    pub(crate) fn load(&self) -> Result<Config, ExitCode> {
        self.read().map_err(|error| refuse(&error))
    }

    /// As [`load`](Self::load), and leaves it to the caller to say what is wrong.
    pub(crate) fn read(&self) -> Result<Config, ConfigError> {
        let file = self.file.as_deref();
        C::default().overridden(file, std::env::vars_os(), &self.flags)
    }
}

/// Says on standard error why a configuration is refused, in one line that begins with the place.
pub(crate) fn refuse(error: &ConfigError) -> ExitCode {
    match error.place() {
        Some(_) => say::complain(&error.to_string()),
        None => say::complain(&format!("sockeye: {error}")),
    }
    ExitCode::from(REFUSED)
}

impl<C> Default for ConfigArgs<C> {
    fn default() -> Self {
        Self { file: None, flags: Overrides::default(), command: PhantomData }
    }
}

/// Lists the keys that a command has flags for.
fn keys<C: Configured>() -> impl Iterator<Item = &'static Key> {
    config::keys().iter().filter(|key| key.flag().is_some() && C::takes(key))
}

impl<C: Configured> clap::FromArgMatches for ConfigArgs<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(file) = matches.get_one::<PathBuf>(FILE) {
            self.file = Some(file.clone());
        }
        for key in keys::<C>() {
            if matches.value_source(key.path()) == Some(ValueSource::CommandLine) {
                let given = matches.get_many::<String>(key.path()).into_iter().flatten();
                let given: Vec<&str> = given.map(String::as_str).collect();
                self.flags.flag(key, given.join(","));
            }
        }
        Ok(())
    }
}

impl<C: Configured> clap::Args for ConfigArgs<C> {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new(FILE)
            .long(FILE)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help(
                "Configuration to read, TOML; flags win over the environment, and both over it \
                   [env: SOCKEYE_CONFIG]",
            );
        let flags = keys::<C>().filter_map(|key| Some(arg(key, key.flag()?)));
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// Makes the flag of a key. Its text is judged with that of the environment, not here.
fn arg(key: &'static Key, name: &'static str) -> Arg {
    let env = key.env().map(|env| format!(" [env: {env}]")).unwrap_or_default();
    let arg = Arg::new(key.path()).long(name).help(format!("{}{env}", key.doc()));
    match key.kind() {
        Kind::Flag => {
            let values = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            values.value_name("true|false")
        }
        Kind::Choices(_) | Kind::List(_) => arg.value_name("LIST").action(ArgAction::Append),
        Kind::Bytes { .. } => arg.value_name("BYTES"),
        Kind::Count { .. } => arg.value_name("COUNT"),
        Kind::Time { .. } => arg.value_name("TIME"),
        _ => arg.value_name("VALUE"),
    }
}

/// The exit code for a configuration that is refused, as for wrong flags.
pub(crate) const REFUSED: u8 = 2;

const FILE: &str = "config";
