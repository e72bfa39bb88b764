//! Following a key: when it gets another version, that one holds the data from then on. Only the keyring is written anew.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{CustomerKey, KeyPlace, VaultKey, choice::is_fit, keyring::address};
use crate::{
    gate::{Changes, Cx, House, Op, enter},
    vault::{CheckKey, ObjectName},
};

/// Has the newest version of a key take over, if there is one and it can: one that cannot be used is passed over, and the data stays
/// where it is.
pub(super) async fn follow(house: &House, of: Uuid, key: &CustomerKey, vaulted: &VaultKey) -> Result<()> {
    let vault = address(house, vaulted).await?;
    let check = CheckKey { vault, name: ObjectName::new(&vaulted.name)?, version: None, by: Some(key.identity) };
    let (version, content) = match enter(house, &Caller::house(), check).await {
        Err(fault) if fault.kind() == Kind::Denied => return Ok(()),
        newest => newest?,
    };
    if version == vaulted.version || !is_fit(&content) {
        return Ok(());
    }
    let next = VaultKey { version, ..vaulted.clone() };
    let scope = next.scope()?;
    let to = CustomerKey { place: KeyPlace::Here(next), ..key.clone() };
    match enter(house, &Caller::house(), FollowKey { of, scope, from: key.clone(), to }).await {
        // Somebody changed the key meanwhile.
        Err(fault) if fault.kind() == Kind::Stale => Ok(()),
        done => done,
    }
}

/// Closes a keyring with the next version of its key. For the server itself.
#[derive(Debug)]
struct FollowKey {
    of: Uuid,
    /// The key.
    scope: ResourceId,
    from: CustomerKey,
    to: CustomerKey,
}

#[async_trait]
impl Op for FollowKey {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/keys/follow/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        if cx.house().held_by(self.of).await?.is_none_or(|held| *held.key() != self.from) {
            return Ok(());
        }
        if let KeyPlace::Here(key) = &self.to.place {
            cx.note("version", key.version.to_string());
        }
        cx.note("of", self.of.to_string());
        let mut changes = Changes::new();
        // What is written is looked at again: somebody may have given it another key since.
        cx.close_shelf(self.of, Some(&self.from), self.to, &mut changes).await?;
        cx.commit(changes).await
    }
}
