//! Companions as resources of their own, and the keys of accounts and workspaces (requirements K-02, K-03, K-08, A-41).

use std::time::Duration;

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

/// Property of the workspace, type, a name that fits, and the status of its creation.
const KINDS: [(&str, &str, &str, u16); 4] = [
    ("storageAccount", "Microsoft.Storage/storageAccounts", "ownaccount1", 200),
    ("keyVault", "Microsoft.KeyVault/vaults", "own-vault-1", 201),
    ("applicationInsights", "Microsoft.Insights/components", "own.insights", 200),
    ("containerRegistry", "Microsoft.ContainerRegistry/registries", "OwnRegistry1", 201),
];

fn place(test: &TestHouse, kind: &str, name: &str) -> String {
    format!("{}/providers/{kind}/{name}", test.group())
}

fn at(test: &TestHouse, workspace: &str) -> String {
    test.workspace().replace("/ws1", &format!("/{workspace}"))
}

/// The storage key that the workspace synced last.
async fn synced(test: &TestHouse, token: Option<&Secret<String>>) -> Value {
    let place = format!("{}/listKeys", test.workspace());
    let (status, keys) = test.ask(token, Method::POST, &place, Some(&json!({}))).await;
    assert_eq!(status, 200, "{keys}");
    keys["userStorageKey"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_16_subsets_of_own_companions_is_taken_and_reported() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    for (_, kind, name, status) in KINDS {
        // A workspace hands out its registry's passwords, so that the admin account of one that is brought is on.
        let body = json!({"location": "local", "tags": {"a": "b"}, "properties": {"adminUserEnabled": true}});
        let made = test.ask(owner, Method::PUT, &place(&test, kind, name), Some(&body)).await;
        assert_eq!((made.0, &made.1["tags"]["a"]), (status, &json!("b")), "{}", made.1);
    }
    for subset in 0..16 {
        let mut properties = json!({});
        for (bit, (property, kind, name, _)) in KINDS.iter().enumerate() {
            if subset & (1 << bit) != 0 {
                properties[property] = json!(place(&test, kind, name));
            }
        }
        let ws = at(&test, &format!("sub{subset}"));
        let (status, made) = test.ask(owner, Method::PUT, &ws, Some(&json!({"properties": properties}))).await;
        assert_eq!(status, 201, "{subset}: {made}");
        for (property, kind, _, _) in KINDS {
            let shown = &made["properties"][property];
            match &properties[property] {
                Value::Null if property == "containerRegistry" => assert_eq!(*shown, Value::Null, "made when needed"),
                Value::Null => {
                    assert!(shown.as_str().unwrap().contains(kind), "{shown}");
                    assert_eq!(test.ask(owner, Method::GET, shown.as_str().unwrap(), None).await.0, 200);
                }
                given => assert_eq!(shown, given, "{subset}"),
            }
        }
        let keys = test.ask(owner, Method::POST, &format!("{ws}/listKeys"), Some(&json!({}))).await.1;
        assert_eq!(keys["userStorageResourceId"], made["properties"]["storageAccount"]);
        assert_eq!(keys["containerRegistryCredentials"].is_null(), subset & 8 == 0, "{keys}");
    }
    // What a workspace was made with, it keeps.
    let other = json!({"properties": {"storageAccount": place(&test, KINDS[0].1, KINDS[0].2)}});
    assert_eq!(test.ask(owner, Method::PUT, &test.workspace(), Some(&other)).await.0, 400);
    assert_eq!(test.ask(owner, Method::PUT, &at(&test, "sub1"), Some(&other)).await.0, 200, "the same one");
    let missing = json!({"properties": {"keyVault": place(&test, "Microsoft.KeyVault/vaults", "nothere")}});
    assert_eq!(test.ask(owner, Method::PUT, &at(&test, "lost"), Some(&missing)).await.0, 404);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_goes_only_when_no_workspace_uses_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let elsewhere = format!("{}/resourceGroups/other", test.subscription());
    assert_eq!(test.ask(owner, Method::PUT, &elsewhere, Some(&json!({}))).await.0, 201);
    let vault = format!("{elsewhere}/providers/Microsoft.KeyVault/vaults/far-vault");
    assert_eq!(test.ask(owner, Method::PUT, &vault, Some(&json!({}))).await.0, 201);
    let ws = at(&test, "ws2");
    let made = test.ask(owner, Method::PUT, &ws, Some(&json!({"properties": {"keyVault": vault}}))).await;
    assert_eq!(made.0, 201);
    for used in [&vault, made.1["properties"]["storageAccount"].as_str().unwrap()] {
        let (status, answer) = test.ask(owner, Method::DELETE, used, None).await;
        assert_eq!((status, answer["error"]["message"].as_str().unwrap().contains("ws2")), (409, true), "{answer}");
    }
    assert_eq!(test.ask(owner, Method::DELETE, &elsewhere, None).await.0, 409, "its group stays too");
    assert_eq!(test.ask(owner, Method::DELETE, &ws, None).await.0, 200);
    assert_eq!(test.ask(callers.token(Who::Reader), Method::DELETE, &vault, None).await.0, 403);
    assert_eq!(test.ask(owner, Method::DELETE, &vault, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &vault, None).await.0, 404);
    // A deleted workspace waits for its companions.
    let recovery = json!({"properties": {"allowRecoverSoftDeletedWorkspace": true}});
    let (status, answer) = test.ask(owner, Method::PUT, &ws, Some(&recovery)).await;
    assert_eq!((status, answer["error"]["message"].as_str().unwrap().contains("far-vault")), (409, true), "{answer}");
    assert_eq!(test.ask(owner, Method::PUT, &vault, Some(&json!({}))).await.0, 409, "a deleted vault rests");
    let back = json!({"properties": {"createMode": "recover"}});
    assert_eq!(test.ask(owner, Method::PUT, &vault, Some(&back)).await.0, 200);
    assert_eq!(test.ask(owner, Method::PUT, &ws, Some(&recovery)).await.0, 200);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companion_s_name_fits_and_its_address_is_its_own() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let names = [
        ("Microsoft.Storage/storageAccounts", "Upper", 400),
        ("Microsoft.Storage/storageAccounts", "ab", 400),
        ("Microsoft.KeyVault/vaults", "1vault", 400),
        ("Microsoft.KeyVault/vaults", "a--b", 400),
        ("Microsoft.ContainerRegistry/registries", "with-dash", 400),
        ("Microsoft.Insights/components", "ends.", 400),
    ];
    for (kind, name, status) in names {
        assert_eq!(test.ask(owner, Method::PUT, &place(&test, kind, name), Some(&json!({}))).await.0, status, "{name}");
    }
    let account = place(&test, "Microsoft.Storage/storageAccounts", "mine");
    for asked in [
        json!({"properties": {"networkAcls": {"virtualNetworkRules": [{"id": "/subscriptions/s"}]}}}),
        json!({"properties": {"allowBlobPublicAccess": true}}),
        json!({"properties": {"encryption": {"keySource": "Microsoft.Keyvault"}}}),
    ] {
        assert_eq!(test.ask(owner, Method::PUT, &account, Some(&asked)).await.0, 400, "no wall that is not there");
    }
    let body = json!({"location": "local", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}});
    assert_eq!(test.ask(owner, Method::PUT, &account, Some(&body)).await.0, 200);
    let elsewhere = format!("{}/resourceGroups/other", test.subscription());
    test.ask(owner, Method::PUT, &elsewhere, Some(&json!({}))).await;
    let twin = account.replace(&test.group(), &elsewhere);
    assert_eq!(test.ask(owner, Method::PUT, &twin, Some(&body)).await.0, 409);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regenerated_key_is_picked_up_after_an_hour_or_by_a_sync_at_once() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = test.ask(owner, Method::GET, &test.workspace(), None).await.1["properties"]["storageAccount"].clone();
    let account = account.as_str().unwrap().to_owned();
    let list = async || {
        let (status, keys) = test.ask(owner, Method::POST, &format!("{account}/listKeys"), Some(&json!({}))).await;
        assert_eq!(status, 200, "{keys}");
        keys["keys"].clone()
    };
    let before = list().await;
    assert_eq!((&before[0]["keyName"], &before[1]["keyName"]), (&json!("key1"), &json!("key2")));
    assert_ne!(before[0]["value"], before[1]["value"]);
    assert_eq!(synced(&test, owner).await, before[0]["value"]);
    let regenerate = async |name: &str| {
        test.ask(owner, Method::POST, &format!("{account}/regenerateKey"), Some(&json!({"keyName": name}))).await
    };
    assert_eq!(regenerate("key3").await.0, 400);
    let (_, after) = regenerate("key1").await;
    assert_ne!(after["keys"][0]["value"], before[0]["value"]);
    assert_eq!(after["keys"][1]["value"], before[1]["value"], "the other one stays");
    assert_eq!(synced(&test, owner).await, before[0]["value"], "the workspace keeps what it synced");
    let resync = format!("{}/resyncKeys", test.workspace());
    assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, &resync, Some(&json!({}))).await.0, 403);
    assert_eq!(test.ask(owner, Method::POST, &resync, Some(&json!({}))).await.0, 200);
    assert_eq!(synced(&test, owner).await, after["keys"][0]["value"]);

    let (_, again) = regenerate("key1").await;
    let later = async |span: Duration| {
        test.clock.advance(span);
        domain::work::sync_what_is_due(&test.house).await.unwrap();
        let token = test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap();
        synced(&test, Some(&token)).await
    };
    assert_eq!(later(Duration::from_secs(3599)).await, after["keys"][0]["value"]);
    assert_eq!(later(Duration::from_secs(1)).await, again["keys"][0]["value"]);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_to_whoever_may_list_them_and_nowhere_else() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let (_, ws) = test.ask(Some(owner), Method::GET, &test.workspace(), None).await;
    let account = ws["properties"]["storageAccount"].as_str().unwrap().to_owned();
    let listings = [format!("{account}/listKeys"), format!("{}/listKeys", test.workspace())];
    let mut secrets = Vec::new();
    for place in &listings {
        assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, place, Some(&json!({}))).await.0, 403);
        let keys = test.ask(Some(owner), Method::POST, place, Some(&json!({}))).await.1;
        secrets.extend(keys["keys"].as_array().into_iter().flatten().map(|key| key["value"].clone()));
        secrets.extend(Some(keys["userStorageKey"].clone()).filter(Value::is_string));
    }
    assert_eq!(secrets.len(), 3);
    // Azure's data scientist lists no keys; and bringing an account one may only read is no way to its keys.
    let role = domain::access::DATA_SCIENTIST.to_string();
    let (_, scientist) = test.principal(owner, "scientist", Some((&role, &test.workspace()))).await;
    assert_eq!(test.ask(Some(&scientist), Method::POST, &listings[1], Some(&json!({}))).await.0, 403);
    let far = format!("{}/resourceGroups/far", test.subscription());
    assert_eq!(test.ask(Some(owner), Method::PUT, &far, Some(&json!({}))).await.0, 201);
    let contributor = domain::access::CONTRIBUTOR.to_string();
    let (id, sly) = test.principal(owner, "sly", Some((&contributor, &far))).await;
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::READER);
    let body = json!({"properties": {"roleDefinitionId": definition, "principalId": id}});
    let name = uuid::Uuid::new_v4();
    let assignment = format!("{}/providers/Microsoft.Authorization/roleAssignments/{name}", test.group());
    assert_eq!(test.ask(Some(owner), Method::PUT, &assignment, Some(&body)).await.0, 201);
    let theirs = test.workspace().replace(&test.group(), &far);
    let body = json!({"properties": {"storageAccount": account}});
    assert_eq!(test.ask(Some(&sly), Method::PUT, &theirs, Some(&body)).await.0, 403);

    test.house.flush_reads().await.unwrap();
    let events = format!(
        "{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01",
        test.subscription()
    );
    let shown = [
        events,
        test.workspace(),
        account.clone(),
        format!("{}/providers/Microsoft.Storage/storageAccounts", test.group()),
    ];
    for place in shown {
        let (status, body) = test.ask(Some(owner), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{place}");
        for secret in &secrets {
            assert!(!body.to_string().contains(secret.as_str().unwrap()), "{place}");
        }
    }
    test.end().await;
}
