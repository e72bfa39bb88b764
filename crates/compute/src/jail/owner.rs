//! Who a jailed program is outside: a uid of its own from a range, when root starts it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{Flock, FlockArg},
    unistd::Uid,
};

use super::spec::Owner;

/// First id of the range. It lies where neither people, services, containers' sub-ids nor network directories are given
/// ids (systemd's list of ranges calls it unused).
const FIRST: u32 = 1_900_000_000;
/// How many jails of root's can live at once.
const SLOTS: u32 = 4096;

/// A claim on an identity, given back when dropped.
#[derive(Debug)]
pub struct Claim {
    owner: Owner,
    _slot: Option<Flock<File>>,
}

impl Claim {
    /// Claims an identity that no other jail on this host has now. `fallback` holds the lock files when `/run` cannot.
    pub fn take(fallback: &Path) -> io::Result<Self> {
        if !is_real_root() {
            // The agent's own user: in the agent's user namespace that is id 0, and there is no other.
            return Ok(Self { owner: Owner { id: Uid::effective().as_raw(), changes: false }, _slot: None });
        }
        let directory = lock_directory(fallback)?;
        for slot in 1..=SLOTS {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600);
            let file = options.open(directory.join(format!("uid-{slot}")))?;
            if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                return Ok(Self { owner: Owner { id: FIRST + slot, changes: true }, _slot: Some(lock) });
            }
        }
        Err(io::Error::new(io::ErrorKind::QuotaExceeded, "every uid of the range is in use"))
    }

    /// The identity.
    pub fn owner(&self) -> Owner {
        self.owner
    }
}

/// Whether this process is root and may become the users of the range: its user namespace must know them.
pub fn is_real_root() -> bool {
    Uid::effective().is_root() && knows(FIRST + SLOTS)
}

fn knows(id: u32) -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return false };
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

fn lock_directory(fallback: &Path) -> io::Result<PathBuf> {
    for place in [Path::new("/run/bartizan"), fallback] {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(place);
        if made.is_ok() {
            return Ok(place.to_path_buf());
        }
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "there is no place for the locks of the uid range"))
}
