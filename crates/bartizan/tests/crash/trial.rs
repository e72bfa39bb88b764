//! The judgement after a crash: the server's whole state against what the clients were told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::{
    client::Session,
    ledger::{Deed, Kind, Ledger, State},
    server::Site,
};

/// What was looked at and what was wrong.
#[derive(Default)]
pub struct Verdict {
    /// Resources compared.
    pub compared: u64,
    /// Changes without an answer that are there.
    pub applied: u64,
    /// Changes without an answer that are not there.
    pub absent: u64,
    /// Activity records matched with changes.
    pub records: u64,
    /// Every sentence is a failure of the server.
    pub faults: Vec<String>,
}

impl Verdict {
    fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    /// Passes on what could be read, and notes what could not.
    fn read<T: Default>(&mut self, read: Result<T, String>) -> T {
        read.unwrap_or_else(|why| {
            self.fault(why);
            T::default()
        })
    }

    pub fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.applied += other.applied;
        self.absent += other.absent;
        self.records += other.records;
        self.faults.extend(other.faults);
    }
}

/// Succeeded changes of the activity log, by correlation, newer than a number.
pub struct Records {
    seen: u64,
    by_correlation: HashMap<String, Vec<String>>,
}

impl Records {
    /// Starts at the log's beginning.
    pub fn new() -> Self {
        Self { seen: 0, by_correlation: HashMap::new() }
    }

    /// Reads what was added since the last time.
    pub async fn read_on(&mut self, session: &Session) -> Result<(), String> {
        let base = format!("{}/providers/Microsoft.Insights/eventtypes/management/values", session.subscription);
        let (mut newest, mut before) = (self.seen, None::<u64>);
        self.by_correlation.clear();
        loop {
            let place = match before {
                Some(number) => format!("{base}?api-version=2015-04-01&before={number}"),
                None => format!("{base}?api-version=2015-04-01"),
            };
            let page = session.list(&place).await?;
            for record in &page {
                let number = record["sequence"].as_u64().ok_or("a record without a number")?;
                if number <= self.seen {
                    self.seen = newest;
                    return Ok(());
                }
                newest = newest.max(number);
                before = Some(number);
                let (Some(correlation), Some(action)) =
                    (record["correlationId"].as_str(), record["operationName"]["value"].as_str())
                else {
                    return Err(format!("an activity record that cannot be read: {record}"));
                };
                if record["status"]["value"] == "Succeeded" {
                    self.by_correlation.entry(correlation.to_owned()).or_default().push(action.to_owned());
                }
            }
            if page.is_empty() {
                self.seen = newest;
                return Ok(());
            }
        }
    }

    fn count(&self, deed: &Deed) -> usize {
        let found = self.by_correlation.get(&deed.correlation);
        found.map_or(0, |actions| actions.iter().filter(|action| action.ends_with(deed.action)).count())
    }
}

/// Compares everything a client made with what is there, and settles what was uncertain.
pub async fn judge(site: &Site, session: &Session, ledger: &mut Ledger, records: &Records) -> Verdict {
    let mut verdict = Verdict::default();
    verdict.faults.append(&mut ledger.oddities);
    // What lies below a workspace comes after it: it may be gone with it.
    let mut places: Vec<_> = ledger.things.iter().map(|(place, thing)| (thing.kind, place.clone())).collect();
    places.sort();
    for (_, place) in places {
        if !ledger.things.contains_key(&place) {
            continue;
        }
        let known = verdict.faults.len();
        judge_thing(session, ledger, records, &place, &mut verdict).await;
        if verdict.faults.len() > known {
            // Reported once; nothing more is built on it.
            ledger.things.retain(|other, _| !other.contains(&place));
        }
    }
    for deed in std::mem::take(&mut ledger.done) {
        match records.count(&deed) {
            1 => verdict.records += 1,
            other => verdict.fault(format!("acknowledged {} has {other} activity records", deed.action)),
        }
    }
    judge_principals(site, session, ledger, &mut verdict).await;
    for group in ledger.settled(Kind::Group) {
        judge_group(session, ledger, &group, &mut verdict).await;
    }
    // What is gone for good need not be asked about in every later round.
    let is_old = |place: &String| place.len() > 12 && ledger.things.len() > 400;
    let gone = ledger.things.iter().filter(|(place, thing)| thing.kept.is_none() && is_old(place));
    for place in gone.map(|(place, _)| place.clone()).collect::<Vec<_>>() {
        ledger.things.remove(&place);
    }
    verdict
}

