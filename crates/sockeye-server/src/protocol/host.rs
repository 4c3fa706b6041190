//! What a session asks of whoever holds its connection.

use std::fmt;
use std::sync::Arc;

use sockeye_hub::{Listener, Publication, TopicName};

use crate::auth::{Act, Denied, Grant};
use crate::hook::Answer;

/// The connection of a session, and the way of live messages to it.
///
/// A host keeps one listener for all its connections of this protocol. The listener puts what the
/// hub gives it into a mailbox; the host takes the messages out in their order, renders each once
/// ([`write_message`](crate::envelope::write_message)) and gives it to each connection that
/// follows its topic from before its number. It does so after the call of the session, not within.
///
/// A connection for which too much waits is given nothing live: the host calls
/// [`Session::held_back`](super::Session::held_back) for each message of a followed topic that it holds
/// back, and holds back all as long as [`Session::is_behind`](super::Session::is_behind). Once
/// enough has been read it calls [`Session::resume`](super::Session::resume). As long as too much
/// waits it gives the session no commands either, since their answers wait as well.
pub trait Host {
    /// Sends a text frame, in the order of the calls.
    fn send(&mut self, text: &str);

    /// Returns the listener that stands for this connection.
    fn listener(&self) -> &Arc<dyn Listener>;

    /// Gives the connection, before this returns, what it follows and is on its way in the mailbox,
    /// up to the number `to`; it is not given again later. However much waits, nothing is held back
    /// here, so that what is sent next comes after everything up to `to`.
    fn catch_up(&mut self, to: u64);

    /// Gives the connection from now on the messages of a topic that have a number above `after`.
    /// What it followed of that topic before is forgotten.
    fn follow(&mut self, topic: &TopicName, after: u64);

    /// Gives the connection no more messages of a topic.
    fn unfollow(&mut self, topic: &TopicName);

    /// Finds out what takes waiting, and calls [`Session::answered`](super::Session::answered)
    /// with the same number later, not within.
    fn ask(&mut self, number: u64, question: Question);

    /// Closes the connection, after what was sent. The session has left everything.
    fn close(&mut self, code: u16, reason: &'static str);

    /// Takes note that the client sends more than it may; called once for each connection.
    fn rate_exceeded(&mut self);
}

/// What a session wants to know, and can't find out without waiting. `Debug` shows no token.
#[derive(Clone)]
pub enum Question {
    /// What does a new token of the client allow? To be answered with [`Verdict::Admitted`].
    Admit {
        /// The token.
        token: String,
    },
    /// What becomes of a message that somebody answers, if the client may publish it? To be answered
    /// with [`Verdict::Relayed`].
    Relay {
        /// The message.
        publication: Publication,
        /// Under this grant.
        grant: Arc<Grant>,
    },
    /// May the client do this ([`Auth::permit`](crate::auth::Auth::permit))? To be answered with
    /// [`Verdict::Permitted`].
    Permit {
        /// What.
        act: Act,
        /// With each of these topics.
        topics: Vec<TopicName>,
        /// Under this grant.
        grant: Arc<Grant>,
    },
}

/// What a [`Question`] is answered with.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// What the token allows, or why nothing.
    Admitted(Result<Arc<Grant>, Denied>),
    /// What becomes of the message, or why nothing.
    Relayed(Result<Answer, Denied>),
    /// For each topic of the question, in its order, whether the client may.
    Permitted(Vec<Result<(), Denied>>),
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admit { .. } => f.debug_struct("Admit").finish_non_exhaustive(),
            Self::Relay { publication, .. } => {
                f.debug_struct("Relay").field("publication", publication).finish_non_exhaustive()
            }
            Self::Permit { act, topics, .. } => {
                f.debug_struct("Permit").field("act", act).field("topics", topics).finish()
            }
        }
    }
}
