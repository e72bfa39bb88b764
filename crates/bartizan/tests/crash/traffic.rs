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

impl Client {
    /// One change. False when there was no answer that counts.
    async fn step(&mut self) -> bool {
        let groups = self.ledger.settled(Kind::Group);
        let Some(group) = self.dice.pick(&groups).cloned() else { return self.put_group(None).await };
        match self.dice.below(100) {
            0..10 => self.put_group((groups.len() >= GROUPS).then_some(group)).await,
            10..18 => self.put_group(Some(group)).await,
            18..40 => self.put_workspace(&group).await,
            40..60 => self.patch_workspace().await,
            60..68 => self.delete(Kind::Workspace, "workspaces/delete").await,
            68..76 => self.create_principal().await,
            76..90 => self.assign(&group).await,
            90..95 => self.delete(Kind::Assignment, "roleAssignments/delete").await,
            _ => self.delete_group(&group).await,
        }
    }

    async fn put_group(&mut self, present: Option<String>) -> bool {
        let fresh = format!("{}/resourceGroups/{}-{}", self.session.subscription, self.name, self.dice.text(6));
        let place = present.unwrap_or(fresh);
        let body = json!({"location": "local", "tags": self.tags()});
        self.change("PUT", &place, Kind::Group, body.clone(), Some(body), "resourceGroups/write").await
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
        self.change("PUT", &place, Kind::Workspace, body.clone(), Some(body), "workspaces/write").await
    }

    async fn patch_workspace(&mut self) -> bool {
        let present = self.ledger.settled(Kind::Workspace);
        let Some(place) = self.dice.pick(&present).cloned() else { return true };
        let body = json!({"tags": self.tags(), "properties": {"friendlyName": self.dice.text(30)}});
        let mut state = self.ledger.things[&place].kept.clone().unwrap_or_default();
        state["tags"] = body["tags"].clone();
        state["properties"]["friendlyName"] = body["properties"]["friendlyName"].clone();
        self.change("PATCH", &place, Kind::Workspace, body, Some(state), "workspaces/write").await
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
        self.change("PUT", &place, Kind::Assignment, body, Some(state), "roleAssignments/write").await
    }

    async fn delete(&mut self, kind: Kind, action: &'static str) -> bool {
        let present = self.ledger.settled(kind);
        let Some(place) = self.dice.pick(&present).cloned() else { return true };
        self.change("DELETE", &place, kind, Value::Null, None, action).await
    }

    async fn delete_group(&mut self, group: &str) -> bool {
        if self.ledger.has_below(group) {
            return true;
        }
        self.change("DELETE", group, Kind::Group, Value::Null, None, "resourceGroups/delete").await
    }

    fn tags(&mut self) -> Value {
        json!({"turn": self.dice.text(4), "note": self.dice.text(200)})
    }

    async fn change(
        &mut self,
        method: &str,
        place: &str,
        kind: Kind,
        body: Value,
        state: State,
        action: &'static str,
    ) -> bool {
        let correlation = self.dice.uuid();
        self.ledger.ask(place, kind, state, Deed { correlation: correlation.clone(), action });
        let body = (!body.is_null()).then_some(body);
        let outcome = self.session.call(method, place, body.as_ref(), Some(&correlation)).await;
        let Some(reply) = self.hear(method, place, outcome) else { return false };
        if let Ok(reply) = reply {
            self.ledger.keep(place, &reply);
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
            Outcome::Answered(status, reply) => {
                self.refusals += 1;
                self.ledger.oddities.push(format!("{method} {place}: {status} {reply}"));
                self.ledger.drop_asked(place);
                Some(Err(()))
            }
        }
    }
}
