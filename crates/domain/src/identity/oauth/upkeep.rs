//! The house's own work on tokens: a new signing key when the old one is due, and an end to what nobody can use any more.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result};

use super::{
    assertion::UsedAssertion,
    grant::{OpenGrant, RefreshToken},
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Row, enter},
    identity::{
        records::SigningKey,
        token_keys::{self, RotateSigningKeys},
    },
};

/// A grant that came to its end is kept this long, so that a code of it is still known when it comes again.
const KEPT: Duration = Duration::from_secs(3600);
/// Rows of one table that are removed at once.
const MOST: usize = 500;
/// Removals at one look: what is left of a million rows and more is left to the next.
const ROUNDS: usize = 2000;

/// What is to be done about tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The signing key is older than it may become.
    pub key_is_due: bool,
    /// There are rows that nobody can use any more.
    pub rows: bool,
}

/// Looks for what is to be done. It changes nothing, and leaves no record.
#[derive(Debug)]
pub struct FindStale;

#[async_trait]
impl Op for FindStale {
    const ACTION: Action = Action::new("Microsoft.Directory/grants/stale/read", Class::Open);
    type Output = Stale;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Stale> {
        Ok(Stale { key_is_due: token_keys::is_due(cx).await?, rows: !removable(cx).await?.is_empty() })
    }
}

/// Removes what nobody can use any more: grants at their end with their refresh tokens, assertions and signing keys that have
/// expired.
#[derive(Debug)]
pub struct RemoveStale;

#[async_trait]
impl Op for RemoveStale {
    const ACTION: Action = Action::new("Microsoft.Directory/grants/stale/delete", Class::Control);
    /// How many rows.
    type Output = usize;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let removable = removable(cx).await?;
        let count = removable.count;
        cx.note("rows", count.to_string());
        cx.commit(removable.changes).await?;
        Ok(count)
    }
}

#[derive(Default)]
struct Removable {
    changes: Changes,
    count: usize,
}

impl Removable {
    fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add<T: crate::gate::Record>(&mut self, cx: &Admission<'_>, row: &Row<T>) {
        self.changes.delete(cx.system(), row);
        self.count = self.count.saturating_add(1);
    }
}

async fn removable(cx: &Admission<'_>) -> Result<Removable> {
    let (now, mut found) = (cx.now(), Removable::default());
    // Each table has a share of its own: however many assertions there are, grants get their turn.
    let assertions = cx.all::<UsedAssertion>(cx.system(), b"").await?;
    for row in assertions.iter().filter(|row| now >= row.value.expires_at).take(MOST) {
        found.add(cx, row);
    }
    let is_over = |row: &&Row<SigningKey>| row.value.verifies_until.is_some_and(|end| now >= end.plus(KEPT));
    for row in cx.all::<SigningKey>(cx.system(), b"").await?.iter().filter(is_over).take(MOST) {
        found.add(cx, row);
    }
    let mut left = MOST;
    for row in cx.all::<OpenGrant>(cx.system(), b"").await? {
        if now < row.value.ends_at.plus(KEPT) {
            continue;
        }
        // Tokens first: a grant whose tokens are not all gone yet stays until the next time.
        let tokens = cx.page::<RefreshToken>(cx.system(), &row.id, None, left).await?;
        for token in &tokens {
            found.add(cx, token);
        }
        left = left.saturating_sub(tokens.len());
        if left == 0 {
            break;
        }
        found.add(cx, &row);
        left = left.saturating_sub(1);
        if left == 0 {
            break;
        }
    }
    Ok(found)
}

/// One look: rotates the signing key when it is due, and removes what is stale.
///
/// # Errors
/// When what is to be done cannot be found out or done; it is due again at the next look.
pub async fn look_after_tokens(house: &Arc<House>) -> Result<()> {
    let caller = Caller::house();
    let found = enter(house, &caller, FindStale).await?;
    if found.key_is_due {
        enter(house, &caller, RotateSigningKeys).await?;
    }
    if !found.rows {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        match enter(house, &caller, RemoveStale).await {
            // A table may have more than its share.
            Ok(removed) if removed >= MOST => {}
            Err(fault) if fault.kind() != Kind::Stale => return Err(fault),
            _ => break,
        }
    }
    Ok(())
}
