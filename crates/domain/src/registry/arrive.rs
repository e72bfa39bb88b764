//! How callers of a registry prove themselves: by a token of the registry, by an access token for registries, or by a service principal's
//! id and secret. What comes out is a caller for the gate, which decides as for everybody.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, KeyCaller, Kind, ResourceId, Result, Secret, Source, Who};

use super::{
    RegistryPlace, RepositoryName,
    place::locate,
    repository::{DELETE, PULL, PUSH},
};
use crate::{
    gate::{Actor, Admission, Cx, House, Op, enter, knock_as},
    identity::{
        Audience, identify_at, prove_service_principal,
        registry_token::{AdminKey, Claims, Holder, Use, holder},
    },
};

/// The name under which clients show a refresh token in place of a password.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";
/// What a password of an admin account is compared as.
const PURPOSE: &str = "registry password";
/// The code of a refusal that a wider token would not be.
pub const INSUFFICIENT: &str = "insufficient_scope";

/// A name and a password, as clients show them.
#[derive(Clone, Debug)]
pub enum Login {
    /// A service principal.
    Client {
        /// Its client id.
        id: String,
        /// Its secret.
        secret: Secret<String>,
    },
    /// The admin account of a registry.
    Admin {
        /// The registry.
        name: String,
        /// One of its passwords.
        password: Secret<String>,
    },
    /// A refresh token.
    Refresh(Secret<String>),
}

impl Login {
    /// What a name and a password mean.
    pub fn new(name: String, password: Secret<String>) -> Self {
        let is_id = name.len() == TOKEN_USER.len() && name.bytes().filter(|c| *c == b'-').count() == 4;
        match name {
            name if name == TOKEN_USER => Self::Refresh(password),
            id if is_id => Self::Client { id, secret: password },
            name => Self::Admin { name, password },
        }
    }
}

/// What a request shows.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing.
    Nothing,
    /// A bearer token.
    Bearer(Secret<String>),
    /// A name and a password.
    Basic(Login),
}

/// What a request needs.
#[derive(Clone, Debug)]
pub struct Need {
    /// The permission of roles.
    pub action: Action,
    /// The word of tokens.
    pub word: &'static str,
    /// The repository; none for the list of them.
    pub repository: Option<RepositoryName>,
}

/// A caller that was established.
#[derive(Debug)]
pub struct Arrival {
    /// The registry.
    pub registry: Arc<RegistryPlace>,
    /// Who asks.
    pub caller: Caller,
}

/// Establishes who asks for something of a registry, and whether they may.
///
/// # Errors
/// As the gate for whoever may not; `Unauthenticated` without a credential, for a bad one, and (`insufficient_scope`) for a token that
/// was issued for something else; `NotFound` for a registry that is not there, to whoever proved themselves.
pub async fn arrive(
    house: &House,
    source: Source,
    registry: &str,
    credential: Credential,
    need: &Need,
) -> Result<Arrival> {
    let (holder, claims) = proved(house, source.clone(), credential).await?;
    let place = locate(house, registry).await?;
    let repository = need.repository.as_ref().map(RepositoryName::as_str);
    let is_covered = match (&claims, &place) {
        (None, _) => true,
        (Some(claims), Some(place)) => claims.covers(place.guid, repository, need.word),
        (Some(_), None) => false,
    };
    if !is_covered {
        let why = "the token was issued for something else; ask for one with the scope that is named";
        return Err(Error::new(Kind::Unauthenticated, why).coded(INSUFFICIENT));
    }
    // Without a code of its own: what is not there is told in the words of what is not theirs.
    let place = place.ok_or_else(|| Error::not_found("the registry"))?;
    let caller = Caller { who: who(house, holder).await?, source };
    // Before anything else of the request is looked at: a stranger learns nothing from how it is read.
    if let Err(fault) = knock_as(house, &caller, &need.action, &place.id).await {
        return Err(known(house, &caller, &place, fault));
    }
    place.require_open()?;
    Ok(Arrival { registry: place, caller })
}

/// Whoever may pull knows that the registry is there, so that they are refused and not told that it is not.
fn known(house: &House, caller: &Caller, place: &RegistryPlace, fault: Error) -> Error {
    let may_pull = |principal: &kernel::Principal| house.access().allows(principal.id, &PULL, &place.id);
    if fault.kind() == Kind::NotFound && caller.principal().is_some_and(may_pull) {
        return Error::new(Kind::Denied, "whoever asks is not authorized to do this in this registry");
    }
    fault
}

/// Establishes that somebody is who they say, whatever they may do.
///
/// # Errors
/// `Unauthenticated`.
pub async fn greet(house: &House, source: Source, credential: Credential) -> Result<()> {
    let (holder, _) = proved(house, source, credential).await?;
    who(house, holder).await.map(drop)
}

fn unproved(why: &str) -> Error {
    Error::new(Kind::Unauthenticated, why)
}

