//! Signed checkpoints: what makes truncation and rewriting of the log visible to whoever keeps one.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, Link, ResourceId, Result, Secret, TenantId};
use seal::{CheckpointKey, SignedCheckpoint};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::{Admission, Changes, Cx, Op, Record, Row};

/// The key that signs checkpoints, sealed.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    document: Vec<u8>,
}

impl Record for StoredKey {
    const TABLE: &'static str = "log-key";
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.document)));
    }
}

/// Gives the public half of the log's key, making the key at the first call.
#[derive(Debug)]
pub struct LogKey;

#[async_trait]
impl Op for LogKey {
    const ACTION: Action = Action::new("Microsoft.Insights/logKeys/write", Class::Control);
    type Output = String;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<String> {
        let document = match stored(cx).await? {
            Some(row) => Secret::new(row.value.document.clone()),
            None => {
                let fresh = CheckpointKey::generate()?;
                let mut changes = Changes::new();
                changes.put(cx.system(), &Row::new(b"1".as_slice(), StoredKey { document: fresh.expose().clone() }))?;
                cx.commit(changes).await?;
                fresh
            }
        };
        Ok(CheckpointKey::from_pkcs8(&document)?.public_line())
    }
}

/// The key itself, which the first start made.
pub(crate) async fn key(cx: &Admission<'_>) -> Result<CheckpointKey> {
    let row = stored(cx).await?.ok_or_else(|| Error::internal("the log's key was never made"))?;
    Ok(CheckpointKey::from_pkcs8(&Secret::new(row.value.document.clone()))?)
}

async fn stored(cx: &Admission<'_>) -> Result<Option<Row<StoredKey>>> {
    cx.get::<StoredKey>(cx.system(), b"1").await
}

/// Signs the present state of the log. Changes nothing, so it leaves no record: otherwise a quiet log would grow.
#[derive(Debug, Default)]
pub struct SignCheckpoint {
    /// Size and link of the checkpoint before, if there is one: a log that does not continue it is not signed.
    pub continues: Option<(u64, Link)>,
}

#[async_trait]
impl Op for SignCheckpoint {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/checkpoints/read", Class::Open);
    type Output = SignedCheckpoint;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignedCheckpoint> {
        let key = key(cx).await?;
        let (size, link) = cx.house().log_head().await?;
        if let Some((covered, known)) = self.continues.filter(|(covered, _)| *covered > 0) {
            let row = cx.house().log_page(covered, 1).await?.into_iter().next();
            if row.is_none_or(|row| row.seq != covered || row.link != known) {
                let why = "the activity log does not continue its last checkpoint, so it is not signed";
                return Err(Error::new(Kind::Unavailable, why));
            }
        }
        let tenant = cx.house().tenant().unwrap_or(TenantId::from(Uuid::nil()));
        Ok(key.sign(&format!("bartizan.activity-log/{tenant}"), size, &link, &cx.now().rfc3339()))
    }
}
