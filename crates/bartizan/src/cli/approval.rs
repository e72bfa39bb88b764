//! Approvals: what waits for somebody's word, and the rules that make it wait.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Session, SessionOptions, ad, role};
use crate::failure::Failure;

/// Commands on approvals. Where a rule demands them, a command is refused with the name of a request; once enough others have
/// approved that, the very same command runs, once.
///
/// For example, `bartizan approval rule create --operation deploy --approvals 1 --approver reviewers`; then a deployment says
/// `request 5f1… must be approved`, a reviewer says `bartizan approval approve 5f1…`, and the deployment is sent again.
#[derive(Subcommand)]
pub enum Command {
    /// What waits for approval.
    List {
        /// At and below this resource id. Default: the workspace if one is set, else the group, else the subscription.
        #[arg(long)]
        scope: Option<String>,
        /// Also what is over: used, denied, expired.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show one: what is asked, to the last detail, and who has said what.
    Show(One),
    /// Approve one. Not one's own.
    Approve(Decide),
    /// Deny one: whoever asked cannot ask again until its time is over.
    Deny(Decide),
    /// The rules: what takes approvals, how many, and whose.
    #[command(subcommand)]
    Rule(Rule),
}

/// Names a request.
#[derive(Args)]
pub struct One {
    /// Its name, as `list` shows it, or its full id.
    name: String,
    /// Where it is, as the refusal said. Default: found at and below the subscription, or at the root.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// A decision.
#[derive(Args)]
pub struct Decide {
    #[command(flatten)]
    one: One,
    /// Why: it is written into the activity log.
    #[arg(long, default_value = "")]
    comment: String,
}

/// Commands on rules.
#[derive(Subcommand)]
pub enum Rule {
    /// Make a rule. From then on, changing or removing it takes approvals by its own terms.
    Create(Create),
    /// List the rules at a scope, above it and below it.
    List {
        /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Remove a rule; that takes approvals by its own terms.
    Delete {
        /// Its full id, as `list --output json` shows it.
        #[arg(long)]
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What a rule says.
#[derive(Args)]
#[group(required = true, multiple = true, id = "approvers", args = ["approver", "approver_role"])]
pub struct Create {
    /// What takes approvals: deploy, roleGrant, keyChange, purge.
    #[arg(long, value_parser = ["deploy", "roleGrant", "keyChange", "purge"])]
    operation: String,
    /// How many.
    #[arg(long, default_value_t = 1)]
    approvals: u8,
    /// Whose: a person, a group of people, or a service principal (object id, sign-in name, or a name that only one has); can be
    /// given several times.
    #[arg(long, value_name = "WHO")]
    approver: Vec<String>,
    /// Of people who hold this role (name or id) where the operation is, or above; can be given several times.
    #[arg(long, value_name = "ROLE")]
    approver_role: Vec<String>,
    /// How long a request counts (ISO 8601), from PT5M to P30D.
    #[arg(long, value_name = "DURATION", default_value = "P1D")]
    request_lifetime: String,
    /// Who needs no approval; can be given several times. Nobody, unless somebody is named.
    #[arg(long, value_name = "WHO")]
    bypass: Vec<String>,
    /// For people.
    #[arg(long, default_value = "")]
    description: String,
    /// Here and below. Default: the workspace if one is set, else the group, else the subscription.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] = &[
    ("Request", "/name"),
    ("Status", "/properties/status"),
    ("Action", "/properties/action"),
    ("Scope", "/properties/scope"),
    ("Asked by", "/properties/requestorName"),
    ("Until", "/properties/expiresOn"),
];

const ROWS: &[(&str, &str)] = &[
    ("Request", "/name"),
    ("Status", "/properties/status"),
    ("Action", "/properties/action"),
    ("Scope", "/properties/scope"),
    ("Asks for", "/properties/operation"),
    ("Asked by", "/properties/requestorName"),
    ("Asked on", "/properties/createdOn"),
    ("Until", "/properties/expiresOn"),
    ("Used on", "/properties/usedOn"),
    ("Demanded", "/properties/demands"),
    ("Decisions", "/properties/decisions"),
    ("Digest", "/properties/digest"),
];

const RULES: &[(&str, &str)] = &[
    ("Operation", "/properties/operation"),
    ("Approvals", "/properties/approvals"),
    ("Of", "/properties/approvers/principals"),
    ("Of role", "/properties/approvers/roles"),
    ("Not asked", "/properties/bypass"),
    ("Scope", "/properties/scope"),
    ("Rule", "/name"),
];

fn requests_at(scope: &str) -> String {
    format!("{}/providers/Microsoft.Authorization/approvalRequests", scope.trim_end_matches('/'))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { scope, all, session } => {
                let open = Session::open(&session).await?;
                let place = requests_at(&role::scope_of(&open, scope)?);
                let found = match all {
                    true => open.list(&place).await?,
                    false => open.list_where(&place, "status eq 'Pending'").await?,
                };
                session.output.entries(&found, COLUMNS)
            }
            Self::Show(one) => {
                let open = Session::open(&one.session).await?;
                let found: Value = open.get(&one.place(&open).await?).await?;
                one.session.output.entry(&found, ROWS)
            }
            Self::Approve(decide) => decide.run("approve").await,
            Self::Deny(decide) => decide.run("deny").await,
            Self::Rule(rule) => rule.run().await,
        }
    }
}

impl One {
    /// Where the request is.
    async fn place(&self, session: &Session) -> Result<String, Failure> {
        if self.name.starts_with('/') {
            return Ok(self.name.clone());
        }
        if let Some(scope) = &self.scope {
            return Ok(format!("{}/{}", requests_at(scope), self.name));
        }
        for scope in [session.subscription().unwrap_or_default(), String::new()] {
            // Whoever may not look there is not the one to find it there.
            let all = session.list(&requests_at(&scope)).await.unwrap_or_default();
            let is_it = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some(&self.name);
            if let Some(id) = all.iter().find(is_it).and_then(|entry| entry.get("id")).and_then(Value::as_str) {
                return Ok(id.to_owned());
            }
        }
        let why = format!("there is no request `{}` that you can see; `--scope` says where it is", self.name);
        Err(Failure::new(why))
    }
}

impl Decide {
    async fn run(self, verb: &str) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.one.session).await?;
        let place = self.one.place(&open).await?;
        let decided = open.post(&format!("{place}/{verb}"), &json!({"comment": self.comment})).await?;
        let status = decided.pointer("/properties/status").and_then(Value::as_str).unwrap_or_default();
        self.one.session.output.done(&format!("the request is {}", status.to_lowercase()), &decided)
    }
}

impl Rule {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { scope, session } => {
                let open = Session::open(&session).await?;
                let scope = role::scope_of(&open, scope)?;
                let place = format!("{}/providers/Microsoft.Authorization/approvalRules", scope.trim_end_matches('/'));
                session.output.entries(&open.list(&place).await?, RULES)
            }
            Self::Delete { id, session } => {
                Session::open(&session).await?.delete(&id).await?;
                session.output.done("the rule is gone", &Value::Null)
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let scope = role::scope_of(&open, self.scope)?;
        let mut principals = Vec::new();
        for named in &self.approver {
            principals.push(ad::object_id(&open, named).await?);
        }
        let mut bypass = Vec::new();
        for named in &self.bypass {
            bypass.push(ad::object_id(&open, named).await?);
        }
        let mut roles = Vec::new();
        for name in &self.approver_role {
            roles.push(role::definition_id(&open, name).await?);
        }
        let body = json!({"properties": {
            "operation": self.operation,
            "approvals": self.approvals,
            "approvers": {"principals": principals, "roles": roles},
            "requestLifetime": self.request_lifetime,
            "bypass": bypass,
            "description": self.description,
        }});
        let name = Uuid::new_v4();
        let scope = scope.trim_end_matches('/');
        let place = format!("{scope}/providers/Microsoft.Authorization/approvalRules/{name}");
        self.session.output.entry(&open.put(&place, &body).await?, RULES)
    }
}
