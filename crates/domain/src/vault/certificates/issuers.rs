//! Certificate authorities that a vault would ask by itself: understood, and none is connected.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind as Fault, ResourceId, Result};

use crate::{
    gate::{Cx, Op},
    resources::Addressed,
    vault::opened::open,
};

fn missing() -> Error {
    Error::new(Fault::NotFound, "Issuer not found").coded("CertificateIssuerNotFound")
}

/// Lists the authorities of a vault: there are none.
#[derive(Debug)]
pub struct ListIssuers {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for ListIssuers {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/certificatecas/read", Class::Read);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        open(cx, &self.vault).await.map(drop)
    }
}

/// Reads one of them.
#[derive(Debug)]
pub struct GetIssuer {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for GetIssuer {
    const ACTION: Action = ListIssuers::ACTION;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        open(cx, &self.vault).await?;
        Err(missing())
    }
}

/// Connects one, or changes how.
#[derive(Debug)]
pub struct PutIssuer {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for PutIssuer {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/certificatecas/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, _: &Cx<'_, Self>) -> Result<()> {
        let why =
            "certificate authorities are not connected: use the issuer `Self`, or `Unknown` and merge what was signed";
        Err(Error::new(Fault::Unsupported, why))
    }
}

/// Disconnects one.
#[derive(Debug)]
pub struct DeleteIssuer {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for DeleteIssuer {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/certificatecas/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        open(cx, &self.vault).await?;
        Err(missing())
    }
}
