//! Applications: what signs in, or lets people sign in. Each has one service principal, made and ended with it.

use async_trait::async_trait;
use kernel::{Action, AppId, Class, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};

use super::{
    ApplicationKey, CertificateEntry, CertificateView, SecretView, application_key, certificates, client_secrets,
    listing::{Field, Listing, Page},
    naming,
    power::require_way_in,
    redirects::{check_redirects, require_right_to_redirect},
    removal::{cut_off, remove, require_room},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{Application, ClientSecret, FederatedCredential, Member, found::new_member},
};

pub(super) const READ: Action = Action::new("Microsoft.Directory/applications/read", Class::Read);
pub(super) const WRITE: Action = Action::new("Microsoft.Directory/applications/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/applications/delete", Class::Control);

/// An application as callers see it: no secret in it.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Client id: what signs in.
    pub app: AppId,
    /// Its service principal's object id: what roles are assigned to.
    pub principal: PrincipalId,
    /// For people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it is a public client: no secret, always PKCE.
    pub is_public: bool,
    /// A confidential client that does without PKCE.
    pub without_pkce: bool,
    /// Where answers to sign-ins go.
    pub redirect_uris: Vec<String>,
    /// Its secrets.
    pub secrets: Vec<SecretView>,
    /// Its certificates.
    pub certificates: Vec<CertificateView>,
    /// Whose tokens stand for it.
    pub federated: Vec<FederatedCredential>,
}

/// What an application is to be; what is none stays, or is as little as possible in a new one.
#[derive(Debug, Default)]
pub struct NewApplication {
    /// For people.
    pub name: Option<String>,
    /// Whether it is a public client.
    pub is_public: Option<bool>,
    /// Whether it, being confidential, does without PKCE.
    pub without_pkce: Option<bool>,
    /// Where answers to sign-ins go.
    pub redirect_uris: Option<Vec<String>>,
    /// The certificates it is to have: those named stay, those with a certificate are added, the others go.
    pub certificates: Option<Vec<CertificateEntry>>,
}

/// Makes an application with its service principal, and no secret yet.
#[derive(Debug)]
pub struct CreateApplication {
    /// What it is to be.
    pub form: NewApplication,
}

#[async_trait]
impl Op for CreateApplication {
    const ACTION: Action = WRITE;
    type Output = Registration;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Registration> {
        let name = self.form.name.clone().unwrap_or_default();
        let mut changes = Changes::new();
        let (mut member, mut application) = make(cx, &name, Vec::new())?;
        apply(cx, self.form, &mut member, &mut application).await?;
        put_new(cx, &mut changes, &member, &application)?;
        cx.commit(changes).await?;
        Ok(view(&member, &application))
    }
}

/// Reads an application.
#[derive(Debug)]
pub struct GetApplication {
    /// Client id.
    pub app: AppId,
}

#[async_trait]
impl Op for GetApplication {
    const ACTION: Action = READ;
    type Output = Registration;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Registration> {
        let (member, application) = application_key::find(cx, ApplicationKey::Client(self.app)).await?;
        Ok(view(&member.value, &application.value))
    }
}

/// Lists applications.
#[derive(Debug)]
pub struct ListApplications {
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListApplications {
    const ACTION: Action = READ;
    type Output = Page<Registration>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page<Registration>> {
        self.listing.check(&[Field::DisplayName, Field::AppId])?;
        let wants = |row: &Row<Application>| {
            let app = row.value.app.to_string();
            self.listing.wants(|field| match field {
                Field::DisplayName => Some(row.value.name.clone()),
                Field::AppId => Some(app.clone()),
                Field::UserName => None,
            })
        };
        let page = self.listing.scan(cx, wants).await?;
        let state = cx.house().identity.state();
        Ok(page.filter_map(|row: Row<Application>| Some(view(state.members.get(&row.value.principal)?, &row.value))))
    }
}

/// Changes an application.
#[derive(Debug)]
pub struct UpdateApplication {
    /// Client id.
    pub app: AppId,
    /// What is to be changed.
    pub form: NewApplication,
}

#[async_trait]
impl Op for UpdateApplication {
    const ACTION: Action = WRITE;
    type Output = Registration;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Registration> {
        let _turn = cx.house().assigning.lock().await;
        let (mut member, mut application) = application_key::find(cx, ApplicationKey::Client(self.app)).await?;
        note(cx, &application.value);
        let mut changes = Changes::new();
        let is_over = apply(cx, self.form, &mut member.value, &mut application.value).await?;
        require_way_in(cx, &mut changes, &application.value).await?;
        if is_over {
            cut_off(cx, &mut changes, &mut member.value).await?;
        }
        changes.put(cx.system(), &member)?;
        changes.put(cx.system(), &application)?;
        cx.commit(changes).await?;
        Ok(view(&member.value, &application.value))
    }
}

/// Deletes an application and its service principal, with its credentials, roles and memberships. Its tokens end at once.
#[derive(Debug)]
pub struct DeleteApplication {
    /// Client id.
    pub app: AppId,
}

#[async_trait]
impl Op for DeleteApplication {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        delete(cx, ApplicationKey::Client(self.app)).await
    }
}

