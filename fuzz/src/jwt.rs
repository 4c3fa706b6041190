//! Any bytes as a token, as what a genuine token says, as a set of keys, and as credentials.

use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use sockeye_server::auth::jwt::{Rules, Trust, Verifier};
use sockeye_server::auth::keys::{Key, KeySet, Origin};
use sockeye_server::auth::{ClientRequest, CredentialRules, Credentials, Grant, Moment, Secret};

/// Reads the bytes as what the first of them says.
pub fn jwt(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => forged(bytes),
        1 => genuine(bytes),
        2 => keys(bytes),
        _ => credentials(bytes),
    }
}

/// Checks that nobody makes a token without the secret, whatever bytes they send.
fn forged(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(verify(&text).is_none(), "a token that nobody has signed");
}

/// Signs header and claims, which a zero byte parts, and checks what comes of those that are taken.
fn genuine(bytes: &[u8]) {
    let (header, claims) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (&br#"{"alg":"HS256"}"#[..], bytes),
    };
    let Some(grant) = verify(&sign(header, claims)) else {
        return;
    };
    assert!(grant.subject.is_some_and(|subject| (1..=255).contains(&subject.len())));
    let expires = grant.expires.expect("every token ends");
    assert!(expires > now().wall, "a token that has ended");
    assert!(grant.info.is_none_or(|info| info.to_string().len() <= 4096));
    let says = |text: &str| header.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(says("HS256") || says("\\"), "an algorithm that is not the key's");
}

/// Checks that keys are read or refused, and that a URL never gives a secret.
fn keys(bytes: &[u8]) {
    let _ = Key::from_pem(bytes);
    let _ = KeySet::from_jwks(bytes, Origin::File);
    let Ok(keys) = KeySet::from_jwks(bytes, Origin::Url) else {
        return;
    };
    let verifier = Verifier::new(vec![Trust::in_keys(keys)], Rules::default());
    let token = sign(br#"{"alg":"HS256"}"#, br#"{"sub":"ann","exp":1000060}"#);
    let verified = verifier.expect("sound rules").verify_now(&token, now());
    assert!(verified.expect("keys at hand").is_err(), "a secret that everybody can fetch");
}

/// Checks that target and headers, a line each, are read or refused.
fn credentials(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let target = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let names = ["authorization", "sec-websocket-protocol", "cookie", "x-team"];
    let headers: Vec<(&str, &[u8])> = names.into_iter().cycle().zip(lines.take(16)).collect();
    let request = ClientRequest {
        client: "c",
        ip: [127, 0, 0, 1].into(),
        target: &target,
        headers: &headers,
    };
    let rules =
        CredentialRules { cookie: Some("sid".to_owned()), forward: vec!["x-team".to_owned()] };
    if let Ok(credentials) = Credentials::collect(&request, &rules) {
        assert!(!credentials.client().path.contains('?'), "a query that a webhook is told");
    }
}

/// Checks a token against two keys, one of which nobody has the other half of.
fn verify(text: &str) -> Option<Grant> {
    let secret = Key::from_secret(Secret::new(&SECRET).expect("a secret"));
    // The public key of RFC 8037, appendix A.2.
    let eddsa = br#"{"keys":[{"kty":"OKP","crv":"Ed25519",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let eddsa = Trust::in_keys(KeySet::from_jwks(eddsa, Origin::Url).expect("a key"));
    let eddsa = Trust { issuer: Some("rfc".to_owned()), ..eddsa };
    let trusts = vec![Trust::in_keys(secret.into()), eddsa];
    let verifier = Verifier::new(trusts, Rules::default()).expect("sound rules");
    verifier.verify_now(text, now()).expect("keys at hand").ok()
}

/// Makes a genuine token.
fn sign(header: &[u8], claims: &[u8]) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let code = BASE64.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{code}")
}

fn now() -> Moment {
    Moment { wall: UNIX_EPOCH + Duration::from_secs(1_000_000), monotonic: Instant::now() }
}

const SECRET: [u8; 32] = [7; 32];