async fn judge_thing(session: &Session, ledger: &mut Ledger, records: &Records, place: &str, verdict: &mut Verdict) {
    let found = match session.read(place).await {
        Ok(found) => found,
        Err(why) => return verdict.fault(why),
    };
    verdict.compared += 1;
    let Some(thing) = ledger.things.get_mut(place) else { return };
    // A metric without points has an empty history.
    let found = found.filter(|found| thing.kind != Kind::Metric || !found["metrics"].is_null());
    let is_kept = fits(&thing.kept, &found);
    match thing.asked.take() {
        None if is_kept => {}
        None => verdict.fault(describe("acknowledged state lost", place, &thing.kept, &found)),
        Some((asked, deed)) => {
            let is_applied = fits(&asked, &found);
            match (is_applied, is_kept, records.count(&deed)) {
                (true, _, 1) => {
                    verdict.applied += 1;
                    thing.kept = asked;
                    ledger.adopt(place, found.as_ref().unwrap_or(&Value::Null));
                }
                (_, true, 0) => verdict.absent += 1,
                (true, ..) | (_, true, _) => verdict.fault(format!(
                    "{place}: change without an answer ({}) is {} but has {} activity records",
                    deed.action,
                    if is_applied { "there" } else { "not there" },
                    records.count(&deed),
                )),
                _ => verdict.fault(format!(
                    "{}; nor {asked:?}",
                    describe("neither the state before nor the one after", place, &thing.kept, &found)
                )),
            }
        }
    }
}

/// Principals: every acknowledged one exists and may sign in; none exists that was never asked for.
async fn judge_principals(site: &Site, session: &Session, ledger: &mut Ledger, verdict: &mut Verdict) {
    let all = verdict.read(session.list("/graph/v1.0/servicePrincipals").await);
    let mut uncertain = Vec::new();
    for (name, principal) in &ledger.principals {
        let found: Vec<&Value> = all.iter().filter(|it| it["displayName"] == name.as_str()).collect();
        verdict.compared += 1;
        match (&principal.known, found.as_slice()) {
            (Some((id, app, secret)), [found]) if found["id"] == id.as_str() && found["appId"] == app.as_str() => {
                if session.signed_in_as(site, app, secret).await.is_none() {
                    verdict.fault(format!("the acknowledged principal {name} cannot sign in"));
                }
            }
            (None, [] | [_]) => uncertain.push(name.clone()),
            (known, found) => verdict.fault(format!("principal {name}: told {known:?}, found {found:?}")),
        }
    }
    // One whose secret nobody knows is of no more use to its client.
    for name in uncertain {
        ledger.principals.remove(&name);
    }
}

/// A group: its workspaces whole with all that belongs to them, no companion too few or too many, roles in force.
async fn judge_group(session: &Session, ledger: &Ledger, group: &str, verdict: &mut Verdict) {
    let mut found = BTreeSet::new();
    for kind in ["Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Insights/components"] {
        let entries = verdict.read(session.list(&format!("{group}/providers/{kind}")).await);
        found.extend(entries.iter().filter_map(|entry| entry["id"].as_str().map(str::to_owned)));
    }
    let expected = ledger.companions.get(group).cloned().unwrap_or_default();
    for missing in expected.difference(&found) {
        verdict.fault(format!("companion lost: {missing}"));
    }
    for extra in found.difference(&expected) {
        verdict.fault(format!("companion of a workspace that was never completed: {extra}"));
    }
    verdict.compared += expected.len() as u64;

    let mut names: BTreeMap<String, State> = BTreeMap::new();
    let kind = "Microsoft.MachineLearningServices/workspaces";
    for entry in verdict.read(session.list(&format!("{group}/providers/{kind}")).await) {
        names.insert(entry["id"].as_str().unwrap_or_default().to_owned(), Some(entry));
    }
    let expected = ledger.settled(Kind::Workspace).into_iter().filter(|place| place.starts_with(&format!("{group}/")));
    for place in expected {
        if names.remove(&place).is_none() {
            verdict.fault(format!("the list of workspaces lacks {place}"));
        }
        let stores = verdict.read(session.list(&format!("{place}/datastores")).await);
        let targets = verdict.read(session.list(&format!("{place}/computes")).await);
        if (stores.len(), targets.len()) != (4, 1) {
            let (stores, targets) = (stores.len(), targets.len());
            verdict.fault(format!("{place} has {stores} datastores and {targets} compute targets"));
        }
        verdict.compared += 5;
    }
    for extra in names.keys() {
        verdict.fault(format!("the list of workspaces has {extra}, which should not be there"));
    }
}

/// Whether what is there has everything that is expected, and nothing is there when nothing is expected.
fn fits(expected: &State, found: &State) -> bool {
    match (expected, found) {
        (None, None) => true,
        (Some(expected), Some(found)) => includes(found, expected),
        _ => false,
    }
}

fn includes(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|found| includes(found, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| includes(found, expected))
        }
        (found, expected) => found == expected,
    }
}

fn describe(what: &str, place: &str, expected: &State, found: &State) -> String {
    let text = |state: &State| {
        let text = state.as_ref().map_or_else(|| String::from("nothing"), Value::to_string);
        text.chars().take(600).collect::<String>()
    };
    format!("{what}: {place}: expected {}, found {}", text(expected), text(found))
}
