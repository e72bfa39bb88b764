//! Who may do what with the data of an account, from where, and what the log says of it (requirements A-50, X-02, X-20).

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::stage::{SV, Stage, Told, code, escaped, grant, storage_token, told};
use crate::house::Who;

async fn by(stage: &Stage, token: &Secret<String>, method: Method, place: &str) -> Told {
    let headers: &[(&str, &str)] = if method == Method::PUT { &[("x-ms-blob-type", "BlockBlob")] } else { &[] };
    told(stage.call(method, place, headers, b"x").bearer(token)).await
}

/// A principal with this role on the account, with a token for its data.
async fn holder(stage: &Stage, name: &str, role: Option<uuid::Uuid>) -> Secret<String> {
    let owner = stage.callers.token(Who::Owner).unwrap();
    let body = json!({"displayName": name});
    let made = stage.test.ask(Some(owner), Method::POST, "/graph/v1.0/servicePrincipals", Some(&body)).await.1;
    if let Some(role) = role {
        grant(&stage.test, owner, made["id"].as_str().unwrap(), role, &stage.id).await;
    }
    let secret = made["passwordCredentials"][0]["secretText"].as_str().unwrap();
    storage_token(&stage.test, made["appId"].as_str().unwrap(), secret, "https://storage.azure.com/.default").await
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_for_data_roles_and_a_token_for_its_audience() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let reader = holder(&stage, "r", Some(domain::access::BLOB_DATA_READER)).await;
    by(&stage, &reader, Method::GET, "/box/a").await.is(200);
    by(&stage, &reader, Method::GET, "/box?restype=container&comp=list").await.is(200);
    for (method, place) in [
        (Method::PUT, "/box/a"),
        (Method::DELETE, "/box/a"),
        (Method::PUT, "/more?restype=container"),
        (Method::PUT, "/box?restype=container&comp=acl"),
    ] {
        let told = by(&stage, &reader, method, place).await;
        assert!(told.status == 403 || told.status == 404, "{place}: {}", told.status);
    }
    let contributor = holder(&stage, "c", Some(domain::access::BLOB_DATA_CONTRIBUTOR)).await;
    by(&stage, &contributor, Method::PUT, "/box/a").await.is(201);
    // Managing an account is not reading what it holds.
    let manager = holder(&stage, "m", Some(domain::access::CONTRIBUTOR)).await;
    by(&stage, &manager, Method::GET, "/box/a").await.refuses(403, "AuthorizationPermissionMismatch");
    let nobody = holder(&stage, "n", None).await;
    by(&stage, &nobody, Method::GET, "/box/a").await.refuses(404, "ResourceNotFound");
    let management = stage.callers.token(Who::Owner).unwrap();
    by(&stage, management, Method::GET, "/box/a").await.refuses(401, "InvalidAuthenticationInfo");
    let none = stage.bare(Method::GET, "/box/a", &[], b"").await;
    assert!(none.headers["www-authenticate"].contains("resource_id=https://storage.azure.com"), "{none:?}");
    none.refuses(401, "NoAuthenticationInformation");
    let (app, secret) = (stage.test.founded.app.to_string(), stage.test.founded.client_secret.expose().to_owned());
    let own = format!("https://{}.blob.core.bartizan.test/.default", stage.account);
    let own = storage_token(&stage.test, &app, &secret, &own).await;
    by(&stage, &own, Method::GET, "/box/a").await.is(200);
    let foreign = storage_token(&stage.test, &app, &secret, "https://another1.blob.core.bartizan.test/.default").await;
    by(&stage, &foreign, Method::GET, "/box/a").await.refuses(401, "InvalidAuthenticationInfo");
    assert_eq!(stage.test.ask(Some(&own), Method::GET, "/subscriptions", None).await.0, 401, "and the reverse");
    stage.test.end().await;
}

