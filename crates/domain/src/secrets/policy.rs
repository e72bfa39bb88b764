//! What is asked of a submission: that who submits may read the secrets it names, that they are there, and that none is written out.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Error, Kind, Result};

use super::{
    SecretDetection,
    literal::{Finding, found_in},
    read::READ,
    reference::{FIELD, references},
};
use crate::{
    gate::{Admission, Row, Shelf},
    resources::{Resource, Workspace, require_for_secrets},
    vault::require_usable,
};

/// Findings that are told one by one.
const MOST_TOLD: usize = 20;

/// What somebody submits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// All variables that the program will have: their secrets are read in the name of who submits.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Those that were said now.
    pub(crate) said: &'a BTreeMap<String, String>,
    /// The command line, with its inputs.
    pub(crate) command: Option<(&'a str, &'a BTreeMap<String, String>)>,
}

/// Refuses what must not be submitted. Gives back warnings, for people.
///
/// # Errors
/// `Denied` when secrets are named and the caller may not read the workspace's; `Invalid`, naming the variable, when one is no
/// secret of its vault that can be used, or when the workspace refuses what looks like a secret; `Conflict` when the workspace's
/// identity cannot read its vault.
pub(crate) async fn admit(
    cx: &Admission<'_>,
    (shelf, workspace): (&Shelf, &Row<Resource<Workspace>>),
    given: Given<'_>,
) -> Result<Vec<String>> {
    let named = references(given.variables)?;
    if !named.is_empty() {
        // First of all: whoever may not read them learns nothing of what there is.
        cx.require(&READ, &workspace.value.id).await?;
        require_for_secrets(cx, shelf, &workspace.value).await?;
        let vault = &workspace.value.properties.key_vault;
        for (variable, reference) in &named {
            let usable = require_usable(cx, vault, &reference.name, reference.version).await;
            usable.map_err(|fault| match fault.kind() {
                Kind::NotFound | Kind::Denied => {
                    let why = format!("the value of `{variable}`: {} (in the workspace's key vault)", fault.public());
                    Error::invalid(FIELD, why)
                }
                _ => fault,
            })?;
        }
        let names: BTreeSet<&str> = named.values().map(|reference| reference.name.as_str()).collect();
        cx.note("secrets", names.into_iter().collect::<Vec<_>>().join(", "));
    }
    let findings = found_in(given.said, given.command);
    if findings.is_empty() {
        return Ok(Vec::new());
    }
    cx.note("literalSecrets", told(&findings));
    if let (SecretDetection::Refuse, Some(first)) = (workspace.value.properties.secret_detection, findings.first()) {
        let why = format!("{first}; this workspace refuses secrets that are written out: {ADVICE}");
        return Err(Error::invalid(first.field(), why));
    }
    Ok(findings.iter().take(MOST_TOLD).map(|finding| format!("{finding}; {ADVICE}")).collect())
}

const ADVICE: &str = "put it into the workspace's key vault, and write `secret://NAME` in a variable";

/// For the record: places and shapes, never values.
fn told(findings: &[Finding]) -> String {
    let mut told: Vec<String> = findings.iter().take(MOST_TOLD).map(Finding::in_short).collect();
    if findings.len() > MOST_TOLD {
        told.push(format!("{} more", findings.len().saturating_sub(MOST_TOLD)));
    }
    told.join("; ")
}
