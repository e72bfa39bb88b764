//! Customer-managed keys of workspaces (requirements F-04, F-07 to F-09, F-12, X-13, X-14).

use std::time::Duration;

use domain::access::{CONTRIBUTOR, KEY_VAULT_CRYPTO_OFFICER, KEY_VAULT_SECRETS_OFFICER};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Bank;
use crate::house::Who;

/// A vault with keys, and somebody who may make workspaces under them.
pub struct Customer {
    pub bank: Bank,
    /// Its resource id.
    pub vault: String,
    keeper: Secret<String>,
    /// By a token for management.
    pub maker: Secret<String>,
}

/// The vault's name.
const VAULT: &str = "customer-keys";
/// Longer than what is known of a key is believed.
const LATER: Duration = Duration::from_secs(50);

impl Customer {
    pub async fn new() -> Self {
        Self::over(Bank::new().await).await
    }

    pub async fn over(bank: Bank) -> Self {
        let vault = format!("{}/providers/Microsoft.KeyVault/vaults/{VAULT}", bank.test.group());
        let body = json!({"location": "local", "properties": {"enablePurgeProtection": true}});
        assert_eq!(bank.test.ask(bank.owner(), Method::PUT, &vault, Some(&body)).await.0, 201);
        let keeper = bank.keeper().await;
        let maker = Self::maker(&bank).await;
        Self { bank, vault, keeper, maker }
    }

    /// Somebody who may make workspaces and everything with keys.
    pub async fn maker(bank: &Bank) -> Secret<String> {
        let person = bank.person("maker").await;
        assert_eq!(bank.assign(&person.id, CONTRIBUTOR, &bank.test.group()).await, 201);
        for role in [KEY_VAULT_CRYPTO_OFFICER, KEY_VAULT_SECRETS_OFFICER] {
            assert_eq!(bank.assign(&person.id, role, &bank.test.group()).await, 201);
        }
        bank.token(&person.app, &person.secret, &bank.test.house.settings().url).await
    }

    /// The address of a new key, or of a new version of it.
    pub async fn key(&self, name: &str, body: Value) -> String {
        let keeper = self.bank.keeper().await;
        let path = format!("keys/{name}/create");
        let (status, made) = self.bank.ask_at(VAULT, &keeper, Method::POST, &path, body).await;
        assert_eq!(status, 200, "{made}");
        made["key"]["kid"].as_str().unwrap().to_owned()
    }

    pub async fn rsa(&self, name: &str) -> String {
        self.key(name, json!({"kty": "RSA", "key_size": 2048})).await
    }

