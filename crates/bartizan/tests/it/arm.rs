//! Subscriptions, groups and workspaces as Azure's clients see them.

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_comes_with_its_companions_and_datastores() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (status, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(status, 200);
    for companion in ["storageAccount", "keyVault", "applicationInsights"] {
        let id = workspace["properties"][companion].as_str().unwrap();
        assert_eq!(test.ask(owner, Method::GET, id, None).await.0, 200, "{companion}");
    }
    assert_eq!(workspace["properties"]["containerRegistry"], Value::Null);
    assert_eq!(workspace["identity"]["type"], "SystemAssigned");
    let (_, stores) = test.ask(owner, Method::GET, &format!("{}/datastores", test.workspace()), None).await;
    let names: Vec<_> =
        stores["value"].as_array().unwrap().iter().map(|store| store["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"workspaceblobstore") && names.contains(&"workspacefilestore"), "{names:?}");
    let default = stores["value"].as_array().unwrap().iter().filter(|store| store["properties"]["isDefault"] == true);
    assert_eq!(default.count(), 1);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_case_insensitive_and_keep_their_casing() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let shouted = test
        .workspace()
        .replace("/ws1", "/WS1")
        .replace("/resourceGroups/", "/RESOURCEGROUPS/")
        .replace("/workspaces/", "/Workspaces/");
    let (status, workspace) = test.ask(owner, Method::GET, &shouted, None).await;
    assert_eq!(status, 200);
    assert_eq!(workspace["id"], test.workspace());
    // A PUT under the other casing updates the same workspace.
    let (status, again) =
        test.ask(owner, Method::PUT, &shouted, Some(&json!({"location": "x", "tags": {"a": "1"}}))).await;
    assert_eq!((status, &again["properties"]["workspaceId"]), (200, &workspace["properties"]["workspaceId"]));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_is_refused_with_412() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let (_, seen) = test.ask(Some(owner), Method::GET, &test.workspace(), None).await;
    let etag = seen["etag"].as_str().unwrap();
    let patch = |etag: &str| {
        let call = test.client().patch(&test.workspace()).bearer(owner).header("if-match", etag);
        call.json(&json!({"properties": {"friendlyName": "new"}})).send()
    };
    assert_eq!(patch(etag).await.unwrap().status().as_u16(), 200);
    assert_eq!(patch(etag).await.unwrap().status().as_u16(), 412);
    let fresh = test.client().put(&test.workspace()).bearer(owner).header("if-none-match", "*");
    assert_eq!(fresh.json(&json!({"location": "x"})).send().await.unwrap().status().as_u16(), 412);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_a_400_that_names_the_field() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let ws = |name: &str| test.workspace().replace("/ws1", name);
    let cases: Vec<(Method, String, Value, &str)> = vec![
        (Method::PUT, ws("/ab"), json!({"location": "x"}), "workspaceName"),
        (Method::PUT, ws("/-abc"), json!({"location": "x"}), "workspaceName"),
        (Method::PUT, ws("/abc"), json!({"tags": {"a": 1}}), "body"),
        (Method::PUT, ws("/abc"), json!([]), "body"),
        (Method::PUT, ws("/abc"), json!({"properties": {"keyVault": "not an id"}}), "properties.keyVault"),
        (
            Method::POST,
            String::from("/graph/v1.0/servicePrincipals"),
            json!({"displayName": "x", "isAdmin": true}),
            "body",
        ),
        (Method::POST, String::from("/graph/v1.0/servicePrincipals"), json!({"displayName": ""}), "displayName"),
    ];
    for (method, place, body, field) in cases {
        let (status, answer) = test.ask(owner, method, &place, Some(&body)).await;
        assert_eq!(status, 400, "{place} {body}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(field), "{answer}");
    }
    let missing = test.ask(owner, Method::PUT, &ws("/abc").replace("/rg/", "/nowhere/"), Some(&json!({}))).await;
    assert_eq!(missing.0, 404);
    let large = json!({"location": "x".repeat(5 << 20)});
    assert_eq!(test.ask(owner, Method::PUT, &ws("/abc"), Some(&large)).await.0, 413);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_workspace_s_data_is_gone_with_its_key_and_its_name_is_free() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (_, before) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(test.ask(owner, Method::DELETE, &test.group(), None).await.0, 409);
    let purge = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purge, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &format!("{}/datastores", test.workspace()), None).await.0, 404);
    let (status, after) = test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await;
    assert_eq!(status, 201);
    assert_ne!(before["properties"]["workspaceId"], after["properties"]["workspaceId"]);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_cannot_be_removed_and_a_contributor_cannot_share() {
    let (test, callers) = TestHouse::new().await;
    let body = json!({"properties": {
        "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::READER),
        "principalId": test.founded.principal.to_string(),
    }});
    let place = format!(
        "{}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555",
        test.workspace()
    );
    let (status, answer) = test.ask(callers.token(Who::Contributor), Method::PUT, &place, Some(&body)).await;
    assert_eq!(status, 403);
    let words = answer["error"]["message"].as_str().unwrap();
    assert!(
        words.contains("Microsoft.Authorization/roleAssignments/write") && words.contains("workspaces/ws1"),
        "{words}"
    );
    test.end().await;
}

/// K-06.
#[tokio::test(flavor = "multi_thread")]
async fn owners_upgrade_a_workspace_and_nobody_brings_it_back() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let to = |edition: &str| json!({"sku": {"name": edition, "tier": edition}});
    let (_, seen) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(seen["sku"], json!({"name": "Basic", "tier": "Basic"}));
    let cases = [
        (Who::Contributor, Method::PATCH, "Enterprise", 403),
        (Who::Contributor, Method::PUT, "Enterprise", 403),
        (Who::Contributor, Method::PATCH, "basic", 200),
        (Who::Owner, Method::PATCH, "Premium", 400),
        (Who::Owner, Method::PATCH, "enterprise", 200),
        (Who::Contributor, Method::PATCH, "Enterprise", 200),
        (Who::Owner, Method::PATCH, "Basic", 400),
        (Who::Owner, Method::PUT, "Basic", 400),
    ];
    for (who, method, edition, expected) in cases {
        let (status, answer) = test.ask(callers.token(who), method, &test.workspace(), Some(&to(edition))).await;
        assert_eq!(status, expected, "{who:?} {edition}: {answer}");
    }
    // What says nothing of the edition leaves it.
    let (_, after) = test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await;
    assert_eq!(after["sku"]["name"], "Enterprise");
    let made = test.ask(owner, Method::PUT, &test.workspace().replace("/ws1", "/ent"), Some(&to("Enterprise"))).await;
    assert_eq!((made.0, &made.1["sku"]["name"]), (201, &json!("Enterprise")));
    test.end().await;
}
