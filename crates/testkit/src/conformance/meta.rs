//! The contract of `MetaStore`: versions, batches, scans, concurrency. The log's part is in `meta_log`.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{Batch, Change, MetaStore, StoreError, Versioned};

use super::{Persistence, meta_log};
use crate::sealed;

/// Runs the whole contract of [`MetaStore`]. `open(n)` opens the driver at place `n`, with [`crate::ToyChain`] linking its log.
/// Wants a runtime with several threads.
///
/// # Panics
/// When the driver does not conform.
pub async fn meta<D: MetaStore + 'static>(persistence: Persistence, open: impl AsyncFn(usize) -> D) {
    versions_count_up(&open(1).await).await;
    a_stale_batch_does_nothing(&open(2).await).await;
    a_value_is_written_anew_at_its_version(&open(23).await).await;
    malformed_batches_are_refused(&open(3).await).await;
    scans_are_ordered_and_bounded(&open(4).await).await;
    prefixes_of_ff_bytes_end_where_they_should(&open(5).await).await;
    values_are_kept_to_the_byte(&open(6).await).await;
    one_of_many_racing_writers_wins(Arc::new(open(7).await)).await;
    a_reader_never_sees_half_a_batch(Arc::new(open(8).await)).await;
    meta_log::numbers_have_no_gap(&open(9).await).await;
    meta_log::concurrent_records_form_one_chain(Arc::new(open(10).await)).await;
    meta_log::ranges_are_bounded(&open(11).await).await;
    meta_log::a_cut_removes_the_front_with_its_batch_or_not_at_all(&open(22).await).await;
    if persistence == Persistence::Kept {
        acknowledged_batches_outlive_the_handle(&open).await;
        meta_log::the_chain_goes_on_after_reopening(&open).await;
    }
}

pub(super) fn put(key: impl AsRef<[u8]>, version: u64, value: impl AsRef<[u8]>) -> Change {
    Change::Put { key: Bytes::copy_from_slice(key.as_ref()), version, value: sealed(value) }
}

pub(super) fn delete(key: impl AsRef<[u8]>, version: u64) -> Change {
    Change::Delete { key: Bytes::copy_from_slice(key.as_ref()), version }
}

pub(super) fn changes(changes: impl Into<Vec<Change>>) -> Batch {
    Batch { changes: changes.into(), records: Vec::new() }
}

fn versioned(key: impl AsRef<[u8]>, version: u64, value: impl AsRef<[u8]>) -> Versioned {
    Versioned { key: Bytes::copy_from_slice(key.as_ref()), version, value: sealed(value) }
}

async fn assert_stale(store: &dyn MetaStore, batch: Batch, due: usize) {
    match store.commit(batch.clone()).await {
        Err(StoreError::Stale { change }) => assert_eq!(change, due, "{batch:?}"),
        other => panic!("{batch:?} is stale, but: {other:?}"),
    }
}

async fn versions_count_up(store: &dyn MetaStore) {
    assert_eq!(store.get(b"k").await.unwrap(), None);
    assert_stale(store, changes([put("k", 2, "no")]), 0).await;
    assert_stale(store, changes([delete("k", 1)]), 0).await;
    assert_eq!(store.commit(changes([put("k", 1, "one")])).await.unwrap(), 0);
    assert_eq!(store.get(b"k").await.unwrap(), Some(versioned("k", 1, "one")));
    for stale in [1, 3, 4] {
        assert_stale(store, changes([put("k", stale, "no")]), 0).await;
    }
    store.commit(changes([put("k", 2, "two")])).await.unwrap();
    assert_eq!(store.get(b"k").await.unwrap(), Some(versioned("k", 2, "two")));
    for stale in [1, 3] {
        assert_stale(store, changes([delete("k", stale)]), 0).await;
    }
    store.commit(changes([delete("k", 2)])).await.unwrap();
    assert_eq!(store.get(b"k").await.unwrap(), None);
    assert_stale(store, changes([delete("k", 2)]), 0).await;
    // Once removed, the count starts again.
    assert_stale(store, changes([put("k", 3, "no")]), 0).await;
    store.commit(changes([put("k", 1, "again")])).await.unwrap();
    assert_eq!(store.get(b"k").await.unwrap(), Some(versioned("k", 1, "again")));
    assert_eq!(store.commit(Batch::default()).await.unwrap(), 0);
    store.check().await.unwrap();
}

