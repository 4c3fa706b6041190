//! The mailbox in every order in which its threads can run, up to three preemptions.

#[path = "mailbox.rs"]
#[allow(
    dead_code,
    clippy::duplicate_mod,
    reason = "it is compiled a second time, over a model of threads that needs only some of it"
)]
mod mailbox;

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;
use sockeye_proto::PreparedMessage;

use crate::local::Publication;
use crate::system::{Tcp, Wake};
use mailbox::{Mailbox, Order};

/// What the mailbox is made of here.
mod sync {
    pub(super) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(super) use loom::sync::{Mutex, MutexGuard};
    pub(super) use loom::thread::{self, ThreadId};
}

type Post = Mailbox<(), Tcp>;

/// A waker that a wait consumes, as a poller's is.
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { rung: Mutex::new(false), rings: Condvar::new() })
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.rings.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(&self) {
        *self.rung.lock().unwrap() = true;
        self.rings.notify_one();
    }
}

fn order(name: &str) -> Order<(), Tcp> {
    Order::Publish(Publication::new(name, Arc::new(PreparedMessage::new(""))))
}

fn names(orders: Vec<Order<(), Tcp>>) -> Vec<String> {
    let name = |order| match order {
        Order::Publish(publication) => publication.topic.to_string(),
        _ => panic!("another order"),
    };
    orders.into_iter().map(name).collect()
}

fn put_all(post: &Arc<Post>, names: &'static [&'static str]) -> thread::JoinHandle<()> {
    let post = post.clone();
    thread::spawn(move || names.iter().for_each(|name| post.put(order(name))))
}

/// Returns what one thread put, in the order in which it was taken.
fn of<'a>(all: &'a [String], thread: &str) -> Vec<&'a str> {
    all.iter().map(String::as_str).filter(|name| name.starts_with(thread)).collect()
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

// SAF-004
#[test]
fn no_order_is_lost_and_the_thread_sleeps_through_none_and_each_threads_stay_in_order() {
    model(|| {
        let bell = Bell::new();
        let post = Arc::new(Post::new(bell.clone()));
        let others = [put_all(&post, &["a0", "a1"]), put_all(&post, &["b0", "b1"])];
        post.own();
        let mut taken = Vec::new();
        // Where a wake-up is missing, this waits for ever, and the model says so.
        while taken.len() < 4 {
            if !post.has_post() {
                bell.wait();
            }
            taken.extend(names(post.take().orders));
        }
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(of(&taken, "a"), ["a0", "a1"]);
        assert_eq!(of(&taken, "b"), ["b0", "b1"]);
        assert!(post.take().orders.is_empty());
    });
}

// SAF-004
#[test]
fn what_a_thread_asks_of_itself_needs_no_bell_and_hides_nobody_elses() {
    model(|| {
        let bell = Bell::new();
        let post = Arc::new(Post::new(bell.clone()));
        let other = put_all(&post, &["a0"]);
        post.own();
        post.put(order("own"));
        let mut taken = Vec::new();
        while taken.len() < 2 {
            if !post.has_post() {
                bell.wait();
            }
            taken.extend(names(post.take().orders));
        }
        other.join().unwrap();
        assert_eq!(of(&taken, "own"), ["own"]);
    });
}

// SAF-004
#[test]
fn what_comes_too_late_is_returned_or_dropped_and_nothing_before_it_is_missing() {
    model(|| {
        let bell = Bell::new();
        let post = Arc::new(Post::new(bell));
        let other = put_all(&post, &["a0", "a1", "a2"]);
        let mut taken = names(post.take().orders);
        taken.extend(names(post.close()));
        other.join().unwrap();
        assert_eq!(taken, ["a0", "a1", "a2"][..taken.len()]);
        assert!(
            post.close().is_empty() && post.take().orders.is_empty(),
            "it keeps nothing any more"
        );
    });
}
