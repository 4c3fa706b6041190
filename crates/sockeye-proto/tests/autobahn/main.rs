//! The 517 cases of the Autobahn test suite 25.10.1 and those it lacks against the core, in both
//! roles, without a socket and in simulated time.
//!
//! The cases, the tester's end of the connection and the verdicts are those of `sockeye-conform`,
//! which shares no code with the core. Every case must come out as OK, those three that the suite
//! itself judges by remark only as informational; there is no list of exceptions. Stricter than the
//! suite, the test looks at what the core reports of the end as well. `endpoint.rs` is the core with
//! an application that echoes, `play.rs` brings the two together.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed unwrap here is a failed test, and its table is worth reading"
)]

mod endpoint;
mod play;

use sockeye_conform::report::AgentRole;
use sockeye_conform::{Suite, Verdict};
use sockeye_proto::Delivery;

/// The role that the core plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plays {
    Client,
    Server,
}

/// How a case is played.
#[derive(Clone, Copy, Debug)]
struct Setting {
    plays: Plays,
    /// Whether the application takes and sends messages whole or piece by piece.
    echoes: Delivery,
    /// Bytes that one read takes at most.
    read: usize,
}

/// Plays all cases of some sections. Every one must be OK, but for as many as are said to be
/// informational.
fn all_ok(sections: &[&str], setting: Setting, informational: usize) {
    let suite = Suite::builtin().unwrap();
    let mut remarks = 0;
    let mut failures = Vec::new();
    for section in sections {
        let cases = suite.select(&format!("{section}*")).unwrap();
        let role = match setting.plays {
            Plays::Client => AgentRole::Client,
            Plays::Server => AgentRole::Server,
        };
        let cases: Vec<_> = cases.into_iter().filter(|case| case.is_for(role)).collect();
        let (mut ok, mut other) = (0, 0);
        for case in &cases {
            let (result, report) = play::play(case, setting);
            match (result.verdict(), report) {
                (Verdict::Ok, Ok(())) => ok += 1,
                (Verdict::Informational, Ok(())) => other += 1,
                (verdict, report) => {
                    let report = report.err().unwrap_or_default();
                    failures.push(format!("{}: {verdict}, {} {report}", case.id(), result.reason));
                }
            }
        }
        println!("{section}: {} cases, {ok} OK, {other} informational; {setting:?}", cases.len());
        remarks += other;
    }
    assert!(failures.is_empty(), "{setting:?}:\n{}", failures.join("\n"));
    assert_eq!(remarks, informational);
}

/// Makes one test of some sections for each role.
macro_rules! sections {
    ($($name:ident: $sections:expr, $how:expr, $informational:expr;)*) => {
        mod core_as_server {
            use super::*;

            $(#[test]
            fn $name() {
                all_ok(&$sections, Setting { plays: Plays::Server, ..$how }, $informational);
            })*
        }

        mod core_as_client {
            use super::*;

            $(#[test]
            fn $name() {
                all_ok(&$sections, Setting { plays: Plays::Client, ..$how }, $informational);
            })*
        }
    };
}

sections! {
    framing_and_fragments_are_ok: ["1.", "2.", "3.", "4.", "5.", "10."], USUAL, 0;
    framing_and_fragments_byte_by_byte_are_ok: ["1.", "2.", "3.", "4.", "5.", "10."], BYTE_BY_BYTE, 0;
    framing_and_fragments_in_pieces_are_ok: ["1.", "2.", "3.", "4.", "5.", "10."], PIECES, 0;
    utf8_is_ok: ["6."], USUAL, 0;
    utf8_byte_by_byte_is_ok: ["6."], BYTE_BY_BYTE, 0;
    utf8_in_pieces_is_ok: ["6."], PIECES, 0;
    closing_is_ok: ["7."], USUAL, 3;
    closing_byte_by_byte_is_ok: ["7."], BYTE_BY_BYTE, 3;
    closing_in_pieces_is_ok: ["7."], PIECES, 3;
    large_messages_are_ok: ["9.1.", "9.2.", "9.3.", "9.4.", "9.5.", "9.6."], USUAL, 0;
    large_messages_in_pieces_are_ok: ["9.1.", "9.2.", "9.3.", "9.4.", "9.5.", "9.6."], PIECES, 0;
    round_trips_are_ok: ["9.7.", "9.8."], USUAL, 0;
    deflate_12_1_is_ok: ["12.1."], USUAL, 0;
    deflate_12_2_is_ok: ["12.2."], USUAL, 0;
    deflate_12_3_is_ok: ["12.3."], USUAL, 0;
    deflate_12_4_is_ok: ["12.4."], USUAL, 0;
    deflate_12_5_is_ok: ["12.5."], USUAL, 0;
    deflate_13_1_is_ok: ["13.1."], USUAL, 0;
    deflate_13_1_in_pieces_is_ok: ["13.1."], PIECES, 0;
    deflate_13_2_is_ok: ["13.2."], USUAL, 0;
    deflate_13_3_is_ok: ["13.3."], USUAL, 0;
    deflate_13_4_is_ok: ["13.4."], USUAL, 0;
    deflate_13_5_is_ok: ["13.5."], USUAL, 0;
    deflate_13_6_is_ok: ["13.6."], USUAL, 0;
    deflate_13_7_is_ok: ["13.7."], USUAL, 0;
    own_cases_are_ok: ["FRM-", "UTF-", "CLS-", "DFL-", "LIM-"], USUAL, 0;
    own_cases_byte_by_byte_are_ok: ["FRM-", "UTF-", "CLS-"], BYTE_BY_BYTE, 0;
    own_cases_in_pieces_are_ok: ["UTF-", "CLS-"], PIECES, 0;
}

// UTF-005
#[test]
fn text_cut_at_every_byte_is_echoed() {
    all_ok(&["6.2."], USUAL, 0);
}

// UTF-006
#[test]
fn bad_text_is_refused_before_its_message_ends() {
    all_ok(&["6.4."], USUAL, 0);
}

/// Whole messages and a usual read buffer.
const USUAL: Setting = Setting { plays: Plays::Server, echoes: Delivery::Whole, read: 64 << 10 };

const BYTE_BY_BYTE: Setting = Setting { read: 1, ..USUAL };

const PIECES: Setting = Setting { echoes: Delivery::Pieces, ..USUAL };
