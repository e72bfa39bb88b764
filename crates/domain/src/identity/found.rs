//! The first start: tenant, subscription, the service principal that owns it, and an admin user.

use async_trait::async_trait;
use kernel::{
    Action, AppId, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Secret, SubscriptionId,
    TenantId, Timestamp,
};
use seal::PasswordHash;
use uuid::Uuid;

use super::{Application, Member, Person, Tenant, directory, sign_in::account_name, token_keys};
use crate::{
    access::{APPLICATION_ADMINISTRATOR, OWNER, RoleAssignment},
    gate::{Admission, Changes, Cx, Op, Row},
    resources::Subscription,
};

/// Founds the house; refused when it is founded already.
#[derive(Debug)]
pub struct FoundHouse {
    /// Sign-in name of the admin user.
    pub admin: String,
    /// The admin's password.
    pub password: Secret<String>,
    /// Who and what there shall be.
    pub charter: Charter,
}

/// The ids and the secret of a house to be founded. They are drawn first, so that they can be put in a safe place before the
/// house exists: a crash in between loses nothing, and the other order would lose the only credentials.
#[derive(Clone, Debug)]
pub struct Charter {
    /// The tenant.
    pub tenant: TenantId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Client id of the owning service principal.
    pub app: AppId,
    /// Its object id.
    pub principal: PrincipalId,
    /// Its secret.
    pub client_secret: Secret<String>,
}

impl Charter {
    /// Draws fresh ids and a fresh secret.
    pub fn draw() -> Result<Self> {
        Ok(Self {
            tenant: TenantId::random(),
            subscription: SubscriptionId::random(),
            app: AppId::random(),
            principal: PrincipalId::random(),
            client_secret: seal::new_client_secret()?,
        })
    }
}

#[async_trait]
impl Op for FoundHouse {
    const ACTION: Action = Action::new("Microsoft.Directory/tenants/write", Class::Control);
    type Output = Charter;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Charter> {
        let system = cx.system();
        if !cx.all::<Tenant>(system, b"").await?.is_empty() {
            return Err(Error::new(Kind::Exists, "this data directory has a tenant already"));
        }
        let now = cx.now();
        let Charter { tenant, subscription, app, principal, client_secret } = self.charter.clone();
        let mut changes = Changes::new();
        let record = Tenant { id: tenant, name: String::from("Bartizan"), created_at: now };
        changes.put(system, &Row::new(tenant.as_bytes().as_slice(), record))?;
        let record = Subscription { id: subscription, name: String::from("Bartizan"), created_at: now };
        changes.put(system, &Row::new(subscription.as_bytes().as_slice(), record))?;
        token_keys::add_first(cx, &mut changes)?;

        let application =
            directory::blank(app, principal, "bartizan-owner", vec![directory::first_secret(cx, &client_secret)]);
        add_member(cx, &mut changes, principal, PrincipalKind::ServicePrincipal, "bartizan-owner", Some(app))?;
        changes.put::<Application>(system, &Row::new(app.as_bytes().as_slice(), application))?;

        let admin = PrincipalId::random();
        let user_name = account_name(&self.admin);
        add_member(cx, &mut changes, admin, PrincipalKind::User, &user_name, None)?;
        let id = system.name_id::<Person>(&user_name);
        let person = Person {
            principal: admin,
            display_name: user_name.clone(),
            user_name,
            password: Some(PasswordHash::new(&self.password)?),
            must_change: false,
            needs_mfa: false,
            password_set_at: Some(now),
        };
        changes.put(system, &Row::new(id, person))?;

        let owned = ResourceId::subscription(subscription);
        let roles = [
            (principal, PrincipalKind::ServicePrincipal, OWNER, &owned),
            (principal, PrincipalKind::ServicePrincipal, OWNER, &ResourceId::root()),
            (principal, PrincipalKind::ServicePrincipal, APPLICATION_ADMINISTRATOR, &ResourceId::root()),
            (admin, PrincipalKind::User, OWNER, &ResourceId::root()),
            (admin, PrincipalKind::User, APPLICATION_ADMINISTRATOR, &ResourceId::root()),
        ];
        for (principal, kind, role, scope) in roles {
            let scope = scope.clone();
            let assignment =
                RoleAssignment { scope, role, principal, kind, created_by: admin, created_at: now, bounds: None };
            changes.put(system, &Row::new(Uuid::new_v4().as_bytes().as_slice(), assignment))?;
        }
        cx.note("tenant", tenant.to_string());
        cx.note("subscription", subscription.to_string());
        cx.commit(changes).await?;
        Ok(self.charter)
    }
}

pub(super) fn add_member(
    cx: &Admission<'_>,
    changes: &mut Changes,
    id: PrincipalId,
    kind: PrincipalKind,
    name: &str,
    app: Option<AppId>,
) -> Result<()> {
    let member = new_member(cx, id, kind, name, app);
    changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), member))?;
    Ok(())
}

/// A principal that was just made, and is enabled.
pub(super) fn new_member(
    cx: &Admission<'_>,
    id: PrincipalId,
    kind: PrincipalKind,
    name: &str,
    app: Option<AppId>,
) -> Member {
    Member {
        id,
        kind,
        name: name.to_owned(),
        app,
        is_disabled: false,
        created_at: cx.now(),
        valid_from: Timestamp(0),
        managed_by: None,
    }
}
