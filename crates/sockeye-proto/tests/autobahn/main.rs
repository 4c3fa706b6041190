//! The 517 cases of the Autobahn test suite 25.10.1 against the core, in both roles, without a
//! socket and in simulated time.
//!
//! Every case must come out as OK, those three that the suite itself judges by remark only as
//! informational; there is no list of exceptions. `cases.rs` reads the cases, `fuzzer.rs` and
//! `pmce.rs` are the peer, `opening.rs` opens the connection, `player.rs` plays, `verdict.rs`
//! judges. The files that chapters 12 and 13 cut their messages from are made in `data.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap here is a failed test")]

mod cases;
mod data;
mod fuzzer;
mod opening;
mod player;
mod pmce;
mod verdict;

use std::collections::BTreeMap;

use player::Plays;
use verdict::Verdict;

/// Plays all cases of a section and returns how many of them came to each verdict.
fn play(section: &str, plays: Plays, read: usize) -> BTreeMap<&'static str, usize> {
    let cases = cases::of(section);
    let mut counts = BTreeMap::new();
    let mut failures = Vec::new();
    for case in &cases {
        let record = player::play(case, plays, read);
        let name = match verdict::judge(case, plays, &record) {
            Verdict::Ok => "OK",
            Verdict::Informational => "INFORMATIONAL",
            Verdict::NonStrict => {
                failures.push(format!("{}: NON-STRICT", case.id));
                "NON-STRICT"
            }
            Verdict::Failed(problem) => {
                failures.push(format!("{}: {problem}", case.id));
                "FAILED"
            }
        };
        *counts.entry(name).or_default() += 1;
    }
    println!("{section:>5} core as {plays:?}, reads of {read}: {counts:?}");
    assert!(failures.is_empty(), "core as {plays:?}:\n{}", failures.join("\n"));
    counts
}

/// Plays sections and asserts that every case of them is OK but for `informational`.
fn all_ok(sections: &[&str], plays: Plays, read: usize, informational: usize) {
    let mut seen = 0;
    for section in sections {
        let counts = play(section, plays, read);
        let expected = cases::of(section).len();
        let remarks = counts.get("INFORMATIONAL").copied().unwrap_or(0);
        assert!(expected > 0, "no cases in {section}");
        assert_eq!(counts.get("OK").copied().unwrap_or(0) + remarks, expected, "{section}");
        seen += remarks;
    }
    assert_eq!(seen, informational);
}

#[test]
fn the_cases_are_517_and_each_section_has_its_own() {
    let all = cases::all();
    assert_eq!(all.len(), 517);
    for (section, count) in cases::counts() {
        assert_eq!(cases::of(&section).len(), count, "{section}");
    }
}

#[test]
fn only_three_cases_are_informational() {
    let remarks = cases::all()
        .into_iter()
        .filter(|case| matches!(case.script, cases::Script::Actions { expect: None, .. }));
    let ids: Vec<_> = remarks.map(|case| case.id).collect();
    assert_eq!(ids, ["7.1.6", "7.13.1", "7.13.2"]);
}

/// Makes one test of some sections for each role.
macro_rules! sections {
    ($($name:ident: $sections:expr, $read:expr, $informational:expr;)*) => {
        mod server {
            $(#[test]
            fn $name() {
                super::all_ok(&$sections, super::Plays::Server, $read, $informational);
            })*
        }

        mod client {
            $(#[test]
            fn $name() {
                super::all_ok(&$sections, super::Plays::Client, $read, $informational);
            })*
        }
    };
}

/// A usual read buffer.
const READ: usize = 64 << 10;

sections! {
    framing_pings_reserved_bits_and_fragments: ["1", "2", "3", "4", "5"], super::READ, 0;
    utf8: ["6"], super::READ, 0;
    closing: ["7"], super::READ, 3;
    auto_fragmentation: ["10"], super::READ, 0;
    framing_to_fragments_byte_by_byte: ["1", "2", "3", "4", "5"], 1, 0;
    utf8_byte_by_byte: ["6"], 1, 0;
    closing_byte_by_byte: ["7"], 1, 3;
    large_messages: ["9.1", "9.2"], super::READ, 0;
    large_messages_in_fragments: ["9.3", "9.4"], super::READ, 0;
    large_messages_in_small_writes: ["9.5", "9.6"], super::READ, 0;
    round_trips: ["9.7", "9.8"], super::READ, 0;
    deflate_12_1: ["12.1"], super::READ, 0;
    deflate_12_2: ["12.2"], super::READ, 0;
    deflate_12_3: ["12.3"], super::READ, 0;
    deflate_12_4: ["12.4"], super::READ, 0;
    deflate_12_5: ["12.5"], super::READ, 0;
    deflate_13_1: ["13.1"], super::READ, 0;
    deflate_13_2: ["13.2"], super::READ, 0;
    deflate_13_3: ["13.3"], super::READ, 0;
    deflate_13_4: ["13.4"], super::READ, 0;
    deflate_13_5: ["13.5"], super::READ, 0;
    deflate_13_6: ["13.6"], super::READ, 0;
    deflate_13_7: ["13.7"], super::READ, 0;
}
