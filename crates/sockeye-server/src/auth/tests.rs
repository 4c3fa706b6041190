use std::time::Duration;

use serde_json::json;

use super::keys::Algorithm;
use super::testing::{Signer, claims, grant, noon};
use super::webhook::WebhookRules;
use super::*;
use crate::fetch::tests::{Server, fetcher, ok};

fn credentials(headers: &[(&str, &[u8])]) -> Result<Credentials, Denied> {
    let request = ClientRequest { client: "c", ip: [127, 0, 0, 1].into(), target: "/ws", headers };
    Ok(Credentials::collect(&request, &CredentialRules::default())?)
}

fn bearer(token: &str) -> Credentials {
    credentials(&[("authorization", format!("Bearer {token}").as_bytes())]).unwrap()
}

fn nobody() -> Credentials {
    credentials(&[]).unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn public() -> Arc<Grant> {
    let subscribe = Patterns::from_json(&json!(["public:*"])).unwrap();
    Arc::new(Grant { subscribe, ..Grant::default() })
}

#[tokio::test]
async fn everybody_gets_the_same_where_nobody_is_asked() {
    let auth = Auth::Anonymous(public());
    assert_eq!(auth.admit_now(&nobody(), noon()), Some(Ok(public())));
    assert_eq!(auth.admit_now(&bearer("x"), noon()), Some(Ok(public())));
    assert_eq!(auth.admit(&nobody()).await, Ok(public()));
}

#[tokio::test]
async fn stranger_without_a_token_gets_what_strangers_may_or_nothing() {
    let verifier = Signer::new(Algorithm::Hs256).verifier();
    let closed = Auth::Jwt { verifier: verifier.clone(), anonymous: None };
    assert_eq!(closed.admit_now(&nobody(), noon()), Some(Err(Denied::Missing)));
    assert_eq!(closed.admit(&nobody()).await, Err(Denied::Missing));
    let open = Auth::Jwt { verifier, anonymous: Some(public()) };
    assert_eq!(open.admit_now(&nobody(), noon()), Some(Ok(public())));
    // Who has a token that is not good is no stranger.
    let denied = open.admit_now(&bearer("x"), noon()).unwrap().unwrap_err();
    assert_eq!(denied.code(), "invalid_token");
    assert_eq!(open.admit(&bearer("x")).await, Err(denied));
}

#[test]
fn good_token_is_admitted_at_once() {
    let signer = Signer::new(Algorithm::Es256);
    let auth = Auth::Jwt { verifier: signer.verifier(), anonymous: None };
    let admitted = auth.admit_now(&bearer(&signer.token(&claims())), noon());
    assert_eq!(admitted, Some(Ok(Arc::new(grant()))));
}

// PUB-001
#[test]
fn two_headers_with_tokens_are_refused_as_an_invalid_token() {
    let header: (&str, &[u8]) = ("authorization", b"Bearer a.b.c");
    let denied = credentials(&[header, header]).unwrap_err();
    let told = (denied.code(), denied.status(), denied.close_code());
    assert_eq!(told, ("invalid_token", 401, 3500));
    assert!(!format!("{denied} {denied:?}").contains("a.b.c"));
}

#[tokio::test]
async fn act_beyond_the_grant_is_refused_and_behind_its_end_too() {
    let auth = Auth::Anonymous(public());
    let (who, end) = (nobody(), noon().wall);
    let ended = Grant { expires: Some(end), ..(*public()).clone() };
    let permit = |grant: &Grant, act, name| auth.permit_now(act, grant, &topic(name), end);
    let forbidden = Some(Err(Denied::Forbidden));
    assert_eq!(permit(&public(), Act::Subscribe, "public:1"), Some(Ok(())));
    assert_eq!(permit(&public(), Act::Subscribe, "private"), forbidden);
    assert_eq!(permit(&public(), Act::Publish, "public:1"), forbidden);
    let expired = permit(&ended, Act::Subscribe, "public:1").unwrap().unwrap_err();
    assert_eq!((expired.code(), expired.close_code()), ("token_expired", 3005));
    let refused = auth.permit(Act::Publish, (who.client(), &public()), &topic("a")).await;
    assert_eq!(refused, Err(Denied::Forbidden));
}

#[tokio::test]
async fn back_end_is_asked_only_what_it_wants_to_be_and_the_grant_does_not_say() {
    let server = Server::start(|request| {
        let allow = !request.contains("\"topic\":\"no\"");
        ok(&json!({"allow": allow, "subscribe": ["a"]}).to_string())
    });
    let server = server.await;
    let rules = WebhookRules::new(server.endpoint(), Secret::new(&[7; 32]).unwrap());
    let rules = WebhookRules { timeout: Duration::from_secs(20), ..rules };
    let rules = WebhookRules { events: vec![Event::Subscribe, Event::Disconnect], ..rules };
    let auth = Auth::Webhook(Webhook::new(fetcher(), rules));
    let who = nobody();
    assert_eq!(auth.admit_now(&who, noon()), None);
    let grant = auth.admit(&who).await.unwrap();
    let permit = async |act, name| auth.permit(act, (who.client(), &grant), &topic(name)).await;
    assert_eq!(permit(Act::Subscribe, "a").await, Ok(()));
    assert_eq!(permit(Act::Publish, "a").await, Err(Denied::Forbidden));
    assert_eq!(server.asked(), 1);
    assert_eq!(permit(Act::Subscribe, "b").await, Ok(()));
    assert_eq!(permit(Act::Subscribe, "no").await, Err(Denied::Forbidden));
    assert_eq!(server.asked(), 3);
    assert_eq!(auth.left(who.client(), &grant).await, Ok(()));
    assert_eq!(server.asked(), 4);
}
