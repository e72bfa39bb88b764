//! A grant that is revoked while a token of it is looked at, and a store that cannot be read just then.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use kernel::{Batch, Kind, Link, LogRow, MetaStore, Secret, Source, StoreError, StoreResult, Versioned};
use tokio::sync::oneshot;

use super::stand::{Stand, refusal};
use crate::identity::{SignOut, TokenRefusal, identify, service_token};

/// A store that holds back the next answer about a grant, or does not give it.
struct Halting {
    inner: store::meta::Memory,
    fails: AtomicBool,
    hold: Mutex<Option<Hold>>,
}

struct Hold {
    is_read: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

impl Halting {
    fn new() -> Arc<Self> {
        let inner = store::meta::Memory::new(Arc::new(seal::Sha256Chain));
        Arc::new(Self { inner, fails: AtomicBool::new(false), hold: Mutex::default() })
    }

    /// Holds the next answer back: first it says that it has it, then it waits.
    fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (said, go) = (oneshot::channel(), oneshot::channel());
        *self.hold.lock().unwrap() = Some(Hold { is_read: said.0, go: go.1 });
        (said.1, go.0)
    }
}

#[async_trait]
impl MetaStore for Halting {
    async fn get(&self, key: &[u8]) -> StoreResult<Option<Versioned>> {
        let found = self.inner.get(key).await;
        if !key.windows(5).any(|part| part == b"grant") {
            return found;
        }
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(StoreError::Failed("no answer".into()));
        }
        let hold = self.hold.lock().unwrap().take();
        if let Some(hold) = hold {
            hold.is_read.send(()).unwrap();
            hold.go.await.unwrap();
        }
        found
    }
    async fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Versioned>> {
        self.inner.scan(prefix, after, limit).await
    }
    async fn commit(&self, batch: Batch) -> StoreResult<u64> {
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

async fn stand() -> (Arc<Halting>, Stand) {
    let meta = Halting::new();
    let stand = Stand::over(meta.clone(), Arc::new(kernel::NoWeb)).await;
    (meta, stand)
}

impl Stand {
    /// An access token, and the code it came from.
    async fn token(&self) -> (Secret<String>, Secret<String>) {
        let code = self.code().await;
        (self.ask(self.redeem(&code)).await.unwrap().unwrap().access.token, code)
    }

    /// Ends the grant that this code opened.
    async fn revoke(&self, code: &Secret<String>) {
        assert_eq!(refusal(self.ask(self.redeem(code)).await), TokenRefusal::BadCode);
    }

    /// Somebody begins to look at a token, and has read the grant; to be gone on with.
    async fn half_known(&self, meta: &Halting, token: &Secret<String>) -> impl Future<Output = bool> + use<> {
        let (is_read, go) = meta.hold();
        let (house, token) = (Arc::clone(&self.house), token.clone());
        let asked = tokio::spawn(async move { identify(&house, token.expose(), Source::internal()).await.is_ok() });
        is_read.await.unwrap();
        async move {
            go.send(()).unwrap();
            asked.await.unwrap()
        }
    }
}

/// A token for a scoring service hangs on what the token hangs on that it was fetched with.
#[tokio::test]
async fn a_service_token_ends_with_the_grant_and_the_session_it_came_from() {
    for is_signed_out in [false, true] {
        let (_, stand) = stand().await;
        let (token, code) = stand.token().await;
        let caller = identify(&stand.house, token.expose(), Source::internal()).await.unwrap();
        let who = caller.principal().unwrap();
        let service = service_token::issue(&stand.house, "urn:a:service", who.id, &who.proof).unwrap();
        let holder = async || {
            let found = service_token::holder(&stand.house, "urn:a:service", service.token.expose()).await;
            found.unwrap().map(|holder| holder.id)
        };
        assert_eq!(holder().await, Some(who.id));
        match is_signed_out {
            true => stand.ask(SignOut { session: stand.cookie.clone() }).await.unwrap(),
            false => stand.revoke(&code).await,
        }
        assert_eq!(holder().await, None, "signed out: {is_signed_out}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_while_another_looks_at_it() {
    let (meta, stand) = stand().await;
    let (token, code) = stand.token().await;
    stand.revoke(&code).await;
    let other = stand.half_known(&meta, &token).await;
    assert!(!stand.is_known(&token).await);
    assert!(!other.await);
    assert!(!stand.is_known(&token).await);
}

#[tokio::test]
async fn a_token_that_is_revoked_just_after_its_grant_was_read_is_not_kept() {
    let (meta, stand) = stand().await;
    let (token, code) = stand.token().await;
    let other = stand.half_known(&meta, &token).await;
    stand.revoke(&code).await;
    let _before = other.await;
    assert!(!stand.is_known(&token).await);
}

#[tokio::test]
async fn a_token_whose_grant_cannot_be_read_is_not_kept() {
    let (meta, stand) = stand().await;
    let (token, code) = stand.token().await;
    stand.revoke(&code).await;
    meta.fails.store(true, Ordering::SeqCst);
    let fault = identify(&stand.house, token.expose(), Source::internal()).await.unwrap_err();
    assert_ne!(fault.kind(), Kind::Unauthenticated, "{fault}");
    assert!(!stand.is_known(&token).await);
}
