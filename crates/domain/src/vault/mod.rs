//! The vault room: what a key vault holds for its users. Secrets, keys and certificates are kinds of one thing, an object with
//! versions; what is the same for all of them is here once (`Kind` says what differs).
//!
//! **Invariant:** an object lies on its vault's own shelf. Whoever destroys that shelf's key destroys all of it, and a row that is
//! moved to another vault does not open.
//!
//! **Invariant:** a deleted object's name is nobody else's until it is purged.

mod attributes;
mod backup;
mod certificates;
mod change;
mod delete;
mod due;
mod keys;
mod kind;
mod name;
mod object;
mod opened;
mod pair;
mod read;
mod secrets;
mod usable;
mod version;

pub use attributes::{Attributes, AttributesForm};
pub use backup::{BackupObject, RestoreObject};
pub use certificates::{
    CancelPending, Certificate, CertificateAct, CertificateAction, CertificateContact, CertificateContent,
    CertificateFormat, CertificateIssuer, CertificatePatch, CertificatePolicy, CertificateTrigger, CertificateUsage,
    CertificateWhole, CreateCertificate, DeleteContacts, DeleteIssuer, DeletePending, GetCertificatePolicy,
    GetContacts, GetIssuer, GetPending, ImportCertificate, ListIssuers, MergeCertificate, NamesForm, Pending,
    PendingStatus, PolicyForm, PutCertificatePolicy, PutContacts, PutIssuer, look_after_certificates,
};
pub use change::UpdateObject;
pub use delete::{DeleteObject, DeletedObject, GetDeletedObject, ListDeletedObjects, PurgeObject, RecoverObject};
pub use due::purge_objects_due;
pub(crate) use keys::HeldKeys;
pub use keys::{
    CheckKey, CipherForm, CreateKey, Decrypt, Deed, DigestForm, Encrypt, EncryptionAlgorithm, GetRandomBytes,
    GetRotationPolicy, ImportKey, Key, KeyContent, KeyOperation, KeyPatch, KeyType, KeyWhole, LifetimeAct,
    LifetimeAction, PutRotationPolicy, ReleaseKey, RotateKey, RotationPolicy, Sign, SignatureAlgorithm, Span, Trigger,
    UnwrapKey, UseKey, Used, VaultCiphertext, VaultCurve, VaultKeyShape, VaultPrivateKey, VaultPublicKey, Verify,
    WrapKey, look_after_rotations,
};
pub use kind::Kind;
pub use name::{ObjectName, VersionId};
pub use object::{Deletion, Object, Version};
pub use opened::Recovery;
pub use read::{GetObject, ListObjects, ListVersions, Page, Paging, Shown};
pub use secrets::{Secret, SecretContent, SecretPatch, SetSecret};
pub(crate) use usable::{require_deletable, require_settable, require_usable};
