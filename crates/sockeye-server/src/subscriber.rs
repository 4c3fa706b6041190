//! A subscriber of its own: what it has missed, then what is published, one item at a time.
//!
//! For doors that serve each client by a task: streams, polls, SockJS, Socket.IO. Publishing only
//! puts a message into the subscriber's queue and wakes its task, so that a reader that stalls
//! delays nobody; what becomes of a full queue is for the topics' rules.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sockeye_hub::{
    Gap, Hub, Id, Item, Joined, Listener, Message, Queue, QueueLimits, Refused, Since, TopicName,
};

use crate::clients::Parting;

/// Gets the messages of topics, in the order of each topic, and the gaps among them. Leaves its
/// topics when it is dropped.
pub struct Subscriber {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
    topics: Vec<TopicName>,
    /// What was missed, before anything live.
    backlog: VecDeque<Item>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is added to what waits.
    Closed,
    Open,
}

/// What became of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscribed {
    /// Where the subscriber stands before the first message that it gets, and once it has been
    /// told of the gaps.
    pub cursor: Id,
    /// How many topics have gaps.
    pub gaps: usize,
    /// The topics that could not be joined, and why.
    pub refused: Vec<(TopicName, Refused)>,
}

/// Where publishers put messages for a subscriber, and where it is told that it has to leave.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    queue: Queue,
    waker: Option<Waker>,
    /// What wakes it.
    wakes: Wakes,
    /// Why the subscriber has to leave.
    parting: Option<Parting>,
    /// Whether it knows.
    has_heard: bool,
    /// From when on nothing is added, by the clock of the messages.
    ends: Option<Duration>,
}

/// What wakes whoever waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wakes {
    /// Messages and all else.
    #[default]
    Messages,
    /// All but messages: those that wait can't be taken yet.
    Parting,
}

impl Subscriber {
    /// Makes a subscriber without topics, for which so much may wait.
    pub fn new(hub: Arc<Hub>, limits: QueueLimits) -> Self {
        let waiting = Waiting { queue: Queue::new(limits), ..Waiting::default() };
        let mailbox = Arc::new(Mailbox(Mutex::new(waiting)));
        Self { hub, mailbox, topics: Vec::new(), backlog: VecDeque::new(), state: State::Open }
    }

    /// Joins topics; those that it is in already are passed over. Their gaps and what was missed
    /// come next, in order over all of them, and then what is live.
    pub fn subscribe(&mut self, topics: &[TopicName], since: Since, now: Duration) -> Subscribed {
        let new: Vec<_> = topics.iter().filter(|topic| !self.has(topic)).cloned().collect();
        let Joined { recovered, gaps, refused, cursor, .. } =
            self.hub.subscribe(&new, since, &self.listener(), now);
        self.topics.reserve_exact(new.len());
        for topic in new {
            if !self.has(&topic) && refused.iter().all(|(name, _)| *name != topic) {
                self.topics.push(topic);
            }
        }
        let cursor = match recovered.first() {
            Some(first) => Id { seq: first.id.seq.saturating_sub(1), ..first.id },
            None => cursor,
        };
        // What is refused was looked for all the same, but is nobody's to get.
        let joined =
            |message: &Arc<Message>| refused.iter().all(|(name, _)| *name != message.topic);
        let count = gaps.len();
        self.backlog.extend(gaps.into_iter().map(Item::Gap));
        self.backlog.extend(recovered.into_iter().filter(joined).map(Item::Message));
        Subscribed { cursor, gaps: count, refused }
    }

    /// Leaves a topic, of which nothing comes any more. Tells whether it was in it.
    pub fn unsubscribe(&mut self, topic: &TopicName) -> bool {
        let Some(place) = self.topics.iter().position(|one| one == topic) else {
            return false;
        };
        let topic = self.topics.swap_remove(place);
        self.hub.unsubscribe(&topic, &self.listener());
        self.mailbox.lock().queue.forget(&topic);
        self.backlog.retain(|item| match item {
            Item::Gap(gap) => gap.topic != topic,
            Item::Message(message) => message.topic != topic,
        });
        true
    }