fn leaf(xml: &str, name: &str) -> String {
    xml.split(&format!("<{name}>")).nth(1).map(|part| part.split('<').next().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delegated_may_do_what_its_delegator_may_as_long_as_it_may() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let delegate = holder(&stage, "d", Some(domain::access::BLOB_DATA_READER)).await;
    let info = format!("<KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>", stage.at(0), stage.at(1200));
    let ask = async |token: &Secret<String>, info: &str| {
        told(stage.call(Method::POST, "?restype=service&comp=userdelegationkey", &[], info.as_bytes()).bearer(token))
            .await
    };
    let key = ask(&delegate, &info).await.is(200).text();
    ask(&delegate, &format!("<KeyInfo><Expiry>{}</Expiry></KeyInfo>", stage.at(8 * 86_400)))
        .await
        .refuses(400, "InvalidXmlNodeValue");
    let nobody = holder(&stage, "n", None).await;
    assert_eq!(ask(&nobody, &info).await.status, 404);
    let fields = ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion"]
        .map(|name| leaf(&key, name));
    let value = leaf(&key, "Value");
    let sas = |sp: &str, oid: &str| {
        let [_, tid, start, expiry, service, version] = &fields;
        let se = stage.at(600);
        let resource = format!("/blob/{}/box/a", stage.account);
        let text = [
            sp, "", &se, &resource, oid, tid, start, expiry, service, version, "", "", "", "", "", SV, "b", "", "", "",
            "", "", "", "",
        ];
        let query = [
            ("sv", SV),
            ("sr", "b"),
            ("sp", sp),
            ("se", &se),
            ("skoid", oid),
            ("sktid", tid),
            ("skt", start),
            ("ske", expiry),
            ("sks", service),
            ("skv", version),
            ("sig", &code(&value, &text.join("\n"))),
        ];
        query.map(|(name, value)| format!("{name}={}", escaped(value))).join("&")
    };
    let oid = fields[0].clone();
    let get = async |sas: &str| stage.bare(Method::GET, &format!("/box/a?{sas}"), &[], b"").await;
    assert_eq!(get(&sas("r", &oid)).await.is(200).body, b"x");
    let delete = stage.bare(Method::DELETE, &format!("/box/a?{}", sas("rd", &oid)), &[], b"").await;
    delete.refuses(403, "AuthorizationPermissionMismatch");
    // In another's name, or for longer than the key: it is another key's.
    get(&sas("r", &stage.test.founded.principal.to_string())).await.refuses(403, "AuthenticationFailed");
    get(&sas("r", &oid).replace(&escaped(&fields[3]), &escaped(&stage.at(90_000))))
        .await
        .refuses(403, "AuthenticationFailed");
    assert!(STANDARD.decode(&value).unwrap().len() == 32);
    // The switch of keys leaves it alone; the end of the delegator's rights does not.
    assert_eq!(stage.set(json!({"allowSharedKeyAccess": false})).await.0, 200);
    get(&sas("r", &oid)).await.is(200);
    let owner = stage.callers.token(Who::Owner).unwrap();
    let place = format!("{}/providers/Microsoft.Authorization/roleAssignments", stage.id);
    let all = stage.test.ask(Some(owner), Method::GET, &place, None).await.1;
    let of = |entry: &&Value| entry["properties"]["principalId"] == json!(oid);
    let held = all["value"].as_array().unwrap().iter().find(of).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.test.ask(Some(owner), Method::DELETE, &held, None).await.0, 200);
    get(&sas("r", &oid)).await.refuses(403, "AuthorizationPermissionMismatch");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a50_only_listed_addresses_reach_the_data_and_the_account_stays_in_reach() {
    let stage = Stage::new().await;
    stage.put("a", b"x").await.is(201);
    let key = stage.key("key1").await;
    let sas = stage.account_sas(&key, &[]);
    assert_eq!(stage.set(json!({"networkAcls": {"defaultAction": "Deny"}})).await.0, 200);
    stage.get("a").await.refuses(403, "AuthorizationFailure");
    stage.bare(Method::GET, &format!("/box/a?{sas}"), &[], b"").await.refuses(403, "AuthorizationFailure");
    let rules = |address: &str| json!({"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": address, "action": "Allow"}]}});
    assert_eq!(stage.set(rules("10.0.0.0/8")).await.0, 200);
    stage.get("a").await.refuses(403, "AuthorizationFailure");
    let (status, shown) = stage.set(rules("127.0.0.1")).await;
    assert_eq!((status, &shown["properties"]["networkAcls"]["defaultAction"]), (200, &json!("Deny")));
    stage.get("a").await.is(200);
    assert_eq!(stage.set(json!({"publicNetworkAccess": "Disabled"})).await.0, 200);
    stage.get("a").await.refuses(403, "AuthorizationFailure");
    for bad in [
        json!({"networkAcls": {"defaultAction": "Perhaps"}}),
        json!({"networkAcls": {"ipRules": [{"value": "here"}]}}),
        json!({"allowBlobPublicAccess": true}),
        json!({"networkAcls": {"virtualNetworkRules": [{"id": "x"}]}}),
    ] {
        assert_eq!(stage.set(bad).await.0, 400);
    }
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x02_the_log_names_the_key_that_was_shown_and_what_was_refused() {
    let stage = Stage::new().await;
    let key = stage.key("key2").await;
    let sas = stage.service_sas(&key, "box", "c", "cw", &[]);
    let headers = [("x-ms-blob-type", "BlockBlob")];
    stage.bare(Method::PUT, &format!("/box/seen?{sas}"), &headers, b"x").await.is(201);
    stage.bare(Method::DELETE, &format!("/box/seen?{sas}"), &[], b"").await.is(403);
    let elsewhere = stage.service_sas(&key, "box", "c", "r", &[("sip", "10.0.0.1")]);
    let told = stage.bare(Method::GET, &format!("/box/seen?{elsewhere}"), &[], b"").await;
    told.refuses(403, "AuthorizationSourceIPMismatch");
    stage.test.house.flush_reads().await.unwrap();
    let owner = stage.callers.token(Who::Owner);
    let place = format!(
        "{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&view=full&reads=true&$filter={}",
        stage.test.subscription(),
        escaped(&format!("eventTimestamp ge '{}'", stage.at(-60)))
    );
    let (status, log) = stage.test.ask(owner, Method::GET, &place, None).await;
    assert_eq!(status, 200, "{log}");
    let text = log.to_string();
    assert!(text.contains("service SAS signed with key2"), "{text}");
    assert!(!text.contains(&key) && !text.contains("sig="), "no key and no signature");
    let denied = log["value"].as_array().unwrap().iter().any(|entry| {
        entry["caller"] == "service SAS signed with key2"
            && entry["operationName"]["value"].as_str().unwrap().ends_with("blobs/delete")
    });
    assert!(denied, "{text}");
    assert!(text.contains("AuthorizationSourceIPMismatch"), "a good signature from another address is seen: {text}");
    stage.test.end().await;
}
