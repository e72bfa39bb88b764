//! Making providers known, changing them, parting with them.

use kernel::{Caller, Kind, Principal, PrincipalKind, Proof, ResourceId, Secret, Source, Who};
use serde_json::json;
use uuid::Uuid;

use super::stand::{Idp, Stand};
use crate::{
    access::{APPLICATION_ADMINISTRATOR, DeleteRoleAssignment, ListRoleAssignments, OWNER, PutRoleAssignment},
    gate::enter,
    identity::{
        BeginFederatedSignIn, CreateIdentityProvider, CreateServicePrincipal, DeleteIdentityProvider,
        FederationRefusal, GetIdentityProvider, GroupMapping, LinkFederatedUser, ListIdentityProviders,
        ListSignInProviders, NewPassword, ProviderForm, ResetPassword, UpdateIdentityProvider, UserKey,
    },
};

fn form() -> ProviderForm {
    ProviderForm {
        name: Some(String::from("Corp")),
        client_id: Some(String::from("bartizan")),
        ..ProviderForm::default()
    }
}

#[tokio::test]
async fn an_issuer_has_to_be_what_it_says_and_within_reach() {
    let stand = Stand::new().await;
    let create = async |issuer: &str| {
        let made = stand.ask(CreateIdentityProvider { issuer: issuer.to_owned(), form: form() }).await;
        made.map(|_| ()).map_err(|fault| fault.kind())
    };
    for bad in ["", "idp.example", "ftp://idp.example", "https://", "https://idp.example?x", "https://a@idp.example"] {
        assert_eq!(create(bad).await, Err(Kind::Invalid), "{bad}");
    }
    assert_eq!(create("https://forbidden.example").await, Err(Kind::Invalid));
    assert_eq!(create("https://nobody.example").await, Err(Kind::Unavailable));

    let idp = Idp::new("https://idp.example");
    let place = idp.place(".well-known/openid-configuration");
    for (name, value) in [
        ("issuer", json!("https://idp.example/")),
        ("issuer", json!("https://evil.example")),
        ("authorization_endpoint", json!("http://idp.example/authorize")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", json!("")),
        ("token_endpoint", json!("https://forbidden.example/token")),
        ("jwks_uri", json!("https://forbidden.example/keys")),
        ("jwks_uri", json!(7)),
    ] {
        let mut metadata = idp.metadata();
        metadata[name] = value.clone();
        stand.elsewhere.put(&place, metadata);
        assert_eq!(create(&idp.issuer).await, Err(Kind::Invalid), "{name}: {value}");
    }
    idp.publish(&stand.elsewhere);
    assert_eq!(create(&idp.issuer).await, Ok(()));
    assert_eq!(create(&idp.issuer).await, Err(Kind::Exists));
    assert!(create("https://nobody.example").await.is_err());
}

#[tokio::test]
async fn endpoints_stay_as_they_were_until_they_are_asked_for_again() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let mut metadata = idp.metadata();
    metadata["authorization_endpoint"] = json!("https://evil.example/authorize");
    stand.elsewhere.put(&idp.place(".well-known/openid-configuration"), metadata);
    stand.pass(86_400);
    assert_eq!(stand.begin(provider.id).await.0["place"], "https://idp.example/authorize");
    let op = UpdateIdentityProvider { provider: provider.id, form: ProviderForm::default(), is_refreshed: true };
    stand.ask(op).await.unwrap();
    assert_eq!(stand.begin(provider.id).await.0["place"], "https://evil.example/authorize");
}

#[tokio::test]
async fn the_secret_of_a_provider_is_never_shown() {
    let stand = Stand::new().await;
    let (_, provider) = stand.open_provider().await;
    let shown = stand.ask(GetIdentityProvider { provider: provider.id }).await.unwrap();
    assert!(shown.has_secret);
    let listed = stand.ask(ListIdentityProviders).await.unwrap();
    let row = stand.house.all::<super::super::records::Provider>(stand.house.system(), b"").await.unwrap();
    let log = stand.log().await;
    for text in [format!("{shown:?}"), format!("{listed:?}"), format!("{row:?}"), format!("{log:?}")] {
        assert!(!text.contains("up/str+eam"), "{text}");
    }
    let form = ProviderForm { client_secret: Some(Secret::new(String::new())), ..ProviderForm::default() };
    let op = UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false };
    assert!(!stand.ask(op).await.unwrap().has_secret);
}

