//! Service principals and their secrets (the part of Microsoft Graph's `servicePrincipals` that the command line uses).

use std::time::Duration;

use kernel::{Action, AppId, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Secret, Timestamp};
use uuid::Uuid;

use super::{Application, ClientSecret, found::add_member};
use crate::{
    access::PutRoleAssignment,
    gate::{Changes, Cx, Op, Row},
};

const READ: Action = Action::new("Microsoft.Directory/servicePrincipals/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/servicePrincipals/write", Class::Control);
/// What secrets are fingerprinted as.
pub(super) const PURPOSE: &str = "client secret";
/// Secrets live a year unless renewed.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
const MOST_SECRETS: usize = 20;

/// A service principal as callers see it: no secret in it.
#[derive(Clone, Debug)]
pub struct ServicePrincipal {
    /// Object id: what roles are assigned to.
    pub id: PrincipalId,
    /// Client id: what signs in.
    pub app: AppId,
    /// For people.
    pub name: String,
    /// Its secrets: id, hint, expiry.
    pub secrets: Vec<(Uuid, String, Timestamp)>,
}

/// A secret, shown once.
#[derive(Debug)]
pub struct NewSecret {
    /// Whose.
    pub principal: ServicePrincipal,
    /// The secret.
    pub secret: Secret<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Makes a service principal with one secret.
#[derive(Debug)]
pub struct CreateServicePrincipal {
    /// For people; 1 to 120 characters.
    pub name: String,
}

impl Op for CreateServicePrincipal {
    const ACTION: Action = WRITE;
    type Output = NewSecret;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewSecret> {
        let length = self.name.chars().count();
        if !(1..=120).contains(&length) || self.name.chars().any(char::is_control) {
            return Err(Error::invalid("displayName", "must be 1 to 120 printable characters"));
        }
        let secret = seal::new_client_secret()?;
        let application = application(cx, AppId::random(), PrincipalId::random(), &self.name, &secret);
        let shown = view(&application);
        let expires_at = application.secrets.first().map_or(cx.now(), |secret| secret.expires_at);
        cx.note("principal", shown.id.to_string());
        cx.note("name", &shown.name);
        let mut changes = Changes::new();
        add_member(cx, &mut changes, shown.id, PrincipalKind::ServicePrincipal, &shown.name, Some(shown.app))?;
        changes.put(cx.system(), &Row::new(shown.app.as_bytes().as_slice(), application))?;
        cx.commit(changes).await?;
        Ok(NewSecret { principal: shown, secret, expires_at })
    }
}

/// Adds a secret to a service principal; the others stay valid, so that rotation needs no pause.
#[derive(Debug)]
pub struct AddClientSecret {
    /// Object id.
    pub principal: PrincipalId,
}

impl Op for AddClientSecret {
    const ACTION: Action = WRITE;
    type Output = NewSecret;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewSecret> {
        let mut row = find(cx, self.principal).await?;
        // Whoever makes a secret can act as its holder: that takes the right to grant everything the holder has.
        for scope in cx.house().access().scopes_of(self.principal) {
            cx.require(&PutRoleAssignment::ACTION, &scope).await?;
        }
        let now = cx.now();
        row.value.secrets.retain(|secret| secret.expires_at > now);
        if row.value.secrets.len() >= MOST_SECRETS {
            let why = format!("a service principal has at most {MOST_SECRETS} secrets; let one expire first");
            return Err(Error::new(Kind::Conflict, why));
        }
        let secret = seal::new_client_secret()?;
        let kept = keep(cx, &secret);
        let expires_at = kept.expires_at;
        cx.note("principal", self.principal.to_string());
        cx.note("secret", kept.id.to_string());
        row.value.secrets.push(kept);
        let shown = view(&row.value);
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(NewSecret { principal: shown, secret, expires_at })
    }
}

/// Lists service principals.
#[derive(Debug)]
pub struct ListServicePrincipals;

impl Op for ListServicePrincipals {
    const ACTION: Action = READ;
    type Output = Vec<ServicePrincipal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = cx.all::<Application>(cx.system(), b"").await?;
        Ok(rows.iter().map(|row| view(&row.value)).collect())
    }
}

/// Reads one service principal by its object id.
#[derive(Debug)]
pub struct GetServicePrincipal {
    /// Object id.
    pub principal: PrincipalId,
}

impl Op for GetServicePrincipal {
    const ACTION: Action = READ;
    type Output = ServicePrincipal;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServicePrincipal> {
        Ok(view(&find(cx, self.principal).await?.value))
    }
}

async fn find<O: Op>(cx: &Cx<'_, O>, principal: PrincipalId) -> Result<Row<Application>> {
    let missing = || Error::not_found(format_args!("the service principal `{principal}`"));
    let app = cx.house().identity.member(principal).and_then(|member| member.app).ok_or_else(missing)?;
    cx.get::<Application>(cx.system(), app.as_bytes()).await?.ok_or_else(missing)
}

/// An application with one secret.
pub(super) fn application<O: Op>(
    cx: &Cx<'_, O>,
    app: AppId,
    principal: PrincipalId,
    name: &str,
    secret: &Secret<String>,
) -> Application {
    Application { app, principal, name: name.to_owned(), secrets: vec![keep(cx, secret)] }
}

/// What is kept of a secret.
fn keep<O: Op>(cx: &Cx<'_, O>, secret: &Secret<String>) -> ClientSecret {
    ClientSecret {
        id: Uuid::new_v4(),
        hint: secret.expose().chars().take(7).collect(),
        fingerprint: cx.system().fingerprint(PURPOSE, secret.expose()),
        created_at: cx.now(),
        expires_at: cx.now().plus(LIFETIME),
    }
}

fn view(application: &Application) -> ServicePrincipal {
    let secrets = application.secrets.iter().map(|secret| (secret.id, secret.hint.clone(), secret.expires_at));
    ServicePrincipal {
        id: application.principal,
        app: application.app,
        name: application.name.clone(),
        secrets: secrets.collect(),
    }
}
