//! Training jobs.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions, identity, output, tell, upload};
use crate::failure::Failure;

/// Commands on jobs.
#[derive(Subcommand)]
pub enum Command {
    /// Upload a folder and run a command over it in a jail. Packages of its `requirements.txt` are prepared and cached.
    Submit(Submit),
    /// List jobs, newest first.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Print a job's log.
    Logs {
        /// Its name.
        name: String,
        /// Go on until the job ends.
        #[arg(short, long)]
        follow: bool,
        /// Which log.
        #[arg(long, default_value = "user_logs/std_log.txt")]
        log: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Ask a job to end.
    Cancel {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What to run.
#[derive(Args)]
pub struct Submit {
    /// The folder of code.
    #[arg(long, default_value = ".")]
    code: PathBuf,
    /// The command line, for example "python train.py --epochs 3".
    #[arg(long)]
    command: String,
    /// Name of the job. Default: a fresh one.
    #[arg(long)]
    name: Option<String>,
    /// Experiment.
    #[arg(long, default_value = "Default")]
    experiment: String,
    /// Environment variable for the program, NAME=VALUE; can be given several times. Values are stored, so secrets are named only:
    /// NAME=secret://DB-PASSWORD is that secret of the workspace's key vault.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A named input, NAME=VALUE; can be given several times. `azureml:ASSET:VERSION` or `azureml:ASSET@latest` is data of the
    /// workspace (`bartizan data list`): the program finds it read-only where `${{inputs.NAME}}` and the variable
    /// AZUREML_DATAREFERENCE_NAME say. Anything else is a value for `${{inputs.NAME}}`.
    #[arg(long, value_name = "NAME=VALUE")]
    input: Vec<String>,
    /// Memory in MiB.
    #[arg(long)]
    memory_mib: Option<u64>,
    /// Longest run, in seconds.
    #[arg(long)]
    timeout: Option<u64>,
    /// Refuse targets without this wall (see `bartizan doctor`); can be given several times.
    #[arg(long)]
    require_wall: Vec<String>,
    /// Treat it as jobs of a workspace of high business impact are treated: no scratch on a disk, no diagnostics, no names of
    /// people.
    #[arg(long)]
    high_business_impact: bool,
    /// Act as this managed identity: a user-assigned one by name in the resource group or by id. Without it, the identities
    /// of the compute target.
    #[arg(long, value_name = "NAME|ID")]
    identity: Option<String>,
    /// Wait for the end, showing progress and log. Exit code 1 when the job does not complete.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Status", "/properties/status"),
    ("Experiment", "/properties/experimentName"),
    ("Created", "/systemData/createdAt"),
    ("Command", "/properties/command"),
];
const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Status", "/properties/status"),
    ("Experiment", "/properties/experimentName"),
    ("Command", "/properties/command"),
    ("Code", "/properties/codeId"),
    ("Progress", "/properties/message"),
    ("Exit code", "/properties/exitCode"),
    ("Error", "/properties/error/message"),
    ("Walls missing", "/properties/missingWalls"),
    ("High impact", "/properties/highBusinessImpact"),
    ("Scratch", "/properties/scratch/medium"),
    ("Scratch swapped", "/properties/scratch/swap"),
    ("Scratch gone", "/properties/scratch/destroyedAt"),
    ("Created", "/systemData/createdAt"),
];

/// Whether a status is final.
pub fn is_final(status: &str) -> bool {
    matches!(status, "Completed" | "Failed" | "Canceled" | "Unapproved")
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Submit(submit) => submit.run().await,
            Self::List(options) => {
                let session = Session::open(&options).await?;
                options.output.entries(&session.list(&format!("{}/jobs", session.workspace()?)).await?, COLUMNS)
            }
            Self::Show { name, session } => {
                let found = show(&Session::open(&session).await?, &name).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Logs { name, follow, log, session } => {
                let open = Session::open(&session).await?;
                let mut offset = 0;
                // Without --follow: to the end of what there is now.
                loop {
                    let before = offset;
                    let is_over = print_log(&open, &name, &log, &mut offset, follow).await?;
                    if is_over || (!follow && offset == before) {
                        break;
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Cancel { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/jobs/{name}/cancel", open.workspace()?);
                open.post(&place, &json!({})).await?;
                session.output.done(&format!("{name} was asked to end"), &Value::Null)
            }
        }
    }
}

/// Tells what the server found to warn of.
pub fn warn(resource: &Value) {
    let warnings = resource.pointer("/properties/warnings").and_then(Value::as_array);
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        tell(&format!("warning: {warning}"));
    }
}

/// Reads a job.
pub async fn show(session: &Session, name: &str) -> Result<Value, Failure> {
    session.get(&format!("{}/jobs/{name}", session.workspace()?)).await
}

/// Prints what is new of a log; true when the run has ended and all was printed.
pub async fn print_log(
    session: &Session,
    name: &str,
    log: &str,
    offset: &mut u64,
    wait: bool,
) -> Result<bool, Failure> {
    let (text, is_over) = fetch_log(session, name, log, *offset, if wait { 20 } else { 0 }).await?;
    *offset += u64::try_from(text.len()).unwrap_or(0);
    output::pour(&text)?;
    Ok(is_over && text.is_empty())
}

/// What a log holds from an offset on, and whether the run has ended.
pub async fn fetch_log(
    session: &Session,
    name: &str,
    log: &str,
    offset: u64,
    wait: u64,
) -> Result<(Vec<u8>, bool), Failure> {
    let place = format!("{}/jobs/{name}/logs/{log}", session.workspace()?);
    let (offset, wait) = (offset.to_string(), wait.to_string());
    let call = session.call(Method::GET, &place).query(&[("offset", &offset), ("wait", &wait)]);
    let answer = call.deadline(Duration::from_secs(60)).send().await?.success().await?;
    let is_over = answer.header("x-bartizan-run-state").is_some_and(is_final);
    Ok((answer.bytes(64 << 20).await?.to_vec(), is_over))
}

impl Submit {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let code = upload(&session, &self.code, None).await?;
        tell(&format!("snapshot {}: {} files, {} sent", code.id, code.files, code.sent));
        let name = match &self.name {
            Some(name) => name.clone(),
            None => {
                let id = seal::random::<4>().map_err(kernel::Error::from)?;
                format!("job_{}", seal::hex(&id))
            }
        };
        let job = session
            .put(&format!("{}/jobs/{name}", session.workspace()?), &self.body(&session, &code.code_id).await?)
            .await?;
        warn(&job);
        if !self.wait {
            return self.session.output.entry(&job, ROWS);
        }
        let is_for_people = self.session.output == Format::Table;
        let ended = follow(&session, &name, is_for_people).await?;
        self.session.output.entry(&ended, ROWS)?;
        let is_good = ended.pointer("/properties/status").and_then(Value::as_str) == Some("Completed");
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn body(&self, session: &Session, code_id: &str) -> Result<Value, Failure> {
        let mut variables = BTreeMap::new();
        for pair in &self.env {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is not NAME=VALUE")))?;
            variables.insert(name, value);
        }
        let mut properties = json!({
            "jobType": "Command",
            "command": self.command,
            "codeId": code_id,
            "experimentName": self.experiment,
            "environmentVariables": variables,
            "inputs": inputs(session, &self.input).await?,
            "requiredWalls": self.require_wall,
            "highBusinessImpact": self.high_business_impact,
        });
        if let Some(object) = properties.as_object_mut() {
            if let Some(memory) = self.memory_mib {
                object.insert(String::from("resources"), json!({"memoryMiB": memory}));
            }
            if let Some(named) = &self.identity {
                let resource = identity::place(session, named)?;
                let chosen = json!({"identityType": "Managed", "resourceId": resource});
                object.insert(String::from("identity"), chosen);
            }
            if let Some(seconds) = self.timeout {
                object.insert(
                    String::from("limits"),
                    json!({"jobLimitsType": "Command", "timeout": format!("PT{seconds}S")}),
                );
            }
        }
        Ok(json!({"properties": properties}))
    }
}

/// The named inputs of a job. Of data the server wants to hear the type too, which the asset says.
async fn inputs(session: &Session, said: &[String]) -> Result<Value, Failure> {
    let mut inputs = serde_json::Map::new();
    for pair in said {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is not NAME=VALUE")))?;
        let input = match value.strip_prefix("azureml:") {
            None => json!({"jobInputType": "literal", "value": value}),
            Some(asset) => {
                let asset = asset.split([':', '@']).next().unwrap_or_default();
                let found: Value = session.get(&format!("{}/data/{asset}", session.workspace()?)).await?;
                json!({"jobInputType": found.pointer("/properties/dataType"), "uri": value})
            }
        };
        inputs.insert(name.to_owned(), input);
    }
    Ok(Value::Object(inputs))
}

/// Follows a job to its end: state changes and progress on standard error, the log on standard output.
pub async fn follow(session: &Session, name: &str, prints_log: bool) -> Result<Value, Failure> {
    let mut offset = 0;
    let mut last = String::new();
    loop {
        let job = show(session, name).await?;
        let text = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let line = format!("{}  {}", text("/properties/status"), text("/properties/message"));
        if line != last {
            tell(line.trim_end());
            last = line;
        }
        let (log, is_over) = fetch_log(session, name, "user_logs/std_log.txt", offset, 2).await?;
        offset += u64::try_from(log.len()).unwrap_or(0);
        if prints_log {
            output::pour(&log)?;
        }
        if is_over && log.is_empty() {
            return show(session, name).await;
        }
    }
}
