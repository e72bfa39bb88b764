//! Event subscriptions with real webhooks: handshakes, envelopes, filters, and which events there are.

use std::time::Duration;

use domain::{
    compute::{AgentAddress, FinishRun, RunState},
    delivery::deliver_once,
    gate::enter,
    work::look_once,
};
use kernel::{Caller, RunCaller, Secret, Source, Who as Established};
use outbound::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Request};
use crate::house::{TestHouse, Who};

fn place(test: &TestHouse, name: &str) -> String {
    format!("{}/providers/Microsoft.EventGrid/eventSubscriptions/{name}", test.workspace())
}

fn subscription(url: &str, schema: &str, filter: &Value) -> Value {
    json!({"properties": {
        "destination": {"endpointType": "WebHook", "properties": {"endpointUrl": url}},
        "eventDeliverySchema": schema,
        "filter": filter,
    }})
}

/// Registers files of the run `good` as a version of a model.
async fn register(test: &TestHouse, owner: Option<&Secret<String>>, model: &str) {
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", test.workspace());
    let (_, run) = test.ask(owner, Method::GET, &format!("{mlflow}/runs/get?run_id=good"), None).await;
    let uri = run["run"]["info"]["artifact_uri"].as_str().unwrap_or_else(|| panic!("{run}"));
    let files = uri.trim_start_matches("mlflow-artifacts:").trim_start_matches('/');
    let file = format!("{mlflow}-artifacts/artifacts/{files}/model/weights.bin");
    let sent = test.client().put(&file).bearer(owner.unwrap()).body("application/octet-stream", "weights").send().await;
    sent.unwrap().success().await.unwrap();
    test.ask(owner, Method::POST, &format!("{mlflow}/registered-models/create"), Some(&json!({"name": model}))).await;
    let body = json!({"name": model, "source": "runs:/good/model"});
    let made = test.ask(owner, Method::POST, &format!("{mlflow}/model-versions/create"), Some(&body)).await;
    assert_eq!(made.0, 200, "{}", made.1);
}

async fn submit(test: &TestHouse, owner: Option<&Secret<String>>, name: &str) {
    let job = json!({"properties": {"jobType": "Command", "command": "true", "experimentName": "trial"}});
    let made = test.ask(owner, Method::PUT, &format!("{}/jobs/{name}", test.workspace()), Some(&job)).await;
    assert_eq!(made.0, 201, "{}", made.1);
    look_once(&test.house, true).await.unwrap();
}

