//! User delegation keys: what a principal gets for some days to sign with, instead of a key of the account. None is stored: each is
//! derived from a secret of the account and from what it says.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

use super::{Account, Sas, authorize::delegator_of, fault, time};
use crate::gate::{Changes, Cx, House, Op, Record, Row};

/// A key lives at most so long; Azure's bound.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// A client's clock may be so much ahead of ours.
const SKEW: Duration = Duration::from_secs(15 * 60);
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

/// A key, and what it says.
#[derive(Debug)]
pub struct DelegationKey {
    /// Whose.
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

/// Gives a principal a key to sign with. What is signed may do what the principal may, as long as it may.
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
        let caller = cx.caller().principal().zip(delegator_of(cx.caller()));
        let Some((principal, oid)) = caller else {
            return Err(Error::new(Kind::Denied, "a delegation key is given to whoever has a bearer token"));
        };
        let (start, expiry) = span(&self.start, &self.expiry, cx.now())?;
        cx.note("expiry", &expiry);
        let row = match cx.get::<Root>(&self.account.shelf, b"").await? {
            Some(row) => row,
            None => {
                let row = Row::new(b"".as_slice(), Root { secret: seal::random::<32>()?.to_vec() });
                let mut changes = Changes::new();
                changes.put(&self.account.shelf, &row)?;
                match cx.commit(changes).await {
                    Ok(()) => row,
                    Err(fault) if fault.kind() == Kind::Stale => {
                        let row = cx.get::<Root>(&self.account.shelf, b"").await?;
                        row.ok_or_else(|| Error::internal("a delegation root that came and went"))?
                    }
                    Err(fault) => return Err(fault),
                }
            }
        };
        let (id, tenant) = (oid.to_string(), principal.tenant.to_string());
        let key = row.value.key(&[&id, &tenant, &start, &expiry, "b", VERSION]);
        let value = Secret::new(STANDARD.encode(key.expose()));
        Ok(DelegationKey { oid, tid: principal.tenant.into(), start, expiry, version: VERSION, value })
    }
}

/// Start and end of a key, as they are told.
fn span(start: &str, expiry: &str, now: Timestamp) -> Result<(String, String)> {
    let bad = |why: &str| fault::invalid("InvalidXmlNodeValue", why);
    let begins = match start {
        "" => now,
        text => time::parse(text).ok_or_else(|| bad("`Start` is no time"))?,
    };
    let ends = time::parse(expiry).ok_or_else(|| bad("`Expiry` is no time"))?;
    if begins > now.plus(LONGEST) || ends <= now || ends <= begins || ends > now.plus(LONGEST).plus(SKEW) {
        return Err(bad("a key ends at most 7 days from now, and after it begins"));
    }
    let text = |at: Timestamp| Timestamp(at.seconds().saturating_mul(1000)).rfc3339();
    Ok((text(begins), text(ends)))
}

/// Who delegated what signed this text; none when nobody did. When the key may be used is another question, of whoever asks this.
pub(super) async fn delegator(house: &House, account: &Account, sas: &Sas, text: &str) -> Result<Option<PrincipalId>> {
    let fields = ["skoid", "sktid", "skt", "ske", "sks", "skv"].map(|name| sas.get(name));
    let [oid, tid, _, _, service, version] = fields;
    let Some(root) = house.peek::<Root>(&account.shelf, b"").await? else { return Ok(None) };
    let key = root.value.key(&fields);
    let Ok(code) = STANDARD.decode(sas.get("sig")) else { return Ok(None) };
    if !seal::is_message_code(&key, text.as_bytes(), &code) || service != "b" || version != VERSION {
        return Ok(None);
    }
    let of_here = house.tenant().is_some_and(|tenant| tenant.to_string() == tid);
    Ok(oid.parse().ok().filter(|_| of_here))
}
