//! Keys and tokens for the tests.

use std::time::{Duration, Instant, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};

use super::jwt::{Rules, Trust, Verifier};
use super::keys::{Algorithm, Key, KeySet};
use super::secret::Secret;
use super::{Grant, Moment};

/// The private half of a key.
pub(crate) enum Signer {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Hs256(Vec<u8>),
    Rs256(RsaKeyPair),
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::EdDsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Self::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
            }
            Algorithm::Es256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                Self::Es256(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap())
            }
            Algorithm::Hs256 => Self::Hs256(vec![7; 32]),
            Algorithm::Rs256 => Self::Rs256(RsaKeyPair::from_der(RSA_DER).unwrap()),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::EdDsa(_) => "EdDSA",
            Self::Es256(_) => "ES256",
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
        }
    }

    /// Returns the public half as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::EdDsa(pair) => {
                let x = BASE64.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x})
            }
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Self::Hs256(secret) => json!({"kty": "oct", "k": BASE64.encode(secret)}),
            Self::Rs256(pair) => {
                let numbers: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                let (n, e) = (BASE64.encode(numbers.n), BASE64.encode(numbers.e));
                json!({"kty": "RSA", "n": n, "e": e})
            }
        }
    }

    /// Returns the public half, named.
    pub(crate) fn jwk_of(&self, id: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = id.into();
        jwk
    }

    pub(crate) fn key(&self) -> Key {
        match self {
            Self::Hs256(secret) => Key::from_secret(Secret::new(secret).unwrap()),
            Self::Rs256(_) => Key::from_pem(RSA_PEM).unwrap(),
            _ => only_key(&self.jwk()),
        }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::EdDsa(pair) => pair.sign(text).as_ref().to_vec(),
            Self::Es256(pair) => pair.sign(&random, text).unwrap().as_ref().to_vec(),
            Self::Hs256(secret) => Secret::new(secret).unwrap().sign(text).to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }

    /// Signs what is given as header and claims, JSON or not.
    pub(crate) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = BASE64.encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Signs claims under a header with the right algorithm.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({"alg": self.name()}).to_string(), &claims.to_string())
    }

    /// Signs claims under a header that names the key.
    pub(crate) fn named(&self, id: &str, claims: &Value) -> String {
        self.token_of(&json!({"alg": self.name(), "kid": id}).to_string(), &claims.to_string())
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(vec![Trust::in_keys(self.key().into())], Rules::default()).unwrap()
    }
}

/// Returns the one key that a JWK is.
pub(crate) fn only_key(jwk: &Value) -> Key {
    let document = json!({"keys": [jwk]}).to_string();
    let keys = KeySet::from_jwks(document.as_bytes(), super::keys::Origin::Url).unwrap();
    let algorithm = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    let found = algorithm.iter().find_map(|one| keys.find(None, *one).ok()?.pop().cloned());
    found.unwrap()
}

/// Returns the time that tests are at: 1,000,000 s after 1970.
pub(crate) fn noon() -> Moment {
    Moment { wall: UNIX_EPOCH + Duration::from_secs(1_000_000), monotonic: Instant::now() }
}

/// Returns claims that are good at [`noon`].
pub(crate) fn claims() -> Value {
    json!({"sub": "ann", "exp": 1_000_060})
}

/// Returns the grant of [`claims`] by default rules.
pub(crate) fn grant() -> Grant {
    let expires = Some(UNIX_EPOCH + Duration::from_secs(1_000_070));
    Grant { subject: Some("ann".into()), expires, ..Grant::default() }
}

/// Every algorithm.
pub(crate) const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256, Algorithm::Rs256];

/// A key made for these tests and used nowhere else.
const RSA_DER: &[u8] = include_bytes!("../../testdata/rsa-2048.der");

/// Its public half.
pub(crate) const RSA_PEM: &[u8] = include_bytes!("../../testdata/rsa-2048.pub.pem");
