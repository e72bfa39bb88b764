//! Questions about access: why, what if, what misleads, what would have been enough.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions, ad, role, say};
use crate::failure::Failure;

/// Commands that say who may do what, and why. None of them changes anything.
#[derive(Subcommand)]
pub enum Command {
    /// Why somebody may, or may not, do something: by which assignment, through which group, and what would change it.
    ///
    /// For example: `bartizan access explain --principal ann@example.com --action
    /// Microsoft.MachineLearningServices/workspaces/write`. Exit code 0 when it is allowed, 1 when it is not.
    Explain {
        /// Who: object id, client id, sign-in name, or a name that only one has.
        #[arg(long)]
        principal: String,
        /// What; `bartizan provider operation list` shows what there is.
        #[arg(long)]
        action: String,
        /// Where: a resource id. Default: the workspace if one is set, else the group, else the subscription.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// What changes would change, for whom, before they are made.
    WhatIf(WhatIf),
    /// What in the roles that can be assigned here does not mean what it seems to mean.
    Lint {
        /// Where: a resource id. Default as for `explain`.
        #[arg(long)]
        scope: Option<String>,
        /// Only of this role (its name).
        #[arg(long)]
        role: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// The least role for what somebody did, read from the activity log: a file for `bartizan role definition create`.
    Suggest {
        /// Whose deeds: object id, client id, sign-in name, or a name that only one has.
        #[arg(long)]
        principal: String,
        /// At and below which scope. Default as for `explain`.
        #[arg(long)]
        scope: Option<String>,
        /// Not before this time (RFC 3339).
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Not after this time (RFC 3339).
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Changes to try out.
#[derive(Args)]
#[group(required = true, multiple = true, id = "changes", args = ["assign", "remove"])]
pub struct WhatIf {
    /// Assign a role to somebody (`WHO=ROLE`); can be given several times.
    #[arg(long, value_name = "WHO=ROLE", value_parser = pair)]
    assign: Vec<(String, String)>,
    /// Take an assignment back (its id, as `bartizan role assignment list` shows it); can be given several times.
    #[arg(long, value_name = "ID")]
    remove: Vec<String>,
    /// Where roles are assigned, and access is compared. Default: the workspace if one is set, else the group, else the
    /// subscription.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (who, role) = text.split_once('=').ok_or("must be WHO=ROLE")?;
    Ok((who.to_owned(), role.to_owned()))
}

fn place(scope: &str, question: &str) -> String {
    format!("{}/providers/Microsoft.Authorization/{question}", scope.trim_end_matches('/'))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Explain { principal, action, scope, session } => explain(&principal, &action, scope, &session).await,
            Self::WhatIf(what_if) => what_if.run().await,
            Self::Lint { scope, role, session } => lint(scope, role.as_deref(), &session).await,
            Self::Suggest { principal, scope, from, until, session } => {
                let open = Session::open(&session).await?;
                let scope = role::scope_of(&open, scope)?;
                let principal = ad::anybody(&open, &principal).await?;
                let body = json!({"principalId": principal, "from": from, "until": until});
                let said = open.post(&place(&scope, "suggestRole"), &body).await?;
                if said.get("isComplete") == Some(&Value::Bool(false)) {
                    super::tell("the log is long: only its newer part was read; ask for a shorter time with --from");
                }
                super::Format::Json.done("", said.get("properties").unwrap_or(&Value::Null))
            }
        }
    }
}

async fn explain(
    principal: &str,
    action: &str,
    scope: Option<String>,
    options: &SessionOptions,
) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let scope = role::scope_of(&session, scope)?;
    let id = ad::anybody(&session, principal).await?;
    let said = session.post(&place(&scope, "explain"), &json!({"principalId": id, "action": action})).await?;
    let is_allowed = said.get("decision").and_then(Value::as_str) == Some("Allowed");
    let mut sentences = vec![format!(
        "{}: {principal} may {}{action} at {scope}",
        if is_allowed { "Allowed" } else { "Denied" },
        if is_allowed { "" } else { "not " }
    )];
    let lists = [
        ("allowedBy", "allowed by"),
        ("deniedBy", "denied by"),
        ("takenBackBy", "taken back by"),
        ("heldElsewhere", "would be allowed where this is held:"),
        ("wouldAllow", "would be allowed by"),
    ];
    if said.get("isDisabled") == Some(&Value::Bool(true)) {
        sentences.push(String::from("  it is disabled: whatever it holds, it is not let in"));
    }
    for (list, words) in lists {
        for entry in said.get(list).and_then(Value::as_array).into_iter().flatten() {
            sentences.push(format!("  {words} {}", reason(entry)));
        }
    }
    options.output.done(&sentences.join("\n"), &said)?;
    Ok(if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One reason in words.
fn reason(entry: &Value) -> String {
    let text = |field: &str| entry.get(field).and_then(Value::as_str);
    let mut words = match (text("roleName"), text("denyAssignmentName")) {
        (Some(role), _) => format!("role {role}"),
        (None, Some(denial)) => format!("deny assignment {denial}"),
        (None, None) => String::new(),
    };
    if let Some(scope) = text("scope") {
        words.push_str(&format!(" at {scope}"));
    }
    if let Some(pattern) = text("pattern") {
        words.push_str(&format!(" ({pattern})"));
    }
    let groups: Vec<&str> =
        entry.get("throughGroups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    if !groups.is_empty() {
        words.push_str(&format!(" through {}", groups.join(" in ")));
    }
    words
}

impl WhatIf {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let scope = role::scope_of(&session, self.scope)?;
        let mut changes = Vec::new();
        for id in &self.remove {
            changes.push(json!({"change": "removeRoleAssignment", "roleAssignmentId": id}));
        }
        for (who, named) in &self.assign {
            let definition = role::definition(&session, scope.trim_end_matches('/'), named).await?;
            let principal = ad::anybody(&session, who).await?;
            changes.push(
                json!({"change": "assignRole", "roleDefinitionId": definition.get("id"), "principalId": principal}),
            );
        }
        let said = session.post(&place(&scope, "whatIf"), &json!({"changes": changes})).await?;
        let changed = said.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
        if self.session.output == super::Format::Json {
            return self.session.output.done("", &said);
        }
        if changed.is_empty() {
            say("nobody's access would change");
        }
        for one in &changed {
            let count = |field: &str| one.get(field).and_then(Value::as_array).map_or(0, Vec::len);
            let who = one.get("principalId").and_then(Value::as_str).unwrap_or_default();
            say(&format!("{who} would gain {} and lose {} operations", count("gained"), count("lost")));
            for (sign, field) in [('+', "gained"), ('-', "lost")] {
                let names = one.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                names.for_each(|name| say(&format!("  {sign} {name}")));
            }
        }
        if said.get("isComplete") == Some(&Value::Bool(false)) {
            super::tell("the directory is large: only a part of its people was looked at");
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn lint(scope: Option<String>, role: Option<&str>, options: &SessionOptions) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let scope = role::scope_of(&session, scope)?;
    let said = session.post(&place(&scope, "lintRoles"), &json!({})).await?;
    let mut found = said.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_asked = |finding: &Value| {
        let name = finding.get("roleName").and_then(Value::as_str).unwrap_or_default();
        role.is_none_or(|role| name.eq_ignore_ascii_case(role))
    };
    found.retain(is_asked);
    let columns =
        [("Role", "/roleName"), ("Rule", "/rule"), ("In", "/list"), ("Pattern", "/pattern"), ("Why", "/message")];
    options.output.entries(&found, &columns)
}
