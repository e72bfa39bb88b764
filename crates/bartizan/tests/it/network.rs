//! From where a workspace is reached: network rules over the wire, and the published host list.

use std::time::Duration;

use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

async fn rule(test: &TestHouse, owner: Option<&kernel::Secret<String>>, properties: Value) -> (u16, Value) {
    test.ask(owner, Method::PATCH, &test.workspace(), Some(&json!({"properties": properties}))).await
}

/// A-50, the workspace's side: refused from an unlisted address in each protocol's own form, let in once it is listed, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_50_an_unlisted_address_is_refused_by_every_protocol_until_it_is_added() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let arm = format!("{}/datastores", test.workspace());
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/get-by-name?experiment_name=x", test.workspace());
    let (status, shown) = rule(&test, owner, json!({"ipAllowlist": ["203.0.113.0/24"]})).await;
    assert_eq!((status, &shown["properties"]["ipAllowlist"]), (200, &json!(["203.0.113.0/24"])));

    let (status, refusal) = test.ask(owner, Method::GET, &arm, None).await;
    assert_eq!((status, &refusal["error"]["code"]), (403, &json!("Forbidden")), "{refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("127.0.0.1"), "{refusal}");
    let (status, refusal) = test.ask(owner, Method::GET, &mlflow, None).await;
    assert_eq!((status, &refusal["error_code"]), (403, &json!("PERMISSION_DENIED")), "{refusal}");
    // What a client says of its address is no evidence.
    let claims = test.client().get(&arm).bearer(owner.unwrap());
    let claims = claims.header("x-forwarded-for", "203.0.113.9").header("forwarded", "for=203.0.113.9");
    assert_eq!(claims.send().await.unwrap().status().as_u16(), 403);
    // A stranger is told what it is always told.
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &arm, None).await.0, 404);
    // Access and activity log are management.
    let assignments = format!("{}/providers/Microsoft.Authorization/roleAssignments", test.workspace());
    assert_eq!(test.ask(owner, Method::GET, &assignments, None).await.0, 200);

    assert_eq!(rule(&test, owner, json!({"ipAllowlist": ["203.0.113.0/24", "127.0.0.1"]})).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &arm, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &mlflow, None).await.0, 404);
    test.end().await;
}

/// the API lists this server's own hosts and ports, and a private-only workspace refuses public callers.
#[tokio::test(flavor = "multi_thread")]
async fn a_51_the_host_list_is_the_server_s_own_and_a_private_workspace_refuses_public_callers() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    assert_eq!(rule(&test, owner, json!({"publicNetworkAccess": "disabled"})).await.0, 200);
    let (_, shown) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(shown["properties"]["publicNetworkAccess"], "Disabled");
    let (status, refusal) = test.ask(owner, Method::GET, &format!("{}/jobs", test.workspace()), None).await;
    assert_eq!(status, 403);
    assert!(refusal["error"]["message"].as_str().unwrap().contains("public network access is disabled"), "{refusal}");

    let place = format!("{}/outboundNetworkDependenciesEndpoints", test.workspace());
    let (status, list) = test.ask(callers.token(Who::Reader), Method::GET, &place, None).await;
    assert_eq!(status, 200);
    let port: u16 = test.house.settings().url.rsplit(':').next().unwrap().parse().unwrap();
    for entry in list["value"].as_array().unwrap() {
        let endpoint = &entry["properties"]["endpoints"][0];
        assert_eq!(endpoint, &json!({"domainName": "localhost", "endpointDetails": [{"port": port}]}));
    }
    // A workspace that comes later under the same name has rules of its own.
    let purged = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purged, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await.0, 201);
    assert_eq!(test.ask(owner, Method::GET, &format!("{}/datastores", test.workspace()), None).await.0, 200);
    test.end().await;
}

const ENDPOINTS: &str = "privateEndpointConnections";

/// A network with the test's own address in a subnet, and a private endpoint from there.
async fn endpoint(test: &TestHouse, by: Option<&kernel::Secret<String>>, name: &str, is_manual: bool) -> (u16, Value) {
    let network = format!("{}/providers/Microsoft.Network/virtualNetworks/net", test.group());
    let kind = if is_manual { "manualPrivateLinkServiceConnections" } else { "privateLinkServiceConnections" };
    let link =
        json!({"name": "link", "properties": {"privateLinkServiceId": test.workspace(), "groupIds": ["amlworkspace"]}});
    let properties = json!({"subnet": {"id": format!("{network}/subnets/here")}, kind: [link]});
    let place = format!("{}/providers/Microsoft.Network/privateEndpoints/{name}", test.group());
    test.ask(by, Method::PUT, &place, Some(&json!({"location": "local", "properties": properties}))).await
}

