//! Logged models.

use std::collections::{BTreeMap, BTreeSet};

use outbound::Method;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    Errand, SOURCE_TAG, artifacts,
    bounds::{Bounds, Weight},
    fault::Fault,
    integer, missing,
    options::Part,
    pairs,
    points::{Point, Raw},
    report::Kind,
    runs::{Later, Pen, batches},
    server::Server,
    taken_tags, text,
};

/// Most logged models of one experiment.
const MOST: usize = 200_000;
/// What a measured value takes in memory beside its texts, about.
const MEASURED: usize = 256;

/// A logged model as one side shows it.
pub struct Model {
    shown: Value,
    metrics: BTreeSet<Measured>,
}

/// A value that a run measured of a model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Measured {
    /// Metric, run, data set and its digest: of each only the latest point counts.
    of: [String; 4],
    point: Point,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    models: Vec<&'a RawValue>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
}

#[derive(Deserialize, Default)]
struct Shown<'a> {
    #[serde(borrow, default)]
    data: Data<'a>,
}

#[derive(Deserialize, Default)]
struct Data<'a> {
    #[serde(borrow, default)]
    metrics: Vec<Raw<'a>>,
}

fn parse(raw: &RawValue, unbounds: bool) -> Result<Model, Fault> {
    let bad = |fault: serde_json::Error| Fault::new(format!("a logged model is not one: {fault}"));
    let shown: Value = serde_json::from_str(raw.get()).map_err(bad)?;
    let exact: Shown<'_> = serde_json::from_str(raw.get()).map_err(bad)?;
    let mut metrics = BTreeSet::new();
    for raw in &exact.data.metrics {
        let of = [&raw.key, &raw.run_id, &raw.dataset_name, &raw.dataset_digest];
        let of = of.map(|part| part.clone().unwrap_or_default());
        metrics.insert(Measured { of, point: raw.point(unbounds)? });
    }
    Ok(Model { shown, metrics })
}

/// The logged models of an experiment; none where the server knows no such thing.
pub async fn list(server: &Server, experiment: &str) -> Result<Vec<Model>, Fault> {
    let mut ask = json!({"experiment_ids": [experiment], "max_results": 50});
    let mut models = Vec::new();
    let mut bounds = Bounds::default();
    loop {
        let found = server.bytes(Method::POST, "/api/2.0/mlflow/logged-models/search", &[], Some(&ask)).await;
        let bytes = match found {
            Err(fault) if fault.is_missing() && models.is_empty() => return Ok(models),
            found => found?,
        };
        let page: Page<'_> = serde_json::from_slice(&bytes)
            .map_err(|fault| Fault::new(format!("a list of models is not one: {fault}")))?;
        for raw in &page.models {
            let model = parse(raw, true)?;
            // What was measured is kept once more, apart.
            bounds.hold(model.shown.weight().saturating_add(raw.get().len()))?;
            bounds.hold(model.metrics.len().saturating_mul(MEASURED))?;
            models.push(model);
        }
        let next = page.next_page_token.unwrap_or_default();
        if next.is_empty() {
            return Ok(models);
        }
        if page.models.is_empty() || models.len() > MOST {
            return Err(Fault::new(format!("a list of logged models does not end, or has more than {MOST}")));
        }
        bounds.go_on(&next)?;
        if let Some(fields) = ask.as_object_mut() {
            fields.insert(String::from("page_token"), json!(next));
        }
    }
}

async fn show(server: &Server, id: &str) -> Result<Option<Model>, Fault> {
    let place = format!("/api/2.0/mlflow/logged-models/{id}");
    match server.bytes(Method::GET, &place, &[("allow_deleted", "true")], None).await {
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault),
        Ok(bytes) => {
            let reply: Reply<'_> = serde_json::from_slice(&bytes).map_err(|fault| Fault::new(fault.to_string()))?;
            parse(reply.model, false).map(Some)
        }
    }
}

async fn shown_here(errand: &Errand<'_>, id: &str) -> Result<Model, Fault> {
    show(errand.target, id).await?.ok_or_else(|| Fault::new("the model is not here although it was just made"))
}

/// Brings the logged models of an experiment, once its runs are there.
pub async fn bring(errand: &Errand<'_>, from: &str, experiment: &str, runs: &[Later]) -> Result<(), Fault> {
    let known: BTreeSet<&str> = runs.iter().map(|later| later.run.as_str()).collect();
    for there in list(errand.source, from).await? {
        let id = text(&there.shown, "/info/model_id").to_owned();
        let what = format!("logged model {}", super::fault::clean(&id));
        errand.note(|report| report.found(Kind::LoggedModels, 1));
        match settle(errand, experiment, &id, &there, &known, &what).await {
            Ok(faults) => errand.note(|report| match faults.is_empty() {
                true => report.matched(Kind::LoggedModels, 1),
                false => faults.iter().for_each(|why| report.differs(&what, why)),
            }),
            Err(fault) if fault.is_down() => return Err(fault),
            Err(fault) => errand.note(|report| report.differs(&what, &fault.words)),
        }
    }
    Ok(())
}

