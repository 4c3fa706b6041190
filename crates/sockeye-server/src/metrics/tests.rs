//! Counting by itself; what a server tells is tested with a server.

use super::*;

fn info(code: u16, by: Side, reason: &str) -> CloseInfo {
    CloseInfo { code: code.into(), reason: reason.to_owned(), clean: true, by }
}

#[test]
fn histogram_counts_each_time_in_its_bucket_and_all_above() {
    let histogram = Histogram::default();
    for nanoseconds in [0, 500, 501, 1_000, 2_000_000_000] {
        histogram.note(Duration::from_nanos(nanoseconds));
    }
    let buckets = histogram.buckets();
    assert_eq!(buckets.first(), Some(&("0.0000005", 2)));
    assert_eq!(buckets.get(1), Some(&("0.000001", 4)));
    assert_eq!(buckets.last(), Some(&("+Inf", 5)));
    assert_eq!(histogram.sum(), Duration::from_nanos(2_000_002_001));
}

#[test]
fn codes_that_peers_make_up_are_counted_together_and_ours_apart() {
    let metrics = Metrics::default();
    for code in [3000, 4999, 4321] {
        metrics.closed(&info(code, Side::Remote, ""));
    }
    metrics.closed(&info(1001, Side::Remote, ""));
    metrics.closed(&info(3503, Side::Local, ""));
    assert_eq!(metrics.closes.list(), [(OTHER, 3), (1001, 1), (3503, 1)]);
}

#[test]
fn reader_that_the_server_closes_as_too_slow_is_counted_and_one_that_says_so_is_not() {
    let metrics = Metrics::default();
    metrics.closed(&info(1008, Side::Local, SLOW_CONSUMER));
    metrics.closed(&info(1008, Side::Remote, SLOW_CONSUMER));
    assert_eq!(metrics.slow(Slow::Disconnect).get(), 1);
}

#[test]
fn only_who_brings_a_cursor_comes_back() {
    let metrics = Metrics::default();
    for (since, gaps) in [(Since::Now, 0), (Since::Oldest, 1), (Since::Unreadable, 1)] {
        metrics.came_back(since, gaps);
    }
    metrics.came_back(Since::parse("1-1"), 0);
    assert_eq!((metrics.complete.get(), metrics.with_gap.get()), (1, 1));
}

#[test]
fn message_that_a_topic_does_not_take_is_counted_by_the_reason() {
    use sockeye_hub::{Epoch, Limits, Payload, Rules};
    let mut limits = Limits::default();
    limits.payload = 1;
    let hub = Hub::new(Epoch::from_random(1), Rules::default(), limits);
    let metrics = Metrics::default();
    let publish = |text: &str| {
        let publication = Publication::new("a".parse().unwrap(), Payload::text(text));
        metrics.publish(&hub, publication, Duration::ZERO).is_ok()
    };
    assert!(publish("1") && !publish("22"));
    assert_eq!(metrics.publish_refused.list(), [("payload", 1)]);
    assert_eq!(metrics.publish_time.buckets().last(), Some(&("+Inf", 2)));
}
