//! Making providers known, changing them, and parting with them.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{
    IdentityProvider, MultiFactorTrust, ProviderForm,
    ending::{end_sessions, take_groups_back},
    form::{check_groups, require_power_over_groups},
    pin::pin,
    provider::{MOST_PROVIDERS, all, find, require_other_ways, view},
    records::Provider,
};
use crate::gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row};

const READ: Action = Action::new("Microsoft.Directory/identityProviders/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/identityProviders/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/identityProviders/delete", Class::Control);

/// How often a change is tried again when a session changed meanwhile.
const TRIES: usize = 8;

/// Makes a provider known: asks its issuer for its endpoints and writes them down.
#[derive(Debug)]
pub struct CreateIdentityProvider {
    /// `iss`: an `https` address without query, exactly as the provider writes it.
    pub issuer: String,
    /// What it is to be. Name and client id are needed.
    pub form: ProviderForm,
}

#[async_trait]
impl Op for CreateIdentityProvider {
    const ACTION: Action = WRITE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant, Guard::Rule];
    type Output = IdentityProvider;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        if !self.form.decides_groups() {
            return Ok(Guarded::default());
        }
        let body = json!({"issuer": self.issuer, "form": self.form.in_words()});
        let places = house.access().places_of_any_grant();
        Ok(Guarded { places, body, secret: self.form.client_secret.clone() })
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<IdentityProvider> {
        let Self { issuer, form } = self;
        if !is_issuer(&issuer) {
            let why = "must be an `https` address of at most 512 characters, without query or fragment";
            return Err(Error::invalid("issuer", why));
        }
        for (field, is_missing) in [("displayName", form.name.is_none()), ("clientId", form.client_id.is_none())] {
            if is_missing {
                return Err(Error::invalid(field, "is needed"));
            }
        }
        let known = all(cx).await?;
        if known.iter().any(|row| row.value.issuer == issuer) {
            return Err(taken());
        }
        if known.len() >= MOST_PROVIDERS {
            let why = format!("at most {MOST_PROVIDERS} identity providers can be known; delete one first");
            return Err(Error::new(Kind::TooLarge, why));
        }
        let mut provider = Provider {
            id: Uuid::new_v4(),
            name: String::new(),
            issuer: issuer.clone(),
            client_id: String::new(),
            client_secret: None,
            is_enabled: true,
            pinned: pin(cx, &issuer).await?,
            scopes: ["profile", "email"].map(String::from).into(),
            creates_users: false,
            user_name_claim: String::from("preferred_username"),
            group_claim: None,
            groups: Vec::new(),
            mfa: MultiFactorTrust::default(),
            created_at: cx.now(),
        };
        form.fill(&mut provider)?;
        let _turn = cx.house().assigning.lock().await;
        check_groups(cx, &provider.groups)?;
        require_power_over_groups(cx, &provider.groups).await?;
        note(cx, &provider);
        let shown = view(cx, &provider);
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(cx.system().name_id::<Provider>(&issuer), provider))?;
        match cx.commit(changes).await {
            Ok(()) => Ok(shown),
            // Somebody else made it known since the list was read.
            Err(fault) if fault.kind() == Kind::Stale => Err(taken()),
            Err(fault) => Err(fault),
        }
    }
}

/// Reads a provider.
#[derive(Debug)]
pub struct GetIdentityProvider {
    /// Which one.
    pub provider: Uuid,
}

#[async_trait]
impl Op for GetIdentityProvider {
    const ACTION: Action = READ;
    type Output = IdentityProvider;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<IdentityProvider> {
        Ok(view(cx, &find(cx, self.provider).await?.value))
    }
}

/// Lists the providers.
#[derive(Debug)]
pub struct ListIdentityProviders;

#[async_trait]
impl Op for ListIdentityProviders {
    const ACTION: Action = READ;
    type Output = Vec<IdentityProvider>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(all(cx).await?.iter().map(|row| view(cx, &row.value)).collect())
    }
}

