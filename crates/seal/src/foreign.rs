//! Tokens that others sign: JSON Web Tokens (RFC 7519) verified under an issuer's published key set (RFC 7517).
//!
//! A key's type pins its algorithm, and nothing in a token's header but `kid` is followed: that names one of the keys which
//! the issuer published, and no other place to look (RFC 8725 §3).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Keys of one issuer that are looked at.
const MOST_KEYS: usize = 100;
/// The longest token that is looked at, in bytes.
const LONGEST_TOKEN: usize = 16 << 10;
/// Length of a coordinate on P-256, in bytes.
const COORDINATE: usize = 32;
/// Bounds of an RSA modulus, in bytes: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// The keys that an issuer elsewhere signs with.
#[derive(Debug)]
pub struct ForeignKeys(Vec<ForeignKey>);

#[derive(Debug)]
struct ForeignKey {
    kid: Option<String>,
    algorithms: &'static [Algorithm],
    verifier: DecodingKey,
}

/// A token with a good signature. Issuer, audience and times are the caller's to check, since time is a port.
#[derive(Clone, Debug)]
pub struct ForeignToken {
    /// `typ` of the header.
    pub kind: Option<String>,
    /// The claims.
    pub claims: Map<String, Value>,
}

/// Why a token is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignFault {
    /// None of the keys goes by that name; the issuer may have a newer set.
    #[error("the token names a key that its issuer does not publish")]
    UnknownKey,
    /// Not a signed token, another algorithm than the key's, or a signature that is not the key's.
    #[error("the token is not signed as its issuer signs")]
    Forged,
}

/// What is read of a key (RFC 7517 §4, RFC 7518 §6); private and symmetric parts are not even looked for.
#[derive(Deserialize)]
struct Published {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// What is read of a header. `jwk`, `jku`, `x5u` and `x5c` are ignored; `crit` demands what is not understood here
/// (RFC 7515 §4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
    /// An unencoded payload (RFC 7797) comes with `crit`; without it, it is a trick.
    b64: Option<Value>,
}

impl ForeignKeys {
    /// The keys of a published set that can verify: RSA of 2048 to 8192 bits and P-256, not meant for encryption. None when
    /// it is not a key set at all.
    pub fn from_json(document: &[u8]) -> Option<Self> {
        let set: KeySet = serde_json::from_slice(document).ok()?;
        let published = set.keys.into_iter().take(MOST_KEYS).map(serde_json::from_value::<Published>);
        Some(Self(published.filter_map(|key| ForeignKey::new(key.ok()?)).collect()))
    }

    /// Whether no key can verify.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The claims of a token that one of the keys signed.
    ///
    /// # Errors
    /// `UnknownKey` when a newer set may help, else `Forged`.
    pub fn verify(&self, token: &str) -> Result<ForeignToken, ForeignFault> {
        if token.len() > LONGEST_TOKEN {
            return Err(ForeignFault::Forged);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(ForeignFault::Forged)?;
        let (header, claims) = message.split_once('.').ok_or(ForeignFault::Forged)?;
        let header: Header = part(header).ok_or(ForeignFault::Forged)?;
        if signature.is_empty() || header.crit.is_some() || header.b64.is_some() {
            return Err(ForeignFault::Forged);
        }
        let algorithm = algorithm(&header.alg).ok_or(ForeignFault::Forged)?;
        let mut named = self.0.iter().filter(|key| key.goes_by(header.kid.as_deref())).peekable();
        if named.peek().is_none() {
            return Err(ForeignFault::UnknownKey);
        }
        let mut fitting: Vec<_> = named.filter(|key| key.algorithms.contains(&algorithm)).collect();
        // Without a name there must be no choice (OpenID Connect Core §10.1).
        if header.kid.is_none() && fitting.len() > 1 {
            fitting.clear();
        }
        let is_genuine = fitting.iter().any(|key| {
            crypto::verify(signature, message.as_bytes(), &key.verifier, algorithm).is_ok_and(|is_genuine| is_genuine)
        });
        if !is_genuine {
            return Err(ForeignFault::Forged);
        }
        let claims = part(claims).ok_or(ForeignFault::Forged)?;
        Ok(ForeignToken { kind: header.typ, claims })
    }
}

impl ForeignKey {
    fn new(key: Published) -> Option<Self> {
        let signs = key.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = key.key_ops.as_ref().is_none_or(|all| all.iter().any(|op| op == "verify"));
        if !signs || !verifies {
            return None;
        }
        let (of_kind, verifier): (&'static [Algorithm], _) = match key.kty.as_str() {
            "EC" if key.crv.as_deref() == Some("P-256") => {
                let (x, y) = (key.x?, key.y?);
                let is_point = [&x, &y].iter().all(|part| bytes(part).is_some_and(|part| part.len() == COORDINATE));
                (&[Algorithm::ES256], is_point.then(|| DecodingKey::from_ec_components(&x, &y))?.ok()?)
            }
            "RSA" => {
                let (n, e) = (key.n?, key.e?);
                let is_sized = bytes(&n).is_some_and(|modulus| MODULUS.contains(&modulus.len()));
                let verifier = is_sized.then(|| DecodingKey::from_rsa_components(&n, &e))?.ok()?;
                (&[Algorithm::RS256, Algorithm::PS256], verifier)
            }
            _ => return None,
        };
        // What the key itself says narrows it further.
        let algorithms: &'static [Algorithm] = match key.alg.as_deref().map(algorithm) {
            None => of_kind,
            Some(said) => match said.filter(|said| of_kind.contains(said))? {
                Algorithm::RS256 => &[Algorithm::RS256],
                Algorithm::PS256 => &[Algorithm::PS256],
                _ => of_kind,
            },
        };
        Some(Self { kid: key.kid, algorithms, verifier })
    }

