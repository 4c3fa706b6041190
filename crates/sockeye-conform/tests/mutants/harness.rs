//! Plays cases against a peer of this test.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sockeye_conform::report::{AgentRole, CaseResult, Report};
use sockeye_conform::{Act, Case, ClientTest, Ended, Player, ServerTest};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::fault::Fault;
use crate::peer::{Client, Memory, Role, Server};

/// Held by a test that plays many cases: right peers must not be late because of others.
pub(crate) static QUIET: Mutex<()> = Mutex::const_new(());

/// Tells whether a case is for peers in a role.
pub(crate) fn is_for(case: &Case, role: Role) -> bool {
    case.is_for(match role {
        Role::Server => AgentRole::Server,
        Role::Client => AgentRole::Client,
    })
}

/// Plays cases against a peer; returns their results by id.
pub(crate) async fn play(
    role: Role,
    fault: Option<Fault>,
    cases: &[Arc<Case>],
    jobs: usize,
) -> BTreeMap<String, CaseResult> {
    let report = match role {
        Role::Server => play_server(fault, cases, jobs).await,
        Role::Client => play_client(fault, cases, jobs).await,
    };
    report.agents.into_iter().next().map(|agent| agent.results).unwrap_or_default()
}

async fn play_server(fault: Option<Fault>, cases: &[Arc<Case>], jobs: usize) -> Report {
    let server = Server::start(fault).await.unwrap();
    ServerTest::new(server.url()).cases(cases).jobs(jobs).run().await.unwrap()
}

async fn play_client(fault: Option<Fault>, cases: &[Arc<Case>], jobs: usize) -> Report {
    let (sender, mut results) = mpsc::unbounded_channel();
    let test = ClientTest::bind("127.0.0.1:0").await.unwrap().cases(cases).progress(sender);
    let address = test.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let testing = tokio::spawn(test.run(async {
        let _ = stopped.await;
    }));
    let count = cases.iter().filter(|case| is_for(case, Role::Client)).count();
    let client = tokio::spawn(async move {
        Client { address, fault }.play(count, jobs).await;
        pending::<()>().await;
    });
    let expected = if fault == Some(Fault::KeyAlwaysTheSame) { 2 * count } else { count };
    let all = async {
        for _ in 0..expected {
            results.recv().await;
        }
    };
    // A client that cannot even ask for its case leaves it without a result.
    let _ = timeout(PATIENCE, all).await;
    client.abort();
    drop(stop);
    testing.await.unwrap()
}

/// Plays cases without TCP: what the tester writes at once is what the peer reads at once.
pub(crate) fn play_in_memory(
    role: Role,
    fault: Option<Fault>,
    cases: &[Arc<Case>],
) -> BTreeMap<String, CaseResult> {
    let result = |case: &Arc<Case>| {
        let mut peer = Memory::new(role, fault);
        let player = match role {
            Role::Server => Player::to_server(case.clone(), "localhost", "/", [7; 16]),
            Role::Client => Player::to_client(case.clone(), &peer.take_output()).unwrap(),
        };
        (case.id().to_owned(), play_one(player, peer))
    };
    cases.iter().filter(|case| is_for(case, role)).map(result).collect()
}

/// Plays a case in a time that passes only while the tester waits for more than it has.
fn play_one(mut player: Player, mut peer: Memory) -> CaseResult {
    let mut now = Duration::ZERO;
    loop {
        match player.next(now) {
            Act::Write(bytes) => peer.receive(&bytes),
            Act::Read { until } | Act::Stall { until } => {
                now = until;
                continue;
            }
            Act::HalfClose => peer.receive_eof(),
            Act::Drop => return player.result(now),
        }
        let output = peer.take_output();
        if !output.is_empty() {
            player.receive(&output, now);
        }
        if peer.has_ended() {
            player.ended(Ended::Eof, now);
        }
    }
}

/// How long the cases of one client may take together.
const PATIENCE: Duration = Duration::from_secs(1800);
