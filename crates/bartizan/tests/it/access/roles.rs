//! Custom roles and deny assignments.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_data_scientist_works_in_a_workspace_and_does_not_manage_it() {
    let town = Town::new().await;
    let (ws, group) = (town.test.workspace(), town.test.group());
    let (person, token) = town.person("science").await;
    // "Data Scientist Custom" as Microsoft documents it (requirement A-28), at the workspace.
    let not = [
        "Microsoft.MachineLearningServices/workspaces/*/delete",
        "Microsoft.MachineLearningServices/workspaces/write",
        "Microsoft.MachineLearningServices/workspaces/computes/*/write",
        "Microsoft.MachineLearningServices/workspaces/computes/*/delete",
        "Microsoft.Authorization/*/write",
    ];
    let id = Uuid::new_v4();
    let (status, made) = town.define(town.owner(), id, &role("Data Scientist Custom", &["*"], &not, &[&ws])).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["type"], "CustomRole");
    assert_eq!(made["name"], id.to_string());
    assert_eq!(town.assign(town.owner(), &person, id, &ws).await.0, 201);

    let denied = [
        (Method::DELETE, ws.clone(), Value::Null),
        (Method::PATCH, ws.clone(), json!({"tags": {"a": "b"}})),
        (Method::PATCH, format!("{ws}/computes/local"), json!({"identity": {"type": "None"}})),
        (Method::PUT, Town::at(&ws, &format!("roleAssignments/{}", Uuid::new_v4())), json!({})),
    ];
    for (method, place, body) in denied {
        let (status, answer) = town.ask(&token, method.clone(), &place, &body).await;
        assert_eq!(status, 403, "{method} {place}: {answer}");
        assert_eq!(answer["error"]["code"], "AuthorizationFailed");
    }
    let experiments = format!("/mlflow/v1.0{ws}/api/2.0/mlflow/experiments/create");
    assert_eq!(town.ask(&token, Method::POST, &experiments, &json!({"name": "mine"})).await.0, 200);
    assert_eq!(town.ask(&token, Method::GET, &ws, &Value::Null).await.0, 200);
    // Nor is it known outside its scope.
    assert_eq!(town.ask(&token, Method::GET, &group, &Value::Null).await.0, 404);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_role_is_said_by_its_field() {
    let town = Town::new().await;
    let (ws, subscription) = (town.test.workspace(), town.test.subscription());
    let read = format!("{ML}/read");
    let good = |name: &str| role(name, &[&read], &[], &[&ws]);
    let with = |field: &str, value: Value| {
        let mut body = good("mine");
        body[field] = value;
        body
    };
    let permission = |list: &str, value: Value| {
        let mut body = good("mine");
        body["permissions"][0][list] = value;
        body
    };
    let many: Vec<String> = (0..10_000).map(|at| format!("{ML}/*{at}*/read")).collect();
    let wrong = [
        ("properties.roleName", with("roleName", json!(""))),
        ("properties.roleName", with("roleName", json!("x".repeat(129)))),
        ("properties.roleName", with("roleName", json!("Owner "))),
        ("properties.roleName", with("roleName", json!(Uuid::new_v4()))),
        (
            "properties.assignableScopes",
            with("assignableScopes", json!([ws, ws.to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions")])),
        ),
        ("properties.permissions.condition", {
            let mut body = good("mine");
            body["permissions"][0]["condition"] = json!("@Resource[x] == 'y'");
            body
        }),
        ("properties.description", with("description", json!("x".repeat(1025)))),
        ("properties.type", with("type", json!("BuiltInRole"))),
        ("properties.permissions", with("permissions", json!([]))),
        ("properties.permissions", permission("actions", json!(many))),
        ("properties.permissions.actions", permission("actions", json!([]))),
        ("properties.permissions.actions", permission("actions", json!(["Microsoft.Nothing/*"]))),
        ("properties.permissions.actions", permission("actions", json!([format!("{ML}/reed")]))),
        ("properties.permissions.notActions", permission("notActions", json!(["a b"]))),
        ("properties.permissions.dataActions", permission("dataActions", json!([read]))),
        ("properties.assignableScopes", with("assignableScopes", json!([]))),
        ("properties.assignableScopes", with("assignableScopes", json!(["/"]))),
        ("properties.assignableScopes", with("assignableScopes", json!(["nowhere"]))),
        (
            "properties.assignableScopes",
            with("assignableScopes", json!([format!("{subscription}/resourceGroups/none")])),
        ),
        ("properties.assignableScopes", with("assignableScopes", json!([format!("{ws}/computes/local")]))),
    ];
    for (field, body) in wrong {
        let (status, answer) = town.define(town.owner(), Uuid::new_v4(), &body).await;
        assert_eq!(status, 400, "{field}: {answer}");
        assert_eq!(answer["error"]["target"], field, "{answer}");
    }
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    assert_eq!(town.define(town.owner(), id, &good("Mine")).await.0, 201);
    // Names are unique, whatever their case, those that ship included; what ships stays.
    assert_eq!(town.define(town.owner(), other, &good("mINE")).await.0, 409);
    assert_eq!(town.define(town.owner(), other, &good("reader")).await.0, 409);
    assert_eq!(town.define(town.owner(), READER, &good("mine too")).await.0, 409);
    let place = |id: Uuid| Town::at(&subscription, &format!("roleDefinitions/{id}"));
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place(READER), &Value::Null).await.0, 409);
    // A role that is held is not removed, and keeps the scopes at which it is held.
    let (person, token) = town.person("holder").await;
    let (status, answer, assignment) = town.assign(town.owner(), &person, id, &ws).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(town.ask(&token, Method::GET, &ws, &Value::Null).await.0, 200);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place(id), &Value::Null).await.0, 409);
    let group = town.another_group().await;
    assert_eq!(town.define(town.owner(), id, &role("Mine", &[&read], &[], &[&group])).await.0, 409);
    // A change of the role counts at once for whoever holds it, and so does the end of the assignment.
    let models = format!("{ML}/models/read");
    assert_eq!(town.define(town.owner(), id, &role("Mine", &[&models], &[], &[&ws])).await.0, 201);
    assert_eq!(town.ask(&token, Method::GET, &ws, &Value::Null).await.0, 404);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &assignment, &Value::Null).await.0, 200);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place(id), &Value::Null).await.0, 200);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place(id), &Value::Null).await.0, 204);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_offered_and_assigned_within_its_scopes_alone() {
    let town = Town::new().await;
    let (group, other) = (town.test.group(), town.another_group().await);
    let (person, _) = town.person("somebody").await;
    let id = Uuid::new_v4();
    assert_eq!(town.define(town.owner(), id, &role("Here", &["*/read"], &[], &[&group])).await.0, 201);
    let offered = async |scope: &str, filter: &str| -> bool {
        let place = Town::at(scope, &format!("roleDefinitions{filter}"));
        let (status, answer) = town.ask(town.owner(), Method::GET, &place, &Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer["value"].as_array().unwrap().iter().any(|role| role["name"] == id.to_string())
    };
    assert!(offered(&group, "").await && offered(&town.test.workspace(), "?$filter=type%20eq%20'CustomRole'").await);
    assert!(!offered(&other, "").await && !offered(&town.test.subscription(), "").await);
    assert!(offered(&town.test.subscription(), "?$filter=atScopeAndBelow()").await);
    assert!(!offered(&group, "?$filter=type%20eq%20'BuiltInRole'").await);
    assert!(offered(&group, "?$filter=roleName%20eq%20'here'").await);
    let (status, answer, _) = town.assign(town.owner(), &person, id, &other).await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("properties.roleDefinitionId")), "{answer}");
    assert_eq!(town.assign(town.owner(), &person, id, &group).await.0, 201);
    // Nothing is assigned where nothing is yet: whoever made it later would find somebody in it. And no condition is dropped.
    let future = format!("{group}/providers/Microsoft.MachineLearningServices/workspaces/future");
    assert_eq!(town.assign(town.owner(), &person, READER, &future).await.0, 400);
    let place = Town::at(&group, &format!("roleAssignments/{}", Uuid::new_v4()));
    let body = json!({"properties": {"roleDefinitionId": READER, "principalId": person, "condition": "true", "conditionVersion": "2.0"}});
    let (status, answer) = town.ask(town.owner(), Method::PUT, &place, &body).await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("properties.condition")), "{answer}");
    // Whoever owns one of a role's two groups does not change the role.
    let (keeper, token) = town.person("keeper").await;
    assert_eq!(town.assign(town.owner(), &keeper, domain::access::OWNER, &group).await.0, 201);
    assert_eq!(town.define(town.owner(), id, &role("Here", &["*/read"], &[], &[&group, &other])).await.0, 201);
    let place = Town::at(&group, &format!("roleDefinitions/{id}"));
    let body = json!({"properties": role("Here", &["*"], &[], &[&group])});
    let (status, answer) = town.ask(&token, Method::PUT, &place, &body).await;
    assert!(matches!(status, 403 | 404), "{answer}");
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hands_out_more_than_they_hold() {
    let town = Town::new().await;
    let (group, ws) = (town.test.group(), town.test.workspace());
    // "Workspace Admin Custom" (requirement A-30): may assign roles, is no owner.
    let lead = Uuid::new_v4();
    let actions = [
        "Microsoft.MachineLearningServices/workspaces/*/read",
        "Microsoft.MachineLearningServices/workspaces/*/action",
        "Microsoft.MachineLearningServices/workspaces/*/write",
        "Microsoft.MachineLearningServices/workspaces/*/delete",
        "Microsoft.Authorization/roleAssignments/*",
    ];
    let made =
        role("Workspace Admin Custom", &actions, &["Microsoft.MachineLearningServices/workspaces/write"], &[&ws]);
    assert_eq!(town.define(town.owner(), lead, &made).await.0, 201);
    let (chief, token) = town.person("chief").await;
    let (friend, friends) = town.person("friend").await;
    assert_eq!(town.assign(town.owner(), &chief, lead, &ws).await.0, 201);
    for role in [domain::access::OWNER, CONTRIBUTOR, READER, domain::access::USER_ACCESS_ADMINISTRATOR] {
        let (status, answer, _) = town.assign(&token, &friend, role, &ws).await;
        assert_eq!(status, 403, "{answer}");
    }
    assert_eq!(town.assign(&token, &friend, domain::access::COMPUTE_OPERATOR, &ws).await.0, 201);
    assert_eq!(town.assign(&token, &friend, lead, &ws).await.0, 201);
    // Nor do they take a role apart that gives more than they hold.
    let editor = Uuid::new_v4();
    let edit = role("Editor of roles", &["Microsoft.Authorization/roleDefinitions/*", "*/read"], &[], &[&ws]);
    assert_eq!(town.define(town.owner(), editor, &edit).await.0, 201);
    let (meddler, meddlers) = town.person("meddler").await;
    assert_eq!(town.assign(town.owner(), &meddler, editor, &ws).await.0, 201);
    let place = Town::at(&ws, &format!("roleDefinitions/{lead}"));
    let less = json!({"properties": role("Workspace Admin Custom", &["*/read"], &[], &[&ws])});
    assert_eq!(town.ask(&meddlers, Method::PUT, &place, &less).await.0, 403);
    assert_eq!(town.ask(&meddlers, Method::DELETE, &place, &Value::Null).await.0, 403);
    // Nor do they write roles, reach above their scope, or take an owner's role away.
    assert!(matches!(town.define(&token, Uuid::new_v4(), &made).await.0, 403 | 404));
    assert!(matches!(town.assign(&token, &friend, READER, &group).await.0, 403 | 404));
    let (boss, _) = town.person("boss").await;
    let (status, _, place) = town.assign(town.owner(), &boss, domain::access::OWNER, &ws).await;
    assert_eq!(status, 201);
    assert_eq!(town.ask(&friends, Method::DELETE, &place, &Value::Null).await.0, 403);
    // A user access administrator may grant anything there, and holds little.
    let (clerk, clerks) = town.person("clerk").await;
    assert_eq!(town.assign(town.owner(), &clerk, domain::access::USER_ACCESS_ADMINISTRATOR, &ws).await.0, 201);
    assert_eq!(town.assign(&clerks, &friend, CONTRIBUTOR, &ws).await.0, 201);
    assert_eq!(town.ask(&clerks, Method::PATCH, &ws, &json!({"tags": {}})).await.0, 403);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_assignment_wins_and_can_be_taken_back() {
    let town = Town::new().await;
    let ws = town.test.workspace();
    let (person, token) = town.person("contributor too").await;
    assert_eq!(town.assign(town.owner(), &person, CONTRIBUTOR, &ws).await.0, 201);
    let place = Town::at(&ws, &format!("denyAssignments/{}", Uuid::new_v4()));
    let nobody = "00000000-0000-0000-0000-000000000000";
    let denial = |principals: Value, except: Value| {
        json!({"properties": {
            "denyAssignmentName": "no changes",
            "permissions": [{"actions": ["*/write", "*/delete"]}],
            "principals": principals,
            "excludePrincipals": except,
        }})
    };
    // A denial for everyone does not keep the owner from lifting it, and a contributor denies nothing.
    let all = denial(json!([{"id": nobody, "type": "Everyone"}]), json!([]));
    assert_eq!(town.ask(town.owner(), Method::PUT, &place, &all).await.0, 201);
    assert_eq!(town.ask(town.owner(), Method::PATCH, &ws, &json!({"tags": {}})).await.0, 403);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place, &Value::Null).await.0, 200);
    let one = denial(json!([{"id": person}]), json!([]));
    assert_eq!(town.ask(&token, Method::PUT, &place, &one).await.0, 403);
    let tags = json!({"tags": {"a": "b"}});
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &tags).await.0, 200);
    let (status, made) = town.ask(town.owner(), Method::PUT, &place, &one).await;
    assert_eq!((status, &made["properties"]["scope"]), (201, &json!(ws)), "{made}");
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &tags).await.0, 403);
    assert_eq!(town.ask(&token, Method::GET, &ws, &Value::Null).await.0, 200);
    assert_eq!(town.ask(town.owner(), Method::PATCH, &ws, &tags).await.0, 200);
    let except = denial(json!([{"id": nobody}]), json!([{"id": town.test.founded.principal.to_string()}]));
    assert_eq!(town.ask(town.owner(), Method::PUT, &place, &except).await.0, 201);
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &tags).await.0, 403);
    let listed = Town::at(&ws, "denyAssignments");
    let (_, listed) = town.ask(&token, Method::GET, &listed, &Value::Null).await;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place, &Value::Null).await.0, 200);
    assert_eq!(town.ask(&token, Method::PATCH, &ws, &tags).await.0, 200);
    // Whom it binds does not lift it, though a role lets them write denials; nor does a group that is left.
    let keeper = Uuid::new_v4();
    let made = role("Keeper of denials", &["Microsoft.Authorization/denyAssignments/*", "*/read"], &[], &[&ws]);
    assert_eq!(town.define(town.owner(), keeper, &made).await.0, 201);
    assert_eq!(town.assign(town.owner(), &person, keeper, &ws).await.0, 201);
    assert_eq!(town.ask(town.owner(), Method::PUT, &place, &one).await.0, 201);
    assert_eq!(town.ask(&token, Method::DELETE, &place, &Value::Null).await.0, 403);
    assert_eq!(
        town.ask(&token, Method::PUT, &place, &denial(json!([{"id": nobody}]), json!([{"id": person}]))).await.0,
        403
    );
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place, &Value::Null).await.0, 200);
    let except_all = denial(json!([{"id": person}]), json!([{"id": nobody}]));
    assert_eq!(town.ask(town.owner(), Method::PUT, &place, &except_all).await.0, 400);
    let unknown = denial(json!([{"id": Uuid::new_v4()}]), json!([]));
    let (status, answer) = town.ask(town.owner(), Method::PUT, &place, &unknown).await;
    assert_eq!((status, &answer["error"]["target"]), (400, &json!("properties.principals")));
    town.test.end().await;
}
