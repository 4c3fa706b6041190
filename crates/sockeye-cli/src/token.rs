//! `sockeye token`: a token for trying out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use sockeye_server::auth::{Mint, Secret};
use sockeye_server::config::{self, Config, ConfigError, Overrides};

use crate::config_args::{REFUSED, refuse};
use crate::say;

/// Flags of `sockeye token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with the secret to sign with, of 32 bytes at least; otherwise that of the
    /// configuration or of SOCKEYE_AUTH_JWT_SECRET.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    secret_file: Option<PathBuf>,

    /// Configuration of the server, for its secret, issuer and audience.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Who the client is.
    #[arg(long, value_name = "NAME")]
    sub: String,

    /// Topics to publish to, such as chat:1 and chat:*.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    publish: Vec<String>,

    /// Topics to subscribe to.
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    subscribe: Vec<String>,

    /// How long the token is good.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    expires: Duration,

    /// What other members of a topic are told.
    #[arg(long, value_name = "JSON", value_parser = json)]
    info: Option<Value>,
}

pub(crate) fn run(args: Args) -> ExitCode {
    let (secret, config) = match args.trust() {
        Ok(trust) => trust,
        Err(code) => return code,
    };
    let mint = Mint {
        subject: args.sub,
        lifetime: args.expires,
        publish: args.publish,
        subscribe: args.subscribe,
        info: args.info,
        issuer: config.auth.jwt.issuer,
        audience: config.auth.jwt.audience.into_iter().next(),
    };
    match mint.sign(&secret, SystemTime::now()) {
        Ok(token) => {
            say::say(&token);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("no server would take that token: {error}")),
    }
}

impl Args {
    /// Returns what to sign with, and what the server wants to read.
    fn trust(&self) -> Result<(Secret, Config), ExitCode> {
        if let Some(path) = &self.secret_file {
            let secret = Secret::from_file(path);
            let secret = secret.map_err(|error| fail(&format!("--secret-file: {error}")))?;
            return Ok((secret, Config::default()));
        }
        let flags = Overrides::default();
        let config = Config::load(self.config.as_deref(), std::env::vars_os(), &flags);
        let found = config.and_then(|config| Ok((config.jwt_secret()?, config)));
        match found.map_err(|error: ConfigError| refuse(&error))? {
            (Some(secret), config) => Ok((secret, config)),
            (None, _) => Err(fail(NO_SECRET)),
        }
    }
}

fn fail(problem: &str) -> ExitCode {
    say::complain(&format!("sockeye: {problem}"));
    ExitCode::from(REFUSED)
}

fn time(text: &str) -> Result<Duration, &'static str> {
    config::parse_time(text).ok_or("a time is written as 90s, 15m, 1h or 7d")
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))
}

const NO_SECRET: &str = "there is no secret to sign with: set --secret-file FILE, \
                         SOCKEYE_AUTH_JWT_SECRET, or auth.jwt.secret in --config FILE";
