//! Below a resource group: the address of all its workspaces, of which a header names one.
//!
//! MLflow's clients say which workspace they mean in `X-MLFLOW-WORKSPACE` (MLflow 3.10 and later, `MLFLOW_WORKSPACE`). Workspaces'
//! names are unique within a resource group, so that the group's address is what such a client is given. [`address`] puts the
//! workspace into the path before any door is looked for: what follows is the request that names it in its address.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    resources::{GetResource, ListResources, Workspace},
};
use http::{HeaderMap, Method, header};
use kernel::{Error, Kind, ResourceId, Result};
use serde_json::{Value, json};

use super::{
    Fault,
    server::{VERSION, info},
    view::reply,
};
use crate::{Doors, Guest, faces::arm::GROUP};

/// The header that names a workspace.
pub(super) const HEADER: &str = "x-mlflow-workspace";

/// What the path has between a group and what it holds.
const TYPE: &str = "providers/Microsoft.MachineLearningServices/workspaces";

/// The doors below a group's address.
pub(super) fn doors(doors: Doors, prefix: &str) -> Doors {
    let base = format!("{prefix}{GROUP}");
    let all = format!("{base}/api/3.0/mlflow/workspaces");
    doors
        .open::<ListResources<Workspace>, _, _>(Method::GET, &format!("{base}/api/3.0/mlflow/server-info"), get_info)
        .open::<ListResources<Workspace>, _, _>(Method::GET, &format!("{base}/version"), get_version)
        .open::<ListResources<Workspace>, _, _>(Method::GET, &all, list_workspaces)
        .open::<GetResource<Workspace>, _, _>(Method::GET, &format!("{all}/{{workspace}}"), get_workspace)
}

/// The one value of the header; none when it is not there.
///
/// # Errors
/// `Invalid` when it is there twice, or is no name of a workspace.
fn named(headers: &HeaderMap) -> Result<Option<&str>> {
    let bad = || Error::new(Kind::Invalid, "the header `X-MLFLOW-WORKSPACE` must name one workspace");
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.to_str().map_err(|_| bad())?;
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 64 && name.chars().all(is_known);
    if values.next().is_some() || !is_name { Err(bad()) } else { Ok(Some(name)) }
}

/// The address below the workspace that the header names, for one below its group: none where the path stays what it is.
pub(super) fn address(path: &str, headers: &HeaderMap) -> Option<String> {
    let rest = path.strip_prefix("/mlflow/v1.0/").or_else(|| path.strip_prefix("/mlflow/v2.0/"))?;
    let mut parts = rest.splitn(5, '/');
    let [subscriptions, _, groups, _, below] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    // Spans go to OpenTelemetry's own address.
    let is_below = matches!(below, "version" | "v1/traces" | "get-artifact" | "model-versions/get-artifact")
        || below.starts_with("api/");
    let is_list = below == "api/3.0/mlflow/workspaces" || below.starts_with("api/3.0/mlflow/workspaces/");
    let is_group = subscriptions.eq_ignore_ascii_case("subscriptions") && groups.eq_ignore_ascii_case("resourceGroups");
    if !is_group || !is_below || is_list {
        return None;
    }
    let name = named(headers).ok()??;
    let before = path.strip_suffix(below)?;
    Some(format!("{before}{TYPE}/{name}/{below}"))
}

/// Refuses a request whose header names another workspace than its address does.
pub(super) fn must_agree(guest: &Guest, workspace: &ResourceId) -> Result<()> {
    match named(guest.headers())? {
        Some(name) if !name.eq_ignore_ascii_case(workspace.name()) => {
            let why = "the header `X-MLFLOW-WORKSPACE` names another workspace than the address; leave one of them out";
            Err(Error::new(Kind::Invalid, why))
        }
        _ => Ok(()),
    }
}

/// The group's id.
fn group(guest: &Guest) -> Result<ResourceId> {
    let (subscription, group): (String, String) = (guest.param("subscription")?, guest.param("group")?);
    let id = format!("/subscriptions/{subscription}/resourceGroups/{group}");
    id.parse().map_err(|_| Error::not_found("this address"))
}

async fn listed(guest: &Guest) -> Result<Vec<Value>> {
    // One that is there and cannot be addressed is an error of the caller's.
    named(guest.headers())?;
    let op = ListResources::<Workspace>::new(group(guest)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(rows.iter().map(|row| view(row.value.id.name(), &row.value.properties)).collect())
}

fn view(name: &str, workspace: &Workspace) -> Value {
    json!({"name": name, "description": workspace.description})
}

async fn get_info(guest: Guest) -> Result<Response, Fault> {
    listed(&guest).await?;
    // Files go in parts at the addresses of one workspace.
    Ok(reply(info(true, false)))
}

async fn get_version(guest: Guest) -> Result<Response, Fault> {
    listed(&guest).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], VERSION).into_response())
}

async fn list_workspaces(guest: Guest) -> Result<Response, Fault> {
    Ok(reply(json!({"workspaces": listed(&guest).await?})))
}

async fn get_workspace(guest: Guest) -> Result<Response, Fault> {
    let name: String = guest.param("workspace")?;
    let id = group(&guest)?.child(["providers", "Microsoft.MachineLearningServices", "workspaces", &name]);
    let id = id.map_err(|_| Error::not_found("a workspace of this name"))?;
    let row = enter(guest.house(), &guest.caller().await?, GetResource::<Workspace>::new(id)).await?;
    Ok(reply(json!({"workspace": view(row.value.id.name(), &row.value.properties)})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HEADER, name.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_header_names_a_workspace_of_the_group_and_nothing_else() {
        let base = "/mlflow/v1.0/subscriptions/S/resourceGroups/G";
        let path = format!("{base}/api/2.0/mlflow/runs/get");
        let there =
            format!("{base}/providers/Microsoft.MachineLearningServices/workspaces/ws1/api/2.0/mlflow/runs/get");
        assert_eq!(address(&path, &headers(&["ws1"])), Some(there));
        let there = format!("{base}/providers/Microsoft.MachineLearningServices/workspaces/ws1/v1/traces");
        assert_eq!(address(&format!("{base}/v1/traces"), &headers(&["ws1"])), Some(there));
        for bad in [&["../x"][..], &["ws1", "ws2"], &["a/b"], &["a%2fb"], &[""], &["-a"], &["a b"], &[]] {
            assert_eq!(address(&path, &headers(bad)), None, "{bad:?}");
        }
        for other in [
            format!("{base}/api/3.0/mlflow/workspaces"),
            format!("{base}/v1/metrics"),
            format!("{base}/providers/Microsoft.MachineLearningServices/workspaces/w/api/2.0/mlflow/runs/get"),
            String::from("/mlflow/v1.0/subscriptions/S/api/2.0"),
            String::from("/subscriptions/S/resourceGroups/G/api/2.0"),
            String::from("/mlflow/v3.0/subscriptions/S/resourceGroups/G/api/2.0"),
        ] {
            assert_eq!(address(&other, &headers(&["ws1"])), None, "{other}");
        }
    }
}
