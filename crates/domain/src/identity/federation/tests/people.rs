//! Who people are, which groups they are in, and what their factors count.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{PrincipalKind, ResourceId, Who};
use seal::Sha256;
use serde_json::json;
use uuid::Uuid;

use super::stand::{Idp, Stand};
use crate::{
    access::{APPLICATION_ADMINISTRATOR, PutRoleAssignment},
    gate::{Actor, Outcome, enter},
    identity::{
        AddGroupMember, DeleteUser, FederationRefusal, GroupMapping, LinkFederatedUser, Method, MultiFactorTrust,
        NewPassword, NextStep, ProviderForm, UnlinkFederatedUser, UpdateIdentityProvider, UpdateUser, UserForm,
        UserKey,
    },
};

#[tokio::test]
async fn whoever_comes_for_the_first_time_becomes_a_user_and_stays_that_user() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let signed = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    assert_eq!(signed.next, NextStep::Done);
    let view = stand.session(&signed).await.unwrap();
    assert_eq!((view.user_name.as_str(), view.display_name.as_str()), ("ann#corp", "Ann Lee"));
    assert_eq!(view.methods, [Method::Federated]);
    let (user, _) = stand.user(&signed).await;

    // Everything but the subject may change.
    let again = stand.sign_in(&idp, provider.id, |answer| {
        answer.set("preferred_username", json!("anna"));
        answer.set("email", json!("anna@elsewhere.example"));
    });
    assert_eq!(stand.user(&again.await.unwrap()).await.0, user);

    let record =
        stand.log().await.into_iter().rfind(|one| one.action == "Microsoft.Directory/signIns/federated").unwrap();
    assert!(matches!(&record.actor, Actor::Principal { id, .. } if *id == user), "{record:?}");
    assert_eq!((record.detail["subject"].as_str(), record.detail["method"].as_str()), ("ann-1", "federated"));
    assert_eq!(record.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_question_is_bound_to_the_answer() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (said, _) = stand.begin(provider.id).await;
    assert_eq!(said["place"], "https://idp.example/authorize");
    assert_eq!((said["response_type"].as_str(), said["scope"].as_str()), ("code", "openid profile email"));
    assert_eq!(said["code_challenge_method"], "S256");
    assert_eq!(said["redirect_uri"], format!("https://bartizan.test:8443/signin/federated/{}/callback", provider.id));
    assert_eq!(provider.redirect_uri, said["redirect_uri"]);

    let (outcome, _) = stand.sign_in_for(&idp, provider.id, |_| {}).await;
    outcome.unwrap();
    let (form, basic) = stand.elsewhere.forms.lock().unwrap().last().cloned().unwrap();
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "code-1"));
    assert_eq!(form["redirect_uri"], said["redirect_uri"]);
    assert_eq!(form["code_verifier"].len(), 43);
    assert_ne!(challenge(&form["code_verifier"]), said["code_challenge"], "each sign-in has its own");
    // RFC 6749 §2.3.1: escaped before it goes into the header, and then nowhere else.
    assert_eq!(basic.as_deref(), Some("bartizan:up%2Fstr%2Beam"));
    assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"));
}

#[tokio::test]
async fn a_provider_that_wants_the_secret_in_the_form_gets_it_there() {
    let stand = Stand::new().await;
    let idp = Idp::new("https://post.example");
    idp.publish(&stand.elsewhere);
    let mut metadata = idp.metadata();
    metadata["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    stand.elsewhere.put(&idp.place(".well-known/openid-configuration"), metadata);
    let form = ProviderForm {
        name: Some(String::from("Post")),
        client_id: Some(String::from("bartizan")),
        client_secret: Some(kernel::Secret::new(String::from("up/stream"))),
        creates_users: Some(true),
        ..ProviderForm::default()
    };
    let made = crate::identity::CreateIdentityProvider { issuer: idp.issuer.clone(), form };
    let provider = stand.ask(made).await.unwrap();
    stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let (form, basic) = stand.elsewhere.forms.lock().unwrap().last().cloned().unwrap();
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str(), basic), ("bartizan", "up/stream", None));
}

#[tokio::test]
async fn nobody_becomes_a_user_that_is_there_by_a_name_or_an_address() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let ann = stand.user(&stand.sign_in(&idp, provider.id, |_| {}).await.unwrap()).await;

    // The same issuer's other subject with the same name and address, one called like the administrator, and another issuer's
    // subject of the same spelling.
    let other = stand.sign_in(&idp, provider.id, |answer| answer.set("sub", json!("ann-2"))).await.unwrap();
    let other = stand.user(&other).await;
    assert_ne!(other.0, ann.0);
    assert!(other.1.starts_with("ann#corp-"), "{}", other.1);
    let admin = stand.sign_in(&idp, provider.id, |answer| {
        answer.set("sub", json!("ann-3"));
        answer.set("preferred_username", json!("admin"));
    });
    assert_eq!(stand.user(&admin.await.unwrap()).await.1, "admin#corp");
    let form = ProviderForm { creates_users: Some(true), ..ProviderForm::default() };
    let (elsewhere, provider) = stand.known("https://other.example", form).await;
    let stranger = stand.user(&stand.sign_in(&elsewhere, provider.id, |_| {}).await.unwrap()).await;
    assert!(stranger.0 != ann.0 && stranger.0 != other.0);
}

