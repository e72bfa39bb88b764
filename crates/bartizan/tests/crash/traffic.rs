//! The clients: each works on resources of its own and notes every acknowledgement.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    client::{Outcome, Session},
    dice::Dice,
    ledger::{Deed, Kind, Ledger, Principal, State},
};

pub const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";
const GROUPS: usize = 10;
const WORKSPACES: usize = 12;
const PRINCIPALS: usize = 6;
const ASSIGNMENTS: usize = 16;
/// After so many refusals in a row a client gives up: the server does not write any more.
const REFUSALS: u32 = 4;

/// How the clients see trouble.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Any answer but a success is a fault of the server.
    Fair,
    /// The disk fails: the server may refuse (5xx), and what it refused is uncertain.
    Foul,
}

/// What all clients of a round share.
pub struct Round {
    pub weather: Weather,
    /// A client ends by itself after so many calls.
    pub most: u64,
    acknowledged: AtomicU64,
    progress: Notify,
    is_over: AtomicBool,
    late: AtomicU64,
}

impl Round {
    pub fn new(weather: Weather, most: u64) -> Arc<Self> {
        Arc::new(Self {
            weather,
            most,
            acknowledged: AtomicU64::new(0),
            progress: Notify::new(),
            is_over: AtomicBool::new(false),
            late: AtomicU64::new(0),
        })
    }

