//! Readers that do not read.

use std::time::Duration;

use sockeye_hub::{Item, Payload, Publication, QueueLimits, Since, Slow};
use sockeye_server::subscriber::Subscriber;

use crate::support::{Server, open};

const LINES: &[(&str, &str)] = &[("Accept", "application/x-ndjson")];

fn next(subscriber: &mut Subscriber) -> Option<u64> {
    match subscriber.try_next()? {
        Item::Message(message) => Some(message.id.seq),
        Item::Gap(gap) => panic!("{gap:?}"),
    }
}

// PUB-022
#[tokio::test]
async fn of_10_000_subscribers_only_the_one_that_does_not_read_is_dropped() {
    let server = Server::open().await;
    let (hub, topic) = (&server.topics.hub, "a".parse().unwrap());
    let mut limits = QueueLimits::default();
    limits.messages = 8;
    let subscriber = || {
        let mut subscriber = Subscriber::new(hub.clone(), limits);
        subscriber.subscribe(std::slice::from_ref(&topic), Since::Now, Duration::ZERO);
        subscriber
    };
    let mut slow = subscriber();
    let mut others: Vec<_> = (0..9_999).map(|_| subscriber()).collect();
    for seq in 1..=20 {
        // Publishing returns before anybody reads, here on the one thread there is.
        let publication = Publication::new(topic.clone(), Payload::text("x"));
        let published = hub.publish(publication, Duration::ZERO).unwrap();
        assert_eq!((published.id.seq, published.subscribers), (seq, 10_000));
        assert!(others.iter_mut().all(|other| next(other) == Some(seq)));
    }
    assert!(slow.has_overflowed());
    assert!(!others.iter().any(Subscriber::has_overflowed));
    // It gets what had waited, without a hole, and then the end: its cursor is the last of these.
    for seq in 1..=8 {
        assert!(matches!(slow.next().await, Some(Item::Message(message)) if message.id.seq == seq));
    }
    assert_eq!(slow.next().await, None);
    drop((slow, others));
    assert_eq!(server.subscribers("a"), 0);
}

#[tokio::test]
async fn stream_that_is_not_read_ends_and_goes_on_from_its_cursor_while_others_get_all() {
    let server = Server::start(open(), |topics| topics.limits.queue.messages = 4).await;
    let (mut stalled, _) = server.stream("/t/a", LINES).await;
    let (mut reader, _) = server.stream("/t/a", LINES).await;
    reader.read_until("welcome").await;
    // More than the kernel keeps for a socket, and 64 KiB each as the hub allows.
    let text = "x".repeat(65_000);
    let mut last = 0;
    for _ in 0..400 {
        last = server.say("a", &text);
        reader.read_until(&format!("\"id\":\"1-{last}\"")).await;
    }
    let seen = String::from_utf8(stalled.rest().await).unwrap();
    assert_eq!(server.topics.clients.metrics().slow(Slow::Disconnect).get(), 1);
    let ids = |text: &str| -> Vec<u64> {
        let ids = text.split("\"message\",\"topic\":\"a\",\"id\":\"1-").skip(1);
        ids.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
    };
    let seen = ids(&seen);
    assert!(seen.iter().copied().eq(1..=u64::try_from(seen.len()).unwrap()));
    let cursor = seen.len();
    assert!(u64::try_from(cursor).unwrap() < last);
    let back = server.get(&format!("/t/a?since=1-{cursor}")).await.json();
    assert_eq!(back[0]["reason"], "evicted", "its history keeps four of them");
    let list = back.as_array().unwrap();
    assert_eq!(list[list.len() - 1]["id"], format!("1-{last}"));
}
