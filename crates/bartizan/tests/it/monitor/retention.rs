//! Retention: what a cut leaves verifies, and nothing else does.

use std::{sync::Arc, time::Duration};

use domain::{
    audit::{CutLog, ExportLog, Finding, LogKey, LogVerifier, SignCheckpoint, SignCut, is_cut},
    gate::{House, Parts, Settings, enter},
};
use kernel::{Batch, BlobStore, Caller, Kind, LogRow, MetaStore, NoWeb};
use outbound::Method;
use seal::{CheckpointVerifier, SignedCheckpoint};
use serde_json::json;

use crate::house::{MemoryRoot, TestHouse, Who};

const PLACE: &str = "/activity-log/v1/retention";
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn rows(test: &TestHouse) -> Vec<LogRow> {
    test.house.flush_reads().await.unwrap();
    let mut all: Vec<LogRow> = Vec::new();
    loop {
        let from = all.last().map_or(1, |row| row.seq + 1);
        let page = enter(&test.house, &Caller::house(), ExportLog { from, most: 5000 }).await.unwrap();
        if page.is_empty() || all.len() > 20_000 {
            return all;
        }
        // The export itself is recorded, so there is always one more.
        let was_last = page.len() < 5000;
        all.extend(page);
        if was_last {
            return all;
        }
    }
}

