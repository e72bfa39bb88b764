//! Keys of workspaces that are elsewhere: with a holder to stop and start, with another server's vault, and with a real OpenBao.

#[path = "../../../../store/tests/it/bao.rs"]
mod bao;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use kernel::{HolderRule, KeyElsewhere, KeyHolders, KeyProvider, ResourceId, Secret, StoreError, StoreResult};
use outbound::Method;
use seal::RootSealing;
use serde_json::{Value, json};
use store::{
    Holders,
    key::{AzureVault, AzureVaultConfig},
};
use testkit::conformance::{self, Persistence};

use self::bao::Bao;
use super::{Bank, Customer};
use crate::house::{Callers, MemoryRoot, TestHouse, Who};

/// Between two looks at keys that are elsewhere.
const LOOK: Duration = Duration::from_secs(15);

/// A holder that does as it is told.
#[derive(Default)]
struct Fickle {
    key: MemoryRoot,
    mood: AtomicU8,
    asked: AtomicUsize,
    /// Whether the operator let it be opened without it.
    glass: AtomicBool,
}

const AWAY: u8 = 1;
const REFUSES: u8 = 2;

impl std::fmt::Debug for Fickle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Fickle")
    }
}

impl Fickle {
    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn answer(&self) -> StoreResult<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.mood.load(Ordering::SeqCst) {
            AWAY => Err(StoreError::KeyAway(String::from("10.1.2.3 is away"))),
            REFUSES => Err(StoreError::Key(String::from("10.1.2.3 says no"))),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl KeyHolders for Fickle {
    fn by_address(&self, _: &str) -> Option<KeyElsewhere> {
        None
    }
    fn rule(&self, holder: &str, _: &ResourceId) -> HolderRule {
        match holder {
            "fickle" => HolderRule::Open,
            "others" => HolderRule::NotHere,
            _ => HolderRule::Unknown,
        }
    }
    fn may_be_opened_without(&self, _: &str) -> bool {
        self.glass.load(Ordering::SeqCst)
    }
    async fn wrap(&self, key: &KeyElsewhere, purpose: &[u8], plain: &Secret<Vec<u8>>) -> StoreResult<Vec<u8>> {
        self.answer()?;
        let purpose = [key.key.as_bytes(), purpose].concat();
        Ok(self.key.wrap(&purpose, plain).await?.into_bytes().to_vec())
    }
    async fn unwrap(&self, key: &KeyElsewhere, purpose: &[u8], wrapped: &[u8]) -> StoreResult<Secret<Vec<u8>>> {
        self.answer()?;
        let purpose = [key.key.as_bytes(), purpose].concat();
        self.key.unwrap(&purpose, &testkit::sealed(wrapped)).await
    }
}

/// A house with holders, and a workspace that is to be held by one of them.
struct Stand {
    test: TestHouse,
    callers: Callers,
}

impl Stand {
    async fn over(holders: Arc<dyn KeyHolders>) -> Self {
        let meta = Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain)));
        let (test, callers) = TestHouse::with_holders(meta, Arc::new(store::blob::Memory::new()), holders).await;
        Self { test, callers }
    }

    fn place(&self, below: &str) -> String {
        format!("{}{below}", self.test.workspace().replace("/ws1", "/held"))
    }

    async fn ask(&self, method: Method, place: &str, body: Option<Value>) -> (u16, Value) {
        let owner = self.test.owner_again().await;
        self.test.ask(Some(&owner), method, place, body.as_ref()).await
    }

    async fn make(&self, key: Value) -> (u16, Value) {
        let encryption = json!({"status": "Enabled", "keyVaultProperties": key});
        let body = json!({"location": "local", "properties": {"encryption": encryption}});
        self.ask(Method::PUT, &self.place(""), Some(body)).await
    }

    /// The status of a request to its data.
    async fn reach(&self) -> u16 {
        self.ask(Method::GET, &self.place("/datastores"), None).await.0
    }

    /// The server's own work, when so much time has gone by.
    async fn later(&self, span: Duration) {
        self.test.clock.advance(span);
        domain::customer_keys::look_at_keys_elsewhere(&self.test.house).await;
        domain::customer_keys::look_at_keys(&self.test.house).await;
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

fn at(holder: &str, key: &str) -> Value {
    json!({"keyHolder": holder, "keyName": key})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_says_no_locks_the_workspace_and_one_that_says_yes_again_gives_it_back() {
    let fickle = Arc::new(Fickle::default());
    let stand = Stand::over(fickle.clone()).await;
    for (bad, why) in [
        (at("nobody", "k"), "KeyHolderNotFound"),
        (at("others", "k"), "KeyHolderNotFound"),
        (at("fickle", "a/../b"), ""),
        (json!({"keyHolder": "fickle"}), ""),
        (json!({"keyHolder": "fickle", "keyName": "k", "keyIdentifier": "https://v/keys/k/1"}), ""),
    ] {
        let (status, answer) = stand.make(bad.clone()).await;
        assert!(status == 400 && (why.is_empty() || code(&answer) == why), "{bad}: {answer}");
    }
    fickle.set(REFUSES);
    let (status, answer) = stand.make(at("fickle", "k")).await;
    assert_eq!((status, code(&answer)), (400, "KeyHolderRefused"));
    assert!(!answer.to_string().contains("10.1.2.3"), "{answer}");
    assert_eq!(stand.reach().await, 404, "nothing is half made");

    fickle.set(0);
    let (status, made) = stand.make(at("fickle", "k")).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["encryption"]["keyVaultProperties"], at("fickle", "k"));
    assert_eq!(stand.reach().await, 200);
    assert_eq!(stand.make(at("fickle", "k")).await.0, 200, "said again it is the same");
    let (status, answer) = stand.make(at("fickle", "k2")).await;
    assert_eq!((status, code(&answer)), (400, "EncryptionCannotBeChanged"));

    fickle.set(REFUSES);
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 403);
    let (_, seen) = stand.ask(Method::GET, &stand.place("/encryption"), None).await;
    assert_eq!(seen["state"], json!("Locked"));
    assert!(!seen.to_string().contains("10.1.2.3"), "{seen}");
    let asked = fickle.asked.load(Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(stand.reach().await, 403);
    }
    assert_eq!(fickle.asked.load(Ordering::SeqCst), asked, "a refusal is believed for a while");
    fickle.set(0);
    stand.later(Duration::from_secs(6)).await;
    assert_eq!(stand.reach().await, 200);

    // Another key, while it is in use; and back to a key of a vault here is a change like any other.
    let change = stand.place("/changeEncryptionKey");
    let (status, answer) = stand.ask(Method::POST, &change, Some(at("fickle", "k2"))).await;
    assert_eq!((status, &answer["keyVaultProperties"]), (200, &at("fickle", "k2")), "{answer}");
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_away_is_waited_for_as_long_as_is_granted_and_no_longer() {
    let fickle = Arc::new(Fickle::default());
    let stand = Stand::over(fickle.clone()).await;
    assert_eq!(stand.make(at("fickle", "k")).await.0, 201);
    assert_eq!(stand.reach().await, 200);
    fickle.set(AWAY);
    for _ in 0..2 {
        stand.later(LOOK).await;
        assert_eq!(stand.reach().await, 200);
    }
    // What else gets a key meanwhile makes nobody ask.
    let asked = fickle.asked.load(Ordering::SeqCst);
    let other = format!("{}/providers/Microsoft.KeyVault/vaults/one-more", stand.test.group());
    assert_eq!(stand.ask(Method::PUT, &other, Some(json!({"location": "local"}))).await.0, 201);
    assert_eq!(stand.reach().await, 200);
    assert_eq!(fickle.asked.load(Ordering::SeqCst), asked);
    // It comes back in time, and all begins anew.
    fickle.set(0);
    stand.later(Duration::from_secs(5)).await;
    fickle.set(AWAY);
    stand.later(Duration::from_secs(40)).await;
    assert_eq!(stand.reach().await, 200);
    stand.later(Duration::from_secs(6)).await;
    let (status, answer) = stand.ask(Method::GET, &stand.place("/datastores"), None).await;
    assert_eq!((status, code(&answer)), (403, "CustomerManagedKeyUnavailable"), "{answer}");
    assert!(answer.to_string().contains("cannot be reached"), "{answer}");
    // Whoever reads how it stands drives no holder.
    let asked = fickle.asked.load(Ordering::SeqCst);
    let (_, seen) = stand.ask(Method::GET, &stand.place("/encryption"), None).await;
    assert_eq!((&seen["state"], fickle.asked.load(Ordering::SeqCst)), (&json!("Locked"), asked), "{seen}");
    // Others go on, and nothing new is held by it.
    let (status, _) = stand.ask(Method::GET, &format!("{}/datastores", stand.test.workspace()), None).await;
    assert_eq!(status, 200);
    let (status, answer) =
        stand.ask(Method::POST, &stand.place("/changeEncryptionKey"), Some(at("fickle", "k2"))).await;
    assert!(status == 403 || status == 503, "{answer}");
    fickle.set(0);
    stand.later(Duration::from_secs(6)).await;
    assert_eq!(stand.reach().await, 200);
    stand.test.end().await;
}

fn secret(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn holders(dir: &Path, file: &Value) -> Arc<Holders> {
    let path = secret(dir, "holders.json", &file.to_string());
    Arc::new(Holders::read(&path, Arc::new(RootSealing)).unwrap())
}

/// Another server, whose vault holds keys for this one.
struct Elsewhere {
    customer: Customer,
    dir: tempfile::TempDir,
    app: String,
}

impl Elsewhere {
    async fn new() -> Self {
        let customer = Customer::new().await;
        let bank = &customer.bank;
        let person = bank.person("the other server").await;
        for role in [domain::access::KEY_VAULT_CRYPTO_OFFICER, domain::access::KEY_VAULT_CRYPTO_USER] {
            assert_eq!(bank.assign(&person.id, role, &customer.vault).await, 201);
        }
        let dir = tempfile::tempdir().unwrap();
        secret(dir.path(), "secret", person.secret.expose());
        fs::write(dir.path().join("ca.pem"), bank.test.authority()).unwrap();
        let app = person.app;
        Self { customer, dir, app }
    }

    /// As an operator names it.
    fn at(&self) -> Value {
        let Bank { test, .. } = &self.customer.bank;
        json!({
            "kind": "azure-key-vault",
            "address": format!("{}/vaults/customer-keys", test.house.settings().url),
            "authority": format!("{}/{}", test.house.settings().url, test.founded.tenant),
            "resource": self.customer.bank.resource(),
            "client_id": self.app,
            "secret_file": self.dir.path().join("secret"),
            "ca": self.dir.path().join("ca.pem"),
        })
    }

    fn config(&self, key: &str) -> AzureVaultConfig {
        let mut at = self.at();
        at.as_object_mut().unwrap().remove("kind");
        at["key"] = json!(key);
        serde_json::from_value(at).unwrap()
    }

    fn provider(&self, config: AzureVaultConfig) -> AzureVault {
        AzureVault::new(config, Arc::new(RootSealing)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_azure_key_vault_conforms() {
    let other = Elsewhere::new().await;
    for key in ["c-1", "c-2"] {
        other.customer.rsa(key).await;
    }
    let open = async |place: usize| other.provider(other.config(&format!("c-{place}")));
    conformance::dear_key(Persistence::Kept, open).await;
    conformance::rotating_key(open).await;

    // What is not as the operator said it is nobody's to follow.
    let key = Secret::new(vec![7; 32]);
    let refusal = async |config: AzureVaultConfig| match other.provider(config).wrap(b"p", &key).await {
        Err(StoreError::Key(why)) => why,
        end => panic!("{end:?}"),
    };
    let config = || other.config("c-1");
    let elsewhere = AzureVaultConfig { authority: config().authority.replace("localhost", "127.0.0.1"), ..config() };
    assert!(refusal(elsewhere).await.contains("another authority"));
    assert!(refusal(AzureVaultConfig { resource: None, ..config() }).await.contains("another resource"));
    let wrong = secret(other.dir.path(), "wrong", "not-the-secret");
    let why = refusal(AzureVaultConfig { secret_file: wrong, ..config() }).await;
    assert!(why.contains("does not sign us in") && !why.contains("not-the-secret"), "{why}");
    assert!(refusal(other.config("c-3")).await.contains("no key"));
    other.customer.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_held_by_another_server_s_vault() {
    let other = Elsewhere::new().await;
    let kid = other.customer.rsa("k1").await;
    let (_, rest) = kid.split_once("/keys/").unwrap();
    let file = json!({"holders": [{"name": "azure", "at": other.at()}]});
    let stand = Stand::over(holders(other.dir.path(), &file)).await;
    let address = format!("{}/keys/{rest}", other.at()["address"].as_str().unwrap());
    // Of such a vault the version is needed too, and one that nobody named is nobody's.
    for bad in [address.rsplit_once('/').unwrap().0.to_owned(), address.replace("customer-keys", "other")] {
        let (status, answer) = stand.make(json!({"keyVaultArmId": null, "keyIdentifier": bad})).await;
        assert_eq!((status, code(&answer)), (400, "KeyIdentifierInvalid"), "{answer}");
    }
    let (status, made) = stand.make(json!({"keyVaultArmId": other.customer.vault, "keyIdentifier": address})).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["encryption"]["keyVaultProperties"]["keyIdentifier"], json!(address));
    assert_eq!(stand.reach().await, 200);
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200);

    other.customer.set_enabled(&kid, false).await;
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 403);
    other.customer.set_enabled(&kid, true).await;
    stand.later(Duration::from_secs(6)).await;
    assert_eq!(stand.reach().await, 200);

    other.customer.end().await;
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200, "within the grace");
    stand.later(Duration::from_secs(46)).await;
    assert_eq!(stand.reach().await, 403);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_held_by_a_transit_engine() {
    let Some(bao) = Bao::start().await else { return };
    bao.post("transit/keys/k", &json!({})).await;
    let token = bao.token_for("k").await;
    let dir = tempfile::tempdir().unwrap();
    let auth = json!({"token-file": bao.secret("token", &token)});
    let at_bao = json!({"kind": "transit", "address": bao.address, "ca": bao.ca(), "auth": auth});
    let scopes = json!(["/subscriptions/00000000-0000-0000-0000-000000000001"]);
    let file = json!({"holders": [
        {"name": "bao", "at": at_bao},
        {"name": "others", "at": at_bao, "scopes": scopes},
    ]});
    let stand = Stand::over(holders(dir.path(), &file)).await;
    let (status, answer) = stand.make(at("others", "k")).await;
    assert_eq!((status, code(&answer)), (400, "KeyHolderNotFound"), "{answer}");
    let (status, answer) = stand.make(at("bao", "absent")).await;
    assert_eq!((status, code(&answer)), (400, "KeyHolderRefused"), "{answer}");
    let (status, made) = stand.make(at("bao", "k")).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(stand.reach().await, 200);
    // Rotated there, it opens as before; wrapped anew here, the old version is needed no more.
    bao.post("transit/keys/k/rotate", &json!({})).await;
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200);
    let (status, answer) = stand.ask(Method::POST, &stand.place("/changeEncryptionKey"), Some(at("bao", "k"))).await;
    assert_eq!(status, 200, "{answer}");
    bao.post("transit/keys/k/config", &json!({"min_decryption_version": 2})).await;
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200);
    // Denied, and allowed again.
    bao.secret("token", &bao.token_for("other").await);
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 403);
    bao.secret("token", &token);
    stand.later(Duration::from_secs(6)).await;
    assert_eq!(stand.reach().await, 200);
    // Sealed is away, not a no.
    bao.post("sys/seal", &json!({})).await;
    stand.later(LOOK).await;
    assert_eq!(stand.reach().await, 200);
    stand.later(Duration::from_secs(46)).await;
    assert_eq!(stand.reach().await, 403);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_holders_is_read_strictly() {
    let dir = tempfile::tempdir().unwrap();
    let read = |text: &str| Holders::read(&secret(dir.path(), "h.json", text), Arc::new(RootSealing)).map(drop);
    let token = r#"{"kind": "pkcs11", "module": "/m", "token": "t", "pin_file": "/p"}"#;
    read(&format!(r#"{{"holders": [{{"name": "a", "at": {token}}}]}}"#)).unwrap();
    for bad in [
        String::from("{}"),
        format!(r#"{{"holders": [{{"name": "a", "at": {token}}}, {{"name": "a", "at": {token}}}]}}"#),
        format!(r#"{{"holders": [{{"name": "a b", "at": {token}}}]}}"#),
        format!(r#"{{"holders": [{{"name": "a", "at": {token}, "scope": []}}]}}"#),
        format!(r#"{{"holders": [{{"name": "a", "at": {token}, "break-glass": "yes"}}]}}"#),
        String::from(r#"{"holders": [{"name": "a", "at": {"kind": "file", "path": "/k"}}]}"#),
    ] {
        assert!(matches!(read(&bad), Err(StoreError::Key(_))), "{bad}");
    }
    let open = secret(dir.path(), "open.json", r#"{"holders": []}"#);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(Holders::read(&open, Arc::new(RootSealing)).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_change_a_workspace_changes_no_key() {
    let stand = Stand::over(Arc::new(Fickle::default())).await;
    assert_eq!(stand.make(at("fickle", "k")).await.0, 201);
    for (who, expected) in [(Who::Reader, 403), (Who::Stranger, 404), (Who::Nobody, 401)] {
        let place = stand.place("/changeEncryptionKey");
        let (status, _) =
            stand.test.ask(stand.callers.token(who), Method::POST, &place, Some(&at("fickle", "k2"))).await;
        assert_eq!(status, expected, "{who:?}");
    }
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_what_a_holder_elsewhere_locks_is_opened_without_it_only_where_the_operator_says_so() {
    let fickle = Arc::new(Fickle::default());
    let stand = Stand::over(fickle.clone()).await;
    assert_eq!(stand.make(at("fickle", "k")).await.0, 201);
    let agree = async || {
        let terms = json!({"custodians": [], "longestMinutes": 60});
        stand.ask(Method::PUT, &stand.place("/encryption/breakGlass"), Some(terms)).await
    };
    let (status, answer) = agree().await;
    assert_eq!((status, code(&answer)), (403, "BreakGlassNotForThisHolder"), "{answer}");
    assert!(answer.to_string().contains("--key-holders"), "{answer}");
    // With the operator's word it is looked at who was named: nobody.
    fickle.glass.store(true, Ordering::SeqCst);
    let (status, answer) = agree().await;
    assert_eq!(status, 400, "{answer}");
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f10_a_group_that_had_the_name_before_the_workspace_had_its_key_stays_its_maker_s() {
    let stand = Stand::over(Arc::new(Fickle::default())).await;
    let (status, made) = stand.ask(Method::PUT, &stand.place(""), Some(json!({"location": "local"}))).await;
    assert_eq!(status, 201, "{made}");
    let group = format!("{}{}", stand.test.group(), made["properties"]["workspaceId"].as_str().unwrap());
    assert_eq!(stand.ask(Method::PUT, &group, Some(json!({"location": "local"}))).await.0, 201);
    let change = stand.place("/changeEncryptionKey");
    let (status, answer) = stand.ask(Method::POST, &change, Some(at("fickle", "k"))).await;
    assert_eq!(status, 200, "{answer}");
    let groups = async || {
        let place = format!("{}/resourceGroups", stand.test.subscription());
        let (_, listed) = stand.ask(Method::GET, &place, None).await;
        let named_so = |one: &&Value| one["id"] == json!(group);
        listed["value"].as_array().unwrap().iter().filter(named_so).cloned().collect::<Vec<Value>>()
    };
    let seen = groups().await;
    assert!(seen.len() == 1 && seen[0]["managedBy"].is_null(), "{seen:?}");
    // It is removed like any other, and then there is the managed one.
    let (status, answer) = stand.ask(Method::DELETE, &group, None).await;
    assert_eq!(status, 200, "{answer}");
    let seen = groups().await;
    assert_eq!((seen.len(), &seen[0]["managedBy"]), (1, &made["id"]), "{seen:?}");
    let (status, answer) = stand.ask(Method::DELETE, &group, None).await;
    assert_eq!((status, code(&answer)), (409, "ManagedResourceGroup"), "{answer}");
    stand.test.end().await;
}
