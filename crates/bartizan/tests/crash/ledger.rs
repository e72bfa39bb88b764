//! What one client was told, and what it must therefore find after a crash.
//!
//! A client works alone on what it makes, one call at a time, so for everything there is one state that was acknowledged
//! and at most one that was asked for since without an answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Group,
    Workspace,
    Assignment,
    /// A metric of a run, by the address of its history.
    Metric,
    /// A file of a run.
    Artifact,
}

/// The part of a resource that is compared; none where nothing shall be.
pub type State = Option<Value>;

/// A change that was asked for.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Names its activity record.
    pub correlation: String,
    /// How the record's action ends.
    pub action: &'static str,
}

/// One resource.
#[derive(Clone, Debug)]
pub struct Thing {
    pub kind: Kind,
    /// What was acknowledged last.
    pub kept: State,
    /// What was asked for since, without an answer.
    pub asked: Option<(State, Deed)>,
    /// Ids of the resources that came with it, as its own reply named them.
    pub companions: Vec<String>,
}

/// A service principal.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Object id, client id and secret; none when its creation was not answered.
    pub known: Option<(String, String, String)>,
}

/// All that one client made, over all rounds.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Things by their address.
    pub things: BTreeMap<String, Thing>,
    /// Principals by name.
    pub principals: BTreeMap<String, Principal>,
    /// Addresses of companions that must be there, by group.
    pub companions: BTreeMap<String, BTreeSet<String>>,
    /// Experiment and run of a workspace.
    pub runs: BTreeMap<String, (String, String)>,
    /// Changes that were acknowledged since the last judgement.
    pub done: Vec<Deed>,
    /// How many changes were acknowledged in all.
    pub acknowledged: u64,
    /// Changes that were turned away because of another client's: nothing was changed.
    pub turned_away: u64,
    /// Changes that were denied after the power was cut, although the caller may make them.
    pub denied: u64,
    /// Answers that no healthy server gives.
    pub oddities: Vec<String>,
}

impl Ledger {
    /// Notes that a change is about to be asked for.
    pub fn ask(&mut self, place: &str, kind: Kind, state: State, deed: Deed) {
        let thing = self.things.entry(place.to_owned());
        let thing = thing.or_insert(Thing { kind, kept: None, asked: None, companions: Vec::new() });
        thing.asked = Some((state, deed));
    }

    /// Notes that it was acknowledged; what came with it is to be found from now on.
    pub fn keep(&mut self, place: &str, reply: &Value) {
        let Some(thing) = self.things.get_mut(place) else { return };
        let Some((state, deed)) = thing.asked.take() else { return };
        thing.kept = state;
        self.done.push(deed);
        self.acknowledged += 1;
        self.adopt(place, reply);
    }

    /// Notes that the server refused it and changed nothing.
    pub fn drop_asked(&mut self, place: &str) {
        if let Some(thing) = self.things.get_mut(place) {
            thing.asked = None;
        }
    }

    /// Learns of a workspace's companions from its reply; forgets those of a group that is gone.
    pub fn adopt(&mut self, place: &str, reply: &Value) {
        let Some(thing) = self.things.get_mut(place) else { return };
        match (thing.kind, thing.kept.is_some()) {
            (Kind::Workspace, true) => {
                let named = ["storageAccount", "keyVault", "applicationInsights"];
                let named = named.iter().filter_map(|name| reply["properties"][name].as_str());
                thing.companions = named.map(str::to_owned).collect();
                let group = place.split("/providers/").next().unwrap_or_default().to_owned();
                self.companions.entry(group).or_default().extend(thing.companions.iter().cloned());
            }
            (Kind::Workspace, false) => {
                self.runs.remove(place);
                let below = format!("{place}/api/");
                self.things.retain(|other, _| !other.contains(&below));
            }
            (Kind::Group, false) => drop(self.companions.remove(place)),
            _ => {}
        }
    }

    /// Addresses of things of a kind that are certainly there.
    pub fn settled(&self, kind: Kind) -> Vec<String> {
        let there = |thing: &Thing| thing.kind == kind && thing.kept.is_some() && thing.asked.is_none();
        self.things.iter().filter(|(_, thing)| there(thing)).map(|(place, _)| place.clone()).collect()
    }

    /// Whether anything lies below an address, or may.
    pub fn has_below(&self, place: &str) -> bool {
        let below = format!("{place}/");
        let after = self.things.range(below.clone()..).take_while(|(other, _)| other.starts_with(&below));
        after.into_iter().any(|(_, thing)| thing.kept.is_some() || thing.asked.is_some())
    }
}
