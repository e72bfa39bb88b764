//! Sign-in policies.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions, ad, role};
use crate::failure::Failure;

const POLICIES: &str = "/graph/v1.0/identity/conditionalAccess/policies";

/// Commands on sign-in policies: of whom a second factor is demanded, from where, and for what. Service principals are never
/// asked.
///
/// For example, of everybody who signs in from outside the office: `bartizan ad policy create --name outside --all-users
/// --trusted-network 10.0.0.0/8`. Of owners, before they change anything: `bartizan ad policy create --name owners --role
/// Owner --operation control`.
#[derive(Subcommand)]
pub enum Command {
    /// Create one; it is in force at once.
    Create(Create),
    /// List them.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Put one in force.
    Enable {
        /// Its id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take one out of force.
    Disable {
        /// Its id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one.
    Delete {
        /// Its id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What a policy says.
#[derive(Args)]
#[group(required = true, multiple = true, id = "about", args = ["all_users", "principal", "role"])]
pub struct Create {
    /// For people.
    #[arg(long)]
    name: String,
    /// About every person.
    #[arg(long)]
    all_users: bool,
    /// About this person or group (object id, sign-in name, or a name that only one has); can be given several times.
    #[arg(long, value_name = "WHO")]
    principal: Vec<String>,
    /// About whoever holds this role anywhere (name or id); can be given several times.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// Not about this person or group (as above); can be given several times.
    #[arg(long, value_name = "WHO")]
    except: Vec<String>,
    /// Nobody is asked who comes from this network; can be given several times.
    #[arg(long, value_name = "CIDR")]
    trusted_network: Vec<String>,
    /// Demanded for this class of operations (control, vault, dataWrite, read) in place of signing in; can be given several
    /// times.
    #[arg(long, value_name = "CLASS")]
    operation: Vec<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/displayName"),
    ("State", "/state"),
    ("About", "/conditions/users/includeUsers"),
    ("Roles", "/conditions/users/includeRoles"),
    ("Trusted networks", "/conditions/locations/excludeNetworks"),
    ("Operations", "/conditions/operations"),
    ("Id", "/id"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List(options) => {
                let session = Session::open(&options).await?;
                options.output.entries(&session.list(POLICIES).await?, ROWS)
            }
            Self::Show { id, session } => {
                let found: Value = Session::open(&session).await?.get(&format!("{POLICIES}/{id}")).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Enable { id, session } => switch(&id, &session, "enabled").await,
            Self::Disable { id, session } => switch(&id, &session, "disabled").await,
            Self::Delete { id, session } => {
                Session::open(&session).await?.delete(&format!("{POLICIES}/{id}")).await?;
                session.output.done(&format!("policy {id} is gone"), &Value::Null)
            }
        }
    }
}

async fn switch(id: &str, options: &SessionOptions, state: &str) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let place = format!("{POLICIES}/{id}");
    let found: Value = session.get(&place).await?;
    let part = |name: &str| found.get(name).cloned().unwrap_or_default();
    let body = json!({
        "displayName": part("displayName"),
        "state": state,
        "conditions": part("conditions"),
        "grantControls": part("grantControls"),
    });
    options.output.entry(&session.put(&place, &body).await?, ROWS)
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let mut users = Vec::new();
        for named in &self.principal {
            users.push(ad::object_id(&session, named).await?);
        }
        let mut except = Vec::new();
        for named in &self.except {
            except.push(ad::object_id(&session, named).await?);
        }
        if self.all_users {
            users.push(String::from("All"));
        }
        let mut roles = Vec::new();
        for name in &self.role {
            roles.push(role::definition_id(&session, name).await?);
        }
        let body = json!({
            "displayName": self.name,
            "state": "enabled",
            "conditions": {
                "users": {"includeUsers": users, "includeRoles": roles, "excludeUsers": except},
                "locations": {"excludeNetworks": self.trusted_network},
                "operations": self.operation,
            },
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
        });
        self.session.output.entry(&session.post(POLICIES, &body).await?, ROWS)
    }
}
