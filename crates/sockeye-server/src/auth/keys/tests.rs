use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::*;
use crate::auth::json::JsonError;
use crate::auth::testing::{ALGORITHMS, RSA_PEM, Signer, only_key};

/// Tells whether a key takes the signature at the end of a token.
fn takes(key: &Key, token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    key.verifies(signed.as_bytes(), &BASE64.decode(signature).unwrap())
}

fn jwks(keys: &Value) -> Result<KeySet, KeyError> {
    KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes(), Origin::Url)
}

/// RFC 7515, appendix A.1: what is signed in A.2 and A.3 too, with other headers.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                      cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn hs256_example_of_rfc_7515_is_verified() {
    let key =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let document = json!({"keys": [{"kty": "oct", "k": key}]}).to_string();
    let keys = KeySet::from_jwks(document.as_bytes(), Origin::File).unwrap();
    let key = keys.find(None, Algorithm::Hs256).unwrap()[0];
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert!(takes(key, &format!("{header}.{CLAIMS}.{signature}")));
    assert!(!takes(key, &format!("{header}.{CLAIMS}A.{signature}")));
}

#[test]
fn rs256_example_of_rfc_7515_is_verified() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz\
             P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
             3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw\
             Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
             yuXpoQ";
    let key = only_key(&json!({"kty": "RSA", "n": n, "e": "AQAB"}));
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_l\
                     F5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75v\
                     RK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWE\
                     sqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVm\
                     tVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(takes(&key, &format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.{signature}")));
    assert!(!takes(&key, &format!("eyJhbGciOiJSUzI1NiK9.{CLAIMS}.{signature}")));
}

#[test]
fn es256_example_of_rfc_7515_is_verified() {
    let key = only_key(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert!(takes(&key, &format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.{signature}")));
    assert!(!takes(&key, &format!("eyJhbGciOiJFUzI1NiK9.{CLAIMS}.{signature}")));
}

#[test]
fn eddsa_example_of_rfc_8037_is_verified() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = only_key(&json!({"kty": "OKP", "crv": "Ed25519", "x": x}));
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(takes(&key, &format!("{signed}.{signature}")));
    assert!(!takes(&key, &format!("{signed}A.{signature}")));
}

#[test]
fn public_keys_are_read_from_pem() {
    for (kind, algorithm) in [
        (&rcgen::PKCS_ED25519, Algorithm::EdDsa),
        (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::Es256),
    ] {
        let pair = rcgen::KeyPair::generate_for(kind).unwrap();
        let key = Key::from_pem(pair.public_key_pem().as_bytes()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let private = Key::from_pem(pair.serialize_pem().as_bytes());
        assert_eq!(private.unwrap_err(), KeyError::Pem);
    }
    let rsa = Key::from_pem(RSA_PEM).unwrap();
    let signer = Signer::new(Algorithm::Rs256);
    assert!(rsa.verifies(b"text", &signer.sign(b"text")));
}

#[test]
fn curve_that_is_not_known_and_a_cut_document_are_refused() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let refused = Key::from_pem(pair.public_key_pem().as_bytes()).unwrap_err();
    assert_eq!(refused, KeyError::Unsupported);
    let spki = SubjectPublicKeyInfoDer::from_pem_slice(RSA_PEM).unwrap();
    for end in 0..spki.len() {
        assert!(Key::from_spki(&spki[..end]).is_err(), "{end}");
    }
    let longer = [&spki[..], &[0]].concat();
    assert_eq!(Key::from_spki(&longer).unwrap_err(), KeyError::Pem);
    let missing = Path::new("/nonexistent/key.pem");
    assert!(matches!(Key::from_pem_file(missing), Err(KeyError::File { .. })));
}

#[test]
fn rsa_key_of_1024_bits_or_with_a_bad_exponent_is_refused() {
    let number = |bytes: usize| vec![0xff; bytes];
    for bytes in [128, 255, 1025] {
        assert_eq!(
            Key::rsa(&number(bytes), &[1, 0, 1]).unwrap_err(),
            KeyError::Rsa { bits: bytes * 8 }
        );
    }
    for bytes in [256, 1024] {
        assert!(Key::rsa(&number(bytes), &[1, 0, 1]).is_ok());
    }
    for exponent in [&[][..], &[0], &[1], &[2], &[0, 1], &[1, 0, 0, 0, 1]] {
        assert!(Key::rsa(&number(256), exponent).is_err(), "{exponent:?}");
    }
}

#[test]
fn key_in_a_jwks_that_is_for_something_else_is_left_out() {
    let signer = Signer::new(Algorithm::EdDsa);
    let with = |name: &str, value: Value| {
        let mut key = signer.jwk();
        key[name] = value;
        jwks(&json!([key]))
    };
    for (name, value) in [
        ("use", json!("sig")),
        ("alg", json!("EdDSA")),
        ("alg", json!("Ed25519")),
        ("key_ops", json!(["verify"])),
        ("kid", json!("a")),
        ("x5c", json!(["ignored"])),
    ] {
        assert!(with(name, value.clone()).is_ok(), "{name} {value}");
    }
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(1)),
        ("alg", json!("ES256")),
        ("alg", json!("none")),
        ("alg", json!(null)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("key_ops", json!("verify")),
        ("kid", json!(1)),
        ("kid", json!("")),
        ("kid", json!("k".repeat(256))),
        ("kty", json!("EC")),
        ("kty", json!("AKP")),
        ("crv", json!("Ed448")),
        ("x", json!("AAAA")),
        ("x", json!("not base64!")),
    ] {
        assert_eq!(with(name, value.clone()).unwrap_err(), KeyError::None, "{name} {value}");
    }
}

#[test]
fn secret_in_a_jwks_from_a_url_is_no_key() {
    let document = json!({"keys": [Signer::new(Algorithm::Hs256).jwk()]}).to_string();
    assert!(KeySet::from_jwks(document.as_bytes(), Origin::File).is_ok());
    let refused = KeySet::from_jwks(document.as_bytes(), Origin::Url);
    assert_eq!(refused.unwrap_err(), KeyError::None);
}

#[test]
fn jwks_is_bounded_and_strict() {
    let read = |text: &str| KeySet::from_jwks(text.as_bytes(), Origin::Url).unwrap_err();
    assert_eq!(read(&" ".repeat(1024 * 1024 + 1)), KeyError::Long);
    assert_eq!(read("[]"), KeyError::Json(JsonError::Syntax));
    assert_eq!(read(r#"{"keys":[],"keys":[]}"#), KeyError::Json(JsonError::Duplicate));
    assert_eq!(read("{}"), KeyError::Jwks);
    assert_eq!(read(r#"{"keys":[1]}"#), KeyError::Jwks);
    assert_eq!(read(r#"{"keys":[]}"#), KeyError::None);
    let key = |id: usize| Signer::new(Algorithm::EdDsa).jwk_of(&id.to_string());
    let many = |count| jwks(&(0..count).map(key).collect());
    assert!(many(100).is_ok());
    assert_eq!(many(101).unwrap_err(), KeyError::TooMany { max: 100 });
    assert_eq!(jwks(&json!([key(1), key(1)])).unwrap_err(), KeyError::SameName);
}

#[test]
fn debug_of_keys_shows_names_and_nothing_secret() {
    for algorithm in ALGORITHMS {
        let shown = format!("{:?}", Signer::new(algorithm).key().with_id("k1"));
        assert!(shown.contains("k1") && shown.len() < 70, "{shown}");
    }
}
