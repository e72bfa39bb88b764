//! One server at a time: a lock that dies with the process that holds it, and names it.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::Path,
};

use kernel::{StoreError, StoreResult};

use crate::{disk, fault};

/// The held lock; dropping it lets another server in.
#[derive(Debug)]
pub(crate) struct Held {
    _file: File,
}

/// Takes the lock `file` (made when missing). `what` is what the lock guards, for the sentence that a second server
/// gets to read.
pub(crate) fn hold(file: &Path, what: &Path) -> StoreResult<Held> {
    let said = || format!("cannot lock `{}`", file.display());
    let mut lock = disk::ours()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)
        .map_err(|cause| fault::io(said(), cause))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(held_by(&mut lock, what))),
        Err(TryLockError::Error(cause)) => return Err(fault::io(said(), cause)),
    }
    // The process id is only a help for people, so a full disk must not keep a server from starting.
    let named = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    if let Err(cause) = named {
        tracing::warn!(%cause, file = %file.display(), "the lock does not name this process");
    }
    Ok(Held { _file: lock })
}

fn held_by(lock: &mut File, what: &Path) -> String {
    let mut pid = String::new();
    let known = lock.take(32).read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    let holder = if known { format!("the server with process id {}", pid.trim()) } else { String::from("a server") };
    format!("`{}` is in use by {holder}; stop it first, or use another data directory", what.display())
}