#[tokio::test]
async fn a_disabled_provider_signs_nobody_in_and_those_it_signed_in_are_out() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (other, second) =
        stand.known("https://other.example", ProviderForm { creates_users: Some(true), ..form() }).await;
    let signed = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let beside = stand.sign_in(&other, second.id, |_| {}).await.unwrap();
    let set = async |is_enabled: bool| {
        let form = ProviderForm { is_enabled: Some(is_enabled), ..ProviderForm::default() };
        stand.ask(UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false }).await.unwrap()
    };
    assert_eq!(stand.browse(ListSignInProviders).await.len(), 2);
    set(false).await;
    assert!(stand.session(&signed).await.is_none());
    assert!(stand.session(&beside).await.is_some());
    assert_eq!(stand.browse(ListSignInProviders).await.len(), 1);
    let begin = BeginFederatedSignIn { provider: provider.id.to_string(), return_to: None, again: false };
    assert_eq!(stand.browse(begin).await.unwrap_err(), FederationRefusal::NoProvider);
    set(true).await;
    assert!(stand.session(&signed).await.is_none(), "what ended stays ended");
    stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_under_way_does_not_outlive_its_provider() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let (said, cookie) = stand.begin(provider.id).await;
    let form = ProviderForm { is_enabled: Some(false), ..ProviderForm::default() };
    stand.ask(UpdateIdentityProvider { provider: provider.id, form, is_refreshed: false }).await.unwrap();
    let finish = crate::identity::FinishFederatedSignIn {
        provider: provider.id.to_string(),
        cookie: Some(cookie),
        state: Some(said["state"].clone()),
        code: Some(Secret::new(String::from("code"))),
        issuer: Some(idp.issuer.clone()),
        error: None,
        agent: String::new(),
    };
    assert_eq!(stand.browse(finish).await.unwrap_err(), FederationRefusal::NoProvider);
    assert_eq!(stand.elsewhere.times(&idp.place("token")), 0);
}

#[tokio::test]
async fn with_a_provider_go_its_sessions_and_what_it_gave_but_not_who_is_who() {
    let stand = Stand::new().await;
    let group = stand.group("given").await;
    let mapped = ProviderForm {
        creates_users: Some(true),
        group_claim: Some(String::from("groups")),
        groups: Some(vec![GroupMapping { value: String::from("a"), group }]),
        ..form()
    };
    let (idp, provider) = stand.known("https://idp.example", mapped).await;
    let signed = stand.sign_in(&idp, provider.id, |answer| answer.set("groups", json!(["a"]))).await.unwrap();
    let (user, _) = stand.user(&signed).await;
    assert_eq!(stand.groups(user), [group]);
    stand.ask(DeleteIdentityProvider { provider: provider.id }).await.unwrap();
    assert!(stand.session(&signed).await.is_none());
    assert!(stand.groups(user).is_empty());
    let gone = stand.ask(GetIdentityProvider { provider: provider.id }).await.unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound);

    let (idp, provider) = stand.open_provider().await;
    assert_eq!(stand.user(&stand.sign_in(&idp, provider.id, |_| {}).await.unwrap()).await.0, user);
}

