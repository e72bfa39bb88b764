//! The token service of registries (Docker's "Token Authentication Specification", and Azure's exchange of access tokens).

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret, Who};

use super::{
    Login, RegistryPlace, RepositoryName,
    arrive::{admin_place, establish_admin, established},
    place::locate,
    repository::{DELETE, PULL, PUSH},
};
use crate::{
    gate::{Actor, Cx, House, Op},
    identity::{
        Audience, RegistryToken, identify_until,
        registry_token::{Access, Holder, Use, issue},
    },
};

/// Scopes of one request.
const MOST_SCOPES: usize = 32;

/// The words of tokens, with the permission of each.
const WORDS: [(&str, Action); 3] = [("pull", PULL), ("push", PUSH), ("delete", DELETE)];

/// What a client is given.
#[derive(Clone, Debug)]
pub struct IssuedTokens {
    /// To be shown to the registry.
    pub access: RegistryToken,
    /// To get the next one; none when it was not asked for.
    pub refresh: Option<RegistryToken>,
}

/// Issues an access token for what is asked for and its holder may do.
#[derive(Debug)]
pub struct GetRegistryToken {
    /// For which service: a registry's own host name, or the server's.
    pub service: String,
    /// `repository:name:pull,push`, `registry:catalog:*`.
    pub scopes: Vec<String>,
    /// Who asks.
    pub login: Login,
    /// Whether a refresh token is wanted too.
    pub wants_refresh: bool,
}

#[async_trait]
impl Op for GetRegistryToken {
    const ACTION: Action = Action::public("Microsoft.ContainerRegistry/registries/tokens/issue", Class::Read);
    /// None when nobody was established.
    type Output = Option<IssuedTokens>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let refused = || {
            cx.refuse(Kind::Unauthenticated);
            Ok(None)
        };
        if self.scopes.len() > MOST_SCOPES {
            return Err(Error::invalid("scope", format_args!("at most {MOST_SCOPES} scopes are taken at once")));
        }
        let house = cx.house();
        let Some((holder, from)) = established(cx, &self.login).await? else { return refused() };
        let service = Service::of(house, &self.service).await?;
        // A refresh token is for the service that it was issued for.
        if from.as_ref().is_some_and(|claims| claims.aud != service.audience()) {
            return refused();
        }
        let admin = match &holder {
            Holder::Admin(key) => match admin_place(house, key).await? {
                Some(place) => {
                    establish_admin(cx, key);
                    Some(place)
                }
                None => return refused(),
            },
            Holder::Principal(principal) => {
                cx.establish(Actor::Principal { id: principal.id, kind: principal.kind, name: principal.name.clone() });
                None
            }
        };
        let mut access = Vec::new();
        for scope in &self.scopes {
            if let Some(found) = granted(house, &service, &holder, admin.as_ref(), scope).await? {
                access.push(found);
            }
        }
        cx.note("service", service.audience());
        let end = from.as_ref().map(|claims| claims.exp);
        let refresh = match self.wants_refresh && from.is_none() {
            true => Some(issue(house, Use::Refresh, &service.audience(), &holder, Vec::new(), None)?),
            false => None,
        };
        let access = issue(house, Use::Access, &service.audience(), &holder, access, end)?;
        Ok(Some(IssuedTokens { access, refresh }))
    }
}

/// Issues a refresh token for an access token of ours; it ends with that.
#[derive(Debug)]
pub struct ExchangeForRegistry {
    /// For which service.
    pub service: String,
    /// The access token.
    pub token: Secret<String>,
}

