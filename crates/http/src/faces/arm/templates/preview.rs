//! What a deployment would change: each resource as it is, beside what the template says.

use domain::deployments::Plan;
use http::{Method, StatusCode};
use kernel::Result;
use serde_json::{Value, json};

use super::errand::Errand;

/// The changes, in the order of the deployment. Resources that the caller may not read are said to be that.
pub(super) async fn changes(errand: &Errand, plan: &Plan) -> Result<Vec<Value>> {
    let mut found = Vec::with_capacity(plan.steps().len());
    for step in plan.steps() {
        let after = plan.preview(step)?;
        let reply = errand.ask(Method::GET, &step.id, &step.api_version, None).await?;
        let mut unreadable = Value::Null;
        let (kind, before, delta) = match reply.status {
            StatusCode::NOT_FOUND => ("Create", Value::Null, Vec::new()),
            StatusCode::OK => {
                let mut delta = Vec::new();
                compare("", &reply.body, &after, &mut delta);
                (if delta.is_empty() { "NoChange" } else { "Modify" }, reply.body, delta)
            }
            _ => {
                unreadable = json!(reply.fault(&step.id).message);
                ("Unsupported", Value::Null, Vec::new())
            }
        };
        found.push(json!({
            "resourceId": step.id,
            "resourceType": step.kind,
            "changeType": kind,
            "unsupportedReason": unreadable,
            "before": plan.redact_value(&before)?,
            "after": after,
            "delta": plan.redact_value(&Value::Array(delta))?,
        }));
    }
    Ok(found)
}

/// What the template says otherwise. What it does not say stays; what is known only while it is deployed is not compared.
fn compare(path: &str, before: &Value, after: &Value, delta: &mut Vec<Value>) {
    if let (Value::Object(_), Value::Object(fields)) = (before, after) {
        for (key, value) in fields {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&below, before.get(key).unwrap_or(&Value::Null), value, delta);
        }
        return;
    }
    let is_open = after.as_str().is_some_and(|text| text.starts_with('[') && text.ends_with(']'));
    let is_same = match (before.as_str(), after.as_str()) {
        // Ids and words of ARM are compared without regard to case.
        (Some(before), Some(after)) => before.eq_ignore_ascii_case(after),
        _ => before == after,
    };
    if is_same || is_open || (before.is_null() && is_nothing(after)) {
        return;
    }
    let kind = if before.is_null() { "Create" } else { "Modify" };
    delta.push(json!({"path": path, "propertyChangeType": kind, "before": before, "after": after}));
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_template_says_otherwise_is_a_change() {
        let before = json!({"location": "Local", "tags": {"a": "1"}, "properties": {"x": 1, "y": 2}});
        let after = json!({"location": "local", "tags": {"a": "2", "b": "3"}, "properties": {"x": 1, "z": null, "w": "[later()]"}});
        let mut delta = Vec::new();
        compare("", &before, &after, &mut delta);
        let said: Vec<_> =
            delta.iter().map(|one| (one["path"].as_str().unwrap(), &one["propertyChangeType"])).collect();
        assert_eq!(said, [("tags.a", &json!("Modify")), ("tags.b", &json!("Create"))]);
    }
}
