//! User delegation keys: what a principal gets for some days to sign with, instead of a key of the account. No key is stored: each
//! is derived from a secret of the account and from what it says. That it was given out, to whom and with which token, is: a key is
//! worth nothing without that row, and ends with what it came from (decision 0037).

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

use super::{
    Account, Sas,
    container::ATTEMPTS,
    fault,
    put::{READ, WRITE},
    time,
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Row},
    identity::{Standing, step_up},
    resources::{Datastore, ListDatastoreSecrets, ResourceType},
};

/// A key lives at most so long; Azure's bound.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// A person's key lives at most so long: no sign-in lasts longer.
const LONGEST_OF_PERSON: Duration = Duration::from_secs(24 * 3600);
/// A client's clock may be so much ahead of ours.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// Keys that say the same already: so many may be met before whoever asks is told to come again.
const MOST_MET: usize = 32;
/// Most seconds that a key ends earlier than one that it meets.
const MOST_STEP: i64 = 120;
/// The version that a key's own fields name.
const VERSION: &str = "2020-12-06";

/// What the delegation keys of an account are derived from.
#[derive(Serialize, Deserialize)]
struct Root {
    secret: Vec<u8>,
}

impl Record for Root {
    const TABLE: &'static str = "blob-delegation";
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.secret)));
    }
}

impl Root {
    /// The key with these fields.
    fn key(&self, fields: &[&str]) -> Secret<Vec<u8>> {
        let text = format!("user delegation key\n{}", fields.join("\n"));
        Secret::new(seal::message_code(&Secret::new(self.secret.clone()), text.as_bytes()).to_vec())
    }
}

/// That a key was given out, by what it says; on the account's shelf.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issued {
    /// To whom, and with which token.
    standing: Standing,
    /// When it ends.
    pub(super) until: Timestamp,
    /// The datastore that it opens, for whoever may use that.
    #[serde(default)]
    datastore: Option<ResourceId>,
}

impl Record for Issued {
    const TABLE: &'static str = "blob-delegated";
}

impl Issued {
    /// To whom.
    pub(super) fn holder(&self) -> PrincipalId {
        self.standing.holder()
    }

    /// Whether it was given for a datastore.
    pub(super) fn is_of_datastore(&self) -> bool {
        self.datastore.is_some()
    }

    /// Whether what it came from still stands, and whoever has it may still have it, with these letters.
    ///
    /// # Errors
    /// `AuthenticationFailed` when it ended.
    pub(super) async fn require(&self, house: &House, letters: &str) -> Result<()> {
        let ended = || fault::unproven("the delegation key was revoked, or what it came from has ended");
        if !self.standing.holds(house).await? {
            return Err(ended());
        }
        let Some(datastore) = &self.datastore else { return Ok(()) };
        let access = house.access();
        let may = |action: &Action| access.allows(self.holder(), action, datastore);
        let is_read = letters.chars().all(|letter| matches!(letter, 'r' | 'l'));
        if may(&ListDatastoreSecrets::ACTION) && (is_read || may(&Datastore::WRITE)) { Ok(()) } else { Err(ended()) }
    }
}

/// A key, and what it says.
#[derive(Debug)]
pub struct DelegationKey {
    /// Whose rights it delegates.
    pub oid: PrincipalId,
    /// The principal's tenant.
    pub tid: Uuid,
    /// From when on.
    pub start: String,
    /// Until when.
    pub expiry: String,
    /// The version of its form.
    pub version: &'static str,
    /// The key, base64.
    pub value: Secret<String>,
}

/// What a key is to say.
pub(super) struct Terms {
    pub(super) oid: PrincipalId,
    pub(super) tid: Uuid,
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) standing: Standing,
    pub(super) datastore: Option<ResourceId>,
}

/// Gives a key out. The end may be told some minutes earlier than it was asked for: of two keys that are not the same, no two say
/// the same, so that the end of one is not the end of the other.
pub(super) async fn issue(cx: &Admission<'_>, account: &Account, terms: Terms) -> Result<DelegationKey> {
    let Terms { oid, tid, begins, mut ends, standing, datastore } = terms;
    let text = |at: Timestamp| Timestamp(at.seconds().saturating_mul(1000)).rfc3339();
    let shelf = &account.shelf;
    // That others ask in the same second is no sign that the account changes too fast, and is counted by itself.
    let (mut stale, mut met) = (0_usize, 0_usize);
    while stale < ATTEMPTS && met < MOST_MET {
        let mut changes = Changes::new();
        let root = match cx.get::<Root>(shelf, b"").await? {
            Some(row) => row,
            None => {
                let row = Row::new(b"".as_slice(), Root { secret: seal::random::<32>()?.to_vec() });
                changes.put(shelf, &row)?;
                row
            }
        };
        let (start, expiry) = (text(begins), text(ends));
        let (holder, tenant) = (oid.to_string(), tid.to_string());
        let fields = [holder.as_str(), tenant.as_str(), &start, &expiry, "b", VERSION];
        let issued = Issued { standing: standing.clone(), until: ends, datastore: datastore.clone() };
        let id = issued_id(account, &fields);
        match cx.get::<Issued>(shelf, &id).await? {
            None => {
                changes.put(shelf, &Row::new(id, issued))?;
            }
            Some(row) if (&row.value.standing, &row.value.datastore) == (&standing, &datastore) => {}
            Some(_) => {
                met = met.saturating_add(1);
                ends = earlier(begins.max(cx.now()), ends)?;
                continue;
            }
        }
        cx.note("expiry", &expiry);
        let done = if changes.is_empty() { Ok(()) } else { cx.commit(changes).await };
        match done {
            Err(fault) if fault.kind() == Kind::Stale => stale = stale.saturating_add(1),
            Err(fault) => return Err(fault),
            Ok(()) => {
                let value = Secret::new(STANDARD.encode(root.value.key(&fields).expose()));
                return Ok(DelegationKey { oid, tid, start, expiry, version: VERSION, value });
            }
        }
    }
    Err(fault::too_fast())
}

