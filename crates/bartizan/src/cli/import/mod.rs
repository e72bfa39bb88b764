//! Bring what another server kept into a workspace.

mod artifacts;
mod bounds;
mod experiments;
mod fault;
mod models;
mod options;
mod points;
mod progress;
mod registry;
mod report;
mod runs;
mod server;

use std::{process::ExitCode, sync::Mutex};

use clap::Subcommand;
use serde_json::Value;

use self::{
    options::{Mlflow, Part},
    progress::Progress,
    report::Report,
    server::Server,
};
use super::Format;
use crate::failure::Failure;

/// Commands that bring in.
#[derive(Subcommand)]
pub enum Command {
    /// Bring experiments, runs, metrics, files and models of a running MLflow server (2.x or 3.x) into a workspace.
    ///
    /// Runs and logged models keep their ids, versions their numbers; the tags `bartizan.import.*` say from where and by whom.
    /// Everything is read back from both sides and compared; what did not match is said, and the exit code is then 1. Stopped
    /// at any moment and started again, it goes on: nothing comes twice. A source that asks for credentials gets them from the
    /// environment: BARTIZAN_IMPORT_TOKEN, or BARTIZAN_IMPORT_USERNAME and BARTIZAN_IMPORT_PASSWORD.
    Mlflow(Box<Mlflow>),
}

/// What the parts of an import share.
struct Errand<'a> {
    source: &'a Server,
    target: &'a Server,
    options: &'a Mlflow,
    /// How the source is named in tags.
    name: &'a str,
    report: Mutex<Report>,
    progress: Mutex<Progress>,
}

impl Errand<'_> {
    /// Changes the report.
    fn note<T>(&self, change: impl FnOnce(&mut Report) -> T) -> T {
        change(&mut self.report.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn show(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Whether a part is to be left out.
    fn skips(&self, part: Part) -> bool {
        self.options.skip.contains(&part)
    }
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Mlflow(options) => mlflow(&options).await,
        }
    }
}

async fn mlflow(options: &Mlflow) -> Result<ExitCode, Failure> {
    let source = Server::named(options)?;
    let version = source.version().await;
    let name = options.source_name.clone().unwrap_or_else(|| source.name().to_owned());
    let found = experiments::list(&source, options).await?;
    if options.dry_run {
        let report = experiments::count(&source, options, &found, &name, &version).await?;
        return finish(options, report);
    }
    let target = Server::workspace(&options.session).await?;
    let errand = Errand {
        source: &source,
        target: &target,
        options,
        name: &name,
        report: Mutex::new(Report::new(&name, &version)),
        progress: Mutex::new(Progress::new()),
    };
    for (at, experiment) in found.iter().enumerate() {
        errand.show(|progress| progress.experiment(at.saturating_add(1), found.len(), text(experiment, "/name")));
        experiments::bring(&errand, experiment).await?;
    }
    if !errand.skips(Part::RegisteredModels) {
        errand.show(Progress::registry);
        registry::bring(&errand).await?;
    }
    errand.show(Progress::end);
    finish(options, errand.report.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn finish(options: &Mlflow, report: Report) -> Result<ExitCode, Failure> {
    let format = if options.json { Format::Json } else { options.session.output };
    report.print(format)?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A text of a reply; empty when it is not there.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A list of a reply; empty when it is not there.
fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// An integer of a reply, which may be a number or a text.
fn integer(value: &Value, pointer: &str) -> Option<i64> {
    match value.pointer(pointer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The pairs of a list of tags or parameters.
fn pairs(value: &Value, pointer: &str) -> std::collections::BTreeMap<String, String> {
    list(value, pointer).iter().map(|pair| (text(pair, "/key").to_owned(), text(pair, "/value").to_owned())).collect()
}

/// The same in the form of a request.
fn as_list<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<Value> {
    pairs.into_iter().map(|(key, value)| serde_json::json!({"key": key, "value": value})).collect()
}

/// What tags begin with that only an import sets.
const OWN_TAGS: &str = "bartizan.";
/// The tag that says where something comes from.
const SOURCE_TAG: &str = "bartizan.import.source";

/// The tags of the source that are taken over: what it says of imports is not believed.
fn taken_tags(value: &Value, pointer: &str) -> std::collections::BTreeMap<String, String> {
    let mut tags = pairs(value, pointer);
    tags.retain(|key, _| !key.starts_with(OWN_TAGS));
    tags
}

/// Those of them that the target does not have so.
fn missing<'a>(
    wanted: &'a std::collections::BTreeMap<String, String>,
    there: &std::collections::BTreeMap<String, String>,
) -> Vec<(&'a String, &'a String)> {
    wanted.iter().filter(|(key, value)| there.get(*key) != Some(*value)).collect()
}
