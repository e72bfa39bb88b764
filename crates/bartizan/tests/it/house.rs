//! A whole server in this process: memory stores, a clock to turn, real TLS on a port of its own. Callers are types.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    audit::LogKey,
    gate::{House, Parts, Settings, enter},
    identity::{Charter, FoundHouse, IssueServerCertificate},
};
use http_faces::{App, Listener, Tls, faces};
use kernel::{
    BlobStore, Caller, Capabilities, ComputeDriver, KeyHolders, LaunchSpec, Launched, Limits, MetaStore, NoKeyHolders,
    ProcessState, Secret, StoreError, StoreResult, Wall,
};
use outbound::{Client, Method, Timeouts};
use seal::Sha256Chain;
use serde_json::{Value, json};
use testkit::TurnableClock;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

use crate::federation::OneProvider;

/// A compute target on which nothing runs: it notes what it was asked.
#[derive(Default)]
pub struct FakeComputer {
    pub started: Mutex<BTreeMap<String, LaunchSpec>>,
    pub stopped: Mutex<Vec<String>>,
    /// Whether it starts nothing.
    pub refuses: AtomicBool,
    /// Walls that it says stand.
    pub walls: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl ComputeDriver for FakeComputer {
    async fn start(&self, spec: LaunchSpec) -> StoreResult<Launched> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(StoreError::Failed("on purpose".into()));
        }
        let handle = spec.name.clone();
        self.started.lock().unwrap().insert(handle.clone(), spec);
        Ok(Launched { handle })
    }
    async fn state(&self, launched: &Launched) -> StoreResult<ProcessState> {
        let is_there = self.started.lock().unwrap().contains_key(&launched.handle);
        Ok(if is_there { ProcessState::Alive } else { ProcessState::Gone })
    }
    async fn stop(&self, launched: &Launched) -> StoreResult<()> {
        self.started.lock().unwrap().remove(&launched.handle);
        self.stopped.lock().unwrap().push(launched.handle.clone());
        Ok(())
    }
    fn capabilities(&self) -> Arc<Capabilities> {
        let wall = |name: &&str| Wall { name: (*name).to_owned(), stands: true, note: String::new() };
        let walls = self.walls.lock().unwrap().iter().map(wall).collect();
        Arc::new(Capabilities { walls, cores: 0 })
    }
}

/// A running house.
pub struct TestHouse {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    pub computer: Arc<FakeComputer>,
    pub elsewhere: Arc<OneProvider>,
    pub founded: Charter,
    client: Client,
    ca: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Who knocks. Each is a real service principal with real tokens, but for Nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Owner,
    Contributor,
    Reader,
    Stranger,
    Nobody,
}

/// The resource group and workspace that every test house has.
pub const GROUP: &str = "rg";
pub const WORKSPACE: &str = "ws1";

/// The callers' credentials.
pub struct Callers {
    tokens: BTreeMap<&'static str, Secret<String>>,
}

impl Callers {
    pub fn token(&self, who: Who) -> Option<&Secret<String>> {
        self.tokens.get(format!("{who:?}").as_str())
    }
}

impl TestHouse {
    /// A founded house with a group and a workspace, in memory.
    pub async fn new() -> (Self, Callers) {
        let chain = Arc::new(Sha256Chain);
        Self::over(Arc::new(store::meta::Memory::new(chain)), Arc::new(store::blob::Memory::new())).await
    }

    pub async fn over(meta: Arc<dyn MetaStore>, blobs: Arc<dyn BlobStore>) -> (Self, Callers) {
        Self::with_holders(meta, blobs, Arc::new(NoKeyHolders)).await
    }

