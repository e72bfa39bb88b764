//! The application that asks, and how it proves that it is that application (RFC 6749 §2.3).

use kernel::{AppId, PrincipalId, Secret, TenantId};
use uuid::Uuid;

use super::{
    TokenRefusal,
    assertion::{self, Use},
    guesses::Guesser,
    refusal::Granted,
};
use crate::{
    gate::{Actor, Admission, Changes},
    identity::{
        Application, ClientCertificate, ClientSecret, FederatedCredential, Member, claims::tenant_of,
        directory::PURPOSE,
    },
};

/// Azure's developer tools sign people in under this id, wherever they are pointed.
pub const AZURE_DEVELOPER_CLIENT: Uuid = Uuid::from_u128(0x04b0_7795_8ddb_461a_bbee_02f9_e1bf_7b46);
/// Bartizan's own command line.
pub const COMMAND_LINE_CLIENT: Uuid = Uuid::from_u128(0x5b1f_0c52_7d3e_4a8e_9c61_2f0e_b417_9a03);

/// Applications that every installation knows. They run on people's own machines and so keep no secret.
const BUILT_IN: [(Uuid, &str, &[&str]); 2] = [
    (AZURE_DEVELOPER_CLIENT, "Azure developer sign-on", &["http://localhost"]),
    (COMMAND_LINE_CLIENT, "Bartizan command line", &["http://localhost", "http://127.0.0.1", "http://[::1]"]),
];

/// Who a token request says it comes from. No `Debug` of what it proves by: see [`Secret`].
#[derive(Clone, Debug)]
pub struct ClientClaim {
    /// The tenant segment of the address.
    pub tenant: String,
    /// `client_id`; empty when an assertion says it.
    pub id: String,
    /// What it proves that by.
    pub proof: ClientProof,
}

/// What an application proves itself by.
#[derive(Clone, Debug)]
pub enum ClientProof {
    /// Nothing: a public application.
    None,
    /// `client_secret`.
    Secret(Secret<String>),
    /// `client_assertion`: signed under a certificate, or by an issuer that the application trusts.
    Assertion(Secret<String>),
}

impl ClientClaim {
    /// An application with a secret.
    pub fn with_secret(tenant: impl Into<String>, id: impl Into<String>, secret: Secret<String>) -> Self {
        Self { tenant: tenant.into(), id: id.into(), proof: ClientProof::Secret(secret) }
    }
}

/// An application, registered or built in.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub app: AppId,
    pub name: String,
    /// Its own principal; none for those built in, which act for people only.
    pub principal: Option<PrincipalId>,
    pub redirect_uris: Vec<String>,
    pub is_public: bool,
    /// Whether codes must be asked for with a challenge.
    pub needs_challenge: bool,
    pub certificates: Vec<ClientCertificate>,
    pub federated: Vec<FederatedCredential>,
    secrets: Vec<ClientSecret>,
}

impl Client {
    fn registered(found: Application) -> Self {
        Self {
            app: found.app,
            name: found.name,
            principal: Some(found.principal),
            redirect_uris: found.redirect_uris,
            is_public: found.is_public,
            needs_challenge: found.is_public || !found.without_pkce,
            certificates: found.certificates,
            federated: found.federated,
            secrets: found.secrets,
        }
    }

    fn built_in(app: AppId) -> Option<Self> {
        let (_, name, redirect_uris) = BUILT_IN.iter().find(|(id, _, _)| *id == app.0)?;
        Some(Self {
            app,
            name: (*name).to_owned(),
            principal: None,
            redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
            is_public: true,
            needs_challenge: true,
            certificates: Vec::new(),
            federated: Vec::new(),
            secrets: Vec::new(),
        })
    }

    /// The application's own principal, if it has one and that is enabled.
    pub(super) fn member(&self, cx: &Admission<'_>) -> Granted<Option<Member>> {
        let Some(principal) = self.principal else { return Ok(None) };
        let member = cx.house().identity.member(principal).filter(|member| !member.is_disabled);
        Ok(Some(member.ok_or(TokenRefusal::Disabled)?))
    }
}

/// Whether every installation knows this application, so that no principal stands for it.
pub(in crate::identity) fn is_built_in(app: AppId) -> bool {
    BUILT_IN.iter().any(|(id, _, _)| *id == app.0)
}

