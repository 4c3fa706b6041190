//! Text that arrives in pieces, against the standard library's verdict on the whole.

use std::ops::Range;

use sockeye_proto::{InvalidUtf8, Validator};

use crate::drive::chunks;

/// Checks text as it streams.
pub fn utf8(data: &[u8]) {
    let Some(([cuts, more_cuts], text)) = data.split_first_chunk() else {
        return;
    };
    for length in [*cuts, *more_cuts, 1, 0] {
        compare(text, length);
    }
}

fn compare(text: &[u8], length: u8) {
    let mut validator = Validator::default();
    let mut start = 0;
    for chunk in chunks(text, length) {
        if let Err(refusal) = validator.push(chunk) {
            return check_refusal(text, start..start + chunk.len(), refusal);
        }
        start += chunk.len();
    }
    match std::str::from_utf8(text) {
        Ok(_) => assert!(validator.is_complete()),
        Err(error) => {
            assert_eq!(error.error_len(), None, "a bad byte went by");
            assert!(!validator.is_complete());
        }
    }
}

/// Checks that the text was refused for the byte that makes it bad, with the chunk that has it.
fn check_refusal(text: &[u8], chunk: Range<usize>, refusal: InvalidUtf8) {
    let error = std::str::from_utf8(text).expect_err("good text refused");
    let valid = error.valid_up_to();
    assert_eq!(refusal.valid_up_to, valid as u64);
    let bad = (valid..text.len()).find(|at| {
        let error = std::str::from_utf8(&text[valid..=*at]).err();
        error.is_some_and(|error| error.error_len().is_some())
    });
    assert!(bad.is_some_and(|bad| chunk.contains(&bad)), "{bad:?} is not in {chunk:?}");
}
