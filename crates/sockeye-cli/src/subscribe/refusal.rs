//! What ends a connection or a try to open one, and whether to come back then.

use std::time::Duration;

use serde_json::Value;
use sockeye::{CloseInfo, Error, ErrorKind, Side};

use super::follower::field;
use crate::client::exit::{Exit, Failure};

/// Why a connection is no more, or what was asked for is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) verdict: Verdict,
    text: String,
}

/// What to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Come back, after the time that the server asks for at least.
    Again(Option<Duration>),
    /// End: the server is through.
    Done,
    /// End: it would be the same again.
    Stop(Exit),
    /// Come back with another token, or end.
    Unauthorized,
}

impl Refusal {
    fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, text: text.into() }
    }

    /// Returns it in words, for one line.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Makes it the failure of the command.
    pub(super) fn into_failure(self, exit: Exit) -> Failure {
        Failure::new(exit, self.text)
    }

    /// For a connection that is gone without a word.
    pub(super) fn lost() -> Self {
        Self::new(Verdict::Again(None), "the connection was lost")
    }

    /// For a frame that is none.
    pub(super) fn nonsense() -> Self {
        Self::new(Verdict::Stop(Exit::Failure), "the server does not speak sockeye.v1.json")
    }

    /// Reads an `error`, or an element of `refused`.
    pub(super) fn read(frame: &Value) -> Self {
        let (code, message) = (field(frame, "code"), field(frame, "message"));
        let topic = match field(frame, "topic") {
            "" => String::new(),
            topic => format!(" {topic}"),
        };
        let verdict = match code {
            "internal" => Verdict::Again(None),
            "invalid_token" | "token_required" | "token_expired" => Verdict::Unauthorized,
            _ => Verdict::Stop(Exit::Failure),
        };
        Self::new(verdict, format!("the server refused{topic}: {code}: {message}"))
    }

    /// Judges how a connection ended.
    pub(super) fn of_close(info: &CloseInfo) -> Self {
        let (code, reason) = (info.code.get(), &*info.reason);
        let verdict = match code {
            1000 if info.by == Side::Remote => Verdict::Done,
            1012 | 1013 => Verdict::Again(hint(reason)),
            1002 | 1003 | 1007 | 1009 | 1010 => Verdict::Stop(Exit::Failure),
            3005 | 3500 => Verdict::Unauthorized,
            3501..=3999 => Verdict::Stop(Exit::Failure),
            _ => Verdict::Again(None),
        };
        let text = match (code, reason) {
            (1006, _) => return Self::lost(),
            (_, "") => format!("closed code={code}"),
            _ => format!("closed code={code} reason={reason}"),
        };
        Self::new(verdict, text)
    }

    /// Judges why a connection was not opened, or broke.
    pub(super) fn of_error(error: &Error) -> Self {
        if let Some(response) = error.response() {
            let after = response.headers().get("retry-after");
            let after = after.and_then(|value| value.to_str().ok()).and_then(seconds);
            let verdict = judge_status(response.status().as_u16(), after);
            let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            return match body.get("error") {
                Some(refused) => Self { verdict, ..Self::read(refused) },
                None => Self::new(verdict, error.to_string()),
            };
        }
        let verdict = match error.kind() {
            ErrorKind::InvalidUrl | ErrorKind::Misuse => Verdict::Stop(Exit::Usage),
            ErrorKind::TooBig => Verdict::Stop(Exit::Failure),
            // An answer that is none of a WebSocket's has a source; a lost one has not.
            ErrorKind::Handshake if std::error::Error::source(error).is_some() => {
                Verdict::Stop(Exit::Failure)
            }
            _ => Verdict::Again(None),
        };
        Self::new(verdict, error.to_string())
    }
}

fn judge_status(status: u16, after: Option<Duration>) -> Verdict {
    match status {
        401 | 403 => Verdict::Unauthorized,
        408 | 425 | 429 => Verdict::Again(after),
        300..=499 => Verdict::Stop(Exit::Failure),
        _ => Verdict::Again(after),
    }
}

/// Reads how long a close reason asks to wait, as in `retry-after=30`.
fn hint(reason: &str) -> Option<Duration> {
    let lower = reason.to_ascii_lowercase();
    let (_, rest) = lower.split_once("retry-after")?;
    let rest = rest.trim_start_matches([' ', '=', ':']);
    seconds(rest.split(|c: char| !c.is_ascii_digit()).next()?)
}

fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use sockeye::CloseCode;

    use super::*;

    fn close(code: u16, reason: &str) -> Verdict {
        let (code, reason) = (CloseCode::new(code), reason.to_owned());
        let info = CloseInfo { code, reason, clean: true, by: Side::Remote };
        Refusal::of_close(&info).verdict
    }

    // REC-002
    #[test]
    fn every_close_but_1000_is_come_back_from_and_a_restart_when_it_says() {
        assert_eq!(close(1000, ""), Verdict::Done);
        for code in [1001, 1006, 1008, 1011, 1012, 1013] {
            assert_eq!(close(code, ""), Verdict::Again(None), "{code}");
        }
        let asked = Verdict::Again(Some(Duration::from_secs(30)));
        for reason in ["retry-after=30", "restart; Retry-After: 30 s"] {
            assert_eq!(close(1012, reason), asked, "{reason}");
            assert_eq!(close(1013, reason), asked, "{reason}");
        }
        assert_eq!(close(1012, "retry-after=soon"), Verdict::Again(None));
    }

    #[test]
    fn what_would_be_the_same_again_ends() {
        for code in [1002, 1003, 1007, 1009, 3501, 3507] {
            assert_eq!(close(code, ""), Verdict::Stop(Exit::Failure), "{code}");
        }
        assert_eq!(close(3500, "invalid_token"), Verdict::Unauthorized);
        assert_eq!(close(3005, "token_expired"), Verdict::Unauthorized);
        let after = Some(Duration::from_secs(30));
        for status in [408, 429, 500, 502, 503] {
            assert_eq!(judge_status(status, after), Verdict::Again(after), "{status}");
        }
        for status in [301, 400, 404, 426] {
            assert_eq!(judge_status(status, after), Verdict::Stop(Exit::Failure), "{status}");
        }
    }
}