/// An end some seconds earlier: nobody knows how many, so that those who met once do not meet again. It takes little of what a short
/// key has.
fn earlier(begins: Timestamp, ends: Timestamp) -> Result<Timestamp> {
    let most = (ends.seconds().saturating_sub(begins.seconds()) / 8).clamp(1, MOST_STEP);
    let [drawn] = seal::random::<1>()?;
    let step = (i64::from(drawn) % most).saturating_add(1);
    Ok(Timestamp(ends.0.saturating_sub(step.saturating_mul(1000))))
}

fn issued_id(account: &Account, fields: &[&str]) -> Vec<u8> {
    account.shelf.name_id::<Issued>(&fields.join("\n"))
}

/// Gives a principal a key to sign with. What is signed may do what the principal may, as long as it may, and ends with the sign-in
/// or the run that the key was asked for in.
#[derive(Debug)]
pub struct GetDelegationKey {
    /// The account.
    pub account: Arc<Account>,
    /// From when on; at once when empty.
    pub start: String,
    /// Until when.
    pub expiry: String,
}

#[async_trait]
impl Op for GetDelegationKey {
    const ACTION: Action =
        Action::new("Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action", Class::Vault);
    type Output = DelegationKey;

    fn scope(&self) -> ResourceId {
        self.account.service()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DelegationKey> {
        let Some(principal) = cx.caller().principal() else {
            return Err(Error::new(Kind::Denied, "a delegation key is given to whoever has a bearer token"));
        };
        require_factors(cx, true)?;
        let standing = Standing::of(cx.house(), principal);
        let (begins, asked) = span(&self.start, &self.expiry, cx.now())?;
        let mut ends = asked;
        if standing.is_of_session() {
            ends = ends.min(cx.now().plus(LONGEST_OF_PERSON));
        }
        if let Some(bound) = standing.ends_at(cx.house()).await? {
            ends = ends.min(bound);
        }
        let (oid, tid) = (principal.id, principal.tenant.into());
        issue(cx, &self.account, Terms { oid, tid, begins, ends, standing, datastore: None }).await
    }
}

/// Whoever must show a second factor to read or write shows it for what will read or write without being asked again.
pub(crate) fn require_factors(cx: &Admission<'_>, writes: bool) -> Result<()> {
    let classes = if writes { [READ, WRITE].as_slice() } else { [READ].as_slice() };
    match classes.iter().find_map(|action| step_up(cx.house(), cx.caller(), action)) {
        Some(challenge) => Err(challenge),
        None => Ok(()),
    }
}

/// Ends every delegation key of an account, and all that was signed with them, at once.
#[derive(Debug)]
pub struct RevokeDelegationKeys {
    /// Of which account.
    pub account: Arc<Account>,
}

#[async_trait]
impl Op for RevokeDelegationKeys {
    const ACTION: Action =
        Action::new("Microsoft.Storage/storageAccounts/revokeUserDelegationKeys/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.account.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let shelf = &self.account.shelf;
        for _ in 0..ATTEMPTS {
            // None was ever given out: there is nothing to end.
            let Some(mut row) = cx.get::<Root>(shelf, b"").await? else { return Ok(()) };
            row.value.secret = seal::random::<32>()?.to_vec();
            let mut changes = Changes::new();
            changes.put(shelf, &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(fault::too_fast())
    }
}

/// Start and end of a key.
fn span(start: &str, expiry: &str, now: Timestamp) -> Result<(Timestamp, Timestamp)> {
    let bad = |why: &str| fault::invalid("InvalidXmlNodeValue", why);
    let begins = match start {
        "" => now,
        text => time::parse(text).ok_or_else(|| bad("`Start` is no time"))?,
    };
    let ends = time::parse(expiry).ok_or_else(|| bad("`Expiry` is no time"))?;
    if begins > now.plus(LONGEST) || ends <= now || ends <= begins || ends > now.plus(LONGEST).plus(SKEW) {
        return Err(bad("a key ends at most 7 days from now, and after it begins"));
    }
    Ok((begins, ends))
}

/// Who delegated what signed a text.
pub(super) struct Delegated {
    /// Whose rights.
    pub(super) oid: PrincipalId,
    /// That the key was given out.
    pub(super) issued: Issued,
}

/// Who delegated what signed this text; none when nobody did. When and by whom the key may be used is another question, of whoever
/// asks this.
pub(super) async fn delegator(house: &House, account: &Account, sas: &Sas, text: &str) -> Result<Option<Delegated>> {
    let fields = ["skoid", "sktid", "skt", "ske", "sks", "skv"].map(|name| sas.get(name));
    let [oid, tid, _, _, service, version] = fields;
    let Some(root) = house.peek::<Root>(&account.shelf, b"").await? else { return Ok(None) };
    let key = root.value.key(&fields);
    let Ok(code) = STANDARD.decode(sas.get("sig")) else { return Ok(None) };
    if !seal::is_message_code(&key, text.as_bytes(), &code) || service != "b" || version != VERSION {
        return Ok(None);
    }
    let of_here = house.tenant().is_some_and(|tenant| tenant.to_string() == tid);
    let Some(oid) = oid.parse().ok().filter(|_| of_here) else { return Ok(None) };
    let row = house.peek::<Issued>(&account.shelf, &issued_id(account, &fields)).await?;
    Ok(row.map(|row| Delegated { oid, issued: row.value }))
}
