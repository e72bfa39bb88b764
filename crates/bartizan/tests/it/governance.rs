//! Policies through their doors: each with its effects, at once, and not to be gone around.

use std::time::Duration;

use domain::access::RESOURCE_POLICY_CONTRIBUTOR;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse, Who};

const ML: &str = "Microsoft.MachineLearningServices/workspaces";
const SHIPS: &str = "/providers/Microsoft.Authorization/policyDefinitions";

struct Realm {
    test: TestHouse,
    callers: Callers,
}

impl Realm {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        Self { test, callers }
    }

    fn owner(&self) -> &Secret<String> {
        self.callers.token(Who::Owner).unwrap()
    }

    async fn ask(&self, who: &Secret<String>, method: Method, place: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then_some(body);
        self.test.ask(Some(who), method, place, body).await
    }

    async fn put(&self, place: &str, body: &Value) -> (u16, Value) {
        self.ask(self.owner(), Method::PUT, place, body).await
    }

    fn assignment(scope: &str, name: &str) -> String {
        format!("{scope}/providers/Microsoft.Authorization/policyAssignments/{name}")
    }

    /// Assigns one at the group.
    async fn assign(&self, name: &str, definition: &str, parameters: &[(&str, Value)]) -> String {
        let values: serde_json::Map<_, _> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), json!({"value": value}))).collect();
        let place = Self::assignment(&self.test.group(), name);
        let body = json!({"properties": {"policyDefinitionId": definition, "parameters": values}});
        let (status, answer) = self.put(&place, &body).await;
        assert_eq!(status, 201, "{answer}");
        place
    }

    async fn unassign(&self, place: &str) {
        assert_eq!(self.ask(self.owner(), Method::DELETE, place, &Value::Null).await.0, 200);
    }

    async fn define(&self, who: &Secret<String>, name: &str, rule: &Value) -> (u16, Value) {
        let place = format!("{}{SHIPS}/{name}", self.test.subscription());
        self.ask(who, Method::PUT, &place, &json!({"properties": {"mode": "All", "policyRule": rule}})).await
    }

    fn workspace(&self, name: &str) -> String {
        format!("{}/providers/{ML}/{name}", self.test.group())
    }

    async fn records(&self, action: &str) -> Vec<Value> {
        self.test.house.flush_reads().await.unwrap();
        let place = "/providers/Microsoft.Insights/eventtypes/management/values";
        let (_, log) = self.ask(self.owner(), Method::GET, place, &Value::Null).await;
        let all = log["value"].as_array().unwrap().iter();
        all.filter(|entry| entry["operationName"]["value"] == action).cloned().collect()
    }
}

fn effect(word: &str) -> (&'static str, Value) {
    ("effect", json!(word))
}