#[tokio::test]
async fn where_no_users_are_made_only_those_who_were_named_come_in() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.known("https://idp.example", ProviderForm::default()).await;
    assert_eq!(stand.sign_in(&idp, provider.id, |_| {}).await.unwrap_err(), FederationRefusal::NotInvited);

    let user = crate::identity::CreateUser {
        user_name: String::from("ann@corp.example"),
        display_name: String::from("Ann"),
        is_enabled: true,
        password: NewPassword { password: None, must_change: false },
    };
    let user = stand.ask(user).await.unwrap().user.id;
    // The address alone says nothing.
    assert_eq!(stand.sign_in(&idp, provider.id, |_| {}).await.unwrap_err(), FederationRefusal::NotInvited);
    let link = || LinkFederatedUser { provider: provider.id, subject: String::from("ann-1"), user };
    // Nor is it for the user to say, whatever roles they have.
    let op = PutRoleAssignment {
        name: Uuid::new_v4(),
        scope: ResourceId::root(),
        role: APPLICATION_ADMINISTRATOR,
        principal: user,
    };
    stand.ask(op).await.unwrap();
    let mut themselves = stand.owner.clone();
    if let Who::Principal(who) = &mut themselves.who {
        (who.id, who.kind, who.app) = (user, PrincipalKind::User, None);
    }
    assert_eq!(enter(&stand.house, &themselves, link()).await.unwrap_err().kind(), kernel::Kind::Conflict);
    stand.ask(link()).await.unwrap();
    assert_eq!(stand.user(&stand.sign_in(&idp, provider.id, |_| {}).await.unwrap()).await.0, user);
    assert_eq!(stand.ask(link()).await.unwrap_err().kind(), kernel::Kind::Exists);

    stand.ask(UnlinkFederatedUser { provider: provider.id, subject: String::from("ann-1") }).await.unwrap();
    assert_eq!(stand.sign_in(&idp, provider.id, |_| {}).await.unwrap_err(), FederationRefusal::NotInvited);
}

#[tokio::test]
async fn a_disabled_user_stays_out_and_a_deleted_one_does_not_come_back() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let signed = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let (user, _) = stand.user(&signed).await;
    let disable =
        UpdateUser { user: UserKey::Id(user), form: UserForm { is_enabled: Some(false), ..UserForm::default() } };
    stand.ask(disable).await.unwrap();
    assert!(stand.session(&signed).await.is_none());
    assert_eq!(stand.sign_in(&idp, provider.id, |_| {}).await.unwrap_err(), FederationRefusal::Disabled);
    let record = stand.log().await.pop().unwrap();
    assert!(matches!(record.actor, Actor::Principal { id, .. } if id == user), "{record:?}");
    assert_eq!(record.outcome, Outcome::Denied);

    stand.ask(DeleteUser { user: UserKey::Id(user) }).await.unwrap();
    let fresh = stand.user(&stand.sign_in(&idp, provider.id, |_| {}).await.unwrap()).await;
    assert_ne!(fresh.0, user);
}

#[tokio::test]
async fn groups_follow_the_provider_s_word_and_what_others_decided_stays() {
    let stand = Stand::new().await;
    let [own, given, taken] = [stand.group("own").await, stand.group("given").await, stand.group("taken").await];
    let map = |value: &str, group| GroupMapping { value: value.to_owned(), group };
    let form = ProviderForm {
        creates_users: Some(true),
        group_claim: Some(String::from("groups")),
        groups: Some(vec![map("a", given), map("b", taken), map("c", own)]),
        ..ProviderForm::default()
    };
    let (idp, provider) = stand.known("https://idp.example", form).await;
    let with = async |groups: serde_json::Value| {
        let signed = stand.sign_in(&idp, provider.id, |answer| answer.set("groups", groups)).await.unwrap();
        let (user, _) = stand.user(&signed).await;
        let mut groups = stand.groups(user);
        groups.sort_unstable();
        (user, groups)
    };
    let sorted = |groups: &[kernel::PrincipalId]| {
        let mut groups = groups.to_vec();
        groups.sort_unstable();
        groups
    };
    let (user, groups) = with(json!(["a", "b", "unknown"])).await;
    assert_eq!(groups, sorted(&[given, taken]));
    // By an administrator's hand, not by the provider's word.
    stand.ask(AddGroupMember { group: own, member: user }).await.unwrap();
    assert_eq!(with(json!(["a"])).await.1, sorted(&[given, own]));
    assert_eq!(with(json!(["c"])).await.1, sorted(&[own]));
    assert_eq!(with(json!([])).await.1, sorted(&[own]));
    assert_eq!(with(json!("b")).await.1, sorted(&[own, taken]));
    // What is no longer in the table is taken back at the next sign-in.
    let form = ProviderForm { groups: Some(Vec::new()), ..ProviderForm::default() };
    stand.ask(UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false }).await.unwrap();
    assert_eq!(with(json!(["a", "b"])).await.1, sorted(&[own]));
}

#[tokio::test]
async fn a_provider_s_two_factors_count_only_where_they_were_named() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let methods = async || {
        let signed = stand.sign_in(&idp, provider.id, |answer| answer.set("amr", json!(["pwd", "mfa"]))).await.unwrap();
        stand.session(&signed).await.unwrap().methods
    };
    assert_eq!(methods().await, [Method::Federated]);
    let set = async |mfa: MultiFactorTrust| {
        let form = ProviderForm { mfa: Some(mfa), ..ProviderForm::default() };
        stand.ask(UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false }).await.unwrap();
    };
    set(MultiFactorTrust { amr: vec![String::from("mfa")], acr: Vec::new() }).await;
    assert_eq!(methods().await, [Method::FederatedMultiFactor]);
    set(MultiFactorTrust::default()).await;
    assert_eq!(methods().await, [Method::Federated]);
}

/// The digest that a verifier must have (RFC 7636 §4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::of(verifier.as_bytes()))
}
