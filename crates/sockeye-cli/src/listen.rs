//! What the serving commands say: where they listen, or why they do not.

use std::process::ExitCode;
use std::sync::Arc;

use sockeye_server::metrics::Count;
use sockeye_server::serve::{self, ServeError, Site, Stopped};
use sockeye_server::signals::Ending;

use crate::config_args::{self, ConfigArgs, Configured};
use crate::log::Log;
use crate::say::{Aside, report};

/// Runs a server until SIGTERM or SIGINT.
pub(crate) async fn run<C: Configured>(args: &ConfigArgs<C>, site: Site) -> ExitCode {
    let config = match args.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let dropped = Arc::<Count>::default();
    let log = Log::start(&config.log, dropped.clone());
    let mut said = None;
    let started = |urls: &[String]| {
        let lines: Vec<_> = urls.iter().map(|url| format!("listening on {url}")).collect();
        said = Some(Aside::say(&lines.join("\n")));
    };
    let served = serve::run(config, site, dropped, started, || args.read()).await;
    log.finish();
    said.into_iter().for_each(Aside::finish);
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
