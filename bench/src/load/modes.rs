//! What is done to a server, and what is told of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::frame::append_masked;
use super::link;
use super::message::Data;
use super::server::Server;
use super::swarm::{Answer, Swarm, run_for};
use super::{Failure, Load};

/// Keeps messages in flight on every connection.
pub(super) fn echo(load: &Load, server: &Server) -> Result<Value, Failure> {
    let mut swarm = Swarm::open(load)?;
    swarm.send_all(load.in_flight)?;
    let mut told = measure(load, server, || {
        swarm.turn(Answer::Another)?;
        Ok(swarm.received())
    })?;
    if load.data == Data::Deflated {
        let sent = swarm.received() * load.size as u64;
        let ratio = swarm.wire() as f64 / sent as f64;
        told["compressed to"] = json!((ratio * 1e3).round() / 1e3);
        told["extensions"] = json!(swarm.extensions());
    }
    Ok(told)
}

/// Publishes on one connection what all receive. As many messages as may be in flight leave in one write, the next
/// when the last have come everywhere.
pub(super) fn broadcast(load: &Load, server: &Server) -> Result<Value, Failure> {
    let mut swarm = Swarm::open(load)?;
    let each = (load.in_flight * load.connections) as u64;
    let mut due = 0;
    measure(load, server, || {
        if swarm.received() == due {
            due += each;
            swarm.send(0, load.in_flight)?;
        }
        swarm.turn(Answer::Nothing)?;
        Ok(swarm.received())
    })
}

/// Opens connections that exchange a message each, and tells what memory they hold.
pub(super) fn idle(load: &Load, server: &Server) -> Result<Value, Failure> {
    let before = server.private_memory()?;
    let mut swarm = Swarm::open(load)?;
    for nth in 0..load.connections {
        swarm.send(nth, 1)?;
        while swarm.received() <= nth as u64 {
            swarm.turn(Answer::Nothing)?;
        }
    }
    std::thread::sleep(SETTLE);
    let held = server.private_memory()?.saturating_sub(before);
    let each = (held as f64 / load.connections as f64).round();
    Ok(json!({ "count": load.connections, "private bytes": each }))
}

/// Opens connections and closes them, as many together as there are to be connections.
pub(super) fn handshake(load: &Load, server: &Server) -> Result<Value, Failure> {
    let mut opened = 0;
    measure(load, server, || {
        let mut streams = Vec::with_capacity(load.connections);
        for _ in 0..load.connections {
            streams.push(link::dial(load, opened)?);
            opened += 1;
        }
        streams.iter_mut().try_for_each(|stream| link::request(stream, load))?;
        streams.iter_mut().try_for_each(|stream| link::response(stream, load).map(drop))?;
        streams.iter_mut().try_for_each(close)?;
        streams.iter_mut().try_for_each(closed)?;
        Ok(opened as u64)
    })
}

/// Takes turns through the warm-up and the window, and tells what each thing done in the window took.
/// A turn returns how many have been done since the beginning.
fn measure(
    load: &Load,
    server: &Server,
    mut turn: impl FnMut() -> Result<u64, Failure>,
) -> Result<Value, Failure> {
    let mut done = 0;
    run_for(WARM_UP, || turn().map(|count| done = count))?;
    let (before, start) = (done, server.usage()?);
    run_for(load.window, || turn().map(|count| done = count))?;
    let end = server.usage()?;
    if done == before {
        return Err("nothing was done in the window".into());
    }
    Ok(start.per(&end, done - before))
}

/// Sends a Close frame.
fn close(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut frame = Vec::new();
    append_masked(&mut frame, 0x8, &1000_u16.to_be_bytes(), [1, 2, 3, 4]);
    Ok(stream.write_all(&frame)?)
}

/// Waits until the server has closed as well.
fn closed(stream: &mut TcpStream) -> Result<(), Failure> {
    let deadline = Instant::now() + link::PATIENCE;
    let mut buffer = [0; 64];
    while Instant::now() < deadline {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // It has closed with the Close frame of the client unread, or nearly.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(format!("the server did not hang up: {error}").into()),
        }
    }
    Err("the server did not hang up".into())
}

const WARM_UP: Duration = Duration::from_millis(300);
/// Time for a server to let go of what it only needed in passing.
const SETTLE: Duration = Duration::from_millis(300);
