//! Applications and their credentials.

use super::*;
use crate::{
    gate::{Changes, Cx, Row},
    identity::Member,
};
use async_trait::async_trait;
use kernel::{Action, Class};

fn named(name: &str) -> NewApplication {
    NewApplication { name: Some(name.to_owned()), ..NewApplication::default() }
}

/// The certificate that the house itself shows: any will do.
async fn certificate(office: &Office) -> Vec<u8> {
    let names = vec![String::from("localhost")];
    let issue = crate::identity::IssueServerCertificate { names };
    let (identity, _) = enter(&office.stand.house, &Caller::house(), issue).await.unwrap();
    identity.chain_pem.into_bytes()
}

#[tokio::test]
async fn an_application_has_one_principal_and_two_ids() {
    let office = Office::new().await;
    let made = office.do_it(CreateApplication { form: named("portal") }).await;
    assert_ne!(made.app.0, made.principal.0);
    assert!(made.secrets.is_empty() && !made.is_public);
    let principal = office.do_it(GetServicePrincipal { principal: made.principal }).await;
    assert_eq!((principal.app, principal.name.as_str()), (Some(made.app), "portal"));
    let by_client = GetServicePrincipal { principal: made.app.0.into() };
    assert_eq!(office.ask(&office.admin, by_client).await.unwrap_err().kind(), Kind::NotFound);
    let update =
        UpdateServicePrincipal { principal: made.principal, name: Some(String::from("gate")), is_enabled: None };
    office.do_it(update).await;
    assert_eq!(office.do_it(GetApplication { app: made.app }).await.name, "gate");
    office.do_it(DeleteApplication { app: made.app }).await;
    let gone = office.ask(&office.admin, GetServicePrincipal { principal: made.principal }).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn secrets_have_names_and_ends_and_go_one_by_one() {
    let office = Office::new().await;
    let made = office.do_it(CreateServicePrincipal { name: String::from("robot") }).await;
    let of = ApplicationKey::Principal(made.principal.id);
    let now = office.stand.house.now();
    let day = std::time::Duration::from_secs(24 * 3600);
    let add = |name: &str, expires_at| AddClientSecret { of, name: name.to_owned(), expires_at };
    let second = office.do_it(add("ci", Some(now.plus(day)))).await;
    assert_eq!((second.kept.name.as_str(), second.kept.expires_at), ("ci", now.plus(day)));
    assert_eq!(second.principal.secrets.len(), 2);
    for end in [now, now.plus(day * 732)] {
        assert_eq!(office.ask(&office.admin, add("", Some(end))).await.unwrap_err().kind(), Kind::Invalid);
    }
    // Removing one that is good cuts off tokens from before.
    let member = |office: &Office| office.stand.house.identity.member(made.principal.id).unwrap();
    let before = member(&office).valid_from;
    office.do_it(RemoveClientSecret { of, key: second.kept.id }).await;
    assert!(member(&office).valid_from > before);
    let again = office.ask(&office.admin, RemoveClientSecret { of, key: second.kept.id }).await;
    assert_eq!(again.unwrap_err().kind(), Kind::Invalid);
    let view = office.do_it(GetServicePrincipal { principal: made.principal.id }).await;
    assert_eq!(view.secrets.len(), 1);
    for _ in 0..19 {
        office.do_it(add("", None)).await;
    }
    assert_eq!(office.ask(&office.admin, add("", None)).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn certificates_come_and_go() {
    let office = Office::new().await;
    let made = office.do_it(CreateApplication { form: named("robot") }).await;
    let (of, document) = (ApplicationKey::Client(made.app), certificate(&office).await);
    let add = || AddCertificate { of, name: String::from("ci"), document: document.clone() };
    let kept = office.do_it(add()).await;
    assert_eq!(kept.thumbprint.len(), 20);
    assert_eq!(office.ask(&office.admin, add()).await.unwrap_err().kind(), Kind::Exists);
    let nonsense = AddCertificate { of, name: String::new(), document: vec![1, 2, 3] };
    assert_eq!(office.ask(&office.admin, nonsense).await.unwrap_err().kind(), Kind::Invalid);
    // The whole list at once, as Graph's clients write it: what is named stays, and nothing else.
    let list = |certificates| UpdateApplication {
        app: made.app,
        form: NewApplication { certificates: Some(certificates), ..NewApplication::default() },
    };
    let same = office.do_it(list(vec![CertificateEntry::Kept(kept.id)])).await;
    assert_eq!(same.certificates.len(), 1);
    let unknown = office.ask(&office.admin, list(vec![CertificateEntry::Kept(Uuid::new_v4())])).await;
    assert_eq!(unknown.unwrap_err().kind(), Kind::Invalid);
    assert!(office.do_it(list(Vec::new())).await.certificates.is_empty());
    let fresh = CertificateEntry::New { name: String::new(), document };
    let back = office.do_it(list(vec![fresh])).await;
    office.do_it(RemoveCertificate { of, key: back.certificates[0].id }).await;
    assert!(office.do_it(GetApplication { app: made.app }).await.certificates.is_empty());
}

#[tokio::test]
async fn whose_tokens_stand_for_an_application_is_said_exactly() {
    let office = Office::new().await;
    let app = office.do_it(CreateApplication { form: named("robot") }).await.app;
    let text = |text: &str| Some(text.to_owned());
    let form = |name: &str, subject: &str| FederatedCredentialForm {
        name: text(name),
        issuer: text("https://ci.example"),
        subject: text(subject),
        audience: None,
    };
    let made = office.do_it(AddFederatedCredential { app, form: form("main", "repo:a") }).await;
    assert_eq!(made.audience, "api://AzureADTokenExchange");
    for twin in [form("main", "repo:b"), form("other", "repo:a")] {
        let fault = office.ask(&office.admin, AddFederatedCredential { app, form: twin }).await.unwrap_err();
        assert_eq!(fault.kind(), Kind::Exists);
    }
    let change = FederatedCredentialForm { subject: text("repo:c"), ..FederatedCredentialForm::default() };
    office.do_it(UpdateFederatedCredential { app, credential: made.id.to_string(), form: change }).await;
    let all = office.do_it(ListFederatedCredentials { app, credential: None }).await;
    assert_eq!((all.len(), all[0].subject.as_str()), (1, "repo:c"));
    office.do_it(RemoveFederatedCredential { app, credential: String::from("main") }).await;
    let gone = office.ask(&office.admin, ListFederatedCredentials { app, credential: text("main") }).await;
    assert_eq!(gone.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_directory_administrator_does_not_become_what_its_applications_are() {
    let office = Office::new().await;
    let officer = office.user("officer").await;
    office.grant(officer, APPLICATION_ADMINISTRATOR, &ResourceId::root()).await.unwrap();
    let officer = caller(&office.stand, officer);
    let robot = office.do_it(CreateServicePrincipal { name: String::from("robot") }).await.principal;
    office.grant(robot.id, OWNER, &somewhere()).await.unwrap();
    let (app, of) = (robot.app.unwrap(), ApplicationKey::Principal(robot.id));
    let document = certificate(&office).await;
    let text = |text: &str| Some(text.to_owned());
    let form = FederatedCredentialForm {
        name: text("main"),
        issuer: text("https://ci.example"),
        subject: text("s"),
        audience: None,
    };
    let replaced = NewApplication {
        certificates: Some(vec![CertificateEntry::New { name: String::new(), document: document.clone() }]),
        ..NewApplication::default()
    };
    let outcomes = [
        office.ask(&officer, AddClientSecret { of, name: String::new(), expires_at: None }).await.err(),
        office.ask(&officer, AddCertificate { of, name: String::new(), document }).await.err(),
        office.ask(&officer, UpdateApplication { app, form: replaced }).await.err(),
        office.ask(&officer, AddFederatedCredential { app, form }).await.err(),
        office.ask(&officer, RemoveClientSecret { of, key: robot.secrets[0].id }).await.err(),
        office.ask(&officer, DeleteApplication { app }).await.err(),
        office.ask(&officer, DeleteServicePrincipal { principal: robot.id }).await.err(),
        office
            .ask(&officer, UpdateServicePrincipal { principal: robot.id, name: None, is_enabled: Some(false) })
            .await
            .err(),
    ];
    for outcome in outcomes {
        let kind = outcome.expect("must be refused").kind();
        assert!(matches!(kind, Kind::Denied | Kind::NotFound), "{kind:?}");
    }
    // Tokens of whoever signs in would go where an address says: only who could grant everything names one.
    let own = office.ask(&officer, CreateApplication { form: named("portal") }).await.unwrap().app;
    let redirect = |uri: &str| UpdateApplication {
        app: own,
        form: NewApplication { redirect_uris: Some(vec![uri.to_owned()]), ..NewApplication::default() },
    };
    office.ask(&officer, redirect("http://localhost/done")).await.unwrap();
    for uri in ["https://evil.example/cb", "com.example.app:/cb"] {
        let fault = office.ask(&officer, redirect(uri)).await.unwrap_err();
        assert!(matches!(fault.kind(), Kind::Denied | Kind::NotFound), "{uri}: {fault}");
    }
    office.do_it(redirect("https://portal.example/cb")).await;
    // What is there already may stay.
    office.ask(&officer, redirect("https://portal.example/cb")).await.unwrap();
}

#[tokio::test]
async fn a_public_client_keeps_no_credential() {
    let office = Office::new().await;
    let form = NewApplication { is_public: Some(true), ..named("tool") };
    let app = office.do_it(CreateApplication { form }).await.app;
    let of = ApplicationKey::Client(app);
    let secret = office.ask(&office.admin, AddClientSecret { of, name: String::new(), expires_at: None }).await;
    assert_eq!(secret.unwrap_err().kind(), Kind::Conflict);
    let document = certificate(&office).await;
    let key = office.ask(&office.admin, AddCertificate { of, name: String::new(), document }).await;
    assert_eq!(key.unwrap_err().kind(), Kind::Conflict);
    let form = NewApplication { without_pkce: Some(true), ..NewApplication::default() };
    let weak = office.ask(&office.admin, UpdateApplication { app, form }).await;
    assert_eq!(weak.unwrap_err().kind(), Kind::Conflict);
}

/// Puts a managed identity into the directory, as its resource does.
struct PutManaged(Member);

#[async_trait]
impl Op for PutManaged {
    const ACTION: Action = Action::new("Test/identities/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut changes = Changes::new();
        let id = *self.0.id.as_bytes();
        changes.put(cx.system(), &Row::new(id.as_slice(), self.0))?;
        cx.commit(changes).await
    }
}

#[tokio::test]
async fn a_managed_identity_is_seen_and_can_be_disabled_and_has_no_credential() {
    let office = Office::new().await;
    let mut member = office.stand.house.identity.member(office.admin.principal().unwrap().id).unwrap();
    member.id = PrincipalId::random();
    member.kind = PrincipalKind::ServicePrincipal;
    member.app = Some(kernel::AppId::random());
    member.managed_by = Some(somewhere());
    let principal = member.id;
    enter(&office.stand.house, &Caller::house(), PutManaged(member)).await.unwrap();
    let seen = office.do_it(GetServicePrincipal { principal }).await;
    assert_eq!(seen.managed_by, Some(somewhere()));
    let all = office.do_it(ListServicePrincipals { listing: Listing::default() }).await;
    assert!(all.entries.iter().any(|entry| entry.id == principal));
    let of = ApplicationKey::Principal(principal);
    let faults = [
        office.ask(&office.admin, AddClientSecret { of, name: String::new(), expires_at: None }).await.err(),
        office.ask(&office.admin, DeleteServicePrincipal { principal }).await.err(),
    ];
    for fault in faults {
        assert_eq!(fault.expect("must be refused").kind(), Kind::Conflict);
    }
    office.do_it(UpdateServicePrincipal { principal, name: None, is_enabled: Some(false) }).await;
    assert!(!office.do_it(GetServicePrincipal { principal }).await.is_enabled);
}
