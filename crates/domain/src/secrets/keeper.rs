//! A workspace's own key vault, entered as the workspace's identity on behalf of whoever asks.
//!
//! The vault's own operations do what there is to do: its records, its rules and the roles of that identity hold here as anywhere.

use std::marker::PhantomData;

use kernel::{Caller, Error, Kind, Principal, PrincipalKind, Proof, Result, Source, Who};

use crate::{
    gate::{Admission, Op, enter},
    resources::{Addressed, KeyVault, Resource, Workspace, find},
    vault::{GetObject, Kind as _, ObjectName, Secret, Shown, VersionId},
};

/// The vault, and in whose name it is entered.
pub(super) struct Keeper {
    identity: Caller,
    pub(super) vault: Addressed,
}

impl Keeper {
    /// The keeper of a workspace's secrets.
    ///
    /// # Errors
    /// `Conflict` when the workspace's vault is gone.
    pub(super) async fn of(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<Self> {
        let (_, vault) = find::<KeyVault>(cx, &workspace.properties.key_vault).await.map_err(|fault| {
            let why = "the workspace's key vault is gone";
            if fault.kind() == Kind::NotFound { Error::new(Kind::Conflict, why).because(fault) } else { fault }
        })?;
        let vault = Addressed { id: vault.value.id, guid: vault.value.guid };
        Ok(Self { identity: identity(cx, workspace)?, vault })
    }

    /// Runs an operation of the vault's in the identity's name.
    pub(super) async fn enter<O: Op>(&self, cx: &Admission<'_>, op: O) -> Result<O::Output> {
        enter(cx.house(), &self.identity, op).await
    }

    /// Reads a secret; none when there is none of this name, or no such version. `what` begins the sentence of a refusal.
    ///
    /// # Errors
    /// `Conflict` when it is disabled, or when the identity may not read it.
    pub(super) async fn read(
        &self,
        cx: &Admission<'_>,
        (name, version): (&ObjectName, Option<VersionId>),
        what: &str,
    ) -> Result<Option<Shown<Secret>>> {
        let op = GetObject::<Secret> { vault: self.vault.clone(), name: name.clone(), version, kind: PhantomData };
        match self.enter(cx, op).await {
            Ok(shown) => Ok(Some(shown)),
            // The gate answers with the same to whoever may not read the vault's surroundings.
            Err(fault) if fault.kind() == Kind::NotFound && fault.code() == Some(Secret::NOT_FOUND) => Ok(None),
            Err(fault) => Err(refused(fault, what, "read")),
        }
    }
}

/// Why the identity could not do what was asked, as a fault of how things stand: 403 and 404 would say that whoever asks may not.
pub(super) fn refused(fault: Error, what: &str, done: &str) -> Error {
    let unusable = |why: &str| Error::new(Kind::Conflict, format!("{what} {why}"));
    match fault.kind() {
        Kind::Denied if fault.code() == Some(Secret::DISABLED) => unusable("is disabled").because(fault),
        Kind::NotFound | Kind::Unauthenticated => {
            unusable(&format!("cannot be {done} by the workspace's identity")).because(fault)
        }
        Kind::Denied => {
            let why = format!("cannot be {done} by the workspace's identity: {}", fault.public());
            unusable(&why).because(fault)
        }
        _ => fault,
    }
}

/// The workspace's identity, in whose name its vault is entered: the roles of that identity decide, and the log names it.
fn identity(cx: &Admission<'_>, workspace: &Resource<Workspace>) -> Result<Caller> {
    let tenant = cx.house().tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
    let principal = Principal {
        id: workspace.properties.identity,
        tenant,
        kind: PrincipalKind::ServicePrincipal,
        app: None,
        name: workspace.id.name().to_owned(),
        proof: Proof::default(),
    };
    // What one request caused stays together in the log.
    let source = Source { correlation: cx.caller().source.correlation, ..Source::internal() };
    Ok(Caller { who: Who::Principal(principal), source })
}
