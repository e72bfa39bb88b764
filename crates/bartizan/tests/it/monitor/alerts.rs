//! Alert rules through the public API: each fires once and resolves once, and a webhook is told so (J-03).

use std::{sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use domain::{
    alerts::watch_once,
    delivery::deliver_once,
    gate::{Changes, Cx, Op, enter},
    work::look_once,
};
use kernel::{Action, Caller, Class, ResourceId, Result, Secret};
use outbound::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Request};
use crate::house::{TestHouse, Who};

mod cut;

type Token<'a> = Option<&'a Secret<String>>;

fn rule_place(test: &TestHouse, name: &str) -> String {
    format!("{}/providers/Microsoft.Insights/metricAlerts/{name}", test.group())
}

fn group_place(test: &TestHouse) -> String {
    format!("{}/providers/Microsoft.Insights/actionGroups/ops", test.group())
}

fn rule(test: &TestHouse, metric: &str, aggregation: &str, threshold: f64) -> Value {
    json!({"location": "global", "properties": {
        "severity": 2,
        "scopes": [test.workspace()],
        "evaluationFrequency": "PT1M",
        "windowSize": "PT5M",
        "criteria": {
            "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            "allOf": [{
                "criterionType": "StaticThresholdCriterion", "name": "c", "metricName": metric,
                "operator": "GreaterThan", "threshold": threshold, "timeAggregation": aggregation,
            }],
        },
        "actions": [{"actionGroupId": group_place(test)}],
    }})
}

fn group(url: &str) -> Value {
    let webhook = json!({"name": "pager", "serviceUri": url, "useCommonAlertSchema": true, "key": "k".repeat(32)});
    json!({"location": "global", "properties": {"groupShortName": "ops", "webhookReceivers": [webhook]}})
}

async fn put(test: &TestHouse, token: Token<'_>, place: &str, body: &Value) -> Value {
    let (status, answer) = test.ask(token, Method::PUT, place, Some(body)).await;
    assert!(status == 200 || status == 201, "{answer}");
    answer
}

/// The record that a deployment leaves which does not come up.
struct FailDeployment(ResourceId);

#[async_trait]
impl Op for FailDeployment {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/supervise/action", Class::Open);
    type Output = ();
    fn scope(&self) -> ResourceId {
        self.0.clone()
    }
    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.note("happening", "DeploymentFailed");
        cx.commit(Changes::new()).await
    }
}

async fn fail_deployment(test: &TestHouse) {
    let op = FailDeployment(format!("{}/onlineEndpoints/e", test.workspace()).parse().unwrap());
    enter(&test.house, &Caller::house(), op).await.unwrap();
}

async fn submit(test: &TestHouse, token: Token<'_>, name: &str) {
    let job = json!({"properties": {"jobType": "Command", "command": "true", "experimentName": "trial"}});
    put(test, token, &format!("{}/jobs/{name}", test.workspace()), &job).await;
    look_once(&test.house, true).await.unwrap();
}

/// Lets minutes pass, looking twice in each: the second look finds nothing to do.
async fn minutes(test: &TestHouse, count: u32) {
    for _ in 0..count {
        test.clock.advance(Duration::from_secs(60));
        watch_once(&test.house).await.unwrap();
        watch_once(&test.house).await.unwrap();
        deliver_once(&test.house).await.unwrap();
    }
}

