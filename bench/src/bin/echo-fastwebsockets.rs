//! An echo server by fastwebsockets, as its example `echo_server` does it, which it runs Autobahn against.
#![forbid(unsafe_code)]

use fastwebsockets::upgrade::{UpgradeFut, is_upgrade_request, upgrade};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use hyper::Request;
use hyper::body::Incoming;
use sockeye_bench::{Answer, MAX_MESSAGE};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    sockeye_bench::serve(|stream| sockeye_bench::serve_http(stream, answer)).await
}

fn answer(mut request: Request<Incoming>) -> Result<Answer, WebSocketError> {
    // The example leaves this check out; the crate's documentation has it.
    if !is_upgrade_request(&request) {
        return Err(WebSocketError::InvalidUpgradeHeader);
    }
    let (response, upgraded) = upgrade(&mut request)?;
    tokio::spawn(async {
        // Most cases end a connection by an error on purpose.
        let _ = tokio::task::unconstrained(echo(upgraded)).await;
    });
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = upgraded.await?;
    ws.set_max_message_size(MAX_MESSAGE);
    // It puts fragments together, and checks texts.
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}
