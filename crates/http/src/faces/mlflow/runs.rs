//! `runs/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        CreateRun, DatasetInput, DeleteRun, DeleteRunTag, GetRun, LogBatch, LogLinks, LogModelHistory, Metric, Point,
        RestoreRun, RunLinks, RunStatus, SearchRuns, UpdateRun, check_metric, check_param, check_tag, text,
    },
};
use http::Method;
use kernel::{Error, Kind, Result, RunId, Timestamp};
use wire::mlflow;

use super::{
    Fault, arrive,
    azure_form::AzureForm,
    batch,
    fields::Fields,
    json,
    view::{self, done, reply},
};
use crate::{Doors, Guest};

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/runs/{path}");
    doors
        .open::<CreateRun, _, _>(Method::POST, &at("create"), create_run)
        .open::<UpdateRun, _, _>(Method::POST, &at("update"), update_run)
        .open::<GetRun, _, _>(Method::GET, &at("get"), get_run)
        .open::<SearchRuns, _, _>(Method::POST, &at("search"), search_runs)
        .open::<DeleteRun, _, _>(Method::POST, &at("delete"), delete_run)
        .open::<RestoreRun, _, _>(Method::POST, &at("restore"), restore_run)
        .open::<LogBatch, _, _>(Method::POST, &at("log-metric"), log_metric)
        .open::<LogBatch, _, _>(Method::POST, &at("log-parameter"), log_parameter)
        .open::<LogBatch, _, _>(Method::POST, &at("set-tag"), set_tag)
        .open::<LogBatch, _, _>(Method::POST, &at("log-batch"), log_batch)
        .open::<DeleteRunTag, _, _>(Method::POST, &at("delete-tag"), delete_tag)
        .open::<LogLinks, _, _>(Method::POST, &at("log-inputs"), log_inputs)
        .open::<LogLinks, _, _>(Method::POST, &at("outputs"), log_outputs)
        .open::<LogModelHistory, _, _>(Method::POST, &at("log-model"), log_model)
}

/// The run, under either of its names.
pub(super) fn run_id(fields: &Fields) -> Result<RunId> {
    let id = match fields.given("run_id")? {
        Some(id) => id,
        None => fields.given("run_uuid")?.ok_or_else(|| text::missing("run_id"))?,
    };
    parse_run_id(&id)
}

fn parse_run_id(id: &str) -> Result<RunId> {
    let quoted = || serde_json::Value::String(text::echo(id));
    id.parse()
        .map_err(|_| Error::new(Kind::Invalid, format!("Invalid value {} for parameter 'run_id' supplied.", quoted())))
}

pub(super) fn status(fields: &Fields) -> Result<Option<RunStatus>> {
    let word = match fields.text("status") {
        Ok(None) => return Ok(None),
        Ok(Some(word)) => word,
        Err(_) => fields.integer("status")?.map(|number| number.to_string()).unwrap_or_default(),
    };
    let bad = || text::bad("status", &word, "it must be RUNNING, SCHEDULED, FINISHED, FAILED or KILLED");
    RunStatus::from_word(&word).map(Some).ok_or_else(bad)
}

pub(super) fn time(fields: &Fields, name: &str) -> Result<Option<Timestamp>> {
    match fields.integer(name)? {
        Some(at) if at < 0 => Err(text::bad(name, &at.to_string(), "must be a non-negative number")),
        other => Ok(other.map(Timestamp)),
    }
}

async fn create_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateRun>(&guest).await?;
    let azure = AzureForm::of(&guest, &workspace);
    let fields = Fields::posted(guest).await?;
    // What `user_id` says is not looked at: who made the run is for the server to say.
    fields.text("user_id")?;
    let op = CreateRun {
        workspace,
        experiment: fields.text("experiment_id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| String::from("0")),
        name: fields.text_or_empty("run_name")?,
        started_at: time(&fields, "start_time")?,
        tags: fields.pairs("tags")?,
    };
    let made = enter(&house, &caller, op).await?;
    Ok(reply(mlflow::RunReply { run: azure.said(view::new_run(made)) }))
}

async fn update_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateRun>(&guest).await?;
    let azure = AzureForm::of(&guest, &workspace);
    let fields = Fields::posted(guest).await?;
    let op = UpdateRun {
        workspace,
        run: run_id(&fields)?,
        status: status(&fields)?,
        ended_at: time(&fields, "end_time")?,
        name: fields.text("run_name")?,
    };
    let run = enter(&house, &caller, op).await?;
    let mut run_info = view::run_info(&run);
    azure.say(&mut run_info);
    Ok(reply(mlflow::RunInfoReply { run_info }))
}

async fn get_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRun>(&guest).await?;
    let azure = AzureForm::of(&guest, &workspace);
    let run = run_id(&Fields::query(&guest, &["run_id", "run_uuid"]))?;
    let found = enter(&house, &caller, GetRun { workspace, run }).await?;
    Ok(reply(mlflow::RunReply { run: azure.said(view::run(found, true)) }))
}

async fn search_runs(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SearchRuns>(&guest).await?;
    let azure = AzureForm::of(&guest, &workspace);
    let fields = Fields::posted(guest).await?;
    let op = SearchRuns {
        workspace,
        experiments: fields.texts("experiment_ids")?,
        query: fields.search(1000, Some(50_000))?,
        view: fields.view("run_view_type")?,
    };
    let page = enter(&house, &caller, op).await?;
    let runs = page.items.into_iter().map(|one| azure.said(view::run(one, false))).collect();
    Ok(reply(mlflow::Runs { runs, next_page_token: page.next }))
}

