//! Who is handed a secret, and what is kept of that: names, never values (requirements X-11 and H-05).

use outbound::Method;
use serde_json::{Value, json};

use super::stand::{ML, Scene};
use crate::house::Who;

const FIRST: &str = "canary-of-the-first-version";
const SECOND: &str = "canary-of-the-second-version";

#[tokio::test(flavor = "multi_thread")]
async fn x_11_a_secret_is_named_in_the_job_and_its_value_goes_to_the_agent_alone() {
    let scene = Scene::new().await;
    let first = scene.bank.set(&scene.keeper, "db-password", FIRST).await;
    let version = first.rsplit('/').next().unwrap();
    scene.bank.set(&scene.keeper, "db-password", SECOND).await;
    scene.bank.set(&scene.keeper, "unnamed", "canary-that-nobody-names").await;
    let variables = json!({
        "NEW": "secret://db-password", "OLD": format!("secret://DB-Password/{version}"), "LR": "0.1",
    });
    let (status, made) = scene.submit(scene.owner(), "j1", variables.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["environmentVariables"], variables, "shown as it was written");
    assert_eq!(made["properties"]["warnings"], json!([]));
    scene.submit(scene.owner(), "j2", json!({})).await;

    let agent = scene.begin("j1").await;
    assert_eq!(agent.assignment["variables"]["NEW"], "secret://db-password", "{}", agent.assignment);
    let (status, found) = scene.fetch(&agent.token, "j1").await;
    assert_eq!((status, &found), (200, &json!({"values": {"NEW": SECOND, "OLD": FIRST}})));
    let other = scene.begin("j2").await;
    assert_eq!(scene.fetch(&other.token, "j2").await, (200, json!({"values": {}})));
    // Nobody else, whatever they hold: an owner, the vault's keeper, another run, somebody without a token.
    assert_eq!(scene.fetch(&other.token, "j1").await.0, 404);
    assert_eq!(scene.fetch(scene.owner(), "j1").await.0, 404);
    assert_eq!(scene.fetch(&scene.keeper, "j1").await.0, 401);
    assert_eq!(scene.fetch(scene.bank.callers.token(Who::Stranger).unwrap(), "j1").await.0, 404);

    // The run asked, the workspace's identity read: two records that belong together, with names alone.
    let asked = scene.records(&format!("{ML}/metadata/secrets/read")).await;
    let by_run = asked.iter().find(|event| event["properties"]["run"] == "j1").expect("the run's record");
    assert_eq!(by_run["properties"]["secrets"], "NEW: db-password, OLD: DB-Password", "{by_run}");
    let read = scene.records("Microsoft.KeyVault/vaults/secrets/getSecret/action").await;
    assert_eq!(read.len(), 2, "{read:?}");
    for event in &read {
        assert_eq!(event["correlationId"], by_run["correlationId"], "{event}");
        assert_eq!(event["caller"], "ws1", "{event}");
    }
    let submitted = scene.records(&format!("{ML}/jobs/write")).await;
    let submitted = submitted.iter().find(|event| !event["properties"]["secrets"].is_null()).unwrap();
    assert_eq!(submitted["properties"]["secrets"], "DB-Password, db-password", "{submitted}");
    for text in [
        json!(asked),
        json!(read),
        json!(submitted),
        scene.ask(scene.owner(), Method::GET, &scene.job("j1"), Value::Null).await.1,
    ] {
        assert!(!text.to_string().contains("canary"), "{text}");
    }
    agent.finish(&scene).await;
    assert_eq!(scene.fetch(&agent.token, "j1").await.0, 401, "the run is over");
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_who_may_not_read_secrets_names_none_and_learns_nothing() {
    let scene = Scene::new().await;
    scene.bank.set(&scene.keeper, "there", FIRST).await;
    scene.bank.set(&scene.keeper, "shut", FIRST).await;
    let shut = json!({"attributes": {"enabled": false}});
    assert_eq!(scene.bank.ask(&scene.keeper, Method::PATCH, "secrets/shut", shut).await.0, 200);
    let actions = ["read", "jobs/read", "jobs/write"].map(|action| format!("{ML}/{action}"));
    let (outsider, _) = scene.with_actions("submits", &actions.each_ref().map(String::as_str)).await;
    let mut told = Vec::new();
    for name in ["there", "missing", "shut"] {
        let (status, said) = scene.submit(&outsider, "j1", json!({"A": format!("secret://{name}")})).await;
        assert_eq!(status, 403, "{said}");
        told.push(said["error"]["message"].as_str().unwrap().to_owned());
    }
    assert!(told[0].contains(&format!("{ML}/metadata/secrets/read")), "{}", told[0]);
    assert!(told.iter().all(|said| *said == told[0]), "{told:?}");
    assert_eq!(scene.submit(&outsider, "j1", json!({"A": "x"})).await.0, 201, "without secrets all is as before");

    let wrong = [
        ("secret://missing", "was not found"),
        ("secret://there/6f9619ff8b86d011b42d00c04fc964ff", "has no version"),
        ("secret://shut", "disabled"),
        ("secret://", "must be"),
        ("secret://a_b", "must be"),
        ("secret://there/1", "must be"),
        ("SECRET://there", "lower case"),
    ];
    for (value, why) in wrong {
        let (status, said) = scene.submit(scene.owner(), "j2", json!({"PLAIN": "x", "DB_KEY": value})).await;
        let message = said["error"]["message"].as_str().unwrap();
        assert_eq!(status, 400, "{value}: {said}");
        assert!(message.contains("`DB_KEY`") && message.contains(why), "{value}: {message}");
        assert_eq!(said["error"]["target"], "properties.environmentVariables", "{said}");
    }
    let many: serde_json::Map<String, Value> =
        (0..65).map(|n| (format!("A{n}"), json!(format!("secret://s{n}")))).collect();
    let (status, said) = scene.submit(scene.owner(), "j2", Value::Object(many)).await;
    assert!(status == 400 && said.to_string().contains("at most 64"), "{said}");
    assert_eq!(
        scene.ask(scene.owner(), Method::GET, &scene.job("j2"), Value::Null).await.0,
        404,
        "nothing is half done"
    );
    scene.bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_handed_out_only_while_submitter_secret_and_identity_allow_it() {
    let scene = Scene::new().await;
    scene.bank.set(&scene.keeper, "s", FIRST).await;
    let actions = ["read", "jobs/read", "jobs/write", "metadata/secrets/read"].map(|action| format!("{ML}/{action}"));
    let (person, assignment) = scene.with_actions("submits", &actions.each_ref().map(String::as_str)).await;
    assert_eq!(scene.submit(&person, "j1", json!({"A": "secret://s"})).await.0, 201);
    assert_eq!(scene.submit(scene.owner(), "j2", json!({"A": "secret://s"})).await.0, 201);
    let (theirs, owners) = (scene.begin("j1").await, scene.begin("j2").await);
    assert_eq!(scene.fetch(&theirs.token, "j1").await.0, 200);

    // The submitter loses the right: their run is refused, the owner's is not.
    assert_eq!(scene.ask(scene.owner(), Method::DELETE, &assignment, Value::Null).await.0, 200);
    let (status, said) = scene.fetch(&theirs.token, "j1").await;
    assert!(status == 403 && said["message"].as_str().unwrap().contains("may not read secrets"), "{said}");
    assert_eq!(scene.fetch(&owners.token, "j2").await.0, 200);

    // Who keeps the vault behind rules of its own lets the server in.
    let body = json!({"properties": {"publicNetworkAccess": "Disabled"}});
    assert_eq!(scene.ask(scene.owner(), Method::PATCH, &scene.bank.id, body).await.0, 200);
    assert_eq!(scene.bank.ask(&scene.keeper, Method::GET, "secrets/s", Value::Null).await.0, 403);
    assert_eq!(scene.fetch(&owners.token, "j2").await.0, 200);
    let body = json!({"properties": {"publicNetworkAccess": "Enabled"}});
    assert_eq!(scene.ask(scene.owner(), Method::PATCH, &scene.bank.id, body).await.0, 200);

    // It is never 404 or 401: those tell an agent that its run is over.
    let refused = async |why: &str| {
        let (status, said) = scene.fetch(&owners.token, "j2").await;
        let message = said["message"].as_str().unwrap().to_owned();
        assert!(status == 409 && message.contains("variable `A`") && message.contains(why), "{said}");
    };
    let enabled = async |word: bool| {
        let body = json!({"attributes": {"enabled": word}});
        assert_eq!(scene.bank.ask(&scene.keeper, Method::PATCH, "secrets/s", body).await.0, 200);
    };
    enabled(false).await;
    refused("disabled").await;
    enabled(true).await;
    assert_eq!(scene.bank.ask(&scene.keeper, Method::DELETE, "secrets/s", Value::Null).await.0, 200);
    refused("not in the workspace's key vault any more").await;
    assert_eq!(scene.bank.ask(&scene.keeper, Method::POST, "deletedsecrets/s/recover", Value::Null).await.0, 200);
    scene.bank.set(&scene.keeper, "s", "with\0zero").await;
    refused("zero byte").await;
    scene.bank.set(&scene.keeper, "s", SECOND).await;
    assert_eq!(scene.fetch(&owners.token, "j2").await.1, json!({"values": {"A": SECOND}}));
    scene.bank.test.end().await;
}
