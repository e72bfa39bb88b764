//! What a provider's word is worth where a fresh proof is asked for.

use kernel::Secret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::stand::{Answer, Idp, Outcome, Stand};
use crate::identity::{
    Authorize, AuthorizeOutcome, AuthorizeRequest, BeginTotpEnrolment, COMMAND_LINE_CLIENT, FederationRefusal,
    FinishTotpEnrolment, NextStep, ProveTotp, ProviderForm, RemoveTotp, Session, SignInRefusal, SignedIn, TotpSecret,
    UpdateIdentityProvider,
};

const LOOPBACK: &str = "http://localhost:8400";

/// Says in its token when the person proved themselves.
fn proved_at(at: i64) -> impl FnOnce(&mut Answer) {
    move |answer| answer.set("auth_time", json!(at))
}

/// What came of an authorization request.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Code,
    ToSignIn { again: bool, ticket: String },
}

impl Came {
    fn ticket(&self) -> &str {
        match self {
            Self::ToSignIn { ticket, .. } => ticket,
            Self::Code => panic!("a code"),
        }
    }

    fn is_again(&self) -> bool {
        matches!(self, Self::ToSignIn { again: true, .. })
    }
}

impl Stand {
    /// A sign-in in which the person is asked to prove themselves again.
    async fn sign_in_again(&self, idp: &Idp, provider: Uuid, spoil: impl FnOnce(&mut Answer)) -> Outcome {
        self.finish(idp, provider, self.begin_as(provider, true).await, spoil).await.0
    }

    /// The command line asks for a code.
    async fn authorize(&self, signed: &SignedIn, other: &[(&str, &str)]) -> Came {
        let client_id = COMMAND_LINE_CLIENT.to_string();
        let asked = [
            ("client_id", client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", LOOPBACK),
            ("scope", "https://management.azure.com/.default"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let pairs = asked.iter().chain(other).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let (query, tenant) = (AuthorizeRequest::new(pairs.collect()), String::from("common"));
        let (session, browser) = (Some(signed.cookie.clone()), Secret::new(String::from("browser")));
        match self.browse(Authorize { tenant, query, session, browser }).await {
            AuthorizeOutcome::Answer { .. } => Came::Code,
            AuthorizeOutcome::SignIn { again, ticket, .. } => Came::ToSignIn { again, ticket: ticket.expose().clone() },
            other => panic!("{other:?}"),
        }
    }

    async fn begin_totp(&self, signed: &SignedIn) -> Result<TotpSecret, SignInRefusal> {
        self.browse(BeginTotpEnrolment { session: signed.cookie.clone() }).await
    }
}

#[tokio::test]
async fn who_is_to_prove_themselves_again_is_asked_at_the_provider() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (plain, _) = stand.begin(provider.id).await;
    assert!(!plain.contains_key("prompt") && !plain.contains_key("max_age"));
    let (said, _) = stand.begin_as(provider.id, true).await;
    assert_eq!((said["prompt"].as_str(), said["max_age"].as_str()), ("login", "0"));

    let now = stand.house.now().seconds();
    let silent = [None, Some(json!(now - 61)), Some(json!(now - 3600)), Some(json!(0)), Some(json!("now"))];
    for said in silent {
        let outcome = stand.sign_in_again(&idp, provider.id, |answer| {
            if let Some(said) = said.clone() {
                answer.set("auth_time", said);
            }
        });
        assert_eq!(outcome.await.unwrap_err(), FederationRefusal::NotAgain, "{said:?}");
        let record = stand.log().await.pop().unwrap();
        let reason = "the provider does not say that the person proved themselves again";
        assert_eq!(record.detail["reason"], reason, "{said:?}");
    }
    for said in [now - 60, now, now + 3600] {
        stand.sign_in_again(&idp, provider.id, proved_at(said)).await.unwrap();
    }
}

#[tokio::test]
async fn an_application_that_wants_a_fresh_proof_gets_one() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (login, aged, now) = ([("prompt", "login")], [("max_age", "600")], stand.house.now().seconds());
    let long_ago = now - 3600;
    let undated = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let old = stand.sign_in(&idp, provider.id, proved_at(long_ago)).await.unwrap();
    let recent = stand.sign_in(&idp, provider.id, proved_at(now - 300)).await.unwrap();
    let far = [("max_age", "9000000000")];
    assert!(stand.authorize(&undated, &far).await.is_again(), "nobody knows how old it is");
    for asked in [&login[..], &aged[..]] {
        for (name, session) in [("undated", &undated), ("old", &old)] {
            let sent = stand.authorize(session, asked).await;
            assert!(sent.is_again(), "{name}, {asked:?}");
            // Whoever leaves out the word for it in the link comes back with a session that is no better.
            stand.pass(1);
            let both = [asked, &[(AuthorizeRequest::TICKET, sent.ticket())][..]].concat();
            let silently = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
            assert!(stand.authorize(&silently, &both).await.is_again(), "{name}, {asked:?}");
            let silently = stand.sign_in(&idp, provider.id, proved_at(long_ago)).await.unwrap();
            assert!(stand.authorize(&silently, &both).await.is_again(), "{name}, {asked:?}");
            let anew = proved_at(stand.house.now().seconds());
            let anew = stand.sign_in_again(&idp, provider.id, anew).await.unwrap();
            assert_eq!(stand.authorize(&anew, &both).await, Came::Code, "{name}, {asked:?}");
        }
    }
    assert!(!stand.authorize(&recent, &aged).await.is_again(), "young enough; only shown who asks");
}

#[tokio::test]
async fn who_comes_back_from_a_provider_that_asked_nothing_is_not_sent_there_twice() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let before = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    stand.pass(1);
    let sent = stand.authorize(&before, &[]).await;
    assert!(!sent.is_again());
    let long_ago = stand.house.now().seconds() - 3600;
    for said in [None, Some(long_ago)] {
        stand.pass(1);
        let signed = match said {
            Some(at) => stand.sign_in(&idp, provider.id, proved_at(at)).await.unwrap(),
            None => stand.sign_in(&idp, provider.id, |_| {}).await.unwrap(),
        };
        let came = stand.authorize(&signed, &[(AuthorizeRequest::TICKET, sent.ticket())]).await;
        assert_eq!(came, Came::Code, "{said:?}");
    }
}

