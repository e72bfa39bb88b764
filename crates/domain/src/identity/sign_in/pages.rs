//! What the sign-in pages ask besides: whose session this is, and to end it.

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Secret};

use super::{SessionView, establish, what_next};
use crate::{
    gate::{Changes, Cx, Op},
    identity::{
        Person, mfa,
        session::{live_session_of, session_of},
    },
};

/// How often the end of a session is tried anew because it is used at the same moment.
const ATTEMPTS: usize = 8;

/// Reads a browser's session; none when it is not open.
#[derive(Debug)]
pub struct GetSession {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for GetSession {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/read", Class::Open);
    type Output = Option<SessionView>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some(session) = session_of(cx, &self.session).await?.map(|row| row.value) else { return Ok(None) };
        let Some(known) = cx.house().identity.person(session.principal) else { return Ok(None) };
        let Some(person) = cx.get::<Person>(cx.system(), &known.row).await? else { return Ok(None) };
        let factors = mfa::factors_of(cx, session.principal).await?.value;
        Ok(Some(SessionView {
            id: session.id,
            user_name: person.value.user_name,
            display_name: person.value.display_name,
            next: what_next(cx, &session, &factors),
            has_totp: factors.totp.is_some(),
            passkeys: factors.passkeys.iter().map(|kept| (kept.id, kept.name.clone(), kept.enrolled_at)).collect(),
            recovery_codes_left: factors.recovery_codes.len(),
            methods: session.methods,
        }))
    }
}

/// Ends a session, and with it the tokens that came from it, also when the browser was silent for too long. Ending one that has
/// ended does nothing.
#[derive(Debug)]
pub struct SignOut {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for SignOut {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/end", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut attempt = 1;
        loop {
            let Some(mut row) = live_session_of(cx, &self.session).await? else {
                // Nobody who could be named: the record would be a stranger's, so it is only counted.
                cx.refuse(Kind::Unauthenticated);
                return Ok(());
            };
            establish(cx, row.value.principal);
            cx.note("session", row.value.id.to_string());
            row.value.ended_at = Some(cx.now());
            let mut changes = Changes::new();
            changes.put(cx.system(), &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => attempt += 1,
                ended => return ended,
            }
        }
    }
}
