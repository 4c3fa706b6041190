//! A connection whose messages come back.

use sockeye_proto::MessageRef;
use sockeye_reactor::Out;

/// Sends each message back as it was.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Echo {
    pub(super) fn message(self, message: MessageRef<'_>, out: &mut Out<'_>) {
        // One for which there is no room is lost: the client reads none of its echoes.
        let _ = out.send(message);
    }
}
