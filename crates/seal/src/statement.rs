//! Signed statements: DSSE envelopes (Dead Simple Signing Envelope 1.0) over in-toto statements, by ECDSA on P-256 with SHA-256.
//!
//! What is signed is the envelope's type and its payload, byte for byte; nothing in an envelope chooses an algorithm, and its key id
//! only says which of our keys is to be tried. Payloads come out of [`StatementKey::open`] verified or not at all.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Secret;
use serde::{Deserialize, Serialize};

use crate::{SealError, sha256_hex};

/// The type of every payload.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The longest envelope that is looked at, in bytes.
const LONGEST: usize = 1 << 20;
/// Signatures of one envelope that are looked at.
const MOST_SIGNATURES: usize = 8;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

/// A key that signs statements.
pub struct StatementKey {
    pair: EcdsaKeyPair,
    id: String,
    public: Vec<u8>,
}

impl StatementKey {
    /// A fresh key in PKCS#8, to be stored sealed.
    ///
    /// # Errors
    /// `Refused` when the machine has no randomness to give.
    pub fn generate() -> Result<Secret<Vec<u8>>, SealError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| SealError::Refused("make a signing key"))?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// The key from its stored form.
    ///
    /// # Errors
    /// `Refused` for what is no such key.
    pub fn from_pkcs8(document: &Secret<Vec<u8>>) -> Result<Self, SealError> {
        let unread = SealError::Refused("read a signing key");
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.expose()).map_err(|_| unread.clone())?;
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).map_err(|_| unread)?.as_ref().to_vec();
        Ok(Self { id: sha256_hex(&public), pair, public })
    }

    /// SHA-256 of the public half (`SubjectPublicKeyInfo`, DER), lower-case hex.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half as PEM (`PUBLIC KEY`), for whoever verifies elsewhere.
    pub fn public_pem(&self) -> String {
        let text = STANDARD.encode(&self.public);
        let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        pem
    }

    /// An envelope over a statement.
    ///
    /// # Errors
    /// `Refused` when it cannot be signed.
    pub fn sign(&self, statement: &[u8]) -> Result<String, SealError> {
        let refused = || SealError::Refused("sign a statement");
        let signature = self.pair.sign(&SystemRandom::new(), &encoded(statement)).map_err(|_| refused())?;
        let envelope = Envelope {
            payload_type: PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(statement),
            signatures: vec![Signature { keyid: self.id.clone(), sig: STANDARD.encode(signature) }],
        };
        serde_json::to_string(&envelope).map_err(|_| refused())
    }

    /// The statement in an envelope with a good signature by this key; none for anything else.
    pub fn open(&self, envelope: &str) -> Option<Vec<u8>> {
        if envelope.len() > LONGEST {
            return None;
        }
        let envelope: Envelope = serde_json::from_str(envelope).ok()?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return None;
        }
        let statement = STANDARD.decode(&envelope.payload).ok()?;
        let signed = encoded(&statement);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.pair.public_key().as_ref());
        let mut ours = envelope.signatures.iter().take(MOST_SIGNATURES).filter(|signature| signature.keyid == self.id);
        let is_good = ours.any(|signature| {
            STANDARD.decode(&signature.sig).is_ok_and(|signature| key.verify(&signed, &signature).is_ok())
        });
        is_good.then_some(statement)
    }
}

impl fmt::Debug for StatementKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "StatementKey({})", self.id)
    }
}

/// What is signed: DSSE's pre-authentication encoding of the type and the payload.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut text = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> StatementKey {
        StatementKey::from_pkcs8(&StatementKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_is_signed_is_what_the_specification_says() {
        assert_eq!(encoded(b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    }

    #[test]
    fn an_envelope_opens_under_its_key_alone() {
        let (key, other) = (key(), key());
        let envelope = key.sign(br#"{"a":1}"#).unwrap();
        assert_eq!(key.open(&envelope).unwrap(), br#"{"a":1}"#);
        assert!(other.open(&envelope).is_none());
        // Nor does it when it names the other key.
        assert!(other.open(&envelope.replace(key.id(), other.id())).is_none());
        assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
    }

    #[test]
    fn a_changed_envelope_does_not_open() {
        let key = key();
        let envelope = key.sign(br#"{"a":1}"#).unwrap();
        let other = STANDARD.encode(br#"{"a":2}"#);
        let changed = envelope.replace(&STANDARD.encode(br#"{"a":1}"#), &other);
        assert_ne!(changed, envelope);
        for bad in [
            changed,
            envelope.replace("in-toto+json", "in-toto+text"),
            envelope.replace(key.id(), ""),
            String::new(),
            String::from("{}"),
            String::from(r#"{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}"#),
        ] {
            assert!(key.open(&bad).is_none(), "{bad}");
        }
    }
}