    pub async fn set_enabled(&self, identifier: &str, enabled: bool) {
        let keeper = self.bank.keeper().await;
        let path = format!("keys/{}", identifier.split_once("/keys/").unwrap().1);
        let body = json!({"attributes": {"enabled": enabled}});
        let (status, answer) = self.bank.ask_at(VAULT, &keeper, Method::PATCH, &path, body).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub fn workspace(&self) -> String {
        self.bank.test.workspace().replace("/ws1", "/held")
    }

    pub async fn make(&self, who: &Secret<String>, vault: Option<&str>, identifier: Option<&str>) -> (u16, Value) {
        let body = json!({"location": "local", "properties": {"encryption": {
            "status": "Enabled",
            "keyVaultProperties": {"keyVaultArmId": vault, "keyIdentifier": identifier},
        }}});
        self.bank.test.ask(Some(who), Method::PUT, &self.workspace(), Some(&body)).await
    }

    /// A request to the workspace by the owner.
    pub async fn ask(&self, method: Method, below: &str, body: Option<Value>) -> (u16, Value) {
        let owner = self.bank.test.owner_again().await;
        self.bank.test.ask(Some(&owner), method, &format!("{}{below}", self.workspace()), body.as_ref()).await
    }

    /// Whether the workspace's data can be reached.
    pub async fn reach(&self) -> (u16, Value) {
        let owner = self.bank.test.owner_again().await;
        let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", self.workspace());
        let place = format!("{mlflow}/experiments/get-by-name?experiment_name=kept");
        self.bank.test.ask(Some(&owner), Method::GET, &place, None).await
    }

    pub async fn keep_something(&self) {
        let owner = self.bank.test.owner_again().await;
        let place = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/create", self.workspace());
        let made = self.bank.test.ask(Some(&owner), Method::POST, &place, Some(&json!({"name": "kept"}))).await;
        assert_eq!(made.0, 200, "{}", made.1);
    }

    pub async fn change_key(&self, identifier: &str) -> (u16, Value) {
        let who = Self::maker(&self.bank).await;
        let body = json!({"keyVaultArmId": self.vault, "keyIdentifier": identifier});
        let place = format!("{}/changeEncryptionKey", self.workspace());
        self.bank.test.ask(Some(&who), Method::POST, &place, Some(&body)).await
    }

    /// Takes the role on the key from the workspace's identity.
    async fn take_role(&self, principal: &str) {
        let owner = self.bank.test.owner_again().await;
        let place = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId%20eq%20'{principal}'",
            self.bank.test.subscription()
        );
        let (status, listed) = self.bank.test.ask(Some(&owner), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{listed}");
        let on_key = |one: &&Value| one["properties"]["scope"].as_str().unwrap().ends_with("/keys/k1");
        let found: Vec<_> = listed["value"].as_array().unwrap().iter().filter(on_key).collect();
        assert_eq!(found.len(), 1, "{listed}");
        let id = found[0]["id"].as_str().unwrap();
        assert_eq!(self.bank.test.ask(Some(&owner), Method::DELETE, id, None).await.0, 200);
    }

    pub async fn end(self) {
        self.bank.test.end().await;
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_fit_is_refused_with_a_code_of_its_own() {
    let customer = Customer::new().await;
    let (bank, maker, vault) = (&customer.bank, &customer.maker, customer.vault.as_str());
    let key = customer.rsa("k1").await;
    // F-07: both or neither, and the version.
    assert_eq!(customer.make(maker, Some(vault), None).await.0, 400);
    assert_eq!(customer.make(maker, None, Some(&key)).await.0, 400);
    let (status, answer) = customer.make(maker, Some(vault), Some(key.rsplit_once('/').unwrap().0)).await;
    assert_eq!((status, code(&answer)), (400, "KeyIdentifierInvalid"), "{answer}");
    // F-09: purge protection.
    let open = bank.another("open-vault").await;
    let rsa = json!({"kty": "RSA", "key_size": 2048});
    let (_, made) = bank.ask_at("open-vault", &customer.keeper, Method::POST, "keys/k1/create", rsa).await;
    let (status, answer) = customer.make(maker, Some(&open), made["key"]["kid"].as_str()).await;
    assert_eq!((status, code(&answer)), (400, "KeyVaultPurgeProtectionDisabled"), "{answer}");
    // Another place.
    let far = format!("{}/providers/Microsoft.KeyVault/vaults/far-keys", bank.test.group());
    let body = json!({"location": "elsewhere", "properties": {"enablePurgeProtection": true}});
    assert_eq!(bank.test.ask(bank.owner(), Method::PUT, &far, Some(&body)).await.0, 201);
    let (status, answer) = customer.make(maker, Some(&far), Some(&key.replace(VAULT, "far-keys"))).await;
    assert_eq!((status, code(&answer)), (400, "KeyVaultNotInSameRegion"), "{answer}");
    // The wrong kind of key, and none.
    let curve = customer.key("curve", json!({"kty": "EC", "crv": "P-256"})).await;
    let (status, answer) = customer.make(maker, Some(vault), Some(&curve)).await;
    assert_eq!((status, code(&answer)), (400, "KeyTypeNotSupported"), "{answer}");
    let absent = format!("{}0000", key.get(..key.len() - 4).unwrap());
    assert_eq!(customer.make(maker, Some(vault), Some(&absent)).await.0, 404);
    // F-08: whoever chooses the key could destroy what it holds, and must have the right to.
    let other = bank.callers.token(Who::Contributor).unwrap();
    let (status, answer) = customer.make(other, Some(vault), Some(&key)).await;
    assert_eq!(status, 403, "{answer}");
    assert_eq!(customer.ask(Method::GET, "", None).await.0, 404, "nothing is half made");
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_locks_everything_and_a_restored_one_gives_it_back() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["encryption"]["keyVaultProperties"]["keyIdentifier"], json!(key));
    customer.keep_something().await;
    let before = customer.reach().await;
    assert_eq!(before.0, 200);

    // F-12: fixed by Azure's protocol; said again it is the same.
    assert_eq!(customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await.0, 200);
    let second = customer.rsa("k1").await;
    let (status, answer) = customer.make(&customer.maker, Some(&customer.vault), Some(&second)).await;
    assert_eq!((status, code(&answer)), (400, "EncryptionCannotBeChanged"));

    customer.set_enabled(&key, false).await;
    // The server's own work finds it, long before anybody would ask again.
    domain::customer_keys::look_at_keys(&customer.bank.test.house).await;
    let (status, answer) = customer.reach().await;
    assert_eq!(status, 403, "{answer}");
    assert!(answer.to_string().contains("customer-managed key"), "{answer}");
    let (_, seen) = customer.ask(Method::GET, "/encryption", None).await;
    assert_eq!((&seen["state"], &seen["status"]), (&json!("Locked"), &json!("Enabled")));
    for place in ["/datastores", "/jobs", "/models", "/onlineEndpoints"] {
        let (status, answer) = customer.ask(Method::GET, place, None).await;
        assert_eq!((status, code(&answer)), (403, "CustomerManagedKeyUnavailable"), "{place}");
    }
    // Others go on.
    let owner = customer.bank.test.owner_again().await;
    let other = format!("{}/datastores", customer.bank.test.workspace());
    assert_eq!(customer.bank.test.ask(Some(&owner), Method::GET, &other, None).await.0, 200);

    customer.set_enabled(&key, true).await;
    customer.bank.test.clock.advance(Duration::from_secs(6));
    assert_eq!(customer.reach().await, before);
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_changes_its_key_without_interruption() {
    let customer = Customer::new().await;
    let first = customer.rsa("k1").await;
    assert_eq!(customer.make(&customer.maker, Some(&customer.vault), Some(&first)).await.0, 201);
    customer.keep_something().await;
    let second = customer.rsa("k1").await;
    let (status, answer) = customer.change_key(&second).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(customer.reach().await.0, 200);
    // The version it had is needed no more.
    customer.set_enabled(&first, false).await;
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 200);
    customer.set_enabled(&second, false).await;
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 403);
    // A locked workspace takes no other key: the one it has must open it.
    let third = customer.rsa("k2").await;
    assert_eq!(customer.change_key(&third).await.0, 403);
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_the_role_away_locks_it_and_syncing_keys_does_not_give_it_back() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{made}");
    customer.keep_something().await;
    customer.take_role(made["identity"]["principalId"].as_str().unwrap()).await;
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 403);
    customer.ask(Method::POST, "/resyncKeys", Some(json!({}))).await;
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 403);
    // It is deleted for good or not at all.
    assert_eq!(customer.ask(Method::DELETE, "", None).await.0, 409);
    assert_eq!(customer.ask(Method::DELETE, "?forceToPurge=true", None).await.0, 200);
    assert_eq!(customer.reach().await.0, 404);
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x15_a_held_workspace_rests_when_it_is_asked_and_comes_back_with_its_key_alone() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{made}");
    customer.keep_something().await;
    let before = customer.reach().await;
    let deleted =
        format!("{}/providers/Microsoft.MachineLearningServices/deletedWorkspaces", customer.bank.test.group());
    let erased = deleted.replace("deletedWorkspaces", "erasedWorkspaces");
    let list = async |place: &str| {
        let owner = customer.bank.test.owner_again().await;
        customer.bank.test.ask(Some(&owner), Method::GET, place, None).await.1["value"].as_array().unwrap().clone()
    };
    // F-12: Azure's clients destroy it, or are refused.
    assert_eq!(customer.ask(Method::DELETE, "", None).await.0, 409);
    assert_eq!(customer.ask(Method::DELETE, "?keepForRecovery=true&forceToPurge=true", None).await.0, 400);
    let (status, answer) = customer.ask(Method::DELETE, "?keepForRecovery=true", None).await;
    assert_eq!((status, list(&deleted).await.len()), (200, 1), "{answer}");
    assert_eq!(customer.reach().await.0, 404);
    // Its holder has the key still: without it, nobody recovers.
    let recover = json!({"properties": {"allowRecoverSoftDeletedWorkspace": "True"}});
    customer.set_enabled(&key, false).await;
    let (status, answer) = customer.ask(Method::PUT, "", Some(recover.clone())).await;
    assert_eq!((status, code(&answer)), (403, "CustomerManagedKeyUnavailable"), "{answer}");
    customer.set_enabled(&key, true).await;
    let (status, answer) = customer.ask(Method::PUT, "", Some(recover.clone())).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(customer.reach().await, before);
    // What is taken from its identity while it rests is not given back by a recovery.
    assert_eq!(customer.ask(Method::DELETE, "?keepForRecovery=true", None).await.0, 200);
    customer.take_role(made["identity"]["principalId"].as_str().unwrap()).await;
    assert_eq!(customer.ask(Method::PUT, "", Some(recover)).await.0, 403);
    assert_eq!(list(&erased).await.len(), 0);
    customer.bank.test.clock.advance(Duration::from_secs(14 * 24 * 3600));
    domain::work::purge_what_is_due(&customer.bank.test.house).await.unwrap();
    assert_eq!(list(&deleted).await.len(), 0);
    let found = list(&erased).await;
    let keyring = &found[0]["erasure"]["keyring"];
    assert_eq!((&keyring["customerKey"], &keyring["versions"]), (&json!(key), &json!([1])), "{found:?}");
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x13_a_held_workspace_is_sealed_anew_under_its_customer_s_key() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    assert_eq!(customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await.0, 201);
    customer.keep_something().await;
    let before = customer.reach().await;
    let due = async || domain::resealing::reseal_what_is_due(&customer.bank.test.house).await.unwrap();
    assert_eq!(customer.ask(Method::POST, "/encryption/reseal", None).await.0, 202);
    // While the key is away, nothing is done and nothing is lost.
    customer.set_enabled(&key, false).await;
    customer.bank.test.clock.advance(LATER);
    assert!(!due().await);
    customer.set_enabled(&key, true).await;
    customer.bank.test.clock.advance(Duration::from_secs(6));
    while due().await {}
    customer.bank.test.clock.advance(Duration::from_secs(61));
    assert!(!due().await);
    let (status, found) = customer.ask(Method::GET, "/encryption/reseal?count=true", None).await;
    assert_eq!((status, &found["state"]), (200, &json!("Retired")), "{found}");
    assert_eq!(customer.reach().await, before);
    customer.set_enabled(&key, false).await;
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 403, "the keyring is held as it was");
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_ends_with_its_key_and_says_so_when_the_key_is_back() {
    let customer = Customer::new().await;
    let test = &customer.bank.test;
    let key = customer.rsa("k1").await;
    assert_eq!(customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await.0, 201);
    let job = json!({"properties": {"jobType": "Command", "command": "true"}});
    // As many as run at once.
    for name in ["j1", "j2", "j3", "j4"] {
        let (status, answer) = customer.ask(Method::PUT, &format!("/jobs/{name}"), Some(job.clone())).await;
        assert_eq!(status, 201, "{answer}");
    }
    let look = async || domain::work::look_once(&test.house, true).await.unwrap();
    let running = || test.computer.started.lock().unwrap().len();
    look().await;
    assert_eq!(running(), 4);
    let place = format!("{}/jobs/other", test.workspace());
    let owner = test.owner_again().await;
    assert_eq!(test.ask(Some(&owner), Method::PUT, &place, Some(&job)).await.0, 201);
    look().await;
    assert_eq!(running(), 4, "the other waits for a place");
    customer.set_enabled(&key, false).await;
    domain::customer_keys::look_at_keys(&test.house).await;
    look().await;
    assert_eq!((running(), test.computer.stopped.lock().unwrap().len()), (0, 4));
    look().await;
    assert_eq!(test.computer.stopped.lock().unwrap().len(), 4, "once");
    assert_eq!(running(), 1, "what is locked holds no place");
    customer.set_enabled(&key, true).await;
    test.clock.advance(Duration::from_secs(6));
    look().await;
    let (status, job) = customer.ask(Method::GET, "/jobs/j1", None).await;
    assert_eq!((status, &job["properties"]["status"]), (200, &json!("Failed")), "{job}");
    assert!(job.to_string().contains("customer-managed key"), "{job}");
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_reaches_a_vault_behind_a_firewall() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, answer) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{answer}");
    customer.keep_something().await;
    let acls = json!({"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": []});
    let body = json!({"location": "local", "properties": {"enablePurgeProtection": true, "networkAcls": acls}});
    let owner = customer.bank.test.owner_again().await;
    let (status, answer) = customer.bank.test.ask(Some(&owner), Method::PUT, &customer.vault, Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    let keeper = customer.bank.keeper().await;
    assert_eq!(customer.bank.ask_at(VAULT, &keeper, Method::GET, "keys", Value::Null).await.0, 403);
    // Longer than anything is believed, so that the server opens it anew.
    customer.bank.test.clock.advance(LATER);
    assert_eq!(customer.reach().await.0, 200);
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_role_replaces_the_one_on_the_key() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    // The key lies in the workspace's own vault, whose administrator its identity is.
    let body = json!({"location": "local", "properties": {
        "keyVault": customer.vault,
        "encryption": {
            "status": "Enabled",
            "keyVaultProperties": {"keyVaultArmId": customer.vault, "keyIdentifier": key},
        },
    }});
    let made = customer.bank.test.ask(Some(&customer.maker), Method::PUT, &customer.workspace(), Some(&body)).await;
    assert_eq!(made.0, 201, "{}", made.1);
    customer.keep_something().await;
    customer.take_role(made.1["identity"]["principalId"].as_str().unwrap()).await;
    domain::customer_keys::look_at_keys(&customer.bank.test.house).await;
    assert_eq!(customer.reach().await.0, 403);
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x05_the_proof_says_under_which_key_each_kind_of_data_lies_and_starts_nothing_without_it() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{made}");
    customer.keep_something().await;
    let prove = async || {
        let (status, found) = customer.ask(Method::GET, "/encryption/proof", None).await;
        assert_eq!(status, 200, "{found}");
        found["stores"].as_array().unwrap().clone()
    };
    let of = |stores: &[Value], class: &str| {
        stores.iter().find(|one| one["class"] == class).unwrap_or_else(|| panic!("{class}: {stores:?}")).clone()
    };
    let found = prove().await;
    let guid = made["properties"]["workspaceId"].as_str().unwrap();
    for class in ["metadata", "files", "images", "logs", "telemetry"] {
        let one = of(&found, class);
        assert_eq!((&one["keyId"], &one["keyVersion"]), (&json!(format!("keyrings/{guid}")), &json!(1)), "{one}");
        assert_eq!((&one["heldBy"], &one["complete"]), (&json!(key), &json!(true)), "{one}");
    }
    assert!(of(&found, "metadata")["rowsByKeyVersion"]["1"].as_u64().unwrap() > 0, "{found:?}");
    assert_eq!(of(&found, "Microsoft.Storage/storageAccounts")["heldBy"], "rootKey");
    assert_eq!(of(&found, "scratch")["where"], "memory");
    // Sealed anew, it says so; and locked, it says the same.
    assert_eq!(customer.ask(Method::POST, "/encryption/reseal", None).await.0, 202);
    while domain::resealing::reseal_what_is_due(&customer.bank.test.house).await.unwrap() {}
    let anew = of(&prove().await, "metadata");
    assert_eq!(anew["keyVersion"], 2, "{anew}");
    assert!(anew["rowsByKeyVersion"]["2"].as_u64().unwrap() > 0 && anew["rowsByKeyVersion"]["1"].is_null(), "{anew}");
    customer.set_enabled(&key, false).await;
    domain::customer_keys::look_at_keys(&customer.bank.test.house).await;
    assert_eq!(of(&prove().await, "metadata")["keyVersion"], 2);
    // Nothing starts on what is locked.
    let job = json!({"properties": {"jobType": "Command", "command": "true", "environment": "none"}});
    let (status, answer) = customer.ask(Method::PUT, "/jobs/j1", Some(job)).await;
    assert_eq!((status, code(&answer)), (403, "CustomerManagedKeyUnavailable"), "{answer}");
    customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_held_workspace_has_a_managed_group_that_ends_with_it_alone() {
    let customer = Customer::new().await;
    let key = customer.rsa("k1").await;
    let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
    assert_eq!(status, 201, "{made}");
    let guid = made["properties"]["workspaceId"].as_str().unwrap();
    let group = format!("{}{guid}", customer.bank.test.group());
    let ask = async |method: Method, place: &str, body: Option<Value>| {
        let owner = customer.bank.test.owner_again().await;
        customer.bank.test.ask(Some(&owner), method, place, body.as_ref()).await
    };
    let (status, seen) = ask(Method::GET, &group, None).await;
    assert_eq!((status, &seen["managedBy"], seen.get("etag")), (200, &made["id"], None), "{seen}");
    let groups = ask(Method::GET, &format!("{}/resourceGroups", customer.bank.test.subscription()), None).await.1;
    let listed = |groups: &Value| groups["value"].as_array().unwrap().iter().any(|one| one["id"] == json!(group));
    assert!(listed(&groups), "{groups}");
    let (_, parts) = ask(Method::GET, &format!("{group}/resources"), None).await;
    let parts = parts["value"].as_array().unwrap().clone();
    let kinds: Vec<_> = parts.iter().map(|one| one["type"].as_str().unwrap()).collect();
    let wanted = [
        "Microsoft.DocumentDB/databaseAccounts",
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Search/searchServices",
    ];
    assert_eq!(kinds, wanted);
    for part in &parts {
        let id = part["id"].as_str().unwrap();
        let (status, found) = ask(Method::GET, id, None).await;
        assert_eq!(
            (status, &found["managedBy"], &found["properties"]["heldBy"]),
            (200, &made["id"], &json!(key)),
            "{id}: {found}"
        );
        let (status, answer) = ask(Method::DELETE, id, None).await;
        assert_eq!((status, code(&answer)), (409, "ManagedResourceGroup"), "{id}: {answer}");
    }
    let db = parts[0]["id"].as_str().unwrap();
    assert_eq!(ask(Method::GET, db, None).await.1["properties"]["throughput"], 8000);
    for (method, body) in [(Method::DELETE, None), (Method::PUT, Some(json!({"location": "local"})))] {
        let (status, answer) = ask(method, &group, body).await;
        assert_eq!((status, code(&answer)), (409, "ManagedResourceGroup"), "{answer}");
    }
    // Who may do nothing there learns nothing of it; a workspace under the server's own keyring has none.
    let stranger = customer.bank.callers.token(Who::Stranger);
    assert_eq!(customer.bank.test.ask(stranger, Method::GET, &group, None).await.0, 404);
    let (_, plain) = ask(Method::GET, &customer.bank.test.workspace(), None).await;
    let none = format!("{}{}", customer.bank.test.group(), plain["properties"]["workspaceId"].as_str().unwrap());
    assert_eq!(ask(Method::GET, &none, None).await.0, 404);
    // It is gone with its workspace.
    assert_eq!(customer.ask(Method::DELETE, "?forceToPurge=true", None).await.0, 200);
    assert_eq!(ask(Method::GET, &group, None).await.0, 404);
    let groups = ask(Method::GET, &format!("{}/resourceGroups", customer.bank.test.subscription()), None).await.1;
    assert!(!listed(&groups), "{groups}");
    assert_eq!(ask(Method::DELETE, db, None).await.0, 404);
    customer.end().await;
}
