//! What clients ask about this installation before they know anybody here.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use crate::gate::{Cx, Op};

/// This installation as a cloud of its own.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The address that clients use: `https://localhost:8443`.
    pub url: String,
    /// Host-style names end in this.
    pub suffix: String,
}

/// Asks where this installation's services are.
#[derive(Debug)]
pub struct GetCloud;

#[async_trait]
impl Op for GetCloud {
    const ACTION: Action = Action::public("Microsoft.Resources/metadata/endpoints/read", Class::Open);
    type Output = Cloud;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Cloud> {
        let settings = cx.settings();
        Ok(Cloud { url: settings.url.clone(), suffix: settings.suffix.clone() })
    }
}
