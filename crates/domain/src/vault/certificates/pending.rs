//! What became of the last request for a version, or what it waits for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Certificate, CertificateIssuer, CertificatePolicy};
use crate::{
    gate::{Admission, Changes, Cx, Op, Record, Row},
    resources::Addressed,
    vault::{
        KeyContent, Kind, ObjectName,
        opened::{ATTEMPTS, Opened, open, scope_of, too_busy},
    },
};

const NOT_FOUND: &str = "PendingCertificateNotFound";

/// How it stands with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PendingStatus {
    /// It waits for the certificate that somebody signs.
    InProgress,
    /// There is a version of it.
    Completed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl PendingStatus {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress => "inProgress",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A request for a version. On the vault's shelf, by the id of the certificate that it is or will be for: the last one of each.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// The certificate's name.
    pub name: String,
    /// The request's own id.
    pub request: Uuid,
    /// Who signs.
    pub issuer: CertificateIssuer,
    /// The request to be signed: PKCS #10, DER, base64.
    pub csr: String,
    /// How it stands.
    pub status: PendingStatus,
    pub(super) policy: CertificatePolicy,
    /// Its key, until there is a version that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<KeyContent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
}

impl Record for Pending {
    const TABLE: &'static str = "vault-certificate-pending";
}

/// The last request of this name.
pub(super) async fn last(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<Option<Row<Pending>>> {
    cx.get::<Pending>(&opened.shelf, &opened.row_id::<Certificate>(name)).await
}

/// The last request, which there must be.
///
/// # Errors
/// `NotFound`.
pub(super) async fn require_last(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<Row<Pending>> {
    let missing = || {
        let why = format!("Pending certificate not found: {}", name.as_str());
        Error::new(Fault::NotFound, why).coded(NOT_FOUND)
    };
    last(cx, opened, name).await?.ok_or_else(missing)
}

/// Refuses while a request waits.
///
/// # Errors
/// `Conflict`.
pub(super) async fn require_none_waits(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<()> {
    let waits = last(cx, opened, name).await?.is_some_and(|row| row.value.status == PendingStatus::InProgress);
    if !waits {
        return Ok(());
    }
    let why = format!(
        "a request for the certificate `{}` is in progress; merge what was signed, or cancel or delete the request first",
        name.as_str()
    );
    Err(Error::new(Fault::Conflict, why))
}

/// Refuses what is done to a request that waits no more.
///
/// # Errors
/// `Denied`, as Azure has it.
pub(super) fn require_waiting(pending: &Pending) -> Result<()> {
    if pending.status == PendingStatus::InProgress {
        return Ok(());
    }
    let why = format!("Pending status must be in progress to allow this; it is {}", pending.status.name());
    Err(Error::new(Fault::Denied, why).coded("Forbidden"))
}

/// Writes a request over the one before it.
pub(super) async fn put(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    pending: &Pending,
    changes: &mut Changes,
) -> Result<()> {
    let version = last(cx, opened, name).await?.map_or(0, |row| row.version);
    let row = Row { id: opened.row_id::<Certificate>(name), version, value: pending.clone() };
    changes.put(&opened.shelf, &row)?;
    Ok(())
}

/// Removes the last request, with `changes`: for a certificate that is deleted.
pub(in crate::vault) async fn forget_pending(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<()> {
    if let Some(row) = last(cx, opened, name).await? {
        changes.delete(&opened.shelf, &row);
    }
    Ok(())
}

/// Reads the last request for a version.
#[derive(Debug)]
pub struct GetPending {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
}

#[async_trait]
impl Op for GetPending {
    const ACTION: Action = Certificate::READ;
    type Output = Pending;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Pending> {
        let opened = open(cx, &self.vault).await?;
        Ok(require_last(cx, &opened, &self.name).await?.value)
    }
}

/// Cancels a request that waits.
#[derive(Debug)]
pub struct CancelPending {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
}

#[async_trait]
impl Op for CancelPending {
    const ACTION: Action = Certificate::UPDATE;
    type Output = Pending;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Pending> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let mut row = require_last(cx, &opened, &self.name).await?;
            require_waiting(&row.value)?;
            row.value.status = PendingStatus::Cancelled;
            row.value.key = None;
            let mut changes = Changes::new();
            changes.put(&opened.shelf, &row)?;
            cx.note("request", "cancelled");
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| row.value),
            }
        }
        Err(too_busy::<Certificate>())
    }
}

/// Forgets the last request, and with one that waits its key.
#[derive(Debug)]
pub struct DeletePending {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
}

#[async_trait]
impl Op for DeletePending {
    const ACTION: Action = Certificate::UPDATE;
    type Output = Pending;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Pending> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let row = require_last(cx, &opened, &self.name).await?;
            let mut changes = Changes::new();
            changes.delete(&opened.shelf, &row);
            cx.note("request", "deleted");
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| row.value),
            }
        }
        Err(too_busy::<Certificate>())
    }
}
