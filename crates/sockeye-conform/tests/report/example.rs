//! A report at full size: the sections of the whole suite, eight invented agents, and one peer that
//! sends markup.

use std::collections::{BTreeMap, VecDeque};

use sockeye_conform::Verdict;
use sockeye_conform::log::{By, Entry, Log};
use sockeye_conform::report::{Agent, AgentRole, CaseInfo, CaseResult, Report};

/// What the evil peer sends: it would set `window.ran` if any of it became markup.
pub(crate) const EVIL: &str =
    "</script><script>window.ran=1</script><img src=x onerror=\"window.ran=1\"><!--";

/// Returns the report.
pub(crate) fn example() -> Report {
    let cases: Vec<CaseInfo> = SECTIONS.iter().flat_map(section).collect();
    let agents = AGENTS.iter().enumerate().map(|(number, (name, role, faults))| {
        let result = |(place, case): (usize, &CaseInfo)| {
            (case.id.clone(), result(case, chosen(number, place, *faults)))
        };
        let results: BTreeMap<_, _> = cases.iter().enumerate().map(result).collect();
        Agent { name: (*name).to_owned(), role: *role, elapsed_ms: 3400.0, results }
    });
    let mut report =
        Report { tester: "sockeye-conform 0.1.0".to_owned(), agents: agents.collect(), cases };
    plant_evil(&mut report);
    plant_wrong_code(&mut report);
    report
}

/// Makes one case of the second agent the one with markup in each text.
fn plant_evil(report: &mut Report) {
    let result = CaseResult {
        behavior: Verdict::Failed,
        behavior_close: Verdict::WrongCode,
        reason: format!("the echo is not what was sent: {EVIL}"),
        duration_ms: 1041.27,
        close_code: Some(1002),
        saw: vec!["PONG 'pongme 1!'".to_owned(), format!("TEXT '{EVIL}'")],
        wire: long_conversation(),
    };
    report.agents[1].results.insert("5.19".to_owned(), result);
}

/// Makes one case of the third agent an ordinary failure, told as a run tells it.
fn plant_wrong_code(report: &mut Report) {
    let Some(case) = report.cases.iter_mut().find(|case| case.id == "7.3.2") else { return };
    case.about = "A Close frame with a body of one byte is an error.".to_owned();
    case.rule = "RFC 6455, section 5.5.1".to_owned();
    case.sends = vec!["CLOSE x:61".to_owned()];
    case.expects = vec!["the peer closes with 1002".to_owned(), "the connection ends".to_owned()];
    let result = CaseResult {
        behavior: Verdict::Ok,
        behavior_close: Verdict::WrongCode,
        reason: "closed with 1000 in place of 1002".to_owned(),
        duration_ms: 1.62,
        close_code: Some(1000),
        saw: vec!["the peer closes with 1000".to_owned(), "the connection ends".to_owned()],
        wire: short_conversation(),
    };
    report.agents[2].results.insert("7.3.2".to_owned(), result);
}

fn short_conversation() -> Log {
    let first = vec![
        entry(0.31, By::Tester, "CLOSE, 1 byte, FIN, masked", "8881a1b2c3d4c0", "a"),
        entry(0.94, By::Peer, "CLOSE, 2 bytes, FIN, code 1000", "880203e8", ""),
        entry(1.57, By::Peer, "the connection ends", "", ""),
    ];
    Log { first, ..Log::default() }
}

fn long_conversation() -> Log {
    let first = vec![
        entry(
            0.21,
            By::Tester,
            "TEXT, 9 bytes, masked",
            "0189a1b2c3d4c7c0a2b3cfc4ada0f0",
            "fragment1",
        ),
        entry(
            0.24,
            By::Tester,
            "CONT, 9 bytes, masked",
            "0089a1b2c3d4c7c0a2b3cfc4ada0f3",
            "fragment2",
        ),
        entry(
            0.26,
            By::Tester,
            "PING, 9 bytes, FIN, masked",
            "8989a1b2c3d4d1ddada3cfd7e3e580",
            "pongme 1!",
        ),
        entry(0.93, By::Peer, "PONG, 9 bytes, FIN", "8a09706f6e676d65203121", "pongme 1!"),
    ];
    let last = VecDeque::from([
        entry(
            1002.4,
            By::Tester,
            "CONT, 9 bytes, FIN, masked",
            "8089a1b2c3d4c7c0a2b3cfc4ada0f7",
            "fragment5",
        ),
        entry(1003.1, By::Peer, "TEXT, 77 bytes, FIN", &"3c2f736372697074".repeat(16), EVIL),
        entry(1040.8, By::Peer, "CLOSE, 2 bytes, FIN, code 1002", "880203ea", ""),
        entry(1041.0, By::Tester, "CLOSE, 2 bytes, FIN, masked, code 1002", "8882a1b2c3d4a258", ""),
        entry(1041.2, By::Peer, "the connection ends", "", ""),
    ]);
    Log { first, left_out: 12, last: last.into() }
}

