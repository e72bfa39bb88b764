//! The baseline report through its doors: a verdict follows the state, and says where that can be seen.

use std::collections::BTreeMap;

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Callers, TestHouse, Who};

struct Office {
    test: TestHouse,
    callers: Callers,
}

impl Office {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        Self { test, callers }
    }

    fn owner(&self) -> Option<&Secret<String>> {
        self.callers.token(Who::Owner)
    }

    async fn report(&self, scope: &str) -> Value {
        let place = format!("{scope}/providers/Microsoft.Security/baselineReports/latest");
        let (status, report) = self.test.ask(self.owner(), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{report}");
        report
    }

    async fn put(&self, place: &str, body: &Value) {
        let (status, answer) = self.test.ask(self.owner(), Method::PUT, place, Some(body)).await;
        assert!(status == 200 || status == 201, "{place}: {answer}");
    }

    fn at(scope: &str, rest: &str) -> String {
        format!("{scope}/providers/{rest}")
    }

    /// Everything that this test's failing controls ask for.
    async fn put_in_order(&self) {
        let (subscription, group, workspace) = (self.test.subscription(), self.test.group(), self.test.workspace());
        let (_, shown) = self.test.ask(self.owner(), Method::GET, &workspace, None).await;
        let protected = json!({"location": "local", "properties": {"enablePurgeProtection": true}});
        self.put(shown["properties"]["keyVault"].as_str().unwrap(), &protected).await;
        self.test.elsewhere.open_to(&[String::from("https://logs.example")]);
        let key = "k".repeat(32);
        for (scope, category) in [(&subscription, "Administrative"), (&workspace, "AmlModelsEvent")] {
            let logs = json!([{"category": category, "enabled": true}]);
            let body = json!({"properties": {"webhook": {"url": "https://logs.example/in", "key": key}, "logs": logs}});
            self.put(&Self::at(scope, "Microsoft.Insights/diagnosticSettings/out"), &body).await;
        }
        self.put("/activity-log/v1/retention", &json!({"days": 400})).await;
        let hook = json!({"name": "pager", "serviceUri": "https://logs.example/pager", "useCommonAlertSchema": true, "key": key});
        let told = Self::at(&group, "Microsoft.Insights/actionGroups/ops");
        let body = json!({"location": "global", "properties": {"groupShortName": "ops", "webhookReceivers": [hook]}});
        self.put(&told, &body).await;
        let criterion = json!({"criterionType": "StaticThresholdCriterion", "name": "c", "metricName": "Failed Runs",
            "operator": "GreaterThan", "threshold": 0, "timeAggregation": "Total"});
        let rule = json!({"location": "global", "properties": {
            "severity": 2, "scopes": [workspace], "evaluationFrequency": "PT1M", "windowSize": "PT5M",
            "criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": [criterion]},
            "actions": [{"actionGroupId": told}],
        }});
        self.put(&Self::at(&group, "Microsoft.Insights/metricAlerts/failures"), &rule).await;
        let terms = json!({"displayName": "everybody", "state": "enabled",
            "conditions": {"users": {"includeUsers": ["All"]}},
            "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}});
        let policies = "/graph/v1.0/identity/conditionalAccess/policies";
        let made = self.test.ask(self.owner(), Method::POST, policies, Some(&terms)).await;
        assert_eq!(made.0, 201, "{}", made.1);
        let tags = json!({"location": "local", "tags": {"cost": "c-1"}});
        self.put(&group, &tags).await;
        let closed = json!({"tags": {"Sensitivity": "high"}, "properties": {"publicNetworkAccess": "Disabled", "secretDetection": "Refuse"}});
        let patched = self.test.ask(self.owner(), Method::PATCH, &workspace, Some(&closed)).await;
        assert_eq!(patched.0, 200, "{}", patched.1);
        let ships = "/providers/Microsoft.Authorization/policyDefinitions/workspace-public-access-off";
        let body = json!({"properties": {"policyDefinitionId": ships, "parameters": {"effect": {"value": "Deny"}}}});
        self.put(&Self::at(&subscription, "Microsoft.Authorization/policyAssignments/closed"), &body).await;
        for operation in ["purge", "keyChange", "roleGrant"] {
            let approvers = json!({"roles": [domain::access::OWNER.to_string()]});
            let body = json!({"properties": {"operation": operation, "approvals": 1, "approvers": approvers}});
            let place = format!("Microsoft.Authorization/approvalRules/{}", Uuid::new_v4());
            self.put(&Self::at(&subscription, &place), &body).await;
        }
    }
}

fn verdicts(report: &Value) -> BTreeMap<String, String> {
    let controls = report["properties"]["controls"].as_array().unwrap().iter();
    controls.map(|one| (one["id"].as_str().unwrap().to_owned(), one["verdict"].as_str().unwrap().to_owned())).collect()
}

/// The controls that `put_in_order` is about, at a subscription.
const FLIPPED: [&str; 22] = [
    "1.1", "1.4", "1.9", "1.11", "2.2", "2.3", "2.5", "2.6", "2.7", "3.5", "3.7", "3.10", "4.1", "4.9", "6.2", "6.5",
    "6.9", "6.11", "7.1", "7.13", "9.4", "10.4",
];

#[tokio::test(flavor = "multi_thread")]
async fn r_02_controls_pass_once_the_thing_is_done_and_fail_again_when_it_is_undone() {
    let office = Office::new().await;
    let (subscription, workspace) = (office.test.subscription(), office.test.workspace());
    let before = [office.report(&subscription).await, office.report(&workspace).await];
    for report in &before {
        let found = verdicts(report);
        for id in FLIPPED {
            assert_eq!(found[id], "Fail", "{id}: {report}");
        }
    }
    office.put_in_order().await;
    let after = office.report(&subscription).await;
    let found = verdicts(&after);
    for id in FLIPPED {
        assert_eq!(found[id], "Pass", "{id}: {after}");
    }
    let counted = |report: &Value, what: &str| report["properties"]["summary"][what].as_u64().unwrap();
    assert!(
        counted(&after, "failed") + u64::try_from(FLIPPED.len()).unwrap() <= counted(&before[0], "failed"),
        "{after}"
    );

    // A second workspace, which nobody looked after, and its controls fail again.
    let policy = Office::at(&subscription, "Microsoft.Authorization/policyAssignments/closed");
    assert_eq!(office.test.ask(office.owner(), Method::DELETE, &policy, None).await.0, 200);
    let second = Office::at(&office.test.group(), "Microsoft.MachineLearningServices/workspaces/ws-open");
    office.put(&second, &json!({"location": "local"})).await;
    let again = office.report(&subscription).await;
    let found = verdicts(&again);
    for id in ["1.1", "1.4", "1.9", "2.3", "2.7", "4.1", "6.2", "6.9"] {
        assert_eq!(found[id], "Fail", "{id}: {again}");
    }
    let why = again["properties"]["controls"][0]["reason"].as_str().unwrap();
    assert!(why.starts_with("1 of 2 workspaces") && why.ends_with("ws-open"), "{why}");
    office.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_every_control_has_a_reason_and_evidence_that_answers() {
    let office = Office::new().await;
    let url = office.test.house.settings().url.clone();
    for scope in [office.test.subscription(), office.test.workspace()] {
        let report = office.report(&scope).await;
        let controls = report["properties"]["controls"].as_array().unwrap();
        let groups: std::collections::BTreeSet<_> = controls.iter().map(|one| one["group"].as_str().unwrap()).collect();
        assert_eq!(groups.len(), 10, "{groups:?}");
        for id in ["3.13", "4.3", "4.5", "8.2", "9.1"] {
            let one = controls.iter().find(|one| one["id"] == id).unwrap();
            assert_eq!(one["verdict"], "NotApplicable", "{one}");
        }
        assert_eq!(verdicts(&report).len(), controls.len(), "each number once");
        for control in controls {
            assert!(!control["reason"].as_str().unwrap().is_empty(), "{control}");
            let evidence = control["evidence"].as_str().unwrap().strip_prefix(&url).unwrap();
            let (status, answer) = office.test.ask(office.owner(), Method::GET, evidence, None).await;
            assert_eq!((status, answer.is_object()), (200, true), "{control}: {answer}");
        }
    }
    office.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r_02_the_report_names_nobody_and_is_for_those_who_may_read_it() {
    let office = Office::new().await;
    let (test, workspace) = (&office.test, office.test.workspace());
    let role = json!({"properties": {
        "roleName": "Baseline Reader", "type": "CustomRole", "assignableScopes": [test.subscription()],
        "permissions": [{"actions": ["Microsoft.Security/baselineReports/read"]}]}});
    let id = Uuid::new_v4().to_string();
    office
        .put(&Office::at(&test.subscription(), &format!("Microsoft.Authorization/roleDefinitions/{id}")), &role)
        .await;
    let (_, auditor) = test.principal(office.owner().unwrap(), "auditor", Some((&id, &test.subscription()))).await;
    let place = |scope: &str| format!("{scope}/providers/microsoft.security/BaselineReports/latest");
    let (status, report) = test.ask(Some(&auditor), Method::GET, &place(&test.subscription()), None).await;
    assert_eq!(status, 200, "{report}");
    let said = report.to_string();
    assert!(
        !said.contains("ws1") && !said.contains("admin@") && !said.contains(&test.founded.principal.to_string()),
        "{said}"
    );
    assert_eq!(test.ask(office.callers.token(Who::Reader), Method::GET, &place(&workspace), None).await.0, 200);
    assert_eq!(test.ask(office.callers.token(Who::Stranger), Method::GET, &place(&workspace), None).await.0, 404);
    assert_eq!(test.ask(None, Method::GET, &place(&workspace), None).await.0, 401);
    let none = workspace.replace("ws1", "ws-none");
    assert_eq!(test.ask(office.owner(), Method::GET, &place(&none), None).await.0, 404);
    office.test.end().await;
}
