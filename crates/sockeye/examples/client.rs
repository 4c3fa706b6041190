//! Sends the lines typed and prints what arrives, until the end of either:
//! `cargo run -p sockeye --example client -- ws://127.0.0.1:9000`.
#![expect(clippy::print_stdout, reason = "what it prints is what it is run for")]

use std::{env, io, thread};

use sockeye::{CloseCode, Message, Result, connect};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9000".to_owned());
    let mut ws = connect(&url).await?;
    let mut lines = lines();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => ws.send(line).await?,
                None => break,
            },
            message = ws.recv() => match message? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(bytes)) => println!("({} bytes)", bytes.len()),
                None => break,
            },
        }
    }
    let end = ws.close(CloseCode::NORMAL, "").await?;
    println!("closed with {:?} {:?}", end.code, end.reason);
    Ok(())
}

/// Reads standard input on a thread of its own, as nothing can interrupt that.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(16);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(io::Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
