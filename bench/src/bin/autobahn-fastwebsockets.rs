//! An Autobahn client by fastwebsockets, which does what its example `autobahn_client` does.
#![forbid(unsafe_code)]

use fastwebsockets::handshake::{client, generate_key};
use fastwebsockets::{FragmentCollector, Frame, OpCode, WebSocketError};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye_bench::MAX_MESSAGE;
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> Result<(), WebSocketError> {
    sockeye_bench::drive("fastwebsockets", count, play, report).await
}

async fn connect(url: String) -> Result<FragmentCollector<TokioIo<Upgraded>>, WebSocketError> {
    let uri: hyper::Uri = url.parse().expect("an address");
    let host = uri.authority().expect("a host").as_str().to_owned();
    let stream = TcpStream::connect(&host).await?;
    stream.set_nodelay(true)?;
    let request = Request::get(uri.path_and_query().expect("a path").as_str())
        .header("Host", host)
        .header("Upgrade", "websocket")
        .header("Connection", "upgrade")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Sec-WebSocket-Version", "13")
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let (mut ws, _) = client(&TokioExecutor::new(), request, stream).await?;
    ws.set_max_message_size(MAX_MESSAGE);
    // It puts fragments together, and checks texts.
    Ok(FragmentCollector::new(ws))
}

async fn count(url: String) -> Result<usize, WebSocketError> {
    let mut ws = connect(url).await?;
    let frame = ws.read_frame().await?;
    let count = std::str::from_utf8(&frame.payload).ok().and_then(|text| text.parse().ok());
    ws.write_frame(Frame::close(1000, &[])).await?;
    Ok(count.expect("a number"))
}

async fn play(url: String) -> Result<(), WebSocketError> {
    let mut ws = connect(url).await?;
    loop {
        let frame = match ws.read_frame().await {
            Ok(frame) => frame,
            Err(_) => return ws.write_frame(Frame::close_raw(vec![].into())).await,
        };
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => {
                ws.write_frame(Frame::new(true, frame.opcode, None, frame.payload)).await?;
            }
            _ => {}
        }
    }
}

async fn report(url: String) -> Result<(), WebSocketError> {
    connect(url).await?.write_frame(Frame::close(1000, &[])).await
}