    /// How many changes were acknowledged in this round.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Waits until so many changes were acknowledged. False when that takes longer than a minute.
    pub async fn reaches(&self, count: u64) -> bool {
        let reached = async {
            loop {
                let progress = self.progress.notified();
                if self.acknowledged() >= count {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.is_ok()
    }

    /// Declares that what is acknowledged from now on does not count: the power is about to go. A real cut takes the
    /// server with it, while here it lives on for a moment, and a sync that was under way when the file system was shut
    /// down may report success for a transaction that the shutdown threw away.
    pub fn is_over_now(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// How many acknowledgements came too late to count.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Acquire)
    }

    /// Whether an acknowledgement that has just come counts.
    fn counts(&self) -> bool {
        let is_over = self.is_over.load(Ordering::SeqCst);
        self.late.fetch_add(u64::from(is_over), Ordering::AcqRel);
        !is_over
    }

    fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
        self.progress.notify_waiters();
    }
}

/// Lets one client work until its connection breaks, its calls are used up, or nothing is accepted any more.
pub fn start(name: String, session: Session, dice: Dice, ledger: Ledger, round: Arc<Round>) -> JoinHandle<Ledger> {
    let mut client = Client { name, session, dice, ledger, round, refusals: 0 };
    tokio::spawn(async move {
        let mut calls = 0;
        while calls < client.round.most && client.refusals < REFUSALS {
            if !client.step().await {
                break;
            }
            calls += 1;
        }
        client.ledger
    })
}

struct Client {
    name: String,
    session: Session,
    dice: Dice,
    ledger: Ledger,
    round: Arc<Round>,
    refusals: u32,
}

/// A change to be asked for.
struct Change {
    method: &'static str,
    /// Where it is asked for.
    at: String,
    body: Option<Value>,
    kind: Kind,
    /// Where it is read, and what it is known by.
    place: String,
    /// What is read there once it is done.
    state: State,
    /// How its activity record's action ends.
    action: &'static str,
}

impl Client {
    /// One change. False when there was no answer that counts.
    async fn step(&mut self) -> bool {
        let groups = self.ledger.settled(Kind::Group);
        let Some(group) = self.dice.pick(&groups).cloned() else { return self.put_group(None).await };
        match self.dice.below(100) {
            0..10 => self.put_group((groups.len() >= GROUPS).then_some(group)).await,
            10..18 => self.put_group(Some(group)).await,
            18..32 => self.put_workspace(&group).await,
            32..45 => self.patch_workspace().await,
            45..49 => self.delete(Kind::Workspace, "workspaces/delete").await,
            49..55 => self.create_principal().await,
            55..64 => self.assign(&group).await,
            64..68 => self.delete(Kind::Assignment, "roleAssignments/delete").await,
            68..82 => self.put_artifact().await,
            82..84 => self.delete(Kind::Artifact, "metadata/artifacts/delete").await,
            84..97 => self.log_metric().await,
            _ => self.delete_group(&group).await,
        }
    }

    async fn put_group(&mut self, present: Option<String>) -> bool {
        let fresh = format!("{}/resourceGroups/{}-{}", self.session.subscription, self.name, self.dice.text(6));
        let place = present.unwrap_or(fresh);
        let body = json!({"location": "local", "tags": self.tags()});
        self.put(Kind::Group, place, body, "resourceGroups/write").await
    }

    async fn put_workspace(&mut self, group: &str) -> bool {
        let present = self.ledger.settled(Kind::Workspace);
        if present.len() >= WORKSPACES {
            return self.patch_workspace().await;
        }
        let kind = "Microsoft.MachineLearningServices/workspaces";
        // A name that was used before must be as good as a new one.
        let gone = |(place, thing): (&String, &crate::ledger::Thing)| {
            let is_free = thing.kind == Kind::Workspace && thing.kept.is_none() && thing.asked.is_none();
            (is_free && place.starts_with(&format!("{group}/"))).then(|| place.clone())
        };
        let used: Vec<String> = self.ledger.things.iter().filter_map(gone).collect();
        let again = if self.dice.chance(30) { self.dice.pick(&used).cloned() } else { None };
        let fresh = format!("{group}/providers/{kind}/w{}", self.dice.text(8));
        let body = json!({
            "location": "local",
            "tags": self.tags(),
            "properties": {"friendlyName": self.dice.text(30), "description": self.dice.text(400)},
        });
        let place = again.unwrap_or(fresh);
        self.put(Kind::Workspace, place, body, "workspaces/write").await
    }

    async fn patch_workspace(&mut self) -> bool {
        let present = self.ledger.settled(Kind::Workspace);
        let Some(place) = self.dice.pick(&present).cloned() else { return true };
        let body = json!({"tags": self.tags(), "properties": {"friendlyName": self.dice.text(30)}});
        let mut state = self.ledger.things[&place].kept.clone().unwrap_or_default();
        state["tags"] = body["tags"].clone();
        state["properties"]["friendlyName"] = body["properties"]["friendlyName"].clone();
        let (at, body, state) = (place.clone(), Some(body), Some(state));
        let action = "workspaces/write";
        self.change(Change { method: "PATCH", at, body, kind: Kind::Workspace, place, state, action }).await
    }

    /// The run of a workspace that is certainly there, made when it has none yet: its workspace's base address,
    /// experiment and run. None when it could not be made; an error when there was no answer.
    async fn run(&mut self) -> Result<Option<(String, String, String)>, ()> {
        let present = self.ledger.settled(Kind::Workspace);
        let Some(workspace) = self.dice.pick(&present).cloned() else { return Ok(None) };
        let base = format!("/mlflow/v1.0{workspace}/api/2.0");
        if let Some((experiment, run)) = self.ledger.runs.get(&workspace) {
            return Ok(Some((base, experiment.clone(), run.clone())));
        }
        let name = self.dice.text(8);
        let made = self.make(&format!("{base}/mlflow/experiments/create"), json!({"name": name})).await?;
        let Some(experiment) = made["experiment_id"].as_str() else { return Ok(None) };
        let made = self.make(&format!("{base}/mlflow/runs/create"), json!({"experiment_id": experiment})).await?;
        let Some(run) = made["run"]["info"]["run_id"].as_str() else { return Ok(None) };
        let (experiment, run) = (experiment.to_owned(), run.to_owned());
        self.ledger.runs.insert(workspace, (experiment.clone(), run.clone()));
        Ok(Some((base, experiment, run)))
    }

    /// Makes something whose id the server chooses; null when it refused. An error when there was no answer.
    async fn make(&mut self, place: &str, body: Value) -> Result<Value, ()> {
        let outcome = self.session.call("POST", place, Some(&body), None).await;
        let Some(reply) = self.hear("POST", place, outcome) else { return Err(()) };
        let made = reply.unwrap_or_default();
        if !made.is_null() {
            self.ledger.acknowledged += 1;
            self.round.count();
        }
        Ok(made)
    }

    /// A file of several pieces at times; its text is JSON, so that it is compared like everything else.
    async fn put_artifact(&mut self) -> bool {
        let (base, experiment, run) = match self.run().await {
            Ok(Some(found)) => found,
            Ok(None) => return true,
            Err(()) => return false,
        };
        let name = format!("file{}.json", self.dice.below(5));
        let place = format!("{base}/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/dir/{name}");
        // One whose last change was refused in this round is in doubt until the next judgement.
        if self.ledger.things.get(&place).is_some_and(|thing| thing.asked.is_some()) {
            return true;
        }
        let content = self.dice.text(200).repeat(1 + self.dice.below(1500));
        self.put(Kind::Artifact, place, json!({"content": content}), "metadata/artifacts/write").await
    }

    /// Appends a point: the history must then be what it was with this point at its end.
    async fn log_metric(&mut self) -> bool {
        let (base, _, run) = match self.run().await {
            Ok(Some(found)) => found,
            Ok(None) => return true,
            Err(()) => return false,
        };
        let key = format!("metric{}", self.dice.below(2));
        let place = format!("{base}/mlflow/metrics/get-history?run_id={run}&metric_key={key}");
        let thing = self.ledger.things.get(&place);
        if thing.is_some_and(|thing| thing.asked.is_some()) {
            return true;
        }
        let mut points =
            thing.and_then(|thing| thing.kept.clone()).map_or(json!([]), |mut kept| kept["metrics"].take());
        let step = points.as_array().map_or(0, Vec::len);
        let (value, timestamp) = (self.dice.below(1 << 20) as f64 / 64.0, 1_700_000_000_000_u64 + step as u64);
        let point = json!({"key": key, "value": value, "timestamp": timestamp, "step": step});
        points.as_array_mut().unwrap().push(point.clone());
        let mut body = point;
        body["run_id"] = run.into();
        let (at, body) = (format!("{base}/mlflow/runs/log-metric"), Some(body));
        let (state, action) = (Some(json!({"metrics": points})), "experiments/runs/write");
        self.change(Change { method: "POST", at, body, kind: Kind::Metric, place, state, action }).await
    }

    async fn create_principal(&mut self) -> bool {
        if self.ledger.principals.len() >= PRINCIPALS {
            return true;
        }
        let name = format!("{}-{}", self.name, self.dice.text(10));
        self.ledger.principals.insert(name.clone(), Principal { known: None });
        let body = json!({"displayName": name});
        let outcome = self.session.call("POST", "/graph/v1.0/servicePrincipals", Some(&body), None).await;
        let Some(reply) = self.hear("POST", &name, outcome) else { return false };
        if let Ok(reply) = reply {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let secret = text(&reply["passwordCredentials"][0]["secretText"]);
            let known = Some((text(&reply["id"]), text(&reply["appId"]), secret));
            self.ledger.principals.insert(name, Principal { known });
            self.ledger.acknowledged += 1;
            self.round.count();
        }
        true
    }

    async fn assign(&mut self, group: &str) -> bool {
        let known: Vec<String> =
            self.ledger.principals.values().filter_map(|it| it.known.as_ref().map(|known| known.0.clone())).collect();
        let Some(principal) = self.dice.pick(&known).cloned() else { return self.create_principal().await };
        // One role of a principal at a scope can be assigned once.
        let holds = |thing: &crate::ledger::Thing| {
            let states = [thing.kept.as_ref(), thing.asked.as_ref().and_then(|asked| asked.0.as_ref())];
            states.iter().flatten().any(|it| it["properties"]["principalId"] == principal.as_str())
        };
        let at_group = format!("{group}/providers/Microsoft.Authorization/roleAssignments/");
        let twin = self.ledger.things.iter().find(|(place, thing)| place.starts_with(&at_group) && holds(thing));
        if twin.is_some() || self.ledger.settled(Kind::Assignment).len() >= ASSIGNMENTS {
            return self.delete(Kind::Assignment, "roleAssignments/delete").await;
        }
        let place = format!("{at_group}{}", self.dice.uuid());
        let role = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{READER}", self.session.subscription);
        let body = json!({"properties": {"roleDefinitionId": role, "principalId": principal}});
        let state = json!({"properties": {"principalId": principal, "scope": group, "roleDefinitionId": role}});
        let (at, body, state) = (place.clone(), Some(body), Some(state));
        let action = "roleAssignments/write";
        self.change(Change { method: "PUT", at, body, kind: Kind::Assignment, place, state, action }).await
    }

    async fn delete(&mut self, kind: Kind, action: &'static str) -> bool {
        let present = self.ledger.settled(kind);
        let Some(place) = self.dice.pick(&present).cloned() else { return true };
        // A deleted workspace would keep its name and its group.
        let at = if kind == Kind::Workspace { format!("{place}?forceToPurge=true") } else { place.clone() };
        self.change(Change { method: "DELETE", at, body: None, kind, place, state: None, action }).await
    }

    async fn delete_group(&mut self, group: &str) -> bool {
        if self.ledger.has_below(group) {
            return true;
        }
        let (at, place, action) = (group.to_owned(), group.to_owned(), "resourceGroups/delete");
        self.change(Change { method: "DELETE", at, body: None, kind: Kind::Group, place, state: None, action }).await
    }

    fn tags(&mut self) -> Value {
        json!({"turn": self.dice.text(4), "note": self.dice.text(200)})
    }

    /// Puts something that then reads as it was sent.
    async fn put(&mut self, kind: Kind, place: String, body: Value, action: &'static str) -> bool {
        let (at, state) = (place.clone(), Some(body.clone()));
        self.change(Change { method: "PUT", at, body: Some(body), kind, place, state, action }).await
    }

    async fn change(&mut self, change: Change) -> bool {
        let Change { method, at, body, kind, place, state, action } = change;
        let correlation = self.dice.uuid();
        self.ledger.ask(&place, kind, state, Deed { correlation: correlation.clone(), action });
        let outcome = self.session.call(method, &at, body.as_ref(), Some(&correlation)).await;
        let Some(reply) = self.hear(method, &place, outcome) else { return false };
        if let Ok(reply) = reply {
            self.ledger.keep(&place, &reply);
            self.round.count();
        }
        true
    }

    /// The reply, if the call was acknowledged; an error if it was refused; none if there was no
    /// answer that counts.
    fn hear(&mut self, method: &str, place: &str, outcome: Outcome) -> Option<Result<Value, ()>> {
        match outcome {
            Outcome::Lost => None,
            Outcome::Answered(200..=299, _) if !self.round.counts() => None,
            Outcome::Answered(200..=299, reply) => {
                self.refusals = 0;
                Some(Ok(reply))
            }
            Outcome::Answered(status @ 500..=599, _) if status != 500 && self.round.weather == Weather::Foul => {
                self.refusals += 1;
                Some(Err(()))
            }
            // Without its disk the server may know nobody's roles any more: whether it should say so otherwise is not the
            // question here.
            Outcome::Answered(403 | 404, _) if self.round.is_over.load(Ordering::SeqCst) => {
                self.refusals += 1;
                self.ledger.denied += 1;
                Some(Err(()))
            }
            Outcome::Answered(412, _) => {
                self.ledger.turned_away += 1;
                self.ledger.drop_asked(place);
                Some(Err(()))
            }
            Outcome::Answered(status, reply) => {
                self.refusals += 1;
                self.ledger.oddities.push(format!("{method} {place}: {status} {reply}"));
                self.ledger.drop_asked(place);
                Some(Err(()))
            }
        }
    }
}
