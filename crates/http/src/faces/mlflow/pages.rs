//! What MLflow's own pages ask for: the same doors below `ajax-api` as below `api`, and files by name.
//!
//! **Invariant:** an address below `ajax-api` is brought to the one below `api` before any door is looked for. There is no
//! second door, so that none can be left without its lock (upstream's GHSA-qqq6-8wgv-xjqg was one).

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    tracking::{ArtifactPath, ArtifactPlace, GetArtifact, GetModelVersion, PutArtifact, VersionKey},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result};

use super::{
    Desk, Fault, arrive,
    artifacts::{path_asked, sent},
    fields::Fields,
    model_versions::version,
    range,
    runs::run_id,
};
use crate::{Doors, Guest};

/// The doors below the workspace's base address.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/api/2.0/mlflow/{path}");
    doors
        .open::<GetArtifact, _, _>(Method::GET, &format!("{base}/get-artifact"), get_of_run)
        .open::<GetArtifact, _, _>(Method::GET, &format!("{base}/model-versions/get-artifact"), get_of_version)
        .open::<GetArtifact, _, _>(Method::GET, &at("logged-models/{model}/artifacts/files"), get_of_model)
        .open::<PutArtifact, _, _>(Method::POST, &at("upload-artifact"), upload)
}

/// The address below `api` for one below `ajax-api`, of a workspace or of its group: none where the path stays what it is.
pub(super) fn twin(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/mlflow/v1.0/").or_else(|| path.strip_prefix("/mlflow/v2.0/"))?;
    let (home, below) = match rest.split('/').collect::<Vec<_>>().as_slice() {
        [_, _, _, _, "ajax-api", below @ ..] => (4, below.join("/")),
        [_, _, _, _, providers, _, _, _, "ajax-api", below @ ..] if providers.eq_ignore_ascii_case("providers") => {
            (8, below.join("/"))
        }
        _ => return None,
    };
    // What is ours alone (`bartizan/…`) has one address.
    let is_known = ["2.0/mlflow/", "2.0/mlflow-artifacts/", "3.0/mlflow/"].iter().any(|known| below.starts_with(known));
    let before: Vec<&str> = rest.split('/').take(home).collect();
    let prefix = path.strip_suffix(rest)?;
    is_known.then(|| format!("{prefix}{}/api/{below}", before.join("/")))
}

async fn give((house, caller, workspace): Desk, guest: &Guest, place: ArtifactPlace) -> Result<Response, Fault> {
    let wanted = range::wanted(guest);
    let file = enter(&house, &caller, GetArtifact { workspace, place, wanted }).await?;
    Ok(sent(file)?)
}

async fn get_of_run(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<GetArtifact>(&guest).await?;
    let run = run_id(&Fields::query(&guest, &["run_id", "run_uuid"]))?;
    let path = ArtifactPath::parse(&path_asked(&guest, "path")?)?;
    give(desk, &guest, ArtifactPlace::of_run(run, path)).await
}

async fn get_of_model(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<GetArtifact>(&guest).await?;
    let path = ArtifactPath::parse(&path_asked(&guest, "artifact_file_path")?)?;
    give(desk, &guest, ArtifactPlace::of_logged_model(guest.param("model")?, path)).await
}

/// Where a version's files lie is learned by the right to read versions, what they hold by the right to read files.
async fn get_of_version(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<GetArtifact>(&guest).await?;
    let (house, caller, workspace) = arrive::<GetModelVersion>(&guest).await?;
    let fields = Fields::query(&guest, &["name", "version"]);
    let (name, key) = (fields.need("name")?, VersionKey::Number(version(&fields)?));
    let path = ArtifactPath::parse(&path_asked(&guest, "path")?)?;
    let found = enter(&house, &caller, GetModelVersion { workspace, name, key }).await?;
    let missing = || Error::new(Kind::NotFound, "No such artifact: the version has no file of this name");
    let root = found.artifact_uri.strip_prefix("mlflow-artifacts:/").ok_or_else(missing)?;
    let place = format!("{}/{path}", root.trim_matches('/'));
    let place = ArtifactPlace::parse(place.trim_end_matches('/'))?.ok_or_else(missing)?;
    give(desk, &guest, place).await
}

async fn upload(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PutArtifact>(&guest).await?;
    let must = |what: &str| Error::new(Kind::Invalid, format!("Request must specify {what}."));
    let fields = Fields::query(&guest, &["run_id", "run_uuid"]);
    if !fields.has("run_id") && !fields.has("run_uuid") {
        return Err(must("run_uuid").into());
    }
    let path = path_asked(&guest, "path")?;
    if path.is_empty() {
        return Err(must("path").into());
    }
    let place = ArtifactPlace::of_run(run_id(&fields)?, ArtifactPath::parse(&path)?);
    if guest.is_without_body() {
        return Err(must("data").into());
    }
    let most = guest.limits().stream;
    let body = guest.stream();
    enter(&house, &caller, PutArtifact { workspace, place, most, body, is_new_only: false, address: None }).await?;
    Ok(StatusCode::OK.into_response())
}

#[cfg(test)]
mod tests {
    use super::twin;

    #[test]
    fn the_pages_addresses_are_the_clients() {
        let group = "/mlflow/v1.0/subscriptions/S/resourceGroups/G";
        let own = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/W");
        for base in [group, &own] {
            for below in [
                "2.0/mlflow/runs/get",
                "3.0/mlflow/traces/t",
                "2.0/mlflow-artifacts/artifacts/0/r/artifacts/ajax-api/x",
            ] {
                assert_eq!(twin(&format!("{base}/ajax-api/{below}")), Some(format!("{base}/api/{below}")));
            }
            for other in [
                "api/2.0/mlflow/runs/get",
                "api/2.0/mlflow/x/ajax-api/2.0/mlflow/runs/get",
                "ajax-api/2.0/bartizan/import/runs",
                "ajax-api/2.0/mlflow/../bartizan",
                "ajax-api/1.0/mlflow/x",
                "ajax-api",
                "AJAX-API/2.0/mlflow/x",
                "version",
            ] {
                let found = twin(&format!("{base}/{other}"));
                // Dots are refused by the one strict decoding that follows.
                assert!(found.is_none() || found.is_some_and(|path| path.contains("/../")), "{other}");
            }
        }
        assert_eq!(twin("/subscriptions/S/resourceGroups/G/ajax-api/2.0/mlflow/runs/get"), None);
    }
}
