//! Who may change factors, and when.

use async_trait::async_trait;
use kernel::{Action, Class, PrincipalId, ResourceId, Result, Secret};

use super::{SoftKey, enrol_passkey, enrol_totp, prove, with_totp};
use crate::{
    gate::{Changes, Cx, Op},
    identity::{
        BeginPasskeyEnrolment, BeginTotpEnrolment, FinishTotpEnrolment, Method, NewRecoveryCodes, NextStep,
        ProveRecoveryCode, RemovePasskey, RemoveTotp, SignInRefusal, mfa::reset_second_factors,
        sign_in::tests::stand::Stand,
    },
};

async fn begin(stand: &Stand, session: &Secret<String>) -> [Option<SignInRefusal>; 2] {
    [
        stand.ask(BeginTotpEnrolment { session: session.clone() }).await.err(),
        stand.ask(BeginPasskeyEnrolment { session: session.clone() }).await.err(),
    ]
}

#[tokio::test]
async fn who_has_no_factor_enrols_the_first_one_soon_after_a_proof() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    stand.pass(601);
    assert_eq!(begin(&stand, &session).await, [Some(SignInRefusal::ProveAgain); 2]);
    let session = stand.sign_in("ada").await.cookie;
    stand.pass(590);
    let before = stand.log().await.len();
    let (_, signed_in, codes) = enrol_totp(&stand, &session).await;
    assert_eq!((signed_in.next, codes.len()), (NextStep::Done, 10));
    let view = stand.view(&signed_in.cookie).await.unwrap();
    assert_eq!(view.methods, [Method::Password, Method::Totp], "showing the first code is a proof");
    assert!(view.has_totp && view.recovery_codes_left == 10);
    let records = stand.log_since(before).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].action, "Microsoft.Directory/secondFactors/totp/write");
    assert_eq!(records[0].actor.label(), "ada");
}

#[tokio::test]
async fn what_was_begun_in_time_may_be_finished_and_stays_the_same_meanwhile() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let session = stand.sign_in("ada").await.cookie;
    stand.pass(595);
    let shown = stand.ask(BeginTotpEnrolment { session: session.clone() }).await.unwrap();
    let finish = |code: &str| FinishTotpEnrolment { session: session.clone(), code: code.to_owned() };
    assert_eq!(stand.ask(finish("000000")).await.unwrap_err(), SignInRefusal::BadCode);
    let again = stand.ask(BeginTotpEnrolment { session: session.clone() }).await.unwrap();
    assert_eq!(again.secret.expose(), shown.secret.expose(), "the code that was scanned stays good");
    assert!(shown.uri.expose().starts_with("otpauth://totp/Bartizan:ada?secret="), "{}", shown.uri.expose());
    stand.pass(60);
    let code = super::App::of(&shown).code(&stand);
    stand.ask(finish(&code)).await.unwrap();
    assert_eq!(stand.ask(finish(&code)).await.unwrap_err(), SignInRefusal::Expired, "the key was replaced");
}

#[tokio::test]
async fn a_password_alone_changes_nothing_once_a_factor_is_enrolled() {
    let stand = Stand::new().await;
    let (_, codes) = with_totp(&stand).await;
    let session = stand.sign_in("ada").await.cookie;
    assert_eq!(begin(&stand, &session).await, [Some(SignInRefusal::NotPossible); 2]);
    let finish = FinishTotpEnrolment { session: session.clone(), code: String::from("000000") };
    assert_eq!(stand.ask(finish).await.unwrap_err(), SignInRefusal::NotPossible);
    assert_eq!(stand.ask(RemoveTotp { session: session.clone() }).await.unwrap_err(), SignInRefusal::NotPossible);
    let new = NewRecoveryCodes { session: session.clone() };
    assert_eq!(stand.ask(new).await.unwrap_err(), SignInRefusal::NotPossible);
    let code = codes[0].expose().clone();
    let proved = stand.ask(ProveRecoveryCode { session, code }).await.unwrap();
    assert_eq!(begin(&stand, &proved.cookie).await, [None, None]);
}

#[tokio::test]
async fn a_session_from_before_the_enrolment_cannot_enrol_another_behind_it() {
    let stand = Stand::new().await;
    stand.person("ada", |_, _| {}).await;
    let (own, stolen) = (stand.sign_in("ada").await.cookie, stand.sign_in("ada").await.cookie);
    let shown = stand.ask(BeginTotpEnrolment { session: stolen.clone() }).await.unwrap();
    enrol_totp(&stand, &own).await;
    let code = super::App::of(&shown).code(&stand);
    let finish = FinishTotpEnrolment { session: stolen.clone(), code };
    assert_eq!(stand.ask(finish).await.unwrap_err(), SignInRefusal::NotPossible);
    let next = stand.next(&stolen).await.unwrap();
    assert!(matches!(next, NextStep::ProveSecondFactor { .. }), "and is worth no more than a first proof: {next:?}");
}

