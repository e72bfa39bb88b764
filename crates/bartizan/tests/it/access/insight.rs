//! Why, what if, what misleads, and what would have been enough.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_names_the_assignment_the_group_and_what_would_help() {
    let town = Town::new().await;
    let (ws, subscription) = (town.test.workspace(), town.test.subscription());
    let (person, token) = town.person("member").await;
    let (status, group) = town
        .ask(
            town.owner(),
            Method::POST,
            "/graph/v1.0/groups",
            &json!({"displayName": "team", "mailNickname": "team", "mailEnabled": false, "securityEnabled": true}),
        )
        .await;
    assert_eq!(status, 201, "{group}");
    let group = group["id"].as_str().unwrap();
    let member = json!({"@odata.id": format!("https://x/v1.0/directoryObjects/{person}")});
    let place = format!("/graph/v1.0/groups/{group}/members/$ref");
    assert_eq!(town.ask(town.owner(), Method::POST, &place, &member).await.0, 204);
    assert_eq!(town.assign(town.owner(), group, READER, &subscription).await.0, 201);
    let ask = async |action: &str| {
        let body = json!({"principalId": person, "action": action});
        let (status, said) = town.post(town.owner(), &ws, "explain", &body).await;
        assert_eq!(status, 200, "{said}");
        said
    };
    let said = ask(&format!("{ML}/READ")).await;
    assert_eq!((&said["decision"], &said["action"]), (&json!("Allowed"), &json!(format!("{ML}/read"))));
    assert_eq!(said["allowedBy"][0]["throughGroups"], json!([group]));
    assert_eq!(said["allowedBy"][0]["pattern"], "*/read");
    let said = ask(&format!("{ML}/write")).await;
    assert_eq!(said["decision"], "Denied");
    let helps: Vec<&str> =
        said["wouldAllow"].as_array().unwrap().iter().map(|offer| offer["roleName"].as_str().unwrap()).collect();
    assert_eq!(helps, ["Contributor", "Owner"]);
    // A reader of the workspace is not told who is in a group, or what somebody holds elsewhere.
    let other = town.another_group().await;
    assert_eq!(town.assign(town.owner(), &person, CONTRIBUTOR, &other).await.0, 201);
    let (_, nosy) = town.person("nosy").await;
    let nosy_id = town.person("nosy too").await;
    assert_eq!(town.assign(town.owner(), &nosy_id.0, READER, &ws).await.0, 201);
    let body = json!({"principalId": person, "action": format!("{ML}/write")});
    let (status, said) = town.post(&nosy_id.1, &ws, "explain", &body).await;
    assert_eq!((status, &said["heldElsewhere"]), (200, &json!([])), "{said}");
    assert_eq!(ask(&format!("{ML}/write")).await["heldElsewhere"][0]["scope"], json!(other.to_lowercase()));
    let body = json!({"principalId": person, "action": format!("{ML}/read")});
    let (_, said) = town.post(&nosy_id.1, &ws, "explain", &body).await;
    assert_eq!(said["allowedBy"][0]["throughGroups"], json!([]), "{said}");
    let body = json!({"changes": [{"change": "assignRole", "roleDefinitionId": CONTRIBUTOR, "principalId": group}]});
    assert!(matches!(town.post(&nosy_id.1, &ws, "whatIf", &body).await.0, 403 | 404));
    assert_eq!(town.post(&nosy, &ws, "explain", &json!({})).await.0, 404);
    // The answer is the gate's.
    assert_eq!(town.ask(&token, Method::GET, &ws, &Value::Null).await.0, 200);
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &json!({"tags": {}})).await.0, 403);
    for (body, target) in [
        (json!({"principalId": Uuid::new_v4(), "action": format!("{ML}/read")}), "principalId"),
        (json!({"principalId": person, "action": "nothing/read"}), "action"),
    ] {
        let (status, said) = town.post(town.owner(), &ws, "explain", &body).await;
        assert_eq!((status, &said["error"]["target"]), (400, &json!(target)), "{said}");
    }
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_if_says_what_a_change_would_change_and_changes_nothing() {
    let town = Town::new().await;
    let ws = town.test.workspace();
    let (person, token) = town.person("somebody").await;
    let (_, _, held) = town.assign(town.owner(), &person, READER, &ws).await;
    let ask = async |changes: Value| {
        let (status, said) = town.post(town.owner(), &ws, "whatIf", &json!({"changes": changes})).await;
        assert_eq!(status, 200, "{said}");
        said["value"].clone()
    };
    let more = ask(json!([{"change": "assignRole", "roleDefinitionId": CONTRIBUTOR, "principalId": person}])).await;
    assert_eq!((more.as_array().unwrap().len(), &more[0]["principalId"]), (1, &json!(person)));
    assert!(more[0]["gained"].as_array().unwrap().contains(&json!(format!("{ML}/write"))), "{more}");
    assert!(more[0]["lost"].as_array().unwrap().is_empty());
    let less = ask(json!([{"change": "removeRoleAssignment", "roleAssignmentId": held}])).await;
    assert!(less[0]["lost"].as_array().unwrap().contains(&json!(format!("{ML}/read"))), "{less}");
    let swap = json!([
        {"change": "removeRoleAssignment", "roleAssignmentId": held},
        {"change": "assignRole", "roleDefinitionId": READER, "principalId": person},
    ]);
    assert_eq!(ask(swap).await, json!([]));
    let id = Uuid::new_v4();
    let made = json!([
        {"change": "defineRole", "roleDefinitionId": id, "properties": role("New", &["*/delete"], &[], &[&ws])},
        {"change": "assignRole", "roleDefinitionId": id, "principalId": person},
    ]);
    assert!(ask(made).await[0]["gained"].as_array().unwrap().contains(&json!(format!("{ML}/delete"))));
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &json!({"tags": {}})).await.0, 403);
    let (status, said) = town.post(town.owner(), &ws, "whatIf", &json!({"changes": [{"change": "wish"}]})).await;
    assert_eq!(status, 400, "{said}");
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linter_flags_the_published_roles() {
    let town = Town::new().await;
    let (status, said) = town.post(town.owner(), &town.test.workspace(), "lintRoles", &json!({})).await;
    assert_eq!(status, 200, "{said}");
    let flagged = |role: &str, rule: &str| {
        said["value"].as_array().unwrap().iter().any(|finding| finding["roleName"] == role && finding["rule"] == rule)
    };
    assert!(flagged("AzureML Data Scientist", "segmentWildcard"), "{said}");
    assert!(flagged("AzureML Compute Operator", "seesNoWorkspace"), "{said}");
    assert!(!flagged("Reader", "segmentWildcard"));
    // "MLOps Custom" (requirement A-30) takes back what it never allows.
    let not = [format!("{ML}/computes/write"), String::from("Microsoft.Authorization/*")];
    let not: Vec<&str> = not.iter().map(String::as_str).collect();
    let read = format!("{ML}/read");
    let made = role("MLOps Custom", &[&read], &not, &[&town.test.subscription()]);
    assert_eq!(town.define(town.owner(), Uuid::new_v4(), &made).await.0, 201);
    let (_, said) = town.post(town.owner(), &town.test.workspace(), "lintRoles", &json!({})).await;
    let found =
        said["value"].as_array().unwrap().iter().filter(|finding| finding["roleName"] == "MLOps Custom").count();
    assert_eq!(found, 2, "{said}");
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suggested_role_replays_the_session_and_nothing_more() {
    let town = Town::new().await;
    let ws = town.test.workspace();
    let (person, token) = town.person("worker").await;
    let (_, _, held) = town.assign(town.owner(), &person, CONTRIBUTOR, &ws).await;
    let mlflow = format!("/mlflow/v1.0{ws}/api/2.0/mlflow");
    let session = async |name: &str| {
        let asked = [
            (Method::GET, ws.clone(), Value::Null),
            (Method::GET, format!("{ws}/datastores"), Value::Null),
            (Method::POST, format!("{mlflow}/experiments/create"), json!({"name": name})),
        ];
        let mut statuses = Vec::new();
        for (method, place, body) in asked {
            statuses.push(town.ask(&token, method, &place, &body).await.0);
        }
        statuses
    };
    assert_eq!(session("one").await, [200, 200, 200]);
    let (status, said) = town.post(town.owner(), &ws, "suggestRole", &json!({"principalId": person})).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["isComplete"], true);
    let id = Uuid::new_v4();
    let (status, answer) = town.define(town.owner(), id, &said["properties"]).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(town.assign(town.owner(), &person, id, &ws).await.0, 201);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &held, &Value::Null).await.0, 200);
    assert_eq!(session("two").await, [200, 200, 200]);
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &json!({"tags": {}})).await.0, 403);
    assert_eq!(town.ask(&token, Method::GET, &format!("{ws}/computes"), &Value::Null).await.0, 403);
    let nothing = town.post(town.owner(), &ws, "suggestRole", &json!({"principalId": Uuid::new_v4()})).await;
    assert_eq!((nothing.0, &nothing.1["error"]["target"]), (400, &json!("principalId")));
    let (idle, _) = town.person("idle").await;
    let (status, said) = town.post(town.owner(), &ws, "suggestRole", &json!({"principalId": idle})).await;
    assert_eq!(status, 404, "{said}");
    town.test.end().await;
}
