//! Masking (RFC 6455 section 5.3): payload bytes XOR a repeated four-byte key.
//!
//! Masking and unmasking are the same operation. One kernel, in plain safe code, is compiled twice:
//! for the baseline of the target and for AVX2, chosen at run time.
#![allow(unsafe_code)] // Calls into the AVX2 build of the kernel, after its detection.

use alloc::vec::Vec;

/// A masking key, turned so that its first byte belongs to the next payload byte.
pub type Key = [u8; 4];

/// Masks or unmasks `data` in place.
#[inline]
pub fn apply(data: &mut [u8], key: Key) {
    if data.len() < SIMD_FROM {
        xor_words(data, key);
    } else {
        xor_in_place(data, key);
    }
}

/// Masks or unmasks `data` in place and tells whether the result is ASCII throughout.
///
/// One pass over the bytes instead of two: most text is ASCII, and then it needs no validation.
pub fn apply_is_ascii(data: &mut [u8], key: Key) -> bool {
    let seen = if data.len() < SIMD_FROM { xor_words(data, key) } else { xor_in_place(data, key) };
    seen & HIGH_BITS == 0
}

/// Appends `data` to `out`, masked or unmasked.
pub fn append(out: &mut Vec<u8>, data: &[u8], key: Key) {
    let start = out.len();
    out.extend_from_slice(data);
    if let Some(copied) = out.get_mut(start..) {
        apply(copied, key);
    }
}

/// Turns `key` so that it continues after `count` bytes.
pub fn turn(key: Key, count: usize) -> Key {
    let mut key = key;
    key.rotate_left(count % 4);
    key
}

#[inline(never)]
fn xor_in_place(data: &mut [u8], key: Key) -> u64 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as just asked.
        return unsafe { xor_avx2(data, key) };
    }
    xor_chunks(data, key)
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn xor_avx2(data: &mut [u8], key: Key) -> u64 {
    xor_chunks(data, key)
}

/// XORs chunk by chunk, in a form that the compiler turns into vector instructions, and returns
/// all resulting words ORed together.
#[inline(always)]
fn xor_chunks(data: &mut [u8], key: Key) -> u64 {
    let word = word(key);
    let mut seen = [0; CHUNK / 8];
    let (chunks, tail) = data.as_chunks_mut::<CHUNK>();
    for chunk in chunks {
        let (words, _) = chunk.as_chunks_mut::<8>();
        for (bytes, seen) in words.iter_mut().zip(&mut seen) {
            let plain = u64::from_ne_bytes(*bytes) ^ word;
            *seen |= plain;
            *bytes = plain.to_ne_bytes();
        }
    }
    seen.iter().fold(xor_words(tail, key), |any, seen| any | seen)
}

/// XORs eight bytes at a time: below `SIMD_FROM` bytes, setting up vectors costs more than it saves.
/// Returns all resulting words ORed together.
#[inline(always)]
fn xor_words(data: &mut [u8], key: Key) -> u64 {
    let word = word(key);
    let mut seen = 0;
    let (words, tail) = data.as_chunks_mut::<8>();
    for bytes in words {
        let plain = u64::from_ne_bytes(*bytes) ^ word;
        seen |= plain;
        *bytes = plain.to_ne_bytes();
    }
    // By reference: an array's own iterator is a copy of it, which costs as much as the words.
    for (byte, key) in tail.iter_mut().zip(&word.to_ne_bytes()) {
        *byte ^= *key;
        seen |= u64::from(*byte);
    }
    seen
}

/// Repeats the key to fill a word.
fn word([a, b, c, d]: Key) -> u64 {
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

/// The bit that no ASCII byte has set, in each byte of a word.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Bytes from which vectors pay.
const SIMD_FROM: usize = 64;

/// Bytes a step: two AVX2 registers, a multiple of the key's length.
const CHUNK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn plain(data: &[u8], key: Key) -> Vec<u8> {
        data.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 131 + i / 7) as u8).collect()
    }

    // FRM-034
    #[test]
    fn every_length_alignment_and_key_turn_equals_the_plain_loop() {
        let step = if cfg!(miri) { 97 } else { 1 };
        let source = sample(4_200 + 64);
        for len in (0..=4_200).step_by(step) {
            let offset = len % 64;
            let key = turn([0x37, 0xfa, 0x21, 0x3d], len % 4);
            let data = &source[offset..offset + len];
            let mut masked = source.clone();
            apply(&mut masked[offset..offset + len], key);
            assert_eq!(masked[offset..offset + len], plain(data, key), "length {len}");
            assert_eq!(masked[..offset], source[..offset], "bytes before stay");
            assert_eq!(masked[offset + len..], source[offset + len..], "bytes after stay");
        }
    }

    // FRM-034
    #[test]
    fn a_split_anywhere_equals_one_piece() {
        let source = sample(300);
        let key = [1, 2, 3, 250];
        let whole = plain(&source, key);
        for cut in 0..=source.len() {
            let mut data = source.clone();
            let (head, tail) = data.split_at_mut(cut);
            apply(head, key);
            apply(tail, turn(key, cut));
            assert_eq!(data, whole, "cut at {cut}");
        }
    }

    #[test]
    fn ascii_is_told_from_the_rest_at_every_position() {
        for len in [1, 7, 8, 63, 64, 65, 200] {
            let key = [9, 80, 201, 77];
            let mut data = plain(&vec![b'a'; len], key);
            assert!(apply_is_ascii(&mut data, key));
            for at in 0..len {
                let mut text = vec![b'a'; len];
                text[at] = 0xc3;
                let mut data = plain(&text, key);
                assert!(!apply_is_ascii(&mut data, key), "length {len}, byte {at}");
                assert_eq!(data, text);
            }
        }
    }

    #[test]
    fn appending_masks_only_what_is_new() {
        let mut out = vec![1, 2, 3];
        append(&mut out, b"abcdef", [255, 0, 255, 0]);
        assert_eq!(out, [1, 2, 3, b'a' ^ 255, b'b', b'c' ^ 255, b'd', b'e' ^ 255, b'f']);
    }
}
