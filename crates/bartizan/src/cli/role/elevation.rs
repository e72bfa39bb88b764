//! Just-in-time elevation: making somebody eligible for a role, and activating it.

use std::process::ExitCode;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Grant, scope_of};
use crate::{
    cli::{Session, SessionOptions, ad},
    failure::Failure,
};

/// Commands on eligibility: who may activate which role, when they need it, for a time and with a reason. Until then it gives
/// nothing.
///
/// For example: `bartizan role eligibility create --assignee ann@example.com --role Owner --max-duration PT2H --mfa`; ann then
/// works as owner for two hours after `bartizan role activate --role Owner --reason "ticket 4711"`.
#[derive(Subcommand)]
pub enum Eligibility {
    /// Make somebody eligible for a role.
    Create(Create),
    /// List who is eligible for what, at a scope, above it and below it.
    List {
        /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
        #[arg(long)]
        scope: Option<String>,
        /// Only what you can activate yourself.
        #[arg(long)]
        own: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// End an eligibility. What was activated from it ends at once too.
    Delete {
        /// Who: object id, sign-in name, or a name that only one has.
        #[arg(long)]
        assignee: String,
        /// Name or id of the role.
        #[arg(long)]
        role: String,
        /// Resource id. Default as for `list`.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Who may activate what, and on which terms.
#[derive(Args)]
pub struct Create {
    /// Who: object id; or a user's sign-in name, or the name of a group (whose members may each activate it) or service principal
    /// that only one has.
    #[arg(long)]
    assignee: String,
    /// Name or id of the role.
    #[arg(long)]
    role: String,
    /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
    #[arg(long)]
    scope: Option<String>,
    /// The longest activation (ISO 8601), from PT5M to P1D.
    #[arg(long, value_name = "DURATION", default_value = "PT8H")]
    max_duration: String,
    /// How long the eligibility itself lasts (ISO 8601): `P90D`. Without it, until it is deleted.
    #[arg(long, value_name = "DURATION")]
    duration: Option<String>,
    /// Whoever activates it must have signed in with a second factor.
    #[arg(long)]
    mfa: bool,
    /// Whoever activates it must name a ticket.
    #[arg(long)]
    ticket: bool,
    /// Each activation takes so many approvals, of people who hold `--approver-role` or are named by `--approver`.
    #[arg(long, value_name = "NUMBER")]
    approvals: Option<u8>,
    /// Who approves activations: a person or a group of people; can be given several times.
    #[arg(long, value_name = "WHO", requires = "approvals")]
    approver: Vec<String>,
    /// Or whoever holds this role (name or id); can be given several times.
    #[arg(long, value_name = "ROLE", requires = "approvals")]
    approver_role: Vec<String>,
    /// Change one that is there. What was activated from it ends at once.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    session: SessionOptions,
}

/// Activate a role that you are eligible for. It ends by itself.
#[derive(Args)]
pub struct Activate {
    /// Name or id of the role; `bartizan role eligibility list --own` shows what you can activate.
    #[arg(long)]
    role: String,
    /// Why: it is written into the activity log.
    #[arg(long)]
    reason: String,
    /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
    #[arg(long)]
    scope: Option<String>,
    /// For how long (ISO 8601): `PT1H`. Default: as long as you may.
    #[arg(long, value_name = "DURATION")]
    duration: Option<String>,
    /// The number of a ticket.
    #[arg(long)]
    ticket: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// End a role that you activated, before its time.
#[derive(Args)]
pub struct Deactivate {
    /// Name or id of the role.
    #[arg(long)]
    role: String,
    /// Resource id. Default as for `activate`.
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] = &[
    ("Principal", "/properties/expandedProperties/principal/displayName"),
    ("Role", "/properties/expandedProperties/roleDefinition/displayName"),
    ("Scope", "/properties/scope"),
    ("Longest", "/properties/activationRules/maximumDuration"),
    ("Demands", "/properties/activationRules/enabledRules"),
    ("Until", "/properties/endDateTime"),
];

/// Sends a request under a new name.
async fn ask(session: &Session, scope: &str, kind: &str, properties: &Value) -> Result<Value, Failure> {
    let scope = scope.trim_end_matches('/');
    let place = format!("{scope}/providers/Microsoft.Authorization/{kind}/{}", Uuid::new_v4());
    session.put(&place, &json!({"properties": properties})).await
}

fn after(duration: Option<&str>) -> Value {
    match duration {
        Some(duration) => json!({"expiration": {"type": "AfterDuration", "duration": duration}}),
        None => json!({"expiration": {"type": "NoExpiration"}}),
    }
}

/// Assigns a role for a time.
pub(super) async fn assign(
    session: &Session,
    scope: &str,
    role: &str,
    principal: &str,
    duration: &str,
) -> Result<Value, Failure> {
    let definition = Grant::find(session, scope, role).await?.definition;
    let properties = json!({
        "requestType": "AdminAssign",
        "roleDefinitionId": definition,
        "principalId": principal,
        "scheduleInfo": after(Some(duration)),
    });
    ask(session, scope, "roleAssignmentScheduleRequests", &properties).await
}

impl Eligibility {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { scope, own, session } => {
                let open = Session::open(&session).await?;
                let scope = scope_of(&open, scope)?;
                let filter = if own { "asTarget()" } else { "" };
                session.output.entries(&eligibilities(&open, &scope, filter).await?, COLUMNS)
            }
            Self::Delete { assignee, role, scope, session } => {
                let open = Session::open(&session).await?;
                let scope = scope_of(&open, scope)?;
                let principal = ad::object_id(&open, &assignee).await?;
                let definition = Grant::find(&open, &scope, &role).await?.definition;
                let properties =
                    json!({"requestType": "AdminRemove", "roleDefinitionId": definition, "principalId": principal});
                let made = ask(&open, &scope, "roleEligibilityScheduleRequests", &properties).await?;
                session.output.done(&format!("{assignee} can activate {role} at {scope} no more"), &made)
            }
        }
    }
}

async fn eligibilities(session: &Session, scope: &str, filter: &str) -> Result<Vec<Value>, Failure> {
    let scope = scope.trim_end_matches('/');
    let place = format!("{scope}/providers/Microsoft.Authorization/roleEligibilityScheduleInstances");
    match filter {
        "" => session.list(&place).await,
        filter => session.list_where(&place, filter).await,
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let scope = scope_of(&open, self.scope.clone())?;
        let principal = ad::object_id(&open, &self.assignee).await?;
        let definition = Grant::find(&open, &scope, &self.role).await?.definition;
        let rules = [("MultiFactorAuthentication", self.mfa), ("Ticketing", self.ticket)];
        let rules: Vec<&str> = rules.into_iter().filter(|(_, is_on)| *is_on).map(|(rule, _)| rule).collect();
        let mut terms = json!({"maximumDuration": self.max_duration, "enabledRules": rules});
        if let (Some(approvals), Some(object)) = (self.approvals, terms.as_object_mut()) {
            let approvers = self.approvers(&open).await?;
            object.insert(String::from("approval"), json!({"approvals": approvals, "approvers": approvers}));
        }
        let properties = json!({
            "requestType": if self.update { "AdminUpdate" } else { "AdminAssign" },
            "roleDefinitionId": definition,
            "principalId": principal,
            "scheduleInfo": after(self.duration.as_deref()),
            "activationRules": terms,
        });
        let made = ask(&open, &scope, "roleEligibilityScheduleRequests", &properties).await?;
        let sentence = format!("{} can activate {} at {scope}", self.assignee, self.role);
        self.session.output.done(&sentence, &made)
    }
}

impl Create {
    async fn approvers(&self, session: &Session) -> Result<Value, Failure> {
        let (mut principals, mut roles) = (Vec::new(), Vec::new());
        for named in &self.approver {
            principals.push(ad::object_id(session, named).await?);
        }
        for name in &self.approver_role {
            roles.push(super::definition_id(session, name).await?);
        }
        Ok(json!({"principals": principals, "roles": roles}))
    }
}

/// What the caller is eligible for, under this name of a role.
async fn own(session: &Session, scope: &str, role: &str) -> Result<(Value, String), Failure> {
    let here = |entry: &&Value| {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let definition = text("/properties/roleDefinitionId");
        let is_role = text("/properties/expandedProperties/roleDefinition/displayName").eq_ignore_ascii_case(role)
            || definition.rsplit('/').next().is_some_and(|guid| guid.eq_ignore_ascii_case(role))
            || definition.eq_ignore_ascii_case(role);
        is_role && text("/properties/scope").eq_ignore_ascii_case(if scope.is_empty() { "/" } else { scope })
    };
    let all = eligibilities(session, scope, "asTarget()").await?;
    let found = all.iter().find(here).ok_or_else(|| {
        let why =
            format!("you are not eligible for `{role}` at {scope}; `bartizan role eligibility list --own` shows more");
        Failure::new(why)
    })?;
    let me = own_id(session.token().expose()).ok_or_else(|| Failure::new("the access token names nobody"))?;
    Ok((found.pointer("/properties/roleDefinitionId").cloned().unwrap_or_default(), me))
}

/// The object id that a token is for. The server believes its own token, not this.
fn own_id(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims.get("oid").and_then(Value::as_str).map(str::to_owned)
}

impl Activate {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let scope = scope_of(&open, self.scope)?.trim_end_matches('/').to_owned();
        let (definition, me) = own(&open, &scope, &self.role).await?;
        let mut properties = json!({
            "requestType": "SelfActivate",
            "roleDefinitionId": definition,
            "principalId": me,
            "justification": self.reason,
            "ticketInfo": {"ticketNumber": self.ticket},
        });
        if let (Some(duration), Some(object)) = (&self.duration, properties.as_object_mut()) {
            object.insert(String::from("scheduleInfo"), after(Some(duration)));
        }
        let made = ask(&open, &scope, "roleAssignmentScheduleRequests", &properties).await?;
        let until = made.pointer("/properties/scheduleInfo/expiration/endDateTime").and_then(Value::as_str);
        let sentence = format!("{} is active at {scope} until {}", self.role, until.unwrap_or("it ends"));
        self.session.output.done(&sentence, &made)
    }
}

impl Deactivate {
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let scope = scope_of(&open, self.scope)?.trim_end_matches('/').to_owned();
        let (definition, me) = own(&open, &scope, &self.role).await?;
        let properties = json!({"requestType": "SelfDeactivate", "roleDefinitionId": definition, "principalId": me});
        let made = ask(&open, &scope, "roleAssignmentScheduleRequests", &properties).await?;
        self.session.output.done(&format!("{} is active at {scope} no more", self.role), &made)
    }
}
