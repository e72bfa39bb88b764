//! Service principals: what applications and managed identities are, to whoever assigns roles.

use async_trait::async_trait;
use kernel::{Action, AppId, Class, Error, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};

use super::{
    ApplicationKey, CertificateView, NewSecret, SecretView, application_key, applications, certificates,
    client_secrets,
    listing::{Field, Listing, Page},
    power::require_unmanaged,
    removal::{cut_off, member_row, set_enabled},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{Application, Member},
};

const READ: Action = Action::new("Microsoft.Directory/servicePrincipals/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/servicePrincipals/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/servicePrincipals/delete", Class::Control);

/// A service principal as callers see it: no secret in it.
#[derive(Clone, Debug)]
pub struct ServicePrincipal {
    /// Object id: what roles are assigned to.
    pub id: PrincipalId,
    /// Client id: what signs in. None for what only the server itself acts as.
    pub app: Option<AppId>,
    /// For people.
    pub name: String,
    /// Whether it may sign in.
    pub is_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// The resource whose managed identity it is.
    pub managed_by: Option<ResourceId>,
    /// Its secrets.
    pub secrets: Vec<SecretView>,
    /// Its certificates.
    pub certificates: Vec<CertificateView>,
}

/// Makes an application and its service principal with one secret.
#[derive(Debug)]
pub struct CreateServicePrincipal {
    /// For people.
    pub name: String,
}

#[async_trait]
impl Op for CreateServicePrincipal {
    const ACTION: Action = WRITE;
    type Output = NewSecret;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewSecret> {
        let secret = seal::new_client_secret()?;
        let kept = client_secrets::first_secret(cx, &secret);
        let shown = client_secrets::view(&kept);
        let (member, application) = applications::make(cx, &self.name, vec![kept])?;
        let mut changes = Changes::new();
        applications::put_new(cx, &mut changes, &member, &application)?;
        cx.commit(changes).await?;
        Ok(NewSecret { principal: view(&member, Some(&application)), kept: shown, secret })
    }
}

/// Reads one service principal by its object id.
#[derive(Debug)]
pub struct GetServicePrincipal {
    /// Object id.
    pub principal: PrincipalId,
}

#[async_trait]
impl Op for GetServicePrincipal {
    const ACTION: Action = READ;
    type Output = ServicePrincipal;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServicePrincipal> {
        let member = find(cx, self.principal).await?.value;
        Ok(view(&member, application_of(cx, &member).await?.as_ref()))
    }
}

/// Lists service principals, managed identities among them.
#[derive(Debug)]
pub struct ListServicePrincipals {
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListServicePrincipals {
    const ACTION: Action = READ;
    type Output = Page<ServicePrincipal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page<ServicePrincipal>> {
        self.listing.check(&[Field::DisplayName, Field::AppId])?;
        let state = cx.house().identity.state();
        let wants = |member: &&Member| {
            let app = member.app.map(|app| app.to_string()).unwrap_or_default();
            let is_wanted = self.listing.wants(|field| match field {
                Field::DisplayName => Some(member.name.clone()),
                Field::AppId => Some(app.clone()),
                Field::UserName => None,
            });
            member.kind == PrincipalKind::ServicePrincipal && is_wanted
        };
        let mut found: Vec<&Member> = state.members.values().filter(wants).collect();
        found.sort_unstable_by_key(|member| member.id);
        let page = self.listing.cut(found.into_iter(), |member| member.id.as_bytes().to_vec());
        let mut entries = Vec::with_capacity(page.entries.len());
        for member in page.entries {
            entries.push(view(member, application_of(cx, member).await?.as_ref()));
        }
        Ok(Page { entries, next: page.next })
    }
}

/// Renames, disables or enables a service principal. Disabling ends its tokens at once.
#[derive(Debug)]
pub struct UpdateServicePrincipal {
    /// Object id.
    pub principal: PrincipalId,
    /// For people.
    pub name: Option<String>,
    /// Whether it may sign in.
    pub is_enabled: Option<bool>,
}

#[async_trait]
impl Op for UpdateServicePrincipal {
    const ACTION: Action = WRITE;
    type Output = ServicePrincipal;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServicePrincipal> {
        let _turn = cx.house().assigning.lock().await;
        let mut member = find(cx, self.principal).await?;
        cx.note("principal", self.principal.to_string());
        let mut changes = Changes::new();
        if let Some(name) = self.name {
            require_unmanaged(&member.value)?;
            let (_, mut row) = application_key::find(cx, ApplicationKey::Principal(self.principal)).await?;
            applications::rename(cx, name, &mut member.value, &mut row.value)?;
            changes.put(cx.system(), &row)?;
        }
        if let Some(is_enabled) = self.is_enabled
            && set_enabled(cx, &mut changes, &mut member.value, is_enabled).await?
        {
            cut_off(cx, &mut changes, &mut member.value).await?;
        }
        changes.put(cx.system(), &member)?;
        cx.commit(changes).await?;
        Ok(view(&member.value, application_of(cx, &member.value).await?.as_ref()))
    }
}

/// Deletes a service principal and its application, with credentials, roles and memberships. Its tokens end at once.
#[derive(Debug)]
pub struct DeleteServicePrincipal {
    /// Object id.
    pub principal: PrincipalId,
}

#[async_trait]
impl Op for DeleteServicePrincipal {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        applications::delete(cx, ApplicationKey::Principal(self.principal)).await
    }
}

async fn find(cx: &Admission<'_>, id: PrincipalId) -> Result<Row<Member>> {
    let row = member_row(cx, id).await?.filter(|row| row.value.kind == PrincipalKind::ServicePrincipal);
    row.ok_or_else(|| Error::not_found(format_args!("the service principal `{id}`")))
}

/// The registration behind a service principal; managed identities have none.
async fn application_of(cx: &Admission<'_>, member: &Member) -> Result<Option<Application>> {
    match member.app {
        Some(app) if member.managed_by.is_none() => {
            Ok(cx.get::<Application>(cx.system(), app.as_bytes()).await?.map(|row| row.value))
        }
        _ => Ok(None),
    }
}

pub(super) fn view(member: &Member, application: Option<&Application>) -> ServicePrincipal {
    let secrets = application.map_or(&[][..], |application| &application.secrets);
    let kept = application.map_or(&[][..], |application| &application.certificates);
    ServicePrincipal {
        id: member.id,
        app: member.app,
        name: member.name.clone(),
        is_enabled: !member.is_disabled,
        created_at: member.created_at,
        managed_by: member.managed_by.clone(),
        secrets: secrets.iter().map(client_secrets::view).collect(),
        certificates: kept.iter().map(certificates::view).collect(),
    }
}
