//! `sockeye conform`: puts a WebSocket server or client through the conformance suite.
//!
//! Owns flags, files and exit codes; the tests and their reports are `sockeye-conform`'s.

mod files;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use sockeye_conform::report::Report;
use sockeye_conform::{Case, ClientTest, ServerTest, Suite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::say;
use files::ReportArgs;
use progress::Shown;

/// Flags of `sockeye conform`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Test a server that echoes messages: connect to it once for each case.
    Server(ServerArgs),
    /// Test clients that echo messages: wait for them, one connection for each case.
    ///
    /// Speaks Autobahn's control URLs, so that drivers written for Autobahn work: /getCaseCount,
    /// /getCaseInfo?case=N, /getCaseStatus?case=N&agent=A, /runCase?case=N&agent=A,
    /// /updateReports?agent=A.
    Client(ClientArgs),
    /// List the cases.
    List(CaseArgs),
    /// Make one report of several JSON reports.
    Merge(MergeArgs),
}

#[derive(Debug, clap::Args)]
struct CaseArgs {
    /// Cases to play, as patterns in which * is any run of characters; ! leaves out, as in
    /// 1.*,FRM-*,!9.* [default: all].
    #[arg(long, value_name = "PATTERNS", default_value = "", hide_default_value = true)]
    cases: String,
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// The server, as ws://HOST:PORT/PATH or wss://…; its certificate is not checked.
    url: String,

    #[command(flatten)]
    cases: CaseArgs,

    /// Cases played at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    jobs: usize,

    /// What to call the server in the report [default: its URL].
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, clap::Args)]
struct ClientArgs {
    /// Address to listen on, as HOST:PORT; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9001")]
    listen: String,

    /// Certificate chain for wss://, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Private key of the certificate, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Cases to play, as patterns in which * is any run of characters; ! leaves out, as in
    /// 1.*,FRM-*,!9.* [default: all but those whose handshake the client must refuse, since many
    /// a driver stops there].
    #[arg(long, value_name = "PATTERNS")]
    cases: Option<String>,

    /// Stop after the first client that says it is through, instead of waiting for a signal.
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    report: ReportArgs,
}

#[derive(Debug, clap::Args)]
struct MergeArgs {
    /// Reports as --json writes them; of an agent that is in several, the last results count.
    #[arg(required = true, value_name = "FILE")]
    reports: Vec<PathBuf>,

    #[command(flatten)]
    report: ReportArgs,
}

/// Runs the command; fails if a case did.
pub(crate) async fn run(args: Args) -> ExitCode {
    sockeye_server::serve::raise_descriptors();
    let report = match args.command {
        Command::Server(args) => test_server(args).await,
        Command::Client(args) => test_clients(args).await,
        Command::List(args) => return list(&args),
        Command::Merge(args) => merge(&args),
    };
    match report {
        Ok(report) if report.has_failures() => ExitCode::from(CASES_FAILED),
        Ok(_) => ExitCode::SUCCESS,
        Err(problem) => {
            say::report(&problem);
            ExitCode::from(NOT_TESTED)
        }
    }
}

async fn test_server(args: ServerArgs) -> Result<Report, String> {
    args.report.check()?;
    let cases = choose(&args.cases.cases)?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut test = ServerTest::new(args.url).cases(&cases).jobs(args.jobs).progress(sender);
    if let Some(agent) = args.agent {
        test = test.agent(agent);
    }
    let shown = Shown::start(receiver);
    let report = test.run().await;
    shown.end().await;
    let report = report.map_err(|error| error.to_string())?;
    args.report.write(&report)?;
    Ok(report)
}

async fn test_clients(args: ClientArgs) -> Result<Report, String> {
    args.report.check()?;
    let cases = match &args.cases {
        Some(patterns) => choose(patterns)?,
        None => choose("")?.into_iter().filter(|case| !case.breaks_handshake()).collect(),
    };
    let (sender, receiver) = mpsc::unbounded_channel();
    let (update, mut updates) = mpsc::unbounded_channel();
    let test = ClientTest::bind(&args.listen).await.map_err(|error| error.to_string())?;
    let mut test = test.cases(&cases).progress(sender).updates(update);
    let mut scheme = "ws";
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        test = test.tls(certificate, key).map_err(|error| error.to_string())?;
        scheme = "wss";
    }
    let address = test.local_addr().map_err(|error| error.to_string())?;
    let stop = stop_signal().map_err(|error| format!("cannot catch signals: {error}"))?;
    say::say(&format!("listening on {scheme}://{address}"));
    let shown = Shown::start(receiver);
    let through = async {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(report) = updates.recv() => {
                    // Written again at the end, where a problem is told.
                    let _ = args.report.write_files(&report);
                    if args.once {
                        return;
                    }
                }
            }
        }
    };
    let report = test.run(through).await;
    shown.end().await;
    args.report.write(&report)?;
    Ok(report)
}

fn merge(args: &MergeArgs) -> Result<Report, String> {
    args.report.check()?;
    let reports = args.reports.iter().map(|path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let report = text.and_then(|text| Report::from_json(&text).map_err(|e| e.to_string()));
        report.map_err(|error| format!("{}: {error}", path.display()))
    });
    let report = Report::merge(reports.collect::<Result<Vec<_>, _>>()?);
    args.report.write(&report)?;
    Ok(report)
}

fn list(args: &CaseArgs) -> ExitCode {
    let cases = match choose(&args.cases) {
        Ok(cases) => cases,
        Err(problem) => return say::report(&problem),
    };
    for case in cases {
        let info = case.info();
        say::say(&format!("{:<12} {} ({})", info.id, info.about, info.rule));
    }
    ExitCode::SUCCESS
}

fn choose(patterns: &str) -> Result<Vec<Arc<Case>>, String> {
    let suite = Suite::builtin().map_err(|error| error.to_string())?;
    suite.select(patterns).map_err(|error| format!("{error}; see `sockeye conform list`"))
}

/// Returns a future that is ready when the process is asked to stop.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The exit code when a case failed.
const CASES_FAILED: u8 = 1;

/// The exit code when nothing could be tested.
const NOT_TESTED: u8 = 3;
