//! Alerts when the server is cut off, before any of the commits of a look: each fires once and is resolved once (J-03).

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use kernel::{Batch, Link, LogRow, MetaStore, StoreError, StoreResult, Versioned};

use super::*;

/// A store that takes so many commits and then none, as if the server had been killed.
struct Mortal {
    inner: store::meta::Memory,
    left: AtomicU64,
}

#[async_trait]
impl MetaStore for Mortal {
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>> {
        self.inner.get(key).await
    }
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>> {
        self.inner.scan(prefix, after, limit).await
    }
    async fn commit(&self, batch: Batch) -> StoreResult<u64> {
        let one_less = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            return Err(StoreError::Failed("cut off".into()));
        }
        self.inner.commit(batch).await
    }
    async fn log(&self, from: u64, limit: usize) -> StoreResult<Vec<LogRow>> {
        self.inner.log(from, limit).await
    }
    async fn log_head(&self) -> StoreResult<(u64, Link)> {
        self.inner.log_head().await
    }
    async fn check(&self) -> StoreResult<()> {
        self.inner.check().await
    }
}

/// How many alerts stand, and how many are over.
async fn counted(test: &TestHouse) -> (usize, usize) {
    let owner = test.owner_again().await;
    let place = format!("{}/providers/Microsoft.AlertsManagement/alerts?timeRange=30d", test.subscription());
    let (status, listed) = test.ask(Some(&owner), Method::GET, &place, None).await;
    assert_eq!(status, 200, "{listed}");
    let all = listed["value"].as_array().unwrap();
    let stand = all.iter().filter(|one| one["properties"]["essentials"]["monitorCondition"] == "Fired").count();
    (stand, all.len() - stand)
}

#[tokio::test(flavor = "multi_thread")]
async fn j_03_wherever_a_look_is_cut_off_an_alert_fires_once_and_is_resolved_once() {
    let inner = store::meta::Memory::new(Arc::new(seal::Sha256Chain));
    let mortal = Arc::new(Mortal { inner, left: AtomicU64::new(u64::MAX) });
    let (test, callers) = TestHouse::over(mortal.clone(), Arc::new(store::blob::Memory::new())).await;
    let owner = callers.token(Who::Owner);
    let mut told_to_nobody = rule(&test, "Model Deploy Failed", "Total", 0.0);
    told_to_nobody["properties"]["actions"] = json!([]);
    put(&test, owner, &rule_place(&test, "deployments"), &told_to_nobody).await;
    // A minute goes by; the look at it ends after so many commits, and another server looks again.
    let minute = async |commits: u64| {
        test.clock.advance(Duration::from_secs(60));
        mortal.left.store(commits, Ordering::SeqCst);
        let _cut_off = watch_once(&test.house).await;
        mortal.left.store(u64::MAX, Ordering::SeqCst);
        watch_once(&test.house).await.unwrap();
        watch_once(&test.house).await.unwrap();
    };
    for (before, commits) in (0..5).enumerate() {
        fail_deployment(&test).await;
        minute(commits).await;
        assert_eq!(counted(&test).await, (1, before), "cut off after {commits} commits");
        for _ in 0..10 {
            minute(commits).await;
        }
        assert_eq!(counted(&test).await, (0, before + 1), "cut off after {commits} commits");
    }
    test.end().await;
}
