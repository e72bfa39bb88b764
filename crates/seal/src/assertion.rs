//! Client assertions: JSON Web Tokens that an application signs with the key of a certificate it registered (RFC 7523 §2.2).
//!
//! The header names the certificate by its thumbprint and chooses among those registered, nothing else: a certificate or an
//! address that it carries is not looked at. The key's type pins the algorithm (RFC 8725 §3).

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};
use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY},
    pem::parse_x509_pem,
    prelude::FromDer,
    public_key::PublicKey,
};

use crate::{SealError, Sha256};

/// The longest assertion that is looked at, in bytes; some carry their certificate chain.
const LONGEST: usize = 16 << 10;
/// The longest certificate that is read, in bytes.
const LONGEST_CERTIFICATE: usize = 16 << 10;
/// Bounds of an RSA modulus, in bytes: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Length of an uncompressed point on P-256, in bytes.
const POINT: usize = 65;
/// Microsoft's libraries write the padding that RFC 7515 leaves out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A certificate whose key signs assertions. Who issued it does not matter: it was registered by its application's owner.
#[derive(Debug)]
pub struct AssertionCertificate {
    der: Vec<u8>,
    sha1: Vec<u8>,
    sha256: [u8; 32],
    starts_at: i64,
    ends_at: i64,
    algorithms: &'static [Algorithm],
    verifier: DecodingKey,
}

impl AssertionCertificate {
    /// Reads a certificate, DER or PEM, with an RSA key of 2048 to 8192 bits or a P-256 key.
    ///
    /// # Errors
    /// `Refused` with what is not supported.
    pub fn read(document: &[u8]) -> Result<Self, SealError> {
        let refused = || SealError::Refused("read the certificate: it must be X.509, in PEM or DER");
        if document.len() > LONGEST_CERTIFICATE {
            return Err(SealError::Refused("read the certificate: it is longer than 16 KiB"));
        }
        let der = if document.trim_ascii_start().starts_with(b"-----BEGIN CERTIFICATE-----") {
            parse_x509_pem(document.trim_ascii_start()).map_err(|_| refused())?.1.contents
        } else {
            document.to_vec()
        };
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| refused())?;
        if !rest.is_empty() {
            return Err(refused());
        }
        let (algorithms, verifier) = key_of(&certificate)
            .ok_or(SealError::Refused("use the certificate's key: it must be RSA of 2048 bits or more, or P-256"))?;
        let (starts_at, ends_at) =
            (certificate.validity().not_before.timestamp(), certificate.validity().not_after.timestamp());
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der).as_ref().to_vec();
        Ok(Self { sha1, sha256: Sha256::of(&der), starts_at, ends_at, algorithms, verifier, der })
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-1 of the DER, as `x5t` names it: a name, no proof.
    pub fn sha1(&self) -> &[u8] {
        &self.sha1
    }

    /// SHA-256 of the DER, as `x5t#S256` names it.
    pub fn sha256(&self) -> &[u8] {
        &self.sha256
    }

    /// From when on it is good, epoch seconds.
    pub fn starts_at(&self) -> i64 {
        self.starts_at
    }

    /// Until when it is good, epoch seconds.
    pub fn ends_at(&self) -> i64 {
        self.ends_at
    }
}

fn key_of(certificate: &X509Certificate<'_>) -> Option<(&'static [Algorithm], DecodingKey)> {
    let info = certificate.public_key();
    let bits = info.subject_public_key.data.as_ref();
    match info.parsed().ok()? {
        PublicKey::RSA(key) => {
            let leading = key.modulus.iter().take_while(|byte| **byte == 0).count();
            let is_sized = MODULUS.contains(&key.modulus.len().saturating_sub(leading));
            is_sized.then(|| (&[Algorithm::RS256, Algorithm::PS256][..], DecodingKey::from_rsa_der(bits)))
        }
        PublicKey::EC(point) if info.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY => {
            let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
            let is_point = curve == OID_EC_P256 && point.data().len() == POINT;
            is_point.then(|| (&[Algorithm::ES256][..], DecodingKey::from_ec_der(bits)))
        }
        _ => None,
    }
}

/// What is read of a header. `crit` demands what is not understood here (RFC 7515 §4.1.11).
#[derive(Deserialize)]
struct Header {
    alg: String,
    x5t: Option<String>,
    #[serde(rename = "x5t#S256")]
    x5t_s256: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

/// What is not needed to find the application is read when the signature is known to be good.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// An assertion that was taken apart, and not believed yet.
pub struct ClientAssertion<'a> {
    message: &'a str,
    signature: &'a str,
    header: Header,
    claims: Claims,
}

