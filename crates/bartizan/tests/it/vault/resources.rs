//! Vaults as resources: what is set once, from where they are reached, and how they rest.

use std::time::Duration;

use domain::access::{CONTRIBUTOR, KEY_VAULT_ADMINISTRATOR, KEY_VAULT_SECRETS_OFFICER, KEY_VAULT_SECRETS_USER};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;
use crate::house::Who;

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Bank {
    async fn put(&self, id: &str, properties: Value) -> (u16, Value) {
        let owner = self.test.owner_again().await;
        let body = json!({"location": "local", "properties": properties});
        self.test.ask(Some(&owner), Method::PUT, id, Some(&body)).await
    }

    async fn manage(&self, method: Method, place: &str) -> (u16, Value) {
        let owner = self.test.owner_again().await;
        let body = (method == Method::POST).then(|| json!({}));
        self.test.ask(Some(&owner), method, place, body.as_ref()).await
    }

    fn deleted(&self, name: &str) -> String {
        let below = "providers/Microsoft.KeyVault/locations/local/deletedVaults";
        format!("{}/{below}/{name}", self.test.subscription())
    }

    /// A vault with a secret in it, and who may read that.
    async fn full(&self, name: &str, properties: Value) -> (String, Secret<String>) {
        let id = format!("{}/providers/Microsoft.KeyVault/vaults/{name}", self.test.group());
        assert_eq!(self.put(&id, properties).await.0, 201);
        let keeper = self.with(&format!("keeper of {name}"), &[(KEY_VAULT_ADMINISTRATOR, &id)]).await;
        let set = self.ask_at(name, &keeper, Method::PUT, "secrets/s", json!({"value": "kept"})).await;
        assert_eq!(set.0, 200, "{}", set.1);
        (id, keeper)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_says_what_it_was_made_with_and_some_of_it_is_set_once() {
    let bank = Bank::new().await;
    let (_, own) = bank.manage(Method::GET, &bank.id).await;
    let own = &own["properties"];
    assert_eq!((&own["softDeleteRetentionInDays"], &own["enableSoftDelete"]), (&json!(90), &json!(true)));
    assert!(own["enablePurgeProtection"].is_null() && own["enableRbacAuthorization"] == true);
    let id = format!("{}/providers/Microsoft.KeyVault/vaults/once", bank.test.group());
    let policy = json!([{"objectId": "x", "permissions": {"secrets": ["get"]}}]);
    for bad in [
        json!({"softDeleteRetentionInDays": 6}),
        json!({"softDeleteRetentionInDays": 91}),
        json!({"enableSoftDelete": false}),
        json!({"enableRbacAuthorization": false}),
        json!({"accessPolicies": policy}),
        json!({"sku": {"name": "gold"}}),
        json!({"tenantId": "6f9619ff-8b86-d011-b42d-00c04fc964ff"}),
        json!({"createMode": "fromNothing"}),
        json!({"publicNetworkAccess": "Perhaps"}),
        json!({"networkAcls": {"defaultAction": "Perhaps"}}),
        json!({"networkAcls": {"ipRules": [{"value": "10.0.0.0/99"}]}}),
        json!({"networkAcls": {"bypass": "None"}}),
        json!({"networkAcls": {"virtualNetworkRules": [{"id": "/x"}]}}),
    ] {
        assert_eq!(bank.put(&id, bad.clone()).await.0, 400, "{bad}");
    }
    let sku = json!({"family": "A", "name": "premium"});
    let said = json!({"sku": sku, "softDeleteRetentionInDays": 7, "enablePurgeProtection": true, "accessPolicies": []});
    let (status, made) = bank.put(&id, said).await;
    assert_eq!((status, &made["properties"]["sku"]), (201, &sku), "{made}");
    assert_eq!(bank.put(&id, json!({"softDeleteRetentionInDays": 8})).await.0, 400);
    assert_eq!(bank.put(&id, json!({"enablePurgeProtection": false})).await.0, 400);
    let (status, same) = bank.put(&id, json!({"softDeleteRetentionInDays": 7})).await;
    assert_eq!((status, &same["properties"]["enablePurgeProtection"]), (200, &json!(true)));
    let policies = format!("{id}/accessPolicies/add");
    let owner = bank.test.owner_again().await;
    assert_eq!(bank.test.ask(Some(&owner), Method::PUT, &policies, Some(&json!({"properties": {}}))).await.0, 400);
    let missing = id.replace("/once", "/never");
    assert_eq!(bank.test.ask(Some(&owner), Method::PATCH, &missing, Some(&json!({"tags": {}}))).await.0, 404);
    let (status, changed) = bank.test.ask(Some(&owner), Method::PATCH, &id, Some(&json!({"tags": {"a": "b"}}))).await;
    assert_eq!((status, &changed["tags"]["a"], &changed["location"]), (200, &json!("b"), &json!("local")));
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_vault_rests_and_comes_back_whole() {
    let bank = Bank::new().await;
    let (id, keeper) = bank.full("resting", json!({})).await;
    assert_eq!(bank.test.ask(bank.callers.token(Who::Reader), Method::DELETE, &id, None).await.0, 403);
    assert_eq!(bank.manage(Method::DELETE, &bank.id).await.0, 409, "its workspace is there");
    assert_eq!(bank.manage(Method::DELETE, &id).await.0, 200);
    assert_eq!(bank.manage(Method::GET, &id).await.0, 404);
    assert_eq!(bank.ask_at("resting", &keeper, Method::GET, "secrets/s", Value::Null).await.0, 404);
    assert_eq!(bank.ask_at("resting", &keeper, Method::PUT, "secrets/t", json!({"value": "v"})).await.0, 404);
    assert_eq!(bank.put(&id, json!({})).await.0, 409, "the name is taken");
    let check = format!("{}/providers/Microsoft.KeyVault/checkNameAvailability", bank.test.subscription());
    let owner = bank.owner();
    let (_, free) = bank.test.ask(owner, Method::POST, &check, Some(&json!({"name": "RESTING"}))).await;
    assert_eq!(free["nameAvailable"], false);
    let list = format!("{}/providers/Microsoft.KeyVault/deletedVaults", bank.test.subscription());
    let (_, listed) = bank.manage(Method::GET, &list).await;
    assert_eq!(listed["value"][0]["properties"]["vaultId"], json!(id), "{listed}");
    assert_eq!(bank.manage(Method::GET, &bank.deleted("resting")).await.0, 200);

    let (status, back) = bank.put(&id, json!({"createMode": "recover"})).await;
    assert_eq!((status, &back["id"]), (200, &json!(id)), "{back}");
    let (status, shown) = bank.ask_at("resting", &keeper, Method::GET, "secrets/s", Value::Null).await;
    assert_eq!((status, &shown["value"]), (200, &json!("kept")), "the secret, and the role that reads it");
    assert_eq!(bank.manage(Method::GET, &bank.deleted("resting")).await.0, 404);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_vault_is_gone_with_what_it_held_and_who_might() {
    let bank = Bank::new().await;
    let (id, keeper) = bank.full("going", json!({})).await;
    assert_eq!(
        bank.manage(Method::POST, &format!("{}/purge", bank.deleted("going"))).await.0,
        404,
        "it is not deleted"
    );
    assert_eq!(bank.manage(Method::DELETE, &id).await.0, 200);
    let purge = format!("{}/purge", bank.deleted("going"));
    assert_eq!(bank.test.ask(bank.callers.token(Who::Reader), Method::POST, &purge, Some(&json!({}))).await.0, 403);
    assert_eq!(bank.manage(Method::POST, &purge).await.0, 200);
    assert_eq!(bank.put(&id, json!({"createMode": "recover"})).await.0, 201, "there is nothing to recover: a new one");
    let told = bank.ask_at("going", &keeper, Method::GET, "secrets/s", Value::Null).await;
    assert_eq!(told.0, 404, "who held a role in the old one holds none in the new one: {}", told.1);
    let keeper = bank.with("new keeper", &[(KEY_VAULT_ADMINISTRATOR, &id)]).await;
    assert_eq!(bank.ask_at("going", &keeper, Method::GET, "secrets/s", Value::Null).await.0, 404);
    bank.test.end().await;
}

/// Protection against purging holds for the vault and what it holds, also when the whole group is deleted, up to the end of its time.
#[tokio::test(flavor = "multi_thread")]
async fn protection_against_purging_holds_to_the_end_of_the_time() {
    let bank = Bank::new().await;
    let group = format!("{}/resourceGroups/short-lived", bank.test.subscription());
    assert_eq!(bank.put(&group, json!({})).await.0, 201);
    let id = format!("{group}/providers/Microsoft.KeyVault/vaults/kept");
    assert_eq!(bank.put(&id, json!({"enablePurgeProtection": true, "softDeleteRetentionInDays": 7})).await.0, 201);
    let person = bank.person("keeper").await;
    assert_eq!(bank.assign(&person.id, KEY_VAULT_ADMINISTRATOR, &id).await, 201);
    let keeper = bank.token(&person.app, &person.secret, &bank.resource()).await;
    let ask = async |method: Method, path: &str, body: Value| bank.ask_at("kept", &keeper, method, path, body).await;
    let (_, set) = ask(Method::PUT, "secrets/s", json!({"value": "v"})).await;
    assert_eq!(set["attributes"]["recoveryLevel"], "CustomizedRecoverable");
    assert_eq!(set["attributes"]["recoverableDays"], 7);
    assert_eq!(ask(Method::DELETE, "secrets/s", Value::Null).await.0, 200);
    let (status, fault) = ask(Method::DELETE, "deletedsecrets/s", Value::Null).await;
    assert_eq!((status, &fault["error"]["code"]), (403, &json!("Forbidden")));
    assert_eq!(ask(Method::POST, "deletedsecrets/s/recover", Value::Null).await.0, 200);

    assert_eq!(bank.manage(Method::DELETE, &group).await.0, 200);
    let purge = format!("{}/purge", bank.deleted("kept"));
    let (status, fault) = bank.manage(Method::POST, &purge).await;
    assert_eq!((status, &fault["error"]["code"]), (403, &json!("OperationNotAllowed")));
    assert_eq!(bank.put(&id, json!({"createMode": "recover"})).await.0, 404, "its group is gone");
    assert_eq!(bank.put(&group, json!({})).await.0, 201);
    let left = async |passed: Duration| {
        bank.test.clock.advance(passed);
        domain::work::purge_vaults_due(&bank.test.house).await.unwrap();
        bank.manage(Method::GET, &bank.deleted("kept")).await.0
    };
    assert_eq!(left(DAY * 7 - Duration::from_secs(1)).await, 200);
    assert_eq!(left(Duration::from_secs(1)).await, 404);
    bank.test.end().await;
}

/// A-50, the vault's side: refused from an unlisted address, let in once it is listed, at once; its management is not bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_50_an_unlisted_address_does_not_reach_what_a_vault_holds() {
    let bank = Bank::new().await;
    let (id, keeper) = bank.full("walled", json!({})).await;
    let deny =
        |rules: Value| json!({"networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": rules}});
    let reach = async || bank.ask_at("walled", &keeper, Method::GET, "secrets/s", Value::Null).await;
    let (status, shown) = bank.put(&id, deny(json!([]))).await;
    assert_eq!((status, &shown["properties"]["networkAcls"]["defaultAction"]), (200, &json!("Deny")));
    let (status, refusal) = reach().await;
    assert_eq!((status, &refusal["error"]["innererror"]["code"]), (403, &json!("ForbiddenByFirewall")), "{refusal}");
    assert!(refusal["error"]["message"].as_str().unwrap().contains("127.0.0.1"), "{refusal}");
    assert_eq!(bank.ask_at("walled", &keeper, Method::GET, "secrets", Value::Null).await.0, 403);
    assert_eq!(bank.manage(Method::GET, &id).await.0, 200, "whoever may change the rules is not locked out");
    assert_eq!(bank.put(&id, deny(json!([{"value": "203.0.113.0/24"}]))).await.0, 200);
    assert_eq!(reach().await.0, 403);
    let (status, shown) = bank.put(&id, deny(json!([{"value": "203.0.113.0/24"}, {"value": "127.0.0.1"}]))).await;
    assert_eq!((status, shown["properties"]["networkAcls"]["ipRules"].as_array().unwrap().len()), (200, 2));
    assert_eq!(reach().await.0, 200);
    assert_eq!(bank.put(&id, json!({"publicNetworkAccess": "Disabled"})).await.0, 200);
    assert_eq!(reach().await.0, 403);
    bank.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_brought_to_a_workspace_by_who_may_change_its_secrets() {
    let bank = Bank::new().await;
    let vault = bank.another("brought-vault").await;
    let person = bank.person("maker").await;
    assert_eq!(bank.assign(&person.id, CONTRIBUTOR, &bank.test.group()).await, 201);
    let ws = bank.test.workspace().replace("/ws1", "/ws2");
    let body = json!({"properties": {"keyVault": vault}});
    // The workspace's doors set and delete as its identity, so the right to read must not be enough.
    for (role, expected) in [(KEY_VAULT_SECRETS_USER, 403), (KEY_VAULT_SECRETS_OFFICER, 201)] {
        assert_eq!(bank.assign(&person.id, role, &vault).await, 201);
        let maker = bank.token(&person.app, &person.secret, &bank.test.house.settings().url).await;
        let (status, answer) = bank.test.ask(Some(&maker), Method::PUT, &ws, Some(&body)).await;
        assert_eq!(status, expected, "{answer}");
    }
    bank.test.end().await;
}
