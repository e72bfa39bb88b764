//! The identity room: tenant, principals, their credentials, and the tokens that stand for them.

mod authenticate;
mod authority;
mod directory;
mod found;
mod records;
mod run_token;
pub(crate) mod service_token;
mod token;
mod token_keys;

pub use authenticate::identify;
pub use authority::IssueServerCertificate;
pub use directory::{
    AddClientSecret, CreateServicePrincipal, GetServicePrincipal, ListServicePrincipals, NewSecret, ServicePrincipal,
};
pub use found::{Charter, FoundHouse};
pub use records::{Application, ClientSecret, Member, Person, Tenant};
pub use run_token::{RunClaims, issue_run_token};
pub use seal::PublicKey;
pub use service_token::ServiceToken;
pub use token::{AccessToken, GetToken, TokenRefusal};
pub use token_keys::{GetDiscovery, ListSigningKeys, RotateSigningKeys};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use kernel::{Caller, PrincipalId, PrincipalKind, Result, TenantId, Timestamp};
use seal::TokenKeys;

use crate::gate::{House, Record};
use records::SigningKey;

/// A commit that touches one of these tables reloads what this room keeps in memory.
pub(crate) const TABLES: &[&str] = &[Tenant::TABLE, Member::TABLE, SigningKey::TABLE];

/// What the room keeps in memory: small, and reloaded after every change to its tables.
#[derive(Default)]
pub(crate) struct Identity {
    state: ArcSwap<State>,
    /// Tokens that verified, by digest, so that a token's signature is checked once.
    verified: Mutex<HashMap<[u8; 32], (Caller, Timestamp)>>,
    service_tokens: service_token::Verified,
}

struct State {
    tenant: Option<TenantId>,
    members: HashMap<PrincipalId, Member>,
    keys: TokenKeys,
}

impl Default for State {
    fn default() -> Self {
        Self { tenant: None, members: HashMap::new(), keys: TokenKeys::new(Vec::new()) }
    }
}

impl Identity {
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        self.state.load().tenant
    }

    /// What kind of principal has this object id; none when nobody has.
    pub(crate) fn kind_of(&self, id: PrincipalId) -> Option<PrincipalKind> {
        self.state.load().members.get(&id).map(|member| member.kind)
    }

    /// Whether the principal is enabled and has a way to sign in: people have none until the sign-in pages exist.
    pub(crate) fn can_sign_in(&self, id: PrincipalId) -> bool {
        self.state.load().members.get(&id).is_some_and(|member| member.app.is_some() && !member.is_disabled)
    }

    fn member(&self, id: PrincipalId) -> Option<Member> {
        self.state.load().members.get(&id).cloned()
    }

    fn state(&self) -> Arc<State> {
        self.state.load_full()
    }
}

impl House {
    /// Reloads tenant, principals and signing keys.
    pub(crate) async fn reload_identity(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let system = self.system();
        let tenant = self.all::<Tenant>(system, b"").await?.first().map(|row| row.value.id);
        let rows = self.all::<Member>(system, b"").await?;
        let members = rows.into_iter().map(|row| (row.value.id, row.value)).collect();
        let keys = token_keys::load(self).await?;
        self.identity.state.store(Arc::new(State { tenant, members, keys }));
        // Whatever was verified before may have been revoked by the change.
        self.identity.verified.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        self.identity.service_tokens.clear();
        Ok(())
    }
}
