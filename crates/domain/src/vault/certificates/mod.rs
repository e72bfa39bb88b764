//! Certificates: of a key that the vault makes, signed by itself or by somebody who is asked with a request, or brought. Each version
//! has a key and a secret of the same name and version.
//!
//! **Invariant:** a private half leaves as the secret of a certificate whose policy says that it may, and not otherwise. One that was
//! made not to leave never does: a later policy that lets private halves leave is for another key.

mod contacts;
mod create;
mod due;
mod import;
mod issuers;
mod made;
mod merge;
mod pending;
mod policy;
mod policy_form;

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Kind, VersionId};
use crate::gate::{Admission, Changes, Shelf};

pub use contacts::{CertificateContact, DeleteContacts, GetContacts, PutContacts};
pub use create::CreateCertificate;
pub use due::look_after_certificates;
pub use import::ImportCertificate;
pub use issuers::{DeleteIssuer, GetIssuer, ListIssuers, PutIssuer};
pub use merge::MergeCertificate;
pub(super) use pending::forget_pending;
pub use pending::{CancelPending, DeletePending, GetPending, Pending, PendingStatus};
pub use policy::{
    CertificateAct, CertificateAction, CertificateFormat, CertificateIssuer, CertificatePolicy, CertificateTrigger,
    GetCertificatePolicy, PutCertificatePolicy,
};
pub use policy_form::{NamesForm, PolicyForm};
pub use seal::CertificateUsage;

/// The kind of certificates.
#[derive(Clone, Copy, Debug)]
pub struct Certificate;

impl Kind for Certificate {
    const COLLECTION: &'static str = "certificates";
    const WORD: &'static str = "certificate";
    const NOT_FOUND: &'static str = "CertificateNotFound";
    const DISABLED: &'static str = "CertificateDisabled";
    const SHOWS_DISABLED: bool = true;
    const HAS_PAIR: bool = true;
    const TABLE: &'static str = "vault-certificate";
    const VERSIONS: &'static str = "vault-certificate-version";
    const DELETED: &'static str = "vault-certificate-deleted";

    const READ: Action = Action::data("Microsoft.KeyVault/vaults/certificates/read", Class::Vault);
    const LIST: Action = Self::READ;
    const UPDATE: Action = Action::data("Microsoft.KeyVault/vaults/certificates/update/action", Class::Control);
    const DELETE: Action = Action::data("Microsoft.KeyVault/vaults/certificates/delete", Class::Control);
    const RECOVER: Action = Action::data("Microsoft.KeyVault/vaults/certificates/recover/action", Class::Control);
    const PURGE: Action = Action::data("Microsoft.KeyVault/vaults/certificates/purge/action", Class::Control);
    const BACKUP: Action = Action::data("Microsoft.KeyVault/vaults/certificates/backup/action", Class::Vault);
    const RESTORE: Action = Action::data("Microsoft.KeyVault/vaults/certificates/restore/action", Class::Control);

    type Content = CertificateContent;
    type Whole = CertificateWhole;
    type Patch = CertificatePatch;

    fn patch(_: &mut CertificateContent, _: CertificatePatch) -> Result<()> {
        Ok(())
    }

    fn patch_whole(whole: &mut CertificateWhole, patch: &CertificatePatch, now: i64) -> Result<()> {
        match (&mut whole.policy, &patch.policy) {
            (Some(policy), Some(form)) => form.apply(policy, now),
            _ => Ok(()),
        }
    }

    async fn restored(
        cx: &Admission<'_>,
        shelf: &Shelf,
        id: &[u8],
        _: &CertificateWhole,
        changes: &mut Changes,
    ) -> Result<()> {
        due::mark(cx, shelf, id, changes).await
    }
}

/// What makes certificates, and what the server asks itself when it renews one.
const CREATE: Action = Action::data("Microsoft.KeyVault/vaults/certificates/create/action", Class::Control);

/// What a version of a certificate holds: nothing that is secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CertificateContent {
    /// The certificate, then those that vouch for it; DER, base64.
    chain: Vec<String>,
    /// Whether the secret of this version holds the private half, whatever the policy says since.
    #[serde(default)]
    is_exportable: bool,
}

impl CertificateContent {
    fn new(chain: &[Vec<u8>], is_exportable: bool) -> Self {
        Self { chain: chain.iter().map(|der| STANDARD.encode(der)).collect(), is_exportable }
    }

    /// The certificate itself: DER, base64.
    pub fn own(&self) -> &str {
        self.chain.first().map(String::as_str).unwrap_or_default()
    }

    /// Its SHA-1, by which many systems find it.
    ///
    /// # Errors
    /// `Internal` when what is stored is none.
    pub fn thumbprint(&self) -> Result<Vec<u8>> {
        Ok(seal::thumbprint(&STANDARD.decode(self.own()).map_err(Error::internal)?))
    }
}

/// What belongs to all versions of a certificate.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CertificateWhole {
    /// What its next version is made like, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<CertificatePolicy>,
    /// The version whose coming end was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<VersionId>,
}

/// What an update may change of a certificate.
#[derive(Clone, Debug, Default)]
pub struct CertificatePatch {
    /// Its policy; what is not said stays.
    pub policy: Option<PolicyForm>,
}
