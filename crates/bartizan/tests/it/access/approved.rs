//! What becomes of an approval when the operation does not come to its end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use kernel::{Batch, Link, LogRow, MetaStore, StoreError, StoreResult, Versioned};

use super::*;

/// A store whose next commit of a change fails, when it is told so.
struct Flaky {
    inner: store::meta::Memory,
    fails: AtomicBool,
}

#[async_trait]
impl MetaStore for Flaky {
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>> {
        self.inner.get(key).await
    }
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>> {
        self.inner.scan(prefix, after, limit).await
    }
    async fn commit(&self, batch: Batch) -> StoreResult<u64> {
        if !batch.changes.is_empty() && self.fails.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Failed("on purpose".into()));
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

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_used_up_with_the_change_or_not_at_all() {
    let inner = store::meta::Memory::new(Arc::new(seal::Sha256Chain));
    let flaky = Arc::new(Flaky { inner, fails: AtomicBool::new(false) });
    let (test, callers) = TestHouse::over(flaky.clone(), Arc::new(store::blob::Memory::new())).await;
    let town = Town { test, callers };
    let [bob, carol, eve] = [town.person("bob").await, town.person("carol").await, town.person("eve").await];
    let (owner, group) = (town.owner(), town.test.group());
    // There before the rule: to assign it again is refused, and changes nothing.
    assert_eq!(town.assign(owner, &eve.0, READER, &group).await.0, 201);
    let rule = json!({"operation": "roleGrant", "approvals": 1, "approvers": {"principals": [bob.0, carol.0]}});
    let place = Town::at(&group, &format!("approvalRules/{}", Uuid::new_v4()));
    assert_eq!(town.ask(owner, Method::PUT, &place, &json!({"properties": rule})).await.0, 201);
    let status = async |request: &str| {
        let (_, found) = town.ask(owner, Method::GET, request, &Value::Null).await;
        found["properties"]["status"].as_str().unwrap_or_default().to_owned()
    };
    for (role, failing, expected) in [(READER, false, 409), (CONTRIBUTOR, true, 503)] {
        let (code, answer, _) = town.assign(owner, &eve.0, role, &group).await;
        assert_eq!((code, &answer["error"]["code"]), (409, &json!("ApprovalRequired")), "{answer}");
        let request = answer["error"]["target"].as_str().unwrap().to_owned();
        assert_eq!(town.ask(&bob.1, Method::POST, &format!("{request}/approve"), &json!({})).await.0, 200);
        flaky.fails.store(failing, Ordering::SeqCst);
        let (code, answer, _) = town.assign(owner, &eve.0, role, &group).await;
        assert_eq!(code, expected, "{answer}");
        assert_eq!(status(&request).await, "Approved", "{role}");
        if failing {
            assert_eq!(town.assign(owner, &eve.0, role, &group).await.0, 201);
            assert_eq!(status(&request).await, "Used");
        }
    }
    town.test.end().await;
}
