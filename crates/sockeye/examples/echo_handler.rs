//! The echo server in the callback form: `cargo run --example echo_handler`, then
//! `sockeye connect ws://127.0.0.1:9000`.

use sockeye::{MessageRef, Out, Result, Server};

#[tokio::main]
async fn main() -> Result<()> {
    let echo = |message: MessageRef<'_>, out: &mut Out<'_>| {
        // A peer that does not read what it asked for is not read from meanwhile.
        let _ = out.send(message);
    };
    Server::bind("127.0.0.1:9000").handle("/", move |_request| echo).serve().await
}
