//! The clients that are connected, whatever door they came by: who they are, and how to part with
//! them.
//!
//! An entry is made when a WebSocket has opened, a stream begins or a poll waits, and goes with it. It
//! holds what has to be looked up and nothing that can be derived: there may be a million.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use sockeye::CloseCode;
use sockeye_hub::{Epoch, TopicName};
use sockeye_proto::handler::Sender;

use crate::metrics::{Metrics, Transport};
use crate::subscriber::Mailbox;

/// The clients of a server, and what is counted of them.
pub struct Clients {
    metrics: Arc<Metrics>,
    epoch: Epoch,
    started: Instant,
    last: AtomicU64,
    entries: Mutex<BTreeMap<u64, Box<Entry>>>,
    /// Over how much time clients are to come back, once the server stops.
    stopping: OnceLock<Duration>,
}

/// What is kept of a client.
pub(crate) struct Entry {
    pub(crate) link: Link,
    pub(crate) transport: Transport,
    pub(crate) ip: IpAddr,
    /// Who it is, as its grant says.
    pub(crate) subject: Option<Box<str>>,
    pub(crate) topics: Topics,
    /// When it came, in seconds since the start.
    at: u32,
}

// One for each of a million clients.
const _: () = assert!(size_of::<Entry>() <= 96);

/// How a client is reached.
pub(crate) enum Link {
    /// On the reactor.
    Socket(Sender),
    /// By the task that serves it.
    Task(Arc<Mailbox>),
}

/// Why the server parts with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// The client is to go.
    Dismissed,
    /// The server stops, and clients are to come back over so much time.
    Stopping(Duration),
}

/// The topics of a client.
#[derive(Clone)]
pub(crate) enum Topics {
    /// Those that it asked for when it came.
    Fixed(Arc<[TopicName]>),
    /// Those that it has subscribed to by now.
    Changing(Arc<Mutex<Vec<TopicName>>>),
}

/// A client's place among all: it is there from [`Stay::enter`] until this is dropped.
pub(crate) struct Stay {
    clients: Arc<Clients>,
    /// 0 before it has entered.
    number: u64,
}

/// A client as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) transport: Transport,
    pub(crate) ip: IpAddr,
    pub(crate) subject: Option<String>,
    pub(crate) topics: usize,
    /// For how many seconds it has been connected.
    pub(crate) seconds: u64,
}

/// Whom to part with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one with this name.
    Client(String),
    /// All whose grant names this subject.
    Subject(String),
    /// All that have this topic.
    Topic(TopicName),
}

impl Clients {
    /// Makes the list of a server whose life this epoch names.
    pub fn new(epoch: Epoch) -> Self {
        Self {
            metrics: Arc::default(),
            epoch,
            started: Instant::now(),
            last: AtomicU64::new(0),
            entries: Mutex::default(),
            stopping: OnceLock::new(),
        }
    }

    /// Returns what is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns how long the server has been running.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns how many clients there are, those of the echo among them, which are not listed.
    pub(crate) fn len(&self) -> usize {
        let echoes = self.metrics.connections(Transport::Echo).get();
        self.lock().len().saturating_add(usize::try_from(echoes).unwrap_or(usize::MAX))
    }

    /// Returns a number for a client, which no other has in this life of the server.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Returns the name of a client, which no other has in this life of the server or in others.
    pub(crate) fn name(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// Lists clients behind one, at most `limit`; also tells behind whom the next page begins.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> (Vec<Listed>, Option<String>) {
        let after = after.map_or(Some(0), |name| self.number_of(name)).unwrap_or(u64::MAX);
        let entries = self.lock();
        let mut behind = entries.range((Bound::Excluded(after), Bound::Unbounded));
        let page = behind.by_ref().take(limit).map(|(number, entry)| self.listed(*number, entry));
        let page: Vec<_> = page.collect();
        let next = behind.next().and(page.last()).map(|last| last.name.clone());
        (page, next)
    }

    /// Parts with clients; returns with how many. Streams and polls can't be told a code.
    pub(crate) fn disconnect(&self, target: &Target, code: CloseCode, reason: &str) -> usize {
        if let Target::Client(name) = target {
            let number = self.number_of(name);
            let mut entries = self.lock();
            let entry = number.and_then(|number| entries.get_mut(&number));
            return entry.map_or(0, |entry| entry.link.part(code, reason));
        }
        self.count(|entry| if entry.is(target) { entry.link.part(code, reason) } else { 0 })
    }

    /// Parts with all clients of a topic, who are told 1008; returns with how many.
    pub fn disconnect_topic(&self, topic: &TopicName) -> usize {
        self.disconnect(&Target::Topic(topic.clone()), CloseCode::POLICY, "disconnected")
    }

    /// Takes leave of all clients that tasks serve, and of those that come from now on; they are to come
    /// back over so much time. WebSockets are closed where they live.
    pub fn stop(&self, window: Duration) {
        let window = *self.stopping.get_or_init(|| window);
        let _told = self.count(|entry| entry.link.tell(Parting::Stopping(window)));
    }

