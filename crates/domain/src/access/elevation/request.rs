//! Requests about schedules, as they were made: what Azure's clients ask with, and can read again.

use std::time::Duration;

use kernel::{Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ActivationTerms, Window};
use crate::gate::{Admission, Changes, House, Record, Row};

/// Longest reason, in characters.
const LONGEST_REASON: usize = 1024;
/// Longest word of a ticket, in characters.
const LONGEST_TICKET: usize = 128;
/// The latest moment that can be named: a century from now is long enough for a schedule.
const FARTHEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// What is asked. Others of Azure's types are refused where requests are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestType {
    /// An administrator gives.
    AdminAssign,
    /// An administrator changes when and on which terms.
    AdminUpdate,
    /// An administrator takes back.
    AdminRemove,
    /// Somebody activates what they are eligible for.
    SelfActivate,
    /// Somebody ends their own activation.
    SelfDeactivate,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestKind {
    /// Eligibility.
    Eligibility,
    /// An assignment.
    Assignment,
}

/// When something is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Nothing is said.
    Unsaid,
    /// So long after its beginning.
    After(Duration),
    /// Then.
    At(Timestamp),
    /// Never by itself.
    Never,
}

/// A ticket of a system elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its number.
    pub number: String,
    /// Where.
    pub system: String,
}

/// What a caller says.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is asked.
    pub request_type: RequestType,
    /// Which role.
    pub role: Uuid,
    /// For whom.
    pub principal: PrincipalId,
    /// From when; now when nothing is said, or when that is past.
    pub start: Option<Timestamp>,
    /// Until when.
    pub expiry: Expiry,
    /// Why.
    pub justification: String,
    /// A ticket.
    pub ticket: Ticket,
    /// The eligibility that is to be activated; found by role and scope when nothing is said.
    pub linked: Option<Uuid>,
    /// The terms of an eligibility; the default when nothing is said.
    pub terms: Option<ActivationTerms>,
}

impl Asked {
    /// Refuses words out of bounds.
    pub(super) fn check(&self) -> Result<()> {
        let is_plain = |text: &str, most: usize| {
            text.chars().count() <= most && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')
        };
        if !is_plain(&self.justification, LONGEST_REASON) {
            let why = format_args!("at most {LONGEST_REASON} characters, none of them a control character");
            return Err(Error::invalid("properties.justification", why));
        }
        let words = [&self.ticket.number, &self.ticket.system];
        match words.into_iter().all(|word| is_plain(word, LONGEST_TICKET)) {
            true => Ok(()),
            false => Err(Error::invalid("properties.ticketInfo", format_args!("at most {LONGEST_TICKET} characters"))),
        }
    }

    /// All of it, as approvers read it.
    pub(super) fn in_words(&self, house: &House) -> Value {
        let Self { request_type, role, principal, start, expiry, justification, ticket, linked, terms } = self;
        json!({
            "requestType": request_type,
            "role": house.access().role_in_words(*role),
            "principal": {"id": principal, "name": house.identity.name_of(*principal)},
            "startDateTime": start.map(Timestamp::rfc3339),
            "expiration": match expiry {
                Expiry::Unsaid => Value::Null,
                Expiry::After(span) => json!({"afterSeconds": span.as_secs()}),
                Expiry::At(at) => json!({"at": at.rfc3339()}),
                Expiry::Never => json!("never"),
            },
            "justification": justification,
            "ticket": ticket,
            "linkedRoleEligibilitySchedule": linked,
            "activationRules": terms,
        })
    }

    /// The span that is asked for, from `now` on; its end is none where nothing, or `NoExpiration`, is said.
    pub(super) fn window(&self, now: Timestamp) -> Result<Window> {
        let from = self.start.unwrap_or(now).max(now);
        let until = match self.expiry {
            Expiry::Unsaid | Expiry::Never => None,
            Expiry::After(span) => Some(from.plus(span)),
            Expiry::At(at) => Some(at),
        };
        let last = until.unwrap_or(from);
        if last > now.plus(FARTHEST) {
            return Err(Error::invalid("properties.scheduleInfo", "lies too far in the future"));
        }
        match until {
            Some(until) if until <= from => {
                Err(Error::invalid("properties.scheduleInfo.expiration", "must end after it begins, and after now"))
            }
            _ => Ok(Window { from, until }),
        }
    }
}

/// A request as it was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScheduleRequest {
    /// What it is about.
    pub about: RequestKind,
    /// What was asked.
    pub request_type: RequestType,
    /// Where.
    pub scope: ResourceId,
    /// Which role.
    pub role: Uuid,
    /// For whom.
    pub principal: PrincipalId,
    /// What that is.
    pub kind: PrincipalKind,
    /// The span that was given; none when something was taken back.
    #[serde(default)]
    pub window: Option<Window>,
    /// Why.
    #[serde(default)]
    pub justification: String,
    /// A ticket.
    #[serde(default)]
    pub ticket: Ticket,
    /// The eligibility, or the assignment, that it made, changed or ended.
    pub target: Uuid,
    /// The eligibility that was activated.
    #[serde(default)]
    pub linked: Option<Uuid>,
    /// Who asked.
    pub requestor: PrincipalId,
    /// When.
    pub created_at: Timestamp,
}

impl Record for ScheduleRequest {
    const TABLE: &'static str = "role-request";
}

impl ScheduleRequest {
    /// Azure's word for how it went: requests are answered when they are done.
    pub fn status(&self) -> &'static str {
        match self.request_type {
            RequestType::AdminAssign | RequestType::AdminUpdate | RequestType::SelfActivate => "Provisioned",
            RequestType::AdminRemove | RequestType::SelfDeactivate => "Revoked",
        }
    }
}

/// Refuses a name that a request has: a request that is sent again does nothing again.
pub(super) async fn require_new(cx: &Admission<'_>, name: Uuid) -> Result<()> {
    match cx.get::<ScheduleRequest>(cx.system(), name.as_bytes()).await? {
        Some(_) => {
            let why = "a request with this name was made already; read it, or use a new name";
            Err(Error::new(Kind::Exists, why))
        }
        None => Ok(()),
    }
}

/// Keeps a request with what it does, and notes it for the record.
pub(super) fn keep(cx: &Admission<'_>, changes: &mut Changes, name: Uuid, request: &ScheduleRequest) -> Result<()> {
    cx.note("request", format!("{:?}", request.request_type));
    cx.note("principal", request.principal.to_string());
    cx.note("schedule", request.target.to_string());
    if let Some(until) = request.window.and_then(|window| window.until) {
        cx.note("until", until.rfc3339());
    }
    if !request.justification.is_empty() {
        cx.note("justification", &request.justification);
    }
    if !request.ticket.number.is_empty() {
        cx.note("ticket", format!("{} {}", request.ticket.system, request.ticket.number).trim());
    }
    changes.put(cx.system(), &Row::new(name.as_bytes().as_slice(), request.clone()))?;
    Ok(())
}

/// Who asks; nobody but a principal does.
pub(super) fn requestor(cx: &Admission<'_>) -> Result<PrincipalId> {
    let caller = cx.caller().principal().ok_or_else(|| Error::new(Kind::Denied, "only a principal asks for roles"))?;
    Ok(caller.id)
}
