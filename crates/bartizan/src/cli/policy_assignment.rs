//! Policy assignments: which policy counts where, and how what exists stands to it.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::{Session, SessionOptions, role};
use crate::failure::Failure;

/// Commands on policy assignments: a definition counts at a scope and below from the moment it is assigned.
///
/// For example, `bartizan policy-assignment create closed --policy workspace-public-access-off --param effect=Deny`; then
/// nobody makes a workspace that is open to the public network. `bartizan policy-assignment state` says what is not as it should be.
#[derive(Subcommand)]
pub enum Command {
    /// Assign a policy, or change an assignment.
    Create(Create),
    /// List those that count at a scope: its own, those above it and those below it.
    List(At),
    /// Show one.
    Show(One),
    /// Remove one: what it refused is allowed from then on.
    Delete(One),
    /// How each resource at a scope and below stands to each policy, now.
    State(State),
}

/// Names a scope.
#[derive(Args)]
pub struct At {
    /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// Names an assignment.
#[derive(Args)]
pub struct One {
    /// Its name.
    name: String,
    #[command(flatten)]
    at: At,
}

/// What an assignment says.
#[derive(Args)]
pub struct Create {
    /// Its name.
    name: String,
    /// The definition: the name of one that ships or of the subscription's, or a full id.
    #[arg(long)]
    policy: String,
    /// A parameter, `name=value`; the value is JSON where it is that, else text. Can be given several times.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// Where below the scope it does not count; can be given several times.
    #[arg(long = "not-scope", value_name = "ID")]
    not_scopes: Vec<String>,
    /// Whether it has its effect (`default`), or is only reported.
    #[arg(long, value_enum, default_value = "default", ignore_case = true)]
    enforcement_mode: Enforcement,
    /// Name for people.
    #[arg(long, default_value = "")]
    display_name: String,
    /// Said to whoever is refused.
    #[arg(long)]
    message: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Azure's enforcement modes.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "camelCase")]
pub enum Enforcement {
    /// It has its effect.
    Default,
    /// It is reported only.
    DoNotEnforce,
}

/// Asks about states.
#[derive(Args)]
pub struct State {
    /// Also what is as it should be.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: At,
}

const COLUMNS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Policy", "/properties/policyDefinitionId"),
    ("Parameters", "/properties/parameters"),
    ("Mode", "/properties/enforcementMode"),
    ("Scope", "/properties/scope"),
];

const STATES: &[(&str, &str)] = &[
    ("State", "/complianceState"),
    ("Resource", "/resourceId"),
    ("Policy", "/policyDefinitionName"),
    ("Effect", "/policyDefinitionAction"),
    ("Assignment", "/policyAssignmentName"),
];

const PLACE: &str = "providers/Microsoft.Authorization/policyAssignments";

impl At {
    /// The session, and the scope.
    async fn open(self) -> Result<(Session, String), Failure> {
        let open = Session::open(&self.session).await?;
        let scope = role::scope_of(&open, self.scope)?;
        Ok((open, scope.trim_end_matches('/').to_owned()))
    }
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(at) => {
                let output = at.session.output;
                let (open, scope) = at.open().await?;
                output.entries(&open.list(&format!("{scope}/{PLACE}")).await?, COLUMNS)
            }
            Self::Show(one) => {
                let output = one.at.session.output;
                let (open, scope) = one.at.open().await?;
                let found: Value = open.get(&format!("{scope}/{PLACE}/{}", one.name)).await?;
                output.entry(&found, COLUMNS)
            }
            Self::Delete(one) => {
                let output = one.at.session.output;
                let (open, scope) = one.at.open().await?;
                open.delete(&format!("{scope}/{PLACE}/{}", one.name)).await?;
                output.done("the policy is assigned there no more", &Value::Null)
            }
            Self::State(state) => {
                let output = state.at.session.output;
                let (open, scope) = state.at.open().await?;
                let place = format!("{scope}/providers/Microsoft.PolicyInsights/policyStates/latest/queryResults");
                let filter = if state.all { "" } else { "?$filter=complianceState%20eq%20'NonCompliant'" };
                let found = open.post(&format!("{place}{filter}"), &json!({})).await?;
                let states = found.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
                output.entries(&states, STATES)
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let output = self.at.session.output;
        let (open, scope) = self.at.open().await?;
        let body = json!({"properties": {
            "policyDefinitionId": definition_id(&open, &self.policy).await?,
            "displayName": self.display_name,
            "parameters": parameters(&self.parameters)?,
            "notScopes": self.not_scopes,
            "enforcementMode": match self.enforcement_mode {
                Enforcement::Default => "Default",
                Enforcement::DoNotEnforce => "DoNotEnforce",
            },
            "nonComplianceMessages": self.message.iter().map(|message| json!({"message": message})).collect::<Vec<_>>(),
        }});
        output.entry(&open.put(&format!("{scope}/{PLACE}/{}", self.name), &body).await?, COLUMNS)
    }
}

/// The id of a definition that is named.
async fn definition_id(open: &Session, named: &str) -> Result<String, Failure> {
    if named.starts_with('/') {
        return Ok(named.to_owned());
    }
    let all =
        open.list(&format!("{}/providers/Microsoft.Authorization/policyDefinitions", open.subscription()?)).await?;
    let is_it = |entry: &&Value| {
        let name = entry.get("name").and_then(Value::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(named))
    };
    let found = all.iter().find(is_it).and_then(|entry| entry.get("id")).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Failure::new(format!("there is no policy definition `{named}`")))
}

fn parameters(given: &[String]) -> Result<Map<String, Value>, Failure> {
    let one = |text: &String| {
        let (name, value) =
            text.split_once('=').ok_or_else(|| Failure::new(format!("`{text}` is not `name=value`")))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        Ok((name.to_owned(), json!({"value": value})))
    };
    given.iter().map(one).collect()
}
