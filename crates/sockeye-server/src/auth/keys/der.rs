//! The little of DER (X.690) that a public key is wrapped in.

/// A SubjectPublicKeyInfo (RFC 5280, section 4.1), taken apart.
pub(super) struct PublicKeyInfo<'a> {
    /// What is in the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The key, as its algorithm has it.
    pub(super) key: &'a [u8],
}

impl<'a> PublicKeyInfo<'a> {
    /// Reads one, with nothing behind it.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut info = Reader(whole(der, SEQUENCE)?);
        let algorithm = info.value(SEQUENCE)?;
        let bits = info.value(BIT_STRING)?;
        // The first byte counts the unused bits of the last.
        let (0, key) = bits.split_first()? else { return None };
        info.0.is_empty().then_some(Self { algorithm, key })
    }
}

/// Reads the modulus and the exponent of an RSAPublicKey (RFC 8017, appendix A.1.1).
pub(super) fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut numbers = Reader(whole(der, SEQUENCE)?);
    let pair = (numbers.value(INTEGER)?, numbers.value(INTEGER)?);
    numbers.0.is_empty().then_some(pair)
}

fn whole(der: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader(der);
    let value = reader.value(tag)?;
    reader.0.is_empty().then_some(value)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&seen, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 | 0x82 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                // DER has one way to write a length, the shortest.
                let shortest = if first == 0x81 { 0x80 } else { 0x100 };
                (length >= shortest).then_some((length, rest))?
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (seen == tag).then_some(value)
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
