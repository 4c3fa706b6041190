use std::sync::Mutex;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::auth::jwt::{Rules, TokenError, Trust, Verifier};
use crate::auth::keys::{Key, KeyError, Keys};
use crate::auth::testing::{Signer, claims, grant, noon};
use crate::auth::{Denied, Grant, JsonError, Moment};
use crate::fetch::FetchError;
use crate::fetch::tests::{Reply, Server, closed_port, fetcher, ok, response};

/// Never fetches by itself, so that tests say when.
const STILL: Pace = Pace {
    timeout: Duration::from_secs(20),
    refresh: Duration::from_secs(86_400),
    retry: Duration::from_secs(86_400),
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn trust(issuer: &str, keys: &RemoteKeys) -> Trust {
    let keys = Keys::Remote(keys.clone());
    Trust { issuer: Some(issuer.to_owned()), audiences: vec![], keys }
}

fn verifier(keys: &RemoteKeys) -> Verifier {
    Verifier::new(vec![trust("id", keys)], Rules::default()).unwrap()
}

fn start(server: &Server) -> RemoteKeys {
    RemoteKeys::start_at(STILL, fetcher(), server.endpoint(), Snapshot::default())
}

/// Makes a token by an issuer.
fn token(signer: &Signer, issuer: &str, id: &str) -> String {
    let mut claims = claims();
    claims["iss"] = issuer.into();
    signer.named(id, &claims)
}

/// Returns noon, with the monotonic clock ahead.
fn in_a(while_: Duration) -> Moment {
    let noon = noon();
    Moment { monotonic: noon.monotonic + while_, ..noon }
}

fn document(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

fn unknown() -> Result<Grant, Denied> {
    Err(Denied::Token(TokenError::UnknownKey))
}

fn unavailable(error: FetchError) -> Result<Grant, Denied> {
    Err(Denied::Unavailable(Unavailable::Fetch(error)))
}

#[tokio::test]
async fn token_waits_for_the_first_keys_and_then_for_nothing() {
    let signer = Signer::new(Algorithm::EdDsa);
    let jwks = document(&[signer.jwk_of("k")]);
    let server = Server::start(move |_| ok(&jwks)).await;
    let verifier = verifier(&start(&server));
    let token = token(&signer, "id", "k");
    assert_eq!(verifier.verify_now(&token, noon()), None);
    assert_eq!(verifier.verify(&token, noon()).await, Ok(grant()));
    assert_eq!(verifier.verify_now(&token, noon()), Some(Ok(grant())));
    assert_eq!(server.asked(), 1);
}

// PUB-005
#[tokio::test]
async fn no_part_of_an_unverified_token_makes_a_request() {
    let signer = Signer::new(Algorithm::EdDsa);
    let trap = Server::start(|_| ok("{}")).await;
    let url = format!("http://127.0.0.1:{}/jwks.json", trap.port);
    let jwks = document(&[signer.jwk_of("k")]);
    let server = Server::start(move |_| ok(&jwks)).await;
    let verifier = verifier(&start(&server));
    assert_eq!(verifier.verify(&token(&signer, "id", "k"), noon()).await, Ok(grant()));

    let stranger = Signer::new(Algorithm::EdDsa);
    for member in ["jku", "x5u", "iss"] {
        let mut header = json!({"alg": "EdDSA", "kid": "k", "jwk": stranger.jwk()});
        header[member] = url.as_str().into();
        for issuer in [url.as_str(), "../id", "id/../../evil", "id"] {
            let mut said = claims();
            said["iss"] = issuer.into();
            let forged = stranger.token_of(&header.to_string(), &said.to_string());
            let error = if issuer == "id" { TokenError::BadSignature } else { TokenError::Issuer };
            let refused = verifier.verify(&forged, in_a(MINUTE)).await;
            assert_eq!(refused, Err(Denied::Token(error)), "{header} {said}");
        }
    }
    assert_eq!((trap.asked(), server.asked()), (0, 1));
}

// PUB-006
#[tokio::test]
async fn key_fetched_for_one_issuer_is_no_key_of_another_with_the_same_name() {
    let (a, b) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let (of_a, of_b) = (document(&[a.jwk_of("k")]), document(&[b.jwk_of("k")]));
    let server_a = Server::start(move |_| ok(&of_a)).await;
    let server_b = Server::start(move |_| ok(&of_b)).await;
    let trusts = vec![trust("a", &start(&server_a)), trust("b", &start(&server_b))];
    let verifier = Verifier::new(trusts, Rules::default()).unwrap();
    for (signer, own, other) in [(&a, "a", "b"), (&b, "b", "a")] {
        assert_eq!(verifier.verify(&token(signer, own, "k"), noon()).await, Ok(grant()));
        let refused = verifier.verify(&token(signer, other, "k"), noon()).await;
        assert_eq!(refused, Err(Denied::Token(TokenError::BadSignature)), "{own} as {other}");
    }
}

// PUB-007
#[tokio::test]
async fn thousand_tokens_at_once_make_one_fetch() {
    let signer = Signer::new(Algorithm::EdDsa);
    let jwks = response("200 OK", "", &document(&[signer.jwk_of("k")]));
    let gate = Arc::new(Semaphore::new(0));
    let gated = gate.clone();
    let server = Server::start(move |_| Reply::When(gated.clone(), jwks.clone())).await;
    let verifier = verifier(&start(&server));
    let token = token(&signer, "id", "k");
    // All of them are waiting before the first answer is let out.
    let all = join_all((0..1000).map(|_| verifier.verify(&token, noon())));
    let (grants, ()) = join(all, async { gate.add_permits(1) }).await;
    assert!(grants.into_iter().all(|verified| verified == Ok(grant())));
    assert_eq!(server.asked(), 1);
}

// PUB-007
#[tokio::test]
async fn unknown_key_is_reason_for_one_fetch_in_thirty_seconds() {
    let signer = Signer::new(Algorithm::EdDsa);
    let jwks = response("200 OK", "", &document(&[signer.jwk_of("k")]));
    let gate = Arc::new(Semaphore::new(1));
    let gated = gate.clone();
    let server = Server::start(move |_| Reply::When(gated.clone(), jwks.clone())).await;
    let verifier = verifier(&start(&server));
    assert_eq!(verifier.verify(&token(&signer, "id", "k"), noon()).await, Ok(grant()));
    let made_up: Vec<_> = (0..100).map(|id| token(&signer, "id", &format!("k{id}"))).collect();
    for token in &made_up {
        assert_eq!(verifier.verify_now(token, in_a(29 * SECOND)), Some(unknown()));
        assert_eq!(verifier.verify(token, in_a(29 * SECOND)).await, unknown());
    }
    assert_eq!(server.asked(), 1);
    let all = join_all(made_up.iter().map(|token| verifier.verify(token, in_a(31 * SECOND))));
    let (refused, ()) = join(all, async { gate.add_permits(1) }).await;
    assert!(refused.into_iter().all(|verified| verified == unknown()));
    assert_eq!(server.asked(), 2);
}

// PUB-007
#[tokio::test]
async fn key_that_its_issuer_changes_is_found_and_the_old_one_gone() {
    let (old, new) = (Signer::new(Algorithm::EdDsa), Signer::new(Algorithm::EdDsa));
    let published = Arc::new(Mutex::new(document(&[old.jwk_of("old")])));
    let served = published.clone();
    let server = Server::start(move |_| ok(&served.lock().unwrap())).await;
    let verifier = verifier(&start(&server));
    assert_eq!(verifier.verify(&token(&old, "id", "old"), noon()).await, Ok(grant()));
    *published.lock().unwrap() = document(&[new.jwk_of("new")]);
    let changed = in_a(31 * SECOND);
    assert_eq!(verifier.verify(&token(&new, "id", "new"), changed).await, Ok(grant()));
    assert_eq!(verifier.verify_now(&token(&old, "id", "old"), noon()), Some(unknown()));
    assert_eq!(server.asked(), 2);
}

/// Brings good keys, then a fault; checks what tokens get during the next hour and behind it.
async fn outage(fault: impl Fn() -> Reply + Send + Sync + 'static, error: Unavailable) {
    let signer = Signer::new(Algorithm::EdDsa);
    let good = document(&[signer.jwk_of("k")]);
    let first = Mutex::new(true);
    let server = Server::start(move |_| {
        if std::mem::take(&mut *first.lock().unwrap()) { ok(&good) } else { fault() }
    });
    let server = server.await;
    let keys = start(&server);
    let verifier = verifier(&keys);
    let known = token(&signer, "id", "k");
    assert_eq!(verifier.verify(&known, noon()).await, Ok(grant()));
    assert_eq!(keys.last_error(), None);
    // A name that is made up brings the fault about.
    let made_up = token(&signer, "id", "x");
    assert_eq!(verifier.verify(&made_up, in_a(MINUTE)).await, unknown(), "{error}");
    assert_eq!(keys.last_error(), Some(error.clone()));
    assert_eq!(verifier.verify_now(&known, in_a(59 * MINUTE)), Some(Ok(grant())), "{error}");
    assert_eq!(verifier.verify(&known, in_a(59 * MINUTE)).await, Ok(grant()), "{error}");
    let late = in_a(61 * MINUTE);
    assert_eq!(verifier.verify_now(&known, late), None, "{error}: fetched before refused");
    let refused = verifier.verify(&known, late).await;
    assert_eq!(refused, Err(Denied::Unavailable(error)));
    assert_eq!(server.asked(), 3);
}

// PUB-007
#[tokio::test]
async fn last_good_keys_are_used_for_an_hour_and_no_longer_whatever_the_url_gives() {
    let fetch = Unavailable::Fetch;
    let down = || Reply::Now(response("500 Oh", "", ""));
    outage(down, fetch(FetchError::Status(500))).await;
    let away = || Reply::Now(response("302 Found", "location: http://127.0.0.1:1/\r\n", ""));
    outage(away, fetch(FetchError::Redirect(302))).await;
    let gone = || Reply::Now(Vec::new());
    outage(gone, fetch(FetchError::Protocol)).await;
    let huge = || ok(&" ".repeat(10_000_000));
    outage(huge, fetch(FetchError::Long { max: 1024 * 1024 })).await;
    let broken = Unavailable::Document(KeyError::Json(JsonError::Syntax));
    outage(|| ok("{\"keys\":"), broken).await;
    outage(|| ok("{\"keys\":[]}"), Unavailable::Document(KeyError::None)).await;
}

// PUB-007
#[tokio::test]
async fn last_good_keys_are_used_for_an_hour_while_the_url_is_silent() {
    let signer = Signer::new(Algorithm::EdDsa);
    let mut known = Snapshot::default();
    let jwks = document(&[signer.jwk_of("k")]);
    let keys = KeySet::from_jwks(jwks.as_bytes(), Origin::Url).unwrap();
    known.record(Ok(keys), Instant::now());
    let server = Server::start(|_| Reply::Never).await;
    let pace = Pace { timeout: Duration::from_millis(50), ..STILL };
    let keys = RemoteKeys::start_at(pace, fetcher(), server.endpoint(), known);
    let verifier = verifier(&keys);
    let token = token(&signer, "id", "k");
    // Nobody waits for the fetch that is under way.
    assert_eq!(verifier.verify_now(&token, noon()), Some(Ok(grant())));
    let mut seen = keys.seen.clone();
    assert!(seen.wait_for(|snapshot| snapshot.attempts == 2).await.is_ok());
    assert_eq!(keys.last_error(), Some(Unavailable::Fetch(FetchError::Timeout)));
    assert_eq!(verifier.verify(&token, in_a(59 * MINUTE)).await, Ok(grant()));
    let refused = verifier.verify(&token, in_a(61 * MINUTE)).await;
    assert_eq!(refused, unavailable(FetchError::Timeout));
}

// PUB-007
#[tokio::test]
async fn without_any_keys_clients_are_refused_for_now_and_five_seconds_pass_between_fetches() {
    let url = format!("http://127.0.0.1:{}/", closed_port().await);
    let endpoint = Endpoint::parse(&url).unwrap();
    let keys = RemoteKeys::start_at(STILL, fetcher(), endpoint, Snapshot::default());
    let verifier = verifier(&keys);
    let token = token(&Signer::new(Algorithm::EdDsa), "id", "k");
    let refused = unavailable(FetchError::Connect(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(verifier.verify(&token, noon()).await, refused);
    let denied = refused.clone().unwrap_err();
    assert_eq!((denied.code(), denied.status(), denied.close_code()), ("internal", 503, 1013));
    assert_eq!(keys.seen.borrow().attempts, 1);
    assert_eq!(verifier.verify(&token, in_a(4 * SECOND)).await, refused);
    assert_eq!(keys.seen.borrow().attempts, 1);
    assert_eq!(verifier.verify(&token, in_a(6 * SECOND)).await, refused);
    assert_eq!(keys.seen.borrow().attempts, 2);
}

#[tokio::test]
async fn keys_are_fetched_again_by_themselves() {
    let server =
        Server::start(|_| ok(&document(&[Signer::new(Algorithm::EdDsa).jwk_of("k")]))).await;
    let pace = Pace { refresh: Duration::from_millis(1), ..STILL };
    let keys = RemoteKeys::start_at(pace, fetcher(), server.endpoint(), Snapshot::default());
    let mut seen = keys.seen.clone();
    assert!(seen.wait_for(|snapshot| snapshot.attempts >= 3).await.is_ok());
}

#[tokio::test]
async fn fetching_ends_with_the_last_who_could_use_the_keys() {
    let server = Server::start(|_| ok("{}")).await;
    let keys = start(&server);
    let mut seen = keys.seen.clone();
    drop(keys);
    assert!(seen.wait_for(|snapshot| snapshot.attempts > 1).await.is_err());
}

#[test]
fn good_keys_are_used_to_the_end_of_their_hour_and_not_beyond() {
    let start = Instant::now();
    let key = || KeySet::from(Key::from_secret(crate::auth::Secret::new(&[7; 32]).unwrap()));
    let mut snapshot = Snapshot::default();
    let look =
        |snapshot: &Snapshot, after| snapshot.look_up(Some("k"), Algorithm::Hs256, start + after);
    assert!(matches!(look(&snapshot, Duration::ZERO), Lookup::Wait(0)));
    snapshot.record(Ok(key()), start);
    assert!(matches!(look(&snapshot, 60 * MINUTE), Lookup::Keys(_)));
    assert!(matches!(look(&snapshot, 60 * MINUTE + SECOND), Lookup::Wait(1)));
    snapshot.record(Err(Unavailable::NoKeys), start + 60 * MINUTE);
    assert!(matches!(look(&snapshot, 60 * MINUTE), Lookup::Keys(_)));
    let late = look(&snapshot, 60 * MINUTE + SECOND);
    assert!(matches!(late, Lookup::Unavailable(Unavailable::NoKeys)), "{late:?}");
}
