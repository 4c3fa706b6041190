//! A server that compresses within the smallest window there is.

use sockeye::{Client, Config, DeflateConfig, ErrorKind, WebSocket};
use tokio::io::{DuplexStream, duplex};

use crate::support::{From, Raw, TEXT, answer, frame};

/// Looks back once, by three bytes at a distance of 256, with the fixed codes of DEFLATE.
const BACK_256: [u8; 4] = [0x02, 0xfa, 0x1f, 0x00];
/// The same at 257, which is beyond a window of 8 bits.
const BACK_257: [u8; 4] = [0x02, 0x06, 0x00, 0x00];

/// Opens a connection whose server answers `server_max_window_bits=8`, and sends 300 bytes.
async fn open() -> (WebSocket<DuplexStream>, Raw<DuplexStream>, String) {
    let (ours, theirs) = duplex(1 << 12);
    let mut raw = Raw::new(theirs, From::Server);
    let mut config = Config::client();
    let mut deflate = DeflateConfig::default();
    deflate.server_no_context_takeover = false;
    config.deflate = Some(deflate);
    let client = Client::builder().config(config).build();
    let serve = async {
        let head = raw.head().await;
        let opened = String::from_utf8(answer(head.as_bytes())).unwrap();
        let head = opened.strip_suffix("\r\n").unwrap();
        let agreed = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8";
        raw.write(format!("{head}{agreed}\r\n\r\n").as_bytes()).await;
    };
    let (ws, ()) = tokio::join!(client.request("ws://x/").over(ours), serve);
    let mut ws = ws.unwrap();
    let text: String = (0..300u32).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let len = 300u16;
    let stored =
        [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), text.as_bytes(), &[0]].concat();
    raw.write(&frame(From::Server, 0xc0 | TEXT, &stored)).await;
    assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(&*text));
    (ws, raw, text)
}

// HSC-015
#[tokio::test]
async fn a_server_window_of_8_bits_is_accepted_and_inflates_to_its_full_reach() {
    let (mut ws, mut raw, text) = open().await;
    raw.write(&frame(From::Server, 0xc0 | TEXT, &BACK_256)).await;
    let received = ws.recv().await.unwrap().unwrap();
    assert_eq!(received.as_text(), Some(&text[300 - 256..][..3]));
    ws.abort();
}

#[tokio::test]
async fn what_looks_back_beyond_the_window_agreed_on_is_corrupt() {
    let (mut ws, mut raw, _) = open().await;
    raw.write(&frame(From::Server, 0xc0 | TEXT, &BACK_257)).await;
    assert_eq!(ws.recv().await.unwrap_err().kind(), ErrorKind::Protocol);
}
