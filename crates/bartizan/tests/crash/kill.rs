//! `kill -9` at random moments: during traffic, during a start, during the very first start.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    client::Session,
    dice::{self, Dice},
    ledger::Ledger,
    report::say,
    server::{Server, Site},
    traffic::{self, Round, Weather},
    trial::{self, Records, Verdict},
};

pub const CLIENTS: usize = 4;

/// A site with its clients' ledgers, through all its crashes.
pub struct Story {
    pub site: Site,
    pub ledgers: Vec<Ledger>,
    pub verdict: Verdict,
    pub slowest_start: Duration,
    records: Records,
}

impl Story {
    pub fn new(site: Site) -> Self {
        let ledgers = (0..CLIENTS).map(|_| Ledger::default()).collect();
        let (verdict, records) = (Verdict::default(), Records::new());
        Self { site, ledgers, verdict, slowest_start: Duration::ZERO, records }
    }

    /// Lets all clients work on a server until `end` is over, then waits for them.
    pub async fn work<F>(&mut self, server: &Server, dice: &Dice, round: &Arc<Round>, end: F)
    where
        F: AsyncFnOnce(&Round),
    {
        let session = Session::open(&self.site, server).await;
        let clients: Vec<_> = std::mem::take(&mut self.ledgers)
            .into_iter()
            .zip(0_u64..)
            .map(|(ledger, number)| {
                let name = format!("c{number}");
                traffic::start(name, session.clone(), dice.branch(number), ledger, Arc::clone(round))
            })
            .collect();
        end(round).await;
        for client in clients {
            self.ledgers.push(client.await.unwrap());
        }
    }

    /// Starts the server again and compares everything.
    pub async fn judge(&mut self) -> Server {
        if let Err(why) = self.site.verify_log() {
            self.verdict.faults.push(format!("before the restart: {why}"));
        }
        let server = self.site.start();
        self.slowest_start = self.slowest_start.max(server.ready);
        let session = Session::open(&self.site, &server).await;
        if let Err(why) = self.records.read_on(&session).await {
            self.verdict.faults.push(why);
        }
        for ledger in &mut self.ledgers {
            self.verdict.add(trial::judge(&self.site, &session, ledger, &self.records).await);
        }
        if let Err(why) = self.site.verify_log() {
            self.verdict.faults.push(format!("after the restart: {why}"));
        }
        server
    }

    pub fn counts(&self) -> String {
        let acknowledged: u64 = self.ledgers.iter().map(|ledger| ledger.acknowledged).sum();
        let turned_away: u64 = self.ledgers.iter().map(|ledger| ledger.turned_away).sum();
        let denied: u64 = self.ledgers.iter().map(|ledger| ledger.denied).sum();
        let Verdict { compared, applied, absent, records, faults } = &self.verdict;
        format!(
            "{acknowledged} changes acknowledged, {turned_away} turned away by another client's, {denied} denied without a disk, {compared} comparisons, {records} activity records matched, {} changes \
             without an answer ({applied} there, {absent} not), slowest start {} ms, {} faults",
            applied + absent,
            self.slowest_start.as_millis(),
            faults.len(),
        )
    }

    /// Fails the test when anything was wrong.
    pub fn conclude(self, suite: &str, rounds: u64, seed: u64) {
        say(format_args!("{suite}: {rounds} rounds, seed {seed}: {}", self.counts()));
        let words = self.site.last_words();
        let first: Vec<&String> = self.verdict.faults.iter().take(20).collect();
        assert!(first.is_empty(), "{suite}, seed {seed}: {first:#?}\nthe server's last words:\n{words}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_nine() {
    let (seed, rounds) = (dice::seed(), dice::rounds("BARTIZAN_CRASH_ROUNDS", 6));
    say(format_args!("kill -9 begins with seed {seed}"));
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(Site::within(dir.path()));
    let mut server = story.site.start();
    for number in 0..rounds {
        let mut dice = Dice::new(seed).branch(number);
        let round = Round::new(Weather::Fair, u64::MAX);
        let (count, after) = (5 + dice.below(90) as u64, dice.span(Duration::from_millis(12)));
        let process = server.process();
        story
            .work(&server, &dice, &round, async |round| {
                assert!(round.reaches(count).await, "no progress: {} changes in a minute", round.acknowledged());
                tokio::time::sleep(after).await;
                nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
            })
            .await;
        drop(server);
        while dice.chance(40) {
            story.site.start_and_kill(dice.span(Duration::from_millis(130)));
        }
        server = story.judge().await;
    }
    drop(server);
    story.conclude("kill -9", rounds, seed);
}

/// A file of a site.
type Place = fn(&Site) -> PathBuf;

/// A moment of a first start.
enum Moment {
    /// When a file appears.
    At(Place),
    /// After a while.
    After(Duration),
}

/// The first start makes keys, a certificate authority, a tenant and credentials. Killed anywhere in it, the next start
/// must end with a server that its owner can use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_is_killed_can_be_repeated() {
    let (seed, rounds) = (dice::seed(), dice::rounds("BARTIZAN_CRASH_ROUNDS", 6));
    let mut dice = Dice::new(seed);
    let named: [(&str, Place); 6] = [
        ("at the root key", Site::root_key),
        ("at the store", |site| site.data.join("meta/meta.sqlite")),
        ("at the blobs", |site| site.data.join("blobs/objects/lock")),
        ("at the certificate authority", |site| site.data.join("ca.pem")),
        ("at the log's key", |site| site.data.join("activity-log.pub")),
        ("at the credentials", Site::env_file),
    ];
    let mut moments: Vec<_> = named.map(|(name, file)| (name.to_owned(), Moment::At(file))).into();
    for _ in 0..rounds {
        // About as long as a first start takes.
        let after = dice.span(Duration::from_millis(130));
        moments.push((format!("after {after:?}"), Moment::After(after)));
    }
    let (count, mut faults, mut unfinished) = (moments.len(), Vec::new(), 0);
    for (name, moment) in moments {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::within(dir.path());
        unfinished += u64::from(match moment {
            Moment::At(file) => site.start_and_kill_at(&file(&site)),
            Moment::After(after) => !site.start_and_kill(after),
        });
        match site.try_start(site.command()) {
            Err(why) => faults.push(format!("killed {name}: {why}")),
            Ok(server) if site.variable("AZURE_CLIENT_SECRET").is_some() => drop(Session::open(&site, &server).await),
            Ok(_) => faults.push(format!("killed {name}: the house was founded, its credentials are nowhere")),
        }
    }
    say(format_args!(
        "first start: {count} rounds, seed {seed}: {unfinished} killed before they listened, {} faults",
        faults.len()
    ));
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
}
