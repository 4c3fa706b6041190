//! Messages one by one: the examples of RFC 7692 section 7.2.3, odd endings, and damage.
#![cfg(feature = "deflate")]

use sockeye_proto::deflate::{Context, Deflater, InflateError, Inflater, Pool};

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const HELLO_AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];
const HELLO_FINAL: [u8; 8] = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

fn inflater(context: Context) -> Inflater {
    Inflater::new(15, context, &Pool::default())
}

fn inflate(inflater: &mut Inflater, frames: &[&[u8]]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    for frame in frames {
        let step = inflater.inflate(frame, &mut out, 1 << 20)?;
        assert_eq!(step.consumed, frame.len());
    }
    inflater.finish_message()?;
    Ok(out)
}

fn inflate_alone(payload: &[u8]) -> Result<Vec<u8>, InflateError> {
    let whole = inflate(&mut inflater(Context::Forget), &[payload]);
    let bytes: Vec<&[u8]> = payload.chunks(1).collect();
    assert_eq!(inflate(&mut inflater(Context::Forget), &bytes), whole, "byte by byte");
    whole
}

// DFL-011
#[test]
fn every_example_of_rfc_7692_inflates() {
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    for payload in [&HELLO[..], &stored, &HELLO_FINAL, &two_blocks] {
        assert_eq!(inflate_alone(payload).unwrap(), b"Hello", "{payload:02x?}");
    }
    assert_eq!(inflate_alone(&[0x00]).unwrap(), b"");
    let mut kept = inflater(Context::Keep);
    assert_eq!(inflate(&mut kept, &[&HELLO[..3], &HELLO[3..]]).unwrap(), b"Hello");
    assert_eq!(inflate(&mut kept, &[&HELLO_AGAIN]).unwrap(), b"Hello");
}

// DFL-011
#[test]
fn a_kept_context_goes_on_after_a_final_block() {
    let mut kept = inflater(Context::Keep);
    for payload in [&HELLO_FINAL[..], &HELLO, &HELLO_AGAIN, &HELLO_FINAL, &[0x00], &HELLO] {
        let expected: &[u8] = if payload == [0x00] { b"" } else { b"Hello" };
        assert_eq!(inflate(&mut kept, &[payload]).unwrap(), expected);
    }
}

#[test]
fn a_message_without_payload_is_empty() {
    for context in [Context::Keep, Context::Forget] {
        let mut inflater = inflater(context);
        for _ in 0..2 {
            assert_eq!(inflate(&mut inflater, &[]).unwrap(), b"");
            assert_eq!(inflate(&mut inflater, &[b"", b""]).unwrap(), b"");
            assert_eq!(inflate(&mut inflater, &[&HELLO]).unwrap(), b"Hello");
        }
    }
}

// DFL-012
#[test]
fn a_tail_left_on_the_wire_is_no_error() {
    let mut kept = inflater(Context::Keep);
    let with_tail = [&HELLO[..], &TAIL[1..]].concat();
    assert_eq!(with_tail[6..], [0x00, 0x00, 0xff, 0xff]);
    let whole = [&HELLO[..], &TAIL].concat();
    for cut in 0..=whole.len() {
        assert_eq!(inflate(&mut kept, &[&whole[..cut], &whole[cut..]]).unwrap(), b"Hello");
        assert_eq!(inflate(&mut kept, &[&HELLO_AGAIN]).unwrap(), b"Hello");
    }
}

// DFL-013
#[test]
fn data_after_a_final_block_is_ignored_until_the_message_ends() {
    let mut kept = inflater(Context::Keep);
    for junk in [&b"\xff\xff\xff\xff"[..], &HELLO, &HELLO_FINAL, &TAIL, &[0x07; 40_000]] {
        let payload = [&HELLO_FINAL[..], junk].concat();
        assert_eq!(inflate_alone(&payload).unwrap(), b"Hello");
        assert_eq!(inflate(&mut kept, &[&payload]).unwrap(), b"Hello");
        assert_eq!(inflate(&mut kept, &[&HELLO]).unwrap(), b"Hello");
    }
}

