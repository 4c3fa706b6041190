//! Measures what publishing costs, as the best of many batches, so that a busy machine spoils
//! little: `cargo run --release -p sockeye-hub --example publish`.
#![allow(clippy::print_stdout, reason = "tells its figures")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sockeye_hub::{
    Epoch, HistoryRules, Hub, Limits, Listener, Message, Payload, Publication, Rules, Since,
    TopicName, TopicRules,
};

/// Only counts.
#[derive(Default)]
struct Counter(AtomicU64);

impl Listener for Counter {
    fn deliver(&self, message: &Arc<Message>) {
        self.0.fetch_add(black_box(message.id.seq), Ordering::Relaxed);
    }
}

/// Enqueues, as the mailbox of a thread does.
#[derive(Default)]
struct Mailbox(Mutex<Vec<Arc<Message>>>);

impl Listener for Mailbox {
    fn deliver(&self, message: &Arc<Message>) {
        if let Ok(mut waiting) = self.0.lock() {
            waiting.push(message.clone());
            if waiting.len() >= 1_024 {
                waiting.clear();
            }
        }
    }
}

fn measure(what: &str, history: HistoryRules, listeners: &[Arc<dyn Listener>]) {
    let mut rules = TopicRules::default();
    rules.history = history;
    let hub = Hub::new(Epoch::from_random(1), Rules::all(rules), Limits::default());
    let Ok(topic) = TopicName::new("chat:lobby") else { return };
    for listener in listeners {
        hub.subscribe(std::slice::from_ref(&topic), Since::Now, listener, Duration::ZERO);
    }
    let payload = Payload::binary(Bytes::from_static(&[b'x'; 100]));
    let times = if listeners.len() > 100 { 100 } else { 10_000 };
    let mut best = Duration::MAX;
    for batch in 0..300 {
        let start = Instant::now();
        for _ in 0..times {
            let publication = Publication::new(topic.clone(), payload.clone());
            let _ = black_box(hub.publish(publication, Duration::from_millis(batch)));
        }
        best = best.min(start.elapsed());
    }
    let each = best.as_nanos() / times;
    println!("{what:<48} {each:>7} ns a publish");
}

fn many<L: Listener + Default + 'static>(count: usize) -> Vec<Arc<dyn Listener>> {
    (0..count).map(|_| Arc::new(L::default()) as Arc<dyn Listener>).collect()
}

fn main() {
    for (kept, history) in
        [("keeps 100", HistoryRules::default()), ("keeps none", HistoryRules::none())]
    {
        for count in [0, 2, 1_000] {
            measure(
                &format!("{kept}, {count} listeners that count"),
                history.clone(),
                &many::<Counter>(count),
            );
        }
        measure(&format!("{kept}, 2 listeners that enqueue"), history, &many::<Mailbox>(2));
    }
}
