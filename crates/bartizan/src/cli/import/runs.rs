//! Runs: what is missing here is written, then both sides are read and compared.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Errand, SOURCE_TAG, artifacts, as_list,
    fault::Fault,
    integer, list, missing,
    options::Part,
    pairs,
    points::{self, Point},
    report::Kind,
    server::Server,
    taken_tags, text,
};

/// Most points in one request.
const BATCH: usize = 1000;
/// Most parameters or tags in one request, and their bytes.
const LABELS: usize = 100;
const LABEL_BYTES: usize = 200_000;

/// What is left to do with a run when the models of its experiment are there.
pub struct Later {
    /// Its id.
    pub run: String,
    /// Whether it is deleted at the source.
    pub is_deleted: bool,
    /// Models it used.
    pub inputs: Vec<Value>,
    /// Models it made.
    pub outputs: Vec<Value>,
}

/// Writes to a run here. A deleted one takes no writes, so that it is restored before the first.
pub struct Pen<'a> {
    target: &'a Server,
    run: &'a str,
    is_deleted: bool,
    /// Whether something was written.
    pub has_written: bool,
}

impl<'a> Pen<'a> {
    /// For a run as the workspace shows it.
    pub fn new(target: &'a Server, run: &'a str, shown: &Value) -> Self {
        Self { target, run, is_deleted: text(shown, "/info/lifecycle_stage") == "deleted", has_written: false }
    }

    /// Makes the run ready for writes.
    pub async fn ready(&mut self) -> Result<(), Fault> {
        self.has_written = true;
        if self.is_deleted {
            self.target.post("runs/restore", &json!({"run_id": self.run})).await?;
            self.is_deleted = false;
        }
        Ok(())
    }

    /// Writes.
    pub async fn post(&mut self, place: &str, body: &Value) -> Result<(), Fault> {
        self.ready().await?;
        self.target.post(place, body).await.map(drop)
    }
}

