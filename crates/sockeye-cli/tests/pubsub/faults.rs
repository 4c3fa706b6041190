//! Servers and subscribers that are killed, and a network that cuts: what comes, how often, and what
//! is told of the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{KEEPS_ALL, Run, publish, serve, url};
use crate::proxy::{Proxy, random};
use crate::scratch::Scratch;

/// What a subscriber printed of messages.
fn text<'a>(frame: &'a Value, name: &str) -> &'a str {
    frame[name].as_str().unwrap_or_default()
}

// REC-009, REC-011
#[tokio::test]
async fn over_a_network_that_cuts_2000_messages_come_once_and_in_order() {
    let scratch = Scratch::new("pubsub-cuts");
    let served = serve(&scratch, KEEPS_ALL, "127.0.0.1:0").await;
    let seed = u64::from(std::process::id()) << 20 | u64::from(served.address.port());
    // From a handshake cut short to a burst and a half; about a message and a half is 200 bytes.
    let proxy = Proxy::start(served.address, random(seed, 16_000).take(25)).await;
    let pace = ["--retry-first", "0.005", "--retry-longest", "0.05"];
    let since = publish(&url(&served), "a", "before").await;
    let args = ["sub", &proxy.url, "a", "b", "--json", "--strict", "--since", &since];
    let mut subscriber = Run::start(&[&args[..], &["--count", "2000"], &pace].concat());
    let numbers = || (0..1_000).map(|number| number.to_string());
    let url = url(&served);
    let publishers = ["a", "b"].map(|topic| Run::publishing(&[&url, topic, "-q"], numbers()));
    let mut came: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = Vec::new();
    while let Some(frame) = subscriber.envelope().await {
        assert_eq!(frame["type"], "message", "seed {seed}: {frame}");
        let list = came.entry(text(&frame, "topic").to_owned()).or_default();
        list.push(text(&frame, "data").to_owned());
        ids.push(text(&frame, "id").rsplit_once('-').unwrap().1.parse::<u64>().unwrap());
    }
    for topic in ["a", "b"] {
        assert!(came[topic].iter().cloned().eq(numbers()), "seed {seed}: {topic} {came:?}");
    }
    assert!(ids.is_sorted_by(|one, other| one < other), "seed {seed}: {ids:?}");
    assert_eq!(subscriber.end().await.code, Some(0), "seed {seed}");
    for publisher in publishers {
        assert_eq!(publisher.end().await.code, Some(0));
    }
    // It was no fair weather: all of the messages are twenty times as long as a cut is far.
    assert!(proxy.cuts.load(Ordering::Relaxed) >= 10, "seed {seed}");
}

// REC-009
#[tokio::test]
async fn a_killed_subscriber_comes_back_behind_what_it_printed_and_gets_the_rest_once() {
    let scratch = Scratch::new("pubsub-killed");
    let served = serve(&scratch, KEEPS_ALL, "127.0.0.1:0").await;
    let url = url(&served);
    let mut cursor = publish(&url, "a", "before").await;
    let numbers = || (0..1_000).map(|number| number.to_string());
    let mut publisher = Run::start(&["pub", &url, "a", "-q"]);
    let mut came: Vec<String> = Vec::new();
    for round in 0..4 {
        let left = (1_000 - came.len()).to_string();
        let args = ["sub", &url, "a", "--json", "--strict", "--since", &cursor, "--count", &left];
        let mut subscriber = Run::start(&args);
        // A part is published while nobody is there, and a part while it is killed.
        publisher.feed(numbers().skip(round * 250).take(250)).await;
        let mut read = 0;
        // What was printed before it was killed counts; a line that is cut does not.
        while let Some(frame) = subscriber.envelope().await {
            cursor = text(&frame, "id").to_owned();
            came.push(text(&frame, "data").to_owned());
            read += 1;
            if round < 3 && read == 1 + round * 100 {
                subscriber.kill().await;
            }
        }
        let ended = subscriber.end().await;
        assert_eq!(ended.code, (round == 3).then_some(0), "{ended:?}");
    }
    assert!(came.iter().cloned().eq(numbers()), "{came:?}");
    assert_eq!(publisher.end().await.code, Some(0));
}

/// The server forgets all when it is killed, the publisher's keys too. So the one message whose
/// answer the kill took may be published by both lives, as two messages; every other one once.
#[tokio::test]
async fn a_server_killed_amid_publishing_is_come_back_to_and_every_gap_is_told() {
    let scratch = Scratch::new("pubsub-server");
    let served = serve(&scratch, KEEPS_ALL, "127.0.0.1:0").await;
    let (url, address) = (url(&served), served.address.to_string());
    publish(&url, "b", "of the first life").await;
    let pace = ["--retry-first", "0.05", "--retry-longest", "0.2"];
    let mut subscriber =
        Run::subscribed(&[&[&*url, "a", "b", "--json", "--strict"], &pace[..]].concat()).await;
    let mut lines = (0..600).map(|number| number.to_string());
    let mut publisher = Run::start(&["pub", &url, "a", "--retries", "20"]);
    publisher.feed(lines.by_ref().take(300)).await;
    let mut acknowledged = Vec::new();
    for _ in 0..200 {
        acknowledged.push(publisher.line().await.unwrap());
    }
    served.signal(Signal::KILL);
    assert_eq!(served.end().await.code, None);
    publisher.feed(lines).await;
    let served = serve(&scratch, KEEPS_ALL, &address).await;
    while acknowledged.len() < 600 {
        acknowledged.push(publisher.line().await.unwrap());
    }
    assert_eq!(publisher.end().await.code, Some(0));

    let (mut came, mut gaps) = (Vec::new(), BTreeSet::new());
    while came.last().is_none_or(|frame| text(frame, "data") != "599") {
        let frame = subscriber.envelope().await.unwrap();
        if frame["type"] == "gap" {
            assert_eq!(frame["reason"], "epoch");
            gaps.insert(text(&frame, "topic").to_owned());
        } else {
            came.push(frame);
        }
    }
    drop(served);
    subscriber.kill().await;
    assert_eq!(gaps, ["a", "b"].map(str::to_owned).into());
    check_lives(&acknowledged, &came);
}