    /// One whose operator named holders of customers' keys.
    pub async fn with_holders(
        meta: Arc<dyn MetaStore>,
        blobs: Arc<dyn BlobStore>,
        key_holders: Arc<dyn KeyHolders>,
    ) -> (Self, Callers) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let clock = Arc::new(TurnableClock::default());
        let computer = Arc::new(FakeComputer::default());
        let elsewhere = Arc::new(OneProvider::default());
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let settings = Settings {
            url: format!("https://localhost:{}", address.port()),
            cache_dir: String::from("/nowhere"),
            socket_dir: String::from("/nowhere"),
            key_holders,
            ..Settings::default()
        };
        let parts = Parts {
            meta,
            blobs,
            root: Arc::new(MemoryRoot::default()),
            compute: computer.clone(),
            web: elsewhere.clone(),
            clock: clock.clone(),
            settings,
            actions: http_faces::faces::doors().list().iter().map(|door| door.action).collect(),
        };
        let house = Arc::new(House::open(parts).await.unwrap());
        let founded = Charter::draw().unwrap();
        let password = Secret::new(String::from("correct horse battery"));
        let op = FoundHouse { admin: String::from("admin"), password, charter: founded.clone() };
        enter(&house, &Caller::house(), op).await.unwrap();
        let names = vec![String::from("localhost")];
        let (identity, ca) =
            enter(&house, &Caller::house(), IssueServerCertificate { names: names.clone() }).await.unwrap();
        enter(&house, &Caller::house(), LogKey).await.unwrap();
        let tls = Tls::from_pem(&identity.chain_pem, identity.key_pem.expose()).unwrap();
        let app = App::new(house.clone(), Arc::new(Limits::default()));
        let listener = Listener::new(socket, tls, app, faces::doors(), &names, "bartizan.test");
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(listener.run(stopped));
        let timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(60) };
        let client = Client::to_server(&house.settings().url, ca.as_bytes(), timeouts).unwrap();
        let test = Self { house, clock, computer, elsewhere, founded, client, ca, stop, task };
        let callers = test.people().await;
        (test, callers)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// PEM of who vouches for it.
    pub fn authority(&self) -> &str {
        &self.ca
    }

    pub fn subscription(&self) -> String {
        format!("/subscriptions/{}", self.founded.subscription)
    }

    pub fn group(&self) -> String {
        format!("{}/resourceGroups/{GROUP}", self.subscription())
    }

    pub fn workspace(&self) -> String {
        format!("{}/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}", self.group())
    }

    /// A token for a client id and secret.
    pub async fn token(&self, app: &str, secret: &str) -> Result<Secret<String>, outbound::Error> {
        let scope = format!("{}/.default", self.house.settings().url);
        let form =
            [("grant_type", "client_credentials"), ("client_id", app), ("client_secret", secret), ("scope", &scope)];
        let place = format!("/{}/oauth2/v2.0/token", self.founded.tenant);
        let answer: Value = self.client.post(&place).form(&form).send_for_json().await?;
        Ok(Secret::new(answer["access_token"].as_str().unwrap().to_owned()))
    }

    /// A request by someone; gives status and body.
    pub async fn ask(
        &self,
        token: Option<&Secret<String>>,
        method: Method,
        place: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut call = self.client.call(method, place);
        if let Some(token) = token {
            call = call.bearer(token);
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        let answer = call.send().await.unwrap_or_else(|fault| panic!("{place}: {fault}"));
        let status = answer.status().as_u16();
        let body = answer.bytes(16 << 20).await.unwrap_or_else(|fault| panic!("{place}: {fault}"));
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// A service principal with a role at a scope (or none).
    pub async fn principal(
        &self,
        owner: &Secret<String>,
        name: &str,
        role: Option<(&str, &str)>,
    ) -> (String, Secret<String>) {
        let made = self
            .ask(Some(owner), Method::POST, "/graph/v1.0/servicePrincipals", Some(&json!({"displayName": name})))
            .await;
        assert_eq!(made.0, 201, "{}", made.1);
        let id = made.1["id"].as_str().unwrap().to_owned();
        if let Some((role, scope)) = role {
            let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
            let body = json!({"properties": {"roleDefinitionId": definition, "principalId": id}});
            let place = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", Uuid::new_v4());
            let assigned = self.ask(Some(owner), Method::PUT, &place, Some(&body)).await;
            assert_eq!(assigned.0, 201, "{}", assigned.1);
        }
        let secret = made.1["passwordCredentials"][0]["secretText"].as_str().unwrap();
        let token = self.token(made.1["appId"].as_str().unwrap(), secret).await.unwrap();
        (id, token)
    }

    /// A fresh token of the owner: the clock ends the first one.
    pub async fn owner_again(&self) -> Secret<String> {
        self.token(&self.founded.app.to_string(), self.founded.client_secret.expose()).await.unwrap()
    }

    async fn people(&self) -> Callers {
        let owner = self.owner_again().await;
        let group = self.ask(Some(&owner), Method::PUT, &self.group(), Some(&json!({"location": "local"}))).await;
        assert_eq!(group.0, 201, "{}", group.1);
        let made = self.ask(Some(&owner), Method::PUT, &self.workspace(), Some(&json!({"location": "local"}))).await;
        assert!(made.0 == 201 || made.0 == 200, "{}", made.1);
        let subscription = self.subscription();
        let contributor = domain::access::CONTRIBUTOR.to_string();
        let reader = domain::access::READER.to_string();
        let (_, contributor) = self.principal(&owner, "contributor", Some((&contributor, &subscription))).await;
        let (_, reader) = self.principal(&owner, "reader", Some((&reader, &subscription))).await;
        let (_, stranger) = self.principal(&owner, "stranger", None).await;
        let tokens = [("Owner", owner), ("Contributor", contributor), ("Reader", reader), ("Stranger", stranger)];
        Callers { tokens: tokens.into_iter().collect() }
    }

    /// Ends the server; nothing may hang.
    pub async fn end(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("the server ends").unwrap();
    }
}

/// A root key that lives and dies with the test.
#[derive(Default)]
pub struct MemoryRoot(seal::RootSealing);

#[async_trait]
impl kernel::KeyProvider for MemoryRoot {
    async fn wrap(&self, purpose: &[u8], key: &Secret<Vec<u8>>) -> StoreResult<kernel::Sealed> {
        kernel::Sealing::seal(&self.0, &Secret::new(vec![7; 32]), purpose, key.expose())
    }
    async fn unwrap(&self, purpose: &[u8], wrapped: &kernel::Sealed) -> StoreResult<Secret<Vec<u8>>> {
        kernel::Sealing::open(&self.0, &Secret::new(vec![7; 32]), purpose, wrapped)
    }
    fn describe(&self) -> String {
        String::from("a key in memory")
    }
}