/// What the agent of a run says at its end.
async fn finish(test: &TestHouse, owner: Option<&Secret<String>>, name: &str) {
    let (_, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let scope: kernel::ResourceId = test.workspace().parse().unwrap();
    let me = RunCaller {
        run: name.parse().unwrap(),
        workspace: workspace["properties"]["workspaceId"].as_str().unwrap().parse().unwrap(),
        scope: scope.clone(),
        on_behalf_of: test.founded.principal,
        only: Vec::new(),
    };
    let op = FinishRun {
        address: AgentAddress { run: me.run.clone(), scope },
        state: RunState::Completed,
        exit_code: Some(0),
        message: None,
        missing_walls: Vec::new(),
        is_scratch_cleared: true,
    };
    let caller = Caller { who: Established::Run(me), source: Source::internal() };
    enter(&test.house, &caller, op).await.unwrap();
}

fn subjects(requests: &[Request]) -> Vec<String> {
    let text = |request: &Request| {
        let body = request.json();
        let event = if body.is_array() { &body[0] } else { &body };
        let kind = event.get("eventType").or_else(|| event.get("type")).unwrap().as_str().unwrap();
        format!("{} {}", kind.rsplit('.').next().unwrap(), event["subject"].as_str().unwrap())
    };
    requests.iter().map(text).collect()
}

/// J-12: a webhook gets both envelopes, after it agreed to.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_what_it_asked_for_in_both_envelopes() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (grid, cloud) = (Receiver::start().await, Receiver::start().await);
    test.elsewhere.open_to(&[grid.url.clone(), cloud.url.clone()]);
    let everything = json!({});
    let to_grid = subscription(&grid.url, "EventGridSchema", &everything);
    let (status, refused) = test.ask(owner, Method::PUT, &place(&test, "grid"), Some(&to_grid)).await;
    assert_eq!(status, 400, "a receiver that knows nothing of it gets nothing: {refused}");
    grid.echoes_validation();
    let (status, made) =
        test.ask(callers.token(Who::Contributor), Method::PUT, &place(&test, "grid"), Some(&to_grid)).await;
    assert_eq!((status, &made["properties"]["provisioningState"]), (201, &json!("Succeeded")), "{made}");
    assert_eq!(grid.take().last().unwrap().headers["aeg-event-type"], "SubscriptionValidation");

    let to_cloud = subscription(&cloud.url, "CloudEventSchemaV1_0", &json!({"subjectBeginsWith": "models/"}));
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "cloud"), Some(&to_cloud)).await.0, 400);
    cloud.answers("200 OK\r\nWebHook-Allowed-Origin: localhost");
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "cloud"), Some(&to_cloud)).await.0, 201);
    let asked = cloud.take().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.headers["webhook-request-origin"].as_str()), ("OPTIONS", "localhost"));

    submit(&test, owner, "good").await;
    register(&test, owner, "churn").await;
    finish(&test, owner, "good").await;
    submit(&test, owner, "bad").await;
    for _ in 0..10 {
        test.clock.advance(Duration::from_secs(120));
        look_once(&test.house, true).await.unwrap();
    }
    deliver_once(&test.house).await.unwrap();
    let pushed = grid.take();
    let wanted = [
        "ModelRegistered models/churn:1",
        "RunCompleted experiments/trial/runs/good",
        "RunStatusChanged experiments/trial/runs/bad",
    ];
    assert_eq!(subjects(&pushed), wanted);
    assert_eq!(pushed[0].headers["aeg-event-type"], "Notification");
    let event = &pushed[0].json()[0];
    assert_eq!((&event["topic"], &event["data"]["modelName"]), (&json!(test.workspace()), &json!("churn")));
    assert_eq!(pushed[2].json()[0]["data"]["runStatus"], "Failed");
    let pushed = cloud.take();
    assert_eq!(subjects(&pushed), wanted[..1]);
    assert_eq!(pushed[0].headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(
        (&pushed[0].json()["specversion"], &pushed[0].json()["source"]),
        (&json!("1.0"), &json!(test.workspace()))
    );
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_checked_and_readers_cannot_make_them() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let receiver = Receiver::start().await;
    receiver.echoes_validation();
    test.elsewhere.open_to(std::slice::from_ref(&receiver.url));
    let grid = |filter: &Value| subscription(&receiver.url, "EventGridSchema", filter);
    let cases = [
        (subscription("https://evil.example/", "EventGridSchema", &json!({})), "endpointUrl"),
        (subscription(&receiver.url, "Telegram", &json!({})), "eventDeliverySchema"),
        (
            grid(&json!({"includedEventTypes": ["Microsoft.MachineLearningServices.DatasetDriftDetected"]})),
            "DatasetDriftDetected",
        ),
        (grid(&json!({"advancedFilters": [{"operatorType": "NumberIn", "key": "data.x", "values": []}]})), "NumberIn"),
        (grid(&json!({"subjectBeginsWith": "x".repeat(600)})), "filter"),
        (
            json!({"properties": {"destination": {"endpointType": "EventHub", "properties": {"endpointUrl": "x"}}}}),
            "WebHook",
        ),
    ];
    for (body, word) in cases {
        let (status, answer) = test.ask(owner, Method::PUT, &place(&test, "bad"), Some(&body)).await;
        assert!((400..500).contains(&status), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{word}: {answer}");
    }
    let fine =
        grid(&json!({"advancedFilters": [{"operatorType": "StringIn", "key": "data.modelName", "values": ["wine"]}]}));
    assert_eq!(test.ask(callers.token(Who::Reader), Method::PUT, &place(&test, "mine"), Some(&fine)).await.0, 403);
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "mine"), Some(&fine)).await.0, 201);
    receiver.take();
    submit(&test, owner, "good").await;
    register(&test, owner, "churn").await;
    register(&test, owner, "wine").await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!(subjects(&receiver.take()), ["ModelRegistered models/wine:1"]);
    assert_eq!(test.ask(owner, Method::DELETE, &place(&test, "mine"), None).await.0, 200);
    register(&test, owner, "wine").await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!(receiver.take().len(), 0);
    test.end().await;
}
