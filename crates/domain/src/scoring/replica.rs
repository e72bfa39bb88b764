//! Starting replicas, and what becomes of them: the rules by which a deployment goes from one state to the next.

use std::time::Duration;

use kernel::{ResourceId, Result, RunId, Timestamp};

use super::{Deployment, Provisioning, Replica, ServiceState, UsedImage};
use crate::{
    compute::{self, JailLimits, Launch, Layer, Work, record_launch},
    gate::{Admission, Changes, Shelf},
    images::{self, Image},
};

/// Replicas lost in a row before a deployment is given up.
const MOST_LOSSES: u32 = 8;
/// A replica that answered for so long was a good one: losses are counted anew.
const GOOD: Duration = Duration::from_secs(600);
/// How long a replica may take until it answers for the first time; environments are built in this time too.
const STARTING: Duration = Duration::from_secs(1800);
/// Longest pause before the next replica.
const LONGEST_PAUSE: u64 = 60;
/// Scratch beside the image, in MiB.
const SCRATCH: u64 = 512;
/// Processes and threads of a replica.
const PROCESSES: u64 = 512;

/// Adds the launch of a replica of `image` to `changes`.
pub(super) fn start(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &ResourceId,
    changes: &mut Changes,
    deployment: &Deployment,
    image: &Image,
) -> Result<Replica> {
    let launch = RunId::random();
    let socket = format!("{}/{launch}.sock", cx.settings().socket_dir);
    let layers = image.layers.iter().map(|layer| Layer {
        digest: layer.digest.clone(),
        size: layer.size,
        media_type: layer.media_type.clone(),
        blob: layer.blob.clone(),
        registry: image.registry.map(|registry| (registry, image.name.clone())),
    });
    let engine = match &image.engine {
        images::Engine::Onnx { model } => compute::Engine::Onnx { model: model.clone() },
        images::Engine::Python { entry, model_dir } => {
            compute::Engine::Python { entry: entry.clone(), model_dir: model_dir.clone() }
        }
    };
    // A layer lies in the scratch twice while it is unpacked.
    let unpacked = image.size().div_ceil(1 << 20).saturating_mul(2);
    let limits = JailLimits {
        memory_mib: deployment.plan.memory_limit_mib,
        pids: PROCESSES,
        scratch_mib: SCRATCH.saturating_add(unpacked),
        seconds: 0,
    };
    // What its agent demands of the target is added when it begins, by what the workspace is then.
    let asked = Launch {
        run: launch.clone(),
        work: Work::Service {
            layers: layers.collect(),
            engine,
            image: Some((image.name.clone(), image.digest.clone())),
        },
        requirements: (!image.requirements.is_empty()).then(|| image.requirements.clone()),
        variables: deployment.plan.variables.clone(),
        limits,
        required_walls: Vec::new(),
        socket: Some(socket.clone()),
        submitted_by: deployment.deployed_by,
        identities: Vec::new(),
        hbi: false,
    };
    record_launch(cx, shelf, workspace, changes, asked)?;
    Ok(Replica { launch, socket, image: used(image), asked_at: cx.now(), healthy_since: None })
}

/// An image as deployments name it.
pub(super) fn used(image: &Image) -> UsedImage {
    UsedImage {
        name: image.name.clone(),
        number: image.number,
        digest: image.digest.clone(),
        model: image.model.clone(),
        version: image.model_version,
        model_digest: image.model_digest.clone(),
    }
}

/// What became of a replica's launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is under way.
    Alive,
    /// It is over; why, and whether its agent ever began.
    Ended {
        /// In one line.
        why: String,
        /// Whether the target took it.
        was_taken: bool,
    },
}

/// What is to be done about a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All is as it should be.
    Nothing,
    /// Something was lost; the deployment is already changed accordingly. The launch, if any, is still to be ended.
    Changed {
        /// A launch that has to be ended.
        end: Option<RunId>,
        /// Why the operation under way failed, if it did.
        failed: Option<String>,
    },
    /// A replica is due.
    Start,
}

