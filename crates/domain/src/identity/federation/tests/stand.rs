//! A founded house over memory, and providers elsewhere that say what a test tells them to.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{
    Agreement, Caller, Capabilities, ComputeDriver, KeyProvider, LaunchSpec, Launched, Principal, PrincipalId,
    PrincipalKind, ProcessState, Proof, Result, Sealed, Sealing, Secret, Source, StoreError, StoreResult, Web,
    WebAnswer, WebError, Who,
};
use seal::{TokenKey, TokenKeys};
use serde_json::{Value, json};
use testkit::{ToySealing, TurnableClock};
use uuid::Uuid;

use crate::{
    gate::{Activity, House, Op, Parts, Settings, enter},
    identity::{
        BeginFederatedSignIn, Charter, CreateGroup, CreateIdentityProvider, FederationRefusal, FinishFederatedSignIn,
        FoundHouse, GetSession, GroupForm, IdentityProvider, ProviderForm, SessionView, SignedIn,
    },
};

struct Root;

#[async_trait]
impl KeyProvider for Root {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        ToySealing.seal(&Secret::new(vec![7; 32]), purpose, key.expose())
    }
    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        ToySealing.open(&Secret::new(vec![7; 32]), purpose, wrapped)
    }
    fn describe(&self) -> String {
        String::from("a test's root key")
    }
}

struct NoTarget;

#[async_trait]
impl ComputeDriver for NoTarget {
    async fn start(&self, _: LaunchSpec) -> StoreResult<Launched> {
        Err(StoreError::Missing)
    }
    async fn state(&self, _: &Launched) -> StoreResult<ProcessState> {
        Ok(ProcessState::Gone)
    }
    async fn stop(&self, _: &Launched) -> StoreResult<()> {
        Ok(())
    }
    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::default()
    }
}

/// Servers elsewhere: documents by address, and what was asked.
#[derive(Default)]
pub struct Elsewhere {
    pub documents: Mutex<HashMap<String, (u16, Value)>>,
    pub asked: Mutex<Vec<String>>,
    /// Forms that came.
    pub forms: Mutex<Vec<Form>>,
}

/// Fields, and the name and password beside them in a header.
pub type Form = (HashMap<String, String>, Option<String>);

impl Elsewhere {
    pub fn put(&self, place: &str, document: Value) {
        self.answer(place, 200, document);
    }

    pub fn answer(&self, place: &str, status: u16, document: Value) {
        self.documents.lock().unwrap().insert(place.to_owned(), (status, document));
    }

    pub fn times(&self, place: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == place).count()
    }

    fn found(&self, url: &str, most: usize) -> Result<WebAnswer, WebError> {
        self.permits(url)?;
        self.asked.lock().unwrap().push(url.to_owned());
        let gone = || WebError::Unreachable { host: String::from("nowhere"), why: String::from("nobody listens") };
        let (status, document) = self.documents.lock().unwrap().get(url).cloned().ok_or_else(gone)?;
        let body = Bytes::from(document.to_string());
        assert!(body.len() <= most, "{url}");
        Ok(WebAnswer { status, body })
    }
}

#[async_trait]
impl Web for Elsewhere {
    fn permits(&self, url: &str) -> Result<(), WebError> {
        match url.starts_with("https://") && !url.contains("forbidden") {
            true => Ok(()),
            false => Err(WebError::Refused(format!("`{url}` may not be reached"))),
        }
    }

    async fn get(&self, url: &str, most: usize) -> Result<WebAnswer, WebError> {
        self.found(url, most)
    }

    async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        basic: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError> {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let basic = basic.map(|(name, password)| format!("{name}:{}", password.expose()));
        self.forms.lock().unwrap().push((fields, basic));
        self.found(url, most)
    }
}

/// A provider elsewhere.
pub struct Idp {
    pub issuer: String,
    pub keys: TokenKeys,
}

impl Idp {
    pub fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), keys: fresh_keys() }
    }

    pub fn place(&self, path: &str) -> String {
        format!("{}/{path}", self.issuer)
    }

    pub fn metadata(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": self.place("authorize"),
            "token_endpoint": self.place("token"),
            "jwks_uri": self.place("keys"),
            "authorization_response_iss_parameter_supported": true,
        })
    }

    /// Publishes its documents.
    pub fn publish(&self, elsewhere: &Elsewhere) {
        elsewhere.put(&self.place(".well-known/openid-configuration"), self.metadata());
        self.publish_keys(elsewhere);
    }

    pub fn publish_keys(&self, elsewhere: &Elsewhere) {
        let keys: Vec<_> = self.keys.public().into_iter().map(jwk).collect();
        elsewhere.put(&self.place("keys"), json!({ "keys": keys }));
    }
}

