//! Client secrets: several at a time, each with its end, shown once.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret, Timestamp};
use uuid::Uuid;

use super::{
    ApplicationKey, ServicePrincipal, application_key, applications, naming,
    power::{require_power_over, require_way_in},
    removal::cut_off,
    service_principals,
};
use crate::{
    gate::{Admission, Changes, Cx, Op},
    identity::ClientSecret,
};

pub(super) const UPDATE: Action = Action::new("Microsoft.Directory/servicePrincipals/write", Class::Control);
/// What secrets are fingerprinted as.
pub(in crate::identity) const PURPOSE: &str = "client secret";
/// Secrets live a year unless asked otherwise.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// No secret lives longer than two years (NIST SP 800-57).
const LONGEST_LIFETIME: Duration = Duration::from_secs(731 * 24 * 3600);
const MOST_SECRETS: usize = 20;

/// A secret as callers see it.
#[derive(Clone, Debug)]
pub struct SecretView {
    /// Names it.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// Its first characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A secret, shown once.
#[derive(Debug)]
pub struct NewSecret {
    /// Whose.
    pub principal: ServicePrincipal,
    /// What is kept of it.
    pub kept: SecretView,
    /// The secret.
    pub secret: Secret<String>,
}

/// Adds a secret to an application; the others stay valid, so that rotation needs no pause.
#[derive(Debug)]
pub struct AddClientSecret {
    /// Which application.
    pub of: ApplicationKey,
    /// What it is for; may be empty.
    pub name: String,
    /// When it ends; a year from now when none.
    pub expires_at: Option<Timestamp>,
}

#[async_trait]
impl Op for AddClientSecret {
    const ACTION: Action = UPDATE;
    type Output = NewSecret;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewSecret> {
        let (member, mut row) = application_key::find(cx, self.of).await?;
        applications::note(cx, &row.value);
        require_power_over(cx, member.value.id).await?;
        if !self.name.is_empty() {
            naming::check_name("passwordCredential.displayName", &self.name)?;
        }
        let now = cx.now();
        let expires_at = self.expires_at.unwrap_or(now.plus(LIFETIME));
        if expires_at <= now || expires_at > now.plus(LONGEST_LIFETIME) {
            return Err(Error::invalid("passwordCredential.endDateTime", "must be within the next two years"));
        }
        if row.value.is_public {
            let why = "a public client keeps no secret: whoever has the application would have it too";
            return Err(Error::new(Kind::Conflict, why));
        }
        row.value.secrets.retain(|secret| secret.expires_at > now);
        if row.value.secrets.len() >= MOST_SECRETS {
            let why = format!("a service principal has at most {MOST_SECRETS} secrets; remove one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        let secret = seal::new_client_secret()?;
        let kept = keep(cx, &secret, self.name, expires_at);
        cx.note("secret", kept.id.to_string());
        let shown = view(&kept);
        row.value.secrets.push(kept);
        let principal = service_principals::view(&member.value, Some(&row.value));
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(NewSecret { principal, kept: shown, secret })
    }
}

/// Removes a secret. One that was still good may be in wrong hands: the application's tokens end with it, whichever of its
/// credentials they came from, and the application asks for new ones.
#[derive(Debug)]
pub struct RemoveClientSecret {
    /// Which application.
    pub of: ApplicationKey,
    /// Which secret.
    pub key: Uuid,
}

#[async_trait]
impl Op for RemoveClientSecret {
    const ACTION: Action = UPDATE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let (mut member, mut row) = application_key::find(cx, self.of).await?;
        applications::note(cx, &row.value);
        require_power_over(cx, member.value.id).await?;
        let secrets = &mut row.value.secrets;
        let at = secrets.iter().position(|secret| secret.id == self.key);
        let at = at.ok_or_else(|| Error::invalid("keyId", "names no secret of this application"))?;
        let gone = secrets.remove(at);
        cx.note("secret", gone.id.to_string());
        let mut changes = Changes::new();
        require_way_in(cx, &mut changes, &row.value).await?;
        if gone.expires_at > cx.now() {
            cut_off(cx, &mut changes, &mut member.value).await?;
            changes.put(cx.system(), &member)?;
        }
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await
    }
}

/// What is kept of a new application's first secret.
pub(in crate::identity) fn first_secret(cx: &Admission<'_>, secret: &Secret<String>) -> ClientSecret {
    keep(cx, secret, String::new(), cx.now().plus(LIFETIME))
}

fn keep(cx: &Admission<'_>, secret: &Secret<String>, name: String, expires_at: Timestamp) -> ClientSecret {
    ClientSecret {
        id: Uuid::new_v4(),
        name,
        hint: secret.expose().chars().take(7).collect(),
        fingerprint: cx.system().fingerprint(PURPOSE, secret.expose()),
        created_at: cx.now(),
        expires_at,
    }
}

pub(super) fn view(secret: &ClientSecret) -> SecretView {
    SecretView {
        id: secret.id,
        name: secret.name.clone(),
        hint: secret.hint.clone(),
        created_at: secret.created_at,
        expires_at: secret.expires_at,
    }
}
