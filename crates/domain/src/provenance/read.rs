//! Looking at the chain of an image, and fetching the keys that sign.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Timestamp};

use super::{
    chain::{Chain, chain_of},
    image::{self, ImageStatement},
    keys,
};
use crate::{
    gate::{Cx, Op},
    images::{Image, ImageRef, resolve},
    resources::workspace_shelf,
};

/// As for images.
const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/environments/read", Class::Read);

/// Looks at everything that an image rests on.
#[derive(Debug)]
pub struct VerifyImage {
    /// The workspace.
    pub workspace: ResourceId,
    /// The image.
    pub image: ImageRef,
}

/// An image with what it rests on.
#[derive(Clone, Debug)]
pub struct VerifiedImage {
    /// It.
    pub image: Image,
    /// Its chain.
    pub chain: Chain,
    /// Its envelope (DSSE), if it has one.
    pub envelope: Option<String>,
    /// Its model's envelope.
    pub model_envelope: Option<String>,
}

#[async_trait]
impl Op for VerifyImage {
    const ACTION: Action = READ;
    type Output = VerifiedImage;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<VerifiedImage> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let image = resolve(cx, &shelf, &self.image).await?;
        cx.note("digest", &image.digest);
        let chain = chain_of(cx, &shelf, &image).await?;
        if let Some((link, why)) = chain.broken() {
            cx.note("broken", format!("{} {}: {why}", link.of, link.name));
        }
        let id = image::row_id(&shelf, &image.name, &image.digest);
        let kept = cx.get::<ImageStatement>(&shelf, &id).await?.map(|row| row.value);
        let (envelope, model_envelope) = kept.map(|kept| (kept.envelope, kept.model)).unzip();
        Ok(VerifiedImage { image, chain, envelope, model_envelope })
    }
}

/// The public keys of a workspace's statements, the oldest first; the last one signs.
#[derive(Debug)]
pub struct GetStatementKeys {
    /// The workspace.
    pub workspace: ResourceId,
}

/// A public key.
#[derive(Clone, Debug)]
pub struct PublicStatementKey {
    /// SHA-256 of the key (`SubjectPublicKeyInfo`), lower-case hex.
    pub id: String,
    /// The key, PEM.
    pub pem: String,
    /// When it was made.
    pub created_at: Timestamp,
}

#[async_trait]
impl Op for GetStatementKeys {
    const ACTION: Action = READ;
    type Output = Vec<PublicStatementKey>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let shown = |(key, created_at): (seal::StatementKey, Timestamp)| PublicStatementKey {
            id: key.id().to_owned(),
            pem: key.public_pem(),
            created_at,
        };
        Ok(keys::all(cx, &shelf).await?.into_iter().map(shown).collect())
    }
}