async fn network(
    test: &TestHouse,
    owner: Option<&kernel::Secret<String>>,
    ranges: Value,
    subnets: Value,
) -> (u16, Value) {
    let place = format!("{}/providers/Microsoft.Network/virtualNetworks/net", test.group());
    let properties = json!({"addressSpace": {"addressPrefixes": ranges}, "subnets": subnets});
    test.ask(owner, Method::PUT, &place, Some(&json!({"location": "local", "properties": properties}))).await
}

fn subnet(name: &str, range: &str) -> Value {
    json!({"name": name, "properties": {"addressPrefix": range}})
}

/// with public access off, only approved connections let their subnet in, and each change counts at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_51_a_private_endpoint_lets_in_once_it_is_approved_and_not_before() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let here = json!([subnet("here", "127.0.0.0/24"), subnet("there", "127.0.1.0/24")]);
    assert_eq!(network(&test, owner, json!(["127.0.0.0/16"]), here).await.0, 201);
    assert_eq!(rule(&test, owner, json!({"publicNetworkAccess": "Disabled"})).await.0, 200);
    let within = format!("{}/datastores", test.workspace());
    let reach = async || test.ask(owner, Method::GET, &within, None).await.0;
    assert_eq!(reach().await, 403);

    let (status, made) = endpoint(&test, owner, "pe1", true).await;
    let state = "/properties/manualPrivateLinkServiceConnections/0/properties/privateLinkServiceConnectionState/status";
    assert_eq!((status, made.pointer(state)), (201, Some(&json!("Pending"))), "{made}");
    assert_eq!(reach().await, 403);
    let (_, all) = test.ask(owner, Method::GET, &format!("{}/{ENDPOINTS}", test.workspace()), None).await;
    let connection = format!("{}/{ENDPOINTS}/{}", test.workspace(), all["value"][0]["name"].as_str().unwrap());
    let answer = |status: &str| json!({"properties": {"privateLinkServiceConnectionState": {"status": status}}});
    let reader = callers.token(Who::Reader);
    assert_eq!(test.ask(reader, Method::PUT, &connection, Some(&answer("Approved"))).await.0, 403);
    for (status, reaches) in [("Approved", 200), ("Rejected", 403), ("Approved", 200)] {
        let (code, said) = test.ask(owner, Method::PUT, &connection, Some(&answer(status))).await;
        assert_eq!((code, reach().await), (200, reaches), "{status}: {said}");
    }
    assert_eq!(test.ask(owner, Method::PUT, &connection, Some(&answer("Pending"))).await.0, 400);
    // What an approved connection stands for does not change under it.
    let moved = json!([subnet("here", "127.0.2.0/24")]);
    assert_eq!(network(&test, owner, json!(["127.0.0.0/16"]), moved).await.0, 409);
    assert_eq!(
        test.ask(
            owner,
            Method::DELETE,
            &format!("{}/providers/Microsoft.Network/virtualNetworks/net", test.group()),
            None
        )
        .await
        .0,
        409
    );

    let own = format!("{}/providers/Microsoft.Network/privateEndpoints/pe1", test.group());
    assert_eq!(test.ask(owner, Method::DELETE, &own, None).await.0, 200);
    assert_eq!(reach().await, 403);
    let (_, gone) = test.ask(owner, Method::GET, &connection, None).await;
    assert_eq!(gone["properties"]["privateLinkServiceConnectionState"]["status"], "Disconnected");
    assert_eq!(test.ask(owner, Method::PUT, &connection, Some(&answer("Approved"))).await.0, 409);
    assert_eq!(test.ask(owner, Method::DELETE, &connection, None).await.0, 200);

    // Whoever may approve is let in at once.
    assert_eq!(endpoint(&test, owner, "pe2", false).await.0, 201);
    assert_eq!(reach().await, 200);
    let (_, shown) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    assert_eq!(shown["properties"][ENDPOINTS].as_array().unwrap().len(), 1);
    let (_, links) = test.ask(owner, Method::GET, &format!("{}/privateLinkResources", test.workspace()), None).await;
    assert_eq!(links["value"][0]["properties"]["groupId"], "amlworkspace");
    test.end().await;
}

