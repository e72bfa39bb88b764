//! Datastores: registering, the default one, their keys (requirements K-05, A-41).

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

fn place(test: &TestHouse, name: &str) -> String {
    format!("{}/datastores/{name}", test.workspace())
}

fn blob(account: &str, key: Option<&Value>, is_default: bool) -> Value {
    let credentials = match key {
        Some(key) => json!({"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": key}}),
        None => json!({"credentialsType": "None"}),
    };
    json!({"properties": {
        "datastoreType": "AzureBlob",
        "accountName": account,
        "containerName": "data",
        "credentials": credentials,
        "isDefault": is_default,
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_datastore_can_be_another_and_there_is_always_one() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let defaults = async || {
        let (_, listed) =
            test.ask(owner, Method::GET, &format!("{}/datastores?isDefault=true", test.workspace()), None).await;
        let names = listed["value"].as_array().unwrap().iter().map(|store| store["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(defaults().await, ["workspaceblobstore"]);
    assert_eq!(test.ask(owner, Method::DELETE, &place(&test, "workspaceblobstore"), None).await.0, 409);
    let made = test.ask(owner, Method::PUT, &place(&test, "mine"), Some(&blob("account1", None, true))).await;
    assert_eq!((made.0, &made.1["properties"]["isDefault"]), (201, &json!(true)), "{}", made.1);
    assert_eq!(defaults().await, ["mine"]);
    // What says it is not the default one any more names no other.
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "mine"), Some(&blob("account1", None, false))).await.0, 200);
    assert_eq!(defaults().await, ["mine"]);
    let (_, seen) = test.ask(owner, Method::GET, &place(&test, "workspaceblobstore"), None).await;
    assert_eq!(seen["properties"]["isDefault"], false);
    assert_eq!(test.ask(owner, Method::DELETE, &place(&test, "workspacefilestore"), None).await.0, 200);
    for wrong in [
        json!({"properties": {"datastoreType": "AzureSqlDatabase", "accountName": "abc", "containerName": "abc"}}),
        blob("UPPER", None, false),
        blob("account1", Some(&json!("with space")), false),
        json!({"properties": {"datastoreType": "AzureBlob", "accountName": "abc"}}),
    ] {
        assert_eq!(test.ask(owner, Method::PUT, &place(&test, "wrong"), Some(&wrong)).await.0, 400, "{wrong}");
    }
    assert_eq!(
        test.ask(callers.token(Who::Reader), Method::PUT, &place(&test, "x"), Some(&blob("abc", None, false))).await.0,
        403
    );
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_renews_the_key_of_default_datastores_and_others_keep_theirs_until_they_are_overwritten() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = test.ask(owner, Method::GET, &test.workspace(), None).await.1["properties"]["storageAccount"].clone();
    let account = account.as_str().unwrap().to_owned();
    let name = account.rsplit('/').next().unwrap().to_owned();
    let post = async |place: String, body: Value| {
        let (status, said) = test.ask(owner, Method::POST, &place, Some(&body)).await;
        assert_eq!(status, 200, "{place}: {said}");
        said
    };
    let secret =
        async |store: &str| post(format!("{}/listSecrets", place(&test, store)), json!({})).await["key"].clone();
    let first = post(format!("{account}/listKeys"), json!({})).await["keys"][0]["value"].clone();
    let put = blob(&name, Some(&first), false);
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "custom"), Some(&put)).await.0, 201);
    assert_eq!((secret("workspaceblobstore").await, secret("custom").await), (first.clone(), first.clone()));
    let renewed =
        post(format!("{account}/regenerateKey"), json!({"keyName": "key1"})).await["keys"][0]["value"].clone();
    test.ask(owner, Method::POST, &format!("{}/resyncKeys", test.workspace()), Some(&json!({}))).await;
    assert_eq!((secret("workspaceblobstore").await, secret("custom").await), (renewed.clone(), first.clone()));
    let put = blob(&name, Some(&renewed), false);
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "custom"), Some(&put)).await.0, 200);
    assert_eq!(secret("custom").await, renewed);
    // Neither the datastore nor a list of them shows a key, and whoever may only read sees none.
    for shown in [place(&test, "custom"), format!("{}/datastores", test.workspace())] {
        let (_, body) = test.ask(owner, Method::GET, &shown, None).await;
        assert!(!body.to_string().contains(renewed.as_str().unwrap()), "{shown}");
    }
    let listing = format!("{}/listSecrets", place(&test, "custom"));
    assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, &listing, Some(&json!({}))).await.0, 403);
    assert_eq!(test.ask(owner, Method::DELETE, &place(&test, "custom"), None).await.0, 200);
    assert_eq!(
        test.ask(owner, Method::PUT, &place(&test, "custom"), Some(&blob("another1", None, false))).await.0,
        201
    );
    assert_eq!(test.ask(owner, Method::POST, &listing, Some(&json!({}))).await.0, 404, "no key comes back");
    test.end().await;
}
