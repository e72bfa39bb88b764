//! The root key: who holds it, a new version of it, another one.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, KeyProvider, ResourceId, Result};
use serde_json::json;

use crate::gate::{Cx, Guard, Guarded, House, Op, RootKeyUse};

/// Says who holds the root key.
#[derive(Debug)]
pub struct GetRootKey;

#[async_trait]
impl Op for GetRootKey {
    const ACTION: Action = Action::new("Microsoft.Authorization/rootKey/read", Class::Read);
    type Output = RootKeyUse;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RootKeyUse> {
        cx.root_key().await
    }
}

/// Makes a new version of the root key, and wraps the system's keyring under it.
#[derive(Debug)]
pub struct RotateRootKey;

#[async_trait]
impl Op for RotateRootKey {
    const ACTION: Action = Action::new("Microsoft.Authorization/rootKey/write", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = RootKeyUse;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::KeyChange, &ResourceId::root(), json!({})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RootKeyUse> {
        cx.rotate_root().await
    }
}

/// Wraps the system's keyring under another root key. No door leads here: the house still has the old one in its hands, so it is
/// done while it does not serve.
pub struct MoveRootKey {
    /// Who holds it from now on.
    pub to: Arc<dyn KeyProvider>,
}

impl fmt::Debug for MoveRootKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MoveRootKey({})", self.to.describe())
    }
}

#[async_trait]
impl Op for MoveRootKey {
    const ACTION: Action = Action::new("Microsoft.Authorization/rootKey/move/action", Class::Control);
    type Output = RootKeyUse;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RootKeyUse> {
        cx.move_root(self.to.as_ref()).await
    }
}
