//! The identity room: tenant, principals, their credentials, and the tokens that stand for them.

mod authenticate;
mod authority;
mod browser;
mod claims;
mod directory;
mod federation;
mod found;
mod issuers;
mod managed;
mod mfa;
mod oauth;
mod policy;
mod records;
pub(crate) mod registry_token;
mod remembered;
mod run_token;
pub(crate) mod service_token;
mod session;
mod sessions;
mod sign_in;
mod standing;
mod token_keys;
mod way_in;

pub(crate) use authenticate::identify_until;
pub use authenticate::{Audience, identify, identify_at};
pub use authority::IssueServerCertificate;
pub use browser::{GetSignInPage, SignInPage, form_token, is_form_token, new_browser_key};
pub use claims::{AccessToken, vault_resource};
pub use directory::{
    AddCertificate, AddClientSecret, AddFederatedCredential, AddGroupMember, ApplicationKey, CertificateEntry,
    CertificateView, CreateApplication, CreateGroup, CreateServicePrincipal, CreateUser, DeleteApplication,
    DeleteGroup, DeleteServicePrincipal, DeleteUser, DirectoryObject, FederatedCredentialForm, Field, Filter,
    GetApplication, GetDirectoryObject, GetDirectoryObjects, GetGroup, GetServicePrincipal, GetUser, GroupForm,
    GroupView, ListApplications, ListFederatedCredentials, ListGroupMembers, ListGroups, ListMemberOf,
    ListServicePrincipals, ListUsers, Listing, NewApplication, NewPassword, NewSecret, NewUser, Page, Registration,
    RemoveCertificate, RemoveClientSecret, RemoveFederatedCredential, RemoveGroupMember, ResetPassword,
    RevokeSignInSessions, SecretView, ServicePrincipal, Test, UpdateApplication, UpdateFederatedCredential,
    UpdateGroup, UpdateServicePrincipal, UpdateUser, User, UserForm, UserKey,
};
pub(crate) use directory::{end_managed_principals, require_room};
pub use federation::{
    BeginFederatedSignIn, Begun, CreateIdentityProvider, DeleteIdentityProvider, FederationAnswer, FederationRefusal,
    FinishFederatedSignIn, GetIdentityProvider, GroupMapping, IdentityProvider, LinkFederatedUser,
    ListIdentityProviders, ListSignInProviders, MultiFactorTrust, ProviderForm, SignInProvider, UnlinkFederatedUser,
    UpdateIdentityProvider,
};
pub use found::{Charter, FoundHouse};
pub(crate) use managed::{ISSUE as ISSUE_IDENTITY_TOKEN, identity_token};
pub use managed::{IdentityChoice, RunIdentity};
pub use mfa::{
    BeginPasskey, BeginPasskeyEnrolment, BeginTotpEnrolment, FinishPasskey, FinishPasskeyEnrolment,
    FinishTotpEnrolment, NewRecoveryCodes, PasskeyChallenge, ProveRecoveryCode, ProveTotp, RemovePasskey, RemoveTotp,
    TotpSecret,
};
pub(crate) use oauth::prove_service_principal;
pub use oauth::{
    AZURE_DEVELOPER_CLIENT, ActOnBehalf, Authorize, AuthorizeFault, AuthorizeOutcome, AuthorizeRefusal,
    AuthorizeRequest, COMMAND_LINE_CLIENT, ClientClaim, ClientProof, DecideDevice, DeviceAnswer, DeviceRefusal,
    DeviceRequest, ExchangeRunToken, ExchangedToken, FindStale, GetDeviceRequest, GetToken, RedeemCode,
    RedeemDeviceCode, RefreshTokens, RemoveStale, ResponseMode, StartDevice, TokenRefusal, TokenSet, look_after_tokens,
};
pub use policy::{
    CreateSignInPolicy, DeleteSignInPolicy, GetSignInPolicy, ListSignInPolicies, Network, OperationClass, PolicyTerms,
    SignInPolicy, UpdateSignInPolicy,
};
pub(crate) use policy::{demands_for, demands_mfa, require_mfa, step_up};
pub use records::{
    Application, ClientCertificate, ClientSecret, FederatedCredential, Member, Membership, Person, Tenant,
};
pub use registry_token::RegistryToken;
pub use run_token::{RunClaims, issue_run_token};
pub use seal::PublicKey;
pub use service_token::ServiceToken;
pub use session::{Method, Session};
pub use sessions::{EndOwnSession, EndUserSession, ListOwnSessions, ListUserSessions, ResetSecondFactors};
pub(crate) use sign_in::SweepSignIns;
pub use sign_in::{
    ChangePassword, GetSession, NextStep, PasswordFault, SecondFactor, SessionView, SignInRefusal, SignInWithPassword,
    SignOut, SignedIn, Step,
};
pub(crate) use standing::Standing;
pub use token_keys::{GetDiscovery, ListSigningKeys, RotateSigningKeys};
pub(crate) use way_in::can_come_in;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use kernel::{AppId, Caller, PrincipalId, PrincipalKind, ResourceId, Result, TenantId, Timestamp};
use remembered::Remembered;
use seal::TokenKeys;

use crate::gate::{House, Record};
use records::SigningKey;

/// A commit that touches one of these tables reloads what this room keeps in memory.
pub(crate) const TABLES: &[&str] =
    &[Tenant::TABLE, Member::TABLE, Person::TABLE, SigningKey::TABLE, SignInPolicy::TABLE];

