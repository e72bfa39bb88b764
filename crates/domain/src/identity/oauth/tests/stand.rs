//! What the scenarios stand on: a house, its admin in a browser, and an application.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{
    Agreement, Caller, Capabilities, ComputeDriver, KeyProvider, LaunchSpec, Launched, ProcessState, ResourceId,
    Result, Sealed, Sealing, Secret, Source, StoreError, StoreResult,
};
use seal::Sha256;
use testkit::{ToySealing, TurnableClock};

use crate::{
    gate::{Changes, Cx, House, Op, Parts, Row, Settings, enter},
    identity::{
        Application, Authorize, AuthorizeOutcome, AuthorizeRequest, COMMAND_LINE_CLIENT, Charter, ClientClaim,
        ClientProof, FoundHouse, RedeemCode, SignInWithPassword, TokenRefusal, TokenSet,
    },
};

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const REDIRECT: &str = "http://localhost:8400";
pub const SCOPE: &str = "https://management.azure.com/.default openid profile offline_access";

struct Nothing;

#[async_trait]
impl ComputeDriver for Nothing {
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

pub struct Stand {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    pub founded: Charter,
    /// The admin's browser.
    pub cookie: Secret<String>,
}

async fn sign_in(house: &House, user_name: String, password: Secret<String>) -> Secret<String> {
    let op = SignInWithPassword { user_name, password, agent: String::from("test") };
    enter(house, &at(1), op).await.unwrap().unwrap().cookie
}

/// Somebody at an address.
pub fn at(last: u8) -> Caller {
    Caller::nobody(Source { address: Some(IpAddr::from([192, 0, 2, last])), ..Source::internal() })
}

/// Bartizan's command line.
pub fn public() -> ClientClaim {
    ClientClaim { tenant: String::from("common"), id: COMMAND_LINE_CLIENT.to_string(), proof: ClientProof::None }
}

impl Stand {
    pub async fn new() -> Self {
        Self::with(Arc::new(kernel::NoWeb)).await
    }

    /// With these servers elsewhere.
    pub async fn with(web: Arc<dyn kernel::Web>) -> Self {
        Self::over(Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain))), web).await
    }

    /// Over this store.
    pub async fn over(meta: Arc<dyn kernel::MetaStore>, web: Arc<dyn kernel::Web>) -> Self {
        let clock = Arc::new(TurnableClock::default());
        let parts = Parts {
            meta,
            blobs: Arc::new(store::blob::Memory::new()),
            root: Arc::new(Root),
            compute: Arc::new(Nothing),
            web,
            clock: clock.clone(),
            settings: Settings::default(),
            actions: Vec::new(),
        };
        let house = Arc::new(House::open(parts).await.unwrap());
        let (admin, password) = (String::from("admin"), Secret::new(String::from("correct horse battery")));
        let found = FoundHouse { admin: admin.clone(), password: password.clone(), charter: Charter::draw().unwrap() };
        let founded = enter(&house, &Caller::house(), found).await.unwrap();
        let cookie = sign_in(&house, admin, password).await;
        Self { house, clock, founded, cookie }
    }

    /// Another browser of the admin's.
    pub async fn sign_in_again(&self) -> Secret<String> {
        sign_in(&self.house, String::from("admin"), Secret::new(String::from("correct horse battery"))).await
    }

    pub async fn ask<O: Op>(&self, op: O) -> Result<O::Output> {
        enter(&self.house, &at(1), op).await
    }

    pub fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Goes through the authorization endpoint, by way of the sign-in page; gives the code.
    pub async fn code(&self) -> Secret<String> {
        self.code_for(&COMMAND_LINE_CLIENT.to_string()).await
    }

    /// The same, for this application.
    pub async fn code_for(&self, client: &str) -> Secret<String> {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::of(VERIFIER.as_bytes()));
        let asked = [
            ("client_id", client.to_owned()),
            ("response_type", String::from("code")),
            ("redirect_uri", String::from(REDIRECT)),
            ("scope", String::from(SCOPE)),
            ("code_challenge", challenge),
            ("code_challenge_method", String::from("S256")),
        ];
        let mut pairs: Vec<(String, String)> =
            asked.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        loop {
            let query = AuthorizeRequest::new(pairs.clone());
            let (session, browser) = (Some(self.cookie.clone()), Secret::new(String::from("browser")));
            let op = Authorize { tenant: String::from("common"), query, session, browser };
            match self.ask(op).await.unwrap() {
                AuthorizeOutcome::Answer { parameters, .. } => {
                    let parameters: BTreeMap<_, _> = parameters.into_iter().collect();
                    return Secret::new(parameters["code"].clone());
                }
                AuthorizeOutcome::SignIn { ticket, again: false, .. } => {
                    assert!(pairs.iter().all(|(name, _)| name != AuthorizeRequest::TICKET), "asked twice");
                    pairs.push((AuthorizeRequest::TICKET.to_owned(), ticket.expose().clone()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn redeem(&self, code: &Secret<String>) -> RedeemCode {
        RedeemCode {
            client: public(),
            code: code.clone(),
            verifier: Some(Secret::new(String::from(VERIFIER))),
            redirect_uri: String::from(REDIRECT),
            scope: String::new(),
            claims: None,
        }
    }

    /// A set of tokens for the admin.
    pub async fn tokens(&self) -> TokenSet {
        let code = self.code().await;
        self.ask(self.redeem(&code)).await.unwrap().unwrap()
    }

    /// Whether a bearer token is somebody's.
    pub async fn is_known(&self, token: &Secret<String>) -> bool {
        crate::identity::identify(&self.house, token.expose(), Source::internal()).await.is_ok()
    }

    /// Writes an application down, as the directory would.
    pub async fn change_application(&self, change: impl FnOnce(&mut Application) + Send) {
        struct Write<F>(kernel::AppId, F);
        #[async_trait]
        impl<F: FnOnce(&mut Application) + Send> Op for Write<F> {
            const ACTION: kernel::Action = kernel::Action::new("Test/write", kernel::Class::Control);
            type Output = ();
            fn scope(&self) -> ResourceId {
                ResourceId::root()
            }
            async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
                let mut row: Row<Application> = cx.get(cx.system(), self.0.as_bytes()).await?.unwrap();
                (self.1)(&mut row.value);
                let mut changes = Changes::new();
                changes.put(cx.system(), &row)?;
                cx.commit(changes).await
            }
        }
        enter(&self.house, &Caller::house(), Write(self.founded.app, change)).await.unwrap();
    }
}

/// What was refused.
pub fn refusal<T>(answer: Result<std::result::Result<T, TokenRefusal>>) -> TokenRefusal {
    match answer.unwrap() {
        Err(why) => why,
        Ok(_) => panic!("granted"),
    }
}