async fn a_stale_batch_does_nothing(store: &dyn MetaStore) {
    store.commit(changes([put("a", 1, "a1"), put("b", 1, "b1"), put("c", 1, "c1")])).await.unwrap();
    let batch = Batch {
        changes: vec![put("a", 2, "a2"), delete("b", 1), put("d", 1, "d1"), put("c", 3, "c3"), put("e", 7, "e7")],
        records: vec![sealed("never")],
    };
    assert_stale(store, batch, 3).await;
    let all = store.scan(b"", None, 10).await.unwrap();
    assert_eq!(all, [versioned("a", 1, "a1"), versioned("b", 1, "b1"), versioned("c", 1, "c1")]);
    assert_eq!(store.log_head().await.unwrap(), (0, [0; 32]));
    let batch = changes([put("a", 2, "a2"), delete("b", 1), put("d", 1, "d1"), put("c", 2, "c2")]);
    store.commit(batch).await.unwrap();
    let all = store.scan(b"", None, 10).await.unwrap();
    assert_eq!(all, [versioned("a", 2, "a2"), versioned("c", 2, "c2"), versioned("d", 1, "d1")]);
}

async fn a_value_is_written_anew_at_its_version(store: &dyn MetaStore) {
    let reseal = |key: &str, version: u64, value: &str| Change::Reseal {
        key: Bytes::copy_from_slice(key.as_bytes()),
        version,
        value: sealed(value),
    };
    assert_stale(store, changes([reseal("k", 1, "no")]), 0).await;
    store.commit(changes([put("k", 1, "one")])).await.unwrap();
    store.commit(changes([reseal("k", 1, "one again")])).await.unwrap();
    assert_eq!(store.get(b"k").await.unwrap(), Some(versioned("k", 1, "one again")));
    store.commit(changes([put("k", 2, "two")])).await.unwrap();
    for stale in [1, 3] {
        assert_stale(store, changes([put("l", 1, "no"), reseal("k", stale, "no")]), 1).await;
    }
    store.commit(changes([put("l", 1, "l"), reseal("k", 2, "two again")])).await.unwrap();
    assert_eq!(store.scan(b"", None, 10).await.unwrap(), [versioned("k", 2, "two again"), versioned("l", 1, "l")]);
    let twice = store.commit(changes([reseal("k", 2, "x"), put("k", 3, "x")])).await;
    assert!(matches!(twice, Err(StoreError::Failed(_))), "{twice:?}");
    let never = store.commit(changes([reseal("k", 0, "x")])).await;
    assert!(matches!(never, Err(StoreError::Failed(_))), "{never:?}");
}

async fn malformed_batches_are_refused(store: &dyn MetaStore) {
    let malformed = [
        changes([put("k", 1, "1"), put("k", 2, "2")]),
        changes([put("k", 1, "1"), delete("k", 1)]),
        changes([put("k", 1, "1"), put("l", 0, "0")]),
        changes([put("k", 1, "1"), delete("l", 0)]),
        changes([put("k", 1, "1"), put("l", u64::MAX, "0")]),
    ];
    for batch in malformed {
        let refused = store.commit(batch.clone()).await;
        assert!(matches!(refused, Err(StoreError::Failed(_) | StoreError::Stale { .. })), "{batch:?}: {refused:?}");
        assert_eq!(store.get(b"k").await.unwrap(), None, "{batch:?}");
    }
    store.commit(changes([put("k", 1, "1")])).await.unwrap();
}

async fn scans_are_ordered_and_bounded(store: &dyn MetaStore) {
    let keys: [&[u8]; 9] = [b"", b"\0", b"a", b"a\0", b"aa", b"ab", b"a\xff", b"b", b"\xc3\xa9"];
    let mut shuffled = keys;
    shuffled.reverse();
    shuffled.swap(0, 4);
    store.commit(changes(shuffled.map(|key| put(key, 1, key)))).await.unwrap();
    let scan = async |prefix: &[u8], after: Option<&[u8]>, limit: usize| -> Vec<Bytes> {
        let found = store.scan(prefix, after, limit).await.unwrap();
        assert!(found.iter().all(|it| it.version == 1 && it.value == sealed(&it.key)), "{found:?}");
        found.into_iter().map(|it| it.key).collect()
    };
    assert_eq!(scan(b"", None, 100).await, keys);
    assert_eq!(scan(b"", None, usize::MAX).await, keys);
    assert_eq!(scan(b"", None, 0).await, Vec::<Bytes>::new());
    assert_eq!(scan(b"", None, 3).await, keys[..3]);
    assert_eq!(scan(b"", Some(b""), 100).await, keys[1..]);
    assert_eq!(scan(b"a", None, 100).await, keys[2..7]);
    assert_eq!(scan(b"a", None, 2).await, keys[2..4]);
    assert_eq!(scan(b"a", Some(b"a"), 100).await, keys[3..7]);
    assert_eq!(scan(b"a", Some(b"a\0"), 1).await, keys[4..5]);
    assert_eq!(scan(b"a", Some(b"a\xff"), 100).await, Vec::<Bytes>::new());
    // `after` need not exist, nor start with the prefix.
    assert_eq!(scan(b"a", Some(b"aaa"), 100).await, keys[5..7]);
    assert_eq!(scan(b"a", Some(b"Z"), 100).await, keys[2..7]);
    assert_eq!(scan(b"a", Some(b"b"), 100).await, Vec::<Bytes>::new());
    assert_eq!(scan(b"z", None, 100).await, Vec::<Bytes>::new());
    // A long scan, page by page, meets everything once.
    let many: Vec<String> = (0..1000).map(|number| format!("page/{number:04}")).collect();
    store.commit(changes(many.iter().map(|key| put(key, 1, key)).collect::<Vec<_>>())).await.unwrap();
    let (mut met, mut after) = (Vec::new(), None);
    loop {
        let page = scan(b"page/", after.as_deref(), 300).await;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        met.extend(page);
    }
    assert_eq!(met, many);
}

