//! Renewing certificates when it is time and telling of their end; what a vault has for all its certificates.

use std::time::Duration;

use domain::{
    access::KEY_VAULT_ADMINISTRATOR,
    vault::{look_after_certificates, purge_objects_due},
};
use outbound::Method;
use serde_json::{Value, json};

use super::{
    Bank,
    certificates::{create, get, policy, version},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_renews_a_certificate_and_tells_of_its_end_in_time_and_once() {
    let bank = Bank::new().await;
    let person = bank.person("keeper").await;
    bank.assign(&person.id, KEY_VAULT_ADMINISTRATOR, &bank.id).await;
    let keeper = async || bank.token(&person.app, &person.secret, &bank.resource()).await;
    let who = keeper().await;
    let mut kept = policy("Self");
    kept["x509_props"]["validity_months"] = json!(3);
    kept["lifetime_actions"] = json!([
        {"trigger": {"days_before_expiry": 30}, "action": {"action_type": "AutoRenew"}},
        {"trigger": {"lifetime_percentage": 50}, "action": {"action_type": "EmailContacts"}},
    ]);
    create(&bank, &who, "web", kept).await;
    let body = json!({"tags": {"team": "a"}});
    bank.ask(&who, Method::PATCH, "certificates/web", body).await;
    let first = get(&bank, &who, "certificates/web").await;
    let days =
        (first["attributes"]["exp"].as_i64().unwrap() - first["attributes"]["created"].as_i64().unwrap()) / 86_400;
    assert!((89..=92).contains(&days), "{first}");
    let pass = async |days: u32| {
        bank.test.clock.advance(DAY * days);
        look_after_certificates(&bank.test.house).await.unwrap();
        let who = keeper().await;
        get(&bank, &who, "certificates/web/versions").await["value"].as_array().unwrap().len()
    };
    let told = async || super::rotation::times(&bank, "certificates/nearExpiry/action").await;
    assert_eq!((pass(40).await, told().await), (1, 0));
    assert_eq!((pass(10).await, told().await), (1, 1));
    assert_eq!((pass(1).await, told().await), (1, 1));
    assert_eq!(pass(12).await, 2);
    assert_eq!(pass(0).await, 2);
    let who = keeper().await;
    let next = get(&bank, &who, "certificates/web").await;
    assert_eq!(next["tags"]["team"], "a");
    assert_ne!(next["cer"], first["cer"]);
    let id = version(&next);
    get(&bank, &who, &format!("keys/web/{id}")).await;
    get(&bank, &who, &format!("secrets/web/{id}")).await;
    // Disabled it rests; deleted it is purged with its pair when its time is over.
    bank.ask(&who, Method::PATCH, "certificates/web", json!({"attributes": {"enabled": false}})).await;
    assert_eq!(pass(80).await, 2);
    let who = keeper().await;
    bank.ask(&who, Method::DELETE, "certificates/web", Value::Null).await;
    bank.test.clock.advance(DAY * 91);
    purge_objects_due(&bank.test.house).await.unwrap();
    let who = keeper().await;
    for place in ["deletedcertificates/web", "deletedkeys/web", "deletedsecrets/web"] {
        assert_eq!(bank.ask(&who, Method::GET, place, Value::Null).await.0, 404, "{place}");
    }
    look_after_certificates(&bank.test.house).await.unwrap();
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_kept_and_no_authority_is_connected() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    let (status, fault) = bank.ask(&who, Method::GET, "certificates/contacts", Value::Null).await;
    assert_eq!((status, &fault["error"]["code"]), (404, &json!("ContactsNotFound")));
    let list = json!([{"email": "a@example.com", "name": "A", "phone": "1"}, {"email": "b@example.com"}]);
    let (status, set) = bank.ask(&who, Method::PUT, "certificates/contacts", json!({"contacts": list})).await;
    assert_eq!((status, &set["contacts"]), (200, &list));
    assert_eq!(get(&bank, &who, "certificates/contacts").await["contacts"], list);
    for bad in [json!([]), json!([{"email": "nobody"}]), json!([{"email": "a@b", "name": "x".repeat(255)}])] {
        assert_eq!(bank.ask(&who, Method::PUT, "certificates/contacts", json!({"contacts": bad})).await.0, 400);
    }
    let (status, gone) = bank.ask(&who, Method::DELETE, "certificates/contacts", Value::Null).await;
    assert_eq!((status, &gone["contacts"]), (200, &list));
    assert_eq!(bank.ask(&who, Method::DELETE, "certificates/contacts", Value::Null).await.0, 404);

    assert_eq!(get(&bank, &who, "certificates/issuers").await["value"], json!([]));
    let place = "certificates/issuers/ours";
    for (method, status, code) in [
        (Method::GET, 404, "CertificateIssuerNotFound"),
        (Method::DELETE, 404, "CertificateIssuerNotFound"),
        (Method::PUT, 400, "NotSupported"),
        (Method::PATCH, 400, "NotSupported"),
    ] {
        let (found, fault) = bank.ask(&who, method, place, Value::Null).await;
        assert_eq!((found, &fault["error"]["code"]), (status, &json!(code)), "{fault}");
    }
    bank.test.end().await;
}