/// Who shows this, and what a token of the registry's own says.
async fn proved(house: &House, source: Source, credential: Credential) -> Result<(Holder, Option<Arc<Claims>>)> {
    match credential {
        Credential::Nothing => {
            house.count_anonymous_denial();
            Err(unproved("a registry is asked with a token, or with the id and secret of a service principal"))
        }
        Credential::Bearer(token) => {
            if let Some((holder, claims)) = holder(house, Use::Access, token.expose()).await? {
                return Ok((holder, Some(claims)));
            }
            let caller = identify_at(house, token.expose(), source, Audience::Registry).await;
            match caller.inspect_err(|_| house.count_anonymous_denial())?.who {
                Who::Principal(principal) => Ok((Holder::Principal(principal), None)),
                _ => Err(unproved("this token is not for registries")),
            }
        }
        Credential::Basic(login) => {
            let nobody = Caller::nobody(source);
            let found = enter(house, &nobody, SignInToRegistry { login }).await?;
            found.map(|holder| (holder, None)).ok_or_else(|| unproved("the name or the password is wrong"))
        }
    }
}

/// The caller that the gate decides about.
async fn who(house: &House, holder: Holder) -> Result<Who> {
    match holder {
        Holder::Principal(principal) => Ok(Who::Principal(principal)),
        Holder::Admin(key) => {
            let place = admin_place(house, &key).await?;
            let place = place.ok_or_else(|| unproved("the password was changed, or the admin account is off"))?;
            Ok(Who::Keyed(KeyCaller {
                credential: admin_account(&key),
                scope: place.id.clone(),
                only: vec![PULL, PUSH, DELETE],
                on_behalf_of: None,
            }))
        }
    }
}

/// What records call whoever shows a password of an admin account.
fn admin_account(key: &AdminKey) -> String {
    format!("registry admin account by {}", key.name)
}

/// The record names the password that was shown, and of which registry.
pub(super) fn establish_admin(cx: &Admission<'_>, key: &AdminKey) {
    cx.note("registry", &key.named);
    cx.establish(Actor::AccountKey { credential: admin_account(key), on_behalf_of: None });
}

/// The registry of an admin account, when that is on and has this very password still.
pub(super) async fn admin_place(house: &House, key: &AdminKey) -> Result<Option<Arc<RegistryPlace>>> {
    let is_same = |place: &Arc<RegistryPlace>| {
        let has = |kept: &crate::resources::AccountKey| kept.name == key.name && kept.made_at == key.made_at;
        place.guid == key.registry && place.passwords.iter().any(has)
    };
    Ok(locate(house, &key.named).await?.filter(is_same))
}

/// Whose name and password these are.
pub(super) async fn established(cx: &Admission<'_>, login: &Login) -> Result<Option<(Holder, Option<Arc<Claims>>)>> {
    match login {
        Login::Client { id, secret } => {
            let found = prove_service_principal(cx, id, secret).await?;
            Ok(found.map(|principal| (Holder::Principal(principal), None)))
        }
        Login::Admin { name, password } => Ok(admin(cx, name, password).await?.map(|key| (Holder::Admin(key), None))),
        Login::Refresh(token) => {
            let found = holder(cx.house(), Use::Refresh, token.expose()).await?;
            Ok(found.map(|(holder, claims)| (holder, Some(claims))))
        }
    }
}

/// Every password is compared, so that the time does not tell which one came close.
async fn admin(cx: &Admission<'_>, name: &str, password: &Secret<String>) -> Result<Option<AdminKey>> {
    let Some(place) = locate(cx.house(), name).await? else { return Ok(None) };
    let mut found = None;
    for kept in &place.passwords {
        let fingerprint = cx.system().fingerprint(PURPOSE, kept.value.expose());
        if cx.system().matches(PURPOSE, password.expose(), &fingerprint) {
            let (name, made_at) = (kept.name.clone(), kept.made_at);
            found = Some(AdminKey { registry: place.guid, named: place.name().to_owned(), name, made_at });
        }
    }
    Ok(found)
}

/// Establishes who shows a name and a password.
#[derive(Debug)]
pub struct SignInToRegistry {
    login: Login,
}

#[async_trait]
impl Op for SignInToRegistry {
    const ACTION: Action = Action::public("Microsoft.ContainerRegistry/registries/signIn", Class::Read);
    type Output = Option<Holder>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let found = match &self.login {
            // It only gets others, at the token service, each for what it was asked for.
            Login::Refresh(_) => None,
            login => established(cx, login).await?.map(|(holder, _)| holder),
        };
        match &found {
            Some(Holder::Admin(key)) => establish_admin(cx, key),
            Some(Holder::Principal(_)) => {}
            None => cx.refuse(Kind::Unauthenticated),
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_its_password_is() {
        let of = |name: &str| match Login::new(name.to_owned(), Secret::new(String::new())) {
            Login::Client { .. } => "client",
            Login::Admin { .. } => "admin",
            Login::Refresh(_) => "token",
        };
        assert_eq!(of(TOKEN_USER), "token");
        assert_eq!(of("6f9619ff-8b86-d011-b42d-00c04fc964ff"), "client");
        assert_eq!(of("myregistry"), "admin");
        assert_eq!(of(""), "admin");
    }
}
