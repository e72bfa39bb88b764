//! What an import comes to: what the source has, what is the same in the workspace, and what is not.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::fault::clean;
use crate::{cli::Format, failure::Failure};

/// Most sentences that are kept of each kind; the others are counted.
const MOST_SENTENCES: usize = 1000;

/// Kinds of things, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Experiments.
    Experiments,
    /// Runs.
    Runs,
    /// Parameters of runs.
    Params,
    /// Tags of runs.
    Tags,
    /// Points of metrics.
    MetricPoints,
    /// Data sets that runs used.
    Datasets,
    /// Files of runs and logged models.
    Files,
    /// Their bytes, compared by SHA-256.
    Bytes,
    /// Logged models.
    LoggedModels,
    /// Registered models.
    RegisteredModels,
    /// Their versions.
    ModelVersions,
    /// Names that point to versions.
    Aliases,
}

const KINDS: [(Kind, &str); 12] = [
    (Kind::Experiments, "experiments"),
    (Kind::Runs, "runs"),
    (Kind::Params, "params"),
    (Kind::Tags, "tags"),
    (Kind::MetricPoints, "metricPoints"),
    (Kind::Datasets, "datasets"),
    (Kind::Files, "files"),
    (Kind::Bytes, "bytes"),
    (Kind::LoggedModels, "loggedModels"),
    (Kind::RegisteredModels, "registeredModels"),
    (Kind::ModelVersions, "modelVersions"),
    (Kind::Aliases, "aliases"),
];

/// Sentences, the first of them.
#[derive(Default)]
struct Sentences {
    kept: Vec<Value>,
    count: u64,
}

impl Sentences {
    fn add(&mut self, what: &str, why: &str) {
        self.count = self.count.saturating_add(1);
        if self.kept.len() < MOST_SENTENCES {
            self.kept.push(json!({"what": clean(what), "why": clean(why)}));
        }
    }
}

/// What an import comes to.
pub struct Report {
    source: String,
    version: String,
    is_dry: bool,
    /// What was made here in this run of the command, by kind.
    made: Map<String, Value>,
    there: Map<String, Value>,
    matched: Map<String, Value>,
    mismatches: Sentences,
    left_out: Sentences,
}

fn add(counts: &mut Map<String, Value>, kind: Kind, count: u64) {
    let name = KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| name);
    let present = counts.get(name).and_then(Value::as_u64).unwrap_or(0);
    counts.insert(name.to_owned(), json!(present.saturating_add(count)));
}

impl Report {
    /// Nothing looked at yet.
    pub fn new(source: &str, version: &str) -> Self {
        Self {
            source: source.to_owned(),
            version: version.to_owned(),
            is_dry: false,
            made: Map::new(),
            there: Map::new(),
            matched: Map::new(),
            mismatches: Sentences::default(),
            left_out: Sentences::default(),
        }
    }

    /// The same, of an import that only counts.
    pub fn dry(source: &str, version: &str) -> Self {
        Self { is_dry: true, ..Self::new(source, version) }
    }

    /// The source has so many.
    pub fn found(&mut self, kind: Kind, count: usize) {
        add(&mut self.there, kind, u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// So many of them are the same here, as read back.
    pub fn matched(&mut self, kind: Kind, count: usize) {
        add(&mut self.matched, kind, u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// So many bytes there, all of which are the same here or not.
    pub fn bytes(&mut self, count: u64, is_same: bool) {
        add(&mut self.there, Kind::Bytes, count);
        add(&mut self.matched, Kind::Bytes, if is_same { count } else { 0 });
    }

    /// One was made here.
    pub fn made(&mut self, kind: Kind) {
        add(&mut self.made, kind, 1);
    }

    /// Something is not here as it is there.
    pub fn differs(&mut self, what: &str, why: &str) {
        self.mismatches.add(what, why);
    }

    /// Something was not asked for, or cannot be had.
    pub fn leave_out(&mut self, what: &str, why: &str) {
        self.left_out.add(what, why);
    }

    /// Whether everything matched.
    pub fn holds(&self) -> bool {
        self.mismatches.count == 0
    }

    fn as_json(&self) -> Value {
        let mut counts = Map::new();
        for (_, name) in KINDS {
            let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(json!(0));
            let count = match self.is_dry {
                true => json!({"source": of(&self.there)}),
                false => json!({"source": of(&self.there), "matched": of(&self.matched), "made": of(&self.made)}),
            };
            counts.insert(name.to_owned(), count);
        }
        json!({
            "source": self.source,
            "sourceVersion": self.version,
            "dryRun": self.is_dry,
            "matched": self.holds(),
            "counts": counts,
            "mismatchCount": self.mismatches.count,
            "mismatches": self.mismatches.kept,
            "leftOutCount": self.left_out.count,
            "leftOut": self.left_out.kept,
        })
    }

    /// Prints it.
    pub fn print(&self, format: Format) -> Result<(), Failure> {
        let whole = self.as_json();
        if format == Format::Json {
            return format.done("", &whole).map(drop);
        }
        let rows: Vec<Value> = KINDS
            .iter()
            .filter_map(|(_, name)| {
                let mut row = whole.pointer(&format!("/counts/{name}"))?.clone();
                row.as_object_mut()?.insert(String::from("kind"), json!(name));
                Some(row)
            })
            .collect();
        let columns: &[(&str, &str)] = match self.is_dry {
            true => &[("What", "/kind"), ("There", "/source")],
            false => &[("What", "/kind"), ("There", "/source"), ("The same here", "/matched"), ("New", "/made")],
        };
        let _: ExitCode = format.entries(&rows, columns)?;
        for (title, some) in [("does not match", &self.mismatches), ("left out", &self.left_out)] {
            if some.count > 0 {
                let of_table = [("What", "/what"), ("Why", "/why")];
                crate::cli::say(&format!("{title}: {}", some.count));
                let _: ExitCode = format.entries(&some.kept, &of_table)?;
            }
        }
        Ok(())
    }
}