pub fn fresh_keys() -> TokenKeys {
    let (kid, document) = TokenKey::generate().unwrap();
    TokenKeys::new(vec![TokenKey::new(kid, document).unwrap()])
}

pub fn jwk(key: seal::PublicKey) -> Value {
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": key.kid, "x": key.x, "y": key.y})
}

/// What the provider answers to one sign-in; a test spoils what it wants to.
pub struct Answer {
    pub kind: String,
    pub claims: Value,
    pub state: String,
    pub issuer: Option<String>,
    pub error: Option<String>,
    pub cookie: Option<Secret<String>>,
    /// Whose callback is called.
    pub provider: Uuid,
    pub access_token: String,
    /// Signs in place of the provider.
    pub keys: Option<TokenKeys>,
    /// Changes the finished token.
    pub forge: Box<dyn Fn(String) -> String + Send>,
}

impl Answer {
    pub fn set(&mut self, claim: &str, value: Value) {
        self.claims[claim] = value;
    }

    pub fn remove(&mut self, claim: &str) {
        self.claims.as_object_mut().unwrap().remove(claim);
    }
}

/// What the question to the provider says, and what the browser keeps.
pub type Begun = (HashMap<String, String>, Secret<String>);

pub type Outcome = std::result::Result<SignedIn, FederationRefusal>;

/// The stand.
pub struct Stand {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    pub elsewhere: Arc<Elsewhere>,
    pub owner: Caller,
}

