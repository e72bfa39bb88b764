//! Records as events of the Open Cybersecurity Schema Framework, 1.3.0: API Activity (class 6003) and Authentication (3002).

use domain::gate::{Activity, Actor, Outcome};
use kernel::{PrincipalKind, TenantId};
use serde_json::{Value, json};

const VERSION: &str = "1.3.0";

/// A record. `row` is what verification needs; the schema keeps a place for what it does not know (`unmapped`).
pub(super) fn event(seq: u64, activity: &Activity, tenant: Option<TenantId>, row: Value) -> Value {
    let (class, (id, name)) = match authentication(&activity.action) {
        Some(kind) => (3002_u32, kind),
        None => (6003, kind(&activity.action)),
    };
    let (severity, severity_name) = match activity.outcome {
        Outcome::Succeeded => (1, "Informational"),
        Outcome::Denied => (3, "Medium"),
        Outcome::Failed(_) => (2, "Low"),
    };
    let is_success = activity.outcome == Outcome::Succeeded;
    let user = user(&activity.actor);
    let mut event = json!({
        "category_uid": class / 1000,
        "category_name": if class == 3002 { "Identity & Access Management" } else { "Application Activity" },
        "class_uid": class,
        "class_name": if class == 3002 { "Authentication" } else { "API Activity" },
        "activity_id": id,
        "activity_name": name,
        "type_uid": class.saturating_mul(100).saturating_add(id),
        "time": activity.at.0,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": if is_success { 1 } else { 2 },
        "status": if is_success { "Success" } else { "Failure" },
        "status_code": activity.outcome.word(),
        "metadata": {
            "version": VERSION,
            "uid": activity.event,
            "correlation_uid": activity.correlation,
            "sequence": seq,
            "log_name": "activity-log",
            "product": {"name": "Bartizan", "vendor_name": "Bartizan", "version": env!("CARGO_PKG_VERSION")},
        },
        // The server itself has no address.
        "src_endpoint": match activity.address {
            Some(address) => json!({"ip": address}),
            None => json!({"name": "bartizan"}),
        },
        "unmapped": {"bartizan": row, "detail": activity.detail, "scope": activity.scope},
    });
    let more = if class == 3002 {
        json!({"user": user, "service": {"name": "Bartizan", "uid": tenant}})
    } else {
        json!({
            "actor": {"user": user},
            "api": {
                "operation": activity.action,
                "service": {"name": activity.provider()},
                "request": {"uid": activity.correlation},
            },
            "resources": [{"uid": activity.scope, "name": activity.scope.name(), "type": type_of(&activity.action)}],
        })
    };
    if let (Some(fields), Value::Object(more)) = (event.as_object_mut(), more) {
        fields.extend(more);
    }
    event
}

/// What a sign-in's record says; none for everything else.
fn authentication(action: &str) -> Option<(u32, &'static str)> {
    match action.strip_prefix("Microsoft.Directory/")?.split_once('/')? {
        ("signIns", "end" | "sessions/delete") => Some((2, "Logoff")),
        ("signIns", _) => Some((1, "Logon")),
        ("tokens", _) => Some((3, "Authentication Ticket")),
        _ => None,
    }
}

fn kind(action: &str) -> (u32, &'static str) {
    let folded = action.to_ascii_lowercase();
    match folded.rsplit('/').next() {
        Some("read") => (2, "Read"),
        // One action creates and changes.
        Some("write") => (3, "Update"),
        Some("delete") => (4, "Delete"),
        _ => (99, "Other"),
    }
}

fn type_of(action: &str) -> &str {
    action.rsplit_once('/').map_or(action, |(kind, _)| kind)
}

fn user(actor: &Actor) -> Value {
    match actor {
        Actor::Principal { id, kind, name } => {
            let (number, word) = match kind {
                PrincipalKind::User | PrincipalKind::Group => (1, "User"),
                PrincipalKind::ServicePrincipal => (4, "Service"),
            };
            json!({"uid": id, "name": name, "type_id": number, "type": word})
        }
        Actor::Run { run, on_behalf_of } => {
            json!({"uid": on_behalf_of, "name": format!("run {run}"), "type_id": 4, "type": "Service"})
        }
        Actor::ServiceKey { .. } | Actor::AccountKey { .. } => {
            json!({"name": actor.label(), "type_id": 99, "type": "Other"})
        }
        Actor::House => json!({"name": actor.label(), "type_id": 3, "type": "System"}),
        Actor::Nobody => json!({"name": actor.label(), "type_id": 0, "type": "Unknown"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins_are_authentication_and_the_rest_is_use_of_the_api() {
        let cases = [
            ("Microsoft.Directory/signIns/password", Some(1)),
            ("Microsoft.Directory/signIns/end", Some(2)),
            ("Microsoft.Directory/tokens/issue", Some(3)),
            ("Microsoft.Directory/users/write", None),
            ("Microsoft.MachineLearningServices/workspaces/write", None),
        ];
        for (action, wanted) in cases {
            assert_eq!(authentication(action).map(|(id, _)| id), wanted, "{action}");
        }
        assert_eq!(kind("Microsoft.Insights/eventtypes/values/Read").0, 2);
        assert_eq!(kind("Microsoft.MachineLearningServices/workspaces/listKeys/action").0, 99);
    }
}
