//! Opening a workspace without its customer's key, by two people who were named before (requirement X-14).

use std::{sync::Arc, time::Duration};

use domain::{
    access::CONTRIBUTOR,
    customer_keys::{ApproveOpening, AskOpening, AskedOpening, GetBreakGlass, Opening, look_at_keys},
    gate::{House, Op, Parts, enter},
};
use kernel::{BlobStore, Caller, Error, Kind, MetaStore, Principal, PrincipalId, PrincipalKind, Proof, Secret, Source};
use outbound::Method;
use seal::{EncryptionAlgorithm, Sha256Chain, VaultCiphertext, VaultKey, VaultKeyShape};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bank, Customer};
use crate::house::{MemoryRoot, TestHouse};

/// A locked workspace's custodians: ann, ben and cas. Their private keys are here, and nowhere at the server.
struct Vigil {
    customer: Customer,
    key: String,
    people: Vec<(PrincipalId, VaultKey)>,
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
}

const NAMES: [&str; 3] = ["ann", "ben", "cas"];
const REQUEST_LIVES: Duration = Duration::from_secs(15 * 60);

fn strong() -> Proof {
    Proof { contexts: vec![String::from("c1")], ..Proof::default() }
}

fn code(fault: &Error) -> &str {
    fault.code().unwrap_or_default()
}

impl Vigil {
    async fn new() -> Self {
        let meta: Arc<dyn MetaStore> = Arc::new(store::meta::Memory::new(Arc::new(Sha256Chain)));
        let blobs: Arc<dyn BlobStore> = Arc::new(store::blob::Memory::new());
        let bank = Bank::at(TestHouse::over(meta.clone(), blobs.clone()).await).await;
        let customer = Customer::over(bank).await;
        let key = customer.rsa("k1").await;
        let (status, made) = customer.make(&customer.maker, Some(&customer.vault), Some(&key)).await;
        assert_eq!(status, 201, "{made}");
        customer.keep_something().await;
        let mut people = Vec::new();
        for name in NAMES {
            let new = json!({"userPrincipalName": format!("{name}@example.com"), "displayName": name, "accountEnabled": true,
                "passwordProfile": {"password": "gravel teapot misnomer", "forceChangePasswordNextSignIn": false}});
            let owner = customer.bank.test.owner_again().await;
            let (status, made) =
                customer.bank.test.ask(Some(&owner), Method::POST, "/graph/v1.0/users", Some(&new)).await;
            assert_eq!(status, 201, "{made}");
            let id = made["id"].as_str().unwrap();
            assert_eq!(customer.bank.assign(id, CONTRIBUTOR, &customer.bank.test.group()).await, 201);
            people.push((id.parse().unwrap(), VaultKey::generate(VaultKeyShape::Rsa(2048)).unwrap()));
        }
        Self { customer, key, people, meta, blobs }
    }

    fn house(&self) -> &House {
        &self.customer.bank.test.house
    }

    fn caller(&self, who: usize, proof: Proof) -> Caller {
        let (tenant, kind) = (self.house().tenant().unwrap(), PrincipalKind::User);
        let principal =
            Principal { id: self.people[who].0, tenant, kind, app: None, name: String::from(NAMES[who]), proof };
        Caller { who: kernel::Who::Principal(principal), source: Source::internal() }
    }

    fn terms(&self, minutes: u32) -> Value {
        let one = |(id, key): &(PrincipalId, VaultKey)| json!({"principalId": id, "publicKey": key.public()});
        json!({"custodians": self.people.iter().map(one).collect::<Vec<_>>(), "longestMinutes": minutes})
    }

    async fn put(&self, body: &Value) -> (u16, Value) {
        let maker = Customer::maker(&self.customer.bank).await;
        let place = format!("{}/encryption/breakGlass", self.customer.workspace());
        self.customer.bank.test.ask(Some(&maker), Method::PUT, &place, Some(body)).await
    }

