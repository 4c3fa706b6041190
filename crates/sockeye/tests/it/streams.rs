//! Messages that pass in pieces.

use sockeye::{CloseCode, Config, ErrorKind, Kind, Message};

use crate::support::{BINARY, CONTINUATION, From, PING, TEXT, frame, whole, with_raw};

#[tokio::test]
async fn a_message_longer_than_the_limit_passes_through_a_reader() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 4 << 10).await;
    let peer = async {
        raw.write(&frame(From::Client, BINARY, &[])).await;
        for _ in 0..64 {
            raw.write(&frame(From::Client, CONTINUATION, &[7; 64 << 10])).await;
            raw.send(PING, b"").await;
        }
        raw.send(CONTINUATION, &[]).await;
        raw.send(TEXT, b"next").await;
    };
    let receive = async {
        let mut reader = ws.reader().await.unwrap().unwrap();
        assert_eq!(reader.kind(), Kind::Binary);
        let mut len = 0;
        while let Some(chunk) = reader.chunk().await.unwrap() {
            assert!(chunk.len() <= 64 << 10);
            len += chunk.len();
        }
        assert_eq!(reader.chunk().await.unwrap(), None);
        assert_eq!(len, 4 << 20);
        drop(reader);
        ws.recv().await.unwrap()
    };
    let (next, ()) = tokio::join!(receive, peer);
    assert_eq!(next, Some(Message::text("next")));
}

#[tokio::test]
async fn every_message_can_be_read_in_pieces_one_after_the_other() {
    let (mut ws, mut raw) = with_raw(From::Server, Config::client(), 4 << 10).await;
    for text in ["", "a", "bc"] {
        raw.send(TEXT, text.as_bytes()).await;
    }
    for text in ["", "a", "bc"] {
        let mut reader = ws.reader().await.unwrap().unwrap();
        let mut received = Vec::new();
        while let Some(chunk) = reader.chunk().await.unwrap() {
            received.extend_from_slice(&chunk);
        }
        assert_eq!(received, text.as_bytes());
    }
    raw.send(8, &[]).await;
    assert!(ws.reader().await.unwrap().is_none());
    assert_eq!(ws.close_info().unwrap().code, CloseCode::NO_STATUS);
}

#[tokio::test]
async fn a_connection_that_ends_inside_a_message_is_an_error_of_the_reader() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 4 << 10).await;
    raw.write(&frame(From::Client, TEXT, b"begun")).await;
    let mut reader = ws.reader().await.unwrap().unwrap();
    assert_eq!(reader.chunk().await.unwrap().unwrap(), &b"begun"[..]);
    raw.send(8, &1000u16.to_be_bytes()).await;
    let error = reader.chunk().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(error.close_info().unwrap().code, CloseCode::NORMAL);
}

#[tokio::test]
async fn text_in_pieces_is_checked_and_may_be_cut_inside_a_code_point() {
    let euro = "\u{20ac}".as_bytes();
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 4 << 10).await;
    let mut writer = ws.writer(Kind::Text);
    writer.write(&euro[..1]).await.unwrap();
    writer.write(&euro[1..]).await.unwrap();
    let error = writer.write([0xff]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    writer.finish().await.unwrap();
    let frames =
        [raw.frame().await.unwrap(), raw.frame().await.unwrap(), raw.frame().await.unwrap()];
    assert_eq!(frames.map(|frame| frame.payload), [&euro[..1], &euro[1..], b""]);
    raw.write(&frame(From::Client, TEXT, &euro[..1])).await;
    let mut reader = ws.reader().await.unwrap().unwrap();
    assert!(reader.chunk().await.unwrap().is_some());
    raw.write(&whole(From::Client, CONTINUATION, &[0xff])).await;
    assert_eq!(reader.chunk().await.unwrap_err().kind(), ErrorKind::InvalidUtf8);
    assert_eq!(raw.frame().await.unwrap().close_code(), Some(1007));
}

#[tokio::test]
async fn a_writer_dropped_before_its_end_closes_with_1011() {
    let (mut ws, mut raw) = with_raw(From::Client, Config::server(), 4 << 10).await;
    drop(ws.writer(Kind::Text));
    ws.send("nothing was begun").await.unwrap();
    ws.writer(Kind::Text).write("begun").await.unwrap();
    assert_eq!(ws.send("no").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(raw.frame().await.unwrap().payload, b"nothing was begun");
    assert!(!raw.frame().await.unwrap().fin);
    let (frame, _) = tokio::join!(raw.frame(), ws.flush());
    assert_eq!(frame.unwrap().close_code(), Some(1011));
}
