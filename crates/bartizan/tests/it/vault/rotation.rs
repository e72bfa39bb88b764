//! Rotating keys when it is time, telling of their end, and what the log says of keys.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::look_after_rotations;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn create(bank: &Bank, who: &Secret<String>, name: &str, body: Value) -> Value {
    let (status, made) = bank.ask(who, Method::POST, &format!("keys/{name}/create"), body).await;
    assert_eq!(status, 200, "{made}");
    made
}

/// What the log says of keys: pairs of an action's end and the record's details.
async fn records(bank: &Bank) -> Vec<(String, Value)> {
    bank.test.house.flush_reads().await.unwrap();
    let owner = bank.test.owner_again().await;
    let place = "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=eventTimestamp%20ge%20'2000-01-01T00:00:00Z'";
    let (status, log) = bank.test.ask(Some(&owner), Method::GET, &(bank.test.subscription() + place), None).await;
    assert_eq!(status, 200, "{log}");
    let all = log["value"].as_array().unwrap().iter().map(|event| {
        let action = event["operationName"]["value"].as_str().unwrap();
        (action.replace("Microsoft.KeyVault/vaults/", ""), event.clone())
    });
    all.collect()
}

/// How often the log says that something was done.
pub(super) async fn times(bank: &Bank, action: &str) -> usize {
    records(bank).await.iter().filter(|(done, _)| done == action).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_rotates_a_key_and_tells_of_its_end_in_time_and_once() {
    let bank = Bank::new().await;
    let person = bank.person("keeper").await;
    bank.assign(&person.id, domain::access::KEY_VAULT_ADMINISTRATOR, &bank.id).await;
    let keeper = async || bank.token(&person.app, &person.secret, &bank.resource()).await;
    let who = keeper().await;
    create(&bank, &who, "k", json!({"kty": "oct"})).await;
    let (status, usual) = bank.ask(&who, Method::GET, "keys/k/rotationpolicy", Value::Null).await;
    assert_eq!((status, &usual["lifetimeActions"][0]["action"]["type"]), (200, &json!("Notify")));
    let policy = json!({
        "lifetimeActions": [
            {"trigger": {"timeAfterCreate": "P60D"}, "action": {"type": "Rotate"}},
            {"trigger": {"timeBeforeExpiry": "P50D"}, "action": {"type": "Notify"}},
        ],
        "attributes": {"expiryTime": "P90D"},
    });
    let (status, set) = bank.ask(&who, Method::PUT, "keys/k/rotationpolicy", policy.clone()).await;
    assert_eq!(status, 200, "{set}");
    assert!(set["id"].as_str().unwrap().ends_with("/keys/k/rotationpolicy"), "{set}");
    let (_, kept) = bank.ask(&who, Method::GET, "keys/K/rotationpolicy", Value::Null).await;
    assert_eq!(
        (&kept["lifetimeActions"], &kept["attributes"]["expiryTime"]),
        (&policy["lifetimeActions"], &json!("P90D"))
    );
    let versions = async || {
        let (_, list) = bank.ask(&keeper().await, Method::GET, "keys/k/versions", Value::Null).await;
        list["value"].as_array().unwrap().len()
    };
    let pass = async |days: u32| {
        bank.test.clock.advance(DAY * days);
        look_after_rotations(&bank.test.house).await.unwrap();
        versions().await
    };
    // The first version never ends, so nobody is told; it is rotated after 60 days, and the next one ends 90 days later.
    assert_eq!(pass(59).await, 1);
    assert_eq!(pass(1).await, 2);
    let (_, newest) = bank.ask(&keeper().await, Method::GET, "keys/k", Value::Null).await;
    let attributes = &newest["attributes"];
    assert_eq!(attributes["exp"].as_i64().unwrap() - attributes["created"].as_i64().unwrap(), 90 * 24 * 3600);
    let told = async || times(&bank, "keys/nearExpiry/action").await;
    assert_eq!(pass(39).await, 2);
    assert_eq!(told().await, 0);
    assert_eq!(pass(1).await, 2);
    assert_eq!(pass(1).await, 2);
    assert_eq!(told().await, 1);
    // A disabled key rests, and a deleted one too.
    let who = keeper().await;
    bank.ask(&who, Method::PATCH, "keys/k", json!({"attributes": {"enabled": false}})).await;
    assert_eq!(pass(30).await, 2);
    let who = keeper().await;
    bank.ask(&who, Method::PATCH, "keys/k", json!({"attributes": {"enabled": true}})).await;
    assert_eq!(pass(0).await, 3);
    let (_, backup) = bank.ask(&who, Method::POST, "keys/k/backup", Value::Null).await;
    bank.ask(&who, Method::DELETE, "keys/k", Value::Null).await;
    assert_eq!(bank.ask(&who, Method::DELETE, "deletedkeys/k", Value::Null).await.0, 204);
    // Brought back, it goes on being rotated.
    assert_eq!(bank.ask(&who, Method::POST, "keys/restore", backup).await.0, 200);
    assert_eq!(pass(60).await, 4);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_is_refused() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    create(&bank, &keeper, "k", json!({"kty": "oct"})).await;
    let action =
        |kind: &str, trigger: Value| json!({"lifetimeActions": [{"trigger": trigger, "action": {"type": kind}}]});
    let bad = [
        action("Rotate", json!({"timeAfterCreate": "P1D"})),
        action("Rotate", json!({"timeAfterCreate": "60 days"})),
        action("Rotate", json!({"timeBeforeExpiry": "P30D"})),
        action("Rotate", json!({"timeAfterCreate": "P30D", "timeBeforeExpiry": "P30D"})),
        action("Notify", json!({"timeAfterCreate": "P30D"})),
        action("Destroy", json!({"timeAfterCreate": "P30D"})),
        action("Rotate", json!({})),
        json!({"attributes": {"expiryTime": "P1D"}}),
        json!({"attributes": {"expiryTime": "P9999Y"}, "lifetimeActions": 7}),
    ];
    for body in bad {
        let (status, fault) = bank.ask(&keeper, Method::PUT, "keys/k/rotationpolicy", body.clone()).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{body}: {fault}");
    }
    // A life that ends after all times is found out when a version is to have it, and makes none.
    let (status, _) =
        bank.ask(&keeper, Method::PUT, "keys/k/rotationpolicy", json!({"attributes": {"expiryTime": "P9999Y"}})).await;
    assert_eq!(status, 200);
    assert_eq!(bank.ask(&keeper, Method::POST, "keys/k/rotate", Value::Null).await.0, 400);
    for path in ["keys/none/rotationpolicy", "keys/none"] {
        assert_eq!(bank.ask(&keeper, Method::GET, path, Value::Null).await.0, 404);
    }
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_use_of_a_key_is_recorded_without_values() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let made = create(&bank, &keeper, "k", json!({"kty": "oct"})).await;
    let version = made["key"]["kid"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let canary = "canary-7e19-canary-7e19-canary-7";
    let value = URL_SAFE_NO_PAD.encode(canary);
    let at = format!("keys/k/{version}");
    let body = json!({"alg": "A256KW", "value": value});
    let (_, wrapped) = bank.ask(&keeper, Method::POST, &format!("{at}/wrapkey"), body).await;
    let body = json!({"alg": "A256KW", "value": wrapped["value"]});
    let (_, opened) = bank.ask(&keeper, Method::POST, &format!("{at}/unwrapkey"), body).await;
    assert_eq!(opened["value"], value);
    let bad = json!({"alg": "A256KW", "value": value});
    assert_eq!(bank.ask(&keeper, Method::POST, &format!("{at}/unwrapkey"), bad).await.0, 400);
    let log = records(&bank).await;
    let text = format!("{log:?}");
    assert!(!text.contains("canary") && !text.contains(&value) && !text.contains(wrapped["value"].as_str().unwrap()));
    let of = |action: &str| log.iter().filter(|(name, _)| name == action).map(|(_, event)| event).collect::<Vec<_>>();
    assert_eq!(of("keys/wrap/action").len(), 1);
    assert_eq!(of("keys/unwrap/action").len(), 2, "a failure too");
    let event = of("keys/wrap/action")[0].to_string();
    assert!(event.contains("A256KW") && event.contains(&version) && event.contains("/keys/k"), "{event}");
    bank.test.end().await;
}
