//! A ClientHello by hand: no library sends some names.

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;

/// Builds the record of a TLS 1.3 ClientHello that asks for `name`.
pub(super) fn client_hello(name: Option<&str>) -> Vec<u8> {
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let entry = [&[0][..], &counted(name.as_bytes())].concat();
        extensions.extend(extension(0, &counted(&entry)));
    }
    let point = [&[0, 0x1d][..], &counted(&[9; 32])].concat();
    extensions.extend(extension(10, &counted(&[0, 0x1d])));
    extensions.extend(extension(13, &counted(&[4, 3, 8, 4])));
    extensions.extend(extension(43, &[2, 3, 4]));
    extensions.extend(extension(51, &counted(&point)));
    let body = [
        &[3, 3][..],
        &[7; 32],
        // No session, two cipher suites, no compression.
        &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0],
        &counted(&extensions),
    ]
    .concat();
    let message = [&[1, 0][..], &counted(&body)].concat();
    [&[HANDSHAKE, 3, 1][..], &counted(&message)].concat()
}

fn extension(number: u8, body: &[u8]) -> Vec<u8> {
    [&[0, number][..], &counted(body)].concat()
}

/// Puts its length before it, in two bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[..], bytes].concat()
}
