//! Judges how a case went, from what the tester saw.

use std::time::Duration;

use crate::case::{Case, End, Ending, Script, Seen, Starter};
use crate::log::excerpt;
use crate::opening::Strict;
use crate::player::{Dropped, Ended, Record};
use crate::report::CaseResult;
use crate::verdict::Verdict;

/// A verdict and, unless it is OK, its reason.
type Judgement = (Verdict, String);

/// Returns what a case came to.
pub(crate) fn judge(case: &Case, record: &Record, echoed: usize, now: Duration) -> CaseResult {
    let fuzzer = &record.fuzzer;
    let (behavior, reason) = judge_behavior(case, record);
    // What ends a case before its time says nothing of how the peer closes.
    let ends_early = record.refused || record.lacks_compression;
    let is_broken = record.failure.is_some() || fuzzer.violation.is_some();
    let (behavior_close, close_reason) = match ends_early || is_broken {
        true => (Verdict::Ok, String::new()),
        false => judge_close(case, record),
    };
    let reasons = [reason, close_reason].into_iter().filter(|reason| !reason.is_empty());
    CaseResult {
        behavior,
        behavior_close,
        reason: reasons.collect::<Vec<_>>().join("; "),
        duration_ms: (now.as_secs_f64() * 1e6).round() / 1e3,
        close_code: fuzzer.received.flatten(),
        saw: tell_all(case, record, echoed),
        wire: fuzzer.log(),
    }
}

