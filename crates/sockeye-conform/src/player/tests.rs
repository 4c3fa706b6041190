use super::*;
use crate::case::Suite;
use crate::verdict::Verdict;

fn case(id: &str) -> Arc<Case> {
    Suite::builtin().unwrap().select(id).unwrap().remove(0)
}

fn asks(id: &str) -> Player {
    Player::to_server(case(id), "localhost", "/", [7; 16])
}

fn answers(id: &str) -> Player {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut player = Player::to_client(case(id), request).unwrap();
    until(&mut player, Duration::ZERO);
    player
}

/// Lets the player do all up to its next wait, and returns when that ends.
fn until(player: &mut Player, now: Duration) -> Option<Duration> {
    loop {
        match player.next(now) {
            Act::Write(_) => {}
            Act::Read { until } => return Some(until),
            _ => return None,
        }
    }
}

#[test]
fn no_answer_at_all_is_tolerable_where_a_case_says_so() {
    let mut player = asks("HSS-042");
    let patience = until(&mut player, Duration::ZERO).unwrap();
    assert_eq!(patience, Duration::from_millis(11_500));
    assert_eq!(until(&mut player, patience), None);
    assert_eq!(player.result(patience).verdict(), Verdict::NonStrict);
}

#[test]
fn behind_a_refusal_one_waits_for_the_end_of_the_connection() {
    let refusal = b"HTTP/1.1 426 No\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let play = |more: &[u8], ends| {
        let mut player = asks("HSS-047");
        until(&mut player, Duration::ZERO);
        player.receive(refusal, Duration::ZERO);
        let wait = until(&mut player, Duration::ZERO).unwrap();
        player.receive(more, Duration::ZERO);
        match ends {
            true => player.ended(Ended::Eof, Duration::ZERO),
            false => drop(until(&mut player, wait)),
        }
        player.result(wait).verdict()
    };
    assert_eq!(play(b"a body", true), Verdict::Ok);
    assert_eq!(play(b"", false), Verdict::NonStrict);
    assert_eq!(play(refusal, true), Verdict::NonStrict);
}

#[test]
fn a_client_may_refuse_what_it_may_take() {
    let play = |id, bytes: &[u8]| {
        let mut player = answers(id);
        player.receive(bytes, Duration::ZERO);
        until(&mut player, Duration::ZERO);
        player.receive(b"\x88\x82\0\0\0\0\x03\xe8", Duration::ZERO);
        player.ended(Ended::Eof, Duration::ZERO);
        player.result(Duration::ZERO).verdict()
    };
    let refuse = |id| {
        let mut player = answers(id);
        player.ended(Ended::Eof, Duration::ZERO);
        player.result(Duration::ZERO).verdict()
    };
    let echo = b"\x81\x85\0\0\0\0Hello";
    let (may_fail, may_work) = ("HSC-007.1", "HSC-008.1");
    assert_eq!((play(may_fail, echo), refuse(may_fail)), (Verdict::Ok, Verdict::NonStrict));
    assert_eq!((play(may_work, echo), refuse(may_work)), (Verdict::NonStrict, Verdict::Ok));
}

#[test]
fn what_a_case_sends_without_a_pause_is_one_write() {
    let writes = |id: &str| {
        let mut player = asks(id);
        player.record.opening = Some(Strict::Yes);
        player.phase = Phase::Playing;
        player.head.clear();
        let next = || match player.next(Duration::ZERO) {
            Act::Write(bytes) => Some(bytes.len()),
            _ => None,
        };
        std::iter::from_fn(next).collect::<Vec<_>>()
    };
    let (close, text, ping) = (6 + 2, 6 + 12, 6);
    assert_eq!(writes("7.1.4"), [close + text]);
    assert_eq!(writes("7.1.3"), [close + ping]);
    // Frames that ask for it stand alone.
    assert_eq!(writes("3.3"), [6 + 13, 6 + 13, 6]);
    // What stands behind a wait is not written before it is over.
    assert_eq!(writes("6.4.2"), [6 + 12]);
}

#[test]
fn a_client_that_stays_is_asked_for_an_echo_and_gives_itself_away() {
    let mut player = answers("HSC-001.5");
    let ask = until(&mut player, Duration::ZERO).unwrap();
    assert!(ask < PATIENCE);
    assert!(matches!(player.next(ask), Act::Write(bytes) if bytes == b"\x81\x05Hello"));
    player.receive(b"\x81\x85\0\0\0\0Hello", ask);
    assert_eq!(until(&mut player, ask), None);
    assert_eq!(player.result(ask).verdict(), Verdict::Failed);

    let mut player = answers("HSC-001.5");
    let ask = until(&mut player, Duration::ZERO).unwrap();
    until(&mut player, ask);
    player.ended(Ended::Eof, ask);
    assert_eq!(player.result(ask).verdict(), Verdict::Ok);
}

#[test]
fn what_follows_an_answer_has_time_of_its_own() {
    // A short patience, and a server that takes the request, as it may.
    let mut player = asks("HSS-027.7");
    until(&mut player, Duration::ZERO);
    let accept = crate::wire::http::accept_key(&crate::wire::http::key([7; 16]));
    let answer = format!(
        "HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    player.receive(answer.as_bytes(), Duration::ZERO);
    let wait = until(&mut player, Duration::ZERO).unwrap();
    let close = player.next(wait);
    assert!(matches!(close, Act::Write(bytes) if bytes.starts_with(b"\x88\x82")), "it closes");
    player.receive(b"\x88\x02\x03\xe8", wait);
    player.ended(Ended::Eof, wait);
    let result = player.result(wait);
    assert_eq!(result.verdict(), Verdict::NonStrict, "{}", result.reason);
}