fn told(requests: &[Request]) -> Vec<String> {
    let text = |request: &Request| {
        let body = request.json();
        assert_eq!(body["schemaId"], "azureMonitorCommonAlertSchema");
        assert!(request.headers.contains_key("webhook-signature"));
        let essentials = &body["data"]["essentials"];
        format!("{} {}", essentials["alertRule"].as_str().unwrap(), essentials["monitorCondition"].as_str().unwrap())
    };
    requests.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn j_03_the_recommended_rules_fire_once_and_resolve_once() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let pager = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&pager.url));
    put(&test, owner, &group_place(&test), &group(&format!("{}/hook?secret=canary", pager.url))).await;
    let recommended = [
        ("deployments", rule(&test, "Model Deploy Failed", "Total", 0.0)),
        ("quota", rule(&test, "Quota Utilization Percentage", "Average", 90.0)),
        ("nodes", rule(&test, "Unusable Nodes", "Total", 0.0)),
    ];
    for (name, body) in &recommended {
        put(&test, callers.token(Who::Contributor), &rule_place(&test, name), body).await;
    }
    minutes(&test, 3).await;
    assert_eq!(told(&pager.take()), Vec::<String>::new());

    // The receiver is away when the alert fires, and is told when it is back.
    pager.answers("503 Service Unavailable");
    fail_deployment(&test).await;
    minutes(&test, 2).await;
    let tried = pager.take();
    assert!(!tried.is_empty());
    let first = tried[0].headers["webhook-id"].clone();
    pager.answers("204 No Content");
    test.clock.advance(Duration::from_secs(30));
    minutes(&test, 12).await;
    let got = pager.take();
    assert_eq!(told(&got), ["deployments Fired", "deployments Resolved"]);
    assert_eq!(got[0].headers["webhook-id"], first, "tried again as the same notification");
    let context = &got[0].json()["data"]["alertContext"]["condition"];
    assert_eq!((&context["allOf"][0]["metricValue"], &context["windowSize"]), (&json!(1.0), &json!("PT5M")));

    test.computer.refuses.store(true, Ordering::SeqCst);
    submit(&test, owner, "heavy").await;
    minutes(&test, 3).await;
    assert_eq!(told(&pager.take()), ["nodes Fired"]);
    test.computer.refuses.store(false, Ordering::SeqCst);
    look_once(&test.house, true).await.unwrap();
    minutes(&test, 12).await;
    let mut now = told(&pager.take());
    now.sort();
    assert_eq!(now, ["nodes Resolved", "quota Fired"]);
    for _ in 0..10 {
        test.clock.advance(Duration::from_secs(120));
        look_once(&test.house, true).await.unwrap();
    }
    minutes(&test, 12).await;
    assert_eq!(told(&pager.take()), ["quota Resolved"]);

    let owner = test.owner_again().await;
    let alerts = format!("{}/providers/Microsoft.AlertsManagement/alerts", test.subscription());
    let (_, listed) = test.ask(Some(&owner), Method::GET, &alerts, None).await;
    let listed = listed["value"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|alert| alert["properties"]["essentials"]["monitorCondition"] == "Resolved"));
    let one = listed[0]["id"].as_str().unwrap();
    assert_eq!(test.ask(Some(&owner), Method::GET, one, None).await.1, listed[0]);
    let shown = test.ask(Some(&owner), Method::GET, &rule_place(&test, "quota"), None).await.1;
    assert_eq!(shown["properties"]["evaluation"][0]["state"], "Resolved", "{shown}");
    let read = test.ask(Some(&owner), Method::GET, &group_place(&test), None).await.1.to_string();
    assert!(!read.contains("canary") && !read.contains("kkkk"), "{read}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_owner_may_not_look_any_more_says_so_and_its_alert_is_resolved() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let role = domain::access::CONTRIBUTOR.to_string();
    let (id, token) = test.principal(owner, "watcher", Some((&role, &test.subscription()))).await;
    let mut plain = rule(&test, "Model Deploy Failed", "Total", 0.0);
    plain["properties"]["actions"] = json!([]);
    put(&test, Some(&token), &rule_place(&test, "mine"), &plain).await;
    put(&test, Some(owner), &rule_place(&test, "yours"), &plain).await;
    fail_deployment(&test).await;
    minutes(&test, 1).await;
    let state = async |name: &str| {
        let (_, shown) = test.ask(Some(owner), Method::GET, &rule_place(&test, name), None).await;
        let place = &shown["properties"]["evaluation"][0];
        format!("{} {}", place["state"].as_str().unwrap(), place["lastError"].as_str().unwrap_or_default())
    };
    assert_eq!(state("mine").await, "Fired ");
    let gone = test.ask(Some(owner), Method::DELETE, &format!("/graph/v1.0/servicePrincipals/{id}"), None).await;
    assert_eq!(gone.0, 204, "{}", gone.1);
    minutes(&test, 1).await;
    assert!(state("mine").await.starts_with("WithoutEffect whoever wrote the rule"), "{}", state("mine").await);
    assert_eq!(state("yours").await, "Fired ");
    assert_eq!(test.ask(Some(owner), Method::DELETE, &test.workspace(), None).await.0, 200);
    minutes(&test, 1).await;
    assert_eq!(state("yours").await, "WithoutEffect the workspace was deleted");
    let alerts = format!("{}/providers/Microsoft.AlertsManagement/alerts?monitorCondition=Fired", test.subscription());
    assert_eq!(test.ask(Some(owner), Method::GET, &alerts, None).await.1["value"], json!([]));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_checked_and_show_nobody_what_is_not_theirs() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let pager = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&pager.url));
    let place = group_place(&test);
    let mut mail = group(&pager.url);
    mail["properties"]["emailReceivers"] = json!([{"name": "m", "emailAddress": "a@b.c"}]);
    for (body, word) in [(mail, "emailReceivers"), (group("https://evil.example/"), "webhookReceivers")] {
        let (status, answer) = test.ask(owner, Method::PUT, &place, Some(&body)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{answer}");
    }
    put(&test, owner, &place, &group(&pager.url)).await;
    let fine = rule(&test, "Failed Runs", "Total", 0.0);
    let cases = [
        ("/properties/severity", json!(5), "severity"),
        ("/properties/windowSize", json!("PT7M"), "windowSize"),
        ("/properties/windowSize", json!("PT1M"), ""),
        ("/properties/evaluationFrequency", json!("PT6H"), "evaluationFrequency"),
        ("/properties/scopes/0", json!(test.group()), "scopes"),
        ("/properties/actions/0/actionGroupId", json!(format!("{place}x")), "action group"),
        ("/properties/criteria/allOf/0/metricName", json!("Nonsense"), "Nonsense"),
        ("/properties/criteria/allOf/0/criterionType", json!("DynamicThresholdCriterion"), "dynamic thresholds"),
        ("/properties/criteria/allOf/0/operator", json!("Near"), "operator"),
        (
            "/properties/criteria/odata.type",
            json!("Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria"),
            "Web",
        ),
    ];
    for (pointer, value, word) in cases {
        let mut body = fine.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        let (status, answer) = test.ask(owner, Method::PUT, &rule_place(&test, "r"), Some(&body)).await;
        if word.is_empty() {
            assert_eq!(status, 200, "a window may be as long as the frequency: {answer}");
            continue;
        }
        assert_eq!(status, 400, "{pointer}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{word}: {answer}");
    }
    let reader = callers.token(Who::Reader);
    assert_eq!(test.ask(reader, Method::PUT, &rule_place(&test, "r"), Some(&fine)).await.0, 403);
    let off = json!({"properties": {"enabled": false}});
    let (status, patched) = test.ask(owner, Method::PATCH, &rule_place(&test, "R"), Some(&off)).await;
    assert_eq!((status, &patched["properties"]["enabled"]), (200, &json!(false)), "{patched}");
    assert_eq!(patched["properties"]["windowSize"], "PT1M");
    for what in ["metricAlerts", "actionGroups"] {
        for scope in [test.group(), test.subscription()] {
            let all = format!("{scope}/providers/microsoft.insights/{what}");
            let (status, found) = test.ask(reader, Method::GET, &all, None).await;
            assert_eq!((status, found["value"].as_array().unwrap().len()), (200, 1), "{found}");
            assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &all, None).await.0, 404);
        }
    }
    assert_eq!(test.ask(owner, Method::DELETE, &rule_place(&test, "r"), None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &rule_place(&test, "r"), None).await.0, 404);
    minutes(&test, 1).await;
    test.end().await;
}
