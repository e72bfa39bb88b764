//! Admitting a scoring call: who calls, which replica answers, and whether there is room. Nothing is read from a store
//! unless a service has changed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret};

use super::{
    CallWords, Located, Place, RequestRecord, Ticket,
    service::{Proof, Service, Wanted, waste},
};
use crate::gate::{Actor, Admission, Cx, Op};

/// How often a call that waited is sent elsewhere because its service changed meanwhile.
const MOST_TURNS: usize = 8;

/// Calls a service.
#[derive(Debug)]
pub struct Score {
    /// What was found at the address.
    pub located: Located,
    /// The bearer credential.
    pub credential: Option<Secret<String>>,
    /// The deployment that was asked for by name.
    pub deployment: Option<String>,
    /// The model that was asked for by name.
    pub model: Option<String>,
    /// What the record shall say.
    pub words: CallWords,
}

/// An admitted call.
#[derive(Debug)]
pub struct ScoringAdmission {
    /// Leaves the record of the call.
    pub ticket: Ticket,
    /// The deployment that answers, once one was chosen.
    pub deployment: Option<String>,
    /// Whether it can be answered now.
    pub way: Way,
}

/// Where an admitted call goes.
#[derive(Debug)]
pub enum Way {
    /// To a replica.
    Open {
        /// Its Unix socket.
        socket: String,
        /// Held while the call is under way.
        place: Place,
        /// How long it may take.
        timeout: Duration,
    },
    /// Nowhere just now.
    Shut(Shut),
}

/// Why an admitted call cannot be answered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// No deployment has traffic.
    NoDeployment,
    /// No replica is healthy.
    NoReplica,
    /// All places are taken.
    Busy,
    /// No deployment has a model of this name.
    NoModel,
    /// The caller's key is not for this deployment, or for none that has traffic.
    OutOfScope,
    /// The caller's key has had its calls of this minute.
    Throttled {
        /// In how many seconds it may call again.
        seconds: u64,
    },
}

#[async_trait]
impl Op for Score {
    const ACTION: Action =
        Action::public("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action", Class::Read);
    type Output = ScoringAdmission;

    fn scope(&self) -> ResourceId {
        self.located.service.as_ref().map_or_else(ResourceId::root, |service| service.home.scope.clone())
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ScoringAdmission> {
        admit(cx, self).await
    }
}

async fn admit(cx: &Admission<'_>, op: Score) -> Result<ScoringAdmission> {
    let Some(service) = &op.located.service else {
        if let Some(credential) = &op.credential {
            waste(cx.system(), credential.expose());
        }
        return Err(refused(op.credential.is_some()));
    };
    let Some(proof) = service.prove(cx, op.credential.as_ref()).await? else {
        return Err(refused(op.credential.is_some()));
    };
    let mut key = None;
    let caller = match proof {
        Proof::None => String::from("anonymous"),
        Proof::Key(name) => {
            cx.establish(Actor::ServiceKey { key: name.to_owned() });
            format!("key {name}")
        }
        Proof::Named(named) => {
            cx.establish(Actor::ServiceKey { key: named.name.clone() });
            let caller = format!("key {}", named.name);
            key = Some(named);
            caller
        }
        Proof::Token(actor, label) => {
            cx.establish(actor);
            label
        }
    };
    cx.require_reach(&service.home.scope)?;
    let scoring = &cx.house().scoring;
    scoring.waiting.refuse_if_full()?;
    cx.note("caller", caller.as_str());
    let record = RequestRecord {
        at: cx.now(),
        method: op.words.method,
        user_agent: op.words.user_agent,
        compute_type: service.compute_type.to_owned(),
        url: op.words.path,
        status: 0,
        request: cx.caller().source.correlation,
        micros: 0,
        caller,
        deployment: String::new(),
        model: String::new(),
        model_digest: String::new(),
    };
    let mut ticket = Ticket::new(Arc::clone(&scoring.waiting), service.home.clone(), record);
    if let Some((key, most)) = key.as_ref().and_then(|key| Some((key, key.calls_a_minute?)))
        && let Err(seconds) = scoring.rates.count(key.id, most, cx.now())
    {
        return Ok(ScoringAdmission { ticket, deployment: None, way: Way::Shut(Shut::Throttled { seconds }) });
    }
    let wanted = Wanted { deployment: op.deployment.as_deref(), model: op.model.as_deref(), key: key.as_deref() };
    let (deployment, way) = find_way(cx, &op.located, wanted, &mut ticket).await?;
    if let Some(deployment) = &deployment {
        cx.note("deployment", deployment.as_str());
        let [model, digest] = ticket.model();
        cx.note("model", model);
        cx.note("modelDigest", digest);
    }
    Ok(ScoringAdmission { ticket, deployment, way })
}

/// Chooses a deployment and takes a place at its replica. A call that waited while its service changed chooses again, so that
/// none goes to a replica that was told to stop meanwhile.
async fn find_way(
    cx: &Admission<'_>,
    located: &Located,
    wanted: Wanted<'_>,
    ticket: &mut Ticket,
) -> Result<(Option<String>, Way)> {
    let mut located = located.clone();
    let mut chosen = None;
    for _ in 0..MOST_TURNS {
        let Some(service) = &located.service else { return Ok((None, Way::Shut(Shut::NoDeployment))) };
        let way = one_way(cx, service, wanted, ticket, &mut chosen).await;
        if matches!(way, Way::Shut(_)) {
            return Ok((chosen, way));
        }
        match located.again(cx.house()).await? {
            // It is a call of the same replica still: the place that it has is as good as the next.
            None => return Ok((chosen, way)),
            Some(now) if still_serves(&now, chosen.as_deref(), &way) => return Ok((chosen, way)),
            Some(now) => located = now,
        }
    }
    Ok((chosen, Way::Shut(Shut::Busy)))
}

fn still_serves(located: &Located, chosen: Option<&str>, way: &Way) -> bool {
    let (Some(service), Some(chosen), Way::Open { socket, .. }) = (&located.service, chosen, way) else { return false };
    let target = service.targets.iter().find(|target| target.deployment == chosen);
    target.and_then(|target| target.replica.as_ref()).is_some_and(|(present, _)| present == socket)
}

async fn one_way(
    cx: &Admission<'_>,
    service: &Service,
    wanted: Wanted<'_>,
    ticket: &mut Ticket,
    chosen: &mut Option<String>,
) -> Way {
    let target = match service.choose(cx.house(), wanted) {
        Ok(target) => target,
        Err(shut) => return Way::Shut(shut),
    };
    *chosen = Some(target.deployment.clone());
    ticket.note_target(&target.deployment, &target.model, &target.model_digest);
    let Some((socket, bounds)) = &target.replica else { return Way::Shut(Shut::NoReplica) };
    match bounds.enter().await {
        Some(place) => Way::Open { socket: socket.clone(), place, timeout: target.timeout },
        None => Way::Shut(Shut::Busy),
    }
}

fn refused(had_credential: bool) -> Error {
    let words = if had_credential {
        "the key or token in the `Authorization` header is not valid for this service"
    } else {
        "the `Authorization` header is missing; send `Bearer`, a space, and the key or token of the service"
    };
    Error::new(Kind::Unauthenticated, words)
}
