//! One connection's state.

use std::sync::Arc;
use std::time::Instant;

use sockeye_hub::{Label, Message};

use super::host::{Host, Verdict};
use super::settings::Service;
use crate::auth::{Grant, Moment};

/// One connection that speaks the protocol.
#[derive(Debug)]
pub struct Session {
    service: Arc<Service>,
    client: Label,
    grant: Grant,
}

impl Session {
    /// Begins a session: welcomes the client.
    pub fn open(
        service: Arc<Service>,
        client: Label,
        grant: Grant,
        _now: Moment,
        _host: &mut impl Host,
    ) -> Self {
        Self { service, client, grant }
    }

    /// Takes a text frame.
    pub fn receive(&mut self, _text: &str, _now: Moment, _host: &mut impl Host) {}

    /// Takes a binary frame, which the protocol does not have.
    pub fn receive_binary(&mut self, _now: Moment, _host: &mut impl Host) {}

    /// Takes the answer to a question of [`Host::ask`].
    pub fn answered(&mut self, _number: u64, _: Verdict, _now: Moment, _host: &mut impl Host) {}

    /// Takes note of a live message that the host holds back.
    pub fn lagged(&mut self, _missed: &Message, _now: Moment, _host: &mut impl Host) {}

    /// Sends what was held back, as far as there still is any.
    pub fn resume(&mut self, _now: Moment, _host: &mut impl Host) {}

    /// Returns when [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Moment, _host: &mut impl Host) {}

    /// Ends the session: leaves all topics. To be called when the connection is gone.
    pub fn end(&mut self, _now: Moment, _host: &mut impl Host) {}
}
