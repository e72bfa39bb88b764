//! Just-in-time elevation: role eligibility and role assignment schedules (Microsoft.Authorization, api-version 2020-10-01).

use serde::{Deserialize, Serialize};

/// A request in a PUT. Fields that clients echo back and cannot set are accepted and ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRequestInput {
    /// Resource id of the role definition.
    pub role_definition_id: String,
    /// Object id.
    pub principal_id: String,
    /// `AdminAssign`, `AdminUpdate`, `AdminRemove`, `SelfActivate`, `SelfDeactivate`.
    pub request_type: String,
    /// When.
    #[serde(default)]
    pub schedule_info: Option<ScheduleInfo>,
    /// The eligibility that is activated: its id, or its GUID.
    #[serde(default)]
    pub linked_role_eligibility_schedule_id: Option<String>,
    /// Why.
    #[serde(default)]
    pub justification: Option<String>,
    /// A ticket.
    #[serde(default)]
    pub ticket_info: Option<TicketInfo>,
    /// Narrows a role elsewhere; refused here.
    #[serde(default)]
    pub condition: Option<serde_json::Value>,
    /// Goes with it.
    #[serde(default)]
    pub condition_version: Option<serde_json::Value>,
    /// The terms of an eligibility. Ours; Azure keeps them in role management policies, with the same words.
    #[serde(default)]
    pub activation_rules: Option<ActivationRules>,
}

/// When something begins and ends.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleInfo {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_date_time: Option<String>,
    /// Its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
}

/// The end of something.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Expiration {
    /// `AfterDuration`, `AfterDateTime`, `NoExpiration`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date_time: Option<String>,
    /// ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// A ticket of a system elsewhere.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketInfo {
    /// Its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_number: Option<String>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_system: Option<String>,
}

/// What an activation takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivationRules {
    /// ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_duration: Option<String>,
    /// `Justification` (always demanded), `MultiFactorAuthentication`, `Ticketing`.
    #[serde(default)]
    pub enabled_rules: Vec<String>,
    /// Whose approval an activation takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ActivationApproval>,
}

/// The approvals that an activation takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivationApproval {
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: crate::approval::Approvers,
}

/// A request as answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRequest {
    /// Where.
    pub scope: String,
    /// Resource id of the role definition.
    pub role_definition_id: String,
    /// Object id.
    pub principal_id: String,
    /// `User`, `Group`, `ServicePrincipal`.
    pub principal_type: String,
    /// What was asked.
    pub request_type: String,
    /// `Provisioned` or `Revoked`.
    pub status: &'static str,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_info: Option<ScheduleInfo>,
    /// The eligibility that the request made, changed or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_role_eligibility_schedule_id: Option<String>,
    /// The assignment that the request made or ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_role_assignment_schedule_id: Option<String>,
    /// The eligibility that was activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_role_eligibility_schedule_id: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// A ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_info: Option<TicketInfo>,
    /// RFC 3339.
    pub created_on: String,
    /// Object id.
    pub requestor_id: String,
}

/// A schedule, or an instance of one, as answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Where.
    pub scope: String,
    /// Resource id of the role definition.
    pub role_definition_id: String,
    /// Object id.
    pub principal_id: String,
    /// `User`, `Group`, `ServicePrincipal`.
    pub principal_type: String,
    /// `Provisioned`, or `Accepted` for what is to come.
    pub status: &'static str,
    /// RFC 3339.
    pub start_date_time: String,
    /// RFC 3339; none for what does not end by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date_time: Option<String>,
    /// `Direct`, `Group` or `Inherited`.
    pub member_type: &'static str,
    /// `Activated` or `Assigned`; none for eligibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_type: Option<&'static str>,
    /// The eligibility that was activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_role_eligibility_schedule_id: Option<String>,
    /// The schedule that this is an instance of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_eligibility_schedule_id: Option<String>,
    /// The schedule that this is an instance of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_assignment_schedule_id: Option<String>,
    /// The request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_eligibility_schedule_request_id: Option<String>,
    /// The request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_assignment_schedule_request_id: Option<String>,
    /// The terms of an eligibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_rules: Option<ActivationRules>,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub updated_on: String,
    /// Names, for people.
    pub expanded_properties: serde_json::Value,
}