    async fn enable(&self) {
        let (status, answer) = self.put(&self.terms(60)).await;
        assert_eq!((status, &answer["state"]), (200, &json!("Enabled")), "{answer}");
    }

    async fn state(&self) -> Value {
        let (status, answer) = self.customer.ask(Method::GET, "/encryption/breakGlass", None).await;
        assert_eq!(status, 200, "{answer}");
        answer["state"].clone()
    }

    async fn lock(&self) {
        self.customer.set_enabled(&self.key, false).await;
        look_at_keys(self.house()).await;
        assert_eq!(self.customer.reach().await.0, 403);
    }

    async fn enter<O: Op>(&self, who: usize, op: O) -> Result<O::Output, Error> {
        enter(self.house(), &self.caller(who, strong()), op).await
    }

    /// A custodian's share, unwrapped where their private key is.
    async fn share(&self, who: usize) -> Secret<Vec<u8>> {
        let op = GetBreakGlass { workspace: self.customer.workspace().parse().unwrap() };
        let value = self.enter(who, op).await.unwrap().wrapped_share.expect("a custodian has a share");
        let sealed = VaultCiphertext { value, ..VaultCiphertext::default() };
        self.people[who].1.decrypt(EncryptionAlgorithm::RsaOaep256, &sealed, &[]).unwrap()
    }

    fn asking(&self, share: &Secret<Vec<u8>>, minutes: u32) -> AskOpening {
        let share = Secret::new(share.expose().clone());
        let reason = String::from("the holder is on a mountain");
        AskOpening { workspace: self.customer.workspace().parse().unwrap(), share, minutes, reason }
    }

    async fn ask(&self, who: usize, minutes: u32) -> Result<AskedOpening, Error> {
        let share = self.share(who).await;
        self.enter(who, self.asking(&share, minutes)).await
    }

    async fn approve_with(&self, who: usize, request: Uuid, share: &Secret<Vec<u8>>) -> Result<Opening, Error> {
        let share = Secret::new(share.expose().clone());
        self.enter(who, ApproveOpening { workspace: self.customer.workspace().parse().unwrap(), request, share }).await
    }

    async fn approve(&self, who: usize, request: Uuid) -> Result<Opening, Error> {
        let share = self.share(who).await;
        self.approve_with(who, request, &share).await
    }

    /// Locked, and opened by ann and ben for half an hour.
    async fn opened() -> Self {
        let vigil = Self::new().await;
        vigil.enable().await;
        vigil.lock().await;
        let asked = vigil.ask(0, 30).await.unwrap();
        vigil.approve(1, asked.name).await.unwrap();
        assert_eq!(vigil.customer.reach().await.0, 200);
        vigil
    }