/// A commit that touches one of these tables makes the server read applications anew.
pub(crate) const APPLICATION_TABLES: &[&str] = &[Application::TABLE];

/// What the room keeps in memory: small, and reloaded after every change to its tables.
#[derive(Default)]
pub(crate) struct Identity {
    state: ArcSwap<State>,
    /// Bearer tokens that verified, by digest: whose they are, and until when.
    verified: Remembered<[u8; 32], (Caller, Timestamp)>,
    /// Service tokens that verified, by digest.
    service_tokens: Remembered<[u8; 32], service_token::Held>,
    /// Tokens of registries that verified, by digest.
    registry_tokens: Remembered<[u8; 32], std::sync::Arc<registry_token::Claims>>,
    /// Applications that were read.
    applications: Remembered<AppId, Application>,
    offers: oauth::Offers,
    issuers: issuers::Issuers,
    attempts: federation::Attempts,
    hashing: sign_in::Hashing,
    strangers: sign_in::Strangers,
    tickets: mfa::Tickets,
}

struct State {
    tenant: Option<TenantId>,
    members: HashMap<PrincipalId, Member>,
    /// The principals of applications.
    applications: HashMap<AppId, PrincipalId>,
    people: HashMap<PrincipalId, KnownPerson>,
    keys: TokenKeys,
    policies: Vec<SignInPolicy>,
}

/// What is asked about a person at every step of a sign-in, without the password's hash.
#[derive(Clone, Debug)]
struct KnownPerson {
    /// The id of the row in `Person`'s table.
    row: Vec<u8>,
    needs_mfa: bool,
    must_change: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tenant: None,
            members: HashMap::new(),
            applications: HashMap::new(),
            people: HashMap::new(),
            keys: TokenKeys::new(Vec::new()),
            policies: Vec::new(),
        }
    }
}

impl State {
    /// From which second on, since the epoch, tokens of this application count; none when it is disabled or gone.
    fn client_from(&self, client: AppId) -> Option<i64> {
        if oauth::is_built_in(client) {
            return Some(0);
        }
        let member = self.members.get(self.applications.get(&client)?)?;
        (!member.is_disabled).then(|| member.tokens_from())
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

    /// The managed identities of whatever lies within a scope.
    pub(crate) fn managed_within(&self, scope: &ResourceId) -> Vec<PrincipalId> {
        let state = self.state.load();
        let within = |member: &&Member| member.managed_by.as_ref().is_some_and(|of| of.is_within(scope));
        state.members.values().filter(within).map(|member| member.id).collect()
    }

    /// Whether the principal is a workspace's own identity.
    pub(crate) fn is_of_workspace(&self, id: PrincipalId) -> bool {
        let state = self.state.load();
        let of = state.members.get(&id).and_then(|member| member.managed_by.as_ref());
        of.is_some_and(|of| of.workspace().as_ref() == Some(of))
    }

    /// Whether a principal is there and may act.
    pub(crate) fn is_enabled(&self, id: PrincipalId) -> bool {
        self.state.load().members.get(&id).is_some_and(|member| !member.is_disabled)
    }

    /// Whether the principal is there and disabled.
    pub(crate) fn is_disabled(&self, id: PrincipalId) -> bool {
        self.state.load().members.get(&id).is_some_and(|member| member.is_disabled)
    }

    /// Whether it is the identity of a resource, which code acts as.
    pub(crate) fn is_managed(&self, id: PrincipalId) -> bool {
        self.state.load().members.get(&id).is_some_and(|member| member.managed_by.is_some())
    }

    /// The name of a principal, for people.
    pub(crate) fn name_of(&self, id: PrincipalId) -> Option<String> {
        self.state.load().members.get(&id).map(|member| member.name.clone())
    }

    /// Whether this person signs in with a password that somebody else set.
    pub(crate) fn has_given_password(&self, id: PrincipalId) -> bool {
        self.person(id).is_some_and(|person| person.must_change)
    }

    /// What the sign-in policies say that are in force.
    pub(crate) fn sign_in_terms(&self) -> Vec<PolicyTerms> {
        let state = self.state.load();
        state.policies.iter().map(|policy| &policy.terms).filter(|terms| terms.is_enabled).cloned().collect()
    }

    /// Forgets what is known of applications: something about one has changed.
    pub(crate) fn forget_applications(&self) {
        self.applications.forget();
    }

    fn member(&self, id: PrincipalId) -> Option<Member> {
        self.state.load().members.get(&id).cloned()
    }

    fn person(&self, id: PrincipalId) -> Option<KnownPerson> {
        self.state.load().people.get(&id).cloned()
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
        let applications = rows.iter().filter_map(|row| Some((row.value.app?, row.value.id))).collect();
        let members = rows.into_iter().map(|row| (row.value.id, row.value)).collect();
        let people = self.all::<Person>(system, b"").await?.into_iter().map(|row| {
            let Person { principal, needs_mfa, must_change, .. } = row.value;
            (principal, KnownPerson { row: row.id, needs_mfa, must_change })
        });
        let people = people.collect();
        let keys = token_keys::load(self).await?;
        let policies = self.all::<SignInPolicy>(system, b"").await?.into_iter().map(|row| row.value).collect();
        self.identity.state.store(Arc::new(State { tenant, members, applications, people, keys, policies }));
        // Whatever was verified before may have been revoked by the change.
        self.identity.verified.forget();
        self.identity.service_tokens.forget();
        self.identity.registry_tokens.forget();
        Ok(())
    }
}
