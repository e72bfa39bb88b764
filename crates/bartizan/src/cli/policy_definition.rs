//! Policy definitions: what can be assigned.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on policy definitions: rules that say what resources may be. Some ship; a subscription has its own beside them.
///
/// For example, `bartizan policy-definition create no-open-names --rule '{"if": {"field": "name", "like": "open-*"}, "then":
/// {"effect": "deny"}}'`. It counts once it is assigned (`bartizan policy-assignment create`).
#[derive(Subcommand)]
pub enum Command {
    /// Make one, or change one; what is assigned counts as it says from then on.
    Create(Create),
    /// List those of the subscription and those that ship.
    List {
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show one, with its rule and parameters.
    Show(One),
    /// Remove one of the subscription's that is not assigned.
    Delete(One),
}

/// Names a definition.
#[derive(Args)]
pub struct One {
    /// Its name.
    name: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// What a definition says.
#[derive(Args)]
pub struct Create {
    /// Its name.
    name: String,
    /// The rule, as JSON: `{"if": …, "then": {"effect": …}}`.
    #[arg(long, value_name = "JSON")]
    rule: String,
    /// Its parameters, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    params: String,
    /// `All`, or `Indexed`: not of resource groups.
    #[arg(long, default_value = "All", value_parser = ["All", "Indexed"])]
    mode: String,
    /// Name for people.
    #[arg(long)]
    display_name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] =
    &[("Name", "/name"), ("Kind", "/properties/policyType"), ("Says", "/properties/displayName")];

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Kind", "/properties/policyType"),
    ("Says", "/properties/displayName"),
    ("Mode", "/properties/mode"),
    ("Parameters", "/properties/parameters"),
    ("Rule", "/properties/policyRule"),
];

fn all_of(open: &Session) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.Authorization/policyDefinitions", open.subscription()?))
}

fn read(what: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|fault| Failure::new(format!("`--{what}` is not JSON: {fault}")))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { session } => {
                let open = Session::open(&session).await?;
                session.output.entries(&open.list(&all_of(&open)?).await?, COLUMNS)
            }
            Self::Show(one) => {
                let open = Session::open(&one.session).await?;
                let all = open.list(&all_of(&open)?).await?;
                let is_it = |entry: &&Value| {
                    let name = entry.get("name").and_then(Value::as_str);
                    name.is_some_and(|name| name.eq_ignore_ascii_case(&one.name))
                };
                let missing = || Failure::new(format!("there is no policy definition `{}`", one.name));
                one.session.output.entry(all.iter().find(is_it).ok_or_else(missing)?, ROWS)
            }
            Self::Delete(one) => {
                let open = Session::open(&one.session).await?;
                open.delete(&format!("{}/{}", all_of(&open)?, one.name)).await?;
                one.session.output.done("the definition is gone", &Value::Null)
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let body = json!({"properties": {
            "mode": self.mode,
            "displayName": self.display_name,
            "description": self.description,
            "policyRule": read("rule", &self.rule)?,
            "parameters": read("params", &self.params)?,
        }});
        let place = format!("{}/{}", all_of(&open)?, self.name);
        self.session.output.entry(&open.put(&place, &body).await?, ROWS)
    }
}