/// Deletes an application by either of its names.
pub(super) async fn delete(cx: &Admission<'_>, key: ApplicationKey) -> Result<()> {
    let _turn = cx.house().assigning.lock().await;
    let (member, application) = application_key::find(cx, key).await?;
    let mut changes = Changes::new();
    remove(cx, &mut changes, &member).await?;
    changes.delete(cx.system(), &application);
    cx.note("application", application.value.app.to_string());
    cx.commit(changes).await
}

/// A new application and its principal, not stored yet.
pub(super) fn make(cx: &Admission<'_>, name: &str, secrets: Vec<ClientSecret>) -> Result<(Member, Application)> {
    naming::check_name("displayName", name)?;
    require_room(cx)?;
    let (app, principal) = (AppId::random(), PrincipalId::random());
    let member = new_member(cx, principal, PrincipalKind::ServicePrincipal, name, Some(app));
    let application = blank(app, principal, name, secrets);
    note(cx, &application);
    Ok((member, application))
}

/// An application that can do nothing but prove itself by these secrets.
pub(in crate::identity) fn blank(
    app: AppId,
    principal: PrincipalId,
    name: &str,
    secrets: Vec<ClientSecret>,
) -> Application {
    Application {
        app,
        principal,
        name: name.to_owned(),
        secrets,
        certificates: Vec::new(),
        federated: Vec::new(),
        redirect_uris: Vec::new(),
        is_public: false,
        without_pkce: false,
    }
}

pub(super) fn put_new(
    cx: &Admission<'_>,
    changes: &mut Changes,
    member: &Member,
    application: &Application,
) -> Result<()> {
    changes.put(cx.system(), &Row::new(member.id.as_bytes().as_slice(), member.clone()))?;
    changes.put(cx.system(), &Row::new(application.app.as_bytes().as_slice(), application.clone()))?;
    Ok(())
}

/// Does what a form says; says whether a certificate that was still good is gone.
async fn apply(
    cx: &Admission<'_>,
    form: NewApplication,
    member: &mut Member,
    application: &mut Application,
) -> Result<bool> {
    if let Some(name) = form.name {
        rename(cx, name, member, application)?;
    }
    application.is_public = form.is_public.unwrap_or(application.is_public);
    application.without_pkce = form.without_pkce.unwrap_or(application.without_pkce);
    if let Some(uris) = form.redirect_uris {
        require_right_to_redirect(cx, &application.redirect_uris, &uris).await?;
        application.redirect_uris = uris;
    }
    check_redirects(application)?;
    match form.certificates {
        Some(entries) => certificates::replace(cx, application, entries).await,
        None => Ok(false),
    }
}

/// Gives an application and its principal another name.
pub(super) fn rename(
    cx: &Admission<'_>,
    name: String,
    member: &mut Member,
    application: &mut Application,
) -> Result<()> {
    naming::check_name("displayName", &name)?;
    cx.note("name", &name);
    member.name.clone_from(&name);
    application.name = name;
    Ok(())
}

/// Names an application in the record.
pub(super) fn note(cx: &Admission<'_>, application: &Application) {
    cx.note("application", application.app.to_string());
    cx.note("principal", application.principal.to_string());
    cx.note("name", &application.name);
}

fn view(member: &Member, application: &Application) -> Registration {
    Registration {
        app: application.app,
        principal: application.principal,
        name: application.name.clone(),
        created_at: member.created_at,
        is_public: application.is_public,
        without_pkce: application.without_pkce,
        redirect_uris: application.redirect_uris.clone(),
        secrets: application.secrets.iter().map(client_secrets::view).collect(),
        certificates: application.certificates.iter().map(certificates::view).collect(),
        federated: application.federated.clone(),
    }
}
