//! Secrets: what is kept of them, how they end, and what is refused.

use std::{collections::BTreeSet, time::Duration};

use outbound::Method;
use serde_json::{Value, json};

use super::Bank;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_keeps_its_versions() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let body =
        json!({"value": "first", "contentType": "text", "tags": {"a": "b"}, "attributes": {"nbf": 10, "exp": 20}});
    let (status, first) = bank.ask(&keeper, Method::PUT, "secrets/Db-Password", body).await;
    assert_eq!(status, 200, "{first}");
    let attributes = &first["attributes"];
    assert_eq!(
        (&attributes["enabled"], &attributes["nbf"], &attributes["exp"]),
        (&json!(true), &json!(10), &json!(20))
    );
    assert_eq!(attributes["recoveryLevel"], "Recoverable+Purgeable");
    assert_eq!(attributes["recoverableDays"], 90);
    assert_eq!(
        (&first["value"], &first["contentType"], &first["tags"]["a"]),
        (&json!("first"), &json!("text"), &json!("b"))
    );
    let version = first["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(version.len() == 32 && version.bytes().all(|c| c.is_ascii_hexdigit()), "{version}");

    // Names are found in any casing, and shown in the first one.
    let second = bank.set(&keeper, "db-password", "second").await;
    assert!(second.contains("/secrets/Db-Password/"), "{second}");
    for (path, value) in [
        (String::from("secrets/DB-PASSWORD"), "second"),
        (String::from("secrets/db-password/"), "second"),
        (format!("secrets/db-password/{version}"), "first"),
    ] {
        assert_eq!(bank.ask(&keeper, Method::GET, &path, Value::Null).await.1["value"], value, "{path}");
    }
    // An old version changes by itself; what is not said stays; its value never changes.
    let place = format!("secrets/db-password/{version}");
    let (status, changed) = bank.ask(&keeper, Method::PATCH, &place, json!({"contentType": "x", "tags": {}})).await;
    assert_eq!((status, &changed["contentType"], &changed["attributes"]["exp"]), (200, &json!("x"), &json!(20)));
    assert!(changed["value"].is_null() && changed["tags"].is_null(), "{changed}");
    assert_eq!(bank.ask(&keeper, Method::GET, &place, Value::Null).await.1["value"], "first");

    let (_, versions) = bank.ask(&keeper, Method::GET, "secrets/db-password/versions", Value::Null).await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 2);
    assert!(versions["value"][0]["value"].is_null());
    for missing in ["secrets/none", "secrets/db-password/6f9619ff8b86d011b42d00c04fc964ff", "secrets/db-password/x"] {
        let (status, fault) = bank.ask(&keeper, Method::GET, missing, Value::Null).await;
        assert_eq!((status, &fault["error"]["code"]), (404, &json!("SecretNotFound")), "{missing}: {fault}");
    }
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_secret_cannot_be_read_and_an_expired_one_can() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    bank.set(&keeper, "s", "v").await;
    let set = async |attributes: Value| {
        bank.ask(&keeper, Method::PATCH, "secrets/s", json!({"attributes": attributes})).await.0
    };
    assert_eq!(set(json!({"enabled": false})).await, 200);
    let (status, fault) = bank.ask(&keeper, Method::GET, "secrets/s", Value::Null).await;
    assert_eq!((status, &fault["error"]["code"]), (403, &json!("Forbidden")));
    assert_eq!(fault["error"]["innererror"]["code"], "SecretDisabled");
    assert_eq!(
        bank.ask(&keeper, Method::GET, "secrets", Value::Null).await.1["value"][0]["attributes"]["enabled"],
        false
    );
    // As Azure documents it: nbf and exp say something to people, and a read is allowed outside of them.
    assert_eq!(set(json!({"enabled": true, "nbf": 1, "exp": 2})).await, 200);
    assert_eq!(bank.ask(&keeper, Method::GET, "secrets/s", Value::Null).await.0, 200);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_hold_no_values() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    for n in 0..7 {
        bank.set(&keeper, &format!("s{n}"), "canary-value").await;
    }
    for _ in 0..6 {
        bank.set(&keeper, "s0", "canary-value").await;
    }
    bank.ask(&keeper, Method::DELETE, "secrets/s6", Value::Null).await;
    for (path, expected) in [("secrets", 6), ("secrets/s0/versions", 7), ("deletedsecrets", 1)] {
        let mut place = format!("/vaults/{}/{path}?api-version=7.6&maxresults=3", bank.name());
        let mut seen = BTreeSet::new();
        let mut count = 0;
        loop {
            let (status, page) = bank.test.ask(Some(&keeper), Method::GET, &place, None).await;
            assert_eq!(status, 200, "{page}");
            assert!(!page.to_string().contains("canary-value"), "{page}");
            let entries = page["value"].as_array().unwrap();
            assert!(entries.len() <= 3);
            count += entries.len();
            seen.extend(entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["nextLink"].as_str() else { break };
            place = next.split_once(&bank.port()).unwrap().1.to_owned();
        }
        assert_eq!((count, seen.len()), (expected, expected), "{path}");
    }
    for bad in ["secrets?maxresults=0", "secrets?maxresults=26", "secrets?maxresults=x", "secrets?$skiptoken=zz"] {
        let (status, fault) = bank.ask(&keeper, Method::GET, bad, Value::Null).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{bad}");
    }
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_rests_is_recovered_or_purged() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    bank.set(&keeper, "s", "first").await;
    bank.set(&keeper, "s", "second").await;
    let (status, gone) = bank.ask(&keeper, Method::DELETE, "secrets/s", Value::Null).await;
    assert_eq!(status, 200, "{gone}");
    assert!(gone["recoveryId"].as_str().unwrap().ends_with("/deletedsecrets/s"), "{gone}");
    let rests = gone["scheduledPurgeDate"].as_i64().unwrap() - gone["deletedDate"].as_i64().unwrap();
    assert_eq!(rests, 90 * 24 * 3600);
    assert!(gone["value"].is_null());
    assert_eq!(bank.ask(&keeper, Method::GET, "secrets/s", Value::Null).await.0, 404);
    assert_eq!(bank.ask(&keeper, Method::DELETE, "secrets/s", Value::Null).await.0, 404);
    assert_eq!(bank.ask(&keeper, Method::PATCH, "secrets/s", json!({})).await.0, 404);
    let (status, fault) = bank.ask(&keeper, Method::PUT, "secrets/S", json!({"value": "third"})).await;
    assert_eq!((status, &fault["error"]["code"]), (409, &json!("Conflict")));
    assert_eq!(fault["error"]["innererror"]["code"], "ObjectIsDeletedButRecoverable");
    assert_eq!(bank.ask(&keeper, Method::GET, "deletedsecrets/s", Value::Null).await.0, 200);

    assert_eq!(bank.ask(&keeper, Method::POST, "deletedsecrets/s/recover", Value::Null).await.0, 200);
    assert_eq!(bank.ask(&keeper, Method::GET, "secrets/s", Value::Null).await.1["value"], "second");
    let (_, versions) = bank.ask(&keeper, Method::GET, "secrets/s/versions", Value::Null).await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 2, "all of it is there again");
    assert_eq!(bank.ask(&keeper, Method::GET, "deletedsecrets/s", Value::Null).await.0, 404);
    assert_eq!(bank.ask(&keeper, Method::POST, "deletedsecrets/s/recover", Value::Null).await.0, 404);
    assert_eq!(bank.ask(&keeper, Method::DELETE, "deletedsecrets/s", Value::Null).await.0, 404, "it is not deleted");

    assert_eq!(bank.ask(&keeper, Method::DELETE, "secrets/s", Value::Null).await.0, 200);
    assert_eq!(bank.ask(&keeper, Method::DELETE, "deletedsecrets/s", Value::Null).await.0, 204);
    assert_eq!(bank.ask(&keeper, Method::GET, "deletedsecrets/s", Value::Null).await.0, 404);
    bank.set(&keeper, "s", "a new life").await;
    let (_, versions) = bank.ask(&keeper, Method::GET, "secrets/s/versions", Value::Null).await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 1, "nothing of the old life is there");
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_purged_when_its_time_is_over_and_not_before() {
    let bank = Bank::new().await;
    let person = bank.person("keeper").await;
    assert_eq!(bank.assign(&person.id, domain::access::KEY_VAULT_ADMINISTRATOR, &bank.id).await, 201);
    let keeper = async || bank.token(&person.app, &person.secret, &bank.resource()).await;
    bank.set(&keeper().await, "s", "v").await;
    assert_eq!(bank.ask(&keeper().await, Method::DELETE, "secrets/s", Value::Null).await.0, 200);
    let left = async |passed: Duration| {
        bank.test.clock.advance(passed);
        domain::vault::purge_objects_due(&bank.test.house).await.unwrap();
        bank.ask(&keeper().await, Method::GET, "deletedsecrets/s", Value::Null).await.0
    };
    assert_eq!(left(DAY * 90 - Duration::from_secs(1)).await, 200);
    assert_eq!(left(Duration::from_secs(1)).await, 404);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_all_versions_back_in_the_same_subscription_and_nowhere_else() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let first = bank.set(&keeper, "s", "canary-1").await;
    bank.set(&keeper, "s", "canary-2").await;
    let (status, backup) = bank.ask(&keeper, Method::POST, "secrets/s/backup", Value::Null).await;
    assert_eq!(status, 200);
    let restore = async |vault: &str, value: &Value| {
        bank.ask_at(vault, &keeper, Method::POST, "secrets/restore", json!({"value": value})).await
    };
    let (status, fault) = restore(bank.name(), &backup["value"]).await;
    assert_eq!((status, &fault["error"]["code"]), (409, &json!("Conflict")), "the name is there");
    bank.another("elsewhere").await;
    let (status, restored) = restore("elsewhere", &backup["value"]).await;
    assert_eq!(status, 200, "{restored}");
    assert!(restored["value"].is_null());
    let get = async |path: &str| bank.ask_at("elsewhere", &keeper, Method::GET, path, Value::Null).await.1;
    assert_eq!(get("secrets/s").await["value"], "canary-2");
    let version = first.rsplit('/').next().unwrap();
    assert_eq!(get(&format!("secrets/s/{version}")).await["value"], "canary-1");

    let text = backup["value"].as_str().unwrap();
    let mut flipped = text.as_bytes().to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    bank.another("third").await;
    for bad in [json!(flipped), json!(&text[..40]), json!(""), json!("not base64!")] {
        let (status, fault) = restore("third", &bad).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{bad}");
    }
    // A secret may bear the name of the verb.
    bank.set(&keeper, "restore", "v").await;
    assert_eq!(bank.ask(&keeper, Method::GET, "secrets/restore", Value::Null).await.1["value"], "v");
    assert_eq!(bank.ask(&keeper, Method::POST, "secrets/s", json!({})).await.0, 400);

    let stranger = Bank::new().await;
    let other = stranger.keeper().await;
    let (status, fault) = stranger.ask(&other, Method::POST, "secrets/restore", json!({"value": text})).await;
    assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "another tenant");
    stranger.test.end().await;
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_what_is_wrong_with_it() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    let tags: serde_json::Map<_, _> = (0..16).map(|n| (format!("t{n}"), json!("v"))).collect();
    let value = |bytes: usize| json!({"value": "x".repeat(bytes)});
    for (path, body) in [
        ("secrets/a_b", value(1)),
        ("secrets/a%20b", value(1)),
        ("secrets/s", value(25 * 1024 + 1)),
        ("secrets/s", json!({})),
        ("secrets/s", json!({"value": 5})),
        ("secrets/s", json!(["value"])),
        ("secrets/s", json!({"value": "v", "tags": tags})),
        ("secrets/s", json!({"value": "v", "contentType": "t".repeat(256)})),
        ("secrets/s", json!({"value": "v", "attributes": {"nbf": 5, "exp": 5}})),
        ("secrets/s", json!({"value": "v", "attributes": {"exp": -1}})),
    ] {
        let (status, fault) = bank.ask(&keeper, Method::PUT, path, body).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{path}: {fault}");
    }
    assert_eq!(bank.ask(&keeper, Method::PUT, "secrets/s", value(25 * 1024)).await.0, 200);
    let huge = bank.ask(&keeper, Method::PUT, "secrets/s", value(1 << 20)).await;
    assert_eq!(huge.0, 413, "{}", huge.1);
    for version in ["", "?api-version=", "?api-version=2016-10-01", "?api-version=7.7"] {
        let place = format!("/vaults/{}/secrets/s{version}", bank.name());
        let (status, fault) = bank.test.ask(Some(&keeper), Method::GET, &place, None).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{version}: {fault}");
    }
    bank.test.end().await;
}

