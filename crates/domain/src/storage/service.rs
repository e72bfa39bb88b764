//! What is set for the whole service of an account: how long deleted blobs are kept, and whether older versions are.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{Account, fault};
use crate::gate::{Admission, Changes, Cx, Op, Record, Row};

/// Days that deleted blobs may be kept; Azure's bound.
const MOST_DAYS: u32 = 365;

/// The settings of an account's service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// How many days deleted blobs can be had back; none when they are gone at once.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// Whether a blob that is overwritten or deleted stays as an older version.
    #[serde(default)]
    pub versioning: bool,
}

impl Record for ServiceSettings {
    const TABLE: &'static str = "blob-service";
}

impl ServiceSettings {
    /// Those of an account.
    pub(super) async fn of(cx: &Admission<'_>, account: &Account) -> Result<Self> {
        let row = cx.get::<Self>(&account.shelf, b"").await?;
        Ok(row.map(|row| row.value).unwrap_or_default())
    }

    /// How long deleted blobs are kept.
    pub(super) fn retention(&self) -> Option<Duration> {
        self.retention_days.map(|days| Duration::from_secs(u64::from(days).saturating_mul(24 * 3600)))
    }
}

/// What becomes of the days that deleted blobs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// They stay.
    Kept,
    /// Deleted blobs are gone at once.
    Off,
    /// So many.
    Days(u32),
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
        ServiceSettings::of(cx, &self.account).await
    }
}

/// Changes them. Gives them as they are then.
#[derive(Debug)]
pub struct SetServiceSettings {
    /// Of which account.
    pub account: Arc<Account>,
    /// How long deleted blobs are kept.
    pub retention: Retention,
    /// Whether older versions are kept; as before where nothing is said.
    pub versioning: Option<bool>,
}

#[async_trait]
impl Op for SetServiceSettings {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/write", Class::Control);
    type Output = ServiceSettings;

    fn scope(&self) -> ResourceId {
        self.account.service()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServiceSettings> {
        if matches!(self.retention, Retention::Days(days) if !(1..=MOST_DAYS).contains(&days)) {
            return Err(fault::invalid("InvalidXmlNodeValue", "`Days` must be 1 to 365"));
        }
        let shelf = &self.account.shelf;
        for _ in 0..super::container::ATTEMPTS {
            let mut row = match cx.get::<ServiceSettings>(shelf, b"").await? {
                Some(row) => row,
                None => Row::new(b"".as_slice(), ServiceSettings::default()),
            };
            match self.retention {
                Retention::Kept => {}
                Retention::Off => row.value.retention_days = None,
                Retention::Days(days) => row.value.retention_days = Some(days),
            }
            row.value.versioning = self.versioning.unwrap_or(row.value.versioning);
            let days = row.value.retention_days.map_or_else(|| String::from("off"), |days| days.to_string());
            cx.note("retentionDays", days);
            cx.note("versioning", if row.value.versioning { "on" } else { "off" });
            let mut changes = Changes::new();
            changes.put(shelf, &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| row.value),
            }
        }
        Err(fault::too_fast())
    }
}
