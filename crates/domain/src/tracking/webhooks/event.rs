//! The events of the registry (MLflow 3.17, webhooks), as records of the log have them.

use serde_json::{Value, json};

use crate::gate::Admission;

/// The events that there are: an entity and what happened to it. MLflow's `budget_policy.exceeded` has no cause here.
pub const EVENTS: [&str; 14] = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
    "prompt_tag.set",
    "prompt_tag.deleted",
    "prompt_version_tag.set",
    "prompt_version_tag.deleted",
    "prompt_alias.created",
    "prompt_alias.deleted",
];

/// Where a record says which event it is.
pub(crate) const EVENT: &str = "registryEvent";
/// Where a record names the model or prompt.
pub(crate) const MODEL: &str = "model";
/// Where it names the version.
pub(crate) const VERSION: &str = "version";
/// Where it names the alias.
pub(crate) const ALIAS: &str = "alias";
/// Where it names the tag; values are in no record.
pub(crate) const TAG: &str = "tag";

/// The event of this entity and action.
pub fn event_of(entity: &str, action: &str) -> Option<&'static str> {
    EVENTS.into_iter().find(|known| known.split_once('.') == Some((entity, action)))
}

/// Says in the record which event its change is: `entity` is what a model's is called, and a prompt's begins with `prompt`.
pub(in crate::tracking) fn note(cx: &Admission<'_>, is_prompt: bool, entity: &str, action: &str) {
    let of_prompt = match entity {
        "registered_model" => "prompt",
        "registered_model_tag" => "prompt_tag",
        "model_version" => "prompt_version",
        "model_version_tag" => "prompt_version_tag",
        "model_version_alias" => "prompt_alias",
        other => other,
    };
    if let Some(event) = event_of(if is_prompt { of_prompt } else { entity }, action) {
        cx.note(EVENT, event);
    }
}

/// What a test sends: the example in MLflow's own documentation of each event.
pub(crate) fn example(event: &str) -> Value {
    let (entity, action) = event.split_once('.').unwrap_or_default();
    let what = if entity.starts_with("prompt") { "prompt" } else { "model" };
    let name = format!("example_{what}");
    match (entity, action) {
        ("registered_model" | "prompt", _) => {
            let words = if what == "prompt" { "An example prompt" } else { "An example registered model" };
            json!({"name": name, "tags": {"example_key": "example_value"}, "description": words})
        }
        ("model_version", _) => json!({
            "name": name,
            "version": "1",
            "source": "models:/123",
            "run_id": "abcd1234abcd5678",
            "tags": {"example_key": "example_value"},
            "description": "An example model version",
        }),
        ("prompt_version", _) => json!({
            "name": name,
            "version": "1",
            "template": "Hello {{name}}!",
            "tags": {"example_key": "example_value"},
            "description": "An example prompt version",
        }),
        ("prompt_tag", "set") => json!({"name": name, "key": "example_key", "value": "example_value"}),
        ("prompt_tag", _) => json!({"name": name, "key": "example_key"}),
        ("model_version_tag" | "prompt_version_tag", "set") => {
            json!({"name": name, "version": "1", "key": "example_key", "value": "example_value"})
        }
        ("model_version_tag" | "prompt_version_tag", _) => json!({"name": name, "version": "1", "key": "example_key"}),
        (_, "created") => json!({"name": name, "alias": "example_alias", "version": "1"}),
        _ => json!({"name": name, "alias": "example_alias"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_of_those_there_are() {
        assert_eq!(event_of("model_version", "created"), Some("model_version.created"));
        for (entity, action) in [("model_version", "deleted"), ("budget_policy", "exceeded"), ("", "created")] {
            assert_eq!(event_of(entity, action), None, "{entity}.{action}");
        }
        for event in EVENTS {
            assert!(example(event)["name"].is_string(), "{event}");
        }
    }
}