#[tokio::test]
async fn factors_are_changed_soon_after_the_provider_s_proof_and_not_after_its_word_alone() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let now = stand.house.now().seconds();
    let old = stand.sign_in(&idp, provider.id, proved_at(now - 601)).await.unwrap();
    assert_eq!(stand.begin_totp(&old).await.unwrap_err(), SignInRefusal::ProveAgain);
    let recent = stand.sign_in(&idp, provider.id, proved_at(now - 590)).await.unwrap();
    stand.begin_totp(&recent).await.unwrap();

    // A provider that never says when is good for a first factor, soon after the sign-in.
    let undated = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    stand.pass(601);
    assert_eq!(stand.begin_totp(&undated).await.unwrap_err(), SignInRefusal::Expired);
    let undated = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let shown = stand.begin_totp(&undated).await.unwrap();
    let app: seal::TotpSecret = serde_json::from_value(json!(base32(&shown.secret))).unwrap();
    let code = || app.code_at(stand.house.now().seconds()).unwrap().expose().clone();
    let finish = FinishTotpEnrolment { session: undated.cookie.clone(), code: code() };
    stand.browse(finish).await.unwrap();

    // For another it is not, even where it is believed about two.
    let mfa = crate::identity::MultiFactorTrust { amr: vec![String::from("mfa")], acr: Vec::new() };
    let form = ProviderForm { mfa: Some(mfa), ..ProviderForm::default() };
    stand.ask(UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false }).await.unwrap();
    let undated = stand.sign_in(&idp, provider.id, |answer| answer.set("amr", json!(["mfa"]))).await.unwrap();
    assert_eq!(undated.next, NextStep::Done);
    assert_eq!(stand.begin_totp(&undated).await.unwrap_err(), SignInRefusal::ProveAgain);
    let remove = |signed: &SignedIn| RemoveTotp { session: signed.cookie.clone() };
    assert_eq!(stand.browse(remove(&undated)).await.unwrap_err(), SignInRefusal::ProveAgain);
    stand.pass(60);
    let proved = stand.browse(ProveTotp { session: undated.cookie, code: code() }).await.unwrap();
    stand.browse(remove(&proved)).await.unwrap();
}

#[tokio::test]
async fn a_session_of_the_release_before_still_opens() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let stored = async |signed: &SignedIn| -> Value {
        let id = stand.session(signed).await.unwrap().id;
        let row = stand.house.peek::<Session>(stand.house.system(), id.as_bytes()).await.unwrap().unwrap();
        serde_json::to_value(row.value).unwrap()
    };
    let now = stand.house.now();
    let dated = stored(&stand.sign_in(&idp, provider.id, proved_at(now.seconds())).await.unwrap()).await;
    assert!(dated["proved_at"].is_i64(), "as it always was: {dated}");
    let opened: Session = serde_json::from_value(dated).unwrap();
    assert_eq!(opened.proved_at.map(|at| at.seconds()), Some(now.seconds()));
    let undated = stored(&stand.sign_in(&idp, provider.id, |_| {}).await.unwrap()).await;
    assert_eq!(serde_json::from_value::<Session>(undated).unwrap().proved_at, None);
}

/// RFC 4648, as an app reads what it is shown.
fn base32(secret: &Secret<String>) -> Vec<u8> {
    let value = |c| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).unwrap();
    let bits: String = secret.expose().chars().map(|c| format!("{:05b}", value(c))).collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}
