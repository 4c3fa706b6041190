//! What the serving commands say: where they listen, or why they do not.

use std::process::ExitCode;

use sockeye_server::serve::{self, ServeError, Site, Stopped};
use sockeye_server::signals::Ending;

use crate::config_args::{self, ConfigArgs, Configured};
use crate::log::Log;
use crate::say::{report, say};

/// Runs a server until SIGTERM or SIGINT.
pub(crate) async fn run<C: Configured>(args: &ConfigArgs<C>, site: Site) -> ExitCode {
    let config = match args.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let log = Log::start(&config.log);
    let started = |urls: &[String]| {
        for url in urls {
            say(&format!("listening on {url}"));
        }
    };
    let served = serve::run(config, site, started, || args.read()).await;
    log.finish();
    match served {
        Ok(Stopped::InOrder) => ExitCode::SUCCESS,
        Ok(Stopped::AtOnce(Ending::Interrupt)) => ExitCode::from(INTERRUPTED),
        Ok(Stopped::AtOnce(Ending::Terminate)) => ExitCode::FAILURE,
        Err(ServeError::Config(error)) => config_args::refuse(&error),
        Err(ServeError::Listen(error)) => {
            report(&format!("{error}; choose another address with --listen HOST:PORT"))
        }
        Err(ServeError::Tls(error)) => report(&format!(
            "{error}; check --tls-cert and --tls-key, and --tls-client-ca if it is set"
        )),
        Err(error) => report(&error.to_string()),
    }
}

/// The exit code of a program that Ctrl-C ends, as shells tell it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
