//! Who counts as an owner that is left: whoever can really come in.

use super::*;
use crate::access::{DeleteRoleAssignment, ListRoleAssignments};

impl Office {
    /// As the house itself, which needs nobody's rights.
    async fn force<O: Op>(&self, op: O) -> Result<O::Output> {
        self.ask(&Caller::house(), op).await
    }

    /// Takes the ownership of everything from somebody.
    async fn dispossess(&self, principal: PrincipalId) -> Result<()> {
        let list = ListRoleAssignments {
            scope: ResourceId::root(),
            principal: Some(principal),
            with_groups: false,
            at_scope: true,
        };
        let held = self.force(list).await.unwrap();
        let (name, owned) = held.into_iter().find(|(_, held)| held.role == OWNER).unwrap();
        self.force(DeleteRoleAssignment { name, scope: owned.scope }).await.map(drop)
    }

    /// Leaves the admin as the only owner of everything.
    async fn leave_the_admin(&self) -> PrincipalId {
        let all = self.do_it(ListServicePrincipals { listing: Listing::default() }).await;
        let founder = all.entries.iter().find(|principal| principal.name == "bartizan-owner").unwrap().id;
        self.do_it(DeleteServicePrincipal { principal: founder }).await;
        self.admin.principal().unwrap().id
    }
}

fn is_last_owner<T>(done: Result<T>) -> bool {
    done.is_err_and(|fault| fault.kind() == Kind::Conflict && fault.public().contains("last owner"))
}

#[tokio::test]
async fn whoever_has_nothing_to_come_in_by_is_no_owner_that_is_left() {
    let office = Office::new().await;
    let admin = office.leave_the_admin().await;
    let form = NewApplication { name: Some(String::from("hollow")), ..NewApplication::default() };
    let hollow = office.do_it(CreateApplication { form }).await;
    let ghost = office.stand.person("ghost", |_, person| person.password = None).await;
    for holder in [hollow.principal, ghost] {
        office.grant(holder, OWNER, &ResourceId::root()).await.unwrap();
    }
    assert!(is_last_owner(office.dispossess(admin).await));
    let of = ApplicationKey::Client(hollow.app);
    let soon = office.stand.house.now().plus(std::time::Duration::from_secs(60));
    office.do_it(AddClientSecret { of, name: String::new(), expires_at: Some(soon) }).await;
    office.stand.pass(61);
    assert!(is_last_owner(office.dispossess(admin).await), "its secret is over");
    office.do_it(AddClientSecret { of, name: String::new(), expires_at: None }).await;
    office.dispossess(admin).await.unwrap();
}

#[tokio::test]
async fn the_last_credential_of_the_last_owner_stays() {
    let office = Office::new().await;
    let admin = office.leave_the_admin().await;
    let made = office.do_it(CreateServicePrincipal { name: String::from("robot") }).await;
    let (robot, app, of) =
        (made.principal.id, made.principal.app.unwrap(), ApplicationKey::Principal(made.principal.id));
    office.grant(robot, OWNER, &ResourceId::root()).await.unwrap();
    office.dispossess(admin).await.unwrap();

    let remove = |key| RemoveClientSecret { of, key };
    assert!(is_last_owner(office.force(remove(made.kept.id)).await));
    let second = office.force(AddClientSecret { of, name: String::new(), expires_at: None }).await.unwrap();
    office.force(remove(made.kept.id)).await.unwrap();

    let text = |text: &str| Some(text.to_owned());
    let (issuer, subject) = (text("https://ci.example"), text("s"));
    let form = FederatedCredentialForm { name: text("main"), issuer, subject, audience: None };
    office.force(AddFederatedCredential { app, form }).await.unwrap();
    office.force(remove(second.kept.id)).await.unwrap();
    let part = || RemoveFederatedCredential { app, credential: String::from("main") };
    assert!(is_last_owner(office.force(part()).await));

    let issue = crate::identity::IssueServerCertificate { names: vec![String::from("localhost")] };
    let (shown, _) = office.force(issue).await.unwrap();
    let document = shown.chain_pem.into_bytes();
    let kept = office.force(AddCertificate { of, name: String::new(), document }).await.unwrap();
    office.force(part()).await.unwrap();
    assert!(is_last_owner(office.force(RemoveCertificate { of, key: kept.id }).await));
    let bare = NewApplication { certificates: Some(Vec::new()), ..NewApplication::default() };
    assert!(is_last_owner(office.force(UpdateApplication { app, form: bare }).await));
    let public = NewApplication { is_public: Some(true), ..NewApplication::default() };
    assert!(is_last_owner(office.force(UpdateApplication { app, form: public }).await));
    // With another owner who can come in, it goes.
    office.stand.pass(1);
    let op = PutRoleAssignment { name: Uuid::new_v4(), scope: ResourceId::root(), role: OWNER, principal: admin };
    office.force(op).await.unwrap();
    office.force(RemoveCertificate { of, key: kept.id }).await.unwrap();
}