/// Each operation leaves one record that names who and what, and never a value.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_recorded_without_values() {
    let bank = Bank::new().await;
    let keeper = bank.keeper().await;
    bank.set(&keeper, "s", "canary-5d1f").await;
    for (method, path, body) in [
        (Method::GET, "secrets/s", Value::Null),
        (Method::PATCH, "secrets/s", json!({"tags": {"canary-5d1f": "canary-5d1f"}})),
        (Method::GET, "secrets", Value::Null),
        (Method::POST, "secrets/s/backup", Value::Null),
        (Method::DELETE, "secrets/s", Value::Null),
        (Method::POST, "deletedsecrets/s/recover", Value::Null),
        (Method::DELETE, "secrets/s", Value::Null),
        (Method::DELETE, "deletedsecrets/s", Value::Null),
    ] {
        let (status, said) = bank.ask(&keeper, method, path, body).await;
        assert!(status < 300, "{path}: {said}");
    }
    bank.test.house.flush_reads().await.unwrap();
    let events = "providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01";
    let (status, log) =
        bank.test.ask(bank.owner(), Method::GET, &format!("{}/{events}", bank.test.subscription()), None).await;
    assert_eq!(status, 200, "{log}");
    assert!(!log.to_string().contains("canary-5d1f"));
    let of = |action: &str| {
        let name = format!("Microsoft.KeyVault/vaults/secrets/{action}");
        let all = log["value"].as_array().unwrap();
        all.iter().filter(|event| event["operationName"]["value"] == name.as_str()).count()
    };
    for (action, count) in [
        ("setSecret/action", 1),
        ("getSecret/action", 1),
        ("update/action", 1),
        ("readMetadata/action", 1),
        ("backup/action", 1),
        ("delete", 2),
        ("recover/action", 1),
        ("purge/action", 1),
    ] {
        assert_eq!(of(action), count, "{action}: {log}");
    }
    bank.test.end().await;
}
