//! Who asks, as the server itself established it: never by what the client says about itself (invariant 9).

use std::net::IpAddr;

use crate::{Action, AppId, CorrelationId, PrincipalId, ResourceId, RunId, TenantId, WorkspaceId};

/// Who asks, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The identity that was established.
    pub who: Who,
    /// Where the request came from.
    pub source: Source,
}

/// An established identity.
#[derive(Clone, Debug)]
pub enum Who {
    /// No credential at all.
    Nobody,
    /// A user, service principal or managed identity.
    Principal(Principal),
    /// The code of one run, through its run token.
    Run(RunCaller),
    /// Whoever holds a key of a resource, or something that was signed with one.
    Keyed(KeyCaller),
    /// The server's own background work.
    House,
}

/// The kinds of principals (`principalType` in Azure's role assignments).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A set of principals.
    Group,
    /// An application's identity.
    ServicePrincipal,
}

/// A user or service principal.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Object id.
    pub id: PrincipalId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What it is.
    pub kind: PrincipalKind,
    /// The application, for service principals.
    pub app: Option<AppId>,
    /// Display name at the time of sign-in; for people to read, never for decisions.
    pub name: String,
    /// How it proved who it is.
    pub proof: Proof,
}

/// What a sign-in proved, as its token carries it. Empty for service principals, which prove themselves by one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Methods (`amr`, RFC 8176): `pwd`, `otp`, `fido`, `mfa`, `fed`.
    pub methods: Vec<String>,
    /// Authentication contexts that are satisfied (`acrs`): `c1` is multi-factor authentication.
    pub contexts: Vec<String>,
    /// The session it came from: when that ends, so does the token.
    pub session: Option<uuid::Uuid>,
    /// The run whose code got it for a managed identity: when that ends, so does the token.
    pub run: Option<(WorkspaceId, RunId)>,
    /// The grant it was issued under: when that is revoked, so is the token.
    pub grant: Option<uuid::Uuid>,
}

impl Proof {
    /// Whether more than one factor was shown.
    pub fn is_multi_factor(&self) -> bool {
        self.methods.iter().any(|method| method == "mfa")
    }
}

/// The code of a run.
#[derive(Clone, Debug)]
pub struct RunCaller {
    /// Which run.
    pub run: RunId,
    /// The only workspace it may touch.
    pub workspace: WorkspaceId,
    /// That workspace's scope.
    pub scope: ResourceId,
    /// Who submitted it: the activity log names both.
    pub on_behalf_of: PrincipalId,
    /// The only actions its token is for; all that are open to runs when none is listed.
    pub only: Vec<String>,
}

/// Whoever holds a key of a resource, or something that was signed with one: no principal, so no role gives it anything.
#[derive(Clone, Debug)]
pub struct KeyCaller {
    /// What was shown, for the log: `key1`, `service SAS signed with key2`. Never the key.
    pub credential: String,
    /// The only scope it may touch.
    pub scope: ResourceId,
    /// The only actions it is for; none when nothing is listed.
    pub only: Vec<Action>,
    /// Who delegated it: it may do what that principal may, and no more.
    pub on_behalf_of: Option<PrincipalId>,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The peer's address; none for the server itself.
    pub address: Option<IpAddr>,
    /// Whether that address is one of this machine's own.
    pub is_here: bool,
    /// Ties together everything this request causes.
    pub correlation: CorrelationId,
    /// The client's own request id, as it sent it (bounded, printable).
    pub client_request: Option<String>,
}

impl Source {
    /// The server itself.
    pub fn internal() -> Self {
        Self { address: None, is_here: true, correlation: CorrelationId::random(), client_request: None }
    }
}

impl Caller {
    /// Someone without credentials.
    pub fn nobody(source: Source) -> Self {
        Self { who: Who::Nobody, source }
    }

    /// The server's own background work.
    pub fn house() -> Self {
        Self { who: Who::House, source: Source::internal() }
    }

    /// The principal's object id: a run counts as the principal that submitted it only in the log, never here.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.who {
            Who::Principal(principal) => Some(principal),
            _ => None,
        }
    }
}
