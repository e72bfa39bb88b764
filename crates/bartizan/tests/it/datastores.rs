//! Datastores: registering, the default one, their keys (requirements K-05, A-41).

use outbound::Method;
use serde_json::{Value, json};

use crate::{
    blobs::told,
    house::{TestHouse, Who},
};

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

/// What the listing of a container is answered with under this signature.
async fn lists(test: &TestHouse, account: &str, container: &str, sas: &str) -> (u16, String) {
    let place = format!("/blob/{account}/{container}?restype=container&comp=list&{sas}");
    let answer = told(test.client().call(Method::GET, &place)).await;
    (answer.status, answer.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn x20_a_datastore_is_opened_by_a_signature_that_ends_and_never_by_a_stored_key() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = test.ask(owner, Method::GET, &test.workspace(), None).await.1["properties"]["storageAccount"].clone();
    let account = account.as_str().unwrap().to_owned();
    let name = account.rsplit('/').next().unwrap().to_owned();
    let (_, store) = test.ask(owner, Method::GET, &place(&test, "workspaceblobstore"), None).await;
    let container = store["properties"]["containerName"].as_str().unwrap().to_owned();
    for made in [container.as_str(), "other"] {
        let place = format!("{account}/blobServices/default/containers/{made}");
        assert_eq!(test.ask(owner, Method::PUT, &place, Some(&json!({"properties": {}}))).await.0, 201);
    }
    let listing = format!("{}/listSecrets", place(&test, "workspaceblobstore"));
    let sign = async |token| test.ask(token, Method::POST, &listing, Some(&json!({"expireAfterHours": 8}))).await;
    let (status, secrets) = sign(owner).await;
    assert_eq!((status, &secrets["secretsType"], secrets.get("key")), (200, &json!("Sas"), None), "{secrets}");
    let sas = secrets["sasToken"].as_str().unwrap().to_owned();
    assert_eq!(lists(&test, &name, &container, &sas).await.0, 200);
    assert_eq!(lists(&test, &name, "other", &sas).await, (403, String::from("AuthenticationFailed")));
    let write = async |sas: &str| {
        let call = test.client().call(Method::PUT, &format!("/blob/{name}/{container}/a?{sas}"));
        let call = call.header("x-ms-blob-type", "BlockBlob").body("application/octet-stream", b"x".to_vec());
        told(call).await.status
    };
    assert_eq!(write(&sas).await, 201);
    // Whoever may use a datastore and not change it reads only; whoever may no more has nothing at once.
    let role = json!({"properties": {"roleName": "datastore user", "type": "CustomRole", "assignableScopes": [test.subscription()],
        "permissions": [{"actions": [
            "Microsoft.MachineLearningServices/workspaces/datastores/read",
            "Microsoft.MachineLearningServices/workspaces/datastores/listsecrets/action",
        ], "notActions": [], "dataActions": [], "notDataActions": []}]}});
    let id = uuid::Uuid::new_v4();
    let definition = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{id}", test.subscription());
    assert_eq!(test.ask(owner, Method::PUT, &definition, Some(&role)).await.0, 201);
    let scope = test.workspace();
    let (user, token) = test.principal(owner.unwrap(), "user", Some((&id.to_string(), &scope))).await;
    let (status, secrets) = sign(Some(&token)).await;
    assert_eq!(status, 200, "{secrets}");
    let theirs = secrets["sasToken"].as_str().unwrap().to_owned();
    assert_eq!((lists(&test, &name, &container, &theirs).await.0, write(&theirs).await), (200, 403));
    let held = test
        .ask(owner, Method::GET, &format!("{scope}/providers/Microsoft.Authorization/roleAssignments"), None)
        .await
        .1;
    let of_user = |entry: &&Value| entry["properties"]["principalId"] == json!(user);
    let held = held["value"].as_array().unwrap().iter().find(of_user).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(test.ask(owner, Method::DELETE, &held, None).await.0, 200);
    assert_eq!(lists(&test, &name, &container, &theirs).await, (403, String::from("AuthenticationFailed")));
    assert_eq!(lists(&test, &name, &container, &sas).await.0, 200, "the owner's goes on");
    assert_eq!(sign(callers.token(Who::Reader)).await.0, 403);
    test.clock.advance(std::time::Duration::from_secs(3600));
    assert_eq!(lists(&test, &name, &container, &sas).await, (403, String::from("AuthenticationFailed")));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a41_default_datastores_outlive_a_regenerated_key_and_others_need_to_be_overwritten() {
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
    let first = post(format!("{account}/listKeys"), json!({})).await["keys"][0]["value"].clone();
    let put = blob(&name, Some(&first), false);
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "custom"), Some(&put)).await.0, 201);
    let (_, store) = test.ask(owner, Method::GET, &place(&test, "workspaceblobstore"), None).await;
    let container = store["properties"]["containerName"].as_str().unwrap().to_owned();
    for made in [container.as_str(), "data"] {
        let place = format!("{account}/blobServices/default/containers/{made}");
        assert_eq!(test.ask(owner, Method::PUT, &place, Some(&json!({"properties": {}}))).await.0, 201);
    }
    let status = async |store: &str, container: &str| {
        let secrets = post(format!("{}/listSecrets", place(&test, store)), json!({})).await;
        assert!(!secrets.to_string().contains(first.as_str().unwrap()), "no key is shown: {secrets}");
        lists(&test, &name, container, secrets["sasToken"].as_str().unwrap()).await.0
    };
    assert_eq!((status("workspaceblobstore", &container).await, status("custom", "data").await), (200, 200));
    let renewed =
        post(format!("{account}/regenerateKey"), json!({"keyName": "key1"})).await["keys"][0]["value"].clone();
    test.ask(owner, Method::POST, &format!("{}/resyncKeys", test.workspace()), Some(&json!({}))).await;
    assert_eq!((status("workspaceblobstore", &container).await, status("custom", "data").await), (200, 403));
    let put = blob(&name, Some(&renewed), false);
    assert_eq!(test.ask(owner, Method::PUT, &place(&test, "custom"), Some(&put)).await.0, 200);
    assert_eq!(status("custom", "data").await, 200);
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
    let files = format!("{}/listSecrets", place(&test, "workspacefilestore"));
    assert_eq!(test.ask(owner, Method::POST, &files, Some(&json!({}))).await.0, 400, "there are no file shares");
    test.end().await;
}
