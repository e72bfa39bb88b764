//! The grants of a workspace's own identity (requirements ).

use std::collections::BTreeSet;

use domain::access::{BLOB_DATA_CONTRIBUTOR, CONTRIBUTOR, KEY_VAULT_ADMINISTRATOR};
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

/// Role and scope of each assignment of a principal, and the assignment's own id.
async fn held(
    test: &TestHouse,
    owner: Option<&kernel::Secret<String>>,
    principal: &str,
) -> Vec<(String, String, String)> {
    let place = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId%20eq%20'{principal}'",
        test.subscription()
    );
    let (status, listed) = test.ask(owner, Method::GET, &place, None).await;
    assert_eq!(status, 200, "{listed}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read = |found: &Value| {
        let role = text(&found["properties"]["roleDefinitionId"]);
        (role.rsplit('/').next().unwrap().to_owned(), text(&found["properties"]["scope"]), text(&found["id"]))
    };
    listed["value"].as_array().unwrap().iter().map(read).collect()
}

fn pairs(held: &[(String, String, String)]) -> BTreeSet<(String, String)> {
    held.iter().map(|(role, scope, _)| (role.clone(), scope.clone())).collect()
}

fn table(ws: &Value, group: &str) -> BTreeSet<(String, String)> {
    let named = |name: &str| ws["properties"][name].as_str().map(str::to_owned);
    let vault = named("keyVault").unwrap();
    let vault_group = vault.split("/providers/").next().unwrap().to_owned();
    let mut grants = BTreeSet::from([
        (CONTRIBUTOR.to_string(), ws["id"].as_str().unwrap().to_owned()),
        (BLOB_DATA_CONTRIBUTOR.to_string(), named("storageAccount").unwrap()),
        (KEY_VAULT_ADMINISTRATOR.to_string(), vault),
        (CONTRIBUTOR.to_string(), group.to_owned()),
        (CONTRIBUTOR.to_string(), vault_group),
    ]);
    grants.extend(named("containerRegistry").map(|registry| (CONTRIBUTOR.to_string(), registry)));
    grants
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_s_identity_holds_exactly_the_table_of_grants_as_long_as_it_lives() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let far = format!("{}/resourceGroups/far", test.subscription());
    assert_eq!(test.ask(owner, Method::PUT, &far, Some(&json!({}))).await.0, 201);
    let vault = format!("{far}/providers/Microsoft.KeyVault/vaults/far-vault");
    let registry = format!("{far}/providers/Microsoft.ContainerRegistry/registries/farregistry");
    for place in [&vault, &registry] {
        let body = json!({"properties": {"adminUserEnabled": true}});
        assert_eq!(test.ask(owner, Method::PUT, place, Some(&body)).await.0, 201);
    }
    let ws = test.workspace().replace("/ws1", "/ws2");
    let body = json!({"properties": {"keyVault": vault, "containerRegistry": registry}});
    // Its jobs are given the vault's secrets, so whoever brings it must be allowed to read them, or to give themselves that right.
    let (status, _) = test.ask(callers.token(Who::Contributor), Method::PUT, &ws, Some(&body)).await;
    assert_eq!(status, 403);
    let (status, made) = test.ask(owner, Method::PUT, &ws, Some(&body)).await;
    assert_eq!(status, 201, "{made}");
    let (_, plain) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    for (found, count) in [(&made, 6), (&plain, 4)] {
        let principal = found["identity"]["principalId"].as_str().unwrap();
        let held = held(&test, owner, principal).await;
        assert_eq!((pairs(&held), held.len()), (table(found, &test.group()), count));
    }
    let principal = made["identity"]["principalId"].as_str().unwrap();
    assert_eq!(test.ask(owner, Method::DELETE, &ws, None).await.0, 200);
    assert_eq!(held(&test, owner, principal).await, [], "a deleted workspace's identity holds nothing");
    let recovery = json!({"properties": {"allowRecoverSoftDeletedWorkspace": "True"}});
    assert_eq!(test.ask(callers.token(Who::Contributor), Method::PUT, &ws, Some(&recovery)).await.0, 200);
    assert_eq!(pairs(&held(&test, owner, principal).await), table(&made, &test.group()));
    assert_eq!(test.ask(owner, Method::DELETE, &format!("{ws}?forceToPurge=true"), None).await.0, 200);
    assert_eq!(held(&test, owner, principal).await, []);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_runs_fail_with_the_reason_and_a_sync_gives_it_back() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (_, ws) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let principal = ws["identity"]["principalId"].as_str().unwrap();
    let before = held(&test, owner, principal).await;
    let (_, _, storage) = before.iter().find(|(role, ..)| *role == BLOB_DATA_CONTRIBUTOR.to_string()).unwrap();
    let run = async |name: &str| {
        let job = format!("{}/jobs/{name}", test.workspace());
        let body = json!({"properties": {"jobType": "Command", "command": "true"}});
        let (status, made) = test.ask(owner, Method::PUT, &job, Some(&body)).await;
        assert!(status < 300, "{made}");
        domain::work::look_once(&test.house, true).await.unwrap();
        test.ask(owner, Method::GET, &job, None).await.1
    };
    assert_eq!(run("first").await["properties"]["status"], "Provisioning");
    assert_eq!(test.ask(callers.token(Who::Contributor), Method::DELETE, storage, None).await.0, 403);
    assert_eq!(test.ask(owner, Method::DELETE, storage, None).await.0, 200);
    let failed = run("second").await;
    assert_eq!(failed["properties"]["status"], "Failed", "{failed}");
    let words = failed.to_string();
    assert!(words.contains("Storage Blob Data Contributor") && words.contains("sync-keys"), "{words}");
    // The server by itself does not undo what somebody took back.
    test.clock.advance(std::time::Duration::from_secs(7200));
    domain::work::sync_what_is_due(&test.house).await.unwrap();
    let token = test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap();
    assert_eq!(held(&test, Some(&token), principal).await.len(), before.len() - 1);
    let resync = format!("{}/resyncKeys", test.workspace());
    assert_eq!(test.ask(Some(&token), Method::POST, &resync, Some(&json!({}))).await.0, 200);
    assert_eq!(pairs(&held(&test, Some(&token), principal).await), pairs(&before));
    let job = format!("{}/jobs/third", test.workspace());
    let body = json!({"properties": {"jobType": "Command", "command": "true"}});
    assert!(test.ask(Some(&token), Method::PUT, &job, Some(&body)).await.0 < 300);
    domain::work::look_once(&test.house, true).await.unwrap();
    assert_eq!(test.ask(Some(&token), Method::GET, &job, None).await.1["properties"]["status"], "Provisioning");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnosis_names_what_is_broken_in_its_group_and_nothing_else() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let registry = format!("{}/providers/Microsoft.ContainerRegistry/registries/farregistry", test.group());
    let body = json!({"properties": {"adminUserEnabled": true}});
    assert_eq!(test.ask(owner, Method::PUT, &registry, Some(&body)).await.0, 201);
    let ws = test.workspace().replace("/ws1", "/ws2");
    let body = json!({"properties": {"containerRegistry": registry}});
    let (_, made) = test.ask(owner, Method::PUT, &ws, Some(&body)).await;
    let principal = made["identity"]["principalId"].as_str().unwrap();
    let diagnose = async || {
        let (status, said) =
            test.ask(owner, Method::POST, &format!("{ws}/diagnose"), Some(&json!({"value": {}}))).await;
        assert_eq!(status, 200, "{said}");
        let groups = said["value"].as_object().unwrap().clone();
        assert_eq!(groups.len(), 9);
        let broken = groups.into_iter().filter(|(_, found)| found != &json!([]));
        broken.map(|(group, found)| (group, found[0]["code"].clone(), found[0]["level"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(diagnose().await, [], "healthy");
    let resync = format!("{ws}/resyncKeys");
    let grants = [
        (BLOB_DATA_CONTRIBUTOR.to_string(), "storageAccount", "storageAccountResults", "Error"),
        (KEY_VAULT_ADMINISTRATOR.to_string(), "keyVault", "keyVaultResults", "Error"),
        // What is lacking here is held on the group around it.
        (CONTRIBUTOR.to_string(), "containerRegistry", "containerRegistryResults", "Warning"),
    ];
    for (role, property, group, level) in grants {
        let scope = made["properties"][property].as_str().unwrap();
        let held = held(&test, owner, principal).await;
        let (_, _, id) = held.iter().find(|(found, at, _)| *found == role && at == scope).unwrap();
        assert_eq!(test.ask(owner, Method::DELETE, id, None).await.0, 200);
        assert_eq!(diagnose().await, [(group.to_owned(), json!("RoleAssignmentMissing"), json!(level))]);
        assert_eq!(test.ask(owner, Method::POST, &resync, Some(&json!({}))).await.0, 200);
        assert_eq!(diagnose().await, []);
    }
    let account = made["properties"]["storageAccount"].as_str().unwrap();
    let key = json!({"keyName": "key1"});
    assert_eq!(test.ask(owner, Method::POST, &format!("{account}/regenerateKey"), Some(&key)).await.0, 200);
    let stale = (String::from("storageAccountResults"), json!("KeysOutOfSync"), json!("Warning"));
    assert_eq!(diagnose().await, [stale]);
    assert_eq!(test.ask(owner, Method::POST, &resync, Some(&json!({}))).await.0, 200);
    let denial = format!("{}/providers/Microsoft.Authorization/denyAssignments/{}", test.group(), uuid::Uuid::new_v4());
    let body = json!({"properties": {
        "denyAssignmentName": "lock",
        "permissions": [{"dataActions": ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"]}],
        "principals": [{"id": principal, "type": "ServicePrincipal"}],
    }});
    let denied = test.ask(owner, Method::PUT, &denial, Some(&body)).await;
    assert!(denied.0 < 300, "{}", denied.1);
    assert_eq!(diagnose().await, [(String::from("resourceLockResults"), json!("Denied"), json!("Error"))]);
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::POST, &format!("{ws}/diagnose"), None).await.0, 404);
    test.end().await;
}

///
#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_support_application_for_each_place_of_a_subscription() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let apps = async || {
        let (_, listed) = test.ask(owner, Method::GET, "/graph/v1.0/servicePrincipals", None).await;
        let is_one =
            |found: &&Value| found["displayName"].as_str().unwrap().starts_with("Microsoft-AzureML-Support-App-");
        listed["value"].as_array().unwrap().iter().filter(is_one).cloned().collect::<Vec<_>>()
    };
    let first = apps().await;
    assert_eq!(first.len(), 1, "that of the workspace every house has");
    for (name, location, count) in [("ws2", "north", 2), ("ws3", "NORTH", 2), ("ws4", "local", 2)] {
        let ws = test.workspace().replace("/ws1", &format!("/{name}"));
        assert_eq!(test.ask(owner, Method::PUT, &ws, Some(&json!({"location": location}))).await.0, 201);
        assert_eq!(apps().await.len(), count, "{name}");
    }
    let held = held(&test, owner, first[0]["id"].as_str().unwrap()).await;
    assert_eq!(pairs(&held), BTreeSet::from([(CONTRIBUTOR.to_string(), test.subscription())]));
    assert_eq!(first[0]["passwordCredentials"], json!([]), "nobody signs in as it");
    // It goes with no workspace.
    let purge = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purge, None).await.0, 200);
    assert_eq!(apps().await.len(), 2);
    test.end().await;
}
