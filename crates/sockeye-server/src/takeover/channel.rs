//! What two servers say to each other: lines, and descriptors with them.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::cmsg_space;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::TakeoverError;

/// A line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    takeover: u64,
    pub(super) step: Step,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Hello,
    Listeners,
    Ready,
    Draining,
    Refused,
}

/// What a line says whatever its version is.
#[derive(Deserialize)]
struct Versioned {
    takeover: u64,
}

/// The connection of two servers of one user.
pub(super) struct Channel {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Line {
    pub(super) fn of(step: Step) -> Self {
        Self { takeover: VERSION, step, addresses: Vec::new(), reason: None }
    }

    pub(super) fn listeners(addresses: Vec<String>) -> Self {
        Self { addresses, ..Self::of(Step::Listeners) }
    }

    pub(super) fn refused(error: &TakeoverError) -> Self {
        Self { reason: Some(error.to_string()), ..Self::of(Step::Refused) }
    }

    fn parse(line: &[u8]) -> Result<Self, TakeoverError> {
        let foreign = |_| TakeoverError::Broken("no line of it");
        let Versioned { takeover } = serde_json::from_slice(line).map_err(foreign)?;
        if takeover != VERSION {
            return Err(TakeoverError::Version(takeover));
        }
        serde_json::from_slice(line).map_err(foreign)
    }

    /// Returns why a line is of no use that should have been another.
    pub(super) fn unexpected(self) -> TakeoverError {
        match self.step {
            Step::Refused => TakeoverError::Refused(self.reason.unwrap_or_default()),
            _ => TakeoverError::Broken("a step out of order"),
        }
    }
}

impl Channel {
    /// Takes a connection.
    ///
    /// # Errors
    /// It is not known that the other end is of our user.
    pub(super) fn new(stream: UnixStream) -> Result<Self, TakeoverError> {
        Self::with_user(stream, rustix::process::geteuid().as_raw())
    }

    fn with_user(stream: UnixStream, ours: u32) -> Result<Self, TakeoverError> {
        let user = stream.peer_cred()?.uid();
        if user != ours {
            return Err(TakeoverError::User(user));
        }
        Ok(Self { stream, received: Vec::new(), descriptors: Vec::new() })
    }

    /// Says a line, and passes descriptors with it.
    pub(super) async fn send(
        &mut self,
        line: &Line,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), TakeoverError> {
        let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        let sending = async {
            let (mut rest, mut descriptors) = (bytes.as_slice(), descriptors);
            while !rest.is_empty() {
                let send = || send_some(&self.stream, rest, descriptors);
                let count = self.stream.async_io(Interest::WRITABLE, send).await?;
                rest = rest.get(count..).unwrap_or_default();
                descriptors = &[];
            }
            Ok(())
        };
        timeout(PATIENCE, sending).await.map_err(|_| TakeoverError::Late)?
    }

    /// Waits for a line. What descriptors came is taken by [`take_descriptors`](Self::take_descriptors).
    pub(super) async fn receive(&mut self, patience: Duration) -> Result<Line, TakeoverError> {
        let line = timeout(patience, self.line()).await.map_err(|_| TakeoverError::Late)??;
        Line::parse(&line)
    }

    pub(super) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    async fn line(&mut self) -> Result<Vec<u8>, TakeoverError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let rest = self.received.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.received, rest));
            }
            if self.received.len() > LONGEST_LINE {
                return Err(TakeoverError::Broken("a line without an end"));
            }
            let (received, descriptors) = (&mut self.received, &mut self.descriptors);
            let stream = &self.stream;
            let receive = || receive_some(stream, received, descriptors);
            if stream.async_io(Interest::READABLE, receive).await? == 0 {
                return Err(TakeoverError::Gone);
            }
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

/// Sends what there is room for; the descriptors go with the first byte.
fn send_some(
    stream: &UnixStream,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many sockets"));
    }
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::empty())?)
}

/// Receives what has come; returns how many bytes that is, 0 at the end.
fn receive_some(
    stream: &UnixStream,
    received: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; 1024];
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let taken = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RECEIVE)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    for descriptor in descriptors.iter() {
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    // More than we have room for is closed by the system.
    if taken.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MOST_LISTENERS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many sockets"));
    }
    received.extend(bytes.iter().take(taken.bytes));
    Ok(taken.bytes)
}

/// Where the system can, no child that is started meanwhile gets them.
#[cfg(target_os = "linux")]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE: RecvFlags = RecvFlags::empty();

/// The version of what is said here.
const VERSION: u64 = 1;

/// As many addresses as a configuration may have, and room for those of other uses.
pub(super) const MOST_LISTENERS: usize = 64;

const SPACE: usize = cmsg_space!(ScmRights(MOST_LISTENERS));

/// Bytes of a line: 64 addresses have room.
const LONGEST_LINE: usize = 32 << 10;

/// How long a step may take that is done at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    // SIG-017
    #[tokio::test]
    async fn other_end_that_is_of_another_user_is_not_talked_to() {
        let ours = rustix::process::geteuid().as_raw();
        let pair = || UnixStream::pair().unwrap();
        let ((a, _b), (c, _d)) = (pair(), pair());
        assert!(Channel::with_user(a, ours).is_ok());
        let error = Channel::with_user(c, ours + 1).unwrap_err();
        assert!(matches!(error, TakeoverError::User(user) if user == ours), "{error}");
    }
}