impl Stand {
    pub async fn new() -> Self {
        let (clock, elsewhere) = (Arc::new(TurnableClock::default()), Arc::new(Elsewhere::default()));
        let parts = Parts {
            meta: Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain))),
            blobs: Arc::new(store::blob::Memory::new()),
            root: Arc::new(Root),
            compute: Arc::new(NoTarget),
            web: elsewhere.clone(),
            clock: clock.clone(),
            settings: Settings { url: String::from("https://bartizan.test:8443"), ..Settings::default() },
            actions: Vec::new(),
        };
        let house = Arc::new(House::open(parts).await.unwrap());
        let found = FoundHouse {
            admin: String::from("admin"),
            password: Secret::new(String::from("correct horse battery")),
            charter: Charter::draw().unwrap(),
        };
        let founded = enter(&house, &Caller::house(), found).await.unwrap();
        let owner = Principal {
            id: founded.principal,
            tenant: founded.tenant,
            kind: PrincipalKind::ServicePrincipal,
            app: Some(founded.app),
            name: String::from("owner"),
            proof: Proof::default(),
        };
        let owner = Caller { who: Who::Principal(owner), source: Source::internal() };
        Self { house, clock, elsewhere, owner }
    }

    pub async fn ask<O: Op>(&self, op: O) -> Result<O::Output> {
        enter(&self.house, &self.owner, op).await
    }

    /// As a browser at 192.0.2.1.
    pub async fn browse<O: Op>(&self, op: O) -> O::Output {
        let source = Source { address: Some(IpAddr::from([192, 0, 2, 1])), ..Source::internal() };
        enter(&self.house, &Caller::nobody(source), op).await.unwrap()
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A provider that is known here.
    pub async fn known(&self, issuer: &str, form: ProviderForm) -> (Idp, IdentityProvider) {
        let idp = Idp::new(issuer);
        idp.publish(&self.elsewhere);
        let form = ProviderForm {
            name: Some(String::from("Corp")),
            client_id: Some(String::from("bartizan")),
            client_secret: Some(Secret::new(String::from("up/str+eam"))),
            ..form
        };
        let provider = self.ask(CreateIdentityProvider { issuer: issuer.to_owned(), form }).await.unwrap();
        (idp, provider)
    }

    /// One that makes users of whoever comes.
    pub async fn open_provider(&self) -> (Idp, IdentityProvider) {
        self.known("https://idp.example", ProviderForm { creates_users: Some(true), ..ProviderForm::default() }).await
    }

    pub async fn group(&self, name: &str) -> PrincipalId {
        let form = GroupForm { name: Some(name.to_owned()), ..GroupForm::default() };
        self.ask(CreateGroup { form }).await.unwrap().id
    }

    /// Sends a browser to the provider; what the question says, and what the browser keeps.
    pub async fn begin(&self, provider: Uuid) -> Begun {
        self.begin_as(provider, false).await
    }

    /// The same, where the person may be asked to prove themselves `again`.
    pub async fn begin_as(&self, provider: Uuid, again: bool) -> Begun {
        let (provider, return_to) = (provider.to_string(), Some(String::from("/device")));
        let op = BeginFederatedSignIn { provider, return_to, again };
        let begun = self.browse(op).await.unwrap();
        let (place, query) = begun.location.split_once('?').unwrap();
        let mut said: HashMap<String, String> = query.split('&').map(pair).collect();
        said.insert(String::from("place"), place.to_owned());
        (said, begun.cookie)
    }

    /// A whole sign-in of `ann` at the provider, spoiled by `spoil`.
    pub async fn sign_in(&self, idp: &Idp, provider: Uuid, spoil: impl FnOnce(&mut Answer)) -> Outcome {
        self.sign_in_for(idp, provider, spoil).await.0
    }

    /// The same, with the answer, to be given again.
    pub async fn sign_in_for(
        &self,
        idp: &Idp,
        provider: Uuid,
        spoil: impl FnOnce(&mut Answer),
    ) -> (Outcome, FinishFederatedSignIn) {
        self.finish(idp, provider, self.begin(provider).await, spoil).await
    }

    /// The rest of one that was begun.
    pub async fn finish(
        &self,
        idp: &Idp,
        provider: Uuid,
        (said, cookie): Begun,
        spoil: impl FnOnce(&mut Answer),
    ) -> (Outcome, FinishFederatedSignIn) {
        let now = self.house.now().seconds();
        let mut answer = Answer {
            kind: String::from("JWT"),
            claims: json!({
                "iss": idp.issuer, "sub": "ann-1", "aud": "bartizan", "nonce": said["nonce"],
                "iat": now, "exp": now + 300, "email": "ann@corp.example", "preferred_username": "ann", "name": "Ann Lee",
            }),
            state: said["state"].clone(),
            issuer: Some(idp.issuer.clone()),
            error: None,
            cookie: Some(cookie),
            provider,
            access_token: String::from("at"),
            keys: None,
            forge: Box::new(|token| token),
        };
        spoil(&mut answer);
        let keys = answer.keys.as_ref().unwrap_or(&idp.keys);
        let token = keys.sign(&answer.kind, &answer.claims).unwrap();
        let token = (answer.forge)(token.expose().clone());
        let given = json!({"id_token": token, "access_token": answer.access_token, "token_type": "Bearer"});
        self.elsewhere.put(&idp.place("token"), given);
        let finish = || FinishFederatedSignIn {
            provider: answer.provider.to_string(),
            cookie: answer.cookie.clone(),
            state: Some(answer.state.clone()),
            code: answer.error.is_none().then(|| Secret::new(String::from("code-1"))),
            issuer: answer.issuer.clone(),
            error: answer.error.clone(),
            agent: String::from("a test"),
        };
        let outcome = self.browse(finish()).await.map(|(signed, return_to)| {
            assert_eq!(return_to.as_deref(), Some("/device"));
            signed
        });
        (outcome, finish())
    }

    pub async fn session(&self, signed: &SignedIn) -> Option<SessionView> {
        self.browse(GetSession { session: signed.cookie.clone() }).await
    }

    /// Who has this session.
    pub async fn user(&self, signed: &SignedIn) -> (PrincipalId, String) {
        let name = self.session(signed).await.expect("the session is open").user_name;
        let state = self.house.identity.state();
        let member = state.members.values().find(|member| member.name == name).unwrap();
        (member.id, name)
    }

    /// The groups of a principal.
    pub fn groups(&self, member: PrincipalId) -> Vec<PrincipalId> {
        self.house.access().groups_of(member).to_vec()
    }

    pub async fn log(&self) -> Vec<Activity> {
        self.house.flush_reads().await.unwrap();
        let rows = self.house.log_page(1, 100_000).await.unwrap();
        rows.iter().map(|row| self.house.open_record(row).unwrap()).collect()
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap();
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    (name.to_owned(), String::from_utf8(bytes).unwrap())
}
