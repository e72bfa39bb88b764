//! Random bytes for whoever has no good source of their own.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Secret as Hidden};

use crate::{
    gate::{Cx, Op},
    resources::Addressed,
    vault::opened::open,
};

/// Bytes that are given at once; Azure's bound.
const MOST: usize = 128;

/// Asks for random bytes.
#[derive(Debug)]
pub struct GetRandomBytes {
    /// The vault.
    pub vault: Addressed,
    /// How many, 1 to 128.
    pub count: usize,
}

#[async_trait]
impl Op for GetRandomBytes {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/rng/action", Class::Read);
    type Output = Hidden<Vec<u8>>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if !(1..=MOST).contains(&self.count) {
            return Err(Error::invalid("count", format_args!("must be 1 to {MOST}")));
        }
        open(cx, &self.vault).await?;
        let mut bytes = seal::random::<MOST>()?.to_vec();
        bytes.truncate(self.count);
        Ok(Hidden::new(bytes))
    }
}