/// A request that nobody answers for a month has timed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_times_out() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    assert_eq!(network(&test, owner, json!(["10.0.0.0/8"]), json!([subnet("here", "10.0.0.0/24")])).await.0, 201);
    assert_eq!(endpoint(&test, owner, "pe1", true).await.0, 201);
    test.clock.advance(Duration::from_secs(31 * 24 * 3600));
    let token = test.token(&test.founded.app.to_string(), test.founded.client_secret.expose()).await.unwrap();
    let place = format!("{}/{ENDPOINTS}", test.workspace());
    let (_, all) = test.ask(Some(&token), Method::GET, &place, None).await;
    assert_eq!(all["value"][0]["properties"]["privateLinkServiceConnectionState"]["status"], "Timeout", "{all}");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subnets_lie_in_their_network_and_do_not_overlap() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    for (ranges, subnets) in [
        (json!([]), json!([])),
        (json!(["10.0.0.1/8"]), json!([])),
        (json!(["10.0.0.0/8", "10.1.0.0/16"]), json!([])),
        (json!(["10.0.0.0/8"]), json!([subnet("a", "11.0.0.0/24")])),
        (json!(["10.0.0.0/8"]), json!([subnet("a", "10.0.0.0/24"), subnet("b", "10.0.0.128/25")])),
        (json!(["10.0.0.0/8"]), json!([subnet("a", "10.0.0.0/24"), subnet("A", "10.0.1.0/24")])),
        (json!(["10.0.0.0/8"]), json!([subnet("-a", "10.0.0.0/24")])),
        (json!(["10.0.0.0/8"]), json!([{"name": "a", "properties": {}}])),
    ] {
        let (status, said) = network(&test, owner, ranges.clone(), subnets.clone()).await;
        assert_eq!(status, 400, "{ranges} {subnets}: {said}");
    }
    assert_eq!(
        network(&test, owner, json!(["10.0.0.0/8", "2001:db8::/32"]), json!([subnet("a", "10.0.0.0/24")])).await.0,
        201
    );
    let place = format!("{}/providers/Microsoft.Network/virtualNetworks/net/subnets/b", test.group());
    let of = |range: &str| json!({"properties": {"addressPrefix": range}});
    assert_eq!(test.ask(owner, Method::PUT, &place, Some(&of("10.0.0.0/25"))).await.0, 400);
    assert_eq!(test.ask(owner, Method::PUT, &place, Some(&of("2001:db8:1::/64"))).await.0, 201);
    assert_eq!(test.ask(owner, Method::GET, &place, None).await.1["properties"]["addressPrefix"], "2001:db8:1::/64");
    assert_eq!(test.ask(owner, Method::DELETE, &place, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &place, None).await.0, 404);
    test.end().await;
}

/// Deny by default: of the doors within a workspace, only the listed ones are open to an owner from an unlisted address.
#[tokio::test(flavor = "multi_thread")]
async fn every_door_within_a_workspace_is_bound_but_those_that_manage_it() {
    const OPEN: [&str; 5] = [
        "Microsoft.MachineLearningServices/workspaces/outboundNetworkDependenciesEndpoints/read",
        "Microsoft.MachineLearningServices/workspaces/privateEndpointConnections/",
        "Microsoft.MachineLearningServices/workspaces/privateLinkResources/read",
        "Microsoft.Authorization/",
        "Microsoft.Insights/",
    ];
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    assert_eq!(rule(&test, owner, json!({"publicNetworkAccess": "Disabled"})).await.0, 200);
    let doors = http_faces::faces::doors();
    let mut wrong = Vec::new();
    let mut bound = 0;
    for door in
        doors.list().iter().filter(|door| !door.action.is_public() && door.path.contains("/workspaces/{workspace}"))
    {
        let is_workspace = door.path.ends_with("/workspaces/{workspace}");
        if is_workspace || OPEN.iter().any(|open| door.action.name().starts_with(open)) {
            continue;
        }
        bound += 1;
        let method = Method::from_bytes(door.method.as_str().as_bytes()).unwrap();
        let body = (method != Method::GET && method != Method::HEAD).then(|| json!({}));
        let (status, said) =
            test.ask(owner, method.clone(), &crate::gate::fill(&test, &door.path), body.as_ref()).await;
        if status != 403 {
            wrong.push(format!("{method} {} → {status} {said}", door.path));
        }
    }
    assert!(wrong.is_empty() && bound > 50, "{bound} doors, of which {}:\n{}", wrong.len(), wrong.join("\n"));
    test.end().await;
}
