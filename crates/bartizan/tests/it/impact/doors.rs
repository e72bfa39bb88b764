//! High business impact and diagnostics as clients see them.

use std::time::Duration;

use domain::diagnostics::send_what_is_due;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::stand::{Stand, begin, finish};
use crate::{house::Who, monitor::Receiver, oauth::Stage};

impl Stand {
    fn token(&self) -> &Secret<String> {
        self.callers.token(Who::Owner).unwrap()
    }

    async fn ask(&self, method: Method, place: &str, body: Value) -> (u16, Value) {
        self.test.ask(Some(self.token()), method, place, Some(&body).filter(|body| !body.is_null())).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_01_the_flag_is_chosen_with_a_new_workspace_and_never_changed_in_passing() {
    let stand = Stand::new().await;
    let plain = stand.test.workspace();
    let raised = plain.replace("/ws1", "/ws2");
    let body = json!({"location": "local", "properties": {"hbiWorkspace": true}});
    let (status, made) = stand.ask(Method::PUT, &raised, body.clone()).await;
    assert_eq!((status, &made["properties"]["hbiWorkspace"]), (201, &json!(true)), "{made}");
    assert_eq!(made["properties"]["sendDiagnostics"], false);
    let flag =
        async |place: &str| stand.ask(Method::GET, place, Value::Null).await.1["properties"]["hbiWorkspace"].clone();
    assert_eq!((flag(&raised).await, flag(&plain).await), (json!(true), json!(false)));
    for (method, place, said) in [
        (Method::PATCH, &plain, json!(true)),
        (Method::PATCH, &raised, json!(false)),
        (Method::PUT, &plain, json!("true")),
        (Method::PUT, &raised, json!("False")),
    ] {
        let body = json!({"location": "local", "properties": {"hbiWorkspace": said}});
        let (status, told) = stand.ask(method.clone(), place, body).await;
        assert_eq!((status, &told["error"]["target"]), (400, &json!("properties.hbiWorkspace")), "{method} {told}");
    }
    // What is said again, or not at all, changes nothing.
    assert_eq!(stand.ask(Method::PUT, &raised, body).await.0, 200);
    let (status, told) = stand.ask(Method::PATCH, &raised, json!({"properties": {"friendlyName": "F"}})).await;
    assert_eq!((status, &told["properties"]["hbiWorkspace"]), (200, &json!(true)));
    assert_eq!((flag(&raised).await, flag(&plain).await), (json!(true), json!(false)));
    let (_, report) = stand.ask(Method::GET, &format!("{raised}/businessImpact"), Value::Null).await;
    assert_eq!((&report["hbiWorkspace"], &report["state"]), (&json!(true), &json!("Running")), "{report}");
    assert_eq!(report["findings"][0]["kind"], "node", "nothing here keeps scratch off the disk: {report}");
    // A proof that is not complete waits while the workspace rests.
    assert_eq!(stand.ask(Method::DELETE, &raised, Value::Null).await.0, 200);
    domain::impact::prove_what_is_raised(&stand.test.house).await.unwrap();
    let recovery = json!({"properties": {"allowRecoverSoftDeletedWorkspace": true}});
    assert_eq!(stand.ask(Method::PUT, &raised, recovery).await.0, 200);
    stand.build_wall();
    domain::impact::prove_what_is_raised(&stand.test.house).await.unwrap();
    let (_, report) = stand.ask(Method::GET, &format!("{raised}/businessImpact"), Value::Null).await;
    assert_eq!(report["state"], "Proven", "{report}");
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_16_raising_is_for_who_may_change_the_workspace_and_its_report_for_who_may_read_it() {
    let stand = Stand::new().await;
    stand.build_wall();
    let workspace = stand.test.workspace();
    let raise = format!("{workspace}/raiseBusinessImpact");
    let report = format!("{workspace}/businessImpact");
    let by = async |who: Who, method: Method, place: &str| {
        let body = (method != Method::GET).then(|| json!({}));
        stand.test.ask(stand.callers.token(who), method, place, body.as_ref()).await
    };
    assert_eq!(by(Who::Reader, Method::POST, &raise).await.0, 403);
    assert_eq!(by(Who::Reader, Method::GET, &report).await.1["state"], "NotRaised");
    let (status, told) = by(Who::Contributor, Method::POST, &raise).await;
    assert_eq!((status, &told["nonConforming"], &told["state"]), (200, &json!(0), &json!("Running")), "{told}");
    domain::impact::prove_what_is_raised(&stand.test.house).await.unwrap();
    let (_, told) = by(Who::Reader, Method::GET, &report).await;
    assert_eq!((&told["state"], &told["findings"]), (&json!("Proven"), &json!([])), "{told}");
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_02_a_job_starts_nowhere_without_private_scratch_and_says_where_its_own_was() {
    let stand = Stand::new().await;
    let place = |name: &str| format!("{}/jobs/{name}", stand.test.workspace());
    let by_field = json!({"properties": {"jobType": "Command", "command": "true", "highBusinessImpact": true}});
    let by_property =
        json!({"properties": {"jobType": "Command", "command": "true", "properties": {"highBusinessImpact": "True"}}});
    for body in [&by_field, &by_property] {
        let (status, told) = stand.ask(Method::PUT, &place("j1"), body.clone()).await;
        let message = told["error"]["message"].as_str().unwrap();
        assert_eq!(status, 400, "{told}");
        assert!(message.contains("private-scratch"), "{message}");
    }
    stand.build_wall();
    let wrong =
        json!({"properties": {"jobType": "Command", "command": "true", "properties": {"highBusinessImpact": "x"}}});
    assert_eq!(stand.ask(Method::PUT, &place("j1"), wrong).await.0, 400);
    let (status, made) = stand.ask(Method::PUT, &place("j1"), by_property).await;
    assert_eq!((status, &made["properties"]["highBusinessImpact"]), (201, &json!(true)), "{made}");
    assert_eq!(made["properties"]["requiredWalls"], json!(["private-scratch"]));
    let (agent, _) = begin(&stand, "j1", &[]).await;
    let scratch = async || stand.ask(Method::GET, &place("j1"), Value::Null).await.1["properties"]["scratch"].clone();
    let during = json!({
        "medium": "memory", "swap": "forbidden", "encryption": "notOnDisk", "keyId": null, "destroyedAt": null, "destroyedBy": null,
    });
    assert_eq!(scratch().await, during);
    finish(&stand, &agent, true).await;
    let after = scratch().await;
    assert_eq!(after["destroyedBy"], "cleared", "{after}");
    assert!(after["destroyedAt"].is_string(), "{after}");
    let plain = json!({"properties": {"jobType": "Command", "command": "true"}});
    let (_, made) = stand.ask(Method::PUT, &place("j2"), plain).await;
    assert_eq!(made["properties"]["highBusinessImpact"], false, "{made}");
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_17_what_leaves_is_what_the_outbox_showed_and_not_before_its_time() {
    let stand = Stand::new().await;
    let (collection, outbox) = ("/diagnostics/v1/collection", "/diagnostics/v1/outbox");
    // Who may say what leaves the installation holds the tenant, and not a subscription alone.
    let root = stand.test.owner_again().await;
    let ask = async |method: Method, place: &str, body: Value| {
        stand.test.ask(Some(&root), method, place, Some(&body).filter(|body| !body.is_null())).await
    };
    let (status, said) = ask(Method::GET, collection, Value::Null).await;
    assert_eq!((status, &said["enabled"], &said["destination"]), (200, &json!(false), &Value::Null), "{said}");
    assert_eq!(ask(Method::GET, outbox, Value::Null).await.1, json!({"value": []}));
    let receiver = Receiver::start().await;
    stand.test.elsewhere.open_to(std::slice::from_ref(&receiver.url));
    let wanted = json!({"enabled": true, "destination": format!("{}/in?key=k", receiver.url), "holdHours": 2});
    let (status, said) = ask(Method::PUT, collection, wanted).await;
    assert_eq!((status, &said["holdHours"]), (200, &json!(2)), "{said}");
    // The query is its owner's secret; what is shown stands for the whole address when it comes back.
    assert_eq!(said["destination"], json!(format!("{}/in", receiver.url)));
    let again = json!({"enabled": true, "destination": said["destination"], "holdHours": 2});
    assert_eq!(ask(Method::PUT, collection, again).await.0, 200);
    let job = json!({"properties": {
        "jobType": "Command", "command": "true", "experimentName": "churn", "environmentVariables": {"LR": "0.1"},
    }});
    let submit = async |name: &str| {
        stand.ask(Method::PUT, &format!("{}/jobs/{name}", stand.test.workspace()), job.clone()).await
    };
    assert_eq!(submit("j1").await.0, 201);
    let (_, listed) = ask(Method::GET, outbox, Value::Null).await;
    let entry = &listed["value"][0];
    assert_eq!((listed["value"].as_array().unwrap().len(), &entry["state"]), (1, &json!("Held")), "{listed}");
    let call = stand.test.client().get(&format!("{outbox}/{}", entry["id"].as_str().unwrap())).bearer(&root);
    let shown = call.send().await.unwrap().bytes(1 << 20).await.unwrap();
    assert_eq!(json!(shown.len()), entry["length"]);
    stand.test.clock.advance(Duration::from_secs(3600));
    send_what_is_due(&stand.test.house).await.unwrap();
    assert!(receiver.take().is_empty(), "it is held back for two hours");
    // A receiver that does not take it leaves it where it is.
    receiver.answers("503 Service Unavailable");
    stand.test.clock.advance(Duration::from_secs(3600));
    send_what_is_due(&stand.test.house).await.unwrap();
    receiver.take();
    let root = stand.test.owner_again().await;
    let ask = async |method: Method, place: &str, body: Value| {
        stand.test.ask(Some(&root), method, place, Some(&body).filter(|body| !body.is_null())).await
    };
    let (_, listed) = ask(Method::GET, outbox, Value::Null).await;
    assert!(listed["value"][0]["fault"].as_str().unwrap().contains("503"), "{listed}");
    receiver.answers("204 No Content");
    send_what_is_due(&stand.test.house).await.unwrap();
    let came = receiver.take();
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].body, shown.to_vec(), "byte for byte");
    assert_eq!(came[0].target, "/in?key=k");
    send_what_is_due(&stand.test.house).await.unwrap();
    assert!(receiver.take().is_empty(), "once");
    assert_eq!(ask(Method::GET, outbox, Value::Null).await.1["value"][0]["state"], "Sent");
    assert_eq!(ask(Method::DELETE, outbox, Value::Null).await.1, json!({"purged": 1}));
    stand.test.end().await;
}

/// I-03, in the forms of both protocols.
#[tokio::test(flavor = "multi_thread")]
async fn i_03_a_person_s_own_name_is_refused_in_each_protocol_s_form() {
    let stage = Stage::new().await;
    let (test, owner) = (&stage.test, stage.callers.token(Who::Owner));
    test.computer.walls.lock().unwrap().push("private-scratch");
    let admin = stage.admin().await.to_string();
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::CONTRIBUTOR);
    let body = json!({"properties": {"roleDefinitionId": definition, "principalId": admin}});
    let place =
        format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", test.workspace(), uuid::Uuid::new_v4());
    assert_eq!(test.ask(owner, Method::PUT, &place, Some(&body)).await.0, 201);
    let person = stage.tokens().await.bearer();
    let person = Some(&person);
    let job = json!({"properties": {"jobType": "Command", "command": "true"}});
    let job_place = |name: &str| format!("{}/jobs/{name}", test.workspace());
    let (status, made) = test.ask(person, Method::PUT, &job_place("run-of-admin"), Some(&job)).await;
    assert_eq!(status, 201, "{made}");
    assert!(made["properties"]["warnings"].to_string().contains("your own name"), "{made}");
    let raise = format!("{}/raiseBusinessImpact", test.workspace());
    assert_eq!(test.ask(person, Method::POST, &raise, Some(&json!({}))).await.0, 200);
    let (status, told) = test.ask(person, Method::PUT, &job_place("admin-2"), Some(&job)).await;
    assert_eq!((status, &told["error"]["target"]), (400, &json!("name")), "{told}");
    let create = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/create", test.workspace());
    let (status, told) = test.ask(person, Method::POST, &create, Some(&json!({"name": "by admin"}))).await;
    assert_eq!((status, &told["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{told}");
    assert_eq!(test.ask(person, Method::POST, &create, Some(&json!({"name": "churn"}))).await.0, 200);
    stage.end().await;
}

/// F-02: what a node gets for a run holds no credential of storage or registry; the agent's own token is all it has.
#[tokio::test(flavor = "multi_thread")]
async fn f_02_no_key_of_storage_or_registry_reaches_the_node() {
    let stand = Stand::new().await;
    stand.build_wall();
    let place = format!("{}/listKeys", stand.test.workspace());
    let (status, keys) = stand.ask(Method::POST, &place, json!({})).await;
    assert_eq!(status, 200, "{keys}");
    let storage = keys["userStorageKey"].as_str().unwrap().to_owned();
    let instrumentation = keys["appInsightsInstrumentationKey"].as_str().unwrap().to_owned();
    assert!(storage.len() > 20, "{keys}");
    let job = json!({"properties": {"jobType": "Command", "command": "true", "highBusinessImpact": true}});
    let (status, made) = stand.ask(Method::PUT, &format!("{}/jobs/j1", stand.test.workspace()), job).await;
    assert_eq!(status, 201, "{made}");
    let (_, assignment) = begin(&stand, "j1", &[]).await;
    let bootstraps: Vec<String> = {
        let started = stand.test.computer.started.lock().unwrap();
        started.values().map(|spec| spec.bootstrap.expose().clone()).collect()
    };
    for given in bootstraps.into_iter().chain([format!("{:?} {:?}", assignment.launch, assignment.files)]) {
        for key in [&storage, &instrumentation] {
            assert!(!given.contains(key.as_str()), "{given}");
        }
    }
    stand.test.end().await;
}