#[async_trait]
impl Op for ExchangeForRegistry {
    const ACTION: Action = Action::public("Microsoft.ContainerRegistry/registries/tokens/exchange", Class::Read);
    /// None when the token is not good.
    type Output = Option<RegistryToken>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (house, source) = (cx.house(), cx.caller().source.clone());
        let token = self.token.expose();
        let found = match identify_until(house, token, source.clone(), Audience::Registry).await {
            Err(fault) if fault.kind() == Kind::Unauthenticated => {
                identify_until(house, token, source, Audience::Management).await
            }
            other => other,
        };
        let (principal, end) = match found {
            Ok((caller, end)) => match caller.who {
                Who::Principal(principal) => (principal, end),
                _ => {
                    cx.refuse(Kind::Unauthenticated);
                    return Ok(None);
                }
            },
            Err(fault) if fault.kind() == Kind::Unauthenticated => {
                cx.refuse(Kind::Unauthenticated);
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        cx.establish(Actor::Principal { id: principal.id, kind: principal.kind, name: principal.name.clone() });
        let audience = Service::of(house, &self.service).await?.audience();
        cx.note("service", &audience);
        let holder = Holder::Principal(principal);
        issue(house, Use::Refresh, &audience, &holder, Vec::new(), Some(end.seconds())).map(Some)
    }
}

/// What a token is for.
enum Service {
    /// One registry, by its own name.
    Own(Arc<RegistryPlace>),
    /// The server: repositories' names begin with the registry's.
    House,
}

impl Service {
    async fn of(house: &House, named: &str) -> Result<Self> {
        let host =
            named.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(named, |(host, _)| host);
        let host = host.to_ascii_lowercase();
        let suffix = format!(".azurecr.{}", house.settings().suffix.to_ascii_lowercase());
        let Some(name) = host.strip_suffix(&suffix) else { return Ok(Self::House) };
        // One that is not there is as good as the server: whatever is asked of it is not granted.
        Ok(locate(house, name).await?.map_or(Self::House, Self::Own))
    }

    fn audience(&self) -> String {
        match self {
            Self::Own(place) => place.guid.to_string(),
            Self::House => String::from("registries"),
        }
    }
}

/// What of a scope is granted; none when nothing is.
async fn granted(
    house: &House,
    service: &Service,
    holder: &Holder,
    admin: Option<&Arc<RegistryPlace>>,
    scope: &str,
) -> Result<Option<Access>> {
    // A name may hold a port before its colon; actions never do.
    let Some((kind, rest)) = scope.split_once(':') else { return Ok(None) };
    let Some((name, actions)) = rest.rsplit_once(':') else { return Ok(None) };
    let kind = kind.split('(').next().unwrap_or_default();
    let (place, repository) = match (kind, service) {
        ("registry", Service::Own(place)) if name == "catalog" => (Some(place.clone()), None),
        // By the server's name the list is that of the registry which the name begins with.
        ("registry", Service::House) if name.ends_with("/catalog") => {
            (locate(house, name.trim_end_matches("/catalog")).await?, None)
        }
        ("repository", Service::Own(place)) => (Some(place.clone()), Some(name)),
        ("repository", Service::House) => match name.split_once('/') {
            Some((registry, name)) => (locate(house, registry).await?, Some(name)),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(place) = place else { return Ok(None) };
    if repository.is_some_and(|name| name.parse::<RepositoryName>().is_err()) {
        return Ok(None);
    }
    let may = |action: &Action| match (holder, admin) {
        (Holder::Principal(principal), _) => house.access().allows(principal.id, action, &place.id),
        (Holder::Admin(_), Some(own)) => own.guid == place.guid,
        (Holder::Admin(_), None) => false,
    };
    let asked: Vec<&str> = actions.split(',').map(str::trim).collect();
    let is_asked = |word: &str| {
        asked.iter().any(|asked| *asked == word || *asked == "*" || (word == "pull" && *asked == "metadata_read"))
    };
    let held: Vec<String> = match repository {
        Some(_) => WORDS
            .iter()
            .filter(|(word, action)| is_asked(word) && may(action))
            .map(|(word, _)| (*word).to_owned())
            .collect(),
        None => may(&PULL).then(|| String::from("*")).into_iter().collect(),
    };
    let repository = repository.map(str::to_owned);
    Ok((!held.is_empty()).then(|| Access { registry: place.guid, repository, actions: held }))
}