/// Checks what came of two lives against what was acknowledged in them.
fn check_lives(acknowledged: &[String], came: &[Value]) {
    let life = |id: &str| id.rsplit_once('-').unwrap().0.to_owned();
    let first = life(&acknowledged[0]);
    let in_flight = acknowledged.iter().filter(|id| life(id) == first).count();
    assert!((200..=300).contains(&in_flight));
    let ids: BTreeSet<&str> = came.iter().map(|frame| text(frame, "id")).collect();
    assert_eq!(ids.len(), came.len(), "an id comes twice");
    let (before, after): (Vec<_>, Vec<_>) =
        came.iter().partition(|frame| life(text(frame, "id")) == first);
    // What the first life brought is the beginning, up to the one whose answer was lost.
    let numbers = |frames: &[&Value]| -> Vec<usize> {
        frames.iter().map(|frame| text(frame, "data").parse().unwrap()).collect()
    };
    let before = numbers(&before);
    assert!(before.len() <= in_flight + 1 && before.iter().copied().eq(0..before.len()));
    // Of the second all is kept, so all has come.
    assert_eq!(numbers(&after), (in_flight..600).collect::<Vec<_>>());
    let second: Vec<&str> = after.iter().map(|frame| text(frame, "id")).collect();
    assert!(acknowledged[in_flight..].iter().eq(second), "the ids that the publisher printed");
}

// REC-010
#[tokio::test]
async fn a_cursor_that_leads_nowhere_is_told_of_in_each_topic_and_strictly_by_the_status() {
    let scratch = Scratch::new("pubsub-nowhere");
    let short = "[[topic]]\nmatch = \"*\"\nhistory = 2\n";
    let served = serve(&scratch, short, "127.0.0.1:0").await;
    let url = url(&served);
    let first = publish(&url, "a", "0").await;
    publish(&url, "b", "0").await;
    let mut last = String::new();
    for text in ["1", "2", "3"] {
        publish(&url, "b", text).await;
        last = publish(&url, "a", text).await;
    }
    let ahead = format!("{}-999", last.rsplit_once('-').unwrap().0);
    let cases = [
        (&*first, "evicted", 2),
        ("old-1", "epoch", 2),
        (&ahead, "future", 0),
        ("x", "unreadable", 0),
    ];
    for (since, reason, kept) in cases {
        let count = (2 * kept + 1).to_string();
        let args = ["sub", &url, "a", "b", "--json", "--strict", "--since", since];
        let mut run = Run::start(&[&args[..], &["--count", &count]].concat());
        let mut gaps = BTreeSet::new();
        for _ in 0..2 + 2 * kept {
            let frame = run.envelope().await.unwrap();
            assert!(frame["type"] != "gap" || frame["reason"] == reason, "{frame}");
            gaps.extend((frame["type"] == "gap").then(|| text(&frame, "topic").to_owned()));
        }
        assert_eq!(gaps, ["a", "b"].map(str::to_owned).into(), "{since}");
        publish(&url, "a", "live").await;
        let ended = run.end().await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.stdout.contains("live"), "{ended:?}");
        // Without --json words on standard error say so, and without --strict all is well.
        let count = (kept + 1).to_string();
        let mut plain = Run::start(&["sub", &url, "a", "-q", "--since", since, "--count", &count]);
        let told = plain.complaint().await;
        assert!(told.starts_with("sockeye: gap in a: ") && told.contains(reason), "{told}");
        publish(&url, "a", "live").await;
        assert_eq!(plain.end().await.code, Some(0));
    }
}

// REC-008
#[tokio::test]
async fn a_message_whose_answer_is_lost_is_sent_again_and_published_once() {
    let scratch = Scratch::new("pubsub-answer");
    let served = serve(&scratch, KEEPS_ALL, "127.0.0.1:0").await;
    // The first three answers are cut: at once, within the head, and within the body.
    let proxy = Proxy::start(served.address, [0, 20, 150]).await;
    let mut publisher = Run::publishing(&[&proxy.url, "a"], ["one".into(), "two".into()]);
    let ids = [publisher.line().await.unwrap(), publisher.line().await.unwrap()];
    assert_eq!(publisher.end().await.code, Some(0));
    assert_eq!(proxy.cuts.load(Ordering::Relaxed), 3);
    publish(&url(&served), "a", "the last").await;
    let args = ["sub", &url(&served), "a", "--since", "oldest", "--json", "--count", "3"];
    let came = Run::start(&args).end().await.stdout;
    let came: Vec<Value> = came.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(came[2]["data"], "the last", "{came:?}");
    let seen = came[..2].iter().map(|frame| (text(frame, "data"), text(frame, "id")));
    assert!(seen.eq([("one", &*ids[0]), ("two", &*ids[1])]), "{came:?}");
}
