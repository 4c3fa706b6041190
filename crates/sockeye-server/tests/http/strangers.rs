//! Who may not, and pages of others.

use std::sync::Arc;
use std::time::Duration;

use sockeye_proto::handshake::Origins;
use sockeye_server::auth::{Auth, Grant};
use sockeye_server::policy::Policy;

use crate::support::{Answer, KEY, Server, by_tokens, everything, open, token};

const HOUR: Duration = Duration::from_secs(3_600);

fn readers_only() -> Policy {
    let grant = Grant { subscribe: everything().subscribe, ..Grant::default() };
    Policy { auth: Auth::Anonymous(Arc::new(grant)), ..open() }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status(), answer.code())
}

// PUB-011
#[tokio::test]
async fn topic_that_a_token_does_not_allow_is_refused_whether_it_exists_or_not() {
    let server = Server::start(by_tokens(), |_| {}).await;
    server.say("private:full", "x");
    let token = format!("Bearer {}", token("chat:*", "chat:1", HOUR));
    for form in ["text/event-stream", "application/x-ndjson", "multipart/mixed", "*/*"] {
        let headers = [("Accept", form), ("Authorization", &token)];
        let full = server.ask("GET", "/t/private:full?since=oldest", &headers).await;
        let empty = server.ask("GET", "/t/private:none?since=oldest", &headers).await;
        assert_eq!(told(&full), (403, "permission_denied".into()));
        assert_eq!(full.body, empty.body);
        let several = server.ask("GET", "/t/chat:1?topic=private:full", &headers).await;
        assert_eq!(told(&several), (403, "permission_denied".into()));
        let nobody = server.ask("GET", "/t/chat:1", &headers[..1]).await;
        assert_eq!(told(&nobody), (401, "token_required".into()));
        assert_eq!(nobody.head.header("www-authenticate"), Some("Bearer"));
    }
    for page in ["info", "history", "presence"] {
        let target = format!("/t/private:full?{page}");
        let answer = server.ask("GET", &target, &[("Authorization", &token)]).await;
        assert_eq!(told(&answer), (403, "permission_denied".into()));
    }
    assert_eq!((server.subscribers("private:full"), server.subscribers("chat:1")), (0, 0));
    let allowed = server.ask("GET", "/t/chat:1?info", &[("Authorization", &token)]).await;
    assert_eq!(allowed.status(), 200);
}

// PUB-015
#[tokio::test]
async fn where_there_are_keys_and_no_tokens_a_wrong_key_is_not_passed_over() {
    let server = Server::open().await;
    for header in ["Authorization", "X-API-Key"] {
        let value = if header == "Authorization" { "Bearer abc" } else { "abc" };
        let answer = server.send("POST", "/t/a", &[(header, value)], b"x").await;
        assert_eq!(told(&answer), (401, "invalid_key".into()), "{header}");
    }
    let answer = server.send("POST", &format!("/t/a?token={KEY}"), &[], b"x").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(server.topics.hub.stats().cursor.seq, 0);
    assert_eq!(server.send("POST", "/t/a", &[], b"x").await.status(), 200);
}

// PUB-012
#[tokio::test]
async fn publication_without_the_right_is_refused_and_not_delivered() {
    let server = Server::start(by_tokens(), |_| {}).await;
    let token = format!("Bearer {}", token("chat:*", "chat:1", HOUR));
    let headers = [("Authorization", token.as_str())];
    let denied = server.send("POST", "/t/chat:2", &headers, b"x").await;
    assert_eq!(told(&denied), (403, "permission_denied".into()));
    assert_eq!(server.topics.hub.stats().cursor.seq, 0);
    assert_eq!(server.send("POST", "/t/chat:1", &headers, b"x").await.status(), 200);
    let key = format!("Bearer {KEY}");
    let keyed = server.send("POST", "/t/any", &[("Authorization", &key)], b"x").await;
    assert_eq!(keyed.status(), 200);
    assert_eq!(told(&server.ask("DELETE", "/t/chat:1", &headers).await).0, 403);
}

// PUB-015
#[tokio::test]
async fn publishing_takes_a_key_in_a_header_and_a_body_that_is_no_form() {
    let server = Server::start(readers_only(), |_| {}).await;
    let right = format!("Bearer {KEY}");
    let wrong = format!("Bearer {}", KEY.replace('0', "x"));
    let in_query = format!("/t/a?api_key={KEY}");
    let json = ("Content-Type", "application/json");
    let form = ("Content-Type", "multipart/form-data; boundary=x");
    let big = vec![b'['; 100_000];
    for (target, headers, body, status) in [
        ("/t/a", &[][..], &b"x"[..], 401),
        ("/t/a", &[("Authorization", wrong.as_str())], b"x", 401),
        ("/t/a", &[("X-API-Key", "no")], b"x", 401),
        (&in_query, &[], b"x", 400),
        (&in_query, &[("Authorization", &right)], b"x", 400),
        ("/t/a", &[("Authorization", &right), form], b"x", 415),
        ("/t/a", &[("Authorization", &right), json], b"{", 400),
        ("/publish", &[("Authorization", &right)], b"x", 404),
        ("/t/a", &[("Authorization", &right), json], &big, 413),
        ("/t/a", &[("Authorization", &right)], b"x", 200),
        ("/t/a", &[("X-API-Key", KEY)], b"x", 200),
    ] {
        assert_eq!(
            server.send("POST", target, headers, body).await.status(),
            status,
            "{target} {headers:?}"
        );
    }
    for method in ["PUT", "PATCH", "TRACE"] {
        let answer = server.ask(method, "/t/a", &[("Authorization", &right)]).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.head.header("allow"), Some("GET, HEAD, POST, DELETE, OPTIONS"));
    }
    assert_eq!(server.topics.hub.stats().cursor.seq, 2);
}

