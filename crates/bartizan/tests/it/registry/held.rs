//! A registry under a customer's key (requirement F-13).

use std::time::Duration;

use domain::access::ACR_PUSH;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::stage::digest;
use crate::vault::Customer;

/// Longer than a refusal is believed.
const AGAIN: Duration = Duration::from_secs(6);

async fn ask(
    customer: &Customer,
    who: Option<&Secret<String>>,
    method: Method,
    place: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let has_body = method != Method::GET;
    let mut call = customer.bank.test.client().call(method, &format!("/v2/heldreg1/{place}"));
    if let Some(who) = who {
        call = call.bearer(who);
    }
    if has_body {
        call = call.body("application/octet-stream", body.to_vec());
    }
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.bytes(1 << 20).await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn f_13_images_open_only_under_the_registry_s_key() {
    let customer = Customer::new().await;
    let id = format!("{}/providers/Microsoft.ContainerRegistry/registries/heldreg1", customer.bank.test.group());
    let key = customer.rsa("k1").await;
    let maker = Customer::maker(&customer.bank).await;
    let write = async |method: Method, encryption: Value| {
        let body = json!({"location": "local", "identity": {"type": "SystemAssigned"}, "properties": {"encryption": encryption}});
        customer.bank.test.ask(Some(&maker), method, &id, Some(&body)).await
    };
    let held = json!({"status": "enabled", "keyVaultProperties": {"keyIdentifier": key}});
    let (status, made) = write(Method::PUT, held.clone()).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["encryption"]["status"], "enabled", "{made}");
    assert!(made["identity"]["principalId"].is_string(), "{made}");
    let person = customer.bank.person("images").await;
    assert_eq!(customer.bank.assign(&person.id, ACR_PUSH, &id).await, 201);
    let who = customer.bank.token(&person.app, &person.secret, "https://containerregistry.azure.net").await;
    let of = digest(b"kept");
    let upload = format!("a/blobs/uploads/?digest={of}");
    assert_eq!(ask(&customer, Some(&who), Method::POST, &upload, b"kept").await.0, 201);
    let place = format!("a/blobs/{of}");
    assert_eq!(ask(&customer, Some(&who), Method::GET, &place, b"").await, (200, b"kept".to_vec()));

    customer.set_enabled(&key, false).await;
    domain::customer_keys::look_at_keys(&customer.bank.test.house).await;
    for (method, place) in [(Method::GET, place.as_str()), (Method::POST, &upload), (Method::GET, "_catalog")] {
        let (status, said) = ask(&customer, Some(&who), method, place, b"kept").await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(status, 403, "{said}");
        assert!(!said.contains("customer-keys"), "{said}");
    }
    assert_eq!(ask(&customer, None, Method::GET, &place, b"").await.0, 401, "a stranger learns nothing of it");
    assert_eq!(write(Method::PATCH, json!({"status": "disabled"})).await.0, 403, "nor is it freed while locked");

    customer.set_enabled(&key, true).await;
    customer.bank.test.clock.advance(AGAIN);
    assert_eq!(ask(&customer, Some(&who), Method::GET, &place, b"").await.1, b"kept");
    // Given back to the server, it needs the key no more.
    let (status, freed) = write(Method::PATCH, json!({"status": "disabled"})).await;
    assert_eq!((status, &freed["properties"]["encryption"]["status"]), (200, &json!("disabled")), "{freed}");
    customer.set_enabled(&key, false).await;
    customer.bank.test.clock.advance(Duration::from_secs(50));
    domain::customer_keys::look_at_keys(&customer.bank.test.house).await;
    assert_eq!(ask(&customer, Some(&who), Method::GET, &place, b"").await.1, b"kept");
    customer.end().await;
}
