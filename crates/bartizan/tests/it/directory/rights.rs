//! What the directory gives, and to whom it opens.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_group_gives_access_and_takes_it_back() {
    let office = Office::new().await;
    let owner = office.owner();
    let ann = office.user("ann").await;
    let [outer, inner] = [office.group("outer").await, office.group("inner").await];
    assert_eq!(office.grant(&outer, READER, &office.test.workspace()).await, 201);
    let token = office.sign_in("ann", PASSWORD).await.unwrap();
    assert_eq!(office.reads(&token).await, 404);
    assert_eq!(office.put_into(&owner, &outer, &inner).await, 204);
    assert_eq!(office.put_into(&owner, &inner, &ann).await, 204);
    assert_eq!(office.put_into(&owner, &inner, &ann).await, 409);
    assert_eq!(office.reads(&token).await, 200);
    assert_eq!(names(&office.get(&format!("groups/{outer}/members")).await), ["inner"]);
    assert_eq!(names(&office.get(&format!("groups/{outer}/transitiveMembers")).await), ["ann", "inner"]);
    assert_eq!(names(&office.get("users/ann/memberOf").await), ["inner"]);
    assert_eq!(names(&office.get("users/ann/transitiveMemberOf").await), ["inner", "outer"]);
    office.delete(&format!("groups/{outer}/members/{inner}/$ref")).await;
    assert_eq!(office.reads(&token).await, 404);
    assert_eq!(office.put_into(&owner, &outer, &inner).await, 204);
    office.delete(&format!("groups/{inner}")).await;
    assert_eq!(office.reads(&token).await, 404);
    assert_eq!(names(&office.get("users/ann/memberOf").await), Vec::<String>::new());
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administering_the_directory_is_no_way_to_more_rights() {
    let office = Office::new().await;
    for (name, role) in [("clerk", USER_ADMINISTRATOR), ("officer", APPLICATION_ADMINISTRATOR)] {
        let id = office.user(name).await;
        assert_eq!(office.grant(&id, role, "").await, 201);
    }
    let boss = office.user("boss").await;
    assert_eq!(office.grant(&boss, OWNER, "").await, 201);
    let team = office.group("team").await;
    assert_eq!(office.grant(&team, OWNER, &office.test.subscription()).await, 201);
    let owner_app = office.test.founded.app;
    let owner_principal = office.test.founded.principal;
    let document = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = base64::engine::general_purpose::STANDARD.encode(document);
    let reset = "authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword";
    for name in ["clerk", "officer"] {
        let token = office.sign_in(name, PASSWORD).await.unwrap();
        let own = text(&office.get(&format!("users/{name}")).await["id"]);
        let attempts = [
            (Method::POST, format!("users/boss/{reset}"), json!({})),
            (Method::POST, format!("users/admin/{reset}"), json!({})),
            (Method::PATCH, String::from("users/boss"), json!({"passwordProfile": {"password": PASSWORD}})),
            (Method::PATCH, String::from("users/boss"), json!({"accountEnabled": false})),
            (Method::DELETE, String::from("users/boss"), Value::Null),
            (
                Method::POST,
                format!("groups/{team}/members/$ref"),
                json!({"@odata.id": format!("https://x/directoryObjects/{own}")}),
            ),
            (Method::DELETE, format!("groups/{team}"), Value::Null),
            (Method::POST, format!("servicePrincipals/{owner_principal}/addPassword"), json!({})),
            (Method::POST, format!("applications/{owner_app}/addPassword"), json!({})),
            (Method::POST, format!("applications/{owner_app}/addKey"), json!({"keyCredential": {"key": key}})),
            (
                Method::POST,
                format!("applications/{owner_app}/federatedIdentityCredentials"),
                json!({"name": "mine", "issuer": "https://ci.example", "subject": "s"}),
            ),
            (
                Method::PATCH,
                format!("applications/{owner_app}"),
                json!({"web": {"redirectUris": ["https://evil.example/cb"]}}),
            ),
            (Method::PATCH, format!("servicePrincipals/{owner_principal}"), json!({"accountEnabled": false})),
            (Method::DELETE, format!("servicePrincipals/{owner_principal}"), Value::Null),
            (Method::DELETE, format!("applications/{owner_app}"), Value::Null),
        ];
        for (method, place, body) in attempts {
            let (status, answer) = office.ask(&token, method.clone(), &place, &body).await;
            assert!(matches!(status, 403 | 404), "{name} {method} {place}: {status} {answer}");
        }
        let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{OWNER}");
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": own}});
        let place = format!("/providers/Microsoft.Authorization/roleAssignments/{}", Uuid::new_v4());
        assert_eq!(office.test.ask(Some(&token), Method::PUT, &place, Some(&body)).await.0, 404);
    }
    // A disabled owner is not let in again by somebody who could not have shut it out; to say what is already so harms nobody.
    assert_eq!(
        office.ask(&office.owner(), Method::PATCH, "users/boss", &json!({"accountEnabled": false})).await.0,
        204
    );
    let clerk = office.sign_in("clerk", PASSWORD).await.unwrap();
    let shut = office.ask(&clerk, Method::PATCH, "users/boss", &json!({"accountEnabled": true})).await;
    assert!(matches!(shut.0, 403 | 404), "{}", shut.1);
    assert_eq!(office.ask(&clerk, Method::PATCH, "users/clerk", &json!({"accountEnabled": true})).await.0, 204);
    // And nobody shuts out themselves.
    let own = format!("servicePrincipals/{owner_principal}");
    assert_eq!(office.ask(&office.owner(), Method::PATCH, &own, &json!({"accountEnabled": false})).await.0, 409);
    assert_eq!(office.ask(&office.owner(), Method::DELETE, &own, &Value::Null).await.0, 409);
    assert_eq!(office.reads(&office.owner()).await, 200);
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_business_in_the_directory_does_not_see_it() {
    let office = Office::new().await;
    let ann = office.user("ann").await;
    for who in [Who::Contributor, Who::Reader, Who::Stranger] {
        let token = office.callers.token(who).unwrap();
        for place in ["users", "groups", "applications", "servicePrincipals", "users/ann", "users/nobody"] {
            assert_eq!(office.ask(token, Method::GET, place, &Value::Null).await.0, 404, "{who:?} {place}");
        }
        let body = json!({"userPrincipalName": "x", "displayName": "x"});
        assert_eq!(office.ask(token, Method::POST, "users", &body).await.0, 404, "{who:?}");
        assert_eq!(office.ask(token, Method::DELETE, &format!("users/{ann}"), &Value::Null).await.0, 404, "{who:?}");
    }
    let nobody = office.test.ask(None, Method::GET, "/graph/v1.0/users", None).await;
    assert_eq!((nobody.0, &nobody.1["error"]["code"]), (401, &json!("InvalidAuthenticationToken")));
    // A person without a role sees nobody either.
    let token = office.sign_in("ann", PASSWORD).await.unwrap();
    assert_eq!(office.ask(&token, Method::GET, "users", &Value::Null).await.0, 404);
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_recorded_without_what_is_secret() {
    let office = Office::new().await;
    let drawn = office.post("users", json!({"userPrincipalName": "carol", "displayName": "Carol"})).await;
    let password = text(&drawn["passwordProfile"]["password"]);
    assert_eq!(drawn["passwordProfile"]["forceChangePasswordNextSignIn"], true);
    assert!(!office.get("users/carol").await.to_string().contains(&password));
    office.user("ann").await;
    let group = office.group("team").await;
    let ann = text(&office.get("users/ann").await["id"]);
    assert_eq!(office.put_into(&office.owner(), &group, &ann).await, 204);
    office.delete("users/ann").await;
    let (status, log) = office
        .test
        .ask(Some(&office.owner()), Method::GET, "/providers/Microsoft.Insights/eventtypes/management/values", None)
        .await;
    assert_eq!(status, 200, "{log}");
    let log = log.to_string();
    for action in ["users/write", "groups/write", "groups/members/update", "users/delete"] {
        assert!(log.contains(&format!("Microsoft.Directory/{action}")), "{action}");
    }
    assert!(log.contains(&ann) && log.contains("carol"));
    assert!(!log.contains(&password) && !log.contains(PASSWORD));
    office.end().await;
}
