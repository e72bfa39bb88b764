//! What Graph's clients send and get.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn lists_speak_odata() {
    let office = Office::new().await;
    for name in ["ann", "anna", "bob", "o'neil"] {
        office.user(name).await;
    }
    let mut seen = Vec::new();
    let mut next = Some(String::from("/graph/v1.0/users?$top=2&$select=displayName"));
    while let Some(place) = next {
        let (status, page) = office.test.ask(Some(&office.owner()), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{page}");
        let entries = page["value"].as_array().unwrap();
        assert!(entries.len() <= 2 && entries.iter().all(|entry| entry.as_object().unwrap().len() == 1));
        seen.extend(names(&page));
        // Some clients escape what they were given.
        next = page["@odata.nextLink"].as_str().map(|link| link.replace('$', "%24"));
        assert!(seen.len() <= 5, "a link leads on");
    }
    seen.sort();
    assert_eq!(seen, ["admin", "ann", "anna", "bob", "o'neil"]);
    let robot = office.post("servicePrincipals", json!({"displayName": "robot"})).await;
    let app = text(&robot["appId"]);
    for (place, expected) in [
        ("users?$filter=startswith(displayName,'An')", vec!["ann", "anna"]),
        ("users?$filter=userPrincipalName eq 'BOB'", vec!["bob"]),
        ("users?$filter=displayName%20eq%20'o''neil'", vec!["o'neil"]),
        ("users?%24filter=startswith(userPrincipalName%2C%27ann%27)+and+displayName+eq+%27anna%27", vec!["anna"]),
        (&format!("servicePrincipals?$filter=appId eq '{app}'"), vec!["robot"]),
        (&format!("servicePrincipals?$filter=servicePrincipalNames/any(c:c eq '{app}')"), vec!["robot"]),
        (&format!("applications?$filter=appId eq '{app}'"), vec!["robot"]),
    ] {
        assert_eq!(names(&office.get(&place.replace(' ', "%20")).await), expected, "{place}");
    }
    for bad in
        ["users?$filter=x", "users?$top=0", "users?$top=1000", "users?$orderby=displayName", "users?$skiptoken=!"]
    {
        let (status, body) = office.ask(&office.owner(), Method::GET, bad, &Value::Null).await;
        assert_eq!(status, 400, "{bad}");
        assert!(text(&body["error"]["code"]).starts_with("Request_"), "{body}");
    }
    office.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_names_its_field() {
    let office = Office::new().await;
    let user = |change: Value| {
        let mut body = json!({"userPrincipalName": "bob", "displayName": "Bob", "accountEnabled": true});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let app = office.post("applications", json!({"displayName": "portal"})).await;
    let one = format!("applications/{}", text(&app["appId"]));
    let cases = [
        ("users", user(json!({"isAdmin": true})), 400, "body"),
        ("users", user(json!({"userPrincipalName": "a b"})), 400, "userPrincipalName"),
        ("users", user(json!({"userPrincipalName": "admin"})), 409, "userPrincipalName"),
        ("users", user(json!({"mailNickname": "carol"})), 400, "mailNickname"),
        ("users", user(json!({"displayName": "a\u{202e}b"})), 400, "displayName"),
        ("users", user(json!({"passwordProfile": {"password": "password1234"}})), 400, "passwordProfile.password"),
        ("groups", json!({"displayName": "g", "mailEnabled": true}), 400, "mailEnabled"),
        ("groups", json!({"mailEnabled": false}), 400, "displayName"),
        ("applications", json!({"displayName": ""}), 400, "displayName"),
        ("applications", json!({"displayName": "x", "signInAudience": "AzureADMultipleOrgs"}), 400, "signInAudience"),
        (&format!("{one}/addPassword"), json!({"passwordCredential": {"endDateTime": "soon"}}), 400, "endDateTime"),
        (&format!("{one}/addKey"), json!({"keyCredential": {"key": "AAAA"}}), 400, "keyCredential.key"),
        (&format!("{one}/addKey"), json!({"keyCredential": {"key": "AAAA", "usage": "Sign"}}), 400, "usage"),
        (&format!("{one}/removePassword"), json!({"keyId": Uuid::new_v4()}), 400, "keyId"),
        (
            &format!("{one}/federatedIdentityCredentials"),
            json!({"name": "main", "issuer": "http://ci", "subject": "s"}),
            400,
            "issuer",
        ),
        ("servicePrincipals", json!({"appId": app["appId"]}), 409, "object id"),
    ];
    for (place, body, expected, field) in cases {
        let (status, answer) = office.ask(&office.owner(), Method::POST, place, &body).await;
        assert_eq!(status, expected, "{place} {body}: {answer}");
        assert!(text(&answer["error"]["message"]).contains(field), "{answer}");
    }
    for bad in ["http://evil.example/", "https://*.example/", "https://a.example/#x", "javascript:alert(1)"] {
        let body = json!({"web": {"redirectUris": [bad]}});
        assert_eq!(office.ask(&office.owner(), Method::PATCH, &one, &body).await.0, 400, "{bad}");
    }
    office.patch(&one, json!({"web": {"redirectUris": ["https://portal.example/cb"]}, "displayName": "gate"})).await;
    let read = office.get(&one).await;
    assert_eq!(read["web"]["redirectUris"], json!(["https://portal.example/cb"]));
    assert_eq!((read["displayName"].as_str(), &read["publicClient"]["redirectUris"]), (Some("gate"), &json!([])));
    let principal = office.get(&format!("directoryObjects/{}", text(&read["servicePrincipalId"]))).await;
    assert_eq!(
        (&principal["@odata.type"], &principal["displayName"]),
        (&json!("#microsoft.graph.servicePrincipal"), &json!("gate"))
    );
    office.end().await;
}