/// The application with this id.
pub(super) async fn find(cx: &Admission<'_>, id: &str) -> kernel::Result<Option<Client>> {
    let Ok(app) = id.parse::<AppId>() else { return Ok(None) };
    if let Some(built_in) = Client::built_in(app) {
        return Ok(Some(built_in));
    }
    let known = &cx.house().identity.applications;
    if let Some(application) = known.get(&app) {
        return Ok(Some(Client::registered(application)));
    }
    let since = known.since();
    let Some(row) = cx.get::<Application>(cx.system(), app.as_bytes()).await? else { return Ok(None) };
    known.remember(since, app, row.value.clone());
    Ok(Some(Client::registered(row.value)))
}

/// What people call the application with this id.
pub(in crate::identity) async fn application_name(cx: &Admission<'_>, id: &str) -> kernel::Result<Option<String>> {
    Ok(find(cx, id).await?.map(|client| client.name))
}

/// An application that proved itself, as far as it can.
pub(super) struct Proved {
    pub tenant: TenantId,
    pub client: Client,
    /// Its own principal.
    pub member: Option<Member>,
    /// The use of its assertion, to be remembered when something is issued for it.
    used: Option<Use>,
}

impl Proved {
    /// Remembers that the assertion was used, in the commit of what is issued.
    pub(super) fn remember(&self, cx: &Admission<'_>, changes: &mut Changes) -> kernel::Result<()> {
        match &self.used {
            Some(used) => used.remember(cx, changes),
            None => Ok(()),
        }
    }
}

/// Establishes the application. `what` is what it asks for, in words that no other request has.
pub(super) async fn prove(cx: &Admission<'_>, claim: &ClientClaim, what: &[&str]) -> Granted<Proved> {
    let tenant = tenant_of(cx.house(), &claim.tenant).ok_or(TokenRefusal::UnknownTenant)?;
    let id = match &claim.proof {
        ClientProof::Assertion(text) if claim.id.is_empty() => assertion::claimed_client(text),
        _ => Some(claim.id.clone()),
    };
    let client = find(cx, &id.unwrap_or_default()).await?.ok_or(TokenRefusal::UnknownClient)?;
    let member = client.member(cx)?;
    if client.is_public {
        return match claim.proof {
            ClientProof::None => Ok(Proved { tenant, client, member, used: None }),
            ClientProof::Secret(_) | ClientProof::Assertion(_) => Err(TokenRefusal::ProofOfPublic.into()),
        };
    }
    let proved = match &claim.proof {
        ClientProof::None => Err(TokenRefusal::Unproved.into()),
        ClientProof::Secret(secret) => check_secret(cx, &client, secret).map(|()| None),
        ClientProof::Assertion(text) => assertion::check(cx, &client, tenant, &claim.tenant, text, what).await,
    };
    let actor =
        member.as_ref().map(|member| Actor::Principal { id: member.id, kind: member.kind, name: member.name.clone() });
    let guesser = Guesser::of_client(client.app, cx.caller().source.address);
    match proved {
        Ok(used) => {
            cx.house().identity.offers.guesses().hit(guesser);
            if let Some(actor) = actor {
                cx.establish(actor);
            }
            Ok(Proved { tenant, client, member, used })
        }
        Err(stop) => {
            // The record names whom somebody pretended to be, but not as often as somebody likes: the rest is counted.
            let mut guesses = cx.house().identity.offers.guesses();
            if let Some(actor) = actor.filter(|_| guesses.wait(guesser, cx.now()).is_zero()) {
                cx.establish(actor);
            }
            guesses.miss(guesser, cx.now());
            Err(stop)
        }
    }
}

/// Every secret is compared, so that the time does not tell which one came close.
fn check_secret(cx: &Admission<'_>, client: &Client, presented: &Secret<String>) -> Granted<()> {
    let now = cx.now();
    let (mut is_known, mut is_good) = (false, false);
    for kept in &client.secrets {
        let same = cx.system().matches(PURPOSE, presented.expose(), &kept.fingerprint);
        is_known |= same;
        is_good |= same && kept.expires_at > now;
    }
    match (is_good, is_known) {
        (true, _) => Ok(()),
        (false, true) => Err(TokenRefusal::ExpiredSecret.into()),
        (false, false) => Err(TokenRefusal::BadSecret.into()),
    }
}
