//! `sockeye conform` as a process: our own server and client pass, peers that are wrong fail, and
//! the exit code says so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share fail the test in which they fail"
)]

mod scratch;
#[path = "conform/support.rs"]
mod support;

use std::time::Duration;

use sockeye::tls::Tls;
use sockeye_conform::report::{AgentRole, Report};
use sockeye_conform::{ServerTest, Suite, Verdict};
use support::{Certificate, Command, Form, drive, serve_on_tokio, serve_silence};

/// Asserts that a report holds no verdict but OK and, for so many cases, INFORMATIONAL.
fn all_ok(report: &Report, role: AgentRole, cases: usize) {
    let [agent] = report.agents.as_slice() else { panic!("{} agents", report.agents.len()) };
    assert_eq!(agent.role, role);
    assert_eq!(agent.results.len(), cases);
    let bad: Vec<_> = agent
        .results
        .iter()
        .filter(|(_, result)| result.verdict() > Verdict::Informational)
        .map(|(id, result)| format!("{id}: {}, {}", result.verdict(), result.reason))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

// CMD-013
#[tokio::test(flavor = "multi_thread")]
async fn our_server_passes_every_case() {
    let scratch = scratch::Scratch::new("conform-server");
    let server = Command::start(&["echo", "--deflate", "--max-message", "67108864"]).await;
    let json = scratch.write("report.json", "");
    let url = server.url("ws");
    let ended = Command::run(&["conform", "server", &url, "--json", &json]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let cases = cases(AgentRole::Server, |_| true);
    all_ok(&report, AgentRole::Server, cases);
}

/// The command serves on the reactor; this is the library's own host.
#[tokio::test(flavor = "multi_thread")]
async fn the_tokio_host_passes_every_case() {
    tokio_host_passes(Form::Async).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_on_the_tokio_host_pass_every_case() {
    tokio_host_passes(Form::Callbacks).await;
}

async fn tokio_host_passes(form: Form) {
    let url = serve_on_tokio(form).await;
    let suite = Suite::builtin().unwrap();
    let report = ServerTest::new(url).cases(suite.cases()).run().await.unwrap();
    all_ok(&report, AgentRole::Server, cases(AgentRole::Server, |_| true));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_passes_every_case() {
    let scratch = scratch::Scratch::new("conform-client");
    let json = scratch.write("report.json", "");
    let tester =
        Command::start(&["conform", "client", "--once", "--cases", "*", "--json", &json]).await;
    drive(&tester.url("ws"), Tls::System).await;
    let ended = tester.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let cases = cases(AgentRole::Client, |_| true);
    all_ok(&report, AgentRole::Client, cases);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_server_and_client_pass_over_tls() {
    let scratch = scratch::Scratch::new("conform-tls");
    let Certificate { certificate, key } = Certificate::make(&scratch);
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let chosen = ["--cases", "!9.*,!12.*,!13.*"];

    let server = Command::start(&[&["echo", "--deflate"][..], &tls].concat()).await;
    let json = scratch.write("server.json", "");
    let url = server.url("wss");
    let args = [&["conform", "server", &url, "--json", &json][..], &chosen].concat();
    let ended = Command::run(&args).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let is_chosen = |id: &str| !["9.", "12.", "13."].iter().any(|group| id.starts_with(group));
    all_ok(&report, AgentRole::Server, cases(AgentRole::Server, is_chosen));

    let json = scratch.write("client.json", "");
    let args = ["conform", "client", "--once", "--json", &json];
    let tester = Command::start(&[&args[..], &chosen, &tls].concat()).await;
    drive(&tester.url("wss"), Tls::with_roots(&certificate).unwrap()).await;
    let ended = tester.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    all_ok(&report, AgentRole::Client, cases(AgentRole::Client, is_chosen));
}

// CMD-016
#[tokio::test]
async fn a_server_that_hangs_or_crashes_fails_and_holds_nobody_up() {
    let patience =
        [(serve_silence(None).await, "time is up"), (serve_silence(Some(2)).await, "peer crashed")];
    for (address, word) in patience {
        let url = format!("ws://{address}/");
        let args = ["conform", "server", &url, "--cases", "1.1.1,2.1", "--jobs", "1"];
        let ended = Command::run(&args).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stdout.contains("2 FAILED"), "{}", ended.stdout);
        assert!(ended.stdout.contains(word), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn what_cannot_be_tested_is_told_in_one_line() {
    let unreachable = ["conform", "server", "ws://127.0.0.1:1/"];
    let no_url = ["conform", "server", "127.0.0.1:1"];
    let no_case = ["conform", "server", "ws://127.0.0.1:1/", "--cases", "99.*"];
    let no_file = ["conform", "server", "ws://127.0.0.1:1/", "--json", "/no/such/place"];
    let no_report = ["conform", "merge", "/no/such/report"];
    for (args, word) in [
        (&unreachable[..], "127.0.0.1 cannot be reached"),
        (&no_url, "is no URL of a WebSocket"),
        (&no_case, "no case fits \"99.*\"; see `sockeye conform list`"),
        (&no_file, "cannot write /no/such/place"),
        (&no_report, "/no/such/report"),
    ] {
        let ended = Command::run(args).await;
        assert_eq!(ended.code, Some(3), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[tokio::test]
async fn reports_of_several_runs_become_one() {
    let scratch = scratch::Scratch::new("conform-merge");
    let server = Command::start(&["echo"]).await;
    let (one, two) = (scratch.write("1.json", ""), scratch.write("2.json", ""));
    for (json, agent) in [(&one, "otter"), (&two, "heron")] {
        let url = server.url("ws");
        let args = ["conform", "server", &url, "--cases", "1.*", "--agent", agent, "--json", json];
        assert_eq!(Command::run(&args).await.code, Some(0));
    }
    let (html, index) = (scratch.write("r.html", ""), scratch.write("index.json", ""));
    let args = ["conform", "merge", &one, &two, "--html", &html, "--index-json", &index];
    assert_eq!(Command::run(&args).await.code, Some(0));
    let html = std::fs::read_to_string(&html).unwrap();
    assert!(html.contains("otter") && html.contains("heron"));
    let index = std::fs::read_to_string(&index).unwrap();
    assert!(index.contains("\"otter\"") && index.contains("\"behaviorClose\""), "{index}");
}

/// Counts the cases for peers of a role.
fn cases(role: AgentRole, chosen: impl Fn(&str) -> bool) -> usize {
    let suite = Suite::builtin().unwrap();
    suite.cases().iter().filter(|case| case.is_for(role) && chosen(case.id())).count()
}

/// Longer than a whole run takes on a busy machine by far; it only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(900);
