//! Reading the secrets that a run names, for its agent: as the workspace's own identity, on behalf of who submitted it.

use std::collections::BTreeMap;

use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, Secret as Hidden};

use super::{
    keeper::Keeper,
    reference::{Reference, references},
};
use crate::{gate::Admission, resources::workspace_shelf};

/// Reading secrets of a workspace's vault. Runs have it for those they name, or ask for.
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
pub(crate) async fn values(
    cx: &Admission<'_>,
    workspace: &ResourceId,
    submitted_by: PrincipalId,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Hidden<String>>> {
    let named = references(variables)?;
    if named.is_empty() {
        return Ok(BTreeMap::new());
    }
    require_submitter(cx, submitted_by, workspace)?;
    let (_, workspace) = workspace_shelf(cx, workspace).await?;
    let keeper = Keeper::of(cx, &workspace.value).await?;
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
                let value = read(cx, &keeper, &variable, &reference).await?;
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

/// Refuses unless whoever submitted a run may read secrets of its workspace now.
///
/// # Errors
/// `Denied`; `Unavailable` when nothing can be decided.
pub(super) fn require_submitter(cx: &Admission<'_>, submitted_by: PrincipalId, workspace: &ResourceId) -> Result<()> {
    let house = cx.house();
    let may = house.identity.is_enabled(submitted_by) && house.access().allows(submitted_by, &READ, workspace);
    if may {
        return Ok(());
    }
    // Asked after the picture was taken: an empty one says nothing.
    if house.is_blind() {
        return Err(Error::new(Kind::Unavailable, "roles cannot be read just now, so nothing is decided; try again"));
    }
    let why = "whoever submitted this may not read secrets of the workspace any more, so its program does not get them";
    Err(Error::new(Kind::Denied, why))
}

async fn read(cx: &Admission<'_>, keeper: &Keeper, variable: &str, reference: &Reference) -> Result<Hidden<String>> {
    let what = format!("the secret `{}` of the variable `{variable}`", reference.name.as_str());
    let unusable = |why: &str| Error::new(Kind::Conflict, format!("{what} {why}"));
    let found = keeper.read(cx, (&reference.name, reference.version), &what).await?;
    let found = found.ok_or_else(|| unusable("is not in the workspace's key vault any more"))?;
    let value = found.version.content.value();
    if value.contains('\0') {
        return Err(unusable("holds a zero byte, which no variable can"));
    }
    Ok(Hidden::new(value.to_owned()))
}