fn entry(at_ms: f64, by: By, what: &str, hex: &str, payload: &str) -> Entry {
    let [what, hex, payload] = [what, hex, payload].map(str::to_owned);
    Entry { at_ms, by, what, hex, payload }
}

fn section(section: &(&str, usize, &str, &str)) -> Vec<CaseInfo> {
    let (number, count, title, rule) = *section;
    let case = |place: usize| CaseInfo {
        id: format!("{number}{place}"),
        section: title.to_owned(),
        about: format!("{title}, {place} of {count}."),
        rule: format!("RFC {rule}"),
        sends: vec!["TEXT 'fragment1' more".to_owned(), "PING 'pongme 1!'".to_owned()],
        expects: vec!["PONG 'pongme 1!'".to_owned(), "TEXT 'fragment1fragment2'".to_owned()],
    };
    (1..=count).map(case).collect()
}

/// Chooses a verdict by the numbers of the agent and the case, always the same.
fn chosen(agent: usize, place: usize, faults: usize) -> Verdict {
    let draw = (place * 7919 + agent * 104_729 + place * place * 31) % 997;
    let deflate = (299..=514).contains(&place) && faults > 30;
    match draw {
        _ if deflate => Verdict::Unimplemented,
        _ if draw >= faults => Verdict::Ok,
        _ => [
            Verdict::NonStrict,
            Verdict::WrongCode,
            Verdict::Failed,
            Verdict::Unclean,
            Verdict::Failed,
            Verdict::Informational,
        ][draw % 6],
    }
}

fn result(case: &CaseInfo, verdict: Verdict) -> CaseResult {
    let in_close = matches!(verdict, Verdict::WrongCode | Verdict::Unclean);
    let (behavior, behavior_close) =
        if in_close { (Verdict::Ok, verdict) } else { (verdict, Verdict::Ok) };
    let mut saw = case.expects.clone();
    let mut reason = String::new();
    if verdict.is_failure() {
        saw[1] = "TEXT 'fragment1fragmentZ'".to_owned();
        reason = "the echo is not what was sent".to_owned();
    }
    let mut wire = long_conversation();
    wire.last[1].payload = "fragment1fragmentZ".to_owned();
    let duration_ms = 1.0 + (case.id.len() * 3) as f64;
    CaseResult { behavior, behavior_close, reason, duration_ms, close_code: Some(1000), saw, wire }
}

/// The agents: name, role, and faults in about a thousand cases.
const AGENTS: [(&str, AgentRole, usize); 8] = [
    ("Heron 2.1", AgentRole::Server, 0),
    ("Otter 1.4", AgentRole::Server, 22),
    ("Kingfisher 0.9", AgentRole::Server, 9),
    ("Dipper 3.0.0-rc.2", AgentRole::Server, 48),
    ("Lamprey", AgentRole::Client, 130),
    ("Osprey 11", AgentRole::Client, 4),
    ("Mayfly/0.2 (embedded)", AgentRole::Client, 60),
    ("Grayling 5.5", AgentRole::Client, 14),
];

