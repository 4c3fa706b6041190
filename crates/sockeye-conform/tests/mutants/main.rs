//! Tests the tester: peers that are known to be right must pass every case, peers that break one
//! rule must be caught by the cases that are about it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails; the helpers are tests too"
)]

mod fault;
mod harness;
mod peer;
mod table;
mod tungstenite;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sockeye_conform::report::CaseResult;
use sockeye_conform::{Case, Suite, Verdict};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use harness::{QUIET, is_for, play, play_in_memory};
use peer::Role;
use table::{Carrier, Row, table};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_server_passes_every_case() {
    passes(Role::Server, |case| !is_long(case)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_client_passes_every_case() {
    passes(Role::Client, |case| !is_long(case)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "compresses gigabytes: run it with --release"]
async fn the_right_peers_pass_the_long_cases() {
    passes(Role::Server, is_long).await;
    passes(Role::Client, is_long).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_caught_by_the_cases_that_are_about_it() {
    let _quiet = QUIET.lock().await;
    let (places, mut running) = (Arc::new(Semaphore::new(PLACES)), JoinSet::new());
    for row in table() {
        for role in row.roles.iter().copied() {
            let places = places.clone();
            running.spawn(async move {
                let _place = places.acquire().await;
                missed(row, role).await
            });
        }
    }
    let mut problems: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    problems.sort_unstable();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn right_peers_pass_in_memory_too() {
    let suite = Suite::builtin().unwrap();
    for role in [Role::Server, Role::Client] {
        let rows = table().filter(|row| row.by == Carrier::Memory && row.roles.contains(&role));
        let cases = rows.flat_map(|row| row.cases(&suite)).filter(|case| !is_long(case));
        let cases: BTreeMap<_, _> = cases.map(|case| (case.id().to_owned(), case)).collect();
        let cases: Vec<_> = cases.into_values().collect();
        let blamed = blamed(role, &cases, &play_in_memory(role, None, &cases));
        assert!(blamed.is_empty(), "{}", blamed.join("\n"));
    }
}

#[test]
fn every_case_catches_a_fault() {
    let suite = Suite::builtin().unwrap();
    let (mut uncovered, mut unsought) = (Vec::new(), Vec::new());
    for role in [Role::Server, Role::Client] {
        let ours = suite.cases().iter().filter(|case| is_for(case, role));
        let mut ids: BTreeSet<_> = ours.map(|case| case.id()).collect();
        for row in table().filter(|row| row.roles.contains(&role)) {
            let chosen = row.cases(&suite);
            if !chosen.iter().any(|case| is_for(case, role)) {
                unsought.push((role, row.fault));
            }
            ids.retain(|id| chosen.iter().all(|case| case.id() != *id));
        }
        uncovered.extend(ids.into_iter().map(|id| (role, id)));
    }
    assert!(uncovered.is_empty(), "no fault for {uncovered:?}");
    assert!(unsought.is_empty(), "no case for {unsought:?}");
}

/// Plays the cases that are chosen against a right peer, which must pass them all.
async fn passes(role: Role, is_chosen: fn(&Case) -> bool) {
    let _quiet = QUIET.lock().await;
    let suite = Suite::builtin().unwrap();
    let cases = suite.cases().iter().filter(|case| is_chosen(case)).cloned();
    let cases: Vec<_> = cases.collect();
    let results = play(role, None, &cases, JOBS).await;
    let blamed = blamed(role, &cases, &results);
    assert!(blamed.is_empty(), "{}", blamed.join("\n"));
}

/// Returns a line for each case that a peer in a role did not pass.
fn blamed(role: Role, cases: &[Arc<Case>], results: &BTreeMap<String, CaseResult>) -> Vec<String> {
    let blamed = cases.iter().filter(|case| is_for(case, role)).filter_map(|case| {
        let result = results.get(case.id());
        let verdict = result.map(CaseResult::verdict);
        let right = matches!(verdict, Some(Verdict::Ok | Verdict::Informational));
        (!right).then(|| tell(role, case.id(), result))
    });
    blamed.collect()
}

/// Plays the cases of a row; returns one line for each that did not catch the fault.
async fn missed(row: Row, role: Role) -> Vec<String> {
    let suite = Suite::builtin().unwrap();
    let cases = row.cases(&suite);
    let ours: Vec<_> = cases.into_iter().filter(|case| is_for(case, role)).collect();
    let results = match row.by {
        Carrier::Memory => play_in_memory(role, Some(row.fault), &ours),
        Carrier::Tcp => play(role, Some(row.fault), &ours, JOBS).await,
    };
    let verdict = |id| results.get(id).map_or(Verdict::Ok, CaseResult::verdict);
    let verdicts: Vec<_> = ours.iter().map(|case| (case.id(), verdict(case.id()))).collect();
    let missed = row.missed(&suite, &verdicts).into_iter();
    missed.map(|id| format!("{:?}: {}", row.fault, tell(role, &id, results.get(&id)))).collect()
}

fn tell(role: Role, id: &str, result: Option<&CaseResult>) -> String {
    let told = result.map_or_else(
        || "no result".to_owned(),
        |result| format!("{} {} {:?}", result.verdict(), result.reason, result.saw),
    );
    format!("{role:?}, case {id}: {told}")
}

/// Tells whether a case sends 1000 messages of 4 KiB and more through two compressors.
fn is_long(case: &Case) -> bool {
    let mut numbers = case.id().split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    matches!(numbers.next(), Some(12 | 13)) && numbers.next_back().is_some_and(|last| last > 4)
}

/// Cases that one peer plays at a time.
const JOBS: usize = 32;

/// Peers that are tested at a time: most of them do nothing but wait.
const PLACES: usize = 48;
