//! What ends with an account, and when.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_comes_in_and_is_out_at_once_when_disabled() {
    let office = Office::new().await;
    let id = office.user("ann@example.com").await;
    assert_eq!(office.grant(&id, READER, &office.test.group()).await, 201);
    let token = office.sign_in("Ann@Example.com", PASSWORD).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);

    office.patch("users/ann@example.com", json!({"accountEnabled": false})).await;
    assert_eq!(office.reads(&token).await, 401);
    assert!(office.sign_in("ann@example.com", PASSWORD).await.is_err());
    office.pass();
    // Enabled again, the user comes in again; what was issued before stays dead.
    office.patch(&format!("users/{id}"), json!({"accountEnabled": true})).await;
    assert_eq!(office.reads(&token).await, 401);
    let token = office.sign_in("ann@example.com", PASSWORD).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);

    let answer = office.post(&format!("users/{id}/revokeSignInSessions"), json!({})).await;
    assert_eq!((&answer["value"], office.reads(&token).await), (&json!(true), 401));
    office.pass();
    let token = office.sign_in("ann@example.com", PASSWORD).await.unwrap();
    let reset = format!("users/{id}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword");
    let drawn = text(&office.post(&reset, json!({"requireChangeOnNextSignIn": false})).await["newPassword"]);
    assert_eq!(office.reads(&token).await, 401);
    office.pass();
    assert!(office.sign_in("ann@example.com", PASSWORD).await.is_err());
    let token = office.sign_in("ann@example.com", &drawn).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);
    office.delete(&format!("users/{id}")).await;
    assert_eq!(office.reads(&token).await, 401);
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_is_out_at_once_when_disabled_or_when_its_secret_is_removed() {
    let office = Office::new().await;
    let robot = office.post("servicePrincipals", json!({"displayName": "robot"})).await;
    let (id, app) = (text(&robot["id"]), text(&robot["appId"]));
    let first = &robot["passwordCredentials"][0];
    assert_eq!(office.grant(&id, READER, &office.test.group()).await, 201);
    let token = office.test.token(&app, &text(&first["secretText"])).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);
    office.patch(&format!("servicePrincipals/{id}"), json!({"accountEnabled": false})).await;
    assert_eq!(office.reads(&token).await, 401);
    assert!(office.test.token(&app, &text(&first["secretText"])).await.is_err());
    office.patch(&format!("servicePrincipals/{id}"), json!({"accountEnabled": true})).await;
    assert_eq!(office.reads(&token).await, 401, "from before");

    // A token of the same second as the revocation works too.
    let credential = json!({"displayName": "ci", "endDateTime": "2026-06-01T00:00:00Z"});
    let second =
        office.post(&format!("applications/{app}/addPassword"), json!({"passwordCredential": credential})).await;
    assert_eq!(second["endDateTime"], "2026-06-01T00:00:00Z");
    let token = office.test.token(&app, &text(&second["secretText"])).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);
    office.pass();
    office.pass();
    office.post(&format!("applications/{app}/removePassword"), json!({"keyId": first["keyId"]})).await;
    let answer = office.test.client().get(&office.test.workspace()).bearer(&token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 401);
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.contains("insufficient_claims"), "clients are told to ask for a new token: {challenge}");
    let token = office.test.token(&app, &text(&second["secretText"])).await.unwrap();
    assert_eq!(office.reads(&token).await, 200);
    assert!(office.test.token(&app, &text(&first["secretText"])).await.is_err());
    let listed = office.get(&format!("servicePrincipals/{id}")).await;
    assert_eq!(listed["passwordCredentials"].as_array().unwrap().len(), 1);
    assert!(!listed.to_string().contains("secretText"));
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_under_the_same_name_has_no_rights() {
    let office = Office::new().await;
    let ann = office.user("ann").await;
    assert_eq!(office.grant(&ann, OWNER, &office.test.group()).await, 201);
    let token = office.sign_in("ann", PASSWORD).await.unwrap();
    office.delete("users/ann").await;
    let again = office.user("ann").await;
    assert_ne!(again, ann);
    assert_eq!(office.reads(&token).await, 401);
    office.pass();
    assert_eq!(office.reads(&office.sign_in("ann", PASSWORD).await.unwrap()).await, 404);
    assert_eq!(office.grant(&ann, READER, &office.test.group()).await, 400, "an id that is gone");
    let assigned = "providers/Microsoft.Authorization/roleAssignments?$filter=assignedTo";
    let place = format!("{}/{assigned}('{ann}')", office.test.group());
    let left = office.test.ask(Some(&office.owner()), Method::GET, &place, None).await;
    assert_eq!(left.1["value"], json!([]));
    office.end().await;
}
