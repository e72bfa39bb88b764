//! Throttling of guesses: per account, per second factor and per address, kept in the store so that a restart forgives
//! nobody. Accounts that do not exist are counted as those that do: how a guess is refused tells nothing.

use std::{net::IpAddr, time::Duration};

use kernel::{Kind, PrincipalId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::tally::{Rule, Tally};
use crate::gate::{Admission, Changes, Record, Row};

const DAY: u64 = 24 * 3600;

/// At an account's password, or at a person's second factors: ten guesses in a quarter of an hour; the pauses grow to an
/// hour, and after a hundred failures in a row to a day. It always ends by itself: nobody can be shut out for good.
const ACCOUNT: Rule = Rule {
    window: Duration::from_secs(900),
    most: 10,
    free: 5,
    first: Duration::from_secs(5),
    longest: Duration::from_secs(3600),
    limit: 100,
    beyond: Duration::from_secs(DAY),
    memory: Duration::from_secs(30 * DAY),
};

/// From one address, at whatever accounts. Many people may share it, so it is free for longer and never waits long.
const ADDRESS: Rule = Rule {
    window: Duration::ZERO,
    most: 0,
    free: 30,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    limit: u32::MAX,
    beyond: Duration::from_secs(60),
    memory: Duration::from_secs(3600),
};

/// How often a count is tried anew because others guess at the same.
const ATTEMPTS: usize = 16;
/// Rows about accounts that do not exist; beyond, the oldest are dropped.
const MOST_UNKNOWN: usize = 20_000;
/// Rows removed at once.
const BATCH: usize = 200;

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Of {
    Account,
    /// An account that does not exist, so that rows about such can be bounded.
    Unknown,
    Factor,
    Address,
}

impl Of {
    fn rule(self) -> &'static Rule {
        match self {
            Self::Account | Self::Unknown | Self::Factor => &ACCOUNT,
            Self::Address => &ADDRESS,
        }
    }
}

/// Guesses that were answered. The row's id is the keyed hash of what was guessed at.
#[derive(Debug, Serialize, Deserialize)]
struct Guesses {
    of: Of,
    tally: Tally,
}

impl Record for Guesses {
    const TABLE: &'static str = "guess";
}

/// A guess that somebody makes.
#[derive(Debug)]
pub(in crate::identity) struct Guess(Vec<(Of, String)>);

impl Guess {
    /// At the password of an account, by its [`super::account_name`].
    pub(in crate::identity) fn at_account(cx: &Admission<'_>, name: &str) -> Self {
        Self(vec![(Of::Account, account_key(name))]).from(cx)
    }

    /// There is no such account.
    pub(in crate::identity) fn at_nobody(mut self) -> Self {
        if let Some((of, _)) = self.0.first_mut() {
            *of = Of::Unknown;
        }
        self
    }

    /// At the codes of a person's second factors.
    pub(in crate::identity) fn at_factors(cx: &Admission<'_>, principal: PrincipalId) -> Self {
        Self(vec![(Of::Factor, factor_key(principal))]).from(cx)
    }

    fn from(mut self, cx: &Admission<'_>) -> Self {
        if let Some(address) = cx.caller().source.address {
            self.0.push((Of::Address, format!("address {}", network(address))));
        }
        self
    }

    /// After how many seconds this guess would be looked at; none when it is at once.
    pub(in crate::identity) async fn wait(&self, cx: &Admission<'_>) -> Result<Option<u64>> {
        Ok(seconds(&self.rows(cx).await?, cx.now()))
    }

    /// Counts the guess, before it is looked at; or after how many seconds it would be.
    pub(in crate::identity) async fn count(&self, cx: &Admission<'_>) -> Result<Option<u64>> {
        for _ in 0..ATTEMPTS {
            let mut rows = self.rows(cx).await?;
            if let Some(seconds) = seconds(&rows, cx.now()) {
                return Ok(Some(seconds));
            }
            let mut changes = Changes::new();
            for row in &mut rows {
                row.value.tally.count(row.value.of.rule(), cx.now());
                changes.put(cx.system(), row)?;
            }
            match cx.keep(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => tokio::task::yield_now().await,
                counted => return counted.map(|()| None),
            }
        }
        Ok(Some(1))
    }

