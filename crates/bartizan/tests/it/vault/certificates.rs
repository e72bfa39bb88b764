//! Certificates through their doors: made, requested, brought, with their keys and secrets; who may what; what is refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::access::{KEY_VAULT_CERTIFICATE_USER, KEY_VAULT_CERTIFICATES_OFFICER, KEY_VAULT_READER};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;

/// A policy that makes keys fast.
pub(super) fn policy(issuer: &str) -> Value {
    json!({
        "issuer": {"name": issuer},
        "key_props": {"kty": "EC", "crv": "P-256"},
        "x509_props": {"subject": "CN=example.com, O=Example", "sans": {"dns_names": ["example.com"]}},
    })
}

pub(super) async fn create(bank: &Bank, who: &Secret<String>, name: &str, policy: Value) -> Value {
    let (status, made) =
        bank.ask(who, Method::POST, &format!("certificates/{name}/create"), json!({"policy": policy})).await;
    assert_eq!(status, 202, "{made}");
    made
}

pub(super) async fn get(bank: &Bank, who: &Secret<String>, path: &str) -> Value {
    let (status, found) = bank.ask(who, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {found}");
    found
}

/// The last part of an address.
pub(super) fn version(found: &Value) -> String {
    found["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The private half that a secret in PEM holds.
fn private_half(pem: &str) -> &str {
    pem.split("-----BEGIN PRIVATE KEY-----").nth(1).unwrap().split("-----END").next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_has_a_key_and_a_secret_of_the_same_versions_that_go_where_it_goes() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    let made = create(&bank, &who, "web", policy("Self")).await;
    assert_eq!((&made["status"], &made["issuer"]["name"]), (&json!("inProgress"), &json!("Self")));
    let first = get(&bank, &who, "certificates/web").await;
    assert_eq!(first["policy"]["x509_props"]["subject"], "CN=example.com, O=Example");
    assert_eq!(first["policy"]["lifetime_actions"][0]["action"]["action_type"], "AutoRenew");
    let attributes = &first["attributes"];
    assert_eq!(attributes["created"].as_i64().unwrap() - attributes["nbf"].as_i64().unwrap(), 600);
    create(&bank, &who, "web", policy("Self")).await;
    let second = get(&bank, &who, "certificates/web/").await;
    assert_ne!(version(&first), version(&second));
    for id in [version(&first), version(&second)] {
        let named = get(&bank, &who, &format!("certificates/web/{id}")).await;
        assert!(named.get("policy").is_none(), "{named}");
        let key = get(&bank, &who, &format!("keys/web/{id}")).await;
        assert_eq!((&key["managed"], &key["key"]["crv"]), (&json!(true), &json!("P-256")));
        let secret = get(&bank, &who, &format!("secrets/web/{id}")).await;
        assert_eq!((&secret["managed"], &secret["contentType"]), (&json!(true), &json!("application/x-pkcs12")));
        assert_eq!((&named["kid"], &named["sid"]), (&key["key"]["kid"], &secret["id"]));
        assert!(!STANDARD.decode(secret["value"].as_str().unwrap()).unwrap().is_empty());
        assert_eq!(secret["attributes"]["exp"], named["attributes"]["exp"]);
    }
    let listed = get(&bank, &who, "certificates/web/versions").await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 2);
    assert!(listed["value"][0]["x5t"].as_str().unwrap().len() > 20, "{listed}");

    // What came with it is changed with it alone.
    for (method, path, body) in [
        (Method::DELETE, "keys/web", Value::Null),
        (Method::DELETE, "secrets/web", Value::Null),
        (Method::PUT, "secrets/web", json!({"value": "x"})),
        (Method::PATCH, "secrets/web", json!({"attributes": {"enabled": false}})),
        (Method::POST, "keys/web/create", json!({"kty": "oct"})),
        (Method::POST, "keys/web/rotate", Value::Null),
        (Method::PUT, "keys/web/rotationpolicy", json!({"attributes": {"expiryTime": "P90D"}})),
        (Method::POST, "keys/web/backup", Value::Null),
    ] {
        let (status, fault) = bank.ask(&who, method, path, body).await;
        assert_eq!((status, &fault["error"]["code"]), (403, &json!("Forbidden")), "{path}: {fault}");
        assert!(fault.to_string().contains("belongs to a certificate"), "{fault}");
    }

    // Disabled, it is disabled whole: an older version too.
    let body = json!({"attributes": {"enabled": false}, "tags": {"a": "b"}});
    let at = format!("certificates/web/{}", version(&first));
    let (status, changed) = bank.ask(&who, Method::PATCH, &at, body).await;
    assert_eq!((status, &changed["attributes"]["enabled"], &changed["tags"]["a"]), (200, &json!(false), &json!("b")));
    let (status, fault) = bank.ask(&who, Method::GET, &format!("secrets/web/{}", version(&first)), Value::Null).await;
    assert_eq!((status, &fault["error"]["innererror"]["code"]), (403, &json!("SecretDisabled")));
    assert_eq!(get(&bank, &who, &format!("keys/web/{}", version(&first))).await["attributes"]["enabled"], false);
    get(&bank, &who, "secrets/web").await;

    // Deleted, recovered, purged: the same happens to all three.
    let places = ["certificates/web", "keys/web", "secrets/web"];
    let (status, gone) = bank.ask(&who, Method::DELETE, "certificates/web", Value::Null).await;
    assert_eq!(status, 200, "{gone}");
    assert!(gone["recoveryId"].as_str().unwrap().ends_with("/deletedcertificates/web"), "{gone}");
    for place in places {
        assert_eq!(bank.ask(&who, Method::GET, place, Value::Null).await.0, 404, "{place}");
        get(&bank, &who, &format!("deleted{place}")).await;
    }
    let (status, _) = bank.ask(&who, Method::POST, "deletedkeys/web/recover", Value::Null).await;
    assert_eq!(status, 403);
    let (status, fault) =
        bank.ask(&who, Method::POST, "certificates/web/create", json!({"policy": policy("Self")})).await;
    assert_eq!((status, &fault["error"]["innererror"]["code"]), (409, &json!("ObjectIsDeletedButRecoverable")));
    let (status, _) = bank.ask(&who, Method::POST, "deletedcertificates/web/recover", Value::Null).await;
    assert_eq!(status, 200);
    for place in places {
        get(&bank, &who, place).await;
    }
    bank.ask(&who, Method::DELETE, "certificates/web", Value::Null).await;
    assert_eq!(bank.ask(&who, Method::DELETE, "deletedcertificates/web", Value::Null).await.0, 204);
    for place in places {
        assert_eq!(bank.ask(&who, Method::GET, &format!("deleted{place}"), Value::Null).await.0, 404, "{place}");
    }
    create(&bank, &who, "web", policy("Self")).await;
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_private_half_leaves_as_an_exportable_certificate_s_secret_and_not_otherwise() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    let mut kept = policy("Self");
    kept["secret_props"] = json!({"contentType": "application/x-pem-file"});
    create(&bank, &who, "out", kept.clone()).await;
    kept["key_props"]["exportable"] = json!(false);
    create(&bank, &who, "kept", kept.clone()).await;
    let out = get(&bank, &who, "secrets/out").await["value"].as_str().unwrap().to_owned();
    assert!(out.contains("BEGIN PRIVATE KEY") && out.contains("BEGIN CERTIFICATE"));
    let value = get(&bank, &who, "secrets/kept").await["value"].as_str().unwrap().to_owned();
    assert!(!value.contains("PRIVATE") && value.contains("BEGIN CERTIFICATE"));
    // A key that was to stay is used again, and not by a policy that lets private halves leave.
    let staying = get(&bank, &who, "keys/kept").await["key"]["x"].clone();
    kept["key_props"]["reuse_key"] = json!(true);
    create(&bank, &who, "kept", kept.clone()).await;
    assert_eq!(get(&bank, &who, "keys/kept").await["key"]["x"], staying);
    kept["key_props"]["exportable"] = json!(true);
    create(&bank, &who, "kept", kept).await;
    assert_ne!(get(&bank, &who, "keys/kept").await["key"]["x"], staying);
    let value = get(&bank, &who, "secrets/kept").await["value"].as_str().unwrap().to_owned();
    assert!(value.contains("PRIVATE"));
    // With the same key again, the next version's private half is the same.
    let mut again = policy("Self");
    again["secret_props"] = json!({"contentType": "application/x-pem-file"});
    again["key_props"]["reuse_key"] = json!(true);
    create(&bank, &who, "out", again).await;
    let next = get(&bank, &who, "secrets/out").await["value"].as_str().unwrap().to_owned();
    assert_ne!(next, out);
    assert_eq!(private_half(&next), private_half(&out));
    // Whoever may read certificates alone reads no private half, here or in any answer of theirs.
    let officer = bank.with("officer", &[(KEY_VAULT_CERTIFICATES_OFFICER, &bank.id)]).await;
    let shown = get(&bank, &officer, "certificates/out").await.to_string();
    let half: String = private_half(&out).split_whitespace().collect();
    assert!(!shown.contains(half.get(40..80).unwrap()));
    assert_eq!(bank.ask(&officer, Method::GET, "secrets/out", Value::Null).await.0, 403);
    let user = bank.with("user", &[(KEY_VAULT_CERTIFICATE_USER, &bank.id)]).await;
    get(&bank, &user, "secrets/out").await;
    get(&bank, &user, "certificates/out").await;
    let body = json!({"policy": policy("Self")});
    assert_eq!(bank.ask(&user, Method::POST, "certificates/x/create", body.clone()).await.0, 403);
    let reader = bank.with("reader", &[(KEY_VAULT_READER, &bank.id)]).await;
    get(&bank, &reader, "certificates/out").await;
    assert_eq!(bank.ask(&reader, Method::GET, "secrets/out", Value::Null).await.0, 403);
    assert_eq!(bank.ask(&reader, Method::GET, "certificates/contacts", Value::Null).await.0, 403);
    let owner = bank.owner_at_vaults().await;
    assert_eq!(bank.ask(&owner, Method::GET, "certificates/out", Value::Null).await.0, 403);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_what_somebody_signs() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    let made = create(&bank, &who, "asked", policy("Unknown")).await;
    assert_eq!(made["status"], "inProgress");
    assert!(STANDARD.decode(made["csr"].as_str().unwrap()).unwrap().len() > 100);
    assert_eq!(get(&bank, &who, "certificates/asked/pending").await["request_id"], made["request_id"]);
    assert_eq!(bank.ask(&who, Method::GET, "certificates/asked", Value::Null).await.0, 404);
    let body = json!({"policy": policy("Self")});
    let (status, fault) = bank.ask(&who, Method::POST, "certificates/asked/create", body.clone()).await;
    assert_eq!((status, &fault["error"]["code"]), (409, &json!("Conflict")), "{fault}");
    // Another key's certificate is not taken, nor what is none.
    create(&bank, &who, "other", policy("Self")).await;
    let other = get(&bank, &who, "certificates/other").await["cer"].clone();
    for x5c in [json!([other]), json!(["AAAA"]), json!([]), json!(["ä"])] {
        let (status, fault) =
            bank.ask(&who, Method::POST, "certificates/asked/pending/merge", json!({"x5c": x5c})).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{x5c}: {fault}");
    }
    // Cancelled it waits no more, and forgotten it is gone.
    let cancel = json!({"cancellation_requested": true});
    let (status, cancelled) = bank.ask(&who, Method::PATCH, "certificates/asked/pending", cancel.clone()).await;
    assert_eq!((status, &cancelled["cancellation_requested"]), (200, &json!(true)), "{cancelled}");
    let (status, fault) = bank.ask(&who, Method::PATCH, "certificates/asked/pending", cancel.clone()).await;
    assert_eq!((status, &fault["error"]["code"]), (403, &json!("Forbidden")), "{fault}");
    assert_eq!(bank.ask(&who, Method::POST, "certificates/asked/pending/merge", json!({"x5c": [other]})).await.0, 403);
    assert_eq!(bank.ask(&who, Method::DELETE, "certificates/asked/pending", Value::Null).await.0, 200);
    for method in [Method::GET, Method::DELETE] {
        let (status, fault) = bank.ask(&who, method, "certificates/asked/pending", Value::Null).await;
        assert_eq!((status, &fault["error"]["code"]), (404, &json!("PendingCertificateNotFound")), "{fault}");
    }
    // What is there already cannot be cancelled.
    assert_eq!(bank.ask(&who, Method::PATCH, "certificates/other/pending", cancel).await.0, 403);
    assert_eq!(bank.ask(&who, Method::POST, "certificates/asked/create", body).await.0, 202);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_comes_back_as_an_import_or_a_backup() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    create(&bank, &who, "web", policy("Self")).await;
    let secret = get(&bank, &who, "secrets/web").await;
    let original = get(&bank, &who, "certificates/web").await;
    let body = json!({"value": secret["value"], "tags": {"a": "b"}});
    let (status, brought) = bank.ask(&who, Method::POST, "certificates/brought/import", body).await;
    assert_eq!(status, 200, "{brought}");
    assert_eq!((&brought["cer"], &brought["x5t"]), (&original["cer"], &original["x5t"]));
    let policy_of = &brought["policy"];
    assert_eq!((&policy_of["issuer"]["name"], &policy_of["key_props"]["crv"]), (&json!("Unknown"), &json!("P-256")));
    assert_eq!(policy_of["x509_props"]["sans"]["dns_names"], json!(["example.com"]));
    assert_eq!(policy_of["x509_props"]["validity_months"], 12);
    let key = get(&bank, &who, "keys/brought").await;
    assert_eq!(key["key"]["x"], get(&bank, &who, "keys/web").await["key"]["x"]);
    for (body, what) in [
        (json!({"value": secret["value"], "pwd": "wrong"}), "another password"),
        (json!({"value": "AAAA"}), "nothing"),
        (json!({"value": "§"}), "no base64"),
        (
            json!({"value": secret["value"], "policy": {"secret_props": {"contentType": "application/x-pem-file"}}}),
            "PEM",
        ),
        (
            json!({"value": format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", original["cer"].as_str().unwrap())}),
            "no key",
        ),
        (json!({"value": secret["value"], "policy": {"issuer": {"name": "DigiCert"}}}), "an authority"),
    ] {
        let (status, fault) = bank.ask(&who, Method::POST, "certificates/bad/import", body).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{what}: {fault}");
    }
    assert_eq!(bank.ask(&who, Method::GET, "certificates/bad", Value::Null).await.0, 404);
    // A plain key's or secret's name is not taken over.
    bank.set(&who, "plain", "x").await;
    let body = json!({"policy": policy("Self")});
    let (status, fault) = bank.ask(&who, Method::POST, "certificates/plain/create", body).await;
    assert_eq!((status, &fault["error"]["code"]), (409, &json!("Conflict")), "{fault}");

    create(&bank, &who, "web", policy("Self")).await;
    let (status, blob) = bank.ask(&who, Method::POST, "certificates/web/backup", Value::Null).await;
    assert_eq!(status, 200, "{blob}");
    let (status, _) = bank.ask(&who, Method::POST, "certificates/restore", blob.clone()).await;
    assert_eq!(status, 409);
    bank.another("other-vault").await;
    let (status, restored) = bank.ask_at("other-vault", &who, Method::POST, "certificates/restore", blob).await;
    assert_eq!(status, 200, "{restored}");
    let (_, versions) = bank.ask_at("other-vault", &who, Method::GET, "certificates/web/versions", Value::Null).await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 2);
    let (_, again) = bank
        .ask_at("other-vault", &who, Method::GET, &format!("secrets/web/{}", version(&original)), Value::Null)
        .await;
    assert_eq!((&again["value"], &again["managed"]), (&secret["value"], &json!(true)));
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_is_refused_and_makes_nothing() {
    let bank = Bank::new().await;
    let who = bank.keeper().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut policy = policy("Self");
        change(&mut policy);
        policy
    };
    let bad = [
        json!({}),
        with(&|policy| policy["issuer"] = json!({"name": "DigiCert"})),
        with(&|policy| policy["x509_props"] = json!({"subject": "example.com"})),
        with(&|policy| policy["x509_props"] = json!({})),
        with(&|policy| policy["x509_props"]["ekus"] = json!(["serverAuth"])),
        with(&|policy| policy["x509_props"]["key_usage"] = json!(["signing"])),
        with(&|policy| policy["x509_props"]["validity_months"] = json!(0)),
        with(&|policy| policy["x509_props"]["sans"] = json!({"emails": ["nobody"]})),
        with(&|policy| policy["key_props"] = json!({"kty": "oct"})),
        with(&|policy| policy["key_props"] = json!({"kty": "RSA", "key_size": 1024})),
        with(&|policy| policy["key_props"] = json!({"kty": "EC", "crv": "P-999"})),
        with(&|policy| policy["key_props"] = json!({"kty": "EC-HSM"})),
        with(&|policy| policy["secret_props"] = json!({"contentType": "text/plain"})),
        with(&|policy| policy["lifetime_actions"] = json!([{"trigger": {}, "action": {"action_type": "AutoRenew"}}])),
        with(&|policy| {
            policy["lifetime_actions"] =
                json!([{"trigger": {"lifetime_percentage": 100}, "action": {"action_type": "AutoRenew"}}]);
        }),
    ];
    for policy in bad {
        let (status, fault) = bank.ask(&who, Method::POST, "certificates/bad/create", json!({"policy": policy})).await;
        assert_eq!((status, &fault["error"]["code"]), (400, &json!("BadParameter")), "{policy}: {fault}");
    }
    for path in ["certificates/bad", "keys/bad", "secrets/bad", "certificates/bad/policy", "certificates/bad/pending"] {
        assert_eq!(bank.ask(&who, Method::GET, path, Value::Null).await.0, 404, "{path}");
    }
    let (status, fault) = bank.ask(&who, Method::GET, "certificates/none", Value::Null).await;
    assert_eq!((status, &fault["error"]["code"]), (404, &json!("CertificateNotFound")));
    // A change that cannot be leaves the policy as it is.
    create(&bank, &who, "web", policy("Self")).await;
    let before = get(&bank, &who, "certificates/web/policy").await;
    let body = json!({"x509_props": {"validity_months": 2}, "key_props": {"kty": "oct"}});
    assert_eq!(bank.ask(&who, Method::PATCH, "certificates/web/policy", body).await.0, 400);
    assert_eq!(get(&bank, &who, "certificates/web/policy").await, before);
    let body = json!({"x509_props": {"validity_months": 2}});
    let (status, changed) = bank.ask(&who, Method::PATCH, "certificates/web/policy", body).await;
    assert_eq!((status, &changed["x509_props"]["validity_months"]), (200, &json!(2)));
    assert_eq!(changed["x509_props"]["subject"], before["x509_props"]["subject"]);
    let body = json!({"policy": {"x509_props": {"validity_months": 5}}});
    let (_, changed) = bank.ask(&who, Method::PATCH, "certificates/web/", body).await;
    assert_eq!(changed["policy"]["x509_props"]["validity_months"], 5);
    bank.test.end().await;
}