fn verify(rows: &[LogRow], checkpoint: &SignedCheckpoint, cuts: &[SignedCheckpoint]) -> Result<(u64, u64), Finding> {
    let mut verifier = LogVerifier::new(vec![checkpoint.clone()]).with_cuts(cuts.to_vec());
    rows.iter().try_for_each(|row| verifier.push(row))?;
    verifier.finish().map(|verified| (verified.records, verified.removed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_signed_and_provable_and_removes_only_what_may_go() {
    let (test, callers) = TestHouse::new().await;
    let house = Caller::house();
    assert_eq!(test.ask(callers.token(Who::Contributor), Method::PUT, PLACE, Some(&json!({"days": 90}))).await.0, 404);
    for _ in 0..2500 {
        enter(&test.house, &house, ExportLog { from: u64::MAX, most: 1 }).await.unwrap();
    }
    test.clock.advance(DAY * 80);
    let checkpoint = enter(&test.house, &house, SignCheckpoint::default()).await.unwrap();
    let sign = |covered| enter(&test.house, &house, SignCut { covered });
    assert!(sign(checkpoint.size).await.unwrap().is_none(), "kept for ever unless somebody says otherwise");
    let owner = test.owner_again().await;
    let owner = Some(&owner);
    for bad in [0, 89, 40_000] {
        assert_eq!(test.ask(owner, Method::PUT, PLACE, Some(&json!({"days": bad}))).await.0, 400, "{bad}");
    }
    let (status, kept) = test.ask(owner, Method::PUT, PLACE, Some(&json!({"days": 90}))).await;
    assert_eq!((status, &kept["days"], &kept["changedBy"]), (200, &json!(90), &json!(test.founded.principal)));
    assert!(sign(checkpoint.size).await.unwrap().is_none(), "nothing is that old");
    test.clock.advance(DAY * 11);
    assert!(sign(900).await.unwrap().is_none(), "the last record that a checkpoint covers stays");

    let before = rows(&test).await;
    let cut = sign(checkpoint.size).await.unwrap().unwrap();
    assert_eq!((cut.size, is_cut(&cut), is_cut(&checkpoint)), (2000, true, false));
    assert!(cut.text.contains(&format!("kept 90 days, as said by {}", test.founded.principal)));
    // Signed and not made: the log is whole, and verifies.
    assert_eq!(verify(&before, &checkpoint, std::slice::from_ref(&cut)).unwrap().1, 0);
    // Nobody cuts by anything else that was signed.
    let refused = enter(&test.house, &house, CutLog { text: checkpoint.text.clone() }).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);

    assert_eq!(enter(&test.house, &house, CutLog { text: cut.text.clone() }).await.unwrap(), 2000);
    let after = rows(&test).await;
    assert_eq!(after[0].seq, 2001);
    assert_eq!(verify(&after, &checkpoint, std::slice::from_ref(&cut)).unwrap().1, 2000);
    assert_eq!(verify(&after, &checkpoint, &[]), Err(Finding::Unsigned { seq: 2001 }));
    assert_eq!(verify(&after[1..], &checkpoint, std::slice::from_ref(&cut)), Err(Finding::Unsigned { seq: 2002 }));
    let public_key = enter(&test.house, &house, LogKey).await.unwrap();
    let verifier = CheckpointVerifier::from_line(&public_key).unwrap();
    assert_eq!(verifier.verify(&cut.text).unwrap(), cut);
    assert!(verifier.verify(&cut.text.replace("2000", "2001")).is_err(), "a cut without a valid signature is none");
    let owner = test.owner_again().await;
    let served = test.client().get("/activity-log/v1/cut").bearer(&owner).send().await.unwrap();
    assert_eq!(served.bytes(4096).await.unwrap(), cut.text);
    // The log goes on, is read, and is cut no further than is due.
    let (_, log) = super::activities(&test, Some(&owner), &[("reads", "true")]).await;
    assert!(log["value"].as_array().unwrap().iter().all(|event| event["sequence"].as_u64() > Some(2000)));
    assert!(sign(checkpoint.size).await.unwrap().is_none());
    test.end().await;
}

/// Times in the log do not rise after the clock was set: no record goes while one in front of it must stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_behind_lets_no_young_record_go() {
    let (test, callers) = TestHouse::new().await;
    let house = Caller::house();
    let begun = kernel::Clock::now(&*test.clock);
    assert_eq!(test.ask(callers.token(Who::Owner), Method::PUT, PLACE, Some(&json!({"days": 90}))).await.0, 200);
    let happen = async |count: usize| {
        for _ in 0..count {
            enter(&test.house, &house, ExportLog { from: u64::MAX, most: 1 }).await.unwrap();
        }
    };
    happen(1500).await;
    test.clock.advance(DAY * 60);
    happen(100).await;
    test.clock.set(begun);
    happen(2400).await;
    test.clock.advance(DAY * 92);
    let checkpoint = enter(&test.house, &house, SignCheckpoint::default()).await.unwrap();
    let cut = enter(&test.house, &house, SignCut { covered: checkpoint.size }).await.unwrap().unwrap();
    assert_eq!(cut.size, 1000, "records of the sixtieth day begin soon after 1500");
    enter(&test.house, &house, CutLog { text: cut.text }).await.unwrap();
    assert!(enter(&test.house, &house, SignCut { covered: checkpoint.size }).await.unwrap().is_none());
    test.clock.advance(DAY * 60);
    let cut = enter(&test.house, &house, SignCut { covered: checkpoint.size }).await.unwrap().unwrap();
    assert!(cut.size >= 3000, "now they are old: {}", cut.size);
    test.end().await;
}

/// A front that was taken away without a signed cut is noticed before anything is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_on_a_log_whose_front_was_taken_away() {
    let meta: Arc<dyn MetaStore> = Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain)));
    let blobs: Arc<dyn BlobStore> = Arc::new(store::blob::Memory::new());
    let (test, _) = TestHouse::over(Arc::clone(&meta), Arc::clone(&blobs)).await;
    let opened = async || {
        let parts = Parts {
            meta: Arc::clone(&meta),
            blobs: Arc::clone(&blobs),
            root: Arc::new(MemoryRoot::default()),
            compute: test.computer.clone(),
            web: Arc::new(NoWeb),
            clock: test.clock.clone(),
            settings: Settings::default(),
            actions: Vec::new(),
        };
        House::open(parts).await.map(drop)
    };
    opened().await.unwrap();
    let records = meta.log(2, 1).await.unwrap().into_iter().map(|row| row.record).collect();
    meta.commit_cut(Batch { changes: Vec::new(), records }, 1).await.unwrap();
    let refused = opened().await.unwrap_err();
    assert!(refused.public().contains("starts at record 2, not 1"), "{refused}");
    test.end().await;
}
