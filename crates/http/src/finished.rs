//! What has begun is finished: an operation is not cut off between its commit and what follows it because its client went
//! away, and a panic reaches neither the client nor its neighbours on the connection.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;

/// A future that runs where it is awaited, without a task of its own and the wake-ups between threads that one costs. Dropped
/// after it began, it goes on as a task. It gives what the future panicked with as an error.
pub(crate) struct Finished<F: Future<Output: Send> + Send + 'static> {
    future: Option<Pin<Box<F>>>,
    has_begun: bool,
}

impl<F: Future<Output: Send> + Send + 'static> Finished<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future: Some(Box::pin(future)), has_begun: false }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finished<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.has_begun = true;
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        // What a panic leaves half changed inside the future goes with it; what it shares is guarded by locks that say so.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        self.future = None;
        Poll::Ready(outcome)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        let Some(future) = self.future.take().filter(|_| self.has_begun) else { return };
        // Without a runtime the server is at its end, and nothing can go on.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(future);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, poll};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_has_begun_is_finished_by_itself() {
        let (ask, asked) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut work = Finished::new(async move {
            asked.await.unwrap();
            tell.send(()).unwrap();
        });
        assert!(poll!(&mut work).is_pending());
        drop(work);
        ask.send(()).unwrap();
        told.await.unwrap();
    }

    #[tokio::test]
    async fn what_never_began_is_dropped() {
        let (tell, told) = oneshot::channel::<()>();
        drop(Finished::new(async move { tell.send(()).unwrap() }));
        assert!(told.await.is_err());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let outcome = Finished::new(async { assert!(poll!(std::future::ready(())).is_pending(), "on purpose") }).await;
        assert!(outcome.is_err());
        assert_eq!(Finished::new(async { 7 }).now_or_never().unwrap().unwrap(), 7);
    }
}
