//! What Azure's command line asks for beside single resources: the cloud, lists across types, names, providers.

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

fn names(list: &Value) -> Vec<&str> {
    list["value"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_learns_where_this_cloud_s_services_are_and_nothing_else() {
    let (test, _) = TestHouse::new().await;
    let url = test.house.settings().url.clone();
    let ask = |version: &'static str| test.ask(None, Method::GET, version, None);
    let (status, cloud) = ask("/metadata/endpoints?api-version=2022-09-01").await;
    assert_eq!(status, 200, "{cloud}");
    assert_eq!(cloud["resourceManager"], json!(url));
    assert_eq!(cloud["authentication"]["loginEndpoint"], json!(url));
    assert_eq!(cloud["authentication"]["audiences"][0], json!(url));
    // Older readers expect all clouds there are.
    assert_eq!(ask("/metadata/endpoints?api-version=2019-05-01").await, (200, json!([cloud])));
    let said = cloud.to_string();
    assert!(!said.contains(&test.founded.tenant.to_string()) && !said.contains(&test.founded.subscription.to_string()));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_are_listed_across_types_and_chosen_by_a_filter() {
    let (test, callers) = TestHouse::new().await;
    let (owner, reader) = (callers.token(Who::Owner), callers.token(Who::Reader));
    let tagged = json!({"location": "north", "tags": {"team": "a and b"}});
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/inventory1", test.group());
    assert_eq!(test.ask(owner, Method::PUT, &account, Some(&tagged)).await.0, 200);
    let other = format!("{}/resourceGroups/other", test.subscription());
    assert_eq!(test.ask(owner, Method::PUT, &other, Some(&json!({"location": "local"}))).await.0, 201);
    let all = format!("{}/resources", test.subscription());
    let list = async |place: &str, query: &str| test.ask(reader, Method::GET, &format!("{place}{query}"), None).await.1;
    let everything = list(&all, "").await;
    assert!(names(&everything).contains(&"ws1") && names(&everything).contains(&"inventory1"), "{everything}");
    assert_eq!(list(&format!("{}/resources", test.group()), "").await, everything);
    assert_eq!(names(&list(&format!("{other}/resources"), "").await), Vec::<&str>::new());
    let cases = [
        ("resourceType%20eq%20'microsoft.machinelearningservices/workspaces'", vec!["ws1"]),
        ("resourceGroup%20eq%20'RG'%20and%20name%20eq%20'inventory1'", vec!["inventory1"]),
        ("resourceGroup%20eq%20'other'", vec![]),
        ("location%20eq%20'north'", vec!["inventory1"]),
        ("tagName%20eq%20'team'%20and%20tagValue%20eq%20'a%20and%20b'", vec!["inventory1"]),
        ("tagName%20eq%20'team'%20and%20tagValue%20eq%20'b'", vec![]),
    ];
    for (filter, expected) in cases {
        let found = list(&all, &format!("?$filter={filter}")).await;
        assert_eq!(names(&found), expected, "{filter}");
    }
    assert_eq!(names(&list(&all, "?$top=1").await).len(), 1);
    let expanded = list(&all, "?$filter=name%20eq%20'ws1'&$expand=createdTime,provisioningState").await;
    assert_eq!(expanded["value"][0]["provisioningState"], "Succeeded");
    assert!(expanded["value"][0]["createdTime"].is_string() && expanded["value"][0]["changedTime"].is_null());
    for bad in
        ["$filter=colour%20eq%20'red'", "$filter=name", "$filter=name%20ne%20'a'", "$filter=name%20eq%20'a", "$top=x"]
    {
        assert_eq!(test.ask(reader, Method::GET, &format!("{all}?{bad}"), None).await.0, 400, "{bad}");
    }
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &all, None).await.0, 404);
    assert_eq!(
        test.ask(owner, Method::GET, &format!("{}/resourceGroups/none/resources", test.subscription()), None).await.0,
        404
    );
    let accounts = list(&format!("{}/providers/Microsoft.Storage/storageAccounts", test.subscription()), "").await;
    assert!(names(&accounts).contains(&"inventory1"), "{accounts}");
    test.end().await;
}

/// The list holds what the caller may read, though it may ask for the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_across_types_holds_only_what_the_caller_may_read() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let role = uuid::Uuid::new_v4();
    let actions = ["Microsoft.Resources/subscriptions/resources/read", "Microsoft.KeyVault/vaults/read"];
    let body = json!({"properties": {"roleName": "Vaults", "permissions": [{"actions": actions}], "assignableScopes": [test.subscription()]}});
    let place = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{role}", test.subscription());
    let (status, made) = test.ask(Some(owner), Method::PUT, &place, Some(&body)).await;
    assert_eq!(status, 201, "{made}");
    let (_, token) = test.principal(owner, "vaults", Some((&role.to_string(), &test.subscription()))).await;
    let (status, found) =
        test.ask(Some(&token), Method::GET, &format!("{}/resources", test.subscription()), None).await;
    assert_eq!(status, 200, "{found}");
    let found = found["value"].as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|item| item["type"] == "Microsoft.KeyVault/vaults"), "{found:?}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_an_account_s_name_can_be_had_is_said_beforehand() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/taken1", test.group());
    assert_eq!(test.ask(owner, Method::PUT, &account, Some(&json!({}))).await.0, 200);
    let place = format!("{}/providers/Microsoft.Storage/checkNameAvailability", test.subscription());
    for (name, free, reason) in [
        ("free1", true, json!(null)),
        ("taken1", false, json!("AlreadyExists")),
        ("No!", false, json!("AccountNameInvalid")),
    ] {
        let (status, said) = test.ask(owner, Method::POST, &place, Some(&json!({"name": name}))).await;
        assert_eq!((status, &said["nameAvailable"], &said["reason"]), (200, &json!(free), &reason), "{said}");
    }
    assert_eq!(test.ask(owner, Method::POST, &place, Some(&json!({"name": 1}))).await.0, 400);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_name_the_types_that_have_doors_each_with_an_api_version() {
    let (test, callers) = TestHouse::new().await;
    let reader = callers.token(Who::Reader);
    let all = format!("{}/providers", test.subscription());
    let (status, listed) = test.ask(reader, Method::GET, &all, None).await;
    assert_eq!(status, 200, "{listed}");
    for provider in listed["value"].as_array().unwrap() {
        let types = provider["resourceTypes"].as_array().unwrap();
        assert!(!types.is_empty(), "{provider}");
        assert!(types.iter().all(|kind| kind["apiVersions"][0].is_string()), "{provider}");
    }
    let (_, one) = test.ask(reader, Method::GET, &format!("{all}/microsoft.machinelearningservices"), None).await;
    let types: Vec<&str> =
        one["resourceTypes"].as_array().unwrap().iter().map(|kind| kind["resourceType"].as_str().unwrap()).collect();
    assert!(types.contains(&"workspaces") && types.contains(&"workspaces/jobs"), "{types:?}");
    let (status, none) = test.ask(reader, Method::GET, &format!("{all}/Microsoft.Nothing"), None).await;
    assert_eq!((status, &none["error"]["code"]), (404, &json!("InvalidResourceNamespace")));
    // Whoever holds a role in a group alone asks as well; whoever holds none learns of no subscription.
    let role = domain::access::READER.to_string();
    let (_, guest) = test.principal(callers.token(Who::Owner).unwrap(), "guest", Some((&role, &test.group()))).await;
    assert_eq!(test.ask(Some(&guest), Method::GET, &all, None).await.0, 200);
    for (who, expected) in [(Who::Stranger, 404), (Who::Nobody, 401)] {
        assert_eq!(test.ask(callers.token(who), Method::GET, &all, None).await.0, expected);
    }
    test.end().await;
}
