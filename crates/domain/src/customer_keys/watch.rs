//! Looking after keys that opened something: one that may not be used any more closes what it opened.

use kernel::{Caller, Kind, Result};

use super::{CustomerKey, keyring::address, locked};
use crate::{
    gate::{House, enter},
    vault::{CheckKey, ObjectName},
};

/// Looks at every customer's key that opened something, and closes what may not be open any more. Called every few seconds by the
/// server's own work.
pub async fn look_at_keys(house: &House) {
    for (of, key) in house.held_shelves() {
        let at = house.now();
        let outcome = look(house, &key).await;
        if let Err(fault) = &outcome {
            tracing::warn!(%of, key = key.identifier, ?fault, "a customer-managed key cannot be used");
        }
        if let Err(fault) = house.looked_at(of, &key, at, &outcome).await {
            tracing::warn!(%of, ?fault, "what a customer-managed key opened could not be looked after; it is tried again");
        }
    }
}

/// Whether a key may be used now. It is not used for that, so nothing is recorded.
///
/// # Errors
/// `Denied` with the code [`super::KEY_UNAVAILABLE`] when it may not; `Unavailable` when that cannot be found out.
pub(super) async fn look(house: &House, key: &CustomerKey) -> Result<()> {
    let outcome = async {
        let vault = address(house, key).await?;
        let (name, version) = (ObjectName::new(&key.name)?, key.version);
        enter(house, &Caller::house(), CheckKey { vault, name, version, by: Some(key.identity) }).await
    };
    outcome.await.map(drop).map_err(|fault| match fault.kind() {
        Kind::Unavailable | Kind::Internal | Kind::Throttled => fault,
        _ => locked(key, &fault),
    })
}