async fn prefixes_of_ff_bytes_end_where_they_should(store: &dyn MetaStore) {
    let keys: [&[u8]; 7] = [b"a\xfe\xff", b"a\xff", b"a\xff\x01", b"a\xff\xff", b"b", b"\xff", b"\xff\xff\x01"];
    store.commit(changes(keys.map(|key| put(key, 1, "v")))).await.unwrap();
    let scan = async |prefix: &[u8]| -> Vec<Bytes> {
        store.scan(prefix, None, 100).await.unwrap().into_iter().map(|it| it.key).collect()
    };
    assert_eq!(scan(b"a\xff").await, keys[1..4]);
    assert_eq!(scan(b"a\xff\xff").await, keys[3..4]);
    assert_eq!(scan(b"\xff").await, keys[5..]);
    assert_eq!(scan(b"\xff\xff").await, keys[6..]);
    assert_eq!(scan(b"\xff\xff\xff").await, Vec::<Bytes>::new());
}

async fn values_are_kept_to_the_byte(store: &dyn MetaStore) {
    let every_byte: Vec<u8> = (0..=255).collect();
    for (number, value) in [vec![], vec![0], every_byte.clone(), every_byte.repeat(16_384)].iter().enumerate() {
        let key = [every_byte.as_slice(), &[u8::try_from(number).unwrap()]].concat();
        store.commit(changes([put(&key, 1, value)])).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), Some(versioned(&key, 1, value)));
    }
}

async fn one_of_many_racing_writers_wins(store: Arc<dyn MetaStore>) {
    let tasks: Vec<_> = (0..64_u32)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let (mut own, mut won) = (0, 0_u64);
                for round in 1..=8 {
                    store.commit(changes([put(format!("own/{task}"), round, "v")])).await.unwrap();
                    own = round;
                    // The key that all want: some version is won by exactly one of them.
                    let seen = store.get(b"shared").await.unwrap().map_or(0, |it| it.version);
                    match store.commit(changes([put("shared", seen + 1, task.to_be_bytes())])).await {
                        Ok(_) => won += 1,
                        Err(StoreError::Stale { change: 0 }) => {}
                        other => panic!("{other:?}"),
                    }
                }
                (own, won)
            })
        })
        .collect();
    let mut wins = 0;
    for task in tasks {
        let (own, won) = task.await.unwrap();
        assert_eq!(own, 8);
        wins += won;
    }
    assert_eq!(store.get(b"shared").await.unwrap().unwrap().version, wins);
    let own = store.scan(b"own/", None, 1000).await.unwrap();
    assert_eq!(own.iter().map(|it| it.version).collect::<Vec<_>>(), [8; 64]);
    store.check().await.unwrap();
}

async fn a_reader_never_sees_half_a_batch(store: Arc<dyn MetaStore>) {
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for version in 1..=50_u64 {
                let pair = [put("pair/left", version, b"l"), put("pair/right", version, b"r")];
                store.commit(changes(pair)).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let pair = store.scan(b"pair/", None, 10).await.unwrap();
        match pair.as_slice() {
            [] => {}
            [left, right] => assert_eq!(left.version, right.version),
            other => panic!("half a batch: {other:?}"),
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

async fn acknowledged_batches_outlive_the_handle<D: MetaStore>(open: &impl AsyncFn(usize) -> D) {
    let store = open(20).await;
    store.commit(changes([put("a", 1, "a1"), put("b", 1, "b1")])).await.unwrap();
    store.commit(changes([put("a", 2, "a2"), delete("b", 1)])).await.unwrap();
    assert_stale(&store, changes([put("c", 1, "c1"), put("a", 2, "no")]), 1).await;
    drop(store);
    for _ in 0..3 {
        let store = open(20).await;
        store.check().await.unwrap();
        assert_eq!(store.scan(b"", None, 10).await.unwrap(), [versioned("a", 2, "a2")]);
        assert_stale(&store, changes([put("a", 2, "no")]), 0).await;
    }
}
