//! Whose sessions there are, and ending them: one's own in the browser, anybody's as an administrator. A token that came from
//! a session that ended is refused from then on.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Secret};
use uuid::Uuid;

use super::{
    Session,
    directory::{cut_off, require_another, require_power_over},
    mfa::reset_second_factors,
    session::session_of,
};
use crate::gate::{Actor, Admission, Changes, Cx, Op, Row};

const READ: Action = Action::new("Microsoft.Directory/users/sessions/read", Class::Read);
const END: Action = Action::new("Microsoft.Directory/users/sessions/delete", Class::Control);
/// How often a change is tried anew because the row is used at the same moment.
const ATTEMPTS: usize = 8;

/// The sessions of a principal that something may still come from, the latest first.
async fn open_sessions(cx: &Admission<'_>, principal: PrincipalId) -> Result<Vec<Session>> {
    let now = cx.now();
    let since = cx.house().identity.member(principal).map(|member| member.valid_from);
    let rows = cx.all::<Session>(cx.system(), b"").await?;
    let is_theirs = |session: &Session| {
        session.principal == principal
            && session.is_alive(now)
            && since.is_some_and(|since| since <= session.started_at)
    };
    let mut found: Vec<Session> = rows.into_iter().map(|row| row.value).filter(is_theirs).collect();
    found.sort_by_key(|session| std::cmp::Reverse(session.started_at));
    Ok(found)
}

/// Ends one session of a principal. One that is not theirs is not found.
async fn end(cx: &Admission<'_>, principal: PrincipalId, id: Uuid) -> Result<()> {
    let missing = || Error::not_found(format_args!("the session `{id}`"));
    cx.note("session", id.to_string());
    let mut attempt = 1;
    loop {
        let row = cx.get::<Session>(cx.system(), id.as_bytes()).await?;
        let mut row: Row<Session> = row.filter(|row| row.value.principal == principal).ok_or_else(missing)?;
        row.value.ended_at = Some(row.value.ended_at.unwrap_or(cx.now()));
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => attempt += 1,
            ended => return ended,
        }
    }
}

/// Lists the sessions of whoever a browser's session belongs to, those that have gone silent included: tokens of them may live.
#[derive(Debug)]
pub struct ListOwnSessions {
    /// The browser's session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for ListOwnSessions {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/sessions/read", Class::Open);
    /// None when the browser's session is not open.
    type Output = Option<Vec<Session>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        match session_of(cx, &self.session).await? {
            Some(row) => open_sessions(cx, row.value.principal).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Ends one of the sessions of whoever a browser's session belongs to.
#[derive(Debug)]
pub struct EndOwnSession {
    /// The browser's session.
    pub session: Secret<String>,
    /// The session to end.
    pub id: Uuid,
}

#[async_trait]
impl Op for EndOwnSession {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/sessions/delete", Class::Control);
    /// Whether the browser's session is open, and so the other was ended.
    type Output = bool;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<bool> {
        let Some(own) = session_of(cx, &self.session).await? else {
            cx.refuse(Kind::Unauthenticated);
            return Ok(false);
        };
        let principal = own.value.principal;
        if let Some(member) = cx.house().identity.member(principal) {
            cx.establish(Actor::Principal { id: principal, kind: member.kind, name: member.name });
        }
        end(cx, principal, self.id).await.map(|()| true)
    }
}

/// Lists a person's sessions, those that have gone silent included: tokens of them may live.
#[derive(Debug)]
pub struct ListUserSessions {
    /// The person.
    pub principal: PrincipalId,
}

#[async_trait]
impl Op for ListUserSessions {
    const ACTION: Action = READ;
    type Output = Vec<Session>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        person(cx, self.principal)?;
        open_sessions(cx, self.principal).await
    }
}

/// Ends one of a person's sessions.
#[derive(Debug)]
pub struct EndUserSession {
    /// The person.
    pub principal: PrincipalId,
    /// The session.
    pub id: Uuid,
}

#[async_trait]
impl Op for EndUserSession {
    const ACTION: Action = END;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        person(cx, self.principal)?;
        cx.note("principal", self.principal.to_string());
        end(cx, self.principal, self.id).await
    }
}

fn person(cx: &Admission<'_>, principal: PrincipalId) -> Result<()> {
    match cx.house().identity.kind_of(principal) {
        Some(PrincipalKind::User) => Ok(()),
        _ => Err(Error::not_found(format_args!("the user `{principal}`"))),
    }
}

/// Takes all second factors from a person who lost them, and ends their sessions. At the next sign-in the password alone
/// counts, and a new factor is enrolled where one is demanded: so it takes the right to grant all that the person holds, and is
/// for another administrator to do.
#[derive(Debug)]
pub struct ResetSecondFactors {
    /// The person.
    pub principal: PrincipalId,
}

#[async_trait]
impl Op for ResetSecondFactors {
    const ACTION: Action = Action::new("Microsoft.Directory/users/authenticationMethods/reset/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        person(cx, self.principal)?;
        // One's own are changed with a fresh proof of them: a token that was stolen must not strip the account.
        require_another(cx, self.principal, "reset the second factors of")?;
        require_power_over(cx, self.principal).await?;
        cx.note("principal", self.principal.to_string());
        let missing = || Error::not_found(format_args!("the user `{}`", self.principal));
        let member = cx.get::<super::Member>(cx.system(), self.principal.as_bytes()).await?;
        let mut member = member.ok_or_else(missing)?;
        let mut changes = Changes::new();
        cut_off(cx, &mut changes, &mut member.value).await?;
        changes.put(cx.system(), &member)?;
        reset_second_factors(cx, &mut changes, self.principal).await?;
        cx.commit(changes).await
    }
}