/// Changes a provider. Disabling it ends the sessions that came from it, with their tokens, in the same commit.
#[derive(Debug)]
pub struct UpdateIdentityProvider {
    /// Which one.
    pub provider: Uuid,
    /// What is to be changed.
    pub form: ProviderForm,
    /// Whether its endpoints are asked for again.
    pub is_refreshed: bool,
}

#[async_trait]
impl Op for UpdateIdentityProvider {
    const ACTION: Action = WRITE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant, Guard::Rule];
    type Output = IdentityProvider;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        if !self.form.decides_groups() {
            return Ok(Guarded::default());
        }
        let body = json!({"provider": self.provider, "isRefreshed": self.is_refreshed, "form": self.form.in_words()});
        let places = house.access().places_of_any_grant();
        Ok(Guarded { places, body, secret: self.form.client_secret.clone() })
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<IdentityProvider> {
        let Self { provider, form, is_refreshed } = self;
        let mut row = find(cx, provider).await?;
        if is_refreshed {
            row.value.pinned = pin(cx, &row.value.issuer).await?;
            cx.note("endpoints", "asked for again");
        }
        let was_enabled = row.value.is_enabled;
        let (decides_groups, is_new_table) = (form.decides_groups(), form.groups.is_some());
        form.fill(&mut row.value)?;
        let _turn = cx.house().assigning.lock().await;
        if is_new_table {
            check_groups(cx, &row.value.groups)?;
        }
        if decides_groups {
            require_power_over_groups(cx, &row.value.groups).await?;
        }
        note(cx, &row.value);
        let shown = view(cx, &row.value);
        for _ in 0..TRIES {
            let mut changes = Changes::new();
            if was_enabled && !row.value.is_enabled {
                require_other_ways(cx, &mut changes, provider).await?;
                end_sessions(cx, &mut changes, provider).await?;
            }
            changes.put(cx.system(), &row)?;
            match cx.commit(changes).await {
                Ok(()) => return Ok(shown),
                // A session was used at this moment; the provider itself is looked at by the version in its row.
                Err(fault) if fault.kind() == Kind::Stale => {
                    let is_same = find(cx, provider).await?.version == row.version;
                    if !is_same {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(busy())
    }
}

/// Parts with a provider: the sessions that came from it end, and what its people were given by its word is taken back. Who
/// is who is kept: the same issuer, made known again, means the same people.
#[derive(Debug)]
pub struct DeleteIdentityProvider {
    /// Which one.
    pub provider: Uuid,
}

#[async_trait]
impl Op for DeleteIdentityProvider {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        for _ in 0..TRIES {
            let row = find(cx, self.provider).await?;
            let mut changes = Changes::new();
            require_other_ways(cx, &mut changes, self.provider).await?;
            end_sessions(cx, &mut changes, self.provider).await?;
            take_groups_back(cx, &mut changes, &row.value.issuer).await?;
            changes.delete(cx.system(), &row);
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(busy())
    }
}

fn note(cx: &Admission<'_>, provider: &Provider) {
    cx.note("provider", provider.id.to_string());
    cx.note("issuer", &provider.issuer);
    cx.note("name", &provider.name);
    cx.note("enabled", provider.is_enabled.to_string());
    cx.note("createsUsers", provider.creates_users.to_string());
    cx.note("groupMappings", provider.groups.len().to_string());
    cx.note("believesFactors", (provider.mfa != MultiFactorTrust::default()).to_string());
}

fn taken() -> Error {
    Error::new(Kind::Exists, "an identity provider with this issuer is known already; change that one")
}

fn busy() -> Error {
    Error::new(Kind::Stale, "sessions of this provider keep changing; try again")
}

/// OpenID Connect Discovery §2; `http` is left to the operator's list of hosts, which has it for this machine alone.
fn is_issuer(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: u8| c.is_ascii_graphic() && !matches!(c, b'?' | b'#' | b'\\' | b'"' | b'<' | b'>' | b'@');
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        && text.len() <= 512
        && text.bytes().all(is_plain)
}
