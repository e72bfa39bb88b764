//! A disk that fails: errors injected into single calls by strace. An acknowledgement that is not kept is a failure; so is
//! a write that is accepted after a failed sync, or a full disk that stops reads.

use std::{fmt, path::Path, process::Command};

use serde_json::json;

use crate::{
    client::{Outcome, Session},
    dice::{self, Dice},
    kill::Story,
    ledger::Kind,
    report::{say, skip},
    server::{Server, Site},
    traffic::{Round, Weather},
};

/// What is injected, where counting from each thread's first such call.
#[derive(Clone, Copy)]
struct Fault {
    calls: &'static str,
    error: &'static str,
    /// The number of the call that fails.
    first: u64,
    /// Whether every later one fails too.
    goes_on: bool,
}

impl Fault {
    const KINDS: [(&'static str, &'static str, bool); 4] = [
        ("fsync,fdatasync", "EIO", false),
        ("fsync,fdatasync", "EIO", true),
        ("pwrite64", "ENOSPC", false),
        ("pwrite64", "ENOSPC", true),
    ];

    fn arguments(&self, log: &Path) -> Vec<String> {
        let Self { calls, error, first, goes_on } = self;
        let and_on = if *goes_on { "+" } else { "" };
        let inject = format!("inject={calls}:error={error}:when={first}{and_on}");
        let trace = format!("trace={calls}");
        let mut all: Vec<String> =
            ["-f", "--seccomp-bpf", "-y", "-qq", "-e", &trace, "-e", &inject, "-o"].map(String::from).into();
        all.extend([log.display().to_string(), String::from("--")]);
        all
    }

    fn is_about_space(&self) -> bool {
        self.error == "ENOSPC"
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let and_on = if self.goes_on { " and on" } else { "" };
        write!(out, "{} of {} from call {}{and_on}", self.error, self.calls, self.first)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_failing_disk() {
    if let Err(why) = tracer() {
        return skip("injected errors", why);
    }
    let (seed, most) = (dice::seed(), dice::rounds("BARTIZAN_CRASH_FAULTS", 0));
    // Few by default: an early call, one in the middle of traffic, one late.
    let firsts: Vec<u64> = if most == 0 { vec![2, 9, 23] } else { (1..=most).collect() };
    let faults = firsts.iter().flat_map(|&first| {
        Fault::KINDS.iter().map(move |&(calls, error, goes_on)| Fault { calls, error, first, goes_on })
    });
    let dir = tempfile::tempdir().unwrap();
    let mut story = Story::new(Site::within(dir.path()));
    // Founded without faults; the credentials are needed.
    drop(story.site.start());
    let (mut runs, mut injected, mut refused_starts) = (0, 0, 0);
    for (fault, number) in faults.zip(0_u64..) {
        let log = dir.path().join("strace.log");
        let _ = std::fs::remove_file(&log);
        runs += 1;
        let known = story.verdict.faults.len();
        match story.site.try_start(story.site.command_under("strace", &fault.arguments(&log))) {
            Ok(server) => suffer(&mut story, server, fault, &log, &Dice::new(seed).branch(number)).await,
            Err(why) if why.starts_with("it ended") && count(&log, "INJECTED") > 0 => refused_starts += 1,
            Err(why) => story.verdict.faults.push(why),
        }
        injected += count(&log, "INJECTED");
        drop(story.judge().await);
        for sentence in story.verdict.faults.iter_mut().skip(known) {
            *sentence = format!("{fault}: {sentence}");
        }
    }
    say(format_args!("injected errors: {injected} calls failed, {refused_starts} starts ended on one, of {runs} runs"));
    assert!(injected > 0, "nothing was injected: the tracer does not work");
    story.conclude("injected errors", runs, seed);
}

async fn suffer(story: &mut Story, mut server: Server, fault: Fault, log: &Path, dice: &Dice) {
    let synced_badly = |log: &Path| count(log, "meta.sqlite") > 0 && !fault.is_about_space();
    let before = count(log, "INJECTED");
    let round = Round::new(Weather::Foul, 25);
    story.work(&server, dice, &round, async |_| {}).await;
    let is_new = count(log, "INJECTED") > before;
    let session = Session::open(&story.site, &server).await;
    if is_new && synced_badly(log) {
        let place = format!("{}/resourceGroups/after-the-fault", session.subscription);
        if let Outcome::Answered(200..=299, _) =
            session.call("PUT", &place, Some(&json!({"location": "local"})), None).await
        {
            story.verdict.faults.push(String::from("a change was acknowledged after a failed sync"));
        }
    }
    if fault.is_about_space() {
        let groups = story.ledgers.iter().flat_map(|ledger| ledger.settled(Kind::Group).into_iter().take(3));
        for place in groups.collect::<Vec<_>>() {
            match session.read(&place).await {
                Ok(Some(_)) => {}
                other => story.verdict.faults.push(format!("reads stopped with a full disk: {place}: {other:?}")),
            }
        }
    }
    server.kill();
}

/// How many injected calls' lines name this.
fn count(log: &Path, word: &str) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains("(INJECTED)") && line.contains(word)).count()
}

/// Finds strace, or installs it.
fn tracer() -> Result<(), String> {
    let works = || Command::new("strace").arg("-qq").args(["-e", "trace=none", "true"]).output();
    if works().is_err() {
        let _ = Command::new("apt-get").args(["install", "-y", "-q", "strace"]).output();
    }
    match works() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace cannot trace here: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(why) => Err(format!("strace is missing and apt-get does not bring it: {why}")),
    }
}