/// Looks at a deployment and what became of its replicas, and changes what is to be changed.
pub(super) fn judge(
    deployment: &mut Deployment,
    current: Option<Fate>,
    coming: Option<Fate>,
    now: Timestamp,
) -> Verdict {
    let mut end = None;
    let mut failed = None;
    let mut is_changed = false;
    if let (Some(Fate::Ended { why, .. }), Some(lost)) = (current, deployment.current.clone()) {
        deployment.current = None;
        let was_good = lost.healthy_since.is_some_and(|since| now.since(since) >= GOOD);
        deployment.losses = if was_good { 1 } else { deployment.losses.saturating_add(1) };
        lose(deployment, why, now);
        is_changed = true;
    }
    if let (Some(fate), Some(lost)) = (coming, deployment.coming.clone()) {
        let is_late = now.since(lost.asked_at) >= STARTING;
        let over = match fate {
            Fate::Ended { why, was_taken } => Some((why, was_taken)),
            Fate::Alive if is_late => {
                end = Some(lost.launch.clone());
                Some((format!("the service did not answer within {} minutes", STARTING.as_secs() / 60), true))
            }
            Fate::Alive => None,
        };
        if let Some((why, was_taken)) = over {
            deployment.coming = None;
            is_changed = true;
            if deployment.current.is_some() {
                // The replica before it goes on answering.
                deployment.reason = Some(why.clone());
                deployment.provisioning = Provisioning::Failed;
                failed = Some(why);
            } else if deployment.losses == 0 {
                give_up(deployment, why.clone(), was_taken);
                failed = Some(why);
            } else {
                deployment.losses = deployment.losses.saturating_add(1);
                lose(deployment, why, now);
            }
        }
    }
    if is_changed {
        return Verdict::Changed { end, failed };
    }
    let is_empty = deployment.current.is_none() && deployment.coming.is_none();
    let is_due = deployment.retry_at.is_some_and(|at| at <= now);
    if is_empty && is_due { Verdict::Start } else { Verdict::Nothing }
}

/// A replica was lost: the next one after a pause, unless too many were.
fn lose(deployment: &mut Deployment, why: String, now: Timestamp) {
    if deployment.losses > MOST_LOSSES {
        give_up(deployment, format!("{why} (given up after {MOST_LOSSES} restarts)"), true);
        return;
    }
    let doubled = 1_u64.checked_shl(deployment.losses.saturating_sub(1)).unwrap_or(LONGEST_PAUSE);
    deployment.state = ServiceState::Unhealthy;
    deployment.reason = Some(why);
    deployment.retry_at = Some(now.plus(Duration::from_secs(doubled.min(LONGEST_PAUSE))));
}

/// A deployment whose image is not what was signed: nothing is started, and nothing is tried again.
pub(super) fn refuse(deployment: &mut Deployment, why: String) {
    give_up(deployment, why, true);
}

fn give_up(deployment: &mut Deployment, why: String, was_taken: bool) {
    deployment.state = if was_taken { ServiceState::Failed } else { ServiceState::Unschedulable };
    deployment.provisioning = Provisioning::Failed;
    deployment.reason = Some(why);
    deployment.retry_at = None;
}

/// A replica answered its probe, or did not. Says whether anything changed, and which launch has had its day.
pub(super) fn report(deployment: &mut Deployment, launch: &RunId, is_healthy: bool, now: Timestamp) -> Option<Report> {
    if is_healthy && deployment.coming.as_ref().is_some_and(|replica| replica.launch == *launch) {
        let coming = deployment.coming.take();
        let replaced = deployment.current.take().map(|replica| replica.launch);
        deployment.current = coming.map(|replica| Replica { healthy_since: Some(now), ..replica });
        deployment.state = ServiceState::Healthy;
        deployment.provisioning = Provisioning::Succeeded;
        deployment.reason = None;
        deployment.retry_at = None;
        return Some(Report { replaced, is_settled: true });
    }
    let current = deployment.current.as_mut().filter(|replica| replica.launch == *launch)?;
    match (is_healthy, current.healthy_since) {
        (true, None) => {
            current.healthy_since = Some(now);
            deployment.state = ServiceState::Healthy;
            // Why a later plan did not work is still to be read.
            if deployment.provisioning != Provisioning::Failed {
                deployment.reason = None;
            }
        }
        (false, Some(_)) => {
            current.healthy_since = None;
            deployment.state = ServiceState::Unhealthy;
            deployment.reason = Some(String::from("the replica does not answer its health probe"));
        }
        (true, Some(_)) | (false, None) => return None,
    }
    Some(Report { replaced: None, is_settled: false })
}

