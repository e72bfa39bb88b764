//! Sign-in policies in the form of Microsoft Graph's `conditionalAccessPolicy`, as far as it goes here, with two lists of our
//! own: networks in place of named locations, and classes of operations. Sessions and sign-ins beside them.

use serde::{Deserialize, Serialize};

/// A policy as it is sent. What is not known is refused: a condition that is not understood must not be dropped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyInput {
    /// For people.
    pub display_name: String,
    /// `enabled` or `disabled`.
    pub state: String,
    /// When it applies.
    pub conditions: Conditions,
    /// What it demands.
    pub grant_controls: GrantControls,
}

/// A policy as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Names it.
    pub id: String,
    /// RFC 3339.
    pub created_date_time: String,
    /// RFC 3339.
    pub modified_date_time: String,
    /// What it says.
    #[serde(flatten)]
    pub terms: PolicyInput,
}

/// When a policy applies: all of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conditions {
    /// To whom.
    pub users: Users,
    /// From where.
    #[serde(default)]
    pub locations: Locations,
    /// For what: `control`, `vault`, `dataWrite`, `read`; none for signing in.
    #[serde(default)]
    pub operations: Vec<String>,
}

/// To whom a policy applies.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Users {
    /// Object ids, or `All`.
    #[serde(default)]
    pub include_users: Vec<String>,
    /// Object ids.
    #[serde(default)]
    pub include_groups: Vec<String>,
    /// Ids of role definitions.
    #[serde(default)]
    pub include_roles: Vec<String>,
    /// Object ids.
    #[serde(default)]
    pub exclude_users: Vec<String>,
    /// Object ids.
    #[serde(default)]
    pub exclude_groups: Vec<String>,
}

/// From where a policy applies.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Locations {
    /// Networks in CIDR notation from which nobody is asked.
    #[serde(default)]
    pub exclude_networks: Vec<String>,
}

/// What a policy demands: `OR` of `mfa` alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantControls {
    /// `OR`.
    pub operator: String,
    /// `mfa`.
    pub built_in_controls: Vec<String>,
}

/// An open session of a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Names it; the `sid` of tokens that came from it.
    pub id: String,
    /// RFC 3339.
    pub created_date_time: String,
    /// RFC 3339.
    pub last_seen_date_time: String,
    /// From where it began.
    pub ip_address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: String,
    /// What was proved.
    pub authentication_methods: Vec<String>,
}

/// A sign-in (Graph's `signIn`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// The record.
    pub id: String,
    /// Its number in the activity log.
    pub sequence: u64,
    /// RFC 3339.
    pub created_date_time: String,
    /// Object id; none when nobody could be established.
    pub user_id: Option<String>,
    /// Who, in words.
    pub user_principal_name: String,
    /// From where.
    pub ip_address: Option<String>,
    /// Ties it to the rest of the activity log.
    pub correlation_id: String,
    /// A person in a browser, or an application.
    pub is_interactive: bool,
    /// What was asked for.
    pub operation: String,
    /// How: `password`, `totp`, …
    pub authentication_method: Option<String>,
    /// How it ended.
    pub status: SignInStatus,
    /// What else the record says.
    pub details: std::collections::BTreeMap<String, String>,
}

/// How a sign-in ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignInStatus {
    /// `success` or `failure`.
    pub result: String,
    /// Why not.
    pub failure_reason: Option<String>,
}
