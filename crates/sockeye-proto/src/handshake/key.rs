//! The key of the handshake and the value that proves it was read (RFC 6455 section 4.2.2).

use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1_smol::Sha1;

/// Returns the `Sec-WebSocket-Accept` value that answers `key`, over its literal text.
///
/// ```
/// # use sockeye_proto::handshake::accept_key;
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    let mut digest = Sha1::from(key.as_bytes());
    digest.update(GUID);
    STANDARD.encode(digest.digest().bytes())
}

/// Returns the text of a client's 16 random bytes.
pub(super) fn encode_key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// Returns the key if it is the base64 of 16 bytes. The four bits that the last character has to
/// spare are not looked at: nobody decodes the key, and the answer is over its text.
pub(super) fn check_key(value: &[u8]) -> Option<&str> {
    let (digits, padding) = value.split_at_checked(KEY_DIGITS)?;
    let valid = padding == b"=="
        && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    core::str::from_utf8(value).ok().filter(|_| valid)
}

/// The fixed text that RFC 6455 section 1.3 appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 digits that 16 bytes take, before two of padding.
const KEY_DIGITS: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_make_a_key_that_passes() {
        for byte in [0, 1, 0x7F, 0xFF] {
            let key = encode_key([byte; 16]);
            assert_eq!(check_key(key.as_bytes()), Some(key.as_str()));
        }
    }
}