#[tokio::test]
async fn nobody_maps_a_way_to_more_than_they_could_grant() {
    let stand = Stand::new().await;
    // An administrator of the directory who owns nothing.
    let made = stand.ask(CreateServicePrincipal { name: String::from("directory") }).await.unwrap().principal;
    let assign = async |role: Uuid, principal| {
        let op = PutRoleAssignment { name: Uuid::new_v4(), scope: ResourceId::root(), role, principal };
        stand.ask(op).await.unwrap();
    };
    assign(APPLICATION_ADMINISTRATOR, made.id).await;
    let administrator = Principal {
        id: made.id,
        tenant: stand.house.tenant().unwrap(),
        kind: PrincipalKind::ServicePrincipal,
        app: made.app,
        name: String::from("directory"),
        proof: Proof::default(),
    };
    let administrator = Caller { who: Who::Principal(administrator), source: Source::internal() };
    let (plain, owners) = (stand.group("plain").await, stand.group("owners").await);
    assign(OWNER, owners).await;

    let idp = Idp::new("https://idp.example");
    idp.publish(&stand.elsewhere);
    let create = |group| {
        let groups = Some(vec![GroupMapping { value: String::from("all"), group }]);
        let form = ProviderForm { groups, group_claim: Some(String::from("groups")), ..form() };
        CreateIdentityProvider { issuer: idp.issuer.clone(), form }
    };
    let refused = enter(&stand.house, &administrator, create(owners)).await.unwrap_err();
    assert!(matches!(refused.kind(), Kind::Denied | Kind::NotFound), "{refused}");
    let provider = enter(&stand.house, &administrator, create(plain)).await.unwrap().id;

    // The owner maps it; then the claim that decides is as good as the table.
    let groups = Some(vec![GroupMapping { value: String::from("all"), group: owners }]);
    let form = ProviderForm { groups, ..ProviderForm::default() };
    stand.ask(UpdateIdentityProvider { provider, form, is_refreshed: false }).await.unwrap();
    let form = ProviderForm { group_claim: Some(String::from("nickname")), ..ProviderForm::default() };
    let op = UpdateIdentityProvider { provider, form, is_refreshed: false };
    assert!(enter(&stand.house, &administrator, op).await.is_err());

    let admin = stand.house.identity.state().members.values().find(|one| one.name == "admin").unwrap().id;
    let op = LinkFederatedUser { provider, subject: String::from("me"), user: admin };
    assert!(enter(&stand.house, &administrator, op).await.is_err());
}

#[tokio::test]
async fn a_provider_by_which_alone_the_last_owner_comes_stays() {
    let stand = Stand::new().await;
    let (idp, provider) = stand.open_provider().await;
    let signed = stand.sign_in(&idp, provider.id, |_| {}).await.unwrap();
    let (ann, _) = stand.user(&signed).await;
    let root = ResourceId::root();
    let op = PutRoleAssignment { name: Uuid::new_v4(), scope: root.clone(), role: OWNER, principal: ann };
    stand.ask(op).await.unwrap();
    let house = Caller::house();
    let list = ListRoleAssignments { scope: root.clone(), principal: None, with_groups: false, at_scope: true };
    let held = enter(&stand.house, &house, list).await.unwrap();
    for (name, _) in held.iter().filter(|(_, held)| held.role == OWNER && held.principal != ann) {
        enter(&stand.house, &house, DeleteRoleAssignment { name: *name, scope: root.clone() }).await.unwrap();
    }
    let off = || ProviderForm { is_enabled: Some(false), ..ProviderForm::default() };
    let disable = || UpdateIdentityProvider { provider: provider.id, form: off(), is_refreshed: false };
    let last = "last owner of a scope";
    let fault = enter(&stand.house, &house, disable()).await.unwrap_err();
    assert!(fault.kind() == Kind::Conflict && fault.public().contains(last), "{fault}");
    let fault = enter(&stand.house, &house, DeleteIdentityProvider { provider: provider.id }).await.unwrap_err();
    assert!(fault.kind() == Kind::Conflict && fault.public().contains(last), "{fault}");
    // A password is another way in.
    let password =
        NewPassword { password: Some(Secret::new(String::from("gravel teapot misnomer"))), must_change: true };
    enter(&stand.house, &house, ResetPassword { user: UserKey::Id(ann), password }).await.unwrap();
    enter(&stand.house, &house, disable()).await.unwrap();
    enter(&stand.house, &house, DeleteIdentityProvider { provider: provider.id }).await.unwrap();
}
