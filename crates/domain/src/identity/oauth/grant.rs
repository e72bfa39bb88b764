//! Grants: a person's word for an application, opened when a code is redeemed, and the refresh tokens that hang on it.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, AppId, Caller, Class, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp, Who};
use seal::Fingerprint;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{TokenRefusal, credential::Form, refusal::Granted, tokens::name_person};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Row, enter},
    identity::Session,
};

/// After this long a person signs in again, however often the application refreshed (NIST SP 800-63B §4.2.3).
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A grant. Its row's id is its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct OpenGrant {
    pub id: Uuid,
    /// Who gave it.
    pub principal: PrincipalId,
    /// To whom.
    pub client: AppId,
    /// In which session.
    pub session: Uuid,
    /// The scope that was granted first.
    pub scope: String,
    /// What the client understands.
    pub capabilities: Vec<String>,
    pub started_at: Timestamp,
    pub ends_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// The code that opened it: when that comes again, the grant is over.
    pub opened_by: Fingerprint,
}

impl Record for OpenGrant {
    const TABLE: &'static str = "grant";
}

/// A refresh token, used once. Its row's id is the grant's followed by its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RefreshToken {
    pub fingerprint: Fingerprint,
    /// How many came before it.
    pub generation: u32,
    pub issued_at: Timestamp,
    pub used_at: Option<Timestamp>,
}

impl Record for RefreshToken {
    const TABLE: &'static str = "refresh-token";
}

impl OpenGrant {
    pub(super) async fn find(cx: &Admission<'_>, id: Uuid) -> Result<Option<Row<Self>>> {
        cx.get(cx.system(), id.as_bytes()).await
    }

    /// Whether it still stands by itself; its person and session are asked elsewhere.
    pub(super) fn check(&self, now: Timestamp) -> Granted<()> {
        if self.revoked_at.is_some() {
            return Err(TokenRefusal::GrantRevoked.into());
        }
        if now >= self.ends_at {
            return Err(TokenRefusal::GrantExpired.into());
        }
        Ok(())
    }

    /// Opens the grant. That nobody did so before is a condition of the commit: of two who redeem at once, one is stale.
    pub(super) fn open(&self, cx: &Admission<'_>, changes: &mut Changes) -> Result<()> {
        changes.put(cx.system(), &Row::new(self.id.as_bytes().as_slice(), self.clone()))?;
        Ok(())
    }
}

/// Refuses a code that opened a grant before, and ends what came of it (RFC 6749 §4.1.2).
pub(super) async fn refuse_replay(
    cx: &Admission<'_>,
    form: &Form,
    id: Uuid,
    presented: &Secret<String>,
) -> Granted<()> {
    if let Some(row) = OpenGrant::find(cx, id).await?
        && form.matches(cx.system(), presented, &row.value.opened_by)
    {
        name_person(cx, row.value.principal);
        revoke(cx, id, "a code was redeemed twice").await?;
        return Err(TokenRefusal::BadCode.into());
    }
    Ok(())
}

/// Ends a grant. It has a record of its own, whatever becomes of the request that gave the reason.
pub(super) async fn revoke(cx: &Admission<'_>, grant: Uuid, why: &'static str) -> Result<()> {
    let caller = Caller { who: Who::House, source: cx.caller().source.clone() };
    let mut ended = enter(cx.house(), &caller, RevokeGrant { grant, why }).await;
    // Somebody else wrote it, to end it as well or to remove it: once more settles which.
    if ended.as_ref().is_err_and(|fault| fault.kind() == Kind::Stale) {
        ended = enter(cx.house(), &caller, RevokeGrant { grant, why }).await;
    }
    ended
}

/// Ends a grant and everything that was issued under it.
struct RevokeGrant {
    grant: Uuid,
    why: &'static str,
}

#[async_trait]
impl Op for RevokeGrant {
    const ACTION: Action = Action::new("Microsoft.Directory/grants/revoke/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.note("grant", self.grant.to_string());
        cx.note("reason", self.why);
        let Some(mut row) = OpenGrant::find(cx, self.grant).await? else { return Ok(()) };
        cx.note("principal", row.value.principal.to_string());
        cx.note("client", row.value.client.to_string());
        if row.value.revoked_at.is_some() {
            return Ok(());
        }
        row.value.revoked_at = Some(cx.now());
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        cx.house().identity.verified.forget();
        Ok(())
    }
}

/// Ends all grants that a principal gave, and those that its application was given, once `changes` are committed; whoever
/// commits them touches the principal too, which makes the server forget the tokens it has verified.
pub(in crate::identity) async fn revoke_grants(
    cx: &Admission<'_>,
    changes: &mut Changes,
    principal: PrincipalId,
) -> Result<()> {
    let now = cx.now();
    let app = cx.house().identity.member(principal).and_then(|member| member.app);
    let concerns = |grant: &OpenGrant| grant.principal == principal || app == Some(grant.client);
    for mut row in cx.all::<OpenGrant>(cx.system(), b"").await? {
        let grant = &mut row.value;
        if concerns(grant) && grant.revoked_at.is_none() && now < grant.ends_at {
            grant.revoked_at = Some(now);
            changes.put(cx.system(), &row)?;
        }
    }
    Ok(())
}

/// Whether the grant that a token was issued under was not revoked since.
pub(in crate::identity) async fn stands(house: &House, grant: Uuid) -> Result<bool> {
    let found = house.peek::<OpenGrant>(house.system(), grant.as_bytes()).await?;
    Ok(found.is_some_and(|row| row.value.revoked_at.is_none()))
}

/// When a grant ends by itself; none when it is gone.
pub(in crate::identity) async fn ends_at(house: &House, grant: Uuid) -> Result<Option<Timestamp>> {
    let found = house.peek::<OpenGrant>(house.system(), grant.as_bytes()).await?;
    Ok(found.map(|row| row.value.ends_at))
}

/// The session that something was granted in, if it was not ended.
pub(super) async fn session(cx: &Admission<'_>, id: Uuid) -> Granted<Session> {
    let found = cx.get::<Session>(cx.system(), id.as_bytes()).await?;
    let open = found.map(|row| row.value).filter(|session| session.ended_at.is_none());
    Ok(open.ok_or(TokenRefusal::GrantRevoked)?)
}
