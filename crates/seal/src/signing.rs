//! Signed checkpoints of the activity log: Ed25519 over a text in the manner of C2SP `tlog-checkpoint`.
//!
//! ```text
//! bartizan.activity-log/<tenant>
//! <number of records>
//! <base64 of the link>
//! <time, RFC 3339>
//!
//! — <base64 of key id (4 bytes) ‖ signature (64 bytes)>
//! ```

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Link, Secret};

use crate::{SealError, Sha256};

/// The key that signs checkpoints.
pub struct CheckpointKey(Ed25519KeyPair);

/// A checkpoint that somebody can keep elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// Which log.
    pub origin: String,
    /// How many records it covers.
    pub size: u64,
    /// The link of the last of them.
    pub link: Link,
    /// When it was signed, RFC 3339.
    pub time: String,
    /// The signed text with its signature line.
    pub text: String,
}

impl CheckpointKey {
    /// A fresh key in PKCS#8, to be stored sealed.
    pub fn generate() -> Result<Secret<Vec<u8>>, SealError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SealError::Refused("make a signing key"))?;
        let document = pair.to_pkcs8v1().map_err(|_| SealError::Refused("write a signing key"))?;
        Ok(Secret::new(document.as_ref().to_vec()))
    }

    /// The key from its PKCS#8 form.
    pub fn from_pkcs8(document: &Secret<Vec<u8>>) -> Result<Self, SealError> {
        Ed25519KeyPair::from_pkcs8(document.expose()).map(Self).map_err(|_| SealError::Refused("read a signing key"))
    }

    /// The public half, for whoever verifies: one line, `bartizan-log-key-v1 <base64>`.
    pub fn public_line(&self) -> String {
        format!("bartizan-log-key-v1 {}", STANDARD.encode(self.0.public_key().as_ref()))
    }

    /// Signs the state of a log.
    pub fn sign(&self, origin: &str, size: u64, link: &Link, time: &str) -> SignedCheckpoint {
        self.sign_with(origin, size, link, time, &[])
    }

    /// The same with further lines, which are signed too.
    pub fn sign_with(&self, origin: &str, size: u64, link: &Link, time: &str, more: &[&str]) -> SignedCheckpoint {
        let mut body = format!("{origin}\n{size}\n{}\n{time}\n", STANDARD.encode(link));
        for line in more {
            body.push_str(&line.replace('\n', " "));
            body.push('\n');
        }
        let mut signature = key_id(self.0.public_key().as_ref()).to_vec();
        signature.extend_from_slice(self.0.sign(body.as_bytes()).as_ref());
        let text = format!("{body}\n— {}\n", STANDARD.encode(signature));
        SignedCheckpoint { origin: origin.to_owned(), size, link: *link, time: time.to_owned(), text }
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CheckpointKey(***)")
    }
}

fn key_id(public: &[u8]) -> [u8; 4] {
    let hash = Sha256::of(public);
    hash.first_chunk::<4>().copied().unwrap_or_default()
}

/// Checks checkpoints with nothing but the public key.
#[derive(Clone, Debug)]
pub struct CheckpointVerifier(Vec<u8>);

impl CheckpointVerifier {
    /// Reads the line that [`CheckpointKey::public_line`] wrote.
    pub fn from_line(line: &str) -> Option<Self> {
        let encoded = line.trim().strip_prefix("bartizan-log-key-v1 ")?;
        let public = STANDARD.decode(encoded.trim()).ok()?;
        (public.len() == 32).then_some(Self(public))
    }

    /// Reads and checks a checkpoint.
    pub fn verify(&self, text: &str) -> Result<SignedCheckpoint, SealError> {
        const WHAT: &str = "a checkpoint of the activity log";
        let malformed = || SealError::Truncated { what: WHAT };
        let (body, signature) = text.split_once("\n\n— ").ok_or_else(malformed)?;
        let body = format!("{body}\n");
        let signature = STANDARD.decode(signature.trim_end()).map_err(|_| malformed())?;
        let (id, signature) = signature.split_first_chunk::<4>().ok_or_else(malformed)?;
        let genuine = *id == key_id(&self.0)
            && UnparsedPublicKey::new(&ED25519, &self.0).verify(body.as_bytes(), signature).is_ok();
        if !genuine {
            return Err(SealError::Unauthentic { what: WHAT });
        }
        let mut lines = body.lines();
        let mut next = || lines.next().ok_or_else(malformed);
        let (origin, size, link, time) = (next()?, next()?, next()?, next()?);
        let link = STANDARD.decode(link).ok().and_then(|link| Link::try_from(link).ok()).ok_or_else(malformed)?;
        Ok(SignedCheckpoint {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| malformed())?,
            link,
            time: time.to_owned(),
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_verifies_and_a_changed_one_does_not() {
        let key = CheckpointKey::from_pkcs8(&CheckpointKey::generate().unwrap()).unwrap();
        let signed = key.sign("bartizan.activity-log/t", 42, &[9; 32], "2026-01-01T00:00:00Z");
        let verifier = CheckpointVerifier::from_line(&key.public_line()).unwrap();
        assert_eq!(verifier.verify(&signed.text).unwrap(), signed);
        assert!(verifier.verify(&signed.text.replace("42", "41")).is_err());
        let other = CheckpointKey::from_pkcs8(&CheckpointKey::generate().unwrap()).unwrap();
        assert!(CheckpointVerifier::from_line(&other.public_line()).unwrap().verify(&signed.text).is_err());
    }
}