    /// Returns over how much time clients are to come back, if the server stops.
    pub fn stopping(&self) -> Option<Duration> {
        self.stopping.get().copied()
    }

    /// Does something with each entry; returns the sum of what that returned.
    fn count(&self, mut act: impl FnMut(&mut Entry) -> usize) -> usize {
        let (mut from, mut sum) = (Bound::Unbounded, 0);
        loop {
            // Others want to come and go meanwhile.
            let mut entries = self.lock();
            let mut last = None;
            for (number, entry) in entries.range_mut((from, Bound::Unbounded)).take(BATCH) {
                last = Some(*number);
                sum += act(entry);
            }
            let Some(last) = last else { return sum };
            from = Bound::Excluded(last);
        }
    }

    fn listed(&self, number: u64, entry: &Entry) -> Listed {
        Listed {
            name: self.name(number),
            transport: entry.transport,
            ip: entry.ip,
            subject: entry.subject.as_deref().map(str::to_owned),
            topics: entry.topics.with(<[_]>::len),
            seconds: self.uptime().as_secs().saturating_sub(entry.at.into()),
        }
    }

    /// Reads the number out of a name.
    fn number_of(&self, name: &str) -> Option<u64> {
        let (epoch, number) = name.split_once('-')?;
        let is_own = epoch == self.epoch.to_string();
        number.parse().ok().filter(|_| is_own)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Box<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Entry {
    pub(crate) fn new(
        link: Link,
        transport: Transport,
        (ip, subject): (IpAddr, Option<&str>),
        topics: Topics,
    ) -> Self {
        Self { link, transport, ip, subject: subject.map(Box::from), topics, at: 0 }
    }

    fn is(&self, target: &Target) -> bool {
        match target {
            Target::Client(_) => false,
            Target::Subject(subject) => self.subject.as_deref() == Some(subject),
            Target::Topic(topic) => self.topics.with(|topics| topics.contains(topic)),
        }
    }
}

impl Link {
    /// Parts with the client; returns with how many.
    fn part(&self, code: CloseCode, reason: &str) -> usize {
        match self {
            Self::Socket(sender) => {
                sender.close(code, reason);
                1
            }
            Self::Task(_) => self.tell(Parting::Dismissed),
        }
    }

    /// Tells the client's task, if there is one; returns how many were told.
    fn tell(&self, why: Parting) -> usize {
        match self {
            Self::Socket(_) => 0,
            Self::Task(mailbox) => usize::from(mailbox.part(why)),
        }
    }
}

impl Topics {
    fn with<T>(&self, look: impl FnOnce(&[TopicName]) -> T) -> T {
        match self {
            Self::Fixed(topics) => look(topics),
            Self::Changing(topics) => look(&topics.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// A place that is counted and not listed: that of an echo, of which there is nothing to look up.
pub(crate) struct Seat(Arc<Clients>);

impl Seat {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        clients.metrics.connections(Transport::Echo).add_one();
        Self(clients)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.metrics.connections(Transport::Echo).take_one();
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}

impl Stay {
    pub(crate) fn new(clients: Arc<Clients>) -> Self {
        Self { clients, number: 0 }
    }

    /// Enters a client under its number.
    pub(crate) fn enter(&mut self, number: u64, mut entry: Entry) {
        self.leave();
        entry.at = u32::try_from(self.clients.uptime().as_secs()).unwrap_or(u32::MAX);
        self.number = number;
        self.clients.metrics.connections(entry.transport).add_one();
        let mut entries = self.clients.lock();
        // Whoever comes while the server stops is told under the lock, or found by who tells all.
        if let Some(window) = self.clients.stopping() {
            entry.link.tell(Parting::Stopping(window));
        }
        entries.insert(number, Box::new(entry));
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.clients.metrics
    }

    pub(crate) fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    fn leave(&mut self) {
        let number = std::mem::take(&mut self.number);
        if number == 0 {
            return;
        }
        let left = self.clients.lock().remove(&number);
        if let Some(entry) = left {
            self.clients.metrics.connections(entry.transport).take_one();
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stay").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Entries that are looked at under one lock.
const BATCH: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use sockeye_proto::handler::Remote;
    use sockeye_proto::{PreparedMessage, Utf8Bytes};

    use super::*;

    /// Tells which connections are closed, and how.
    struct Closing(mpsc::Sender<(u64, u16)>);

    impl Remote for Closing {
        fn send(&self, _: u64, _: Arc<PreparedMessage>) {}

        fn wake(&self, _: u64) {}

        fn close(&self, connection: u64, code: CloseCode, _: Utf8Bytes) {
            self.0.send((connection, code.get())).unwrap();
        }
    }

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    fn clients() -> Arc<Clients> {
        Arc::new(Clients::new(Epoch::from_random(1)))
    }

    fn enter(clients: &Arc<Clients>, link: Link, subject: Option<&str>, topics: Topics) -> Stay {
        let mut stay = Stay::new(clients.clone());
        let who = (Ipv4Addr::LOCALHOST.into(), subject);
        stay.enter(clients.number(), Entry::new(link, Transport::Raw, who, topics));
        stay
    }

    #[test]
    fn client_is_listed_and_counted_until_its_stay_ends() {
        let clients = clients();
        let stay =
            enter(&clients, Link::Task(Arc::default()), Some("ann"), Topics::Fixed(Arc::new([])));
        let (page, next) = clients.page(None, 10);
        assert_eq!((page.len(), next), (1, None));
        assert_eq!((page[0].name.as_str(), page[0].subject.as_deref()), ("1-1", Some("ann")));
        assert_eq!(clients.metrics().connections(Transport::Raw).get(), 1);
        drop(stay);
        assert_eq!((clients.len(), clients.page(None, 10).0.len()), (0, 0));
        assert_eq!(clients.metrics().connections(Transport::Raw).get(), 0);
        drop(Stay::new(clients.clone()));
        assert_eq!(clients.metrics().connections(Transport::Raw).get(), 0);
    }

    #[test]
    fn pages_hold_each_client_once_in_the_order_in_which_they_came() {
        let clients = clients();
        let stays: Vec<_> = (0..7)
            .map(|_| enter(&clients, Link::Task(Arc::default()), None, Topics::Fixed(Arc::new([]))))
            .collect();
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = clients.page(after.as_deref(), 3);
            names.extend(page.into_iter().map(|client| client.name));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(names, ["1-1", "1-2", "1-3", "1-4", "1-5", "1-6", "1-7"]);
        for stranger in ["2-1", "1-x", "", "1"] {
            assert!(clients.page(Some(stranger), 3).0.is_empty(), "{stranger}");
        }
        drop(stays);
    }

    // PUB-014
    #[test]
    fn those_who_are_meant_are_told_and_no_others() {
        let clients = clients();
        let (tell, closed) = mpsc::channel();
        let remote: Arc<dyn Remote> = Arc::new(Closing(tell));
        let socket = |number| Link::Socket(Sender::new(remote.clone(), number));
        let joined = Arc::new(Mutex::new(vec![topic("a")]));
        let changing = Topics::Changing(joined.clone());
        let fixed = |name| Topics::Fixed(Arc::new([topic(name)]));
        let _stays = [
            enter(&clients, socket(1), Some("ann"), fixed("a")),
            enter(&clients, socket(2), Some("bob"), changing),
            enter(&clients, socket(3), None, fixed("b")),
        ];
        let task = Arc::<Mailbox>::default();
        let _task = enter(&clients, Link::Task(task.clone()), Some("ann"), fixed("a"));
        let part = |target| {
            let count = clients.disconnect(&target, CloseCode::new(3503), "");
            (count, closed.try_iter().map(|(number, _)| number).collect::<Vec<_>>())
        };
        assert_eq!(part(Target::Subject("ann".into())), (2, vec![1]));
        assert_eq!(task.told(), Some(Parting::Dismissed));
        assert_eq!(part(Target::Topic(topic("a"))), (2, vec![1, 2]), "the task has been told");
        joined.lock().unwrap().clear();
        assert_eq!(part(Target::Topic(topic("a"))), (1, vec![1]));
        assert_eq!(part(Target::Client("1-3".into())), (1, vec![3]));
        for nobody in ["1-9", "2-3", "3"] {
            assert_eq!(part(Target::Client(nobody.into())), (0, vec![]));
        }
    }

    #[test]
    fn who_is_there_and_who_comes_while_the_server_stops_is_told_to_come_back() {
        let clients = clients();
        let stay = || {
            let task = Arc::<Mailbox>::default();
            let link = Link::Task(task.clone());
            (enter(&clients, link, None, Topics::Fixed(Arc::new([]))), task)
        };
        let before = stay();
        assert_eq!((before.1.told(), clients.stopping()), (None, None));
        clients.stop(Duration::from_secs(3));
        // Once is enough.
        clients.stop(Duration::from_secs(9));
        for task in [before.1, stay().1] {
            assert_eq!(task.told(), Some(Parting::Stopping(Duration::from_secs(3))));
        }
    }

    #[test]
    fn everybody_is_found_however_many_there_are() {
        let clients = clients();
        let (tell, closed) = mpsc::channel();
        let remote: Arc<dyn Remote> = Arc::new(Closing(tell));
        let all = 2 * BATCH + 1;
        let stays: Vec<_> = (0..all)
            .map(|_| {
                let link = Link::Socket(Sender::new(remote.clone(), 0));
                enter(&clients, link, Some("ann"), Topics::Fixed(Arc::new([])))
            })
            .collect();
        let parted = clients.disconnect(&Target::Subject("ann".into()), CloseCode::POLICY, "");
        assert_eq!((parted, closed.try_iter().count()), (all, all));
        drop(stays);
        assert_eq!(clients.len(), 0);
    }
}
