//! The definitions that ship: those of Azure's built-in policies that mean something here, under names of ours.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Mode, PolicyDefinition};

/// All of them.
pub(super) fn all() -> &'static [PolicyDefinition] {
    static ALL: LazyLock<Vec<PolicyDefinition>> = LazyLock::new(|| {
        vec![
            public_access_off(),
            public_access_set_off(),
            private_endpoint(),
            user_assigned_identity(),
            resource_logs(),
            token_only(),
            allowed_editions(),
            allowed_locations(),
            required_tag(),
            added_tag(),
        ]
    });
    &ALL
}

const WORKSPACES: &str = "Microsoft.MachineLearningServices/workspaces";

fn ships(name: &str, words: (&str, &str), parameters: Value, rule: Value) -> PolicyDefinition {
    let category = if name.contains("tag") || name.contains("location") { "General" } else { "Machine Learning" };
    let map = |value: Value| value.as_object().cloned().unwrap_or_default();
    PolicyDefinition {
        subscription: None,
        name: name.to_owned(),
        display_name: words.0.to_owned(),
        description: words.1.to_owned(),
        mode: Mode::Indexed,
        metadata: Map::from_iter([(String::from("category"), Value::from(category))]),
        parameters: map(parameters),
        rule,
        authored: None,
    }
}

/// The parameter that chooses the effect, and others: name, type, words.
fn parameters(of: &[&str], default: &str, others: &[(&str, &str, &str)]) -> Value {
    let effect = json!({
        "type": "String",
        "allowedValues": of,
        "defaultValue": default,
        "metadata": {"displayName": "Effect"},
    });
    let other = |(name, kind, words): &(&str, &str, &str)| {
        ((*name).to_owned(), json!({"type": kind, "metadata": {"displayName": words}}))
    };
    std::iter::once((String::from("effect"), effect)).chain(others.iter().map(other)).collect()
}

/// The parameter that chooses the effect.
fn effects(of: &[&str], default: &str) -> Value {
    parameters(of, default, &[])
}

const CHOSEN: &str = "[parameters('effect')]";

fn public_access_off() -> PolicyDefinition {
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": WORKSPACES},
            {"field": format!("{WORKSPACES}/publicNetworkAccess"), "notEquals": "Disabled"},
        ]},
        "then": {"effect": CHOSEN},
    });
    let words =
        ("Workspaces should disable public network access", "They are reached through private endpoints alone.");
    ships("workspace-public-access-off", words, effects(&["Audit", "Deny", "Disabled"], "Audit"), rule)
}

fn public_access_set_off() -> PolicyDefinition {
    let field = format!("{WORKSPACES}/publicNetworkAccess");
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": WORKSPACES},
            {"field": field, "notEquals": "Disabled"},
        ]},
        "then": {"effect": CHOSEN, "details": {
            "conflictEffect": "deny",
            "operations": [{"operation": "addOrReplace", "field": field, "value": "Disabled"}],
        }},
    });
    let words = ("Configure workspaces to disable public network access", "Whatever is asked for, it is disabled.");
    ships("workspace-public-access-set-off", words, effects(&["Modify", "Disabled"], "Modify"), rule)
}

fn private_endpoint() -> PolicyDefinition {
    let field = format!("{WORKSPACES}/privateEndpointConnections");
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": WORKSPACES},
            {"field": field, "notContains": "Approved"},
        ]},
        "then": {"effect": CHOSEN},
    });
    let words = ("Workspaces should use private link", "At least one private endpoint connection is approved.");
    ships("workspace-private-link", words, effects(&["Audit", "Disabled"], "Audit"), rule)
}

fn user_assigned_identity() -> PolicyDefinition {
    let computes = format!("{WORKSPACES}/computes");
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": computes},
            {"field": format!("{computes}/identity.type"), "notContains": "UserAssigned"},
        ]},
        "then": {"effect": CHOSEN},
    });
    let words =
        ("Computes should use a user-assigned identity", "Their jobs act as an identity that is managed apart.");
    ships("compute-user-assigned-identity", words, effects(&["Audit", "Deny", "Disabled"], "Audit"), rule)
}

fn resource_logs() -> PolicyDefinition {
    let rule = json!({
        "if": {"field": "type", "equals": WORKSPACES},
        "then": {"effect": CHOSEN, "details": {"type": "Microsoft.Insights/diagnosticSettings"}},
    });
    let words =
        ("Resource logs in workspaces should be enabled", "At least one diagnostic setting sends them somewhere.");
    let parameters = effects(&["AuditIfNotExists", "Disabled"], "AuditIfNotExists");
    ships("workspace-resource-logs", words, parameters, rule)
}

fn token_only() -> PolicyDefinition {
    let endpoints = format!("{WORKSPACES}/onlineEndpoints");
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": endpoints},
            {"field": format!("{endpoints}/authMode"), "in": ["Key", "None"]},
        ]},
        "then": {"effect": CHOSEN},
    });
    let words = ("Online endpoints should take tokens only", "Neither keys that last nor calls without proof.");
    ships("endpoint-token-only", words, effects(&["Audit", "Deny", "Disabled"], "Audit"), rule)
}

fn allowed_editions() -> PolicyDefinition {
    let parameters =
        parameters(&["Audit", "Deny", "Disabled"], "Deny", &[("allowedEditions", "Array", "Allowed editions")]);
    let rule = json!({
        "if": {"allOf": [
            {"field": "type", "equals": WORKSPACES},
            {"field": format!("{WORKSPACES}/sku.name"), "notIn": "[parameters('allowedEditions')]"},
        ]},
        "then": {"effect": CHOSEN},
    });
    let words = ("Allowed editions of workspaces", "A workspace has one of these editions (`sku`).");
    ships("workspace-allowed-editions", words, parameters, rule)
}

fn allowed_locations() -> PolicyDefinition {
    let parameters =
        parameters(&["Audit", "Deny", "Disabled"], "Deny", &[("listOfAllowedLocations", "Array", "Allowed locations")]);
    let rule = json!({
        "if": {"allOf": [
            {"field": "location", "exists": true},
            {"field": "location", "notIn": "[parameters('listOfAllowedLocations')]"},
            {"field": "location", "notEquals": "global"},
        ]},
        "then": {"effect": CHOSEN},
    });
    ships("allowed-locations", ("Allowed locations", "What has a location has one of these."), parameters, rule)
}

fn required_tag() -> PolicyDefinition {
    let parameters = parameters(&["Audit", "Deny", "Disabled"], "Deny", &[("tagName", "String", "Tag name")]);
    let rule = json!({
        "if": {"field": "[concat('tags[', parameters('tagName'), ']')]", "exists": "false"},
        "then": {"effect": CHOSEN},
    });
    ships("required-tag", ("Require a tag on resources", "Every resource has this tag."), parameters, rule)
}

fn added_tag() -> PolicyDefinition {
    let parameters = parameters(
        &["Modify", "Disabled"],
        "Modify",
        &[("tagName", "String", "Tag name"), ("tagValue", "String", "Tag value")],
    );
    let tag = "[concat('tags[', parameters('tagName'), ']')]";
    let rule = json!({
        "if": {"field": tag, "notEquals": "[parameters('tagValue')]"},
        "then": {"effect": CHOSEN, "details": {
            "conflictEffect": "deny",
            "operations": [{"operation": "addOrReplace", "field": tag, "value": "[parameters('tagValue')]"}],
        }},
    });
    let words =
        ("Add or replace a tag on resources", "Every resource gets this tag with this value when it is written.");
    ships("add-or-replace-tag", words, parameters, rule)
}
