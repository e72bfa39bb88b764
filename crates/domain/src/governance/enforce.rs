//! Policies where resources are written: what they change before, and what they refuse at the commit.
//!
//! Every write of a resource is a row in the table of resources, so the commit is where none gets by: by whatever protocol or
//! template it came, and as it would be in the end when only a part of it was sent.

use kernel::{Error, Kind, Result, Who};
use serde_json::{Value, json};

use super::{
    effect::{Effect, Operation, Target},
    facts::{AnyResource, Facts},
    snapshot::Assigned,
};
use crate::{
    gate::{Admission, Changes},
    network::{NetworkRequest, NetworkView, WorkspaceNetwork, network_of},
    resources::{Resource, ResourceType},
};

/// Changes a resource that is about to be written as the policies with the effect `modify` say.
///
/// # Errors
/// `Unavailable` while policies cannot be read; `Invalid` when the network rules asked for are malformed.
pub(crate) fn amend<P: ResourceType>(
    cx: &Admission<'_>,
    resource: &mut Resource<P>,
    network: Option<&mut NetworkRequest>,
) -> Result<()> {
    let policies = cx.house().policies();
    if policies.is_empty() || matches!(cx.caller().who, Who::House) {
        return Ok(());
    }
    let mut facts = Facts::of(serde_json::to_value(&*resource).map_err(Error::internal)?)?;
    let mut network = network;
    if let Some(request) = &network {
        facts.network = network_of(cx.house(), &facts.id);
        request.apply(&mut facts.network.rules)?;
    }
    let mut done = Vec::new();
    for one in policies.assigned()? {
        if one.bound.effect != Effect::Modify || !one.is_enforced || !one.applies(&facts) {
            continue;
        }
        for operation in &one.bound.details.operations {
            if operation.is_done(&facts) {
                continue;
            }
            operation.apply(&mut facts, network.as_deref_mut())?;
            done.push(one.id.as_str());
        }
    }
    if done.is_empty() {
        return Ok(());
    }
    done.dedup();
    cx.note("policyModified", done.join(" "));
    resource.tags = facts.tags;
    if resource.tags.len() > 50 {
        return Err(Error::invalid("tags", "with those that policies add there are more than 50"));
    }
    Ok(())
}

/// Refuses a commit that writes a resource which a policy denies, and notes what policies audit.
///
/// # Errors
/// `Denied` (`RequestDisallowedByPolicy`).
pub(crate) async fn judge(cx: &Admission<'_>, changes: &Changes) -> Result<()> {
    let policies = cx.house().policies();
    if policies.is_empty() || matches!(cx.caller().who, Who::House) {
        return Ok(());
    }
    let networks = changes.written::<WorkspaceNetwork>()?;
    let mut audited = Vec::new();
    for (shelf, row) in changes.written::<AnyResource>()? {
        let mut facts = Facts::of(row.value.0)?;
        // What is written here has the version after the one that was read.
        let is_new = row.version == 1;
        let kind = facts.kind();
        let is_own = cx.action().name().eq_ignore_ascii_case(&format!("{kind}/write"))
            || (kind == "Microsoft.Resources/resourceGroups" && cx.action().name().ends_with("/resourceGroups/write"));
        if !is_new && !is_own && !has_changed(cx, &shelf, &row.id, &facts).await? {
            continue;
        }
        let written = networks.iter().find(|(_, network)| network.value.scope == facts.id);
        facts.network = match written {
            Some((_, row)) => {
                NetworkView { rules: row.value.rules.clone(), connections: row.value.connections.clone() }
            }
            None => network_of(cx.house(), &facts.id),
        };
        for one in policies.assigned()?.iter().filter(|one| one.applies(&facts)) {
            let is_refused = match one.bound.effect {
                Effect::Deny => true,
                // Where it could not be changed, or two policies want it differently.
                Effect::Modify => {
                    (is_new || is_own) && one.bound.details.operations.iter().any(|wanted| !wanted.is_done(&facts))
                }
                Effect::Audit => {
                    audited.push(one.id.clone());
                    false
                }
                Effect::AuditIfNotExists | Effect::Disabled => false,
            };
            if is_refused && one.is_enforced {
                return Err(refusal(cx, one, &facts));
            }
        }
    }
    if !audited.is_empty() {
        audited.dedup();
        cx.note("policyAudited", audited.join(" "));
    }
    Ok(())
}

/// Whether a write by an operation on something else changes what policies see of a resource. Rows are often written
/// unchanged, so that a commit is stale when they are deleted meanwhile; and whoever removes something is not held up.
async fn has_changed(cx: &Admission<'_>, shelf: &crate::gate::Shelf, id: &[u8], facts: &Facts) -> Result<bool> {
    if !cx.action().name().to_ascii_lowercase().ends_with("/write") {
        return Ok(false);
    }
    match cx.get::<AnyResource>(shelf, id).await? {
        Some(before) => Ok(!Facts::of(before.value.0)?.is_like(facts)),
        None => Ok(true),
    }
}

fn refusal(cx: &Admission<'_>, one: &Assigned, facts: &Facts) -> Error {
    cx.note("policyAssignment", &one.id);
    cx.note("policyDefinition", &one.definition);
    cx.note("policyEffect", one.bound.effect.word());
    let name = facts.id.name();
    let identifiers = json!([{
        "policyAssignment": {"name": one.name, "id": one.id},
        "policyDefinition": {"name": one.definition_name, "id": one.definition},
    }]);
    let reason = one.message.as_ref().map(|words| format!(" Reasons: '{words}'.")).unwrap_or_default();
    let words = format!("Resource '{name}' was disallowed by policy.{reason} Policy identifiers: '{identifiers}'.");
    Error::new(Kind::Denied, words).coded("RequestDisallowedByPolicy").about(name)
}

impl Operation {
    /// Whether the resource is as this wants it.
    fn is_done(&self, facts: &Facts) -> bool {
        let wanted = self.value.plain_text();
        match &self.target {
            Target::Tag(name) => {
                let name = name.plain_text();
                facts.tags.iter().any(|(known, value)| known.eq_ignore_ascii_case(&name) && *value == wanted)
            }
            Target::Alias(alias) => match alias.value(facts) {
                Value::String(word) => word.eq_ignore_ascii_case(&wanted),
                // It belongs to another type.
                _ => true,
            },
        }
    }

    fn apply(&self, facts: &mut Facts, network: Option<&mut NetworkRequest>) -> Result<()> {
        let wanted = self.value.plain_text();
        match (&self.target, network) {
            (Target::Tag(name), _) => {
                let name = name.plain_text();
                // Names of tags are compared without case: the one that is there keeps its spelling.
                let known = facts.tags.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned();
                facts.tags.insert(known.unwrap_or(name), wanted);
            }
            // The one alias that can be modified is the workspace's public network access.
            (Target::Alias(_), Some(request)) => {
                request.public_network_access = Some(wanted);
                request.apply(&mut facts.network.rules)?;
            }
            (Target::Alias(_), None) => {}
        }
        Ok(())
    }
}
