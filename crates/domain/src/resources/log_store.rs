//! Log stores (`Microsoft.OperationalInsights/workspaces`): what templates name beside a telemetry store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Precondition, PutResource, Resource, ResourceGroup, ResourceType, Written, find, name, row_id};
use crate::gate::{Cx, Op};

/// A log store. Clients and templates make one beside a telemetry store; records are kept by workspace, whatever it is called.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogStore {
    /// Names the store in Azure's queries.
    pub customer: Uuid,
}

impl ResourceType for LogStore {
    const TYPE: &'static str = "Microsoft.OperationalInsights/workspaces";
    const READ: Action = Action::new("Microsoft.OperationalInsights/workspaces/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.OperationalInsights/workspaces/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.OperationalInsights/workspaces/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        name::check("workspaceName", id.name(), 4..=63)
    }
}

/// Creates a log store, or changes its tags.
#[derive(Debug)]
pub struct PutLogStore {
    /// Its id.
    pub id: ResourceId,
    /// Where.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for PutLogStore {
    const ACTION: Action = LogStore::WRITE;
    type Output = Written<Resource<LogStore>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let system = cx.system();
        let present = cx.get::<Resource<LogStore>>(system, &row_id::<LogStore>(system, &self.id)).await?;
        let fresh = || LogStore { customer: Uuid::new_v4() };
        let properties = present.map_or_else(fresh, |row| row.value.properties);
        let Self { id, location, tags } = self;
        PutResource { id, location, tags, properties, precondition: Precondition::default() }.apply(cx).await
    }
}
