//! A certificate of erasure, as it is given out and checked. `docs/formats/erasure.md` has its form.

use std::collections::BTreeMap;

use kernel::{ResourceId, TenantId};
use seal::{CheckpointVerifier, SealError, SignedCheckpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The form.
pub(super) const FORMAT: &str = "bartizan-erasure-v1";
/// What the signed text's first line begins with, so that nothing else that is signed is taken for one.
const ORIGIN: &str = "bartizan.erasure/";

/// The first line of what is signed.
pub(super) fn origin(tenant: TenantId) -> String {
    format!("{ORIGIN}{tenant}")
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Party {
    /// Object id; none for the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name then.
    pub name: String,
}

/// Somebody who approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Voice {
    /// Object id.
    pub id: String,
    /// The name then.
    pub name: String,
    /// When, RFC 3339.
    pub at: String,
}

/// The keyring that was destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasedKeyring {
    /// Whose it was: the workspace's GUID.
    pub id: Uuid,
    /// The numbers of the key versions in it; none when the server could not know them.
    pub versions: Vec<u32>,
    /// The address of the customer's key that held it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_key: Option<String>,
}

/// What was erased, who wanted it, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Its id, which the record in the activity log names.
    pub id: Uuid,
    /// The workspace's resource id.
    pub workspace: ResourceId,
    /// Its GUID.
    pub workspace_guid: Uuid,
    /// Who asked for it. Of a workspace that rested its time: who deleted it.
    pub asked_by: Party,
    /// When, RFC 3339.
    pub asked_at: String,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<Voice>,
    /// When the key was destroyed, RFC 3339.
    pub erased_at: String,
    /// The keyring.
    pub keyring: ErasedKeyring,
    /// Rows that lay under it, by table, counted right before.
    pub objects: BTreeMap<String, u64>,
}

/// A certificate: what was erased, readable, and the same in a signed text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// `bartizan-erasure-v1`.
    pub format: String,
    /// The [`Erasure`], for whoever reads it; worth no more than its likeness to what is signed.
    pub erasure: Value,
    /// The signed text; nothing in a list while it cannot be signed.
    pub signed: String,
}

/// A certificate that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What was erased.
    pub erasure: Erasure,
    /// The tenant whose server signed.
    pub tenant: String,
    /// The number of the erasure's record in the activity log; the signed text holds its link too.
    pub record: u64,
    /// Hex of that record's link.
    pub link: String,
}

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// Not of this form.
    #[error("it is no certificate of an erasure, or one of a newer release: its format is `{0}`")]
    Format(String),
    /// The signature does not fit.
    #[error("it was not signed with that key, or was altered: {0}")]
    Signature(#[from] SealError),
    /// Signed, and something else.
    #[error("what is signed is no erasure")]
    Other,
    /// The readable part says something else than what is signed.
    #[error("its readable part was altered: it is not what is signed")]
    Altered,
}

impl Certificate {
    pub(super) fn new(erasure: &Erasure, signed: String) -> kernel::Result<Self> {
        let erasure = serde_json::to_value(erasure).map_err(kernel::Error::internal)?;
        Ok(Self { format: FORMAT.to_owned(), erasure, signed })
    }

    /// Checks it with nothing but the public key of the server's activity log.
    ///
    /// # Errors
    /// When it proves nothing, and why.
    pub fn verify(&self, key: &CheckpointVerifier) -> Result<Verified, CertificateFault> {
        if self.format != FORMAT {
            return Err(CertificateFault::Format(self.format.clone()));
        }
        let signed = key.verify(&self.signed)?;
        let (tenant, told) = read(&signed).ok_or(CertificateFault::Other)?;
        if told != self.erasure {
            return Err(CertificateFault::Altered);
        }
        let erasure = serde_json::from_value(told).map_err(|_| CertificateFault::Other)?;
        Ok(Verified { erasure, tenant, record: signed.size, link: seal::hex(&signed.link) })
    }
}

/// The tenant and the erasure of a text whose signature was checked.
fn read(signed: &SignedCheckpoint) -> Option<(String, Value)> {
    let tenant = signed.origin.strip_prefix(ORIGIN)?;
    let (body, _) = signed.text.split_once("\n\n")?;
    let mut lines = body.lines().skip(4);
    if lines.next()? != FORMAT {
        return None;
    }
    let told = serde_json::from_str(lines.next()?).ok()?;
    lines.next().is_none().then(|| (tenant.to_owned(), told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use seal::CheckpointKey;
    use serde_json::json;

    fn erasure() -> Erasure {
        let guid = Uuid::from_u128(7);
        Erasure {
            id: Uuid::from_u128(1),
            workspace: "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg".parse().unwrap(),
            workspace_guid: guid,
            asked_by: Party { id: None, name: String::from("a\nb") },
            asked_at: String::from("2026-01-01T00:00:00Z"),
            approved_by: Vec::new(),
            erased_at: String::from("2026-01-01T00:00:01Z"),
            keyring: ErasedKeyring { id: guid, versions: vec![1, 2], customer_key: None },
            objects: BTreeMap::from([(String::from("run"), 3)]),
        }
    }

    fn signed(key: &CheckpointKey, origin: &str, format: &str) -> Certificate {
        let body = serde_json::to_string(&erasure()).unwrap();
        let text = key.sign_with(origin, 9, &[3; 32], "2026-01-01T00:00:01Z", &[format, &body]).text;
        Certificate::new(&erasure(), text).unwrap()
    }

    #[test]
    fn a_certificate_proves_what_it_says_and_nothing_else() {
        let key = CheckpointKey::from_pkcs8(&CheckpointKey::generate().unwrap()).unwrap();
        let verifier = CheckpointVerifier::from_line(&key.public_line()).unwrap();
        let origin = origin(TenantId::from(Uuid::nil()));
        let good = signed(&key, &origin, FORMAT);
        let verified = good.verify(&verifier).unwrap();
        assert_eq!((verified.erasure, verified.record), (erasure(), 9));
        // As a file: written, and read again.
        let again: Certificate = serde_json::from_str(&serde_json::to_string_pretty(&good).unwrap()).unwrap();
        assert!(again.verify(&verifier).is_ok());

        let mut altered = good.clone();
        altered.erasure["objects"]["run"] = json!(4);
        assert!(matches!(altered.verify(&verifier), Err(CertificateFault::Altered)));
        let rewritten = Certificate { signed: good.signed.replace("\"run\":3", "\"run\":4"), ..altered };
        assert!(matches!(rewritten.verify(&verifier), Err(CertificateFault::Signature(_))));
        let other = CheckpointKey::from_pkcs8(&CheckpointKey::generate().unwrap()).unwrap();
        let other = CheckpointVerifier::from_line(&other.public_line()).unwrap();
        assert!(matches!(good.verify(&other), Err(CertificateFault::Signature(_))));
        // Signed by the same key, for something else.
        let log = signed(&key, "bartizan.activity-log/t", FORMAT);
        assert!(matches!(log.verify(&verifier), Err(CertificateFault::Other)));
        let newer = signed(&key, &origin, "bartizan-erasure-v2");
        assert!(matches!(newer.verify(&verifier), Err(CertificateFault::Other)));
        let named = Certificate { format: String::from("bartizan-erasure-v2"), ..good };
        assert!(matches!(named.verify(&verifier), Err(CertificateFault::Format(_))));
    }
}
