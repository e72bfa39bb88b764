//! What is set for the whole service of an account: how long deleted blobs are kept.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{Account, fault};
use crate::gate::{Changes, Cx, Op, Record, Row};

/// Days that deleted blobs may be kept; Azure's bound.
const MOST_DAYS: u32 = 365;

/// The settings of an account's service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// How many days deleted blobs can be had back; none when they are gone at once.
    #[serde(default)]
    pub retention_days: Option<u32>,
}

impl Record for ServiceSettings {
    const TABLE: &'static str = "blob-service";
}

/// How long deleted blobs are kept.
pub(super) async fn retention<O: Op>(cx: &Cx<'_, O>, account: &Account) -> Result<Option<Duration>> {
    let row = cx.get::<ServiceSettings>(&account.shelf, b"").await?;
    let days = row.and_then(|row| row.value.retention_days);
    Ok(days.map(|days| Duration::from_secs(u64::from(days).saturating_mul(24 * 3600))))
}

/// Reads the settings.
#[derive(Debug)]
pub struct GetServiceSettings {
    /// Of which account.
    pub account: Arc<Account>,
}

#[async_trait]
impl Op for GetServiceSettings {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/read", Class::Read);
    type Output = ServiceSettings;

    fn scope(&self) -> ResourceId {
        self.account.service()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServiceSettings> {
        let row = cx.get::<ServiceSettings>(&self.account.shelf, b"").await?;
        Ok(row.map(|row| row.value).unwrap_or_default())
    }
}

/// Changes them.
#[derive(Debug)]
pub struct SetServiceSettings {
    /// Of which account.
    pub account: Arc<Account>,
    /// How many days deleted blobs are kept; none when they are gone at once.
    pub retention_days: Option<u32>,
}

#[async_trait]
impl Op for SetServiceSettings {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.account.service()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        if self.retention_days.is_some_and(|days| !(1..=MOST_DAYS).contains(&days)) {
            return Err(fault::invalid("InvalidXmlNodeValue", "`Days` must be 1 to 365"));
        }
        let days = self.retention_days.map_or_else(|| String::from("off"), |days| days.to_string());
        cx.note("retentionDays", days);
        let shelf = &self.account.shelf;
        for _ in 0..super::container::ATTEMPTS {
            let mut row = match cx.get::<ServiceSettings>(shelf, b"").await? {
                Some(row) => row,
                None => Row::new(b"".as_slice(), ServiceSettings::default()),
            };
            row.value.retention_days = self.retention_days;
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