// PUB-031
#[tokio::test]
async fn page_of_another_site_changes_nothing_and_reads_nothing() {
    let server = Server::open().await;
    let key = format!("Bearer {KEY}");
    for origin in
        ["https://evil.example", "null", "https://app.example.evil", "http://server.example:81"]
    {
        let headers = [("Origin", origin), ("Content-Type", "text/plain")];
        let post = server.send("POST", "/t/a", &headers, b"x").await;
        assert_eq!(told(&post), (403, "origin_denied".into()));
        let delete = [headers[0], ("Authorization", &key)];
        assert_eq!(server.ask("DELETE", "/t/a", &delete).await.status(), 403);
        let get = server.ask("GET", "/t/a", &headers).await;
        assert_eq!((get.status(), get.head.header("access-control-allow-origin")), (204, None));
        let asks = [headers[0], ("Access-Control-Request-Method", "POST")];
        let preflight = server.ask("OPTIONS", "/t/a", &asks).await;
        assert_eq!(preflight.head.header("access-control-allow-methods"), None);
    }
    assert_eq!(server.topics.hub.stats().cursor.seq, 0);
    for origin in ["https://app.example", "http://server.example"] {
        let post = server.send("POST", "/t/a", &[("Origin", origin)], b"x").await;
        assert_eq!(post.status(), 200);
        assert_eq!(post.head.header("access-control-allow-origin"), Some(origin));
    }
}

#[tokio::test]
async fn page_that_is_allowed_is_told_what_it_may_send_and_read() {
    let server = Server::open().await;
    let origin = ("Origin", "https://app.example");
    let asks = [origin, ("Access-Control-Request-Method", "POST")];
    let preflight = server.ask("OPTIONS", "/t/a", &asks).await;
    assert_eq!(preflight.status(), 204);
    let header = |name| preflight.head.header(name).unwrap();
    assert_eq!(header("access-control-allow-origin"), origin.1);
    assert_eq!(header("vary"), "Origin");
    for name in ["Authorization", "Event", "Idempotency-Key", "If-Version", "Last-Event-ID"] {
        assert!(header("access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(preflight.head.header("access-control-allow-credentials"), None);
    let (_, head) = server.stream("/t/a", &[origin, ("Accept", "text/event-stream")]).await;
    assert!(head.header("access-control-expose-headers").unwrap().contains("ETag"));
}

#[tokio::test]
async fn cookie_of_a_user_is_not_taken_from_a_page_of_another_site() {
    let mut policy = by_tokens();
    policy.credential_rules.cookie = Some("sid".into());
    let server = Server::start(policy, |_| {}).await;
    let token = token("*", "*", HOUR);
    let cookie = format!("sid={token}");
    let cookie = ("Cookie", cookie.as_str());
    let own = server.ask("GET", "/t/a?info", &[cookie]).await;
    assert_eq!(own.status(), 200);
    let evil = ("Origin", "https://evil.example");
    assert_eq!(told(&server.ask("GET", "/t/a?info", &[cookie, evil]).await).0, 403);
    let bearer = format!("Bearer {token}");
    let by_header = [cookie, evil, ("Authorization", bearer.as_str())];
    assert_eq!(server.ask("GET", "/t/a?info", &by_header).await.status(), 200);
    let allowed =
        server.ask("GET", "/t/a?info", &[cookie, ("Origin", "https://app.example")]).await;
    assert_eq!(allowed.head.header("access-control-allow-credentials"), Some("true"));
}

#[tokio::test]
async fn where_every_page_is_allowed_none_brings_the_cookies_of_its_user() {
    let mut policy = by_tokens();
    policy.credential_rules.cookie = Some("sid".into());
    policy.origins = Origins::Any;
    let server = Server::start(policy, |_| {}).await;
    let cookie = format!("sid={}", token("*", "*", HOUR));
    let headers = [("Cookie", cookie.as_str()), ("Origin", "https://evil.example")];
    assert_eq!(told(&server.send("POST", "/t/a", &headers, b"x").await).0, 403);
    let anonymous = server.ask("GET", "/t/a", &headers[1..]).await;
    let header = |name| anonymous.head.header(name);
    assert_eq!(header("access-control-allow-origin"), Some("https://evil.example"));
    assert_eq!(header("access-control-allow-credentials"), None);
    assert_eq!(server.topics.hub.stats().cursor.seq, 0);
}

#[tokio::test]
async fn policy_that_is_replaced_holds_from_the_next_request_on() {
    let server = Server::open().await;
    assert_eq!(server.send("POST", "/t/a", &[], b"x").await.status(), 200);
    server.topics.policies.replace(readers_only());
    assert_eq!(server.send("POST", "/t/a", &[], b"x").await.status(), 401);
}
