//! Clients that want to be woken at a moment: a token ends, a stream has been silent for long.
//!
//! One task for all of them, and one entry each, which is a fifth of what a timer of their own takes;
//! none needs it to the millisecond.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use sockeye_proto::handler::Sender;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::subscriber::Mailbox;

/// The alarms that are set. One that is no longer wanted and not cancelled rings all the same: whoever
/// is woken looks whether its time has come.
#[derive(Default)]
pub struct Alarms {
    set: Mutex<Set>,
    sooner: Notify,
}

#[derive(Default)]
struct Set {
    sleepers: BTreeMap<Alarm, Sleeper>,
    /// How many have been set so far.
    count: u64,
}

/// An alarm that was set. The soonest is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    pub(crate) at: Instant,
    number: u64,
}

// One for each stream, of which there are many.
const _: () = assert!(size_of::<(Alarm, Sleeper)>() <= 48);

/// Who is woken.
pub(crate) enum Sleeper {
    /// The handler of a connection on the reactor.
    Handler(Sender),
    /// The task of a subscriber, if it is still there.
    Task(Weak<Mailbox>),
}

impl Sleeper {
    fn wake(self) {
        match self {
            Self::Handler(connection) => connection.wake(),
            Self::Task(mailbox) => mailbox.upgrade().iter().for_each(|mailbox| mailbox.wake()),
        }
    }
}

impl From<Sender> for Sleeper {
    fn from(connection: Sender) -> Self {
        Self::Handler(connection)
    }
}

impl From<&Arc<Mailbox>> for Sleeper {
    fn from(mailbox: &Arc<Mailbox>) -> Self {
        Self::Task(Arc::downgrade(mailbox))
    }
}

impl Alarms {
    /// Wakes somebody at a moment.
    pub(crate) fn set(&self, at: Instant, whom: impl Into<Sleeper>) -> Alarm {
        let (alarm, is_first) = {
            let mut set = self.lock();
            set.count += 1;
            let alarm = Alarm { at, number: set.count };
            let is_first = set.sleepers.first_key_value().is_none_or(|(first, _)| alarm < *first);
            set.sleepers.insert(alarm, whom.into());
            (alarm, is_first)
        };
        if is_first {
            self.sooner.notify_one();
        }
        alarm
    }

    /// Takes an alarm back.
    pub(crate) fn cancel(&self, alarm: Alarm) {
        self.lock().sleepers.remove(&alarm);
    }

    /// Rings for as long as it is awaited.
    pub async fn ring(self: Arc<Self>) {
        loop {
            let Some(next) = self.ring_due(Instant::now()) else {
                self.sooner.notified().await;
                continue;
            };
            // Until then, or until there is a sooner one.
            let _ = timeout_at(next.into(), self.sooner.notified()).await;
        }
    }

    /// Rings those that are due; returns when the next is.
    fn ring_due(&self, now: Instant) -> Option<Instant> {
        let mut set = self.lock();
        loop {
            let next = set.sleepers.first_entry()?;
            if next.key().at > now {
                return Some(next.key().at);
            }
            next.remove().wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarms").field("set", &self.lock().sleepers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use sockeye_proto::handler::Remote;
    use sockeye_proto::{CloseCode, PreparedMessage, Utf8Bytes};

    use super::*;

    /// Tells which connections are woken.
    struct Bell(mpsc::Sender<u64>);

    impl Remote for Bell {
        fn send(&self, _: u64, _: Arc<PreparedMessage>) {}

        fn wake(&self, connection: u64) {
            self.0.send(connection).unwrap();
        }

        fn close(&self, _: u64, _: CloseCode, _: Utf8Bytes) {}
    }

    #[tokio::test(start_paused = true)]
    async fn alarms_ring_in_the_order_of_their_times_whenever_they_were_set() {
        let (rung, bell) = mpsc::channel();
        let bell: (Arc<dyn Remote>, _) = (Arc::new(Bell(rung)), bell);
        let alarms = Arc::new(Alarms::default());
        let start = Instant::now();
        let set = |connection, seconds| {
            let sender = Sender::new(bell.0.clone(), connection);
            alarms.set(start + Duration::from_secs(seconds), sender)
        };
        set(2, 20);
        set(1, 10);
        set(3, 20);
        alarms.cancel(set(5, 12));
        assert_eq!(alarms.ring_due(start), Some(start + Duration::from_secs(10)));
        let after = alarms.ring_due(start + Duration::from_secs(11));
        assert_eq!(after, Some(start + Duration::from_secs(20)));
        assert_eq!(bell.1.try_iter().collect::<Vec<_>>(), [1]);
        set(4, 15);
        assert_eq!(alarms.ring_due(start + Duration::from_secs(20)), None);
        let mut rest: Vec<_> = bell.1.try_iter().collect();
        rest[1..].sort_unstable();
        assert_eq!(rest, [4, 2, 3]);
    }

    #[tokio::test]
    async fn alarm_that_is_set_while_nobody_waits_rings_at_once_if_it_is_due() {
        let (rung, bell) = mpsc::channel();
        let alarms = Arc::new(Alarms::default());
        let ringing = tokio::spawn(alarms.clone().ring());
        tokio::task::yield_now().await;
        alarms.set(Instant::now(), Sender::new(Arc::new(Bell(rung)), 7));
        let rung = tokio::task::spawn_blocking(move || bell.recv_timeout(Duration::from_secs(20)));
        assert_eq!(rung.await.unwrap(), Ok(7));
        ringing.abort();
    }
}
