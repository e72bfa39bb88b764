//! Experiments, and what lies in them.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{
    Errand, SOURCE_TAG,
    fault::Fault,
    list as entries, missing, models,
    options::{Mlflow, Part},
    pairs,
    report::{Kind, Report},
    runs::{self, Later},
    server::Server,
    taken_tags, text,
};
use crate::failure::Failure;

/// The tag that says which experiment of the source an experiment is.
const ID_TAG: &str = "bartizan.import.source_experiment_id";
/// The experiment that every server has.
const DEFAULT: &str = "Default";

fn view(options: &Mlflow) -> &'static str {
    if options.include_deleted { "ALL" } else { "ACTIVE_ONLY" }
}

/// The source's experiments that were asked for.
pub async fn list(source: &Server, options: &Mlflow) -> Result<Vec<Value>, Failure> {
    let ask = json!({"max_results": 1000, "view_type": view(options)});
    let mut found = source.pages("experiments/search", ask, "experiments", false, |one| one).await?;
    for wanted in &options.experiments {
        if !found.iter().any(|one| text(one, "/name") == wanted) {
            return Err(Failure::usage(format!("the source has no experiment `{wanted}`")));
        }
    }
    let is_wanted = |name: &String| {
        (options.experiments.is_empty() || options.experiments.contains(name)) && !options.excluded.contains(name)
    };
    found.retain(|one| is_wanted(&text(one, "/name").to_owned()));
    Ok(found)
}

