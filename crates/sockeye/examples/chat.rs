//! A chat with a room for each path: `cargo run -p sockeye --example chat`, then several times
//! `cargo run -p sockeye --example client -- ws://127.0.0.1:9000/lobby`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sockeye::{Incoming, Message, Result, Sender, Server, WebSocket};

/// The sending halves of everybody, by room.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<HashMap<String, Vec<Sender>>>>);

#[tokio::main]
async fn main() -> Result<()> {
    let rooms = Rooms::default();
    Server::bind("127.0.0.1:9000")
        .route("/{room}", move |ws, request| chat(rooms.clone(), ws, request))
        .serve()
        .await
}

async fn chat(rooms: Rooms, ws: WebSocket, request: Incoming) -> Result<()> {
    let room = request.param("room").unwrap_or_default();
    let (sender, mut receiver) = ws.split();
    rooms.visit(room, |members| members.push(sender));
    let ended = loop {
        match receiver.recv().await {
            Ok(Some(message)) => rooms.say(room, &message),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    rooms.visit(room, |members| members.retain(|member| !member.is_closed()));
    ended
}

impl Rooms {
    /// Sends a message to all; who has too much unread already misses it, so that nobody waits.
    fn say(&self, room: &str, message: &Message) {
        self.visit(room, |members| {
            for member in members {
                let _ = member.try_send(message.clone());
            }
        });
    }

    /// Enters a room, and closes it behind the last member.
    fn visit(&self, room: &str, act: impl FnOnce(&mut Vec<Sender>)) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let members = rooms.entry(room.to_owned()).or_default();
        act(members);
        if members.is_empty() {
            rooms.remove(room);
        }
    }
}