#[tokio::test]
async fn a_change_takes_a_recent_proof_of_both() {
    let stand = Stand::new().await;
    let (app, _) = with_totp(&stand).await;
    let session = stand.sign_in("ada").await.cookie;
    let session = prove(&stand, &session, &app.code(&stand)).await.unwrap().cookie;
    stand.pass(601);
    assert_eq!(begin(&stand, &session).await, [Some(SignInRefusal::ProveAgain); 2]);
    assert_eq!(stand.ask(RemoveTotp { session: session.clone() }).await.unwrap_err(), SignInRefusal::ProveAgain);
    let session = prove(&stand, &session, &app.code(&stand)).await.unwrap().cookie;
    let new = stand.ask(NewRecoveryCodes { session: session.clone() }).await.unwrap();
    assert_eq!(new.len(), 10);
    stand.ask(RemoveTotp { session: session.clone() }).await.unwrap();
    assert_eq!(stand.ask(RemoveTotp { session: session.clone() }).await.unwrap_err(), SignInRefusal::NotPossible);
    let view = stand.view(&session).await.unwrap();
    assert!(!view.has_totp && view.recovery_codes_left == 0, "recovery codes go with the last factor");
    assert_eq!(stand.sign_in("ada").await.next, NextStep::Done);
    let log = stand.log().await;
    let last = |action: &str| log.iter().rev().find(|record| record.action == action).unwrap().outcome.word();
    assert_eq!(last("Microsoft.Directory/secondFactors/recoveryCodes/write"), "Succeeded");
    assert_eq!(last("Microsoft.Directory/secondFactors/totp/delete"), "Failed");
}

#[tokio::test]
async fn new_recovery_codes_end_the_old_ones() {
    let stand = Stand::new().await;
    let (app, old) = with_totp(&stand).await;
    let session = stand.sign_in("ada").await.cookie;
    let session = prove(&stand, &session, &app.code(&stand)).await.unwrap().cookie;
    let new = stand.ask(NewRecoveryCodes { session }).await.unwrap();
    let session = stand.sign_in("ada").await.cookie;
    let with = |code: &Secret<String>| ProveRecoveryCode { session: session.clone(), code: code.expose().clone() };
    assert_eq!(stand.ask(with(&old[0])).await.unwrap_err(), SignInRefusal::BadCode);
    stand.ask(with(&new[0])).await.unwrap();
}

#[tokio::test]
async fn where_one_is_demanded_it_is_enrolled_first_and_the_last_stays() {
    let stand = Stand::new().await;
    stand.person("ada", |_, person| (person.needs_mfa, person.must_change) = (true, false)).await;
    let first = stand.sign_in("ada").await;
    assert_eq!(first.next, NextStep::EnrolSecondFactor);
    let (_, signed_in, _) = enrol_totp(&stand, &first.cookie).await;
    assert_eq!(signed_in.next, NextStep::Done);
    let session = signed_in.cookie;
    assert_eq!(stand.ask(RemoveTotp { session: session.clone() }).await.unwrap_err(), SignInRefusal::NotPossible);
    let (signed_in, codes) = enrol_passkey(&stand, &session, &mut SoftKey::new()).await.unwrap();
    assert!(codes.is_empty(), "there are recovery codes already");
    let session = signed_in.cookie;
    stand.ask(RemoveTotp { session: session.clone() }).await.unwrap();
    let id = stand.view(&session).await.unwrap().passkeys[0].0;
    let remove = RemovePasskey { session, id };
    assert_eq!(stand.ask(remove).await.unwrap_err(), SignInRefusal::NotPossible);
}

#[tokio::test]
async fn somebody_elses_password_is_changed_before_a_factor_is_enrolled() {
    let stand = Stand::new().await;
    stand.person("ada", |_, person| (person.needs_mfa, person.must_change) = (true, true)).await;
    let first = stand.sign_in("ada").await;
    assert_eq!(first.next, NextStep::ChangePassword);
    assert_eq!(begin(&stand, &first.cookie).await, [Some(SignInRefusal::NotPossible); 2]);
    stand.change("ada", |_, person| person.must_change = false).await;
    assert_eq!(stand.next(&first.cookie).await, Some(NextStep::EnrolSecondFactor));
    enrol_totp(&stand, &first.cookie).await;
    stand.change("ada", |_, person| person.must_change = true).await;
    let first = stand.sign_in("ada").await;
    assert!(matches!(first.next, NextStep::ProveSecondFactor { .. }), "the factor comes before the password");
}

struct Reset(PrincipalId);

#[async_trait]
impl Op for Reset {
    const ACTION: Action = Action::new("Test/factors/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        reset_second_factors(cx, &mut changes, self.0).await?;
        cx.commit(changes).await
    }
}

#[tokio::test]
async fn an_administrators_reset_forgets_all() {
    let stand = Stand::new().await;
    with_totp(&stand).await;
    let principal = stand.house.identity.state().members.values().find(|member| member.name == "ada").unwrap().id;
    let session = stand.sign_in("ada").await.cookie;
    assert_eq!(prove(&stand, &session, "000000").await.unwrap_err(), SignInRefusal::BadCode);
    for _ in 0..2 {
        crate::gate::enter(&stand.house, &kernel::Caller::house(), Reset(principal)).await.unwrap();
    }
    assert_eq!(stand.sign_in("ada").await.next, NextStep::Done);
}