    /// Returns the topics that it is in.
    pub fn topics(&self) -> &[TopicName] {
        &self.topics
    }

    /// Returns the gaps that stand before anything else, and takes them out.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        let is_gap = |item: &&Item| matches!(item, Item::Gap(_));
        let count = self.backlog.iter().take_while(is_gap).count();
        let gaps = self.backlog.drain(..count).filter_map(|item| match item {
            Item::Gap(gap) => Some(gap),
            Item::Message(_) => None,
        });
        gaps.collect()
    }

    /// Returns what comes next if it is there.
    pub fn try_next(&mut self) -> Option<Item> {
        self.backlog.pop_front().or_else(|| self.mailbox.lock().queue.pop())
    }

    /// Returns what comes next; `None` when nothing more comes: it was closed, or has read too
    /// slowly and must come back with its cursor.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if let Some(item) = self.backlog.pop_front() {
            return Poll::Ready(Some(item));
        }
        let mut waiting = self.mailbox.lock();
        if let Some(item) = waiting.queue.pop() {
            return Poll::Ready(Some(item));
        }
        if self.state == State::Closed || waiting.queue.has_overflowed() {
            return Poll::Ready(None);
        }
        waiting.wake_later(context, Wakes::Messages);
        Poll::Pending
    }

    /// Gets nothing that is published from a moment on, by the clock of the messages, however late what
    /// was published before is read.
    pub(crate) fn end_at(&mut self, ends: Duration) {
        self.mailbox.lock().ends = Some(ends);
    }

    /// Waits until it has to leave; this is ready once.
    pub(crate) fn poll_parting(&mut self, context: &mut Context<'_>) -> Poll<Parting> {
        let mut waiting = self.mailbox.lock();
        if let Some(why) = waiting.unheard() {
            waiting.has_heard = true;
            return Poll::Ready(why);
        }
        waiting.wake_later(context, Wakes::Messages);
        Poll::Pending
    }

    /// Returns where it can be woken, and told that it has to leave.
    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Item> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// Leaves all topics; what waits still comes, and then the end.
    pub fn close(&mut self) {
        self.leave_all();
        self.state = State::Closed;
    }

    /// Tells whether it has read too slowly, so that nothing is added to what waits.
    pub fn has_overflowed(&self) -> bool {
        self.mailbox.lock().queue.has_overflowed()
    }

    /// Returns how many messages were dropped because it read too slowly.
    pub fn dropped(&self) -> u64 {
        self.mailbox.lock().queue.dropped()
    }

    fn has(&self, topic: &TopicName) -> bool {
        self.topics.contains(topic)
    }

    fn leave_all(&mut self) {
        let listener = self.listener();
        for topic in self.topics.drain(..) {
            self.hub.unsubscribe(&topic, &listener);
        }
    }

    fn listener(&self) -> Arc<dyn Listener> {
        self.mailbox.clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.leave_all();
    }
}

impl std::fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscriber").field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Mailbox {
    /// Tells the subscriber that it has to leave, unless it has been told. One that is dismissed gets
    /// nothing that is published from now on.
    pub(crate) fn part(&self, why: Parting) -> bool {
        let mut waiting = self.lock();
        if waiting.parting.is_some() {
            return false;
        }
        waiting.parting = Some(why);
        drop(waiting);
        self.wake();
        true
    }

    /// Waits until the subscriber is dismissed, while it can take no messages.
    pub(crate) fn poll_dismissed(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        if waiting.parting == Some(Parting::Dismissed) {
            return Poll::Ready(());
        }
        waiting.wake_later(context, Wakes::Parting);
        Poll::Pending
    }

    /// Wakes whoever waits at the subscriber.
    pub(crate) fn wake(&self) {
        let waker = self.lock().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// Returns what the subscriber has been told and has not heard.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Option<Parting> {
        self.lock().unheard()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Returns why the subscriber has to leave, if it does not know.
    fn unheard(&self) -> Option<Parting> {
        self.parting.filter(|_| !self.has_heard)
    }

    /// Tells whether a message is none of the subscriber's any more.
    fn is_over_for(&self, message: &Message) -> bool {
        self.parting == Some(Parting::Dismissed) || self.ends.is_some_and(|ends| message.at >= ends)
    }

    fn wake_later(&mut self, context: &Context<'_>, wakes: Wakes) {
        self.wakes = wakes;
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            self.waker = Some(context.waker().clone());
        }
    }
}

