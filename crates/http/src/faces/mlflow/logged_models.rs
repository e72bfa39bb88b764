//! `logged-models/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        ArtifactPath, ArtifactPlace, CreateLoggedModel, DeleteLoggedModel, GetLoggedModel, ListArtifacts, LoggedModel,
        LoggedModelChange, LoggedModelStatus, Query, SearchLoggedModels, UpdateLoggedModel, metric_on, text,
    },
};
use http::Method;
use kernel::{Error, Kind, Result};
use wire::mlflow::{self, FileInfo, Files};

use super::{
    Fault, arrive,
    fields::Fields,
    view::{self, done, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let all = format!("{base}/logged-models");
    let one = format!("{all}/{{model}}");
    let below = |path: &str| format!("{one}/{path}");
    doors
        .open::<CreateLoggedModel, _, _>(Method::POST, &all, create_model)
        .open::<SearchLoggedModels, _, _>(Method::POST, &format!("{all}/search"), search_models)
        .open::<GetLoggedModel, _, _>(Method::GET, &one, get_model)
        .open::<UpdateLoggedModel, _, _>(Method::PATCH, &one, finalize_model)
        .open::<DeleteLoggedModel, _, _>(Method::DELETE, &one, delete_model)
        .open::<UpdateLoggedModel, _, _>(Method::PATCH, &below("tags"), set_tags)
        .open::<UpdateLoggedModel, _, _>(Method::DELETE, &below("tags/{key}"), delete_tag)
        .open::<UpdateLoggedModel, _, _>(Method::POST, &below("params"), set_params)
        .open::<ListArtifacts, _, _>(Method::GET, &below("artifacts/directories"), list_directories)
}

fn show(model: LoggedModel) -> Response {
    reply(mlflow::LoggedModelReply { model: view::logged_model(model) })
}

async fn create_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateLoggedModel>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = CreateLoggedModel {
        workspace,
        experiment: fields.need("experiment_id")?,
        name: fields.text_or_empty("name")?,
        model_type: fields.text_or_empty("model_type")?,
        source_run: fields.parsed("source_run_id", "it is not a run id")?,
        params: fields.pairs("params")?,
        tags: fields.pairs("tags")?,
    };
    Ok(show(enter(&house, &caller, op).await?))
}

async fn get_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetLoggedModel>(&guest).await?;
    let allow_deleted = Fields::query(&guest, &["allow_deleted"]).flag("allow_deleted")?;
    let op = GetLoggedModel { workspace, id: guest.param("model")?, allow_deleted };
    Ok(show(enter(&house, &caller, op).await?))
}

async fn update(guest: Guest, change: LoggedModelChange) -> Result<LoggedModel> {
    let (house, caller, workspace) = arrive::<UpdateLoggedModel>(&guest).await?;
    enter(&house, &caller, UpdateLoggedModel { workspace, id: guest.param("model")?, change }).await
}

async fn finalize_model(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    arrive::<UpdateLoggedModel>(&shell).await?;
    let fields = Fields::body(guest).await?;
    let word = match fields.integer("status") {
        Ok(Some(number)) => number.to_string(),
        _ => fields.need("status")?,
    };
    let status = match word.as_str() {
        "LOGGED_MODEL_READY" | "2" => LoggedModelStatus::Ready,
        "LOGGED_MODEL_UPLOAD_FAILED" | "3" => LoggedModelStatus::UploadFailed,
        other => {
            let why = "it must be LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED";
            return Err(text::bad("status", other, why).into());
        }
    };
    Ok(show(update(shell, LoggedModelChange::Finalize(status)).await?))
}

async fn delete_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteLoggedModel>(&guest).await?;
    enter(&house, &caller, DeleteLoggedModel { workspace, id: guest.param("model")? }).await?;
    Ok(done())
}

async fn set_tags(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    arrive::<UpdateLoggedModel>(&shell).await?;
    let tags = Fields::body(guest).await?.pairs("tags")?;
    update(shell, LoggedModelChange::SetTags(tags)).await?;
    Ok(done())
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    let key = guest.param("key")?;
    update(guest, LoggedModelChange::DeleteTag(key)).await?;
    Ok(done())
}

async fn set_params(guest: Guest) -> Result<Response, Fault> {
    let shell = guest.shell();
    arrive::<UpdateLoggedModel>(&shell).await?;
    let params = Fields::posted(guest).await?.pairs("params")?;
    update(shell, LoggedModelChange::SetParams(params)).await?;
    Ok(done())
}

async fn list_directories(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListArtifacts>(&guest).await?;
    let path = guest.query("artifact_directory_path").unwrap_or_default();
    let path = ArtifactPath::parse(path.trim_end_matches('/'))?;
    let place = Some(ArtifactPlace::of_logged_model(guest.param("model")?, path));
    let listed = enter(&house, &caller, ListArtifacts { workspace, place }).await?;
    let info = |entry: domain::tracking::Entry| FileInfo {
        is_dir: entry.size.is_none(),
        file_size: entry.size,
        path: entry.path,
    };
    Ok(reply(Files { root_uri: Some(listed.root), files: listed.entries.into_iter().map(info).collect() }))
}

async fn search_models(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchLoggedModels>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let dataset = |one: &Fields| {
        let unnamed = || Error::new(Kind::Invalid, "`dataset_name` in the `datasets` clause must be specified.");
        let name = one.text("dataset_name")?.filter(|name| !name.is_empty()).ok_or_else(unnamed)?;
        Ok((name, one.text_or_empty("dataset_digest")?))
    };
    let datasets: Result<Vec<(String, String)>> = fields.objects("datasets")?.iter().map(dataset).collect();
    let order: Result<Vec<String>> = fields.objects("order_by")?.iter().map(order_key).collect();
    let experiments = fields.texts("experiment_ids")?;
    if experiments.is_empty() {
        return Err(fields.missing("experiment_ids").into());
    }
    // 0 stands for the usual here.
    let most = match fields.count("max_results", 100)? {
        0 => 100,
        most => most,
    };
    let filter = fields.text_or_empty("filter")?;
    let query = Query { filter, order_by: order?, most, page_token: fields.text("page_token")? };
    let op = SearchLoggedModels { workspace, experiments, datasets: datasets?, query };
    let page = enter(&house, &caller, op).await?;
    let models = page.items.into_iter().map(view::logged_model).collect();
    Ok(reply(mlflow::LoggedModels { models, next_page_token: page.next }))
}

/// A key of the ordering, which comes as an object, in the language of the others. `ascending` is true unless it is said.
fn order_key(key: &Fields) -> Result<String> {
    let name = key.need("field_name")?;
    let quoted = match name.split_once('.') {
        Some((entity, _)) if entity != "metrics" => {
            let words = format!("Invalid order by field name: {}. Only metrics are supported.", text::echo(&name));
            return Err(Error::new(Kind::Invalid, words));
        }
        Some((entity, rest)) => {
            let (dataset, digest) = (key.text_or_empty("dataset_name")?, key.text_or_empty("dataset_digest")?);
            let rest = if dataset.is_empty() { rest.to_owned() } else { metric_on(rest, &dataset, &digest) };
            if rest.contains('`') {
                return Err(text::bad(
                    "order_by",
                    &rest,
                    "names of metrics and data sets cannot contain backticks here",
                ));
            }
            format!("{entity}.`{rest}`")
        }
        _ => name,
    };
    let is_ascending = key.flag("ascending")? || !key.has("ascending");
    Ok(format!("{quoted} {}", if is_ascending { "ASC" } else { "DESC" }))
}
