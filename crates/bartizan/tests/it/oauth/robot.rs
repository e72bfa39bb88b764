//! Keys and certificates of applications, made for each test.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD},
};
use domain::identity::ClientCertificate;
use kernel::Timestamp;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use seal::AssertionCertificate;
use serde_json::{Value, json};
use uuid::Uuid;

enum Key {
    Curve(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// An application's key, and its certificate.
pub struct Robot {
    key: Key,
    pub certificate: AssertionCertificate,
}

fn certificate(pair: &KeyPair) -> AssertionCertificate {
    let made = CertificateParams::new(vec![String::from("robot")]).unwrap().self_signed(pair).unwrap();
    AssertionCertificate::read(made.der()).unwrap()
}

pub fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Robot {
    pub fn curve() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der()).unwrap();
        Self { key: Key::Curve(key), certificate: certificate(&pair) }
    }

    pub fn rsa() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let document = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&document.as_ref().into(), &PKCS_RSA_SHA256).unwrap();
        Self { certificate: certificate(&pair), key: Key::Rsa(key) }
    }

    /// What its key signs with.
    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Key::Curve(_) => "ES256",
            Key::Rsa(_) => "RS256",
        }
    }

    pub fn registered(&self) -> ClientCertificate {
        ClientCertificate {
            id: Uuid::new_v4(),
            name: String::from("robot"),
            der: self.certificate.der().to_vec(),
            sha1: self.certificate.sha1().to_vec(),
            sha256: self.certificate.sha256().to_vec(),
            created_at: Timestamp(0),
            expires_at: Timestamp(self.certificate.ends_at() * 1000),
        }
    }

    /// A header as Microsoft's libraries write it: `x5t` with padding.
    pub fn header(&self, alg: &str) -> Value {
        json!({"alg": alg, "typ": "JWT", "x5t": URL_SAFE.encode(self.certificate.sha1())})
    }

    /// The newer form.
    pub fn header_s256(&self, alg: &str) -> Value {
        json!({"alg": alg, "x5t#S256": URL_SAFE_NO_PAD.encode(self.certificate.sha256())})
    }

    /// Signs as the header says; `HS256` with the certificate as the secret, `none` not at all.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let padded = |key: &RsaKeyPair, encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(encoding, &random, message.as_bytes(), &mut signature).unwrap();
            signature
        };
        let signature = match (header["alg"].as_str().unwrap(), &self.key) {
            ("PS256", Key::Rsa(key)) => padded(key, &RSA_PSS_SHA256),
            ("HS256", _) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.certificate.der());
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            ("none", _) => Vec::new(),
            (_, Key::Rsa(key)) => padded(key, &RSA_PKCS1_SHA256),
            (_, Key::Curve(key)) => key.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
