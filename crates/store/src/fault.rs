//! Turns faults of the operating system into what the ports report.

use std::{error::Error, fmt::Display, io};

use kernel::StoreError;

/// A fault in words, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Fault {
    what: String,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

fn fault(what: impl Display, source: Option<Box<dyn Error + Send + Sync>>) -> Box<dyn Error + Send + Sync> {
    Box::new(Fault { what: what.to_string(), source })
}

/// A `Failed` that has no deeper cause.
pub(crate) fn refused(what: impl Display) -> StoreError {
    StoreError::Failed(fault(what, None))
}

/// A `Failed` with its cause.
pub(crate) fn failed(what: impl Display, cause: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Failed(fault(what, Some(cause.into())))
}

/// A `Broken`: what was written may be lost, so nothing more is acknowledged.
pub(crate) fn broken(what: impl Display, cause: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Broken(fault(what, Some(cause.into())))
}

/// Whether the medium has no room left: for us, or at all.
pub(crate) fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// A call to the file system that failed before anything depended on it.
pub(crate) fn io(what: impl Display, cause: impl Into<io::Error>) -> StoreError {
    let cause = cause.into();
    if is_full(&cause) { StoreError::Full(fault(what, Some(cause.into()))) } else { failed(what, cause) }
}

/// Runs blocking work away from the tasks that serve requests.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> kernel::StoreResult<T> + Send + 'static,
) -> kernel::StoreResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(cause) => Err(failed("the work on the disk was cut off", cause)),
    }
}
