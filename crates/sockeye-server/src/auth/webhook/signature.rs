//! Signatures of webhooks: how a back end knows that a question is ours, and new.
//!
//! Each question has a header `Sockeye-Signature: t=<seconds>,v1=<code>`: the seconds since 1970 at
//! which it was sent, and in hexadecimal the HMAC-SHA256, by the shared secret, of those seconds as
//! they stand there, a `.`, and the body as it came. To check it:
//!
//! 1. make the same code and compare it in constant time;
//! 2. refuse a time more than 60 s away from the clock: that bounds how long a question that was
//!    overheard can be asked again;
//! 3. within those 60 s, refuse a signature that was seen before. The body has an `id` that is
//!    random, so two questions never have the same.
//!
//! [`Checker`] does all three, for back ends in Rust and for tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::hex;
use crate::auth::secret::Secret;

/// The name of the header, in lower case.
pub const HEADER: &str = "sockeye-signature";

/// Checks signatures and remembers them for as long as they are good.
#[derive(Debug)]
pub struct Checker {
    secret: Secret,
    seen: Mutex<HashMap<[u8; 32], u64>>,
}

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// So many are remembered that no more can be.
    Busy,
    /// It is not of the form that it must have.
    Malformed,
    /// It was seen before.
    Replayed,
    /// It is from more than 60 s ago, or ahead.
    Time,
    /// It is not of this body, this time and this secret.
    Wrong,
}

/// Makes the value of the header for a body that is sent `now`.
pub fn sign(secret: &Secret, now: SystemTime, body: &[u8]) -> String {
    let seconds = seconds_of(now).to_string();
    let code = secret.sign(&signed_text(&seconds, body));
    format!("t={seconds},v1={}", hex(&code))
}

impl Checker {
    /// Checks by a secret.
    pub fn new(secret: Secret) -> Self {
        Self { secret, seen: Mutex::default() }
    }

    /// Checks the header and the body of a question that came `now`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, header: &str, body: &[u8], now: SystemTime) -> Result<(), SignatureError> {
        let (seconds, code) = parse(header).ok_or(SignatureError::Malformed)?;
        if !self.secret.verifies(&signed_text(seconds, body), &code) {
            return Err(SignatureError::Wrong);
        }
        let at: u64 = seconds.parse().map_err(|_| SignatureError::Malformed)?;
        let now = seconds_of(now);
        if at.abs_diff(now) > WINDOW.as_secs() {
            return Err(SignatureError::Time);
        }
        self.remember(code, at, now)
    }

    fn remember(&self, code: [u8; 32], at: u64, now: u64) -> Result<(), SignatureError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains_key(&code) {
            return Err(SignatureError::Replayed);
        }
        if seen.len() >= REMEMBERED {
            seen.retain(|_, at| at.abs_diff(now) <= WINDOW.as_secs());
        }
        if seen.len() >= REMEMBERED {
            return Err(SignatureError::Busy);
        }
        seen.insert(code, at);
        Ok(())
    }
}

fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn signed_text(seconds: &str, body: &[u8]) -> Vec<u8> {
    [seconds.as_bytes(), b".", body].concat()
}

/// Takes the header apart: the seconds as they stand there, and the code.
fn parse(header: &str) -> Option<(&str, [u8; 32])> {
    let (seconds, code) = header.strip_prefix("t=")?.split_once(",v1=")?;
    if code.len() != 64 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(code.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some((seconds, bytes))
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many signatures within a minute",
            Self::Malformed => "no signature",
            Self::Replayed => "a signature that was seen before",
            Self::Time => "a signature of another time",
            Self::Wrong => "a wrong signature",
        })
    }
}

impl std::error::Error for SignatureError {}

/// How far the time of a question may be from the clock.
const WINDOW: Duration = Duration::from_secs(60);

/// The most signatures that are remembered: a thousand questions a second, and some.
const REMEMBERED: usize = 1 << 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn checker() -> (Secret, Checker) {
        let secret = Secret::new(&[7; 32]).unwrap();
        (secret.clone(), Checker::new(secret))
    }

    // PUB-029
    #[test]
    fn signature_of_another_body_time_or_secret_is_refused() {
        let (secret, checker) = checker();
        let good = sign(&secret, at(1000), b"body");
        assert_eq!(checker.check(&good, b"body", at(1001)), Ok(()));
        let wrong = Err(SignatureError::Wrong);
        assert_eq!(checker.check(&good, b"Body", at(1001)), wrong);
        assert_eq!(checker.check(&good, b"", at(1001)), wrong);
        let later = good.replace("t=1000", "t=1001");
        assert_eq!(checker.check(&later, b"body", at(1001)), wrong);
        let other = Secret::new(&[8; 32]).unwrap();
        assert_eq!(checker.check(&sign(&other, at(1000), b"body"), b"body", at(1001)), wrong);
        // The dot parts time and body: what is moved across it is another text.
        let moved = sign(&secret, at(1000), b"0.body").replace("t=1000", "t=10000");
        assert_eq!(checker.check(&moved, b"body", at(10_000)), wrong);
    }

    // PUB-029
    #[test]
    fn signature_asked_again_is_refused_within_the_window_and_after_it() {
        let (secret, checker) = checker();
        let header = sign(&secret, at(1000), b"body");
        assert_eq!(checker.check(&header, b"body", at(1000)), Ok(()));
        assert_eq!(checker.check(&header, b"body", at(1000)), Err(SignatureError::Replayed));
        let shouted = header.to_uppercase().replace("T=", "t=").replace("V1", "v1");
        assert_eq!(checker.check(&shouted, b"body", at(1030)), Err(SignatureError::Replayed));
        assert_eq!(checker.check(&header, b"body", at(1061)), Err(SignatureError::Time));
        let early = sign(&secret, at(1061), b"body");
        assert_eq!(checker.check(&early, b"body", at(1000)), Err(SignatureError::Time));
        assert_eq!(checker.check(&early, b"body", at(1001)), Ok(()));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let (secret, checker) = checker();
        let good = sign(&secret, at(1000), b"");
        let signs = format!("t=1000,v1={}", "+1".repeat(32));
        for header in ["", "t=1000", "v1=00", "t=,v1=", &good[..good.len() - 2], "t=1,v1=é", &signs]
        {
            let checked = checker.check(header, b"", at(1000));
            assert_eq!(checked, Err(SignatureError::Malformed), "{header}");
        }
    }

    #[test]
    fn memory_of_signatures_is_bounded_and_forgets_the_old() {
        let (_, checker) = checker();
        for number in 0..REMEMBERED {
            let mut code = [0; 32];
            code[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
            assert_eq!(checker.remember(code, 1000, 1000), Ok(()));
        }
        assert_eq!(checker.remember([9; 32], 1000, 1060), Err(SignatureError::Busy));
        assert_eq!(checker.remember([9; 32], 1061, 1061), Ok(()));
        assert_eq!(checker.seen.lock().unwrap().len(), 1);
    }
}