/// Parts of a list of pairs that fit into one request each.
pub fn batches(pairs: Vec<(&String, &String)>) -> Vec<Vec<Value>> {
    let (mut all, mut some, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
    for pair in pairs {
        bytes = bytes.saturating_add(pair.0.len()).saturating_add(pair.1.len());
        if !some.is_empty() && (some.len() >= LABELS || bytes > LABEL_BYTES) {
            all.push(as_list(some.drain(..)));
            bytes = pair.0.len().saturating_add(pair.1.len());
        }
        some.push(pair);
    }
    if !some.is_empty() {
        all.push(as_list(some));
    }
    all
}

async fn show(server: &Server, run: &str) -> Result<Option<Value>, Fault> {
    let found = server.find("runs/get", &[("run_id", run)]).await?;
    Ok(found.map(|mut reply| reply.get_mut("run").map(Value::take).unwrap_or_default()))
}

async fn shown_here(errand: &Errand<'_>, run: &str) -> Result<Value, Fault> {
    show(errand.target, run).await?.ok_or_else(|| Fault::new("the run is not here although it was just made"))
}

/// Brings a run, but for its models; none when that did not work, which the report then says.
pub async fn bring(errand: &Errand<'_>, experiment: &str, run: &str) -> Result<Option<Later>, Fault> {
    errand.note(|report| report.found(Kind::Runs, 1));
    let what = format!("run {run}");
    let brought = match settle(errand, experiment, run, &what).await {
        Ok((later, faults)) => {
            errand.note(|report| match faults.is_empty() {
                true => report.matched(Kind::Runs, 1),
                false => faults.iter().for_each(|why| report.differs(&what, why)),
            });
            Some(later)
        }
        Err(fault) if fault.is_down() => return Err(fault),
        Err(fault) => {
            errand.note(|report| report.differs(&what, &fault.words));
            None
        }
    };
    errand.show(super::Progress::run);
    Ok(brought)
}

async fn settle(errand: &Errand<'_>, experiment: &str, run: &str, what: &str) -> Result<(Later, Vec<String>), Fault> {
    let there =
        show(errand.source, run).await?.ok_or_else(|| Fault::new("the source lists it and does not have it"))?;
    if text(&there, "/info/run_id") != run {
        return Err(Fault::new("the source answers with another run"));
    }
    let mut here = match show(errand.target, run).await? {
        Some(here) => here,
        None => {
            errand.target.take_over("runs", &seed(errand, experiment, run, &there)).await?;
            errand.note(|report| report.made(Kind::Runs));
            shown_here(errand, run).await?
        }
    };
    let is_ours = pairs(&here, "/data/tags").get(SOURCE_TAG).map(String::as_str) == Some(errand.name);
    if !is_ours || text(&here, "/info/experiment_id") != experiment {
        return Err(Fault::new("a run of this id is here already and did not come from this source; it is left alone"));
    }
    let mut pen = Pen::new(errand.target, run, &here);
    label(&mut pen, &there, &here).await?;
    datasets(&mut pen, &there, &here).await?;
    let mut faults = Vec::new();
    for metric in list(&there, "/data/metrics") {
        faults.extend(history(errand, &mut pen, text(metric, "/key")).await?);
    }
    if !errand.skips(Part::Artifacts) {
        let (from, to) = (text(&there, "/info/artifact_uri"), text(&here, "/info/artifact_uri"));
        // A deleted run's files can be read here and not written: what is missing is seen once it is restored.
        if pen.is_deleted {
            pen.ready().await?;
        }
        artifacts::bring(errand, what, from, to).await?;
    }
    if pen.has_written {
        here = shown_here(errand, run).await?;
    }
    compare(errand, &there, &here, &mut faults);
    let model = |pointer| list(&there, pointer).to_vec();
    let later = Later {
        run: run.to_owned(),
        is_deleted: text(&there, "/info/lifecycle_stage") == "deleted",
        inputs: model("/inputs/model_inputs"),
        outputs: model("/outputs/model_outputs"),
    };
    Ok((later, faults))
}

/// What a run is taken over with.
fn seed(errand: &Errand<'_>, experiment: &str, run: &str, there: &Value) -> Value {
    let name = text(there, "/info/run_name");
    let mut seed = json!({
        "experiment_id": experiment,
        "run_id": run,
        "run_name": if name.is_empty() { run } else { name },
        "user_id": text(there, "/info/user_id"),
        "status": text(there, "/info/status"),
        "start_time": integer(there, "/info/start_time").unwrap_or(0),
        "source": errand.name,
    });
    if let (Some(end), Some(fields)) = (integer(there, "/info/end_time"), seed.as_object_mut()) {
        fields.insert(String::from("end_time"), json!(end));
    }
    seed
}

/// Writes parameters, tags, status and end as far as they are missing.
async fn label(pen: &mut Pen<'_>, there: &Value, here: &Value) -> Result<(), Fault> {
    let (params, known) = (pairs(there, "/data/params"), pairs(here, "/data/params"));
    for some in batches(missing(&params, &known)) {
        pen.post("runs/log-batch", &json!({"run_id": pen.run, "params": some})).await?;
    }
    let (tags, known) = (taken_tags(there, "/data/tags"), pairs(here, "/data/tags"));
    for some in batches(missing(&tags, &known)) {
        pen.post("runs/log-batch", &json!({"run_id": pen.run, "tags": some})).await?;
    }
    let is_same = text(there, "/info/status") == text(here, "/info/status")
        && integer(there, "/info/end_time") == integer(here, "/info/end_time");
    if !is_same {
        let mut body = json!({"run_id": pen.run, "status": text(there, "/info/status")});
        if let (Some(end), Some(fields)) = (integer(there, "/info/end_time"), body.as_object_mut()) {
            fields.insert(String::from("end_time"), json!(end));
        }
        pen.post("runs/update", &body).await?;
    }
    Ok(())
}

/// The data sets of a run in one form.
fn inputs(run: &Value) -> BTreeSet<String> {
    let one = |input: &Value| {
        let field = |name: &str| text(input, &format!("/dataset/{name}")).to_owned();
        let dataset = ["name", "digest", "source_type", "source", "schema", "profile"].map(field);
        json!([dataset, pairs(input, "/tags")]).to_string()
    };
    list(run, "/inputs/dataset_inputs").iter().map(one).collect()
}

async fn datasets(pen: &mut Pen<'_>, there: &Value, here: &Value) -> Result<(), Fault> {
    if inputs(there) == inputs(here) {
        return Ok(());
    }
    for input in list(there, "/inputs/dataset_inputs") {
        pen.post("runs/log-inputs", &json!({"run_id": pen.run, "datasets": [input]})).await?;
    }
    Ok(())
}

/// Writes the points of a metric that are missing, and compares all of them; what is not the same.
async fn history(errand: &Errand<'_>, pen: &mut Pen<'_>, key: &str) -> Result<Option<String>, Fault> {
    let there = points::read(errand.source, pen.run, key, true).await?;
    let mut here = points::read(errand.target, pen.run, key, false).await?;
    let new: Vec<Point> = there.difference(&here).copied().collect();
    for some in new.chunks(BATCH) {
        let metrics: Vec<Value> = some.iter().map(|point| point.of(key)).collect();
        pen.post("runs/log-batch", &json!({"run_id": pen.run, "metrics": metrics})).await?;
    }
    if !new.is_empty() {
        here = points::read(errand.target, pen.run, key, false).await?;
    }
    let same = there.intersection(&here).count();
    errand.note(|report| {
        report.found(Kind::MetricPoints, there.len());
        report.matched(Kind::MetricPoints, same);
    });
    errand.show(|progress| progress.points(there.len()));
    Ok((here != there).then(|| {
        format!("the metric `{key}` has {} points there and {} here, {same} of them the same", there.len(), here.len())
    }))
}

/// Compares what both sides say of a run.
fn compare(errand: &Errand<'_>, there: &Value, here: &Value, faults: &mut Vec<String>) {
    for field in ["/info/user_id", "/info/status", "/info/run_name"] {
        let (one, other) = (text(there, field), text(here, field));
        if one != other && !(field == "/info/run_name" && one.is_empty()) {
            faults.push(format!("`{field}` is `{one}` there and `{other}` here"));
        }
    }
    for field in ["/info/start_time", "/info/end_time"] {
        let (one, other) = (integer(there, field).unwrap_or(0), integer(here, field).unwrap_or(0));
        if one != other {
            faults.push(format!("`{field}` is {one} there and {other} here"));
        }
    }
    let labels = [
        (Kind::Params, pairs(there, "/data/params"), pairs(here, "/data/params")),
        (Kind::Tags, taken_tags(there, "/data/tags"), pairs(here, "/data/tags")),
    ];
    for (kind, wanted, known) in labels {
        let lacking = missing(&wanted, &known);
        errand.note(|report| {
            report.found(kind, wanted.len());
            report.matched(kind, wanted.len().saturating_sub(lacking.len()));
        });
        faults.extend(lacking.iter().map(|(key, _)| format!("{kind:?}: `{key}` is not here as it is there")));
    }
    let (wanted, known) = (inputs(there), inputs(here));
    let same = wanted.intersection(&known).count();
    errand.note(|report| {
        report.found(Kind::Datasets, wanted.len());
        report.matched(Kind::Datasets, same);
    });
    if wanted != known {
        faults.push(format!("of {} data sets {same} are the same here", wanted.len()));
    }
}

/// Links a run to its models, and deletes it here where it is deleted there.
pub async fn conclude(errand: &Errand<'_>, later: &Later, deletes: bool) -> Result<(), Fault> {
    let run = later.run.as_str();
    let here = shown_here(errand, run).await?;
    let mut pen = Pen::new(errand.target, run, &here);
    let links = [
        (&later.inputs, "/inputs/model_inputs", "runs/log-inputs"),
        (&later.outputs, "/outputs/model_outputs", "runs/outputs"),
    ];
    if !errand.skips(Part::LoggedModels) {
        for (wanted, pointer, place) in links {
            let known: BTreeSet<&str> = list(&here, pointer).iter().map(|model| text(model, "/model_id")).collect();
            let new: Vec<&Value> = wanted.iter().filter(|model| !known.contains(text(model, "/model_id"))).collect();
            if !new.is_empty() {
                pen.post(place, &json!({"run_id": run, "models": new})).await?;
            }
        }
    }
    let is_deleted = text(&here, "/info/lifecycle_stage") == "deleted" && !pen.has_written;
    if later.is_deleted && deletes && !is_deleted {
        errand.target.post("runs/delete", &json!({"run_id": run})).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_bounds() {
        let key = |at: usize| (format!("k{at}"), "v".repeat(3000));
        let pairs: Vec<(String, String)> = (0..250).map(key).collect();
        let parts = batches(pairs.iter().map(|(key, value)| (key, value)).collect());
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 250);
        assert!(parts.iter().all(|part| part.len() <= 67), "{:?}", parts.iter().map(Vec::len).collect::<Vec<_>>());
        assert!(batches(Vec::new()).is_empty());
    }
}
