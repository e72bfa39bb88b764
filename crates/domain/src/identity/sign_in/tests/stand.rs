//! A founded house over memory, people in it, and a clock to turn.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{
    Action, Agreement, BlobStore, Caller, Capabilities, Class, ComputeDriver, KeyProvider, LaunchSpec, Launched,
    MetaStore, PrincipalId, PrincipalKind, ProcessState, ResourceId, Result, Sealed, Sealing, Secret, Source,
    StoreError, StoreResult, Timestamp,
};
use seal::PasswordHash;
use testkit::{ToySealing, TurnableClock};

use crate::{
    gate::{Activity, Changes, Cx, House, Op, Parts, Row, Settings, enter},
    identity::{
        Charter, FoundHouse, GetSession, Member, Method, NextStep, Person, SessionView, SignInRefusal,
        SignInWithPassword, SignedIn, Step,
        session::new_session,
        sign_in::{account_name, next_step},
    },
};

/// Everybody's password.
pub const PASSWORD: &str = "plum cairn obelisk";

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

/// The house.
pub struct Stand {
    pub house: Arc<House>,
    pub clock: Arc<TurnableClock>,
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    hash: PasswordHash,
}

async fn open(meta: &Arc<dyn MetaStore>, blobs: &Arc<dyn BlobStore>, clock: &Arc<TurnableClock>) -> Arc<House> {
    let parts = Parts {
        meta: Arc::clone(meta),
        blobs: Arc::clone(blobs),
        root: Arc::new(Root),
        compute: Arc::new(NoTarget),
        web: Arc::new(kernel::NoWeb),
        clock: clock.clone(),
        settings: Settings { url: String::from("https://bartizan.test:8443"), ..Settings::default() },
        actions: Vec::new(),
    };
    Arc::new(House::open(parts).await.unwrap())
}

impl Stand {
    pub async fn new() -> Self {
        let meta: Arc<dyn MetaStore> = Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain)));
        let blobs: Arc<dyn BlobStore> = Arc::new(store::blob::Memory::new());
        let clock = Arc::new(TurnableClock::default());
        let house = open(&meta, &blobs, &clock).await;
        let password = Secret::new(PASSWORD.to_owned());
        let charter = Charter::draw().unwrap();
        let found = FoundHouse { admin: String::from("admin"), password: password.clone(), charter };
        enter(&house, &Caller::house(), found).await.unwrap();
        Self { house, clock, meta, blobs, hash: PasswordHash::new(&password).unwrap() }
    }

    /// The same stores under a new server.
    pub async fn restart(&mut self) {
        self.house = open(&self.meta, &self.blobs, &self.clock).await;
    }

    pub fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A person with that password; what else they are is said by `change`.
    pub async fn person(&self, name: &str, change: impl FnOnce(&mut Member, &mut Person)) -> PrincipalId {
        let id = PrincipalId::random();
        let mut member = Member {
            id,
            kind: PrincipalKind::User,
            name: name.to_owned(),
            app: None,
            is_disabled: false,
            created_at: self.clock_now(),
            valid_from: Timestamp(0),
            managed_by: None,
        };
        let mut person = Person {
            principal: id,
            user_name: account_name(name),
            password: Some(self.hash.clone()),
            display_name: String::from("Ada Lovelace"),
            must_change: false,
            needs_mfa: false,
            password_set_at: None,
        };
        change(&mut member, &mut person);
        enter(&self.house, &Caller::house(), Put { member, person }).await.unwrap();
        id
    }

    /// Changes somebody.
    pub async fn change(&self, name: &str, change: impl FnOnce(&mut Member, &mut Person)) {
        let system = self.house.system();
        let id = system.name_id::<Person>(&account_name(name));
        let mut person = self.house.peek::<Person>(system, &id).await.unwrap().unwrap().value;
        let mut member = self.house.identity.member(person.principal).unwrap();
        change(&mut member, &mut person);
        enter(&self.house, &Caller::house(), Put { member, person }).await.unwrap();
    }

    fn clock_now(&self) -> Timestamp {
        self.house.now()
    }

    /// Asks as a browser at 192.0.2.1.
    pub async fn ask<O: Op>(&self, op: O) -> O::Output {
        self.ask_from(1, op).await.unwrap()
    }

    pub async fn ask_from<O: Op>(&self, last: u8, op: O) -> Result<O::Output> {
        let source = Source { address: Some(IpAddr::from([192, 0, 2, last])), ..Source::internal() };
        enter(&self.house, &Caller::nobody(source), op).await
    }

    /// One guess from an address of its own.
    pub async fn guess(&self, name: &str, password: &str) -> Step<SignedIn> {
        let [last] = seal::random().unwrap();
        self.ask_from(last, with_password(name, password)).await.unwrap()
    }

    pub async fn sign_in(&self, name: &str) -> SignedIn {
        self.ask(with_password(name, PASSWORD)).await.unwrap()
    }

    pub async fn view(&self, session: &Secret<String>) -> Option<SessionView> {
        self.ask(GetSession { session: session.clone() }).await
    }

    /// What a session lacks; none when it is not open.
    pub async fn next(&self, session: &Secret<String>) -> Option<NextStep> {
        self.view(session).await.map(|view| view.next)
    }

    /// A session that began by something else than a password.
    pub async fn start(&self, principal: PrincipalId, method: Method) -> SignedIn {
        self.ask(Start { principal, method }).await
    }

    /// The activity log from its beginning.
    pub async fn log(&self) -> Vec<Activity> {
        self.house.flush_reads().await.unwrap();
        let rows = self.house.log_page(1, 100_000).await.unwrap();
        rows.iter().map(|row| self.house.open_record(row).unwrap()).collect()
    }

    /// The records that were added since it had `before`.
    pub async fn log_since(&self, before: usize) -> Vec<Activity> {
        self.log().await.split_off(before)
    }
}

pub fn with_password(name: &str, password: &str) -> SignInWithPassword {
    SignInWithPassword {
        user_name: name.to_owned(),
        password: Secret::new(password.to_owned()),
        agent: String::from("a test"),
    }
}

/// How long a refusal says to wait; none when it is not for that.
pub fn throttled<T>(step: &Step<T>) -> Option<u64> {
    match step {
        Err(SignInRefusal::Throttled { seconds }) => Some(*seconds),
        _ => None,
    }
}

struct Put {
    member: Member,
    person: Person,
}

#[async_trait]
impl Op for Put {
    const ACTION: Action = Action::new("Test/people/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let system = cx.system();
        let (id, row) = (*self.member.id.as_bytes(), system.name_id::<Person>(&self.person.user_name));
        let member_version = cx.get::<Member>(system, &id).await?.map_or(0, |row| row.version);
        let person_version = cx.get::<Person>(system, &row).await?.map_or(0, |row| row.version);
        let mut changes = Changes::new();
        changes.put(system, &Row { id: id.to_vec(), version: member_version, value: self.member })?;
        changes.put(system, &Row { id: row, version: person_version, value: self.person })?;
        cx.commit(changes).await
    }
}

struct Start {
    principal: PrincipalId,
    method: Method,
}

#[async_trait]
impl Op for Start {
    const ACTION: Action = Action::public("Test/sessions/write", Class::Control);
    type Output = SignedIn;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignedIn> {
        let (row, cookie) = new_session(cx, self.principal, self.method, "a test")?;
        let next = next_step(cx, &row.value).await?;
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(SignedIn { cookie, next })
    }
}
