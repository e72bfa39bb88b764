//! Rules as they are read and decided.

use kernel::Kind;
use serde_json::{Value, json};

use super::{built_in, facts::Facts, operator::Operator, rule::Rule};

const WS: &str = "Microsoft.MachineLearningServices/workspaces";

fn facts(tags: Value) -> Facts {
    let id = format!("/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/g/providers/{WS}/w1");
    Facts::of(json!({"id": id, "location": "local", "tags": tags, "properties": {"edition": "Basic"}})).unwrap()
}

fn read(rule: &Value, parameters: &Value) -> kernel::Result<Rule> {
    Rule::read(rule, parameters.as_object().unwrap())
}

fn holds(condition: Value, facts: &Facts) -> bool {
    let rule = read(&json!({"if": condition, "then": {"effect": "deny"}}), &json!({})).unwrap();
    rule.bind(&serde_json::Map::new()).unwrap().condition.holds(facts)
}

#[test]
fn conditions_are_decided_as_azure_decides_them() {
    let seen = facts(json!({"Env": "prod", "cost": "c-12"}));
    let table = [
        (json!({"field": "type", "equals": WS.to_uppercase()}), true),
        (json!({"field": "tags['env']", "equals": "PROD"}), true),
        (json!({"field": "tags.cost", "like": "c-*"}), true),
        (json!({"field": "tags[cost]", "notLike": "*-13"}), true),
        (json!({"field": "tags", "containsKey": "ENV"}), true),
        (json!({"field": "tags['none']", "exists": "false"}), true),
        (json!({"field": "tags['none']", "notEquals": "x"}), true),
        (json!({"field": "tags['none']", "in": ["x"]}), false),
        (json!({"field": "location", "in": ["Local", "other"]}), true),
        (json!({"field": format!("{WS}/sku.name"), "notIn": ["Enterprise"]}), true),
        (json!({"field": format!("{WS}/publicNetworkAccess"), "equals": "enabled"}), true),
        (json!({"field": format!("{WS}/onlineEndpoints/authMode"), "exists": true}), false),
        (json!({"field": format!("{WS}/ipAllowlist[*]"), "equals": "10.0.0.0/8"}), true),
        (json!({"not": {"anyOf": [{"field": "name", "contains": "W"}, {"field": "name", "equals": "x"}]}}), false),
        (json!({"value": 3, "greaterOrEquals": 3}), true),
        (json!({"value": 3, "less": 3}), false),
    ];
    for (condition, expected) in table {
        assert_eq!(holds(condition.clone(), &seen), expected, "{condition}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    let deny = |condition: Value| json!({"if": condition, "then": {"effect": "deny"}});
    let mut deep = json!({"field": "name", "equals": "x"});
    for _ in 0..20 {
        deep = json!({"not": deep});
    }
    let many: Vec<Value> = (0..250).map(|_| json!({"field": "name", "equals": "x"})).collect();
    let ok = json!({"field": "type", "equals": WS});
    let table = [
        json!([]),
        json!({"if": ok}),
        json!({"if": ok, "then": {"effect": "deny"}, "else": {}}),
        deny(json!({"field": "kind", "equals": "x"})),
        deny(json!({"field": format!("{WS}/encryption.status"), "equals": "x"})),
        deny(json!({"field": "name", "match": "a#"})),
        deny(json!({"field": "name", "equals": "x", "like": "y"})),
        deny(json!({"field": "name", "equals": "[field('type')]"})),
        deny(json!({"field": "name", "equals": "[parameters('gone')]"})),
        deny(json!({"field": "name", "like": "a*b*"})),
        deny(json!({"field": "name", "in": "x"})),
        deny(json!({"allOf": []})),
        deny(json!({"count": {"field": "x"}, "equals": 1})),
        deny(deep),
        deny(json!({"allOf": many})),
        json!({"if": ok, "then": {"effect": "deployIfNotExists"}}),
        json!({"if": ok, "then": {"effect": "append"}}),
        json!({"if": ok, "then": {"effect": "modify"}}),
        json!({"if": ok, "then": {"effect": "modify", "details": {"operations": [
            {"operation": "addOrReplace", "field": format!("{WS}/sku.name"), "value": "Basic"}]}}}),
        json!({"if": ok, "then": {"effect": "modify", "details": {"operations": [
            {"operation": "remove", "field": "tags['a']", "value": "x"}]}}}),
        json!({"if": ok, "then": {"effect": "modify", "details": {"operations": [
            {"operation": "addOrReplace", "field": format!("{WS}/publicNetworkAccess"), "value": "Maybe"}]}}}),
        json!({"if": ok, "then": {"effect": "auditIfNotExists"}}),
        json!({"if": ok, "then": {"effect": "auditIfNotExists", "details": {"type": "Other/things"}}}),
    ];
    for rule in table {
        let fault = read(&rule, &json!({})).expect_err(&rule.to_string());
        assert_eq!(fault.kind(), Kind::Invalid, "{rule}: {fault}");
    }
}

#[test]
fn parameters_are_checked_when_they_are_given() {
    let rule = json!({
        "if": {"field": "location", "notIn": "[parameters('places')]"},
        "then": {"effect": "[parameters('effect')]"},
    });
    let declared = json!({
        "places": {"type": "Array"},
        "effect": {"type": "String", "allowedValues": ["deny", "audit"], "defaultValue": "audit"},
    });
    let rule = read(&rule, &declared).unwrap();
    let bind = |given: Value| rule.bind(given.as_object().unwrap());
    assert!(bind(json!({"places": ["local"]})).is_ok());
    for given in [
        json!({}),
        json!({"places": "local"}),
        json!({"places": [["x"]]}),
        json!({"places": [], "effect": "modify"}),
        json!({"places": [], "more": 1}),
    ] {
        assert_eq!(bind(given.clone()).unwrap_err().kind(), Kind::Invalid, "{given}");
    }
}

#[test]
fn those_that_ship_are_well_formed() {
    for definition in built_in::all() {
        definition.rule().unwrap_or_else(|fault| panic!("{}: {fault}", definition.name));
    }
    assert!(Operator::named("matchInsensitively").is_none());
}