async fn run_ids(source: &Server, options: &Mlflow, experiment: &str) -> Result<Vec<String>, Fault> {
    let ask = json!({
        "experiment_ids": [experiment],
        "run_view_type": view(options),
        "max_results": 200,
        "order_by": ["attributes.start_time ASC"],
    });
    let id = |run: Value| text(&run, "/info/run_id").to_owned();
    let mut ids = source.pages("runs/search", ask, "runs", false, id).await?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Counts what there is.
pub async fn count(
    source: &Server,
    options: &Mlflow,
    found: &[Value],
    name: &str,
    version: &str,
) -> Result<Report, Failure> {
    let mut report = Report::dry(name, version);
    report.found(Kind::Experiments, found.len());
    for experiment in found {
        let id = text(experiment, "/experiment_id");
        report.found(Kind::Runs, run_ids(source, options, id).await?.len());
        if !options.skip.contains(&Part::LoggedModels) {
            report.found(Kind::LoggedModels, models::list(source, id).await?.len());
        }
    }
    if !options.skip.contains(&Part::RegisteredModels) {
        for model in super::registry::list(source).await? {
            report.found(Kind::RegisteredModels, 1);
            report.found(Kind::Aliases, entries(&model, "/aliases").len());
        }
    }
    Ok(report)
}

/// Brings an experiment with its runs and logged models. Fails only where nothing more can come: the report has the rest.
pub async fn bring(errand: &Errand<'_>, there: &Value) -> Result<(), Failure> {
    let what = format!("experiment {}", text(there, "/name"));
    errand.note(|report| report.found(Kind::Experiments, 1));
    let again = |fault: Fault| Failure::new(format!("{fault}; start the same command again, and it goes on from here"));
    match settle(errand, there).await {
        Ok(faults) => errand.note(|report| match faults.is_empty() {
            true => report.matched(Kind::Experiments, 1),
            false => faults.iter().for_each(|why| report.differs(&what, why)),
        }),
        Err(fault) if fault.is_down() => return Err(again(fault)),
        Err(fault) => errand.note(|report| report.differs(&what, &fault.words)),
    }
    Ok(())
}

async fn settle(errand: &Errand<'_>, there: &Value) -> Result<Vec<String>, Fault> {
    let (here, is_ours) = ensure(errand, there).await?;
    let (id, from) = (text(&here, "/experiment_id"), text(there, "/experiment_id"));
    let ids = run_ids(errand.source, errand.options, from).await?;
    errand.show(|progress| progress.expect(ids.len()));
    let brought: Vec<Option<Later>> = stream::iter(&ids)
        .map(|run| runs::bring(errand, id, run))
        .buffer_unordered(usize::from(errand.options.concurrency))
        .try_collect()
        .await?;
    let brought: Vec<Later> = brought.into_iter().flatten().collect();
    if !errand.skips(Part::LoggedModels) {
        models::bring(errand, from, id, &brought).await?;
    }
    // One that was here before is not taken away, whatever became of its namesake.
    let goes = text(there, "/lifecycle_stage") == "deleted" && is_ours;
    for later in &brought {
        if let Err(fault) = runs::conclude(errand, later, !goes).await {
            if fault.is_down() {
                return Err(fault);
            }
            errand.note(|report| report.differs(&format!("run {}", later.run), &fault.words));
        }
    }
    if goes {
        errand.target.post("experiments/delete", &json!({"experiment_id": id})).await?;
    }
    compare(errand, there, id).await
}

async fn by_name(server: &Server, name: &str) -> Result<Option<Value>, Fault> {
    let found = server.find("experiments/get-by-name", &[("experiment_name", name)]).await?;
    Ok(found.map(|mut reply| reply.get_mut("experiment").map(Value::take).unwrap_or_default()))
}

/// The experiment here: made, or taken up again; and whether an import made it.
async fn ensure(errand: &Errand<'_>, there: &Value) -> Result<(Value, bool), Fault> {
    let (name, from) = (text(there, "/name"), text(there, "/experiment_id"));
    let own = [(SOURCE_TAG, errand.name), (ID_TAG, from)];
    let here = match by_name(errand.target, name).await? {
        Some(here) => here,
        None => {
            let tags: Vec<Value> = own.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            match errand.target.post("experiments/create", &json!({"name": name, "tags": tags})).await {
                // Another try of the same call may have got through.
                Err(fault) if !fault.is_taken() => return Err(fault),
                _ => errand.note(|report| report.made(Kind::Experiments)),
            }
            by_name(errand.target, name).await?.ok_or_else(|| Fault::new("the experiment was made and is not here"))?
        }
    };
    let tags = pairs(&here, "/tags");
    let is_ours = own.iter().all(|(key, value)| tags.get(*key).map(String::as_str) == Some(*value));
    if !is_ours && !errand.options.into_existing && name != DEFAULT {
        let why = "an experiment of this name is here already and did not come from this source; rename it, or say \
                   `--into-existing`";
        return Err(Fault::new(why));
    }
    if !is_ours && text(&here, "/lifecycle_stage") == "deleted" {
        return Err(Fault::new("the experiment of this name that was made here is deleted; restore it first"));
    }
    let id = text(&here, "/experiment_id");
    if text(&here, "/lifecycle_stage") == "deleted" {
        errand.target.post("experiments/restore", &json!({"experiment_id": id})).await?;
    }
    let wanted = taken_tags(there, "/tags");
    for (key, value) in missing(&wanted, &tags) {
        let body = json!({"experiment_id": id, "key": key, "value": value});
        errand.target.post("experiments/set-experiment-tag", &body).await?;
    }
    Ok((here, is_ours))
}

async fn compare(errand: &Errand<'_>, there: &Value, id: &str) -> Result<Vec<String>, Fault> {
    let reply = errand.target.get("experiments/get", &[("experiment_id", id)]).await?;
    let here = reply.get("experiment").unwrap_or(&Value::Null);
    let mut faults = Vec::new();
    for field in ["/name", "/lifecycle_stage"] {
        if text(there, field) != text(here, field) {
            faults.push(format!("`{field}` is `{}` there and `{}` here", text(there, field), text(here, field)));
        }
    }
    let wanted = taken_tags(there, "/tags");
    let lacking = missing(&wanted, &pairs(here, "/tags")).into_iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    faults.extend(lacking.iter().map(|key| format!("the tag `{key}` is not here as it is there")));
    Ok(faults)
}
