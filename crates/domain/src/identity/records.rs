//! What the identity room stores.

use kernel::{AppId, PrincipalId, PrincipalKind, TenantId, Timestamp};
use seal::{Fingerprint, PasswordHash};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::Record;

/// The tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// When it was founded.
    pub created_at: Timestamp,
}

impl Record for Tenant {
    const TABLE: &'static str = "tenant";
}

/// A principal of the tenant. Its id is never given to another, even after it is gone (invariant I8).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Object id.
    pub id: PrincipalId,
    /// What it is.
    pub kind: PrincipalKind,
    /// For people.
    pub name: String,
    /// The application it stands for, if it is a service principal.
    pub app: Option<AppId>,
    /// A disabled principal cannot sign in, and its tokens are refused.
    pub is_disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Record for Member {
    const TABLE: &'static str = "principal";
}

/// A person's way to sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The principal.
    pub principal: PrincipalId,
    /// Sign-in name, lower case.
    pub user_name: String,
    /// Argon2id.
    pub password: PasswordHash,
}

impl Record for Person {
    const TABLE: &'static str = "person";
}

/// An application registration with its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Application {
    /// Client id.
    pub app: AppId,
    /// Its service principal.
    pub principal: PrincipalId,
    /// For people.
    pub name: String,
    /// Its secrets' fingerprints.
    pub secrets: Vec<ClientSecret>,
}

impl Record for Application {
    const TABLE: &'static str = "application";
}

/// One secret of an application: never the secret itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Names it, so that one of several can be removed.
    pub id: Uuid,
    /// Its first characters, so that people can tell secrets apart.
    pub hint: String,
    /// Keyed hash.
    pub fingerprint: Fingerprint,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A key that signs tokens. No `Debug`: it holds the private half.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SigningKey {
    /// Opaque id, as tokens carry it.
    pub kid: String,
    /// PKCS#8.
    pub document: Vec<u8>,
    /// When it was made; the newest signs.
    pub created_at: Timestamp,
    /// When the last token under it will have expired: set when a newer key takes over.
    pub verifies_until: Option<Timestamp>,
}

impl Record for SigningKey {
    const TABLE: &'static str = "signing-key";
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        drop(kernel::Secret::new(std::mem::take(&mut self.document)));
    }
}
