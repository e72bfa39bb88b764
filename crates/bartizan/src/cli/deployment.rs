//! Deployments of templates.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Where a template is deployed to.
#[derive(Subcommand)]
pub enum Command {
    /// Deployments to the resource group.
    #[command(subcommand)]
    Group(Verb),
    /// Deployments to the subscription.
    #[command(subcommand)]
    Sub(Verb),
}

/// What is done with deployments.
#[derive(Subcommand)]
pub enum Verb {
    /// Make what a template describes, as yourself: a template gives no right that you do not hold.
    ///
    /// Resources are made in the order of their dependencies; the first that fails ends it. What is not in the template stays.
    Create {
        #[command(flatten)]
        what: What,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Check a template and its parameters, and make nothing.
    Validate {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show what a deployment would change, and make nothing.
    WhatIf {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show one, with its outputs.
    Show(One),
    /// List those that are kept.
    List(#[command(flatten)] SessionOptions),
    /// Show what one made, in order, and what failed.
    Operations(One),
    /// Print the template of one.
    Export(One),
    /// Stop one before its next resource. What was made stays.
    Cancel(One),
    /// Forget one. What it made stays.
    Delete(One),
}

/// One deployment.
#[derive(Args)]
pub struct One {
    /// Its name.
    #[arg(short, long)]
    name: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// What is to be deployed.
#[derive(Args)]
pub struct What {
    /// Name of the deployment; the template file's, without its ending, when none is given.
    #[arg(short, long)]
    name: Option<String>,
    /// The template, in JSON.
    #[arg(short = 'f', long, value_name = "FILE")]
    template_file: PathBuf,
    /// A parameter as `name=value` (a value that is JSON is taken as that), or `@FILE` of parameters; may be given several
    /// times, and the last one counts. Secrets are better kept in a file than in arguments, which others can see.
    #[arg(short, long, value_name = "NAME=VALUE")]
    parameters: Vec<String>,
}

const COLUMNS: &[(&str, &str)] =
    &[("Name", "/name"), ("State", "/properties/provisioningState"), ("When", "/properties/timestamp")];
const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("State", "/properties/provisioningState"),
    ("When", "/properties/timestamp"),
    ("Took", "/properties/duration"),
    ("Outputs", "/properties/outputs"),
    ("Error", "/properties/error/message"),
];
const STEPS: &[(&str, &str)] = &[
    ("No", "/operationId"),
    ("Resource", "/properties/targetResource/id"),
    ("State", "/properties/provisioningState"),
    ("Error", "/properties/statusMessage/error/message"),
];
const CHANGES: &[(&str, &str)] = &[("Change", "/changeType"), ("Resource", "/resourceId"), ("Properties", "/delta")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Group(verb) => verb.run(Session::group).await,
            Self::Sub(verb) => verb.run(Session::subscription).await,
        }
    }
}

type Scope = fn(&Session) -> Result<String, Failure>;

async fn at(session: &SessionOptions, scope: Scope) -> Result<(Session, String), Failure> {
    let open = Session::open(session).await?;
    let place = format!("{}/providers/Microsoft.Resources/deployments", scope(&open)?);
    Ok((open, place))
}

impl Verb {
    async fn run(self, scope: Scope) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { what, no_wait, session } => {
                let (open, place) = at(&session, scope).await?;
                let place = format!("{place}/{}", what.name()?);
                let begun = open.put(&place, &what.body()?).await?;
                let ended = if no_wait { begun } else { wait(&open, &place).await? };
                session.output.entry(&ended, ROWS)?;
                let is_well = no_wait || state(&ended) == "Succeeded";
                Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Self::Validate { what, session } => {
                let (open, place) = at(&session, scope).await?;
                let said = open.post(&format!("{place}/{}/validate", what.name()?), &what.body()?).await?;
                session.output.done("the template makes sense", &said)
            }
            Self::WhatIf { what, session } => {
                let (open, place) = at(&session, scope).await?;
                let said = open.post(&format!("{place}/{}/whatIf", what.name()?), &what.body()?).await?;
                let changes = said.pointer("/properties/changes").and_then(Value::as_array).cloned();
                session.output.entries(&changes.unwrap_or_default(), CHANGES)
            }
            Self::Show(One { name, session }) => {
                let (open, place) = at(&session, scope).await?;
                let found: Value = open.get(&format!("{place}/{name}")).await?;
                session.output.entry(&found, ROWS)
            }
            Self::List(session) => {
                let (open, place) = at(&session, scope).await?;
                session.output.entries(&open.list(&place).await?, COLUMNS)
            }
            Self::Operations(One { name, session }) => {
                let (open, place) = at(&session, scope).await?;
                session.output.entries(&open.list(&format!("{place}/{name}/operations")).await?, STEPS)
            }
            Self::Export(One { name, session }) => {
                let (open, place) = at(&session, scope).await?;
                let found = open.post(&format!("{place}/{name}/exportTemplate"), &json!({})).await?;
                let template = found.get("template").cloned().unwrap_or_default();
                super::Format::Json.done("", &template)
            }
            Self::Cancel(One { name, session }) => {
                let (open, place) = at(&session, scope).await?;
                let said = open.post(&format!("{place}/{name}/cancel"), &json!({})).await?;
                session.output.done(&format!("deployment {name} stops before its next resource"), &said)
            }
            Self::Delete(One { name, session }) => {
                let (open, place) = at(&session, scope).await?;
                open.delete(&format!("{place}/{name}")).await?;
                session.output.done(&format!("deployment {name} is forgotten; what it made stays"), &Value::Null)
            }
        }
    }
}

fn state(deployment: &Value) -> &str {
    deployment.pointer("/properties/provisioningState").and_then(Value::as_str).unwrap_or_default()
}

async fn wait(open: &Session, place: &str) -> Result<Value, Failure> {
    let mut pause = Duration::from_millis(50);
    loop {
        let found: Value = open.get(place).await?;
        if state(&found) != "Running" {
            return Ok(found);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(Duration::from_secs(1));
    }
}

fn read(path: &std::path::Path) -> Result<Value, Failure> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|fault| Failure::usage(format!("cannot read {name}: {fault}")))?;
    serde_json::from_slice(&bytes).map_err(|fault| Failure::usage(format!("{name} is no JSON: {fault}")))
}

impl What {
    fn name(&self) -> Result<String, Failure> {
        let of_file = || self.template_file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        let name = self.name.clone().or_else(of_file);
        name.ok_or_else(|| Failure::usage("no name: say --name NAME"))
    }

    fn body(&self) -> Result<Value, Failure> {
        let mut parameters = Map::new();
        for given in &self.parameters {
            if let Some(file) = given.strip_prefix('@') {
                let found = read(std::path::Path::new(file))?;
                // A parameter file has its parameters in a field of this name; a bare object is one already.
                let inner = found.get("parameters").unwrap_or(&found).as_object().cloned();
                let no_object = || Failure::usage(format!("{file} holds no parameters"));
                parameters.extend(inner.ok_or_else(no_object)?);
                continue;
            }
            let (name, value) = given
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("`{given}` is no parameter: say name=value, or @FILE")))?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            parameters.insert(name.to_owned(), json!({"value": value}));
        }
        let properties =
            json!({"mode": "Incremental", "template": read(&self.template_file)?, "parameters": parameters});
        Ok(json!({"properties": properties}))
    }
}
