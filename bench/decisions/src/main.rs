//! Access decisions of the compiled snapshot against the `casbin` and `regorus` crates, on one made-up directory: roles with
//! wildcards, assignments at subscriptions, groups and workspaces, people in groups. Every answer of every engine is compared with a
//! plain reading of the rules.
//!
//!     cargo run --release --manifest-path bench/decisions/Cargo.toml

mod peers;
mod town;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::access::{Access, Catalogue};
use town::{Request, Town};

/// Rounds of which the best counts: machines are shared.
const ROUNDS: usize = 5;

fn main() {
    for (assignments, roles, with_peers) in [(1_000, 50, true), (100_000, 500, false)] {
        let town = Town::new(assignments, roles, 5_000);
        println!(
            "{assignments} assignments, {roles} roles, {} requests, {} allowed",
            town.requests.len(),
            town.allowed()
        );
        let begun = Instant::now();
        let catalogue = Arc::new(Catalogue::new(town.actions.iter().copied()));
        let access = Access::compile(&catalogue, &town.rows, &Access::default());
        let first = begun.elapsed();
        let begun = Instant::now();
        let again = Access::compile(&catalogue, &town.rows, &access);
        println!("  compiled in {:.1} ms, after a change in {:.1} ms", millis(first), millis(begun.elapsed()));
        let decide = |request: &Request| again.allows(request.principal, &request.action, &request.scope);
        report("bartizan", &town, ROUNDS, decide);
        if with_peers {
            let casbin = peers::Casbin::new(&town);
            report("casbin", &town, 1, |request| casbin.decide(request));
            let mut regorus = peers::Regorus::new(&town);
            report("regorus", &town, 1, |request| regorus.decide(request));
        }
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// Decides everything, and prints how fast and how often it was wrong.
fn report(name: &str, town: &Town, rounds: usize, mut decide: impl FnMut(&Request) -> bool) {
    let wrong = town.requests.iter().filter(|request| decide(request) != request.want).count();
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let begun = Instant::now();
        std::hint::black_box(town.requests.iter().filter(|request| decide(request)).count());
        best = best.min(begun.elapsed().as_secs_f64() * 1e6 / town.requests.len() as f64);
    }
    let mut each: Vec<f64> = town
        .requests
        .iter()
        .map(|request| {
            let begun = Instant::now();
            std::hint::black_box(decide(request));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    each.sort_by(f64::total_cmp);
    let at = |part: f64| each[((each.len() - 1) as f64 * part) as usize];
    println!(
        "  {name:<9} {best:>9.3} µs each, {:>12.0} a second; p50 {:.2} µs, p99 {:.2} µs (clock included); {wrong} wrong",
        1e6 / best,
        at(0.5),
        at(0.99)
    );
}
