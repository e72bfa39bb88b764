//! The contract of `MetaStore`'s activity log: numbers without a gap, one chain, bounded reads.

use std::sync::Arc;

use kernel::{Batch, Chain, LogRow, MetaStore, StoreError};

use super::meta::{changes, put};
use crate::{ToyChain, sealed};

fn records<const N: usize>(records: [&str; N]) -> Batch {
    Batch { changes: Vec::new(), records: records.map(sealed).into() }
}

fn texts(rows: &[LogRow]) -> Vec<&[u8]> {
    rows.iter().map(|row| row.record.bytes().as_ref()).collect()
}

async fn whole(store: &dyn MetaStore) -> Vec<LogRow> {
    let rows = store.log(0, 100_000).await.unwrap();
    assert!(ToyChain::holds(&rows), "{rows:?}");
    let head = rows.last().map_or((0, [0; 32]), |row| (row.seq, row.link));
    assert_eq!(store.log_head().await.unwrap(), head);
    rows
}

pub(super) async fn numbers_have_no_gap(store: &dyn MetaStore) {
    assert_eq!(whole(store).await, []);
    assert_eq!(store.commit(records(["one"])).await.unwrap(), 1);
    let first = ToyChain.link(&[0; 32], 1, &sealed("one"));
    assert_eq!(store.log_head().await.unwrap(), (1, first));
    assert_eq!(store.commit(records(["two", "three"])).await.unwrap(), 3);
    let refused = Batch { changes: vec![put("k", 5, "no")], records: vec![sealed("never"), sealed("never")] };
    for _ in 0..3 {
        assert!(matches!(store.commit(refused.clone()).await, Err(StoreError::Stale { change: 0 })));
    }
    assert_eq!(store.commit(changes([put("k", 1, "yes")])).await.unwrap(), 0);
    let both = Batch { changes: vec![put("k", 2, "yes")], records: vec![sealed("four"), sealed("")] };
    assert_eq!(store.commit(both).await.unwrap(), 5);
    assert_eq!(texts(&whole(store).await), [b"one".as_slice(), b"two", b"three", b"four", b""]);
    store.check().await.unwrap();
}

pub(super) async fn concurrent_records_form_one_chain(store: Arc<dyn MetaStore>) {
    let tasks: Vec<_> = (0..64_u32)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut numbers = Vec::new();
                for round in 1..=8_u64 {
                    let text = format!("{task}/{round}");
                    let batch =
                        Batch { changes: vec![put(&text, 1, "v")], records: vec![sealed(&text), sealed(&text)] };
                    numbers.push((store.commit(batch).await.unwrap(), text));
                    // A neighbour in the same transaction that is refused must leave no trace.
                    let stale = Batch { changes: vec![put("missing", 9, "no")], records: vec![sealed("never")] };
                    assert!(matches!(store.commit(stale).await, Err(StoreError::Stale { change: 0 })));
                }
                numbers
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.extend(task.await.unwrap());
    }
    let rows = whole(&*store).await;
    assert_eq!(rows.len(), 64 * 8 * 2);
    for (last, text) in numbers {
        let at = usize::try_from(last).unwrap();
        assert_eq!(texts(&rows[at - 2..at]), [text.as_bytes(), text.as_bytes()]);
    }
    store.check().await.unwrap();
}

pub(super) async fn ranges_are_bounded(store: &dyn MetaStore) {
    let many = Batch { changes: Vec::new(), records: (1..=1000).map(|n: u32| sealed(n.to_string())).collect() };
    assert_eq!(store.commit(many).await.unwrap(), 1000);
    let numbers = async |from: u64, limit: usize| -> Vec<u64> {
        store.log(from, limit).await.unwrap().iter().map(|row| row.seq).collect()
    };
    let none: Vec<u64> = Vec::new();
    assert_eq!(numbers(0, 2).await, [1, 2]);
    assert_eq!(numbers(1, 2).await, [1, 2]);
    assert_eq!(numbers(999, 10).await, [999, 1000]);
    assert_eq!(numbers(1000, 1).await, [1000]);
    assert_eq!(numbers(1, 0).await, none);
    assert_eq!(numbers(1001, 10).await, none);
    assert_eq!(numbers(u64::MAX, 10).await, none);
    assert_eq!(numbers(1, usize::MAX).await.len(), 1000);
    assert_eq!(whole(store).await.len(), 1000);
}

pub(super) async fn a_cut_removes_the_front_with_its_batch_or_not_at_all(store: &dyn MetaStore) {
    store.commit(records(["one", "two", "three", "four"])).await.unwrap();
    let (_, link) = store.log_head().await.unwrap();
    assert!(matches!(store.commit_cut(Batch::default(), 2).await, Err(StoreError::Failed(_))));
    let stale = Batch { changes: vec![put("k", 5, "no")], records: vec![sealed("never")] };
    assert!(matches!(store.commit_cut(stale, 2).await, Err(StoreError::Stale { change: 0 })));
    assert_eq!(store.log(0, 10).await.unwrap().len(), 4);
    let cut = Batch { changes: vec![put("k", 1, "yes")], records: vec![sealed("cut")] };
    assert_eq!(store.commit_cut(cut, 2).await.unwrap(), 5);
    let rows = store.log(0, 10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(rows[2].link, ToyChain.link(&link, 5, &sealed("cut")));
    assert_eq!(store.log(1, 1).await.unwrap(), rows[..1]);
    assert_eq!(store.log(4, 10).await.unwrap(), rows[1..]);
    store.check().await.unwrap();
    assert_eq!(store.commit(records(["six"])).await.unwrap(), 6);
}

pub(super) async fn the_chain_goes_on_after_reopening<D: MetaStore>(open: &impl AsyncFn(usize) -> D) {
    for round in 0..4_u64 {
        let store = open(21).await;
        store.check().await.unwrap();
        assert_eq!(store.log_head().await.unwrap().0, round * 2);
        assert_eq!(store.commit(records(["a", "b"])).await.unwrap(), round * 2 + 2);
        assert_eq!(u64::try_from(whole(&store).await.len()).unwrap(), round * 2 + 2);
    }
}
