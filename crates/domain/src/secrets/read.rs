//! Reading the secrets that a run names, for its agent: as the workspace's own identity, on behalf of who submitted it.

use std::{collections::BTreeMap, marker::PhantomData};

use kernel::{
    Action, Caller, Class, Error, Kind, Principal, PrincipalId, PrincipalKind, Proof, ResourceId, Result,
    Secret as Hidden, Source, Who,
};

use super::reference::{Reference, references};
use crate::{
    gate::{Cx, Op, enter},
    resources::{Addressed, KeyVault, Resource, Workspace, find, workspace_shelf},
    vault::{GetObject, Kind as _, Secret},
};

/// Reading secrets of a workspace's vault in runs. Runs have it for those they name.
pub(crate) const READ: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/secrets/read", Class::Vault).open_to_runs();
/// Bytes of all values of one run: what a program can be started with, with room to spare.
const MOST_BYTES: usize = 64 << 10;

/// The values of the secrets that a run's variables name, by variable. Each read has its record, in the name of the workspace's
/// identity and with the correlation of whoever asks.
///
/// # Errors
/// `Denied` when who submitted the run may not read secrets of the workspace any more; `Conflict`, naming the variable, when one
/// cannot be read or cannot be a variable's value.
pub(crate) async fn values<O: Op>(
    cx: &Cx<'_, O>,
    workspace: &ResourceId,
    submitted_by: PrincipalId,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Hidden<String>>> {
    let named = references(variables)?;
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    let house = cx.house();
    let is_active = house.identity.is_enabled(submitted_by);
    let may = is_active && house.access().allows(submitted_by, &READ, workspace);
    // Asked after the picture was taken: an empty one says nothing.
    if !may && house.is_blind() {
        return Err(Error::new(Kind::Unavailable, "roles cannot be read just now, so nothing is decided; try again"));
    }
    if !may {
        let why =
            "whoever submitted this may not read secrets of the workspace any more, so its program does not get them";
        return Err(Error::new(Kind::Denied, why));
    }
    let (_, workspace) = workspace_shelf(cx, workspace).await?;
    let (_, vault) = find::<KeyVault, _>(cx, &workspace.value.properties.key_vault).await.map_err(|fault| {
        let why = "the workspace's key vault is gone";
        if fault.kind() == Kind::NotFound { Error::new(Kind::Conflict, why).because(fault) } else { fault }
    })?;
    let reader = Reader {
        identity: identity(cx, &workspace.value)?,
        vault: Addressed { id: vault.value.id, guid: vault.value.guid },
    };
    let mut values = BTreeMap::new();
    // Many variables may name one secret: it is read, and leaves its record, once.
    let mut had: BTreeMap<_, Hidden<String>> = BTreeMap::new();
    let mut bytes: usize = 0;
    let mut names = Vec::new();
    for (variable, reference) in named {
        let folded = reference.folded();
        let value = match had.get(&folded) {
            Some(value) => value.clone(),
            None => {
                let value = reader.read(cx, &variable, &reference).await?;
                had.insert(folded, value.clone());
                value
            }
        };
        bytes = bytes.saturating_add(value.expose().len());
        if bytes > MOST_BYTES {
            return Err(Error::new(
                Kind::Conflict,
                format!("the secrets of its variables have more than {MOST_BYTES} bytes"),
            ));
        }
        names.push(format!("{variable}: {}", reference.name.as_str()));
        values.insert(variable, value);
    }
    cx.note("secrets", names.join(", "));
    Ok(values)
}

struct Reader {
    identity: Caller,
    vault: Addressed,
}

impl Reader {
    async fn read<O: Op>(&self, cx: &Cx<'_, O>, variable: &str, reference: &Reference) -> Result<Hidden<String>> {
        let op = GetObject::<Secret> {
            vault: self.vault.clone(),
            name: reference.name.clone(),
            version: reference.version,
            kind: PhantomData,
        };
        let name = reference.name.as_str();
        let unusable =
            |why: &str| Error::new(Kind::Conflict, format!("the secret `{name}` of the variable `{variable}` {why}"));
        let found = enter(cx.house(), &self.identity, op).await.map_err(|fault| match fault.kind() {
            // The gate answers with the same to whoever may not read the vault's surroundings.
            Kind::NotFound if fault.code() == Some(Secret::NOT_FOUND) => {
                unusable("is not in the workspace's key vault any more").because(fault)
            }
            Kind::Denied if fault.code() == Some(Secret::DISABLED) => unusable("is disabled").because(fault),
            Kind::NotFound | Kind::Unauthenticated => {
                unusable("cannot be read by the workspace's identity").because(fault)
            }
            Kind::Denied => {
                let why = format!("cannot be read by the workspace's identity: {}", fault.public());
                unusable(&why).because(fault)
            }
            _ => fault,
        })?;
        let value = found.version.content.value();
        if value.contains('\0') {
            return Err(unusable("holds a zero byte, which no variable can"));
        }
        Ok(Hidden::new(value.to_owned()))
    }
}

/// The workspace's identity, in whose name its vault is read: the roles of that identity decide, and the log names it.
fn identity<O: Op>(cx: &Cx<'_, O>, workspace: &Resource<Workspace>) -> Result<Caller> {
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
