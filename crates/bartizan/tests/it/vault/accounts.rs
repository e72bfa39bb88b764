//! Storage accounts under a customer's key (requirement F-04).

use std::time::Duration;

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::Customer;

/// Longer than a refusal is believed.
const AGAIN: Duration = Duration::from_secs(6);
const ACCOUNT: &str = "heldaccount";

struct Account {
    customer: Customer,
    /// Its resource id.
    id: String,
}

impl Account {
    async fn new() -> Self {
        let customer = Customer::new().await;
        let id = format!("{}/providers/Microsoft.Storage/storageAccounts/{ACCOUNT}", customer.bank.test.group());
        Self { customer, id }
    }

    /// A key as Azure's client names it; without a version, the newest is followed.
    fn named(&self, identifier: &str, version: Option<&str>) -> Value {
        let (vault, rest) = identifier.split_once("/keys/").unwrap();
        let name = rest.split('/').next().unwrap();
        let key = json!({"keyname": name, "keyversion": version, "keyvaulturi": vault});
        json!({"keySource": "Microsoft.Keyvault", "keyvaultproperties": key})
    }

    async fn write(&self, method: Method, encryption: Value) -> (u16, Value) {
        let maker = Customer::maker(&self.customer.bank).await;
        let identity = json!({"type": "SystemAssigned"});
        let body = json!({"location": "local", "identity": identity, "properties": {"encryption": encryption}});
        self.customer.bank.test.ask(Some(&maker), method, &self.id, Some(&body)).await
    }

    /// A token for the account's data, of one who may do everything there.
    async fn keeper(&self) -> Secret<String> {
        let bank = &self.customer.bank;
        let person = bank.person("blobs").await;
        assert_eq!(bank.assign(&person.id, domain::access::BLOB_DATA_OWNER, &self.id).await, 201);
        bank.token(&person.app, &person.secret, "https://storage.azure.com").await
    }

    async fn ask(&self, who: Option<&Secret<String>>, method: Method, place: &str) -> (u16, String, String) {
        let is_write = method == Method::PUT;
        let mut call = self.customer.bank.test.client().call(method, &format!("/blob/{ACCOUNT}{place}"));
        call = call.header("x-ms-version", "2024-11-04");
        if let Some(who) = who {
            call = call.bearer(who);
        }
        if is_write {
            let body = if place.contains("restype=container") { "" } else { "kept" };
            call = call.header("x-ms-blob-type", "BlockBlob").body("text/plain", body);
        }
        let answer = call.send().await.unwrap();
        let (status, code) =
            (answer.status().as_u16(), answer.header("x-ms-error-code").unwrap_or_default().to_owned());
        let body = answer.bytes(1 << 20).await.unwrap();
        (status, code, String::from_utf8_lossy(&body).into_owned())
    }

    async fn look(&self) {
        domain::customer_keys::look_at_keys(&self.customer.bank.test.house).await;
    }

