//! What a case came to. Stricter than the suite: its `NON-STRICT` and its mere remarks count as
//! failures, and it looks at what the core reports of the end as well.

use sockeye_proto::{Delivery, Error, Side};

use super::cases::{Case, Script, Starter};
use super::player::{Dropped, Plays, Record, Setting};

/// The suite's word for how a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    /// The case has no right outcome; the connection ended in good order.
    Informational,
    NonStrict,
    /// Wrong, and how.
    Failed(String),
}

/// Judges how a case went.
pub(crate) fn judge(case: &Case, setting: Setting, record: &Record) -> Verdict {
    if let Some(violation) = &record.fuzzer.violation {
        return Verdict::Failed(format!("not WebSocket: {violation}"));
    }
    if let Some(failure) = &record.failure {
        return Verdict::Failed(failure.clone());
    }
    if let Err(problem) = judge_close(case, setting, record).and_then(|()| judge_report(record)) {
        return Verdict::Failed(problem);
    }
    let Script::Actions { expect, non_strict, .. } = &case.script else {
        return match record.fuzzer.seen.as_slice() {
            [] => Verdict::Ok,
            more => Verdict::Failed(format!("after the last echo: {more:?}")),
        };
    };
    let seen = Some(&record.fuzzer.seen);
    match expect {
        None => Verdict::Informational,
        Some(_) if expect.as_ref() == seen => Verdict::Ok,
        Some(_) if non_strict.as_ref() == seen => Verdict::NonStrict,
        Some(expect) => Verdict::Failed(format!("saw {seen:?}, expected {expect:?}")),
    }
}

/// Judges the closing handshake and the end of the transport.
fn judge_close(case: &Case, setting: Setting, record: &Record) -> Result<(), String> {
    let fuzzer = &record.fuzzer;
    if fuzzer.starter != Some(case.starter) {
        return Err(format!("{:?} closed first, not {:?}", fuzzer.starter, case.starter));
    }
    let Some(code) = fuzzer.received else {
        return Err("no Close frame came".into());
    };
    let is_right = match code {
        Some(code) => case.codes.contains(&code),
        // The suite takes an empty Close frame in every case; here it answers an empty one only.
        None => case.starter == Starter::Fuzzer && fuzzer.sent == Some(None),
    };
    if !is_right {
        return Err(format!("close code {code:?}, expected one of {:?}", case.codes));
    }
    if case.clean && fuzzer.sent.is_none() {
        return Err("the closing handshake is not complete".into());
    }
    let expected = match setting.plays {
        // A client waits for the server, except after a failure.
        Plays::Client if record.error.is_none() => Dropped::FuzzerAfterClose,
        Plays::Client | Plays::Server => Dropped::Core,
    };
    if record.dropped != expected {
        return Err(format!("the transport was dropped by {:?}", record.dropped));
    }
    let sends_whole = setting.echoes == Delivery::Whole;
    if sends_whole && fuzzer.is_inside_message() && record.error.is_none() {
        return Err("the core stopped inside a message".into());
    }
    Ok(())
}

/// Judges what the core reports: a clean end, or the error whose code it sent.
fn judge_report(record: &Record) -> Result<(), String> {
    let Some(info) = &record.close_info else {
        return Err("the core does not say how it ended".into());
    };
    if !record.is_over {
        return Err("the core holds on to the transport".into());
    }
    let sent = record.fuzzer.received.flatten();
    let fits = match &record.error {
        None => info.clean && info.by == Side::Remote,
        Some(error @ Error::Peer(_)) => {
            !info.clean
                && info.by == Side::Local
                && error.close_code().map(|code| code.get()) == sent
        }
        Some(_) => false,
    };
    if fits { Ok(()) } else { Err(format!("the core reports {info:?} and {:?}", record.error)) }
}
