//! Templates: made as the caller, in order, and stopped by the first failure.

use std::time::Duration;

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

const ML: &str = "Microsoft.MachineLearningServices/workspaces";

fn template(parameters: &Value, resources: &Value, outputs: &Value) -> Value {
    let schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#";
    json!({"$schema": schema, "contentVersion": "1.0.0.0", "parameters": parameters, "resources": resources, "outputs": outputs})
}

fn body(template: &Value, parameters: &Value) -> Value {
    json!({"properties": {"mode": "Incremental", "template": template, "parameters": parameters}})
}

fn workspace(name: &str) -> Value {
    json!({"type": ML, "apiVersion": "2023-04-01", "name": name, "location": "local", "properties": {"friendlyName": "F"}})
}

fn place(test: &TestHouse, name: &str) -> String {
    format!("{}/providers/Microsoft.Resources/deployments/{name}", test.group())
}

/// Deploys, and waits for the end as Azure's clients do.
async fn deploy(test: &TestHouse, token: Option<&Secret<String>>, name: &str, body: &Value) -> Value {
    let call = test.client().put(&place(test, name)).bearer(token.unwrap()).json(body);
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    let operation = answer.header("azure-asyncoperation").map(str::to_owned);
    let said: Value = serde_json::from_slice(&answer.bytes(1 << 20).await.unwrap()).unwrap();
    assert!(status == 201 || status == 200, "{said}");
    let operation = operation.unwrap();
    for _ in 0..500 {
        let (status, said) = test.ask(token, Method::GET, &operation, None).await;
        assert_eq!(status, 200, "{said}");
        if said["status"] != "Running" {
            return test.ask(token, Method::GET, &place(test, name), None).await.1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the deployment does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_makes_its_resources_in_order_and_gives_its_outputs() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let identity = "Microsoft.ManagedIdentity/userAssignedIdentities";
    let reader = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::READER);
    let resources = json!([
        {
            "type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01",
            "name": "[guid(resourceGroup().id, parameters('name'))]",
            "scope": "[concat('Microsoft.MachineLearningServices/workspaces/', parameters('name'))]",
            "dependsOn": ["[resourceId('Microsoft.MachineLearningServices/workspaces', parameters('name'))]"],
            "properties": {
                "roleDefinitionId": reader,
                "principalId": "[reference(resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', 'bot')).principalId]",
            },
        },
        workspace("[parameters('name')]"),
        {"type": identity, "apiVersion": "2023-01-31", "name": "bot", "location": "local"},
    ]);
    let outputs = json!({"guid": {"type": "string", "value": "[reference(parameters('name')).workspaceId]"}});
    let parameters = json!({"name": {"type": "string", "defaultValue": "[toLower('MADE')]", "minLength": 3}});
    let ended = deploy(&test, owner, "d1", &body(&template(&parameters, &resources, &outputs), &json!({}))).await;
    assert_eq!(ended["properties"]["provisioningState"], "Succeeded", "{ended}");
    let made = format!("{}/providers/{ML}/made", test.group());
    let (status, found) = test.ask(owner, Method::GET, &made, None).await;
    assert_eq!((status, &found["properties"]["friendlyName"]), (200, &json!("F")));
    assert_eq!(ended["properties"]["outputs"]["guid"]["value"], found["properties"]["workspaceId"]);
    // The role is held where the template says.
    let held = format!("{made}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()");
    let (_, held) = test.ask(owner, Method::GET, &held, None).await;
    assert!(
        held["value"].as_array().unwrap().iter().any(|one| one["properties"]["roleDefinitionId"]
            .as_str()
            .unwrap()
            .ends_with(&domain::access::READER.to_string())),
        "{held}"
    );
    // The older address of the operations, which azure-ai-ml asks.
    let (_, steps) = test.ask(owner, Method::GET, &format!("{}/deployments/d1/operations", test.group()), None).await;
    let order: Vec<_> = steps["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["properties"]["targetResource"]["resourceName"].as_str().unwrap())
        .collect();
    assert_eq!((order[0], order[1], order.len()), ("made", "bot", 3));
    // The same again changes nothing, and says so beforehand.
    let again = body(&template(&parameters, &resources, &outputs), &json!({}));
    let (status, said) = test.ask(owner, Method::POST, &format!("{}/whatIf", place(&test, "d1")), Some(&again)).await;
    assert_eq!(status, 200, "{said}");
    let changes: Vec<_> =
        said["properties"]["changes"].as_array().unwrap().iter().map(|change| &change["changeType"]).collect();
    assert!(changes[..2].iter().all(|kind| *kind == "NoChange"), "{said}");
    let ended = deploy(&test, owner, "d1", &again).await;
    assert_eq!(ended["properties"]["provisioningState"], "Succeeded", "{ended}");
    assert_eq!(test.ask(owner, Method::DELETE, &place(&test, "d1"), None).await.0, 204);
    assert_eq!(test.ask(owner, Method::GET, &made, None).await.0, 200);
    test.end().await;
}

/// No privilege by template: what the caller may not do by itself fails, by name, and ends the deployment.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_gives_nobody_a_right_and_the_first_failure_ends_it() {
    let (test, callers) = TestHouse::new().await;
    let owner_role = format!("/providers/Microsoft.Authorization/roleDefinitions/{}", domain::access::OWNER);
    let grab = json!({
        "type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "name": "[guid('x')]",
        "properties": {"roleDefinitionId": owner_role, "principalId": test.founded.principal.to_string()},
        "dependsOn": ["before"],
    });
    let mut after = workspace("after");
    after["dependsOn"] = json!(["[guid('x')]"]);
    let resources = json!([workspace("before"), grab, after]);
    let whole = body(&template(&json!({}), &resources, &json!({})), &json!({}));
    let contributor = callers.token(Who::Contributor);
    let ended = deploy(&test, contributor, "grab", &whole).await;
    assert_eq!(ended["properties"]["provisioningState"], "Failed", "{ended}");
    let error = &ended["properties"]["error"];
    assert_eq!(
        (&error["code"], &error["details"][0]["code"]),
        (&json!("DeploymentFailed"), &json!("AuthorizationFailed"))
    );
    assert!(error["target"].as_str().unwrap().contains("roleAssignments"), "{error}");
    let at = |name: &str| format!("{}/providers/{ML}/{name}", test.group());
    assert_eq!(test.ask(contributor, Method::GET, &at("before"), None).await.0, 200);
    assert_eq!(test.ask(contributor, Method::GET, &at("after"), None).await.0, 404);
    // Who may not deploy at all, may not; and the refusal of the step is in the log under the caller's name.
    let refused = test.ask(callers.token(Who::Reader), Method::PUT, &place(&test, "x"), Some(&whole)).await;
    assert_eq!(refused.0, 403, "{}", refused.1);
    test.house.flush_reads().await.unwrap();
    let log = format!("{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01&$filter=eventTimestamp ge '2000-01-01T00:00:00Z'", test.subscription()).replace(' ', "%20");
    let (status, log) = test.ask(callers.token(Who::Owner), Method::GET, &log, None).await;
    assert_eq!(status, 200, "{log}");
    let denied = log["value"].as_array().unwrap().iter().any(|one| {
        one["caller"] == "contributor"
            && one["operationName"]["value"] == "Microsoft.Authorization/roleAssignments/write"
    });
    assert!(denied, "{log}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let one = |resources: Value| body(&template(&json!({}), &resources, &json!({})), &json!({}));
    let mut circle = workspace("aaa");
    circle["dependsOn"] = json!(["aaa"]);
    let mut complete = one(json!([]));
    complete["properties"]["mode"] = json!("Complete");
    let unknown = json!([{"type": "Microsoft.Compute/virtualMachines", "apiVersion": "1", "name": "vm"}]);
    let linked = json!({"properties": {"templateLink": {"uri": "https://example.org"}}});
    for (body, status, code) in [
        (one(json!([circle])), 400, "InvalidTemplate"),
        (one(json!([workspace("[nothing('aaa')]")])), 400, "NotSupported"),
        (one(json!([workspace("[concat(]")])), 400, "InvalidTemplate"),
        (one(unknown), 400, "InvalidResourceType"),
        (complete, 400, "NotSupported"),
        (linked, 400, "NotSupported"),
        (json!({"properties": {}}), 400, "InvalidRequestContent"),
        (json!({"properties": {"template": []}}), 400, "InvalidTemplate"),
    ] {
        for (method, below) in [(Method::PUT, ""), (Method::POST, "/validate"), (Method::POST, "/whatIf")] {
            let place = format!("{}{below}", place(&test, "bad"));
            let (found, said) = test.ask(owner, method, &place, Some(&body)).await;
            assert_eq!((found, &said["error"]["code"]), (status, &json!(code)), "{below} {body}: {said}");
        }
    }
    let (status, _) = test.ask(owner, Method::GET, &place(&test, "bad"), None).await;
    assert_eq!(status, 404);
    let long = place(&test, &"x".repeat(65));
    assert_eq!(test.ask(owner, Method::PUT, &long, Some(&one(json!([])))).await.0, 400);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_parameter_is_used_and_shown_nowhere() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let secret = "correct-horse-7719";
    let mut bad = workspace("[parameters('s')]");
    bad["properties"]["publicNetworkAccess"] = json!("[parameters('s')]");
    let parameters = json!({"s": {"type": "secureString"}});
    let whole = body(&template(&parameters, &json!([bad]), &json!({})), &json!({"s": {"value": secret}}));
    let ended = deploy(&test, owner, "s1", &whole).await;
    assert_eq!(ended["properties"]["provisioningState"], "Failed", "{ended}");
    let (_, steps) = test.ask(owner, Method::GET, &format!("{}/operations", place(&test, "s1")), None).await;
    let export = format!("{}/exportTemplate", place(&test, "s1"));
    let (_, exported) = test.ask(owner, Method::POST, &export, Some(&json!({}))).await;
    let mut used = workspace("used");
    used["tags"] = json!({"of": "[length(parameters('s'))]"});
    used["tags"]["of"] = json!("[string(length(parameters('s')))]");
    let whole = body(
        &template(&parameters, &json!([used]), &json!({"o": {"type": "secureString", "value": "[parameters('s')]"}})),
        &json!({"s": {"value": secret}}),
    );
    let ended = deploy(&test, owner, "s2", &whole).await;
    assert_eq!(ended["properties"]["provisioningState"], "Succeeded", "{ended}");
    for said in [&ended["properties"]["parameters"], &ended["properties"]["outputs"], &exported] {
        assert!(!said.to_string().contains(secret), "{said}");
    }
    assert_eq!(ended["properties"]["parameters"]["s"], json!({"type": "SecureString"}));
    assert!(!steps["value"][0]["properties"]["statusMessage"].to_string().contains(secret), "{steps}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_nest_and_reach_groups_from_the_subscription() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let inner = template(&json!({"n": {"type": "string"}}), &json!([workspace("[parameters('n')]")]), &json!({}));
    let resources = json!([
        {"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2021-04-01", "name": "fresh", "location": "local"},
        {
            "type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "inner", "resourceGroup": "fresh",
            "dependsOn": ["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'fresh')]", "fresh"],
            "properties": {
                "mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"},
                "template": inner, "parameters": {"n": {"value": "nested"}},
            },
        },
    ]);
    let mut whole = body(&template(&json!({}), &resources, &json!({})), &json!({}));
    whole["properties"]["template"]["resources"][1]["dependsOn"] = json!(["fresh"]);
    whole["location"] = json!("local");
    let place = format!("{}/providers/Microsoft.Resources/deployments/top", test.subscription());
    assert_eq!(test.ask(owner, Method::PUT, &place, Some(&whole)).await.0, 201);
    let mut ended = Value::Null;
    for _ in 0..500 {
        ended = test.ask(owner, Method::GET, &place, None).await.1;
        if ended["properties"]["provisioningState"] != "Running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ended["properties"]["provisioningState"], "Succeeded", "{ended}");
    let made = format!("{}/resourceGroups/fresh/providers/{ML}/nested", test.subscription());
    assert_eq!(test.ask(owner, Method::GET, &made, None).await.0, 200);
    test.end().await;
}