    fn goes_by(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.kid.as_deref() == kid
    }
}

/// The algorithms that are believed at all (RFC 7518 §3.1).
fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&bytes(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TokenKey, TokenKeys};
    use aws_lc_rs::{
        hmac,
        rand::SystemRandom,
        rsa::KeySize,
        signature::{KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
    };
    use serde_json::json;

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn set(keys: Value) -> ForeignKeys {
        ForeignKeys::from_json(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn curve() -> (TokenKeys, Value) {
        let (kid, document) = TokenKey::generate().unwrap();
        let keys = TokenKeys::new(vec![TokenKey::new(kid, document).unwrap()]);
        let public = keys.public().remove(0);
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": public.kid, "x": public.x, "y": public.y});
        (keys, jwk)
    }

    struct Rsa(RsaKeyPair);

    impl Rsa {
        fn new() -> Self {
            Self(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
        }

        fn jwk(&self, more: &Value) -> Value {
            let public = self.0.public_key();
            let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let n = number(public.modulus().big_endian_without_leading_zero());
            let e = number(public.exponent().big_endian_without_leading_zero());
            let mut jwk = json!({"kty": "RSA", "kid": "r1", "n": n, "e": e});
            jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            jwk
        }

        fn sign(&self, alg: &str, encoding: &'static dyn RsaEncoding) -> String {
            let message = format!("{}.{}", encoded(&json!({"alg": alg, "kid": "r1"})), encoded(&json!({"sub": "a"})));
            let mut signature = vec![0; self.0.public_modulus_len()];
            self.0.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn a_token_of_the_issuer_verifies_and_of_another_does_not() {
        let (keys, jwk) = curve();
        let token = keys.sign("JWT", &json!({"sub": "a"})).unwrap();
        let found = set(json!([jwk])).verify(token.expose()).unwrap();
        assert_eq!((found.kind.as_deref(), &found.claims["sub"]), (Some("JWT"), &json!("a")));

        let (_, mut stranger) = curve();
        assert_eq!(set(json!([stranger])).verify(token.expose()).unwrap_err(), ForeignFault::UnknownKey);
        stranger["kid"] = jwk["kid"].clone();
        assert_eq!(set(json!([stranger])).verify(token.expose()).unwrap_err(), ForeignFault::Forged);
    }

    #[test]
    fn the_key_pins_the_algorithm() {
        let rsa = Rsa::new();
        let (pkcs, pss) = (rsa.sign("RS256", &RSA_PKCS1_SHA256), rsa.sign("PS256", &RSA_PSS_SHA256));
        let both = set(json!([rsa.jwk(&json!({}))]));
        assert!(both.verify(&pkcs).is_ok() && both.verify(&pss).is_ok());
        let one = set(json!([rsa.jwk(&json!({"alg": "RS256", "use": "sig"}))]));
        assert!(one.verify(&pkcs).is_ok());
        assert_eq!(one.verify(&pss).unwrap_err(), ForeignFault::Forged);
        // A signature of one scheme under the name of the other.
        assert_eq!(both.verify(&rsa.sign("PS256", &RSA_PKCS1_SHA256)).unwrap_err(), ForeignFault::Forged);
    }

    #[test]
    fn a_public_key_is_no_secret_of_a_keyed_hash() {
        let rsa = Rsa::new();
        let keys = set(json!([rsa.jwk(&json!({}))]));
        let message = format!("{}.{}", encoded(&json!({"alg": "HS256", "kid": "r1"})), encoded(&json!({"sub": "a"})));
        let public = rsa.0.public_key();
        for secret in [public.as_ref(), public.modulus().big_endian_without_leading_zero()] {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac));
            assert_eq!(keys.verify(&token).unwrap_err(), ForeignFault::Forged);
        }
    }

    #[test]
    fn nothing_in_a_header_is_followed() {
        let (keys, jwk) = curve();
        let published = set(json!([jwk]));
        let token = keys.sign("JWT", &json!({"sub": "a"})).unwrap();
        let (message, signature) = token.expose().rsplit_once('.').unwrap();
        let (_, claims) = message.split_once('.').unwrap();
        let (_, stranger) = curve();
        let kid = &jwk["kid"];
        let headers = [
            json!({"alg": "none", "kid": kid}),
            json!({"alg": "None"}),
            json!({"alg": "RS256", "kid": kid}),
            json!({"alg": "ES256", "kid": kid, "crit": ["b64"], "b64": false}),
            json!({"alg": "ES256", "kid": kid, "jwk": stranger}),
            json!({"kid": kid}),
            json!(["ES256"]),
        ];
        for header in headers {
            let forged = format!("{}.{claims}.{signature}", encoded(&header));
            assert_eq!(published.verify(&forged).unwrap_err(), ForeignFault::Forged, "{header}");
        }
        let unsigned = format!("{}.{claims}.", encoded(&json!({"alg": "none"})));
        let cases = [message, &format!("{message}."), &format!("{message}.AAAA"), &unsigned, "", "a.b.c"];
        for case in cases {
            assert_eq!(published.verify(case).unwrap_err(), ForeignFault::Forged, "{case}");
        }
        let elsewhere = json!({"alg": "ES256", "kid": "../../x", "jku": "https://evil.example/keys"});
        let forged = format!("{}.{claims}.{signature}", encoded(&elsewhere));
        assert_eq!(published.verify(&forged).unwrap_err(), ForeignFault::UnknownKey);
    }

    #[test]
    fn keys_for_other_ends_are_passed_over() {
        let (_, jwk) = curve();
        let with = |more: Value| {
            let mut jwk = jwk.clone();
            jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            jwk
        };
        let cases = [
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            with(json!({"use": "enc"})),
            with(json!({"key_ops": ["encrypt"]})),
            with(json!({"crv": "P-384"})),
            with(json!({"alg": "ES384"})),
            with(json!({"x": "AAAA"})),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
            json!("key"),
        ];
        for case in cases {
            assert!(set(json!([case])).is_empty(), "{case}");
        }
        assert!(ForeignKeys::from_json(b"[]").is_none());
        assert!(ForeignKeys::from_json(b"{\"keys\": 1}").is_none());
    }

    #[test]
    fn a_token_without_a_name_needs_a_set_without_a_choice() {
        let rsa = Rsa::new();
        let message = format!("{}.{}", encoded(&json!({"alg": "RS256"})), encoded(&json!({"sub": "a"})));
        let mut signature = vec![0; rsa.0.public_modulus_len()];
        rsa.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        let (_, curve) = curve();
        assert!(set(json!([rsa.jwk(&json!({})), curve])).verify(&token).is_ok());
        let two = json!([rsa.jwk(&json!({})), rsa.jwk(&json!({"kid": "r2"}))]);
        assert_eq!(set(two).verify(&token).unwrap_err(), ForeignFault::Forged);
    }
}
