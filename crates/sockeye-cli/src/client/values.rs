//! Values of flags: sizes, times, and secrets that may stand in files.

use std::time::Duration;

use super::exit::{Exit, Failure};

/// Reads a secret from a file. What fails never quotes it.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_secret(file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {file}: {error}")))
}

/// Returns a secret that was given as it is, or as `@FILE`.
///
/// # Errors
/// As [`read_secret`].
pub(crate) fn reveal(given: &str) -> Result<String, Failure> {
    match given.strip_prefix('@') {
        Some(file) => Ok(read_secret(file)?.trim().to_owned()),
        None => Ok(given.to_owned()),
    }
}

/// Reads a time in seconds.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Reads a number of bytes.
pub(crate) fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len() - 1), 1_usize << 10),
        Some(b'm' | b'M') => (text.get(..text.len() - 1), 1 << 20),
        Some(b'g' | b'G') => (text.get(..text.len() - 1), 1 << 30),
        _ => (Some(text), 1),
    };
    let count = digits.and_then(|digits| digits.parse::<usize>().ok());
    let size = count.and_then(|count| count.checked_mul(factor));
    size.ok_or_else(|| "not a number of bytes, such as 65536, 64K or 16M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_suffixes() {
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        assert!(parse_size("M").is_err());
        assert!(parse_size("").is_err());
        assert!(parse_size("99999999999999999999G").is_err());
    }

    #[test]
    fn seconds_may_have_a_fraction_but_no_sign() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(parse_seconds("-1").is_err());
        assert!(parse_seconds("soon").is_err());
    }
}
