//! How a workspace stands to high business impact; our own, Azure has no such report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The report.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// Whether the workspace is of high business impact.
    pub hbi_workspace: bool,
    /// `NotRaised`; `Running` while something is not as it must be or was not looked at yet; `Proven`.
    pub state: String,
    /// When it became one, RFC 3339.
    pub raised_at: Option<String>,
    /// Who made it one: object id.
    pub raised_by: Option<String>,
    /// When the server looked last by itself, RFC 3339.
    pub looked_at: Option<String>,
    /// When the server found nothing that is not as it must be, RFC 3339.
    pub proven_at: Option<String>,
    /// How many things are not as they must be, now.
    pub non_conforming: usize,
    /// How many were looked through now: `node`, `run`, `service`, `outbox`.
    pub looked_through: BTreeMap<String, usize>,
    /// What is not as it must be; a thousand at most.
    pub findings: Vec<Finding>,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// `node`, `run`, `service` or `outbox`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is wrong, and what to do.
    pub message: String,
}
