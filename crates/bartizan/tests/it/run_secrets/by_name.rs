//! Secrets of a workspace by name, in the form of azureml-core's `Keyvault` (requirements H-04 and H-05).

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::stand::{ML, Scene};
use crate::house::Who;

const VALUE: &str = "canary-that-is-asked-for";

/// The place of the workspace's secrets.
fn place(scene: &Scene, below: &str) -> String {
    format!("/credential/v2.0{}/secrets{below}", scene.bank.test.workspace())
}

async fn ask(scene: &Scene, who: &Secret<String>, method: Method, below: &str, body: Value) -> (u16, Value) {
    scene.ask(who, method, &place(scene, below), body).await
}

async fn get_many(scene: &Scene, who: &Secret<String>, names: &[&str]) -> (u16, Value) {
    let names: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    ask(scene, who, Method::POST, ":getbatch", json!({"secrets": names})).await
}

fn message(said: &Value) -> &str {
    said["error"]["message"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn h_04_secrets_are_set_read_listed_and_deleted_by_name() {
    let scene = Scene::new().await;
    let owner = scene.owner();
    let one = json!({"name": "db-password", "value": VALUE, "contentType": "application/vnd.ms-password"});
    let (status, said) = ask(&scene, owner, Method::PUT, "", one).await;
    assert_eq!((status, &said), (200, &json!({"name": "db-password"})), "the value is not told again");
    let two = json!({"secrets": [{"name": "a", "value": "1"}, {"name": "b", "value": "2", "contentType": "application/NotProvided"}]});
    assert_eq!(ask(&scene, owner, Method::PUT, ":putbatch", two).await.0, 200);
    let (status, found) = ask(&scene, owner, Method::GET, "/db-password", Value::Null).await;
    assert_eq!(
        (status, &found["value"], &found["contentType"]),
        (200, &json!(VALUE), &json!("application/vnd.ms-password"))
    );
    assert!(found["createdTime"].as_str().unwrap().ends_with('Z'), "{found}");
    // Names that no secret has are told apart, and case does not count.
    let (status, found) = get_many(&scene, owner, &["A", "missing", "b", "a"]).await;
    assert_eq!((status, &found["notFoundSecrets"]), (200, &json!(["missing"])), "{found}");
    let pairs: Vec<_> = found["secrets"].as_array().unwrap().iter().map(|one| (&one["name"], &one["value"])).collect();
    assert_eq!(pairs, [(&json!("A"), &json!("1")), (&json!("b"), &json!("2"))]);
    assert_eq!(found["secrets"][1]["contentType"], "application/NotProvided");
    let (_, listed) = ask(&scene, owner, Method::GET, "", Value::Null).await;
    let mut names: Vec<&str> =
        listed["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!((names.as_slice(), &listed["continuationToken"]), (["a", "b", "db-password"].as_slice(), &Value::Null));
    // They are the vault's own, with versions.
    assert_eq!(scene.bank.ask(&scene.keeper, Method::GET, "secrets/a", Value::Null).await.1["value"], "1");
    let (status, said) = ask(&scene, owner, Method::GET, "/missing", Value::Null).await;
    assert!(status == 404 && message(&said).contains("`missing`"), "{said}");

    assert_eq!(ask(&scene, owner, Method::DELETE, "/a", Value::Null).await.0, 200);
    assert_eq!(ask(&scene, owner, Method::DELETE, "/a", Value::Null).await.0, 404);
    let (status, said) =
        ask(&scene, owner, Method::POST, ":deletebatch", json!({"secrets": [{"name": "b"}, {"name": "a"}]})).await;
    assert_eq!(status, 404, "{said}");
    assert_eq!(ask(&scene, owner, Method::GET, "/b", Value::Null).await.0, 200, "nothing is half done");
    // A deleted name rests; nothing of a batch that holds it is set.
    let both = json!({"secrets": [{"name": "fresh", "value": "1"}, {"name": "a", "value": "3"}]});
    let (status, said) = ask(&scene, owner, Method::PUT, ":putbatch", both).await;
    assert_eq!((status, &said["error"]["code"]), (409, &json!("ObjectIsDeletedButRecoverable")), "{said}");
    assert_eq!(ask(&scene, owner, Method::GET, "/fresh", Value::Null).await.0, 404);
    for record in scene.records(&format!("{ML}/metadata/secrets/write")).await {
        assert!(record["properties"]["secrets"].is_string() && !record.to_string().contains(VALUE), "{record}");
    }
    let set = scene.records("Microsoft.KeyVault/vaults/secrets/setSecret/action").await;
    assert!(set.len() == 3 && set.iter().all(|event| event["caller"] == "ws1"), "{set:?}");
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_what_to_do() {
    let scene = Scene::new().await;
    let owner = scene.owner();
    let long = "x".repeat(25 * 1024 + 1);
    let many: Vec<Value> = (0..65).map(|n| json!({"name": format!("s{n}"), "value": "x"})).collect();
    let cases = [
        (Method::PUT, "", json!({"name": "a_b", "value": "x"}), "letters, digits"),
        (Method::PUT, "", json!({"name": "a"}), "is required"),
        (Method::PUT, "", json!({"value": "x"}), "name"),
        (Method::PUT, "", json!({"name": "a", "value": long}), "at most 25600 bytes"),
        (
            Method::PUT,
            ":putbatch",
            json!({"secrets": [{"name": "a", "value": "x"}, {"name": "A", "value": "y"}]}),
            "twice",
        ),
        (
            Method::PUT,
            ":putbatch",
            json!({"secrets": [{"name": "a", "value": "x"}, {"name": "b c", "value": "y"}]}),
            "letters",
        ),
        (Method::PUT, ":putbatch", json!({"secrets": many}), "1 to 64"),
        (Method::PUT, ":putbatch", json!({}), "1 to 64"),
        (Method::POST, ":getbatch", json!({"secrets": many}), "1 to 64"),
        (Method::POST, ":getbatch", json!({"secrets": []}), "1 to 64"),
        (Method::PUT, "?systemSecret=true", json!({"name": "a", "value": "x"}), "systemSecret"),
        (Method::GET, "/x?systemSecret=True", Value::Null, "systemSecret"),
    ];
    for (method, below, body, why) in cases {
        let (status, said) = ask(&scene, owner, method, below, body).await;
        assert!(status == 400 && message(&said).contains(why), "{below} {why}: {status} {said}");
    }
    assert_eq!(ask(&scene, owner, Method::GET, "/a", Value::Null).await.0, 404, "nothing was set");
    scene.bank.set(&scene.keeper, "shut", VALUE).await;
    let shut = json!({"attributes": {"enabled": false}});
    assert_eq!(scene.bank.ask(&scene.keeper, Method::PATCH, "secrets/shut", shut).await.0, 200);
    let (status, said) = get_many(&scene, owner, &["shut"]).await;
    assert!(status == 409 && message(&said).contains("`shut` is disabled"), "{said}");
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_values_are_for_those_who_could_have_them_in_a_run() {
    let scene = Scene::new().await;
    scene.bank.set(&scene.keeper, "s", VALUE).await;
    let with = async |name: &str, actions: &[&str]| {
        let actions: Vec<String> = actions.iter().map(|action| format!("{ML}/{action}")).collect();
        scene.with_actions(name, &actions.iter().map(String::as_str).collect::<Vec<_>>()).await.0
    };
    let callers = [
        ("an owner", scene.owner().clone(), 200),
        ("a contributor", scene.bank.callers.token(Who::Contributor).unwrap().clone(), 200),
        ("who may submit and read", with("both", &["read", "jobs/write", "metadata/secrets/read"]).await, 200),
        ("who may read alone", with("reads", &["*/read"]).await, 403),
        ("who may submit alone", with("submits", &["read", "jobs/write", "jobs/read"]).await, 403),
        ("a reader", scene.bank.callers.token(Who::Reader).unwrap().clone(), 403),
        ("a stranger", scene.bank.callers.token(Who::Stranger).unwrap().clone(), 404),
    ];
    for (who, token, due) in &callers {
        for (method, below, body) in [
            (Method::GET, "/s", Value::Null),
            (Method::GET, "/missing", Value::Null),
            (Method::GET, "", Value::Null),
            (Method::POST, ":getbatch", json!({"secrets": [{"name": "s"}]})),
        ] {
            let (status, said) = ask(&scene, token, method, below, body).await;
            let due = if *due == 200 && below == "/missing" { 404 } else { *due };
            assert_eq!(status, due, "{who} {below}: {said}");
            assert!(due == 200 || !said.to_string().contains(VALUE), "{said}");
        }
    }
    let (writer, reader) = (with("writes", &["read", "metadata/secrets/write"]).await, &callers[5].1);
    let one = json!({"name": "w", "value": "x"});
    assert_eq!(ask(&scene, &writer, Method::PUT, "", one.clone()).await.0, 200);
    assert_eq!(ask(&scene, &writer, Method::GET, "/w", Value::Null).await.0, 403);
    assert_eq!(ask(&scene, &writer, Method::DELETE, "/w", Value::Null).await.0, 403);
    assert_eq!(ask(&scene, reader, Method::PUT, "", one).await.0, 403);
    let (status, _) = scene.bank.test.ask(None, Method::GET, &place(&scene, "/s"), None).await;
    assert_eq!(status, 401);
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_a_run_asks_by_name_while_its_submitter_may_read_and_changes_nothing() {
    let scene = Scene::new().await;
    scene.bank.set(&scene.keeper, "s", VALUE).await;
    let actions = ["read", "jobs/read", "jobs/write", "metadata/secrets/read"].map(|action| format!("{ML}/{action}"));
    let (person, assignment) = scene.with_actions("submits", &actions.each_ref().map(String::as_str)).await;
    assert_eq!(scene.submit(&person, "j1", json!({})).await.0, 201);
    let run = scene.begin("j1").await;
    // None of them is named in its variables.
    let (status, found) = get_many(&scene, &run.token, &["s", "missing"]).await;
    assert_eq!(
        (status, &found["secrets"][0]["value"], &found["notFoundSecrets"]),
        (200, &json!(VALUE), &json!(["missing"]))
    );
    assert_eq!(ask(&scene, &run.token, Method::GET, "/s", Value::Null).await.1["value"], VALUE);
    let records = scene.records(&format!("{ML}/metadata/secrets/read")).await;
    let record = records.iter().find(|record| record["properties"]["run"] == "j1").expect("the run's record");
    assert!(
        record["properties"]["secrets"].as_str().unwrap().contains('s') && !record.to_string().contains(VALUE),
        "{record}"
    );
    // A run reads by name: it lists, sets and deletes nothing, and has nothing of another workspace.
    let one = json!({"name": "s", "value": "changed"});
    for (method, below, body) in [
        (Method::GET, "", Value::Null),
        (Method::PUT, "", one),
        (Method::PUT, ":putbatch", json!({"secrets": []})),
        (Method::DELETE, "/s", Value::Null),
        (Method::POST, ":deletebatch", json!({"secrets": [{"name": "s"}]})),
    ] {
        assert_eq!(ask(&scene, &run.token, method.clone(), below, body).await.0, 403, "{method} {below}");
    }
    let elsewhere = place(&scene, "/s").replace("/ws1/", "/ws2/");
    assert_eq!(scene.ask(&run.token, Method::GET, &elsewhere, Value::Null).await.0, 404);

    assert_eq!(scene.ask(scene.owner(), Method::DELETE, &assignment, Value::Null).await.0, 200);
    let (status, said) = ask(&scene, &run.token, Method::GET, "/s", Value::Null).await;
    assert!(status == 403 && message(&said).contains("may not read secrets"), "{said}");
    run.finish(&scene).await;
    assert_eq!(ask(&scene, &run.token, Method::GET, "/s", Value::Null).await.0, 401, "the run is over");
    scene.bank.test.end().await;
}