/// What a genuine assertion says. Whether it is meant for us, and for now, is the caller's to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionClaims {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
    /// `exp`, whole epoch seconds.
    pub expires_at: i64,
    /// The later of `nbf` and `iat`, whole epoch seconds.
    pub starts_at: Option<i64>,
    /// `jti`.
    pub id: Option<String>,
}

impl<'a> ClientAssertion<'a> {
    /// Takes an assertion apart. None for what is no signed token with the claims of RFC 7523 §3.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        if signature.is_empty() || claims.contains('.') {
            return None;
        }
        Some(Self { message, signature, header: part(header)?, claims: part(claims)? })
    }

    /// Whom it claims to stand for (`sub`): good for finding the application, no proof.
    pub fn claimed_subject(&self) -> &str {
        &self.claims.sub
    }

    /// Who claims to have made it (`iss`), no proof: the application itself, or somebody whom it trusts.
    pub fn claimed_issuer(&self) -> &str {
        &self.claims.iss
    }

    /// Whether its header names the certificate with these thumbprints. All that it gives must fit, and there must be one.
    pub fn names(&self, sha1: &[u8], sha256: &[u8]) -> bool {
        let fits = |named: &Option<String>, thumbprint: &[u8]| {
            named.as_ref().is_none_or(|text| LENIENT.decode(text).is_ok_and(|bytes| bytes == thumbprint))
        };
        let names_any = self.header.x5t.is_some() || self.header.x5t_s256.is_some();
        names_any && fits(&self.header.x5t, sha1) && fits(&self.header.x5t_s256, sha256)
    }

    /// What it says, if the certificate's key signed it.
    pub fn verified(self, certificate: &AssertionCertificate) -> Option<AssertionClaims> {
        if self.header.crit.is_some() || self.header.b64.is_some() {
            return None;
        }
        let algorithm = match self.header.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "PS256" => Algorithm::PS256,
            "ES256" => Algorithm::ES256,
            _ => return None,
        };
        if !certificate.algorithms.contains(&algorithm) {
            return None;
        }
        let is_genuine =
            crypto::verify(self.signature, self.message.as_bytes(), &certificate.verifier, algorithm).ok()?;
        if !is_genuine {
            return None;
        }
        let Claims { iss, sub, others } = self.claims;
        // More than one audience is a token that opens more than one door.
        let audience = match others.get("aud")? {
            Value::String(only) => only,
            Value::Array(all) => match all.as_slice() {
                [Value::String(only)] => only,
                _ => return None,
            },
            _ => return None,
        };
        let start = |name: &str| match others.get(name) {
            Some(date) => seconds(date).map(Some),
            None => Some(None),
        };
        Some(AssertionClaims {
            issuer: iss,
            subject: sub,
            audience: audience.clone(),
            expires_at: seconds(others.get("exp")?)?,
            starts_at: start("nbf")?.max(start("iat")?),
            id: others.get("jti").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

impl std::fmt::Debug for ClientAssertion<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("ClientAssertion(***)")
    }
}

