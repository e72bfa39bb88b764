//! What somebody was given with a token and keeps beyond it: it is worth something as long as the token would be, if it lived on.

use kernel::{AppId, Principal, PrincipalId, Proof, Result, RunId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{authenticate::is_open, oauth};
use crate::gate::House;

/// To whom something was given, and what their token hung on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    holder: PrincipalId,
    #[serde(default)]
    app: Option<AppId>,
    #[serde(default)]
    session: Option<Uuid>,
    #[serde(default)]
    grant: Option<Uuid>,
    #[serde(default)]
    run: Option<(WorkspaceId, RunId)>,
    /// The second, since the epoch, from which it counts: as tokens tell time.
    since: i64,
}

impl Standing {
    /// Of whoever comes with a token now.
    pub(crate) fn of(house: &House, principal: &Principal) -> Self {
        let Proof { session, run, grant, .. } = principal.proof.clone();
        let tokens_from = house.identity.member(principal.id).map_or(0, |member| member.tokens_from());
        let client_from = principal.app.and_then(|app| house.identity.state().client_from(app)).unwrap_or(0);
        // As with tokens: in the second in which somebody was signed out, the next one's begin.
        let since = house.now().seconds().max(tokens_from).max(client_from);
        Self { holder: principal.id, app: principal.app, session, grant, run, since }
    }

    /// To whom it was given.
    pub(crate) fn holder(&self) -> PrincipalId {
        self.holder
    }

    /// Whether it hangs on the same as another one, which may have begun at another time.
    pub(crate) fn hangs_as(&self, other: &Self) -> bool {
        *self == Self { since: self.since, ..other.clone() }
    }

    /// Whether it is a person's, who signed in for it.
    pub(crate) fn is_of_session(&self) -> bool {
        self.session.is_some()
    }

    /// Until when it can hold, where that is known beforehand: what a person granted ends by itself.
    pub(crate) async fn ends_at(&self, house: &House) -> Result<Option<Timestamp>> {
        match self.grant {
            Some(grant) => oauth::ends_at(house, grant).await,
            None => Ok(None),
        }
    }

    /// Whether holder, application, session, grant and run are all still there, and nobody was signed out since.
    pub(crate) async fn holds(&self, house: &House) -> Result<bool> {
        let is_recent = |from: i64| from <= self.since;
        let member = house.identity.member(self.holder).filter(|member| !member.is_disabled);
        if !member.is_some_and(|member| is_recent(member.tokens_from())) {
            return Ok(false);
        }
        if let Some(app) = self.app
            && !house.identity.state().client_from(app).is_some_and(is_recent)
        {
            return Ok(false);
        }
        if let Some(grant) = self.grant
            && !oauth::stands(house, grant).await?
        {
            return Ok(false);
        }
        let proof = Proof { session: self.session, run: self.run.clone(), ..Proof::default() };
        is_open(house, &proof).await
    }
}