/// What a report changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// A launch that is to be ended.
    pub(super) replaced: Option<RunId>,
    /// Whether the operation under way is done.
    pub(super) is_settled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::{Plan, ServiceKind};
    use kernel::PrincipalId;

    fn replica(name: &str) -> Replica {
        Replica {
            launch: name.parse().unwrap(),
            socket: String::new(),
            image: image(),
            asked_at: Timestamp(0),
            healthy_since: None,
        }
    }

    fn image() -> UsedImage {
        let text = String::new;
        UsedImage { name: text(), number: 1, digest: text(), model: text(), version: 1, model_digest: text() }
    }

    fn deployment() -> Deployment {
        Deployment {
            plan: Plan::default(),
            made_for: None,
            kind: ServiceKind::Cluster,
            image: image(),
            deployed_by: PrincipalId::random(),
            state: ServiceState::Transitioning,
            provisioning: Provisioning::Creating,
            reason: None,
            current: None,
            coming: Some(replica("a")),
            losses: 0,
            retry_at: None,
            operation: None,
            log: None,
            warnings: Vec::new(),
        }
    }

    fn ended() -> Option<Fate> {
        Some(Fate::Ended { why: String::from("init() failed"), was_taken: true })
    }

    const ALIVE: Option<Fate> = Some(Fate::Alive);

    fn id(name: &str) -> RunId {
        name.parse().unwrap()
    }

    #[test]
    fn a_first_replica_that_ends_fails_for_good() {
        let mut made = deployment();
        assert_eq!(judge(&mut made, None, ALIVE, Timestamp(5)), Verdict::Nothing);
        let verdict = judge(&mut made, None, ended(), Timestamp(5));
        assert_eq!(verdict, Verdict::Changed { end: None, failed: Some(String::from("init() failed")) });
        assert_eq!((made.state, made.provisioning), (ServiceState::Failed, Provisioning::Failed));
        assert_eq!(judge(&mut made, None, None, Timestamp(i64::MAX)), Verdict::Nothing);
    }

    #[test]
    fn one_that_no_target_takes_is_unschedulable() {
        let mut made = deployment();
        judge(&mut made, None, Some(Fate::Ended { why: String::new(), was_taken: false }), Timestamp(5));
        assert_eq!(made.state, ServiceState::Unschedulable);
    }

    #[test]
    fn one_that_never_answers_is_ended() {
        let mut made = deployment();
        let late = Timestamp(0).plus(STARTING);
        let Verdict::Changed { end, failed } = judge(&mut made, None, ALIVE, late) else { panic!("nothing happened") };
        assert_eq!(end, Some(id("a")));
        assert!(failed.unwrap().contains("did not answer"));
    }

    #[test]
    fn a_healthy_replica_takes_over_and_the_old_one_ends() {
        let mut made = deployment();
        assert_eq!(report(&mut made, &id("a"), false, Timestamp(1)), None);
        assert_eq!(report(&mut made, &id("a"), true, Timestamp(2)), Some(Report { replaced: None, is_settled: true }));
        assert_eq!((made.state, made.provisioning), (ServiceState::Healthy, Provisioning::Succeeded));
        made.coming = Some(replica("b"));
        assert_eq!(report(&mut made, &id("a"), true, Timestamp(3)), None);
        let report = report(&mut made, &id("b"), true, Timestamp(4));
        assert_eq!(report, Some(Report { replaced: Some(id("a")), is_settled: true }));
    }

    #[test]
    fn a_plan_that_fails_leaves_the_replica_before_it() {
        let mut made = deployment();
        report(&mut made, &id("a"), true, Timestamp(2));
        made.coming = Some(replica("b"));
        judge(&mut made, ALIVE, ended(), Timestamp(3));
        assert_eq!((made.state, made.provisioning), (ServiceState::Healthy, Provisioning::Failed));
        assert_eq!(made.current.as_ref().map(|replica| replica.launch.clone()), Some(id("a")));
        assert!(made.reason.is_some());
    }

    #[test]
    fn a_lost_replica_is_replaced_ever_more_slowly_and_then_no_more() {
        let mut made = deployment();
        let mut now = Timestamp(0);
        let mut pauses = Vec::new();
        report(&mut made, &id("a"), true, now);
        loop {
            judge(&mut made, ended(), None, now);
            let Some(at) = made.retry_at else { break };
            assert_eq!(made.state, ServiceState::Unhealthy);
            pauses.push(at.since(now).as_secs());
            assert_eq!(judge(&mut made, None, None, now), Verdict::Nothing);
            now = at;
            assert_eq!(judge(&mut made, None, None, now), Verdict::Start);
            made.retry_at = None;
            made.coming = Some(replica("b"));
            report(&mut made, &id("b"), true, now);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(made.state, ServiceState::Failed);
    }

    #[test]
    fn a_silent_replica_is_unhealthy_until_it_answers() {
        let mut made = deployment();
        report(&mut made, &id("a"), true, Timestamp(2));
        assert!(report(&mut made, &id("a"), false, Timestamp(3)).is_some());
        assert_eq!(made.state, ServiceState::Unhealthy);
        assert_eq!(report(&mut made, &id("a"), false, Timestamp(4)), None);
        assert!(report(&mut made, &id("a"), true, Timestamp(5)).is_some());
        assert_eq!((made.state, made.reason), (ServiceState::Healthy, None));
    }
}