/// Whether an id is one that MLflow makes. It becomes part of an address.
fn is_id(id: &str) -> bool {
    id.strip_prefix("m-").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

async fn settle(
    errand: &Errand<'_>,
    experiment: &str,
    id: &str,
    there: &Model,
    runs: &BTreeSet<&str>,
    what: &str,
) -> Result<Vec<String>, Fault> {
    if !is_id(id) {
        return Err(Fault::new("its id is none that MLflow makes"));
    }
    let mut here = match show(errand.target, id).await? {
        Some(here) => here,
        None => {
            errand.target.take_over("logged-models", &seed(errand, experiment, &there.shown, runs)).await?;
            errand.note(|report| report.made(Kind::LoggedModels));
            shown_here(errand, id).await?
        }
    };
    if pairs(&here.shown, "/info/tags").get(SOURCE_TAG).map(String::as_str) != Some(errand.name) {
        return Err(Fault::new("a logged model of this id is here already and did not come from this source"));
    }
    let place = format!("logged-models/{id}");
    let (params, known) = (pairs(&there.shown, "/data/params"), pairs(&here.shown, "/data/params"));
    for some in batches(missing(&params, &known)) {
        errand.target.post(&format!("{place}/params"), &json!({"model_id": id, "params": some})).await?;
    }
    let (tags, known) = (taken_tags(&there.shown, "/info/tags"), pairs(&here.shown, "/info/tags"));
    for some in batches(missing(&tags, &known)) {
        errand.target.patch(&format!("{place}/tags"), &json!({"model_id": id, "tags": some})).await?;
    }
    measure(errand, id, there, &here, runs).await?;
    if !errand.skips(Part::Artifacts) {
        let uri = |model: &Model| text(&model.shown, "/info/artifact_uri").to_owned();
        artifacts::bring(errand, what, &uri(there), &uri(&here)).await?;
    }
    let status = state(&there.shown);
    if status != state(&here.shown) && status != "LOGGED_MODEL_PENDING" {
        errand.target.patch(&place, &json!({"model_id": id, "status": status})).await?;
    }
    here = shown_here(errand, id).await?;
    Ok(compare(there, &here, runs))
}

/// Where a model stands, as a word: some servers say a number.
fn state(shown: &Value) -> &str {
    match (text(shown, "/info/status"), integer(shown, "/info/status")) {
        ("", Some(2)) => "LOGGED_MODEL_READY",
        ("", Some(3)) => "LOGGED_MODEL_UPLOAD_FAILED",
        ("", _) => "LOGGED_MODEL_PENDING",
        (word, _) => word,
    }
}

/// What a logged model is taken over with.
fn seed(errand: &Errand<'_>, experiment: &str, there: &Value, runs: &BTreeSet<&str>) -> Value {
    let run = text(there, "/info/source_run_id");
    json!({
        "experiment_id": experiment,
        "model_id": text(there, "/info/model_id"),
        "name": text(there, "/info/name"),
        "model_type": text(there, "/info/model_type"),
        "source_run_id": if runs.contains(run) { run } else { "" },
        "user_id": text(there, "/info/creator_id"),
        "creation_timestamp_ms": integer(there, "/info/creation_timestamp_ms").unwrap_or(0),
        "last_updated_timestamp_ms": integer(there, "/info/last_updated_timestamp_ms").unwrap_or(0),
        "source": errand.name,
    })
}

/// The latest point of each metric, run and data set; of runs that came along.
fn latest(model: &Model, runs: &BTreeSet<&str>) -> BTreeMap<[String; 4], Point> {
    // The set is in the order of points, so that a later one replaces those before it.
    let of_runs = model.metrics.iter().filter(|one| one.of.get(1).is_some_and(|run| runs.contains(run.as_str())));
    of_runs.map(|one| (one.of.clone(), one.point)).collect()
}

/// Tells the model's metrics again, each through its run.
async fn measure(
    errand: &Errand<'_>,
    id: &str,
    there: &Model,
    here: &Model,
    runs: &BTreeSet<&str>,
) -> Result<(), Fault> {
    let known = latest(here, runs);
    for (of, point) in latest(there, runs) {
        if known.get(&of) == Some(&point) {
            continue;
        }
        let [key, run, dataset, digest] = &of;
        let mut body = point.of(key);
        if let Some(fields) = body.as_object_mut() {
            let more =
                [("run_id", run.as_str()), ("model_id", id), ("dataset_name", dataset), ("dataset_digest", digest)];
            fields.extend(more.map(|(name, value)| (name.to_owned(), json!(value))));
        }
        let found = errand.target.get("runs/get", &[("run_id", run)]).await?;
        let mut pen = Pen::new(errand.target, run, found.get("run").unwrap_or(&Value::Null));
        pen.post("runs/log-metric", &body).await?;
    }
    Ok(())
}

fn compare(there: &Model, here: &Model, runs: &BTreeSet<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    for field in ["/info/name", "/info/model_type"] {
        if text(&there.shown, field) != text(&here.shown, field) {
            faults.push(format!("`{field}` is not here as it is there"));
        }
    }
    if state(&there.shown) != state(&here.shown) {
        faults.push(format!("it is {} there and {} here", state(&there.shown), state(&here.shown)));
    }
    let run = text(&there.shown, "/info/source_run_id");
    if run != text(&here.shown, "/info/source_run_id") {
        faults.push(String::from("the run that made it did not come along"));
    }
    for (pointer, what) in [("/info/tags", "tag"), ("/data/params", "parameter")] {
        let (wanted, known) = (taken_tags(&there.shown, pointer), pairs(&here.shown, pointer));
        faults.extend(
            missing(&wanted, &known).iter().map(|(key, _)| format!("the {what} `{key}` is not as it is there")),
        );
    }
    if latest(there, runs) != latest(here, runs) {
        faults.push(String::from("its metrics are not those that it has there"));
    }
    faults
}
