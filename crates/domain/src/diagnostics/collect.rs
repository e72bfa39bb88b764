//! Collecting: what may be said, as the bytes that may leave.

use std::collections::BTreeMap;

use kernel::{Error, ResourceId, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{collection::said, outbox::Entry};
use crate::{
    gate::{Admission, Changes, Row},
    impact::names_somebody,
};

/// Entries that the outbox holds; sent ones make room.
pub(super) const MOST: usize = 1000;
/// What stands for a name that told who works here.
const REMOVED: &str = "(a name that told who works here)";

/// Something that may be collected. This is the list of what may leave: a field that is not here is not collected.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    /// A job was submitted: its experiment, and the names of its environment variables.
    JobSubmitted {
        /// Name of the experiment.
        experiment: &'a str,
        /// The variables, of which only the names are taken.
        variables: &'a BTreeMap<String, String>,
    },
    /// A service was deployed or changed: the names of its environment variables.
    ServiceDeployed {
        /// The variables, of which only the names are taken.
        variables: &'a BTreeMap<String, String>,
    },
    /// A run used data sets: their names.
    DatasetsUsed {
        /// Names of the data sets.
        names: &'a [&'a str],
    },
}

/// Puts a fact about a workspace into the outbox, with `changes`, if an operator collects at all. Whoever calls has asked whether the
/// workspace and the run let it.
pub(crate) async fn collect(
    cx: &Admission<'_>,
    (guid, workspace): (Uuid, &ResourceId),
    fact: Fact<'_>,
    changes: &mut Changes,
) -> Result<()> {
    if !said(cx).await?.is_on {
        return Ok(());
    }
    let system = cx.system();
    let mut kept = cx.all::<Entry>(system, b"").await?;
    if kept.len() >= MOST {
        kept.retain(|row| row.value.sent_at.is_some());
        kept.sort_by_key(|row| row.value.at);
        let Some(oldest) = kept.first() else {
            // What was not looked at yet is worth more than what is new.
            tracing::warn!("the diagnostics outbox is full; nothing is collected until it is purged");
            return Ok(());
        };
        changes.delete(system, oldest);
    }
    let at = cx.now();
    let body = serde_json::to_string(&told(&fact, at.rfc3339(), |name| names_somebody(cx, name)));
    let id = Uuid::new_v4();
    let body = body.map_err(Error::internal)?;
    let entry = Entry { id, at, workspace: workspace.clone(), guid, body, sent_at: None, fault: None, tried_at: None };
    changes.put(system, &Row::new(id.as_bytes().as_slice(), entry))?;
    Ok(())
}

/// What is said of a fact.
fn told(fact: &Fact<'_>, at: String, is_telling: impl Fn(&str) -> bool) -> Value {
    let name = |name: &str| if is_telling(name) { REMOVED.to_owned() } else { name.to_owned() };
    let names = |variables: &BTreeMap<String, String>| variables.keys().map(|key| name(key)).collect::<Vec<_>>();
    let release = env!("CARGO_PKG_VERSION");
    match fact {
        Fact::JobSubmitted { experiment, variables } => json!({
            "kind": "jobSubmitted", "at": at, "release": release,
            "experiment": name(experiment), "environmentVariables": names(variables),
        }),
        Fact::ServiceDeployed { variables } => json!({
            "kind": "serviceDeployed", "at": at, "release": release, "environmentVariables": names(variables),
        }),
        Fact::DatasetsUsed { names } => json!({
            "kind": "datasetsUsed", "at": at, "release": release,
            "datasets": names.iter().map(|one| name(one)).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_and_values_never() {
        let variables = BTreeMap::from([("ACCOUNT_KEY", "hunter2"), ("OF_ALICE", "x")]);
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let fact = Fact::JobSubmitted { experiment: "churn", variables: &variables };
        let said = told(&fact, String::from("now"), |name| name.contains("ALICE"));
        assert_eq!(said["environmentVariables"], json!(["ACCOUNT_KEY", REMOVED]));
        assert_eq!(said["experiment"], "churn");
        let fields: Vec<&String> = said.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["at", "environmentVariables", "experiment", "kind", "release"]);
        assert!(!said.to_string().contains("hunter2"));
        let said = told(&Fact::DatasetsUsed { names: &["iris"] }, String::from("now"), |_| false);
        assert_eq!(said["datasets"], json!(["iris"]));
    }
}
