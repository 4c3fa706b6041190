//! permessage-deflate from end to end, with every parameter.

use sockeye::{Acceptor, Client, Compress, Config, DeflateConfig, Kind, Message, SendOptions};
use tokio::io::duplex;

use crate::support::{From, scripted_after};

fn config(deflate: &DeflateConfig, mut config: Config) -> Config {
    config.deflate = Some(deflate.clone());
    config
}

#[tokio::test]
async fn every_combination_of_parameters_carries_every_kind_of_message() {
    for bits in 8..=15 {
        for takeover in [false, true] {
            let mut deflate = DeflateConfig::default();
            deflate.threshold = 0;
            deflate.server_max_window_bits = bits;
            deflate.client_max_window_bits = bits;
            deflate.server_no_context_takeover = !takeover;
            deflate.client_no_context_takeover = !takeover;
            exchange(&deflate).await;
        }
    }
}

async fn exchange(deflate: &DeflateConfig) {
    let (ours, theirs) = duplex(1 << 20);
    let client = Client::builder().config(config(deflate, Config::client())).build();
    let acceptor = Acceptor::new().config(config(deflate, Config::server()));
    let (client, server) =
        tokio::join!(client.request("ws://x/").over(ours), acceptor.accept(theirs));
    let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
    let noise: Vec<u8> =
        (0..5000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let messages = [
        Message::text(""),
        Message::text("a"),
        Message::text("abcd".repeat(20_000)),
        Message::binary(noise),
        Message::text("abcd".repeat(20_000)),
    ];
    for message in messages {
        client.send(message.clone()).await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some(message.clone()));
        server.send(message.clone()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(message));
    }
    let mut writer = client.writer(Kind::Text);
    for _ in 0..100 {
        writer.write("piece after piece, ").await.unwrap();
    }
    writer.finish().await.unwrap();
    let mut reader = server.reader().await.unwrap().unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = reader.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    assert_eq!(text, "piece after piece, ".repeat(100).into_bytes());
}

#[tokio::test]
async fn a_message_is_compressed_on_the_wire_unless_it_must_not_be() {
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut deflate = DeflateConfig::default();
    deflate.threshold = 0;
    let config = config(&deflate, Config::server());
    let (mut ws, script) = scripted_after(From::Client, config, extension).await;
    script.allow_write(usize::MAX);
    ws.send("x".repeat(1000)).await.unwrap();
    let options = SendOptions { compress: Compress::Never, ..SendOptions::default() };
    ws.send_with("x".repeat(1000), options).await.unwrap();
    let frames = crate::support::parse_all(&script.written());
    assert!(frames[0].rsv1 && frames[0].payload.len() < 50);
    assert!(!frames[1].rsv1 && frames[1].payload.len() == 1000);
}

#[tokio::test]
async fn a_server_that_was_not_asked_to_does_not_compress() {
    let (ours, theirs) = duplex(1 << 20);
    let client = Client::builder().config(config(&DeflateConfig::default(), Config::client()));
    let acceptor = Acceptor::new();
    let (client, server) =
        tokio::join!(client.build().request("ws://x/").over(ours), acceptor.accept(theirs));
    let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
    client.send("plain".repeat(1000)).await.unwrap();
    assert_eq!(server.recv().await.unwrap().unwrap().as_bytes().len(), 5000);
}
