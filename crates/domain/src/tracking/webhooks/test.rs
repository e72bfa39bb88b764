//! Trying a webhook: an example of an event is sent now, once.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{example, find};
use crate::{
    delivery::send_registry_event,
    gate::{Cx, Op},
    resources::workspace_shelf,
};

const TEST: Action = Action::new("Microsoft.MachineLearningServices/workspaces/webhooks/test/action", Class::Control);

/// Most characters of the receiver's answer that are shown.
const MOST_OF_ANSWER: usize = 1000;

/// What the receiver said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestResult {
    /// Whether it took the event.
    pub success: bool,
    /// Its status, when there was an answer.
    pub status: Option<u16>,
    /// The beginning of its answer.
    pub body: Option<String>,
    /// Why there was none.
    pub fault: Option<String>,
}

/// Sends an example of an event to a webhook, whether it is active or not.
#[derive(Debug)]
pub struct TestWebhook {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: Uuid,
    /// The event; the webhook's first when none is named.
    pub event: Option<&'static str>,
}

#[async_trait]
impl Op for TestWebhook {
    const ACTION: Action = TEST;
    type Output = TestResult;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<TestResult> {
        workspace_shelf(cx, &self.workspace).await?;
        let hook = find(cx, &self.workspace, self.id).await?.value;
        let none = || Error::new(Kind::Invalid, "the webhook has no events");
        let event =
            self.event.or_else(|| super::EVENTS.into_iter().find(|known| hook.events.iter().any(|one| one == known)));
        let event = event.ok_or_else(none)?;
        cx.note("webhook", self.id.to_string());
        cx.note("event", event);
        let said = send_registry_event(cx, &hook, Uuid::new_v4(), (event, cx.now()), &example(event)).await?;
        Ok(match said {
            Ok(reply) => {
                let body = String::from_utf8_lossy(&reply.body);
                let clean = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
                TestResult {
                    success: reply.status < 400,
                    status: Some(reply.status),
                    body: Some(body.chars().take(MOST_OF_ANSWER).map(clean).collect()),
                    fault: None,
                }
            }
            Err(fault) => {
                TestResult { fault: Some(format!("Failed to test webhook: {fault}")), ..TestResult::default() }
            }
        })
    }
}