    fn later(&self, span: Duration) {
        self.customer.bank.test.clock.advance(span);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_open_only_under_the_account_s_key() {
    let account = Account::new().await;
    let key = account.customer.rsa("k1").await;
    let version = key.rsplit('/').next().unwrap();
    let (status, made) = account.write(Method::PUT, account.named(&key, Some(version))).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["properties"]["encryption"]["keyvaultproperties"]["keyversion"], json!(version));
    assert!(made["identity"]["principalId"].is_string(), "{made}");
    let who = account.keeper().await;
    assert_eq!(account.ask(Some(&who), Method::PUT, "/box?restype=container").await.0, 201);
    assert_eq!(account.ask(Some(&who), Method::PUT, "/box/one").await.0, 201);
    assert_eq!(account.ask(Some(&who), Method::GET, "/box/one").await.2, "kept");

    account.customer.set_enabled(&key, false).await;
    account.look().await;
    for (method, place) in
        [(Method::GET, "/box/one"), (Method::PUT, "/box/two"), (Method::GET, "/box?restype=container&comp=list")]
    {
        let (status, code, said) = account.ask(Some(&who), method, place).await;
        assert_eq!((status, code.as_str()), (403, "KeyVaultEncryptionKeyNotFound"), "{said}");
        assert!(!said.contains("customer-keys"), "{said}");
    }
    // A stranger learns nothing of it.
    assert_eq!(account.ask(None, Method::GET, "/box/one").await.0, 401);

    account.customer.set_enabled(&key, true).await;
    account.later(AGAIN);
    let (status, _, body) = account.ask(Some(&who), Method::GET, "/box/one").await;
    assert_eq!((status, body.as_str()), (200, "kept"));
    // It was written while locked by nobody.
    assert_eq!(account.ask(Some(&who), Method::GET, "/box/two").await.0, 404);
    account.customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gets_a_key_follows_its_versions_and_gives_it_back_while_it_is_read() {
    let account = Account::new().await;
    let (status, made) = account.write(Method::PUT, Value::Null).await;
    assert_eq!((status, &made["properties"]["encryption"]["keySource"]), (200, &json!("Microsoft.Storage")), "{made}");
    let who = account.keeper().await;
    assert_eq!(account.ask(Some(&who), Method::PUT, "/box?restype=container").await.0, 201);
    assert_eq!(account.ask(Some(&who), Method::PUT, "/box/one").await.0, 201);
    let reads = async || account.ask(Some(&who), Method::GET, "/box/one").await.0;

    let first = account.customer.rsa("k1").await;
    let (status, changed) = account.write(Method::PATCH, account.named(&first, None)).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(changed["properties"]["encryption"]["keyvaultproperties"]["keyversion"], json!(""));
    assert_eq!(reads().await, 200);
    // The next version takes over by itself, and the first is needed no more.
    account.customer.rsa("k1").await;
    account.look().await;
    assert_eq!(reads().await, 200);
    account.customer.set_enabled(&first, false).await;
    account.look().await;
    assert_eq!(reads().await, 200);

    // Another key, by its version.
    let other = account.customer.rsa("k2").await;
    let version = other.rsplit('/').next().unwrap();
    let (status, changed) = account.write(Method::PATCH, account.named(&other, Some(version))).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(reads().await, 200);
    account.customer.set_enabled(&other, false).await;
    account.look().await;
    assert_eq!(reads().await, 403);
    // A locked account takes no other key, nor is it freed.
    for encryption in [account.named(&first, None), json!({"keySource": "Microsoft.Storage"})] {
        assert_eq!(account.write(Method::PATCH, encryption).await.0, 403);
    }
    account.customer.set_enabled(&other, true).await;
    account.later(AGAIN);
    let (status, changed) = account.write(Method::PATCH, json!({"keySource": "Microsoft.Storage"})).await;
    assert_eq!(status, 200, "{changed}");
    account.customer.set_enabled(&other, false).await;
    account.later(Duration::from_secs(50));
    account.look().await;
    assert_eq!(reads().await, 200);
    account.customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_fit_an_account_is_refused() {
    let account = Account::new().await;
    let key = account.customer.rsa("k1").await;
    let curve = account.customer.key("curve", json!({"kty": "EC", "crv": "P-256"})).await;
    // A certificate's: whoever may change that would change the key.
    let bank = &account.customer.bank;
    let (vault, keeper) = (account.customer.vault.rsplit('/').next().unwrap(), bank.keeper().await);
    let policy = json!({"issuer": {"name": "Self"}, "x509_props": {"subject": "CN=a"}});
    let body = json!({"policy": policy});
    let (status, made) = bank.ask_at(vault, &keeper, Method::POST, "certificates/c1/create", body).await;
    assert_eq!(status, 202, "{made}");
    let (_, managed) = bank.ask_at(vault, &keeper, Method::GET, "keys/c1", Value::Null).await;
    let managed = managed["key"]["kid"].as_str().unwrap();
    let elsewhere = json!({"keyname": "k", "keyholder": "nobody"});
    for (encryption, expected, code) in [
        (account.named(&curve, None), 400, "KeyTypeNotSupported"),
        (account.named(managed, None), 400, "KeyTypeNotSupported"),
        (account.named("https://v.vault.azure.net/keys/k1", None), 400, "KeyIdentifierInvalid"),
        (account.named(&key.replace("customer-keys", "no-such-vault"), None), 404, "KeyVaultNotFound"),
        (json!({"keySource": "Microsoft.Keyvault", "keyvaultproperties": elsewhere}), 400, "KeyHolderNotFound"),
    ] {
        let (status, answer) = account.write(Method::PUT, encryption.clone()).await;
        assert_eq!((status, answer["error"]["code"].as_str()), (expected, Some(code)), "{encryption}: {answer}");
    }
    // Whoever chooses the key could destroy what it holds.
    let other = bank.callers.token(crate::house::Who::Contributor);
    let body = json!({"location": "local", "properties": {"encryption": account.named(&key, None)}});
    assert_eq!(bank.test.ask(other, Method::PUT, &account.id, Some(&body)).await.0, 403);
    assert_eq!(bank.test.ask(bank.owner(), Method::GET, &account.id, None).await.0, 404, "nothing is half made");
    account.customer.end().await;
}
