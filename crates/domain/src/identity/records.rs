//! What the identity room stores.

use kernel::{AppId, PrincipalId, PrincipalKind, ResourceId, TenantId, Timestamp};
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
    /// Tokens and sessions from before are refused: set when credentials change or sessions are revoked.
    #[serde(default = "epoch")]
    pub valid_from: Timestamp,
    /// The resource whose managed identity it is. Such a principal has no credential of its own.
    #[serde(default)]
    pub managed_by: Option<ResourceId>,
}

impl Member {
    /// The first second, since the epoch, whose tokens count. Tokens tell time in seconds: one of the second in which tokens
    /// were revoked may be from before, so those are refused, and whoever signs in within it gets one of the next.
    pub(super) fn tokens_from(&self) -> i64 {
        self.valid_from.seconds().saturating_add(1)
    }
}

fn epoch() -> Timestamp {
    Timestamp(0)
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
    /// Argon2id; none for people who sign in through an upstream issuer alone.
    pub password: Option<PasswordHash>,
    /// For people to read.
    #[serde(default)]
    pub display_name: String,
    /// The password was set by somebody else and has to be changed at the next sign-in.
    #[serde(default)]
    pub must_change: bool,
    /// Multi-factor authentication is demanded of this person whatever the policies say.
    #[serde(default)]
    pub needs_mfa: bool,
    /// When the password was set.
    #[serde(default)]
    pub password_set_at: Option<Timestamp>,
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
    /// Certificates whose keys sign its assertions (RFC 7523).
    #[serde(default)]
    pub certificates: Vec<ClientCertificate>,
    /// Trusted issuers whose tokens stand for it (workload identity).
    #[serde(default)]
    pub federated: Vec<FederatedCredential>,
    /// Where answers to sign-ins may go: compared exactly, but for the port of `http://localhost` and the loopback addresses.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// A public client has no secret: it must use PKCE, and may use the device flow.
    #[serde(default)]
    pub is_public: bool,
    /// A confidential client that is registered to do without PKCE.
    #[serde(default)]
    pub without_pkce: bool,
}

/// A certificate of an application. Its private half never comes here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// Names it.
    pub id: Uuid,
    /// What it is for; for people.
    #[serde(default)]
    pub name: String,
    /// DER.
    pub der: Vec<u8>,
    /// SHA-1 of the DER, as `x5t` names it (RFC 7515 §4.1.7). A name only: the signature is what proves.
    pub sha1: Vec<u8>,
    /// SHA-256 of the DER, as `x5t#S256` names it.
    pub sha256: Vec<u8>,
    /// When it was added.
    pub created_at: Timestamp,
    /// The certificate's own end.
    pub expires_at: Timestamp,
}

/// Tokens of somebody else's that stand for an application: exact issuer, subject and audience.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FederatedCredential {
    /// Names it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// `iss`, whose keys are fetched from its discovery document.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// `aud`.
    pub audience: String,
}

/// A group: what there is to say of it beside its name. The row's id is the principal's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Group {
    /// The principal.
    pub principal: PrincipalId,
    /// What it is for; for people.
    pub description: String,
    /// Its short name.
    pub nickname: String,
}

impl Record for Group {
    const TABLE: &'static str = "group";
}

/// What is left of a principal that was deleted, so that an old id in the log or in an assignment can be told from one that
/// never was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tombstone {
    /// Its object id, which nobody else gets.
    pub id: PrincipalId,
    /// What it was.
    pub kind: PrincipalKind,
    /// Its name then.
    pub name: String,
    /// The application it stood for.
    pub app: Option<AppId>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl Record for Tombstone {
    const TABLE: &'static str = "tombstone";
}

/// That a principal belongs to a group. Its id is the group's followed by the member's. Groups may contain groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// The group.
    pub group: PrincipalId,
    /// Who belongs to it.
    pub member: PrincipalId,
}

impl Record for Membership {
    const TABLE: &'static str = "group-member";
}

impl Record for Application {
    const TABLE: &'static str = "application";
}

/// One secret of an application: never the secret itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientSecret {
    /// Names it, so that one of several can be removed.
    pub id: Uuid,
    /// What it is for; for people.
    #[serde(default)]
    pub name: String,
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