    /// All records of the log whose action names break-glass.
    async fn records(&self) -> Vec<Value> {
        let owner = self.customer.bank.test.owner_again().await;
        let place = format!(
            "{}/providers/Microsoft.Insights/eventtypes/management/values",
            self.customer.bank.test.subscription()
        );
        let (_, answer) = self.customer.bank.test.ask(Some(&owner), Method::GET, &place, None).await;
        let all = answer["value"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        all.into_iter().filter(|one| one.to_string().contains("breakGlass")).collect()
    }

    async fn end(self) {
        self.customer.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_two_custodians_open_a_locked_workspace_for_a_time_and_everybody_sees_it() {
    let vigil = Vigil::new().await;
    assert_eq!(vigil.state().await, "Disabled");
    vigil.enable().await;
    // While the customer's key opens it, there is nothing to break.
    let early = vigil.ask(0, 30).await.unwrap_err();
    assert_eq!((early.kind(), code(&early)), (Kind::Conflict, "WorkspaceNotLocked"));
    vigil.lock().await;

    // One alone: asking opens nothing, and nobody is their own second.
    let asked = vigil.ask(0, 30).await.unwrap();
    assert_eq!((vigil.customer.reach().await.0, vigil.state().await), (403, json!("Requested")));
    let own = vigil.approve(0, asked.name).await.unwrap_err();
    assert_eq!((own.kind(), code(&own)), (Kind::Denied, "SelfApproval"));
    // With another's share, without a second factor, as nobody who was named.
    let [anns, bens] = [vigil.share(0).await, vigil.share(1).await];
    let wrong = vigil.approve_with(1, asked.name, &anns).await.unwrap_err();
    assert_eq!((wrong.kind(), code(&wrong)), (Kind::Invalid, "BreakGlassShareInvalid"));
    let weak = enter(vigil.house(), &vigil.caller(1, Proof::default()), vigil.asking(&bens, 30)).await.unwrap_err();
    assert_eq!((weak.kind(), weak.challenge().is_some()), (Kind::Unauthenticated, true));
    let owner = vigil.customer.bank.test.owner_again().await;
    let place = format!("{}/encryption/breakGlass/approve", vigil.customer.workspace());
    let body = json!({"request": asked.name, "share": "A".repeat(43) + "="});
    let (status, answer) = vigil.customer.bank.test.ask(Some(&owner), Method::POST, &place, Some(&body)).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("NotACustodian")), "{answer}");
    assert_eq!(vigil.customer.reach().await.0, 403);

    let opening = vigil.approve_with(1, asked.name, &bens).await.unwrap();
    assert_eq!((opening.asked_by.name.as_str(), opening.approved_by.name.as_str()), ("ann", "ben"));
    assert_eq!(vigil.customer.reach().await.0, 200);
    // Everybody who sees the workspace sees it.
    let (_, shown) = vigil.customer.ask(Method::GET, "", None).await;
    let banner = &shown["properties"]["breakGlass"];
    assert_eq!(banner["until"], json!(opening.until.rfc3339()), "{shown}");
    assert!(banner["requestedBy"].as_str().unwrap().starts_with("ann ("), "{banner}");
    let (_, shown) = vigil.customer.ask(Method::GET, "/encryption", None).await;
    assert_eq!(shown["state"], "OpenedByBreakGlass", "{shown}");
    // What becomes of the customer's key is nothing to it; but it makes no other key, and no lasting one.
    look_at_keys(vigil.house()).await;
    assert_eq!(vigil.customer.reach().await.0, 200);
    let other = vigil.customer.rsa("k2").await;
    assert_eq!(vigil.customer.change_key(&other).await.0, 403);
    assert_eq!(vigil.put(&vigil.terms(1440)).await.0, 403);

    vigil.customer.bank.test.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(vigil.customer.reach().await.0, 403, "it ends by itself, whether anybody looks or not");
    look_at_keys(vigil.house()).await;
    assert_eq!(vigil.state().await, "Enabled");
    let records = vigil.records().await;
    let both = |one: &&Value| {
        let text = one.to_string();
        vigil.people[..2].iter().all(|(id, _)| text.contains(&id.to_string()))
    };
    assert!(records.iter().filter(both).count() >= 2, "opened, and ended by its time: {records:#?}");
    // And again, when the customer's key is back.
    vigil.customer.set_enabled(&vigil.key, true).await;
    vigil.customer.bank.test.clock.advance(Duration::from_secs(6));
    assert_eq!(vigil.customer.reach().await.0, 200);
    vigil.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_what_was_not_agreed_to_by_the_holder_of_the_key_is_opened_by_nobody() {
    let vigil = Vigil::new().await;
    let terms = vigil.terms(60);
    // Who has no rights on the key does not agree in its holder's place.
    let contributor = vigil.customer.bank.callers.token(crate::house::Who::Contributor).unwrap();
    let place = format!("{}/encryption/breakGlass", vigil.customer.workspace());
    let (status, answer) = vigil.customer.bank.test.ask(Some(contributor), Method::PUT, &place, Some(&terms)).await;
    assert_eq!(status, 403, "{answer}");
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut body = terms.clone();
        edit(&mut body);
        body
    };
    for wrong in [
        with(&|body| body["custodians"] = json!([body["custodians"][0]])),
        with(&|body| body["custodians"][1]["principalId"] = body["custodians"][0]["principalId"].clone()),
        with(&|body| body["custodians"][1]["publicKey"] = body["custodians"][0]["publicKey"].clone()),
        with(&|body| body["custodians"][1]["publicKey"]["e"] = json!("AQ")),
        with(&|body| body["custodians"][1]["publicKey"]["n"] = json!("AQAB")),
        with(&|body| body["custodians"][1]["principalId"] = json!(Uuid::new_v4())),
        with(&|body| body["longestMinutes"] = json!(1441)),
        with(&|body| body["longestMinutes"] = json!(4)),
    ] {
        let (status, answer) = vigil.put(&wrong).await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
    vigil.lock().await;
    // Nobody can be named any more, and nobody was.
    assert_eq!(vigil.put(&terms).await.0, 403);
    let share = seal::new_sealing_key().unwrap();
    let refused = vigil.enter(0, vigil.asking(&share, 30)).await.unwrap_err();
    assert_eq!((refused.kind(), code(&refused)), (Kind::Conflict, "BreakGlassNotEnabled"));
    vigil.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_a_request_ends_and_shares_end_with_what_they_were_made_for() {
    let vigil = Vigil::new().await;
    vigil.enable().await;
    let old = [vigil.share(0).await, vigil.share(1).await];
    // Named anew, the shares from before are nothing.
    vigil.enable().await;
    vigil.lock().await;
    let stale = vigil.enter(0, vigil.asking(&old[0], 30)).await.unwrap_err();
    assert_eq!((stale.kind(), code(&stale)), (Kind::Invalid, "BreakGlassShareInvalid"));
    assert_eq!(vigil.ask(0, 61).await.unwrap_err().kind(), Kind::Invalid, "longer than was agreed to");

    let asked = vigil.ask(0, 30).await.unwrap();
    let second = vigil.ask(2, 30).await.unwrap_err();
    assert_eq!((second.kind(), code(&second)), (Kind::Conflict, "BreakGlassRequested"));
    assert_eq!(vigil.approve_with(1, asked.name, &old[1]).await.unwrap_err().kind(), Kind::Invalid);
    vigil.customer.bank.test.clock.advance(REQUEST_LIVES);
    let late = vigil.approve(1, asked.name).await.unwrap_err();
    // Whoever sweeps may have been there first.
    let is_over = late.kind() == Kind::NotFound || code(&late) == "BreakGlassRequestExpired";
    assert!(is_over, "{late:?}");
    assert_eq!(vigil.customer.reach().await.0, 403);

    // Whoever asked and may not sign in any more does not count.
    let asked = vigil.ask(2, 30).await.unwrap();
    let owner = vigil.customer.bank.test.owner_again().await;
    let place = format!("/graph/v1.0/users/{}", vigil.people[2].0);
    let off = json!({"accountEnabled": false});
    assert_eq!(vigil.customer.bank.test.ask(Some(&owner), Method::PATCH, &place, Some(&off)).await.0, 204);
    assert_eq!(vigil.approve(1, asked.name).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(vigil.customer.reach().await.0, 403);
    vigil.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_it_ends_at_once_on_command_and_for_good_when_it_is_taken_back() {
    let vigil = Vigil::opened().await;
    assert_eq!(vigil.customer.ask(Method::POST, "/encryption/breakGlass/close", None).await.0, 204);
    assert_eq!(vigil.customer.reach().await.0, 403);
    let asked = vigil.ask(1, 5).await.unwrap();
    vigil.approve(2, asked.name).await.unwrap();
    assert_eq!(vigil.customer.reach().await.0, 200);
    let shares = [vigil.share(0).await, vigil.share(1).await];
    // Taking it back needs no key: what it takes away is more than it can give.
    assert_eq!(vigil.customer.ask(Method::DELETE, "/encryption/breakGlass", None).await.0, 204);
    assert_eq!((vigil.customer.reach().await.0, vigil.state().await), (403, json!("Disabled")));
    let gone = vigil.enter(0, vigil.asking(&shares[0], 5)).await.unwrap_err();
    assert_eq!(code(&gone), "BreakGlassNotEnabled");
    assert_eq!(
        vigil.customer.ask(Method::DELETE, "/encryption/breakGlass", None).await.0,
        204,
        "said again it is the same"
    );
    vigil.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_nothing_is_opened_after_an_erasure_and_an_opening_ends_with_it() {
    let vigil = Vigil::opened().await;
    let shares = [vigil.share(0).await, vigil.share(1).await];
    assert_eq!(vigil.customer.ask(Method::DELETE, "?forceToPurge=true", None).await.0, 200);
    assert_eq!(vigil.customer.reach().await.0, 404);
    let gone = vigil.enter(0, vigil.asking(&shares[0], 5)).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound, "{gone}");
    assert_eq!(vigil.approve_with(1, Uuid::new_v4(), &shares[1]).await.unwrap_err().kind(), Kind::NotFound);
    vigil.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x14_another_key_s_holder_has_not_agreed_and_another_version_s_has() {
    let vigil = Vigil::new().await;
    vigil.enable().await;
    let version = vigil.customer.rsa("k1").await;
    assert_eq!(vigil.customer.change_key(&version).await.0, 200);
    assert_eq!(vigil.state().await, "Enabled");
    // The shares are prepared anew, and open what is there now.
    vigil.customer.set_enabled(&version, false).await;
    look_at_keys(vigil.house()).await;
    let asked = vigil.ask(0, 5).await.unwrap();
    vigil.approve(1, asked.name).await.unwrap();
    assert_eq!(vigil.customer.reach().await.0, 200);
    vigil.customer.set_enabled(&version, true).await;
    let other = vigil.customer.rsa("k2").await;
    assert_eq!(vigil.customer.change_key(&other).await.0, 200);
    assert_eq!(vigil.state().await, "Disabled");
    assert_eq!(vigil.customer.reach().await.0, 200);
    vigil.end().await;
}

/// What a restart and a restored backup have in common: the stores, and nothing of what was in memory.
#[tokio::test(flavor = "multi_thread")]
async fn x14_an_opening_does_not_come_back_with_the_stores() {
    let vigil = Vigil::opened().await;
    let test = &vigil.customer.bank.test;
    let parts = Parts {
        meta: vigil.meta.clone(),
        blobs: vigil.blobs.clone(),
        root: Arc::new(MemoryRoot::default()),
        compute: test.computer.clone(),
        web: test.elsewhere.clone(),
        clock: test.clock.clone(),
        settings: test.house.settings().clone(),
        actions: http_faces::faces::doors().list().iter().map(|door| door.action).collect(),
    };
    let again = House::open(parts).await.unwrap();
    let op = GetBreakGlass { workspace: vigil.customer.workspace().parse().unwrap() };
    let found = enter(&again, &vigil.caller(0, strong()), op).await.unwrap();
    assert!(found.state.opening.is_none() && found.state.asked.is_none() && found.terms.is_some());
    let data = format!("{}/datastores/x", vigil.customer.workspace()).parse().unwrap();
    let op = domain::resources::GetResource::<domain::resources::Datastore>::new(data);
    let refused = enter(&again, &Caller::house(), op).await.unwrap_err();
    assert_eq!(code(&refused), "CustomerManagedKeyUnavailable", "{refused}");
    assert_eq!(vigil.customer.reach().await.0, 200, "here it is open still");
    vigil.end().await;
}
