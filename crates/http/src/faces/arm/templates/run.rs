//! Carrying a plan out: one resource after another, as the caller, until the first one fails.

use std::time::Duration;

use domain::{
    deployments::{
        Begun, DeploymentFault, DeploymentState, EndDeployment, NoteStep, Plan, Step, StepRecord, UnderWay, Wanted,
    },
    gate::enter,
};
use http::{Method, StatusCode};
use kernel::{Caller, Error, ResourceId};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{super::error::detail, errand::Errand};

/// The longest wait for one resource.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between two looks at a resource that is not ready: soon at first, then less often.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);
/// References that lead to further references.
const MOST_ROUNDS: usize = 8;

/// Why no more is made.
enum Stop {
    Canceled,
    Failed(u16, DeploymentFault),
}

impl From<Error> for Stop {
    fn from(fault: Error) -> Self {
        let said = detail(&fault);
        Self::Failed(400, DeploymentFault { code: said.code, message: said.message, target: None })
    }
}

/// One run of a deployment.
struct Run<'a> {
    errand: &'a Errand,
    id: &'a ResourceId,
    run: Uuid,
    under_way: &'a UnderWay,
}

/// Makes what a deployment is to make, and records how it goes.
pub(super) async fn carry_out(errand: Errand, begun: Begun) {
    let Begun { written, mut plan, under_way } = begun;
    let (id, number) = (written.row.value.id, written.row.value.properties.run);
    let run = Run { errand: &errand, id: &id, run: number, under_way: &under_way };
    let (state, fault, outputs) = match run.all(&mut plan).await {
        Ok(outputs) => (DeploymentState::Succeeded, None, outputs),
        Err(Stop::Canceled) => (DeploymentState::Canceled, None, Map::new()),
        Err(Stop::Failed(_, mut fault)) => {
            fault.message = plan.redact(&fault.message);
            (DeploymentState::Failed, Some(fault), Map::new())
        }
    };
    let end = EndDeployment { id: id.clone(), run: number, state, fault, outputs };
    if let Err(fault) = enter(errand.house(), &Caller::house(), end).await {
        tracing::error!(?fault, deployment = %id, "the end of a deployment could not be recorded");
    }
}

impl Run<'_> {
    async fn all(&self, plan: &mut Plan) -> Result<Map<String, Value>, Stop> {
        for (number, step) in plan.steps().to_vec().iter().enumerate() {
            if self.under_way.is_cancelled() {
                return Err(Stop::Canceled);
            }
            let started_at = self.errand.house().now();
            let made = self.make(plan, number, step).await;
            let (state, status, fault) = match &made {
                Ok(status) => (DeploymentState::Succeeded, *status, None),
                Err(Stop::Canceled) => (DeploymentState::Canceled, 0, None),
                Err(Stop::Failed(status, fault)) => {
                    let message = plan.redact(&fault.message);
                    (DeploymentState::Failed, *status, Some(DeploymentFault { message, ..fault.clone() }))
                }
            };
            let ended_at = self.errand.house().now();
            let (target, kind) = (step.id.clone(), step.kind.clone());
            let step = StepRecord { number, target, kind, state, status, started_at, ended_at, fault };
            let note = NoteStep { id: self.id.clone(), run: self.run, step };
            enter(self.errand.house(), &Caller::house(), note).await?;
            made?;
        }
        for _ in 0..MOST_ROUNDS {
            let wanted = plan.wanted_of_outputs()?;
            if wanted.is_empty() {
                break;
            }
            self.look_up(plan, wanted, "2023-04-01").await?;
        }
        Ok(plan.outputs()?)
    }

    /// Makes one resource, and waits until it is ready. The status of the answer.
    async fn make(&self, plan: &mut Plan, number: usize, step: &Step) -> Result<u16, Stop> {
        for _ in 0..MOST_ROUNDS {
            let wanted = plan.wanted(number)?;
            if wanted.is_empty() {
                break;
            }
            self.look_up(plan, wanted, &step.api_version).await?;
        }
        let body = plan.body(step)?;
        let reply = self.errand.ask(Method::PUT, &step.id, &step.api_version, Some(&body)).await?;
        let status = reply.status.as_u16();
        if !reply.status.is_success() {
            return Err(Stop::Failed(status, reply.fault(&step.id)));
        }
        if let Some(operation) = &reply.operation {
            self.wait(step, operation).await?;
        }
        Ok(status)
    }

    async fn look_up(&self, plan: &mut Plan, wanted: Vec<Wanted>, api_version: &str) -> Result<(), Stop> {
        for Wanted { id, api_version: own } in wanted {
            if plan.knows(&id) {
                continue;
            }
            if self.under_way.is_cancelled() {
                return Err(Stop::Canceled);
            }
            let version = own.as_deref().unwrap_or(api_version);
            let reply = self.errand.ask(Method::GET, &id, version, None).await?;
            if reply.status != StatusCode::OK {
                return Err(Stop::Failed(reply.status.as_u16(), reply.fault(&id)));
            }
            plan.know(&id, reply.body)?;
        }
        Ok(())
    }

    async fn wait(&self, step: &Step, operation: &str) -> Result<(), Stop> {
        let began = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            let reply = self.errand.ask_operation(operation).await?;
            let failed = || Stop::Failed(reply.status.as_u16(), reply.fault(&step.id));
            if !reply.status.is_success() {
                return Err(failed());
            }
            match reply.body.get("status").and_then(Value::as_str).unwrap_or_default() {
                "Succeeded" => return Ok(()),
                "Failed" | "Canceled" => return Err(failed()),
                _ if self.under_way.is_cancelled() => return Err(Stop::Canceled),
                _ if began.elapsed() > PATIENCE => {
                    let message = String::from("the resource did not become ready within an hour");
                    let code = String::from("DeploymentTimedOut");
                    return Err(Stop::Failed(0, DeploymentFault { code, message, target: Some(step.id.clone()) }));
                }
                _ => {}
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LAST_LOOK);
        }
    }
}
