//! Frames as bytes, by code of our own: what the core writes is not read with the core's parser.

/// A frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, the reserved bits and the opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Appends the frame with the shortest form of its length.
    pub(crate) fn write(&self, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
        let mask_bit = if mask.is_some() { 0x80 } else { 0 };
        out.push(self.first);
        match self.payload.len() {
            len @ 0..=125 => out.push(mask_bit | len as u8),
            len @ 126..=0xffff => {
                out.push(mask_bit | 126);
                out.extend((len as u16).to_be_bytes());
            }
            len => {
                out.push(mask_bit | 127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        let key = mask.unwrap_or_default();
        out.extend(mask.into_iter().flatten());
        out.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}

/// Reads what one end wrote.
///
/// # Panics
/// Where it is not whole frames that this end may send: masked by a client only, in the shortest
/// form, control frames whole and short, nothing behind a Close frame.
pub(crate) fn read_all(mut bytes: &[u8], from_client: bool) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    while !bytes.is_empty() {
        assert!(
            frames.last().is_none_or(|frame| frame.opcode() != 8),
            "bytes behind a Close frame"
        );
        let (frame, rest) = read(bytes, from_client);
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn read(bytes: &[u8], from_client: bool) -> (Frame, &[u8]) {
    let [first, second, rest @ ..] = bytes else {
        panic!("half a header");
    };
    assert_eq!(second & 0x80 != 0, from_client, "clients mask, servers do not");
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk().expect("a 16-bit length");
            (u64::from(u16::from_be_bytes(*len)), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk().expect("a 64-bit length");
            (u64::from_be_bytes(*len), rest)
        }
        len => (u64::from(len), rest),
    };
    let shortest = match second & 0x7f {
        126 => len >= 126,
        127 => len > 0xffff,
        _ => true,
    };
    assert!(shortest, "a length in more bytes than it needs");
    let (key, rest) = if from_client {
        let (key, rest) = rest.split_first_chunk::<4>().expect("a masking key");
        (*key, rest)
    } else {
        ([0; 4], rest)
    };
    let (payload, rest) = rest.split_at_checked(len as usize).expect("the whole payload");
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let frame = Frame { first: *first, payload };
    check_first(&frame);
    (frame, rest)
}

fn check_first(frame: &Frame) {
    assert_eq!(frame.first & 0x30, 0, "the second and third reserved bits have no meaning");
    match frame.opcode() {
        0 => assert_eq!(frame.first & 0x40, 0, "a continuation says nothing of compression"),
        1 | 2 => {}
        8..=10 => {
            assert_eq!(frame.first & 0xf0, 0x80, "a control frame in fragments or compressed");
            assert!(frame.payload.len() <= 125, "a control frame too long");
        }
        opcode => panic!("reserved opcode {opcode}"),
    }
}