/// The sections: what their ids begin with, cases, title and rule.
const SECTIONS: [(&str, usize, &str, &str); 60] = [
    ("1.1.", 8, "Echo of single TEXT frames of growing size", "6455, section 5.6"),
    ("1.2.", 8, "Echo of single BINARY frames of growing size", "6455, section 5.6"),
    ("2.", 11, "Ping and pong", "6455, section 5.5"),
    ("3.", 7, "Reserved bits without negotiated extension", "6455, section 5.2"),
    ("4.1.", 5, "Reserved non-control opcodes 3-7", "6455, section 5.2"),
    ("4.2.", 5, "Reserved control opcodes 11-15", "6455, section 5.2"),
    ("5.", 20, "Fragmentation", "6455, section 5.4"),
    ("6.1.", 3, "Empty and zero-length fragments", "6455, section 8.1"),
    ("6.2.", 4, "Valid UTF-8, whole and cut at or inside code points", "6455, section 8.1"),
    ("6.3.", 2, "Invalid UTF-8, whole and cut", "6455, section 8.1"),
    ("6.4.", 4, "Fail-fast on invalid UTF-8", "6455, section 8.1"),
    ("6.5.", 5, "Some valid multi-byte texts", "6455, section 8.1"),
    ("6.6.", 11, "Every prefix of a valid multi-byte text", "6455, section 8.1"),
    ("6.7.", 4, "Lowest code point of each encoded length (1-4)", "6455, section 8.1"),
    ("6.8.", 2, "Lowest value of 5- and 6-byte forms (not UTF-8)", "6455, section 8.1"),
    ("6.9.", 4, "Highest code point of each encoded length", "6455, section 8.1"),
    ("6.10.", 3, "Highest value of 4-, 5-, 6-byte schemes (out of range)", "6455, section 8.1"),
    ("6.11.", 5, "Edge code points around surrogates and U+10FFFF", "6455, section 8.1"),
    ("6.12.", 8, "Stray continuation bytes", "6455, section 8.1"),
    ("6.13.", 5, "Lead bytes each followed by a space", "6455, section 8.1"),
    ("6.14.", 10, "Sequences missing their last continuation byte", "6455, section 8.1"),
    ("6.15.", 1, "Several incomplete sequences in a row", "6455, section 8.1"),
    ("6.16.", 3, "Bytes that never occur (FE, FF)", "6455, section 8.1"),
    ("6.17.", 5, "Overlong ASCII slash", "6455, section 8.1"),
    ("6.18.", 5, "Highest overlong forms", "6455, section 8.1"),
    ("6.19.", 5, "Overlong NUL", "6455, section 8.1"),
    ("6.20.", 7, "Lone UTF-16 surrogates", "6455, section 8.1"),
    ("6.21.", 8, "Paired UTF-16 surrogates", "6455, section 8.1"),
    ("6.22.", 34, "Non-characters (valid)", "6455, section 8.1"),
    ("6.23.", 7, "Specials block incl. U+FFFD (valid)", "6455, section 8.1"),
    ("7.1.", 6, "Frames around a close", "6455, section 7.4"),
    ("7.3.", 6, "Close payload length", "6455, section 7.4"),
    ("7.5.", 1, "Close reason not UTF-8", "6455, section 7.4"),
    ("7.7.", 13, "Allowed close codes", "6455, section 7.4"),
    ("7.9.", 9, "Forbidden close codes", "6455, section 7.4"),
    ("7.13.", 2, "Close codes outside any range", "6455, section 7.4"),
    ("9.1.", 6, "One TEXT message, growing", "6455, section 5.4"),
    ("9.2.", 6, "One BINARY message, growing", "6455, section 5.4"),
    ("9.3.", 9, "4 MiB TEXT message, growing fragment size", "6455, section 5.4"),
    ("9.4.", 9, "4 MiB BINARY message, growing fragment size", "6455, section 5.4"),
    ("9.5.", 6, "1 MiB TEXT frame, growing TCP write size", "6455, section 5.4"),
    ("9.6.", 6, "1 MiB BINARY frame, growing TCP write size", "6455, section 5.4"),
    ("9.7.", 6, "1000 TEXT round trips", "6455, section 5.4"),
    ("9.8.", 6, "1000 BINARY round trips", "6455, section 5.4"),
    ("10.1.", 1, "Fuzzer-side auto-fragmentation", "6455, section 5.4"),
    ("12.1.", 18, "permessage-deflate, data1.json", "7692, section 7"),
    ("12.2.", 18, "permessage-deflate, lena512.bmp", "7692, section 7"),
    ("12.3.", 18, "permessage-deflate, pg2229.txt", "7692, section 7"),
    ("12.4.", 18, "permessage-deflate, data1.html", "7692, section 7"),
    ("12.5.", 18, "permessage-deflate, 10.1.1.105.5439.pdf", "7692, section 7"),
    ("13.1.", 18, "permessage-deflate parameters, offer set 1", "7692, section 7"),
    ("13.2.", 18, "permessage-deflate parameters, offer set 2", "7692, section 7"),
    ("13.3.", 18, "permessage-deflate parameters, offer set 3", "7692, section 7"),
    ("13.4.", 18, "permessage-deflate parameters, offer set 4", "7692, section 7"),
    ("13.5.", 18, "permessage-deflate parameters, offer set 5", "7692, section 7"),
    ("13.6.", 18, "permessage-deflate parameters, offer set 6", "7692, section 7"),
    ("13.7.", 18, "permessage-deflate parameters, offer set 7", "7692, section 7"),
    ("FRM-0", 48, "Frames", "6455, section 5.2"),
    ("HSS-0", 57, "Opening handshake, server", "6455, section 4.2"),
    ("HSC-0", 28, "Opening handshake, client", "6455, section 4.1"),
];
