//! What clients read first is true.

use outbound::Method;
use serde_json::json;

use super::stage::{Stage, escape};

#[tokio::test(flavor = "multi_thread")]
async fn the_discovery_document_is_complete_and_true() {
    let stage = Stage::new().await;
    let tenant = stage.test.founded.tenant.to_string();
    let url = stage.test.house.settings().url.clone();
    let mut documents = Vec::new();
    for name in [tenant.as_str(), "common", "organizations"] {
        let place = format!("/{name}/v2.0/.well-known/openid-configuration");
        let (status, found) = stage.test.ask(None, Method::GET, &place, None).await;
        assert_eq!(status, 200);
        documents.push(found);
    }
    assert!(documents.iter().all(|document| *document == documents[0]), "aliases name the one tenant");
    let document = &documents[0];
    assert_eq!(document["issuer"], stage.issuer(), "the address of the document is the issuer's (RFC 8414 §3)");
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["response_modes_supported"], json!(["query", "fragment", "form_post"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_parameter_supported"], false);
    // Each grant that is listed is known, each that is not is not.
    let listed = document["grant_types_supported"].as_array().unwrap().clone();
    for grant in &listed {
        let told = stage.token(&[("grant_type", grant.as_str().unwrap())]).await;
        assert_ne!(told.body["error"], "unsupported_grant_type", "{grant}");
    }
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:saml2-bearer", "x"] {
        assert!(!listed.contains(&json!(grant)));
        stage
            .token(&[("grant_type", grant), ("username", "admin"), ("password", "correct horse battery")])
            .await
            .refuses("unsupported_grant_type", 70_003);
    }
    stage.token(&[("client_id", "x")]).await.refuses("invalid_request", 900_144);
    // Each address is one of ours and answers.
    for name in ["authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "jwks_uri"] {
        let place = document[name].as_str().unwrap().strip_prefix(&url).unwrap();
        let method = if name.ends_with("uri") || name.starts_with("auth") { Method::GET } else { Method::POST };
        let answer = stage.test.client().call(method, place).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 200 | 400), "{name}: {}", answer.status());
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_discovery_knows_this_server_alone() {
    let stage = Stage::new().await;
    let url = stage.test.house.settings().url.clone();
    let place = |endpoint: &str| {
        format!("/common/discovery/instance?api-version=1.1&authorization_endpoint={}", escape(endpoint))
    };
    let (status, found) =
        stage.test.ask(None, Method::GET, &place(&format!("{url}/common/oauth2/v2.0/authorize")), None).await;
    assert_eq!(status, 200);
    let endpoint = format!("{}/.well-known/openid-configuration", stage.issuer());
    assert_eq!(found["tenant_discovery_endpoint"], endpoint);
    assert_eq!(found["metadata"][0]["aliases"][0], url.strip_prefix("https://").unwrap());
    for other in ["https://login.evil.example/common/oauth2/v2.0/authorize", &format!("{url}.evil.example/x")] {
        let (status, found) = stage.test.ask(None, Method::GET, &place(other), None).await;
        assert_eq!((status, &found["error"]), (400, &json!("invalid_instance")), "{other}");
    }
    let elsewhere = "/6f9619ff-8b86-d011-b42d-00c04fc964ff";
    for place in [
        format!("{elsewhere}/v2.0/.well-known/openid-configuration"),
        format!("{elsewhere}/discovery/v2.0/keys"),
        format!("{elsewhere}/discovery/instance"),
    ] {
        let (status, found) = stage.test.ask(None, Method::GET, &place, None).await;
        assert_eq!((status, &found["error"]), (400, &json!("invalid_tenant")), "{place}");
    }
    let told = stage.post(&format!("{elsewhere}/oauth2/v2.0/token"), &[("grant_type", "client_credentials")]).await;
    told.refuses("invalid_tenant", 90_002);
    stage.end().await;
}
