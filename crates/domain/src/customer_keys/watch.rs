//! Looking after keys that opened something: one that may not be used any more closes what it opened.

use std::collections::HashMap;

use futures::{StreamExt, future::join_all, stream};
use kernel::{Caller, Error, Kind, Result};
use uuid::Uuid;

use super::{CustomerKey, KeyPlace, VaultKey, follow::follow, keyring::address, locked, opening::end_what_is_over};
use crate::{
    gate::{House, enter},
    vault::{CheckKey, ObjectName},
};

/// Each holder elsewhere is asked about so many keys at once.
const AT_ONCE: usize = 16;

/// Looks at every customer's key of a vault here that opened something, and closes what may not be open any more; also what was
/// opened by a key elsewhere of which nothing was heard for longer than the grace. Called every few seconds by the server's own work.
pub async fn look_at_keys(house: &House) {
    end_what_is_over(house).await;
    for (of, key) in house.held_shelves() {
        if key.here().is_some() {
            look_at(house, of, &key).await;
        }
    }
    house.close_untrusted();
}

/// The same for keys that are elsewhere, and for those whose holders did not answer. Called less often, and by work of its own: a
/// holder may be slow to answer.
pub async fn look_at_keys_elsewhere(house: &House) {
    // Each holder has places of its own: one that takes its time keeps nobody waiting but whom it holds itself.
    let mut holders: HashMap<String, Vec<(Uuid, Option<CustomerKey>)>> = HashMap::new();
    for (of, key) in house.held_shelves() {
        if let Some(holder) = holder(&key) {
            holders.entry(holder).or_default().push((of, Some(key)));
        }
    }
    for of in house.silent_shelves() {
        let held = house.held_by(of).await.ok().flatten();
        let holder = held.and_then(|held| holder(held.key())).unwrap_or_default();
        holders.entry(holder).or_default().push((of, None));
    }
    join_all(holders.into_values().map(|keys| ask(house, keys))).await;
}

/// Who holds a key that is elsewhere.
fn holder(key: &CustomerKey) -> Option<String> {
    match &key.place {
        KeyPlace::Elsewhere(at) => Some(at.holder.clone()),
        KeyPlace::Here(_) => None,
    }
}

/// Asks one holder: about keys that opened something, and, where none is named, about what is locked since it did not answer.
async fn ask(house: &House, keys: Vec<(Uuid, Option<CustomerKey>)>) {
    let asked = stream::iter(keys).for_each_concurrent(AT_ONCE, |(of, key)| async move {
        match key {
            Some(key) => look_at(house, of, &key).await,
            None => listen(house, of).await,
        }
    });
    asked.await;
}

/// Asks a holder that did not answer again.
async fn listen(house: &House, of: Uuid) {
    let answer = match house.held_by(of).await {
        Ok(Some(held)) => match held.key().place.clone() {
            KeyPlace::Elsewhere(at) => held.unwrap_elsewhere(house, of, &at).await.map(drop),
            KeyPlace::Here(_) => Ok(()),
        },
        Ok(None) => Ok(()),
        Err(fault) => Err(fault),
    };
    if !answer.is_err_and(|fault| fault.kind() == Kind::Unavailable) {
        house.heard(of);
    }
}

async fn look_at(house: &House, of: Uuid, key: &CustomerKey) {
    let at = house.now();
    let outcome = look(house, of, key).await;
    if let Err(fault) = &outcome {
        tracing::warn!(%of, key = key.identifier, ?fault, "a customer-managed key cannot be used");
    }
    let is_usable = outcome.is_ok();
    if let Err(fault) = house.looked_at(of, key, at, &outcome).await {
        tracing::warn!(%of, ?fault, "what a customer-managed key opened could not be looked after; it is tried again");
    }
    if let Some(vaulted) = key.here().filter(|vaulted| vaulted.follows && is_usable)
        && let Err(fault) = follow(house, of, key, vaulted).await
    {
        tracing::warn!(%of, key = key.identifier, ?fault, "the next version of a customer-managed key could not take over");
    }
}

/// Whether a key may be used now, by what it holds.
///
/// # Errors
/// `Denied` with the code [`super::KEY_UNAVAILABLE`] when it may not; `Unavailable` when that cannot be found out.
pub(super) async fn look(house: &House, of: Uuid, key: &CustomerKey) -> Result<()> {
    match &key.place {
        KeyPlace::Here(vaulted) => look_here(house, key, vaulted).await,
        KeyPlace::Elsewhere(at) => match house.held_by(of).await? {
            Some(held) if held.key() == key => held.unwrap_elsewhere(house, of, at).await.map(drop),
            _ => Err(Error::new(Kind::Unavailable, "another key holds it by now")),
        },
    }
}

/// Whether a key of a vault here may be used now. It is not used for that, so nothing is recorded.
pub(super) async fn look_here(house: &House, key: &CustomerKey, vaulted: &VaultKey) -> Result<()> {
    let outcome = async {
        let vault = address(house, vaulted).await?;
        let (name, version) = (ObjectName::new(&vaulted.name)?, Some(vaulted.version));
        enter(house, &Caller::house(), CheckKey { vault, name, version, by: Some(key.identity) }).await
    };
    outcome.await.map(drop).map_err(|fault| match fault.kind() {
        Kind::Unavailable | Kind::Internal | Kind::Throttled => fault,
        _ => locked(key, &fault),
    })
}