#[track_caller]
fn refused((status, answer): (u16, Value)) -> String {
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("RequestDisallowedByPolicy")), "{answer}");
    answer["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_deny_counts_at_once_for_whole_writes_and_parts_and_both_ids_are_said_and_recorded() {
    let realm = Realm::new().await;
    let definition = format!("{SHIPS}/workspace-public-access-off");
    let place = realm.assign("closed", &definition, &[effect("Deny")]).await;
    let (open, closed) = (json!({"location": "local"}), json!({"properties": {"publicNetworkAccess": "Disabled"}}));
    let said = refused(realm.put(&realm.workspace("ws-2"), &open).await);
    assert!(said.starts_with("Resource 'ws-2' was disallowed by policy."), "{said}");
    assert!(said.contains(&place) && said.contains(&definition), "{said}");
    assert_eq!(realm.ask(realm.owner(), Method::GET, &realm.workspace("ws-2"), &Value::Null).await.0, 404);
    assert_eq!(realm.put(&realm.workspace("ws-2"), &closed).await.0, 201);
    // A part is judged by what becomes of the whole.
    let opened = json!({"properties": {"publicNetworkAccess": "Enabled"}});
    refused(realm.ask(realm.owner(), Method::PATCH, &realm.workspace("ws-2"), &opened).await);
    refused(realm.ask(realm.owner(), Method::PATCH, &realm.test.workspace(), &json!({"tags": {"a": "b"}})).await);
    let both = realm.ask(realm.owner(), Method::PATCH, &realm.test.workspace(), &closed).await;
    assert_eq!(both.0, 200, "{}", both.1);

    let records = realm.records(&format!("{ML}/write")).await;
    let denied = records.iter().find(|entry| entry["status"]["value"] == "Denied").expect("a record of the refusal");
    assert!(denied.to_string().contains(&place) && denied.to_string().contains(&definition), "{denied}");

    let body = json!({"properties": {"policyDefinitionId": definition, "parameters": {"effect": {"value": "Deny"}},
        "enforcementMode": "DoNotEnforce"}});
    assert_eq!(realm.put(&place, &body).await.0, 201);
    assert_eq!(realm.put(&realm.workspace("ws-3"), &open).await.0, 201);
    let body = json!({"properties": {"policyDefinitionId": definition, "parameters": {"effect": {"value": "Deny"}},
        "notScopes": [realm.workspace("ws-4")]}});
    assert_eq!(realm.put(&place, &body).await.0, 201);
    assert_eq!(realm.put(&realm.workspace("ws-4"), &open).await.0, 201);
    refused(realm.put(&realm.workspace("ws-5"), &open).await);
    realm.unassign(&place).await;
    assert_eq!(realm.put(&realm.workspace("ws-5"), &open).await.0, 201);
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_each_policy_that_ships_has_each_of_its_effects() {
    let realm = Realm::new().await;
    let group = realm.test.group();
    let endpoint = |name: &str, mode: &str| {
        (format!("{}/onlineEndpoints/{name}", realm.test.workspace()), json!({"properties": {"authMode": mode}}))
    };
    let plain = |name: &str| (realm.workspace(name), json!({"location": "local"}));
    let computes = format!("{}/computes/local", realm.test.workspace());
    let no_identity = (computes, json!({"identity": {"type": "None"}}));
    let storage = format!("{group}/providers/Microsoft.Storage/storageAccounts/plainstore");
    /// A policy, its parameters, what breaks it, and how that is written.
    type Case<'a> = (&'a str, Vec<(&'a str, Value)>, (String, Value), Method);
    let table: Vec<Case<'_>> = vec![
        ("workspace-public-access-off", vec![], plain("es-1"), Method::PUT),
        ("compute-user-assigned-identity", vec![], no_identity, Method::PATCH),
        ("endpoint-token-only", vec![], endpoint("e-key", "Key"), Method::PUT),
        ("workspace-allowed-editions", vec![("allowedEditions", json!(["Enterprise"]))], plain("es-2"), Method::PUT),
        ("allowed-locations", vec![("listOfAllowedLocations", json!(["west"]))], plain("es-3"), Method::PUT),
        ("required-tag", vec![("tagName", json!("owner"))], (storage, json!({"location": "local"})), Method::PUT),
    ];
    for (name, parameters, (place, body), method) in table {
        let definition = format!("{SHIPS}/{name}");
        for word in ["Deny", "Audit", "Disabled"] {
            let given: Vec<_> = parameters.iter().cloned().chain([effect(word)]).collect();
            let assigned = realm.assign("one", &definition, &given).await;
            let answer = realm.ask(realm.owner(), method.clone(), &place, &body).await;
            if word == "Deny" {
                refused(answer);
            } else {
                assert!(answer.0 < 300, "{name} {word}: {}", answer.1);
            }
            realm.unassign(&assigned).await;
        }
    }
    // Audits are in the records of what was written.
    let records = realm.records(&format!("{ML}/onlineEndpoints/write")).await;
    assert!(records.iter().any(|entry| entry.to_string().contains("policyAudited")), "{records:?}");

    realm.assign("tokens", &format!("{SHIPS}/endpoint-token-only"), &[effect("Deny")]).await;
    let (place, token) = endpoint("e-token", "AMLToken");
    let made = realm.put(&place, &token).await;
    assert!(made.0 < 300, "{}", made.1);
    refused(realm.ask(realm.owner(), Method::PATCH, &place, &json!({"properties": {"authMode": "Key"}})).await);
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_modify_is_applied_before_the_write_and_noted() {
    let realm = Realm::new().await;
    let shut = realm.assign("shut", &format!("{SHIPS}/workspace-public-access-set-off"), &[]).await;
    let tagged = [("tagName", json!("cost")), ("tagValue", json!("c-1"))];
    let tags = realm.assign("tags", &format!("{SHIPS}/add-or-replace-tag"), &tagged).await;
    let asked =
        json!({"location": "local", "tags": {"Cost": "mine"}, "properties": {"publicNetworkAccess": "Enabled"}});
    let (status, made) = realm.put(&realm.workspace("ms-1"), &asked).await;
    assert_eq!(status, 201, "{made}");
    let (_, found) = realm.ask(realm.owner(), Method::GET, &realm.workspace("ms-1"), &Value::Null).await;
    assert_eq!(made["tags"], json!({"Cost": "c-1"}));
    assert_eq!((&found["tags"], &made["properties"]["publicNetworkAccess"]), (&made["tags"], &json!("Disabled")));
    // What is made with it is under the same policies.
    let vault = made["properties"]["keyVault"].as_str().unwrap();
    let (_, vault) = realm.ask(realm.owner(), Method::GET, vault, &Value::Null).await;
    assert_eq!(vault["tags"], json!({"cost": "c-1"}), "{vault}");
    let patch = json!({"tags": {}, "properties": {"publicNetworkAccess": "Enabled"}});
    let (status, patched) = realm.ask(realm.owner(), Method::PATCH, &realm.workspace("ms-1"), &patch).await;
    assert_eq!((status, &patched["tags"]), (200, &json!({"cost": "c-1"})), "{patched}");
    assert_eq!(patched["properties"]["publicNetworkAccess"], "Disabled");
    let records = realm.records(&format!("{ML}/write")).await;
    assert!(records.iter().any(|entry| entry.to_string().contains(&shut) && entry.to_string().contains(&tags)));
    // Of two that want the same tag differently, none wins.
    realm
        .assign("other", &format!("{SHIPS}/add-or-replace-tag"), &[tagged[0].clone(), ("tagValue", json!("c-2"))])
        .await;
    refused(realm.put(&realm.workspace("ms-2"), &json!({"location": "local"})).await);
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_neither_a_template_nor_a_part_of_a_resource_goes_around_a_policy() {
    let realm = Realm::new().await;
    realm.assign("closed", &format!("{SHIPS}/workspace-public-access-off"), &[effect("Deny")]).await;
    let schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#";
    let template = json!({"$schema": schema, "contentVersion": "1.0.0.0", "resources": [
        {"type": ML, "apiVersion": "2023-04-01", "name": "ts-1", "location": "local", "properties": {}}]});
    let place = format!("{}/providers/Microsoft.Resources/deployments/d1", realm.test.group());
    let (status, begun) = realm
        .put(&place, &json!({"properties": {"mode": "Incremental", "template": template, "parameters": {}}}))
        .await;
    assert!(status == 200 || status == 201, "{begun}");
    let mut ended = begun;
    for _ in 0..500 {
        if ended["properties"]["provisioningState"] == "Failed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        ended = realm.ask(realm.owner(), Method::GET, &place, &Value::Null).await.1;
    }
    assert!(ended.to_string().contains("RequestDisallowedByPolicy"), "{ended}");
    assert_eq!(realm.ask(realm.owner(), Method::GET, &realm.workspace("ts-1"), &Value::Null).await.0, 404);

    let networks = "Microsoft.Network/virtualNetworks";
    let rule = json!({
        "if": {"not": {"field": format!("{networks}/subnets[*].name"), "notEquals": "open"}},
        "then": {"effect": "deny"},
    });
    let (status, made) = realm.define(realm.owner(), "no-open-subnet", &rule).await;
    assert_eq!(status, 201, "{made}");
    realm.assign("subnets", made["id"].as_str().unwrap(), &[]).await;
    let network = format!("{}/providers/{networks}/n1", realm.test.group());
    let body = json!({"location": "local", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}});
    let made = realm.put(&network, &body).await;
    assert!(made.0 < 300, "{}", made.1);
    let subnet = json!({"properties": {"addressPrefix": "10.0.1.0/24"}});
    let made = realm.put(&format!("{network}/subnets/shut"), &subnet).await;
    assert!(made.0 < 300, "{}", made.1);
    refused(
        realm.put(&format!("{network}/subnets/open"), &json!({"properties": {"addressPrefix": "10.0.2.0/24"}})).await,
    );
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_who_assigns_policies_gains_nothing_by_it() {
    let realm = Realm::new().await;
    let role = RESOURCE_POLICY_CONTRIBUTOR.to_string();
    let subscription = realm.test.subscription();
    let (_, keeper) = realm.test.principal(realm.owner(), "keeper", Some((&role, &subscription))).await;
    let place = Realm::assignment(&realm.test.group(), "a");
    let of = |name: &str| json!({"properties": {"policyDefinitionId": format!("{SHIPS}/{name}")}});
    let deny = of("workspace-public-access-off");
    for (who, expected) in [(Who::Contributor, 403), (Who::Reader, 403), (Who::Stranger, 404)] {
        let token = realm.callers.token(who).unwrap();
        assert_eq!(realm.ask(token, Method::PUT, &place, &deny).await.0, expected);
        let rule = json!({"if": {"field": "name", "equals": "x"}, "then": {"effect": "deny"}});
        assert_eq!(realm.define(token, "mine", &rule).await.0, expected);
    }
    assert_eq!(realm.ask(&keeper, Method::PUT, &place, &deny).await.0, 201);
    assert_eq!(realm.ask(&keeper, Method::PATCH, &realm.test.workspace(), &json!({"tags": {}})).await.0, 403);
    // What it may not write itself, it has nobody write.
    let modify = realm.ask(&keeper, Method::PUT, &place, &of("workspace-public-access-set-off")).await;
    assert_eq!(modify.0, 403, "{}", modify.1);
    let rule = |effect: &str| {
        json!({"if": {"field": "tags['x']", "exists": false}, "then": {"effect": effect, "details": {
            "operations": [{"operation": "addOrReplace", "field": "tags['x']", "value": "y"}]}}})
    };
    let (status, made) = realm.define(&keeper, "later", &rule("audit")).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({"properties": {"policyDefinitionId": made["id"]}});
    assert_eq!(realm.ask(&keeper, Method::PUT, &place, &body).await.0, 201);
    let changed = realm.define(&keeper, "later", &rule("modify")).await;
    assert_eq!(changed.0, 403, "{}", changed.1);
    assert_eq!(realm.define(realm.owner(), "later", &rule("modify")).await.0, 201);
    let (_, found) = realm.ask(realm.owner(), Method::PATCH, &realm.test.workspace(), &json!({"tags": {}})).await;
    assert_eq!(found["tags"], json!({"x": "y"}), "a changed definition counts at once");
    // One that is assigned stays.
    let definition = made["id"].as_str().unwrap();
    assert_eq!(realm.ask(&keeper, Method::DELETE, definition, &Value::Null).await.0, 409);
    assert_eq!(realm.ask(&keeper, Method::DELETE, &place, &Value::Null).await.0, 200);
    assert_eq!(realm.ask(&keeper, Method::DELETE, definition, &Value::Null).await.0, 200);
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_what_is_not_offered_is_a_clear_400() {
    let realm = Realm::new().await;
    let rule = |field: &str, effect: &str| json!({"if": {"field": field, "equals": "x"}, "then": {"effect": effect}});
    let table = [
        (rule("kind", "deny"), "kind"),
        (rule("Microsoft.Compute/virtualMachines/sku", "deny"), "virtualMachines"),
        (rule("name", "deployIfNotExists"), "not supported"),
        (rule("name", "mutate"), "must be"),
        (json!({"if": {"field": "name", "match": "a?"}, "then": {"effect": "deny"}}), "operator"),
    ];
    for (rule, word) in table {
        let (status, answer) = realm.define(realm.owner(), "bad", &rule).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
    }
    let place = Realm::assignment(&realm.test.group(), "bad");
    let ships = |name: &str| format!("{SHIPS}/{name}");
    for properties in [
        json!({"policyDefinitionId": ships("none")}),
        json!({"policyDefinitionId": ships("required-tag")}),
        json!({"policyDefinitionId": ships("workspace-public-access-off"), "parameters": {"effect": {"value": "Modify"}}}),
        json!({"policyDefinitionId": ships("workspace-public-access-off"), "parameters": {"more": {"value": 1}}}),
        json!({"policyDefinitionId": ships("workspace-public-access-off"), "enforcementMode": "Often"}),
        json!({"policyDefinitionId": ships("workspace-public-access-off"), "notScopes": ["/subscriptions/other"]}),
        json!({"policyDefinitionId": ships("workspace-public-access-off"), "resourceSelectors": []}),
    ] {
        let (status, answer) = realm.put(&place, &json!({"properties": properties})).await;
        assert_eq!(status, 400, "{properties} {answer}");
    }
    let ships =
        realm.ask(realm.owner(), Method::GET, &format!("{}{SHIPS}", realm.test.subscription()), &Value::Null).await;
    assert!(ships.1["value"].as_array().unwrap().len() >= 9, "{}", ships.1);
    realm.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_01_compliance_is_what_exists_now() {
    let realm = Realm::new().await;
    realm.assign("closed", &format!("{SHIPS}/workspace-public-access-off"), &[effect("Audit")]).await;
    realm.assign("logs", &format!("{SHIPS}/workspace-resource-logs"), &[]).await;
    let reader = realm.callers.token(Who::Reader).unwrap();
    let states = |scope: String| format!("{scope}/providers/Microsoft.PolicyInsights/policyStates/latest");
    let group = realm.test.group();
    let lacking = async || {
        let place = format!("{}/queryResults?$filter=isCompliant%20eq%20false", states(group.clone()));
        let (status, found) = realm.ask(reader, Method::POST, &place, &json!({})).await;
        assert_eq!(status, 200, "{found}");
        let found = found["value"].as_array().unwrap().clone();
        found.iter().map(|one| one["policyAssignmentName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lacking().await, ["closed", "logs"]);
    let (_, summary) =
        realm.ask(reader, Method::POST, &format!("{}/summarize", states(realm.test.subscription())), &json!({})).await;
    assert_eq!(summary["value"][0]["results"]["nonCompliantResources"], 1, "{summary}");
    assert_eq!(summary["value"][0]["results"]["nonCompliantPolicies"], 2, "{summary}");
    let closed = json!({"properties": {"publicNetworkAccess": "Disabled"}});
    let ws = realm.test.workspace();
    assert_eq!(realm.ask(realm.owner(), Method::PATCH, &ws, &closed).await.0, 200);
    assert_eq!(lacking().await, ["logs"]);
    let (_, found) = realm.ask(realm.owner(), Method::GET, &ws, &Value::Null).await;
    let logs = json!([{"categoryGroup": "allLogs", "enabled": true}]);
    let setting = json!({"properties": {"storageAccountId": found["properties"]["storageAccount"], "logs": logs}});
    let made = realm.put(&format!("{ws}/providers/Microsoft.Insights/diagnosticSettings/s"), &setting).await;
    assert!(made.0 < 300, "{}", made.1);
    assert!(lacking().await.is_empty());
    let (_, all) =
        realm.ask(reader, Method::POST, &format!("{}/queryResults", states(group.clone())), &json!({})).await;
    assert_eq!(all["@odata.count"], 2, "{all}");
    let stranger = realm.callers.token(Who::Stranger).unwrap();
    let place = format!("{}/queryResults", states(group.clone()));
    assert_eq!(realm.ask(stranger, Method::POST, &place, &json!({})).await.0, 404);
    realm.test.end().await;
}