impl Listener for Mailbox {
    fn deliver(&self, message: &Arc<Message>) {
        let waker = {
            let mut waiting = self.lock();
            if waiting.is_over_for(message) {
                return;
            }
            waiting.queue.push(message.clone());
            if waiting.wakes == Wakes::Messages { waiting.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use sockeye_hub::{Epoch, Limits, Payload, Publication, Rules, TopicRules};

    use super::*;

    const T0: Duration = Duration::ZERO;

    fn topic(name: &str) -> TopicName {
        name.parse().unwrap()
    }

    fn hub() -> Arc<Hub> {
        let mut rules = TopicRules::default();
        rules.history.messages = 3;
        Arc::new(Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default()))
    }

    fn say(hub: &Hub, name: &str) -> u64 {
        hub.publish(Publication::new(topic(name), Payload::text("x")), T0).unwrap().id.seq
    }

    fn after(seq: u64) -> Since {
        Since::After(Id { epoch: Epoch::from_random(1), seq })
    }

    /// Takes all that is there: numbers of messages, 0 for a gap.
    fn drain(subscriber: &mut Subscriber) -> Vec<u64> {
        let items = std::iter::from_fn(|| subscriber.try_next());
        let seq = |item| match item {
            Item::Gap(_) => 0,
            Item::Message(message) => message.id.seq,
        };
        items.map(seq).collect()
    }

    // REC-009, REC-011
    #[test]
    fn what_was_missed_comes_before_what_is_live_and_nothing_twice() {
        let hub = hub();
        for name in ["a", "b", "c", "a"] {
            say(&hub, name);
        }
        let mut subscriber = Subscriber::new(hub.clone(), QueueLimits::default());
        let topics = [topic("a"), topic("b"), topic("a")];
        let subscribed = subscriber.subscribe(&topics, after(1), T0);
        assert_eq!((subscribed.cursor.seq, subscribed.refused), (1, vec![]));
        for name in ["b", "c", "a"] {
            say(&hub, name);
        }
        assert_eq!(drain(&mut subscriber), [2, 4, 5, 7]);
        assert_eq!(hub.info(&topics[0], T0).subscribers, 1);
        subscriber.subscribe(&topics, after(0), T0);
        assert_eq!(drain(&mut subscriber), [0; 0], "it is in them already");
    }

    // REC-010
    #[test]
    fn cursor_stands_behind_the_gaps_and_before_the_first_message() {
        let hub = hub();
        for _ in 0..5 {
            say(&hub, "a");
        }
        let mut subscriber = Subscriber::new(hub.clone(), QueueLimits::default());
        let subscribed = subscriber.subscribe(&[topic("a"), topic("b")], after(0), T0);
        assert_eq!(subscribed.cursor.seq, 2);
        let gaps = subscriber.take_gaps();
        assert_eq!((gaps.len(), gaps[0].before), (1, 3));
        assert_eq!(drain(&mut subscriber), [3, 4, 5]);
        let mut subscriber = Subscriber::new(hub, QueueLimits::default());
        let subscribed = subscriber.subscribe(&[topic("b")], Since::Now, T0);
        assert_eq!(subscribed.cursor.seq, 5);
    }

    #[test]
    fn topic_that_was_left_gives_nothing_more_and_the_others_stay() {
        let hub = hub();
        say(&hub, "a");
        say(&hub, "b");
        let mut subscriber = Subscriber::new(hub.clone(), QueueLimits::default());
        subscriber.subscribe(&[topic("a"), topic("b")], Since::Oldest, T0);
        say(&hub, "a");
        say(&hub, "b");
        assert!(subscriber.unsubscribe(&topic("a")));
        assert!(!subscriber.unsubscribe(&topic("a")));
        say(&hub, "a");
        assert_eq!(drain(&mut subscriber), [2, 4]);
        assert_eq!(subscriber.topics(), [topic("b")]);
    }

    #[test]
    fn topic_that_is_refused_gives_nothing_and_is_named() {
        let mut limits = Limits::default();
        limits.topics = 1;
        let hub = Arc::new(Hub::new(Epoch::from_random(1), Rules::default(), limits));
        say(&hub, "a");
        let mut subscriber = Subscriber::new(hub, QueueLimits::default());
        let subscribed = subscriber.subscribe(&[topic("a"), topic("b")], Since::Oldest, T0);
        assert_eq!(subscribed.refused.len(), 1);
        assert_eq!((subscribed.refused[0].0.as_str(), subscriber.topics().len()), ("b", 1));
        assert_eq!(drain(&mut subscriber), [1]);
    }

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn subscriber_is_told_once_that_it_has_to_leave_and_is_woken_for_it() {
        let mut subscriber = Subscriber::new(hub(), QueueLimits::default());
        let (mailbox, wakes) = (subscriber.mailbox().clone(), Arc::new(Bell::default()));
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(subscriber.poll_parting(&mut context).is_pending());
        assert!(mailbox.part(Parting::Dismissed));
        assert!(!mailbox.part(Parting::Stopping(T0)));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(subscriber.poll_parting(&mut context), Poll::Ready(Parting::Dismissed));
        assert!(!mailbox.part(Parting::Dismissed));
        assert!(subscriber.poll_parting(&mut context).is_pending());
    }

    #[test]
    fn nothing_comes_that_is_published_after_the_end_however_late_the_rest_is_read() {
        let hub = hub();
        let at = |seconds| {
            let publication = Publication::new(topic("a"), Payload::text("x"));
            hub.publish(publication, Duration::from_secs(seconds)).unwrap();
        };
        let subscriber = || {
            let mut one = Subscriber::new(hub.clone(), QueueLimits::default());
            one.subscribe(&[topic("a")], Since::Now, T0);
            one
        };
        let (mut ends, mut dismissed) = (subscriber(), subscriber());
        ends.end_at(Duration::from_secs(2));
        at(1);
        dismissed.mailbox().part(Parting::Dismissed);
        at(2);
        at(3);
        assert_eq!((drain(&mut ends), drain(&mut dismissed)), (vec![1], vec![1]));
    }

    #[test]
    fn who_can_take_no_messages_is_woken_by_its_dismissal_alone() {
        let hub = hub();
        let mut subscriber = Subscriber::new(hub.clone(), QueueLimits::default());
        subscriber.subscribe(&[topic("a")], Since::Now, T0);
        let wakes = Arc::new(Bell::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        let mailbox = subscriber.mailbox().clone();
        assert!(mailbox.poll_dismissed(&mut context).is_pending());
        say(&hub, "a");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        mailbox.part(Parting::Dismissed);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert!(mailbox.poll_dismissed(&mut context).is_ready());
    }

    #[test]
    fn publishing_wakes_whoever_waits_once_and_closing_ends_after_what_waits() {
        let hub = hub();
        let mut subscriber = Subscriber::new(hub.clone(), QueueLimits::default());
        subscriber.subscribe(&[topic("a")], Since::Now, T0);
        let wakes = Arc::new(Bell::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(subscriber.poll_next(&mut context).is_pending());
        say(&hub, "a");
        say(&hub, "a");
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        subscriber.close();
        assert_eq!(hub.info(&topic("a"), T0).subscribers, 0);
        for _ in 0..2 {
            assert!(matches!(subscriber.poll_next(&mut context), Poll::Ready(Some(_))));
        }
        assert_eq!(subscriber.poll_next(&mut context), Poll::Ready(None));
    }
}