// DFL-010
#[test]
fn damage_of_every_kind_is_corrupt_and_the_context_is_dead() {
    let long_stored = [&[0x00, 0xff, 0xff, 0x00, 0x00][..], &[7; 100]].concat();
    let cases: [(&str, &[u8]); 10] = [
        ("garbage", b"\xff\xfe\xfd not deflate at all"),
        ("the reserved block type", &[0x06, 0x00]),
        ("a distance before the start", &HELLO_AGAIN),
        ("a stored length that its complement denies", &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48]),
        ("cut in a compressed block", &HELLO[..4]),
        ("cut in a stored block", &long_stored),
        ("cut in a stored block's length", &[0x00, 0x05]),
        ("cut in a dynamic block's header", &[0x04, 0x80]),
        ("too many length symbols", &[0xfc, 0xff, 0xff]),
        ("an over-subscribed code", &[0x04, 0x00, 0x92, 0x24, 0x49, 0x92]),
    ];
    for (what, payload) in cases {
        assert_eq!(inflate_alone(payload), Err(InflateError::Corrupt), "{what}");
        for context in [Context::Keep, Context::Forget] {
            let mut inflater = inflater(context);
            assert_eq!(inflate(&mut inflater, &[payload]), Err(InflateError::Corrupt), "{what}");
            assert!(!inflater.holds_state());
            assert_eq!(inflate(&mut inflater, &[&HELLO]), Err(InflateError::Corrupt), "{what}");
        }
    }
}

#[test]
fn a_message_cut_inside_a_block_is_corrupt() {
    let message: Vec<u8> = (0..5000u32).flat_map(|i| (i * i).to_string().into_bytes()).collect();
    for level in [1, 6, 9] {
        let mut payload = Vec::new();
        Deflater::new(15, Context::Forget, level, &Pool::default())
            .compress(&message, &mut payload)
            .unwrap();
        for cut in (1..payload.len()).step_by(7) {
            if let Ok(out) = inflate(&mut inflater(Context::Forget), &[&payload[..cut]]) {
                // Between two blocks nothing tells a cut from the end.
                assert!(message.starts_with(&out) && out.len() > 1000, "cut at {cut}");
            }
        }
    }
}

// DFL-005
#[test]
fn without_a_context_each_message_stands_alone() {
    let message = b"the same words, the same words, and the same words again".repeat(20);
    let pool = Pool::default();
    let mut deflater = Deflater::new(15, Context::Forget, 6, &pool);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    deflater.compress(&message, &mut first).unwrap();
    deflater.compress(&message, &mut second).unwrap();
    assert_eq!(first, second);
    assert_eq!(inflate_alone(&second).unwrap(), message);
    // The other way: an end that forgets refuses what refers to an earlier message.
    let mut forgetful = inflater(Context::Forget);
    assert_eq!(inflate(&mut forgetful, &[&HELLO]).unwrap(), b"Hello");
    assert_eq!(inflate(&mut forgetful, &[&HELLO_AGAIN]), Err(InflateError::Corrupt));
}

// DFL-014
#[test]
fn messages_sent_uncompressed_leave_the_context_as_the_peer_knows_it() {
    for context in [Context::Keep, Context::Forget] {
        let mut deflater = Deflater::new(12, context, 6, &Pool::default());
        let mut inflater = inflater(context);
        for turn in 0..30u32 {
            let message = format!("message {turn} is much like message {}", turn / 3).repeat(9);
            let mut payload = Vec::new();
            // Every third is never compressed, every fifth is compressed and then sent as it is.
            if turn % 3 != 0 {
                deflater.compress(message.as_bytes(), &mut payload).unwrap();
                if turn % 5 == 0 {
                    deflater.discard();
                } else {
                    assert_eq!(inflate(&mut inflater, &[&payload]).unwrap(), message.as_bytes());
                }
            }
        }
    }
}

#[test]
fn empty_messages_are_one_zero_byte_and_take_no_compressor() {
    let pool = Pool::default();
    for context in [Context::Keep, Context::Forget] {
        let mut deflater = Deflater::new(15, context, 1, &pool);
        for _ in 0..2 {
            let mut payload = Vec::new();
            deflater.compress(b"", &mut payload).unwrap();
            assert_eq!(payload, [0x00]);
        }
        assert!(!deflater.holds_state());
    }
    assert_eq!(pool.deflates_at_rest(), 0);
}
