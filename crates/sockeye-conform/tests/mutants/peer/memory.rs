//! A peer without a socket: whoever holds it says what a read brings, which TCP leaves to chance.

use std::mem::take;
use std::net::{Ipv4Addr, SocketAddr};

use super::client::TOOK;
use super::echo::{Echo, Phase};
use super::head::{Head, Status};
use super::{Client, Role, server, upgrade};
use crate::fault::Fault;

/// The echo server or the echo client on one connection.
pub(crate) struct Memory {
    role: Role,
    fault: Option<Fault>,
    stage: Stage,
    out: Vec<u8>,
}

enum Stage {
    /// A head of which this much is there.
    Opening(Vec<u8>),
    Open(Box<Echo>),
    Over,
}

impl Memory {
    pub(crate) fn new(role: Role, fault: Option<Fault>) -> Self {
        let request = match role {
            Role::Server => String::new(),
            Role::Client => client(fault).request("/", &upgrade::key(KEY)),
        };
        Self { role, fault, stage: Stage::Opening(Vec::new()), out: request.into_bytes() }
    }

    /// Returns what is to be written.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        take(&mut self.out)
    }

    /// Takes in what one read brought.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Opening(inbox) => {
                inbox.extend_from_slice(bytes);
                let inbox = take(inbox);
                self.stage = match self.role {
                    Role::Server => self.answer(inbox),
                    Role::Client => self.open(inbox),
                };
            }
            Stage::Open(echo) => echo.receive(bytes),
            Stage::Over => {}
        }
        if let Stage::Open(echo) = &mut self.stage {
            self.out.extend(echo.take_output());
        }
    }

    /// Takes in that the other end sends nothing more, and ends the connection.
    pub(crate) fn receive_eof(&mut self) {
        let is_opening = matches!(self.stage, Stage::Opening(_));
        if is_opening && self.role == Role::Client && self.fault == Some(Fault::TakesAnything) {
            self.out.extend(TOOK);
        }
        self.stage = Stage::Over;
    }

    /// Tells whether it has ended the connection.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.stage {
            Stage::Opening(_) => false,
            Stage::Open(echo) => match echo.phase() {
                Phase::Crashed => true,
                Phase::Ended => self.role == Role::Server,
                Phase::Open | Phase::Hung => false,
            },
            Stage::Over => true,
        }
    }

    /// Answers a request, once it is there.
    fn answer(&mut self, inbox: Vec<u8>) -> Stage {
        let answered = Head::read(&inbox, self.fault).and_then(|head| {
            let Some(head) = head else { return Ok(None) };
            upgrade::check_request(&head, self.fault).map(|accepted| Some((accepted, head.size)))
        });
        match answered {
            Ok(Some((accepted, size))) => {
                let (response, echo) = server::open(&accepted, self.fault);
                self.out.extend(response.into_bytes());
                opened(echo, &inbox[size..])
            }
            Ok(None) => Stage::Opening(inbox),
            Err(status) => self.refuse(status),
        }
    }

    fn refuse(&mut self, status: Status) -> Stage {
        self.out.extend(server::refusal(status).into_bytes());
        Stage::Over
    }

    /// Goes on from a response, once it is there.
    fn open(&mut self, mut inbox: Vec<u8>) -> Stage {
        let client = client(self.fault);
        // No case whose outcome hangs on reads sends more than one response.
        match client.take_answer(&mut inbox, &upgrade::key(KEY), &mut 0) {
            Ok(Some(agreed)) => opened(client.open(agreed), &inbox),
            Ok(None) => Stage::Opening(inbox),
            Err(_) if self.fault == Some(Fault::TakesAnything) => {
                self.out.extend(TOOK);
                opened(client.open(None), &inbox)
            }
            Err(_) => Stage::Over,
        }
    }
}

fn opened(mut echo: Echo, first: &[u8]) -> Stage {
    echo.receive_first(first);
    Stage::Open(Box::new(echo))
}

fn client(fault: Option<Fault>) -> Client {
    Client { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 80)), fault }
}

/// What the client's key is made of.
const KEY: u128 = 7;