async fn delete_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteRun>(&guest).await?;
    let run = run_id(&Fields::posted(guest).await?)?;
    enter(&house, &caller, DeleteRun { workspace, run }).await?;
    Ok(done())
}

async fn restore_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<RestoreRun>(&guest).await?;
    let run = run_id(&Fields::posted(guest).await?)?;
    enter(&house, &caller, RestoreRun { workspace, run }).await?;
    Ok(done())
}

/// What one request logs.
#[derive(Debug, Default)]
pub(super) struct Logged {
    pub(super) metrics: Vec<Metric>,
    pub(super) params: Vec<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
}

async fn log(guest: Guest, read: impl FnOnce(&Fields) -> Result<Logged>) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogBatch>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let run = run_id(&fields)?;
    let Logged { metrics, params, tags } = read(&fields)?;
    enter(&house, &caller, LogBatch { workspace, run, metrics, params, tags }).await?;
    Ok(done())
}

fn metric(fields: &Fields) -> Result<Metric> {
    let key = fields.need("key")?;
    let value = fields.number("value")?.ok_or_else(|| fields.missing("value"))?;
    let timestamp = fields.integer("timestamp")?.ok_or_else(|| fields.missing("timestamp"))?;
    Ok(Metric {
        key,
        point: Point::new(fields.integer("step")?.unwrap_or(0), timestamp, value),
        model: fields.text("model_id")?.filter(|id| !id.is_empty()),
        dataset_name: fields.text_or_empty("dataset_name")?,
        dataset_digest: fields.text_or_empty("dataset_digest")?,
    })
}

async fn log_metric(guest: Guest) -> Result<Response, Fault> {
    log(guest, |fields| {
        let metric = metric(fields)?;
        check_metric("", &metric)?;
        Ok(Logged { metrics: vec![metric], ..Logged::default() })
    })
    .await
}

async fn log_parameter(guest: Guest) -> Result<Response, Fault> {
    log(guest, |fields| {
        // proto2 has no other word for an empty text than its absence.
        let (key, value) = (fields.need("key")?, fields.text_or_empty("value")?);
        check_param("", &key, &value)?;
        Ok(Logged { params: vec![(key, value)], ..Logged::default() })
    })
    .await
}

async fn set_tag(guest: Guest) -> Result<Response, Fault> {
    log(guest, |fields| {
        let (key, value) = (fields.need("key")?, fields.text_or_empty("value")?);
        check_tag("", &key, &value)?;
        Ok(Logged { tags: vec![(key, value)], ..Logged::default() })
    })
    .await
}

/// What a batch logs, read field by field.
pub(super) fn logged(fields: &Fields) -> Result<Logged> {
    let metrics: Result<Vec<Metric>> = fields.objects("metrics")?.iter().map(metric).collect();
    Ok(Logged { metrics: metrics?, params: fields.pairs("params")?, tags: fields.pairs("tags")? })
}

async fn log_batch(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogBatch>(&guest).await?;
    let body = Fields::bytes(guest).await?;
    let (run, Logged { metrics, params, tags }) = match batch::read(&body) {
        Some((run, logged)) => (parse_run_id(&run)?, logged),
        None => {
            let fields = Fields::parse(&body)?;
            (run_id(&fields)?, logged(&fields)?)
        }
    };
    enter(&house, &caller, LogBatch { workspace, run, metrics, params, tags }).await?;
    Ok(done())
}

async fn delete_tag(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteRunTag>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = DeleteRunTag { workspace, run: run_id(&fields)?, key: fields.need("key")? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn link(guest: Guest, read: impl FnOnce(&Fields) -> Result<RunLinks>) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogLinks>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = LogLinks { workspace, run: run_id(&fields)?, more: read(&fields)? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

fn dataset(input: &Fields) -> Result<DatasetInput> {
    let dataset = input.object("dataset")?.ok_or_else(|| input.missing("dataset"))?;
    Ok(DatasetInput {
        name: dataset.need("name")?,
        digest: dataset.need("digest")?,
        source_type: dataset.need("source_type")?,
        source: dataset.need("source")?,
        schema: dataset.text("schema")?,
        profile: dataset.text("profile")?,
        tags: input.pairs("tags")?,
    })
}

async fn log_inputs(guest: Guest) -> Result<Response, Fault> {
    link(guest, |fields| {
        let datasets: Result<Vec<DatasetInput>> = fields.objects("datasets")?.iter().map(dataset).collect();
        let models: Result<Vec<String>> =
            fields.objects("models")?.iter().map(|model| model.need("model_id")).collect();
        Ok(RunLinks { datasets: datasets?, model_inputs: models?, model_outputs: Vec::new() })
    })
    .await
}

async fn log_outputs(guest: Guest) -> Result<Response, Fault> {
    link(guest, |fields| {
        if !fields.has("models") {
            return Err(fields.missing("models"));
        }
        let output = |model: &Fields| Ok((model.need("model_id")?, model.integer("step")?.unwrap_or(0)));
        let model_outputs: Result<Vec<(String, i64)>> = fields.objects("models")?.iter().map(output).collect();
        Ok(RunLinks { model_outputs: model_outputs?, ..RunLinks::default() })
    })
    .await
}

async fn log_model(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogModelHistory>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let given = fields.need("model_json")?;
    let malformed = |fault| Error::new(Kind::Invalid, format!("Malformed model info in `model_json`: {fault}"));
    let model = json::parse(given.as_bytes()).map_err(malformed)?;
    let op = LogModelHistory { workspace, run: run_id(&fields)?, model };
    enter(&house, &caller, op).await?;
    Ok(done())
}
