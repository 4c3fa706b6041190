use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::auth::Patterns;
use crate::auth::grant::GrantError;
use crate::auth::json::JsonError;
use crate::auth::keys::{Algorithm, Key};
use crate::auth::testing::{ALGORITHMS, RSA_PEM, Signer, claims, grant, noon};

/// Checks at noon with keys that are at hand.
fn verify(verifier: &Verifier, token: &str) -> Result<Grant, TokenError> {
    verifier.verify_now(token, noon()).unwrap().map_err(|denied| match denied {
        Denied::Token(error) => error,
        other => panic!("{other:?}"),
    })
}

/// Checks what the holder of a secret says.
fn say(claims: &Value) -> Result<Grant, TokenError> {
    let signer = Signer::new(Algorithm::Hs256);
    verify(&signer.verifier(), &signer.token(claims))
}

/// Adds members to good claims.
fn with(members: &Value) -> Value {
    let mut all = claims();
    for (name, value) in members.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

#[test]
fn good_token_of_every_algorithm_gives_its_grant() {
    for algorithm in ALGORITHMS {
        let signer = Signer::new(algorithm);
        assert_eq!(signer.key().algorithm(), algorithm);
        let verified = verify(&signer.verifier(), &signer.token(&claims()));
        assert_eq!(verified, Ok(grant()), "{algorithm:?}");
    }
}

#[test]
fn patterns_and_info_of_a_token_are_those_of_its_grant() {
    let members = json!({"pub": ["a"], "sub_topics": ["a", "b*"], "info": {"n": 1}});
    let grant = say(&with(&members)).unwrap();
    assert_eq!(grant.publish, Patterns::from_json(&json!(["a"])).unwrap());
    assert_eq!(grant.subscribe, Patterns::from_json(&json!(["a", "b*"])).unwrap());
    assert_eq!(grant.info, Some(json!({"n": 1})));
}

// PUB-001
#[test]
fn algorithm_that_is_none_unknown_missing_or_not_a_text_is_refused() {
    let signer = Signer::new(Algorithm::Hs256);
    let body = claims().to_string();
    for (header, error) in [
        (r#"{"alg":"none"}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":"None"}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":"hs256"}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":"HS512"}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":""}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":["HS256"]}"#, TokenError::UnknownAlgorithm),
        (r#"{"alg":null}"#, TokenError::UnknownAlgorithm),
        (r#"{"typ":"JWT"}"#, TokenError::MissingAlgorithm),
        ("{}", TokenError::MissingAlgorithm),
        (r#"{"alg":"HS256","alg":"none"}"#, TokenError::Json(JsonError::Duplicate)),
        (r#"{"alg":"HS256","alg":"HS256"}"#, TokenError::Json(JsonError::Duplicate)),
        (r#"{"alg":"HS256"}{"alg":"HS256"}"#, TokenError::Json(JsonError::Syntax)),
        (r#"["HS256"]"#, TokenError::Json(JsonError::Syntax)),
        (r#"{"alg":"HS256","crit":["exp"]}"#, TokenError::Critical),
        (r#"{"alg":"HS256","crit":[]}"#, TokenError::Critical),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, TokenError::Header("typ")),
        (r#"{"alg":"HS256","typ":1}"#, TokenError::Header("typ")),
        (r#"{"alg":"HS256","kid":1}"#, TokenError::Header("kid")),
    ] {
        let signed = signer.token_of(header, &body);
        assert_eq!(verify(&signer.verifier(), &signed), Err(error), "{header}");
        let (unsigned, _) = signed.rsplit_once('.').unwrap();
        let refused = verify(&signer.verifier(), &format!("{unsigned}."));
        assert_eq!(refused, Err(error), "{header} without a signature");
    }
    let unsigned = format!("{}.{}.", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(&body));
    assert_eq!(verify(&signer.verifier(), &unsigned), Err(TokenError::BadSignature));
}

// PUB-001
#[test]
fn token_with_the_algorithm_of_another_key_is_refused_whatever_it_is_signed_with() {
    for own in ALGORITHMS {
        let verifier = Signer::new(own).verifier();
        for other in ALGORITHMS.into_iter().filter(|other| *other != own) {
            let forged = Signer::new(other).token(&claims());
            let refused = verify(&verifier, &forged);
            assert_eq!(refused, Err(TokenError::AlgorithmMismatch), "{other:?} at {own:?}");
        }
    }
    // The classic: what everybody knows of an RSA key, taken as the secret of an HMAC.
    let rsa = Signer::new(Algorithm::Rs256).verifier();
    let signed =
        format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims().to_string()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_PEM);
    let code = BASE64.encode(ring::hmac::sign(&key, signed.as_bytes()));
    let refused = verify(&rsa, &format!("{signed}.{code}"));
    assert_eq!(refused, Err(TokenError::AlgorithmMismatch));
}

// PUB-001
#[test]
fn refusal_is_told_as_invalid_token_and_its_reason_holds_nothing_of_the_token() {
    let signer = Signer::new(Algorithm::Hs256);
    let token = signer.token_of(r#"{"alg":"none","kid":"tell-tale"}"#, &claims().to_string());
    let denied = signer.verifier().verify_now(&token, noon()).unwrap().unwrap_err();
    let told = (denied.code(), denied.status(), denied.close_code());
    assert_eq!(told, ("invalid_token", 401, 3500));
    let reason = format!("{denied} {denied:?}");
    assert!(reason.contains("algorithm"), "{reason}");
    assert!(!token.split('.').any(|part| reason.contains(part)) && !reason.contains("tell-tale"));
}

// PUB-002
#[test]
fn times_out_of_reach_are_refused_and_the_leeway_counts() {
    assert_eq!(say(&with(&json!({"exp": 999_991}))).map(drop), Ok(()));
    for (members, error) in [
        (json!({"exp": 999_990}), TokenError::Expired),
        (json!({"exp": 0}), TokenError::Expired),
        (json!({"nbf": 1_000_011}), TokenError::NotYet),
        (json!({"iat": 1_000_011}), TokenError::IssuedInFuture),
    ] {
        assert_eq!(say(&with(&members)), Err(error), "{members}");
    }
    let edge = json!({"nbf": 1_000_010, "iat": 1_000_010.0, "exp": 1_000_000.5});
    assert_eq!(say(&with(&edge)).map(drop), Ok(()));
    let rules = |seconds| Rules { leeway: Duration::from_secs(seconds), ..Rules::default() };
    let trusts = || vec![Trust::in_keys(Signer::new(Algorithm::Hs256).key().into())];
    assert_eq!(Verifier::new(trusts(), rules(31)).unwrap_err(), RulesError::Leeway);
    assert!(Verifier::new(trusts(), rules(30)).is_ok());
}

// PUB-002
#[test]
fn time_that_is_absurd_is_refused_and_overflows_nothing() {
    for name in ["exp", "nbf", "iat"] {
        for number in [
            "9223372036854775808",
            "9223372036854775807",
            "18446744073709551615",
            "18446744073709551616",
            "253402300800",
            "1e300",
            "-1",
            "-9223372036854775808",
            "-0.5",
            "\"1000060\"",
            "null",
            "true",
            "[1000060]",
        ] {
            let signer = Signer::new(Algorithm::Hs256);
            let rest = if name == "exp" { "" } else { r#","exp":1000060"# };
            let said = format!(r#"{{"sub":"ann","{name}":{number}{rest}}}"#);
            let token = signer.token_of(r#"{"alg":"HS256"}"#, &said);
            let refused = verify(&signer.verifier(), &token);
            assert_eq!(refused, Err(TokenError::Claim(name)), "{said}");
        }
    }
}

// PUB-002
#[test]
fn token_without_subject_or_end_is_refused() {
    assert_eq!(say(&json!({"exp": 1_000_060})), Err(TokenError::MissingClaim("sub")));
    assert_eq!(say(&with(&json!({"sub": 7}))), Err(TokenError::Claim("sub")));
    let subject = Err(TokenError::Grant(GrantError::Subject));
    assert_eq!(say(&with(&json!({"sub": ""}))), subject);
    assert_eq!(say(&json!({"sub": "ann"})), Err(TokenError::MissingClaim("exp")));
    let signer = Signer::new(Algorithm::Hs256);
    let rules = Rules { expiry: Expiry::Optional, ..Rules::default() };
    let verifier = Verifier::new(vec![Trust::in_keys(signer.key().into())], rules).unwrap();
    let endless = verify(&verifier, &signer.token(&json!({"sub": "ann"})));
    assert_eq!(endless, Ok(Grant { expires: None, ..grant() }));
}

// PUB-003
#[test]
fn token_of_another_key_is_refused() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let (one, other) = (Signer::new(algorithm), Signer::new(algorithm));
        let refused = verify(&one.verifier(), &other.token(&claims()));
        assert_eq!(refused, Err(TokenError::BadSignature), "{algorithm:?}");
    }
    let other = Signer::Hs256(vec![8; 32]).token(&claims());
    let refused = verify(&Signer::new(Algorithm::Hs256).verifier(), &other);
    assert_eq!(refused, Err(TokenError::BadSignature));
}

// PUB-003
#[test]
fn token_cut_at_any_byte_is_refused() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        let signer = Signer::new(algorithm);
        let (verifier, token) = (signer.verifier(), signer.token(&claims()));
        for end in 0..token.len() {
            assert!(verify(&verifier, &token[..end]).is_err(), "{algorithm:?} {end}");
        }
    }
}

// PUB-003
#[test]
fn token_above_8_kib_is_refused_before_anything_of_it_is_read() {
    let verifier = Signer::new(Algorithm::Hs256).verifier();
    for length in [8193, 1_000_000] {
        for filler in ["a", ".", "[", "\u{e9}"] {
            let refused = verify(&verifier, &filler.repeat(length));
            assert_eq!(refused, Err(TokenError::Long), "{length} of {filler}");
        }
    }
    // One byte less is read, and found to be no token.
    assert_eq!(verify(&verifier, &"a".repeat(8192)), Err(TokenError::Parts));
}

// PUB-003
#[test]
fn token_of_another_alphabet_padded_or_with_more_parts_is_refused() {
    let signer = Signer::new(Algorithm::Hs256);
    let token = signer.token(&claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for (text, error) in [
        (String::new(), TokenError::Parts),
        ("..".into(), TokenError::Json(JsonError::Syntax)),
        (format!("{token}."), TokenError::Parts),
        (format!(".{token}"), TokenError::Parts),
        (format!("{token}.{token}"), TokenError::Parts),
        (format!("{token}="), TokenError::Base64),
        (format!("{token}\n"), TokenError::Base64),
        (format!(" {token}"), TokenError::Base64),
        (format!("{signed}.{signature}+/"), TokenError::Base64),
        (format!("{signed}.\u{e9}"), TokenError::Base64),
    ] {
        assert_eq!(verify(&signer.verifier(), &text), Err(error), "{text}");
    }
    // Of 32 bytes the last character has two bits to spare; set, they are another text.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spare = alphabet.chars().nth(alphabet.find(last).unwrap() | 3).unwrap();
    let bent = format!("{}{spare}", &token[..token.len() - 1]);
    assert_eq!(verify(&signer.verifier(), &bent), Err(TokenError::Base64));
}

// PUB-003
#[test]
fn claim_given_twice_is_refused() {
    let signer = Signer::new(Algorithm::Hs256);
    for said in [
        r#"{"sub":"ann","sub":"bob","exp":1000060}"#,
        r#"{"sub":"ann","exp":1000060,"\u0065xp":1000060}"#,
        r#"{"sub":"ann","exp":1000060,"info":{"a":1,"a":2}}"#,
    ] {
        let token = signer.token_of(r#"{"alg":"HS256"}"#, said);
        let refused = verify(&signer.verifier(), &token);
        assert_eq!(refused, Err(TokenError::Json(JsonError::Duplicate)), "{said}");
    }
}

// PUB-003
#[test]
fn token_that_names_no_key_is_tried_with_four_at_most() {
    let signer = |byte| Signer::Hs256(vec![byte; 32]);
    let keys = |count: u8| {
        let keys = (1..=count).map(|byte| signer(byte).key().with_id(&byte.to_string()));
        let keys = KeySet::new(keys.collect()).unwrap();
        Verifier::new(vec![Trust::in_keys(keys)], Rules::default()).unwrap()
    };
    assert_eq!(verify(&keys(4), &signer(4).token(&claims())), Ok(grant()));
    let refused = verify(&keys(5), &signer(5).token(&claims()));
    assert_eq!(refused, Err(TokenError::AmbiguousKey));
    assert_eq!(verify(&keys(5), &signer(5).named("5", &claims())), Ok(grant()));
    // The name chooses: another key's signature is none of its own.
    let refused = verify(&keys(5), &signer(5).named("4", &claims()));
    assert_eq!(refused, Err(TokenError::BadSignature));
    let refused = verify(&keys(5), &signer(5).named("6", &claims()));
    assert_eq!(refused, Err(TokenError::UnknownKey));
}

#[test]
fn grant_that_a_token_may_not_say_is_refused() {
    for members in [
        json!({"pub": "chat"}),
        json!({"pub": [1]}),
        json!({"sub_topics": ["a*b"]}),
        json!({"sub_topics": vec!["a"; 129]}),
        json!({"info": "x".repeat(4096)}),
    ] {
        let refused = say(&with(&members));
        assert!(matches!(refused, Err(TokenError::Grant(_))), "{refused:?}");
    }
}

fn trust(issuer: Option<&str>, audiences: &[&str], key: Key) -> Trust {
    Trust {
        issuer: issuer.map(str::to_owned),
        audiences: audiences.iter().map(|&name| name.to_owned()).collect(),
        keys: Keys::Fixed(KeySet::from(key).into()),
    }
}

// PUB-004
#[test]
fn audience_that_is_required_must_be_named_alone_or_in_a_list() {
    let signer = Signer::new(Algorithm::Hs256);
    let trusts = vec![trust(None, &["chat", "news"], signer.key())];
    let verifier = Verifier::new(trusts, Rules::default()).unwrap();
    let judge = |members: Value| verify(&verifier, &signer.token(&with(&members)));
    for aud in [json!("chat"), json!("news"), json!(["x", "chat"])] {
        assert_eq!(judge(json!({"aud": aud})), Ok(grant()));
    }
    assert_eq!(judge(json!({})), Err(TokenError::MissingClaim("aud")));
    for aud in [json!("Chat"), json!(""), json!([]), json!(["x", "y"]), json!("chat news")] {
        assert_eq!(judge(json!({"aud": aud})), Err(TokenError::Audience), "{aud}");
    }
    for aud in [json!(null), json!(1), json!({"chat": 1}), json!(["chat", 1]), json!([["chat"]])] {
        assert_eq!(judge(json!({"aud": aud})), Err(TokenError::Claim("aud")), "{aud}");
    }
}

// PUB-004
#[test]
fn issuer_that_is_required_must_be_named_and_be_a_text() {
    let signer = Signer::new(Algorithm::Hs256);
    let trusts = vec![trust(Some("https://id.example"), &[], signer.key())];
    let verifier = Verifier::new(trusts, Rules::default()).unwrap();
    let judge = |members: Value| verify(&verifier, &signer.token(&with(&members)));
    assert_eq!(judge(json!({"iss": "https://id.example"})), Ok(grant()));
    assert_eq!(judge(json!({})), Err(TokenError::MissingClaim("iss")));
    for iss in ["https://id.example/", "https://ID.example", "", "x"] {
        assert_eq!(judge(json!({"iss": iss})), Err(TokenError::Issuer), "{iss}");
    }
    for iss in [json!(null), json!(["https://id.example"]), json!(1)] {
        assert_eq!(judge(json!({"iss": iss})), Err(TokenError::Claim("iss")), "{iss}");
    }
}

// PUB-006
#[test]
fn key_of_one_issuer_is_no_key_of_another_though_it_has_the_same_name() {
    let (a, b) = (Signer::Hs256(vec![1; 32]), Signer::Hs256(vec![2; 32]));
    let trusts = vec![
        trust(Some("a"), &[], a.key().with_id("k")),
        trust(Some("b"), &[], b.key().with_id("k")),
        trust(None, &[], Signer::Hs256(vec![3; 32]).key().with_id("k")),
    ];
    let verifier = Verifier::new(trusts.clone(), Rules::default()).unwrap();
    let judge =
        |signer: &Signer, iss| verify(&verifier, &signer.named("k", &with(&json!({"iss": iss}))));
    assert_eq!(judge(&a, "a"), Ok(grant()));
    assert_eq!(judge(&b, "b"), Ok(grant()));
    for (signer, iss) in [(&a, "b"), (&b, "a"), (&a, "c"), (&Signer::Hs256(vec![3; 32]), "a")] {
        assert_eq!(judge(signer, iss), Err(TokenError::BadSignature), "as {iss}");
    }
    let twice = [&trusts[..], &trusts[..1]].concat();
    assert_eq!(Verifier::new(twice, Rules::default()).unwrap_err(), RulesError::SameIssuer);
}

#[test]
fn nobody_trusted_is_an_error_of_the_configuration() {
    assert_eq!(Verifier::new(vec![], Rules::default()).unwrap_err(), RulesError::NoTrust);
}

proptest! {
    #[test]
    fn random_text_is_refused(text in "[A-Za-z0-9_.=-]{0,300}|\\PC{0,100}") {
        let verifier = Signer::new(Algorithm::Hs256).verifier();
        prop_assert!(verify(&verifier, &text).is_err());
    }

    #[test]
    fn genuine_token_that_says_anything_never_panics(
        header in "\\{\"alg\":\"HS256\"[ -~]{0,60}",
        said in "\\{[ -~]{0,100}\\}",
    ) {
        let signer = Signer::new(Algorithm::Hs256);
        let _ = verify(&signer.verifier(), &signer.token_of(&header, &said));
    }

    #[test]
    fn good_token_with_a_byte_changed_added_or_dropped_is_refused(
        algorithm in prop::sample::select(&ALGORITHMS[..]),
        at in any::<prop::sample::Index>(),
        byte in 0_u8..128,
        change in 0..3,
    ) {
        let signer = Signer::new(algorithm);
        let token = signer.token(&claims());
        let verifier = signer.verifier();
        prop_assert!(verify(&verifier, &token).is_ok());
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        match change {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assume!(mutated != token);
        prop_assert!(verify(&verifier, &mutated).is_err(), "{mutated}");
    }
}