    /// The guess was right: what was guessed at is forgiven, and the address keeps what else it did.
    pub(in crate::identity) async fn was_right(&self, cx: &Admission<'_>, changes: &mut Changes) -> Result<()> {
        for mut row in self.rows(cx).await? {
            row.value.tally.take_back();
            let is_over = row.value.of != Of::Address || row.value.tally.is_forgotten(row.value.of.rule(), cx.now());
            match (row.version, is_over) {
                (0, _) => {}
                (_, true) => drop(changes.delete(cx.system(), &row)),
                (_, false) => drop(changes.put(cx.system(), &row)?),
            }
        }
        Ok(())
    }

    async fn rows(&self, cx: &Admission<'_>) -> Result<Vec<Row<Guesses>>> {
        let mut rows = Vec::with_capacity(self.0.len());
        for (of, key) in &self.0 {
            let id = cx.system().name_id::<Guesses>(key);
            let mut row = match cx.get::<Guesses>(cx.system(), &id).await? {
                Some(row) => row,
                None => Row::new(id, Guesses { of: *of, tally: Tally::default() }),
            };
            // An account may have been made, or removed, since its name was guessed at first.
            row.value.of = *of;
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Forgives the guesses at a person's password: for whoever set another one.
pub(crate) async fn forgive_guesses(cx: &Admission<'_>, changes: &mut Changes, user_name: &str) -> Result<()> {
    forgive(cx, changes, &account_key(&super::account_name(user_name))).await
}

/// Forgives the guesses at a person's second factors, when those are gone.
pub(in crate::identity) async fn forgive_factor_guesses(
    cx: &Admission<'_>,
    changes: &mut Changes,
    principal: PrincipalId,
) -> Result<()> {
    forgive(cx, changes, &factor_key(principal)).await
}

async fn forgive(cx: &Admission<'_>, changes: &mut Changes, key: &str) -> Result<()> {
    if let Some(row) = cx.get::<Guesses>(cx.system(), &cx.system().name_id::<Guesses>(key)).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

/// Removes what does not matter any more; how many rows that were.
pub(super) async fn sweep_guesses(cx: &Admission<'_>) -> Result<usize> {
    let now = cx.now();
    let mut rows = cx.all::<Guesses>(cx.system(), b"").await?;
    let (mut over, kept): (Vec<_>, Vec<_>) =
        rows.drain(..).partition(|row| row.value.tally.is_forgotten(row.value.of.rule(), now));
    let mut unknown: Vec<_> = kept.into_iter().filter(|row| row.value.of == Of::Unknown).collect();
    unknown.sort_by_key(|row| std::cmp::Reverse(row.value.tally.last()));
    over.extend(unknown.into_iter().skip(MOST_UNKNOWN));
    remove(cx, &over).await
}

/// Removes rows a batch at a time. Whoever touched one meanwhile keeps its batch, until the next sweep.
pub(super) async fn remove<T: Record>(cx: &Admission<'_>, rows: &[Row<T>]) -> Result<usize> {
    let mut removed: usize = 0;
    for batch in rows.chunks(BATCH) {
        let mut changes = Changes::new();
        for row in batch {
            changes.delete(cx.system(), row);
        }
        match cx.keep(changes).await {
            Ok(()) => removed = removed.saturating_add(batch.len()),
            Err(fault) if fault.kind() == Kind::Stale => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(removed)
}

fn account_key(name: &str) -> String {
    format!("account {name}")
}

fn factor_key(principal: PrincipalId) -> String {
    format!("factor {principal}")
}

/// Who is behind an address: whoever has one of IPv6 has a whole network of them (RFC 6177).
pub(in crate::identity) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        four @ IpAddr::V4(_) => four,
    }
}

fn seconds(rows: &[Row<Guesses>], now: Timestamp) -> Option<u64> {
    let longest = rows.iter().map(|row| row.value.tally.wait(row.value.of.rule(), now)).max()?;
    (!longest.is_zero()).then(|| u64::try_from(longest.as_millis().div_ceil(1000)).unwrap_or(DAY))
}
