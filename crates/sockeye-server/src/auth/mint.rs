//! Makes tokens for trying out; those of a service in use are made by its back end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value};

use super::jwt::{self, TokenError};
use super::secret::Secret;

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct Mint {
    /// Who the client is.
    pub subject: String,
    /// How long the token is good.
    pub lifetime: Duration,
    /// Patterns of the topics to publish to.
    pub publish: Vec<String>,
    /// Patterns of the topics to subscribe to.
    pub subscribe: Vec<String>,
    /// What other members of a topic are told.
    pub info: Option<Value>,
    /// Who made it, where the server wants to know.
    pub issuer: Option<String>,
    /// For whom it is, where the server wants to know.
    pub audience: Option<String>,
}

impl Mint {
    /// Makes an HS256 token that begins `now`.
    ///
    /// # Errors
    /// The rule that the token would break: one that is not taken is not made.
    pub fn sign(&self, secret: &Secret, now: SystemTime) -> Result<String, TokenError> {
        let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = BASE64.encode(Value::Object(self.claims(now)?).to_string());
        let signed = format!("{header}.{claims}");
        let signature = BASE64.encode(secret.sign(signed.as_bytes()));
        let token = format!("{signed}.{signature}");
        jwt::check_minted(&token, now)?;
        Ok(token)
    }

    fn claims(&self, now: SystemTime) -> Result<Map<String, Value>, TokenError> {
        let made = now.duration_since(UNIX_EPOCH).map_err(|_| TokenError::Claim("iat"))?.as_secs();
        let ends = made.checked_add(self.lifetime.as_secs()).ok_or(TokenError::Claim("exp"))?;
        let claims = [
            ("iss", self.issuer.clone().map(Value::from)),
            ("aud", self.audience.clone().map(Value::from)),
            ("sub", Some(self.subject.clone().into())),
            ("iat", Some(made.into())),
            ("exp", Some(ends.into())),
            ("pub", Some(self.publish.clone().into())),
            ("sub_topics", Some(self.subscribe.clone().into())),
            ("info", self.info.clone()),
        ];
        let said = claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(said.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::grant::GrantError;
    use crate::auth::jwt::{Rules, Trust, Verifier};
    use crate::auth::keys::{Key, KeySet, Keys};
    use crate::auth::{Grant, Moment, Patterns};

    fn mint() -> Mint {
        Mint {
            subject: "ann".into(),
            lifetime: Duration::from_secs(60),
            publish: vec!["chat:1".into()],
            subscribe: vec!["chat:*".into()],
            info: Some(json!({"nick": "Ann"})),
            issuer: Some("here".into()),
            audience: Some("chat".into()),
        }
    }

    #[test]
    fn minted_token_is_taken_and_allows_what_it_says() {
        let secret = Secret::new(&[7; 32]).unwrap();
        let now = Moment::now();
        let token = mint().sign(&secret, now.wall).unwrap();
        let trust = Trust {
            issuer: Some("here".into()),
            audiences: vec!["chat".into()],
            keys: Keys::Fixed(KeySet::from(Key::from_secret(secret)).into()),
        };
        let verifier = Verifier::new(vec![trust], Rules::default()).unwrap();
        let grant = verifier.verify_now(&token, now).unwrap().unwrap();
        assert_eq!(grant.subject.as_deref(), Some("ann"));
        assert_eq!(grant.publish, Patterns::from_json(&json!(["chat:1"])).unwrap());
        assert_eq!(grant.subscribe, Patterns::from_json(&json!(["chat:*"])).unwrap());
        assert_eq!(grant.info, Some(json!({"nick": "Ann"})));
        assert!(!Grant::has_ended(&grant, now.wall + Duration::from_secs(59)));
        assert!(grant.has_ended(now.wall + Duration::from_secs(70)));
    }

    #[test]
    fn token_that_would_not_be_taken_is_not_made() {
        let secret = Secret::new(&[7; 32]).unwrap();
        let made = |change: fn(&mut Mint)| {
            let mut mint = mint();
            change(&mut mint);
            mint.sign(&secret, SystemTime::now()).unwrap_err()
        };
        assert_eq!(made(|mint| mint.lifetime = Duration::MAX), TokenError::Claim("exp"));
        assert_eq!(made(|mint| mint.lifetime = Duration::ZERO), TokenError::Expired);
        let subject = TokenError::Grant(GrantError::Subject);
        assert_eq!(made(|mint| mint.subject.clear()), subject);
        assert!(matches!(made(|mint| mint.publish.push("a*b".into())), TokenError::Grant(_)));
        assert_eq!(made(|mint| mint.info = Some("x".repeat(9000).into())), TokenError::Long);
    }
}
