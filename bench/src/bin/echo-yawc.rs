//! An echo server by yawc, as its example `autobahn_server` does it, with hyper in place of axum. With `feed` it batches, with
//! the buffers that its own comparison gives it.
#![forbid(unsafe_code)]

use futures_util::{SinkExt, StreamExt};
use hyper::Request;
use hyper::body::Incoming;
use sockeye_bench::{Answer, Form, MAX_MESSAGE, echo_in_batches, form};
use yawc::{Frame, OpCode, Options, Result, UpgradeFut, WebSocket};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    sockeye_bench::serve(|stream| sockeye_bench::serve_http(stream, answer)).await
}

fn answer(mut request: Request<Incoming>) -> Result<Answer> {
    // Texts are not checked by default. Limits are exclusive. The compression is the example's but for its level: that
    // one stores instead of compressing.
    let mut options = Options::default()
        .with_utf8()
        .with_limits(MAX_MESSAGE + 1, MAX_MESSAGE + 1)
        .with_low_latency_compression();
    if form() == Form::Feed {
        options = options.with_read_buffer_capacity(128 << 10).with_backpressure_boundary(64 << 10);
    }
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(async {
        // Most cases end a connection by an error on purpose.
        let _ = echo(upgraded).await;
    });
    Ok(response.map(|_| Default::default()))
}

async fn echo(upgraded: UpgradeFut) -> Result<()> {
    let mut ws = upgraded.await?;
    if form() == Form::Feed {
        return echo_in_batches(&mut ws, |frame| Ok(answer_to(frame))).await;
    }
    while let Some(frame) = ws.next().await {
        if let Some(answer) = answer_to(frame) {
            ws.send(answer).await?;
        }
    }
    Ok(())
}

fn answer_to(frame: Frame) -> Option<Frame> {
    let (opcode, _, payload) = frame.into_parts();
    matches!(opcode, OpCode::Text | OpCode::Binary).then(|| Frame::from((opcode, payload)))
}