/// A `NumericDate` may have a fraction (RFC 7519 §2): what counts is the second it lies in.
fn seconds(date: &Value) -> Option<i64> {
    if let Some(whole) = date.as_i64() {
        return Some(whole);
    }
    let span = Duration::try_from_secs_f64(date.as_f64()?).ok()?;
    i64::try_from(span.as_secs()).ok()
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        encoding::AsDer,
        rand::SystemRandom,
        rsa::KeySize,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
        },
    };
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
    use serde_json::json;

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn claims() -> Value {
        json!({"iss": "c", "sub": "c", "aud": "here", "jti": "j", "iat": 1_795_295_023.17, "exp": 1_795_295_623.9})
    }

    fn certificate_of(key: &KeyPair) -> AssertionCertificate {
        let made = CertificateParams::new(vec![String::from("robot")]).unwrap().self_signed(key).unwrap();
        let read = AssertionCertificate::read(made.der()).unwrap();
        let from_pem = AssertionCertificate::read(made.pem().as_bytes()).unwrap();
        assert_eq!((read.der(), read.sha1()), (from_pem.der(), from_pem.sha1()));
        read
    }

    fn curve() -> (AssertionCertificate, impl Fn(&Value, &Value) -> String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        let sign = move |header: &Value, claims: &Value| {
            let message = format!("{}.{}", encoded(header), encoded(claims));
            let signature = signer.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        (certificate_of(&key), sign)
    }

    fn rsa() -> (AssertionCertificate, impl Fn(&str, &'static dyn RsaEncoding) -> String) {
        let signer = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let document = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&signer).unwrap();
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&document.as_ref().into(), &PKCS_RSA_SHA256).unwrap();
        let certificate = certificate_of(&key);
        let x5t = base64::engine::general_purpose::URL_SAFE.encode(certificate.sha1());
        let sign = move |alg: &str, encoding: &'static dyn RsaEncoding| {
            let message = format!("{}.{}", encoded(&json!({"alg": alg, "x5t": x5t})), encoded(&claims()));
            let mut signature = vec![0; signer.public_modulus_len()];
            signer.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        (certificate, sign)
    }

    #[test]
    fn an_assertion_is_its_certificate_s_and_no_other_s() {
        let (certificate, sign) = curve();
        let (other, _) = curve();
        let token = sign(&json!({"alg": "ES256", "typ": "JWT"}), &claims());
        let said = ClientAssertion::parse(&token).unwrap().verified(&certificate).unwrap();
        assert_eq!((said.starts_at, said.expires_at), (Some(1_795_295_023), 1_795_295_623));
        assert_eq!((said.audience.as_str(), said.id.as_deref()), ("here", Some("j")));
        assert!(ClientAssertion::parse(&token).unwrap().verified(&other).is_none());
    }

    #[test]
    fn rsa_signs_in_both_paddings_under_their_own_names() {
        let (certificate, sign) = rsa();
        let (curve, _) = curve();
        let cases: [(&str, &'static dyn RsaEncoding, bool); 4] = [
            ("RS256", &RSA_PKCS1_SHA256, true),
            ("PS256", &RSA_PSS_SHA256, true),
            ("PS256", &RSA_PKCS1_SHA256, false),
            ("ES256", &RSA_PKCS1_SHA256, false),
        ];
        for (alg, encoding, is_good) in cases {
            let token = sign(alg, encoding);
            let assertion = ClientAssertion::parse(&token).unwrap();
            assert!(assertion.names(certificate.sha1(), certificate.sha256()), "padded thumbprint");
            assert!(!assertion.names(curve.sha1(), curve.sha256()));
            assert_eq!(assertion.verified(&certificate).is_some(), is_good, "{alg}");
        }
    }

    #[test]
    fn a_header_names_a_certificate_and_nothing_else() {
        let (certificate, sign) = curve();
        let (sha1, sha256) = (URL_SAFE_NO_PAD.encode(certificate.sha1()), URL_SAFE_NO_PAD.encode(certificate.sha256()));
        let names = |header: Value| {
            let token = sign(&header, &claims());
            ClientAssertion::parse(&token).unwrap().names(certificate.sha1(), certificate.sha256())
        };
        assert!(names(json!({"alg": "ES256", "x5t": sha1})));
        assert!(names(json!({"alg": "ES256", "x5t#S256": sha256})));
        assert!(!names(json!({"alg": "ES256"})));
        assert!(!names(json!({"alg": "ES256", "x5t": sha1, "x5t#S256": sha1})));
        let unbelieved = [
            json!({"alg": "none"}),
            json!({"alg": "HS256"}),
            json!({"alg": "RS256"}),
            json!({"alg": "ES256", "crit": ["exp"]}),
            json!({"alg": "ES256", "b64": false}),
        ];
        for header in unbelieved {
            let token = sign(&header, &claims());
            assert!(ClientAssertion::parse(&token).unwrap().verified(&certificate).is_none(), "{header}");
        }
    }

    #[test]
    fn what_is_no_assertion_is_not_taken_apart() {
        let (certificate, sign) = curve();
        let header = json!({"alg": "ES256"});
        let without = |name: &str| {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(name);
            claims
        };
        for name in ["iss", "sub"] {
            assert!(ClientAssertion::parse(&sign(&header, &without(name))).is_none(), "{name}");
        }
        let believed = |claims: &Value| {
            let token = sign(&header, claims);
            ClientAssertion::parse(&token).unwrap().verified(&certificate).is_some()
        };
        assert!(!believed(&without("aud")) && !believed(&without("exp")));
        let mut two = claims();
        two["aud"] = json!(["here", "there"]);
        assert!(!believed(&two));
        two["aud"] = json!(["here"]);
        assert!(believed(&two));
        for exp in [json!(-1.5), json!(1e300), json!("1795295023"), json!(null)] {
            two["exp"] = exp;
            assert!(!believed(&two));
        }
        let token = sign(&header, &claims());
        let (message, _) = token.rsplit_once('.').unwrap();
        for text in ["", "a.b.c", message, &format!("{message}."), &format!("{token}.x"), &"a".repeat(20_000)] {
            assert!(ClientAssertion::parse(text).is_none());
        }
    }

    #[test]
    fn only_keys_that_can_be_trusted_are_registered() {
        let weak = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let made = CertificateParams::new(vec![String::from("robot")]).unwrap().self_signed(&weak).unwrap();
        for document in
            [made.der().as_ref(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"", &[0; 20_000]]
        {
            assert!(AssertionCertificate::read(document).is_err());
        }
    }
}