/// Tells whether what was seen is what is expected, wildcards included.
pub(crate) fn fits(expected: &[Seen], seen: &[Seen]) -> bool {
    match (expected.split_first(), seen.split_first()) {
        (None, None) => true,
        (Some((Seen::Anything, _)), _) => true,
        (Some((Seen::Pongs, rest)), _) => {
            let pongs = seen.iter().take_while(|seen| matches!(seen, Seen::Pong(_))).count();
            (0..=pongs).any(|pongs| fits(rest, seen.get(pongs..).unwrap_or_default()))
        }
        (Some((one, expected)), Some((other, seen))) => one == other && fits(expected, seen),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Tells whether a case has seen all that it waits for, be it what is expected or what is tolerable
/// and no more than a list.
pub(crate) fn is_complete(case: &Case, seen: &[Seen]) -> bool {
    let listed = |lenient: &&Vec<Seen>| !lenient.contains(&Seen::Anything);
    let lenient = case.lenient.as_ref().filter(listed);
    [case.expect.as_ref(), lenient].into_iter().flatten().any(|expected| fits(expected, seen))
}

/// Tells a reader what was seen.
pub(crate) fn tell(seen: &Seen) -> String {
    match seen {
        Seen::Text(bytes) => format!("TEXT {}", excerpt(bytes)),
        Seen::Binary(bytes) => format!("BINARY {}", excerpt(bytes)),
        Seen::Pong(bytes) => format!("PONG {}", excerpt(bytes)),
        Seen::Open(note) => format!("open {note}"),
        Seen::Pongs => "PONG *".into(),
        Seen::Anything => "any".into(),
    }
}

fn judge_behavior(case: &Case, record: &Record) -> Judgement {
    let fuzzer = &record.fuzzer;
    if let Some(problem) = record.failure.as_ref().or(fuzzer.violation.as_ref()) {
        return (Verdict::Failed, problem.clone());
    }
    if record.lacks_compression {
        return (Verdict::Unimplemented, "permessage-deflate was not agreed".into());
    }
    let lax = (Verdict::NonStrict, "another answer is right, this one is tolerable".to_owned());
    let strict = record.opening != Some(Strict::No);
    if record.refused {
        return if strict { right() } else { lax };
    }
    let (verdict, reason) = match (&case.script, &case.expect) {
        (Script::Echoes(_), _) => match fuzzer.seen.as_slice() {
            [] => right(),
            [more, ..] => (Verdict::Failed, format!("after the last echo: {}", tell(more))),
        },
        (Script::Actions { .. }, None) => (Verdict::Informational, String::new()),
        (Script::Actions { .. }, Some(expect)) if fits(expect, &fuzzer.seen) => right(),
        (Script::Actions { .. }, Some(expect)) => {
            let lenient = case.lenient.as_ref().is_some_and(|lenient| fits(lenient, &fuzzer.seen));
            let reason = difference(expect, &fuzzer.seen);
            (if lenient { Verdict::NonStrict } else { Verdict::Failed }, reason)
        }
    };
    if verdict == Verdict::Ok && !strict { lax } else { (verdict, reason) }
}

/// Names the first place where what was seen is not what was expected.
fn difference(expected: &[Seen], seen: &[Seen]) -> String {
    let same = expected.iter().zip(seen).take_while(|(one, other)| one == other).count();
    match (expected.get(same), seen.get(same)) {
        (Some(expected), Some(seen)) => format!("{} instead of {}", tell(seen), tell(expected)),
        (Some(expected), None) => format!("{} did not come", tell(expected)),
        (None, Some(seen)) => format!("{} came and should not", tell(seen)),
        (None, None) => String::new(),
    }
}

/// Judges the closing handshake and the end of the transport.
fn judge_close(case: &Case, record: &Record) -> Judgement {
    let (end, fuzzer) = (&case.end, &record.fuzzer);
    let anyone = end.right.contains(&Ending::Any) || end.lenient.contains(&Ending::Any);
    let ending = match (fuzzer.received, record.dropped) {
        (Some(Some(code)), _) => Ending::Code(code),
        (Some(None), _) => Ending::NoCode,
        (None, Some(Dropped::Peer(_))) => Ending::Drop,
        (None, _) if anyone => Ending::Any,
        (None, _) => return (Verdict::Failed, "the peer did not end the connection".into()),
    };
    let is_in = |list: &[Ending]| {
        let ends = ending != Ending::Any && list.contains(&Ending::Ends);
        ends || list.contains(&ending) || list.contains(&Ending::Any)
    };
    let is_right =
        is_in(&end.right) || case.autobahn && matches!(ending, Ending::NoCode | Ending::Drop);
    let wrong_starter = match fuzzer.starter {
        Some(starter) => starter != end.starter,
        None => end.starter == Starter::Tester,
    };
    // A peer may go first where its way to end is one that the case tolerates.
    let is_tolerated = fuzzer.starter != Some(Starter::Tester) && is_in(&end.lenient);
    if wrong_starter && !anyone && !is_tolerated {
        let who = match (fuzzer.starter, ending) {
            (Some(Starter::Tester), _) => "the peer left it to the tester to close".to_owned(),
            (_, ending) => format!("the peer ended the connection first, by {}", name(ending)),
        };
        return (Verdict::Failed, who);
    }
    if end.clean && fuzzer.received.is_none() {
        return (Verdict::Unclean, "the closing handshake is not complete".into());
    }
    if end.clean && record.is_client && record.dropped == Some(Dropped::TesterGaveUp) {
        return (Verdict::Unclean, "the server did not end TCP after both Close frames".into());
    }
    if is_right {
        return right();
    }
    let reason = match ending {
        Ending::Any => "the peer did not end the connection".into(),
        ending => format!("ended by {}, not by {}", name(ending), names(&end.right)),
    };
    match ending {
        _ if is_in(&end.lenient) => (Verdict::NonStrict, reason),
        Ending::Code(_) | Ending::NoCode => (Verdict::WrongCode, reason),
        Ending::Drop | Ending::Ends | Ending::Any => (Verdict::Unclean, reason),
    }
}

fn right() -> Judgement {
    (Verdict::Ok, String::new())
}

fn name(ending: Ending) -> String {
    match ending {
        Ending::Code(code) => format!("the close code {code}"),
        Ending::NoCode => "a Close frame without a code".into(),
        Ending::Drop => "dropping TCP".into(),
        Ending::Ends => "any end".into(),
        Ending::Any => "anything".into(),
    }
}

fn names(endings: &[Ending]) -> String {
    endings.iter().map(|ending| name(*ending)).collect::<Vec<_>>().join(" or ")
}

/// Lists for a reader what was seen and how it ended.
fn tell_all(case: &Case, record: &Record, echoed: usize) -> Vec<String> {
    let fuzzer = &record.fuzzer;
    let mut lines = Vec::new();
    if matches!(case.script, Script::Echoes(_)) {
        lines.push(format!("{echoed} echoes"));
    }
    lines.extend(fuzzer.seen.iter().take(MOST).map(tell));
    if fuzzer.seen.len() > MOST {
        lines.push(format!("and {} more", fuzzer.seen.len() - MOST));
    }
    lines.push(tell_end(record));
    let dropped = match record.dropped {
        Some(Dropped::Peer(Ended::Eof)) => "then the peer ends TCP",
        Some(Dropped::Peer(Ended::Reset)) => "then the peer resets TCP",
        Some(Dropped::TesterAfterClose) => "then the tester ends TCP in its turn",
        Some(Dropped::TesterGaveUp) => "then the tester gives up",
        None => return lines,
    };
    lines.push(dropped.into());
    lines
}

/// Tells how the connection was closed, in the words of [`tell_expected_end`].
fn tell_end(record: &Record) -> String {
    let fuzzer = &record.fuzzer;
    match (fuzzer.starter, fuzzer.received) {
        (Some(Starter::Peer), Some(Some(code))) => format!("the peer closes with {code}"),
        (Some(Starter::Peer), _) => "the peer closes without a code".into(),
        (Some(Starter::Tester), Some(Some(code))) => {
            format!("the tester closes, the peer answers with {code}")
        }
        (Some(Starter::Tester), Some(None)) => {
            "the tester closes, the peer answers without a code".into()
        }
        (Some(Starter::Tester), None) => "the tester closes, the peer does not answer".into(),
        (None, _) if record.refused => "the handshake is refused".into(),
        (None, _) => match record.dropped {
            Some(Dropped::Peer(_)) => "the peer drops TCP".into(),
            _ => "nobody closes".into(),
        },
    }
}

/// Tells how a connection must end.
pub(crate) fn tell_expected_end(end: &End) -> Vec<String> {
    let tell = |ending: &Ending| match (end.starter, ending) {
        (_, Ending::Any) => "any end, or none".to_owned(),
        (_, Ending::Ends) => "an end, by Close or by dropping TCP".into(),
        (_, Ending::Drop) => "the peer drops TCP".into(),
        (Starter::Peer, Ending::Code(code)) => format!("the peer closes with {code}"),
        (Starter::Peer, Ending::NoCode) => "the peer closes without a code".into(),
        (Starter::Tester, Ending::Code(code)) => {
            format!("the tester closes, the peer answers with {code}")
        }
        (Starter::Tester, Ending::NoCode) => {
            "the tester closes, the peer answers without a code".into()
        }
    };
    let join = |list: &[Ending]| list.iter().map(tell).collect::<Vec<_>>().join(", or ");
    let mut lines = vec![join(&end.right)];
    if !end.lenient.is_empty() {
        lines.push(format!("or, not strict: {}", join(&end.lenient)));
    }
    lines
}

/// As many of the things seen are listed.
pub(crate) const MOST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Suite;
    use crate::fuzzer::Fuzzer;

    fn pong(text: &str) -> Seen {
        Seen::Pong(text.into())
    }

    #[test]
    fn pongs_and_anything_stand_for_many() {
        let any = [Seen::Pongs, pong("z")];
        assert!(fits(&any, &[pong("z")]));
        assert!(fits(&any, &[pong("a"), pong("b"), pong("z")]));
        assert!(!fits(&any, &[pong("a")]));
        assert!(!fits(&any, &[Seen::Text(vec![]), pong("z")]));
        assert!(fits(&[pong("a"), Seen::Anything], &[pong("a"), pong("b")]));
        assert!(!fits(&[pong("a"), Seen::Anything], &[pong("b")]));
    }

    #[test]
    fn peer_that_broke_a_rule_is_not_blamed_for_the_end_of_the_tester_as_well() {
        let case = Suite::builtin().unwrap().select("7.3.6").unwrap().remove(0);
        let mut fuzzer = Fuzzer::new(true);
        fuzzer.receive(&[0x88, 126, 0, 126]);
        let record = Record {
            fuzzer,
            dropped: Some(Dropped::TesterGaveUp),
            opening: Some(Strict::Yes),
            refused: false,
            lacks_compression: false,
            failure: None,
            is_client: true,
        };
        let result = judge(&case, &record, 0, Duration::ZERO);
        assert_eq!((result.behavior, result.behavior_close), (Verdict::Failed, Verdict::Ok));
        assert!(!result.reason.contains("did not end"), "{}", result.reason);
    }

    #[test]
    fn peer_may_end_first_in_a_way_that_the_case_tolerates() {
        let judge_drop = |id| {
            let case = Suite::builtin().unwrap().select(id).unwrap().remove(0);
            let record = Record {
                fuzzer: Fuzzer::new(true),
                dropped: Some(Dropped::Peer(Ended::Eof)),
                opening: Some(Strict::Yes),
                refused: false,
                lacks_compression: false,
                failure: None,
                is_client: true,
            };
            judge(&case, &record, 0, Duration::ZERO).behavior_close
        };
        assert_eq!(judge_drop("DFL-013"), Verdict::NonStrict);
        assert_eq!(judge_drop("FRM-029"), Verdict::Failed);
    }
}
