//! Tokens that we sign: ES256 JSON Web Tokens with one fixed header shape, so that nothing in a header chooses a key or an
//! algorithm (RFC 8725 §3, invariant I4).

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use kernel::Secret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{SealError, hex, random};

/// The header of every token: these three fields and no other.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
}

/// The public half of a signing key, as a JSON Web Key Set shows it (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Opaque key id.
    pub kid: String,
    /// Base64url x coordinate.
    pub x: String,
    /// Base64url y coordinate.
    pub y: String,
}

/// One signing key.
pub struct TokenKey {
    kid: String,
    document: Secret<Vec<u8>>,
    signer: EcdsaKeyPair,
    verifier: DecodingKey,
    public: PublicKey,
}

impl TokenKey {
    /// A fresh key: its opaque id and its PKCS#8 form, to be stored sealed.
    pub fn generate() -> Result<(String, Secret<Vec<u8>>), SealError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| SealError::Refused("make a signing key"))?;
        Ok((hex(&random::<16>()?), Secret::new(document.as_ref().to_vec())))
    }

    /// The key from its stored form.
    pub fn new(kid: String, document: Secret<Vec<u8>>) -> Result<Self, SealError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.expose())
            .map_err(|_| SealError::Refused("read a signing key"))?;
        // Uncompressed point: 4 ‖ x ‖ y (SEC 1 §2.3.3).
        let point = pair.public_key().as_ref();
        let (x, y) = match point.split_first() {
            Some((4, rest)) if rest.len() == 64 => rest.split_at(32),
            _ => return Err(SealError::Refused("read a public key")),
        };
        let public = PublicKey { kid: kid.clone(), x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) };
        let verifier = DecodingKey::from_ec_components(&public.x, &public.y)
            .map_err(|_| SealError::Refused("read a public key"))?;
        Ok(Self { kid, document, signer: pair, verifier, public })
    }

    /// The stored form.
    pub fn document(&self) -> &Secret<Vec<u8>> {
        &self.document
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TokenKey({})", self.kid)
    }
}

/// The signing keys in force: the first signs, all verify.
#[derive(Debug)]
pub struct TokenKeys(Vec<TokenKey>);

impl TokenKeys {
    /// Newest first.
    pub fn new(keys: Vec<TokenKey>) -> Self {
        Self(keys)
    }

    /// The public halves, for the key set document.
    pub fn public(&self) -> Vec<PublicKey> {
        self.0.iter().map(|key| key.public.clone()).collect()
    }

    /// Signs claims as a token of type `typ` (`at+jwt`, `run+jwt`, …).
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<Secret<String>, SealError> {
        let refused = SealError::Refused("sign a token");
        let key = self.0.first().ok_or(refused.clone())?;
        let header = Header { typ: typ.to_owned(), alg: "ES256".to_owned(), kid: key.kid.clone() };
        let part = |json: Result<Vec<u8>, serde_json::Error>| json.map(|json| URL_SAFE_NO_PAD.encode(json)).ok();
        let header = part(serde_json::to_vec(&header)).ok_or(refused.clone())?;
        let claims = part(serde_json::to_vec(claims)).ok_or(refused.clone())?;
        let message = format!("{header}.{claims}");
        let signature = key.signer.sign(&SystemRandom::new(), message.as_bytes()).map_err(|_| refused)?;
        Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// The claims of a token of type `typ` with a good signature by one of our keys. Times, issuer and audience are the
    /// caller's to check, since time is a port.
    pub fn verify<C: DeserializeOwned>(&self, typ: &str, token: &str) -> Option<C> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        if header.typ != typ || header.alg != "ES256" {
            return None;
        }
        let key = self.0.iter().find(|key| key.kid == header.kid)?;
        let genuine = crypto::verify(signature, message.as_bytes(), &key.verifier, Algorithm::ES256).ok()?;
        if !genuine {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn keys(count: usize) -> TokenKeys {
        let made = (0..count).map(|_| TokenKey::generate().unwrap());
        TokenKeys::new(made.map(|(kid, document)| TokenKey::new(kid, document).unwrap()).collect())
    }

    fn forge(header: Value, token: &str) -> String {
        let rest = token.split_once('.').unwrap().1;
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn a_token_verifies_under_old_and_new_keys_and_no_others() {
        let old = keys(1);
        let token = old.sign("at+jwt", &json!({"sub": "a"})).unwrap();
        assert_eq!(old.verify::<Value>("at+jwt", token.expose()).unwrap()["sub"], "a");
        assert!(keys(1).verify::<Value>("at+jwt", token.expose()).is_none());
        assert!(old.verify::<Value>("run+jwt", token.expose()).is_none());
    }

    #[test]
    fn nothing_in_a_header_chooses_key_or_algorithm() {
        let keys = keys(1);
        let kid = keys.public()[0].kid.clone();
        let token = keys.sign("at+jwt", &json!({"sub": "a"})).unwrap();
        let headers = [
            json!({"typ": "at+jwt", "alg": "none", "kid": kid}),
            json!({"typ": "at+jwt", "alg": "HS256", "kid": kid}),
            json!({"typ": "at+jwt", "alg": "ES256", "kid": kid, "jwk": {}}),
            json!({"typ": "at+jwt", "alg": "ES256", "kid": kid, "crit": ["b64"]}),
            json!({"typ": "at+jwt", "alg": "ES256", "kid": "../../x"}),
            json!({"alg": "ES256", "kid": kid}),
        ];
        for header in headers {
            assert!(keys.verify::<Value>("at+jwt", &forge(header.clone(), token.expose())).is_none(), "{header}");
        }
        let (message, _) = token.expose().rsplit_once('.').unwrap();
        for signature in ["", "AAAA", &URL_SAFE_NO_PAD.encode([0; 64])] {
            assert!(keys.verify::<Value>("at+jwt", &format!("{message}.{signature}")).is_none(), "{signature}");
        }
    }
}
