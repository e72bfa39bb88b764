//! The agent's private place: a file system in memory that no other process on the host sees and that vanishes with it.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount, umount},
    sched::{CloneFlags, unshare},
    sys::{prctl, statvfs::statvfs},
    unistd::{Gid, Uid, chown},
};

use wire::agent;

use crate::jail::{Bind, Failure, Owner, Step, WORK, is_real_root};

/// Room for what the agent keeps for itself.
const OWN_SIZE: &str = "16m";

/// How often, and how far apart, it is looked whether nothing holds the run's part any more.
const LOOKS: u32 = 200;
const BETWEEN: Duration = Duration::from_millis(10);

/// The private place.
#[derive(Debug)]
pub struct Scratch {
    place: PathBuf,
    swap: agent::Swap,
}

impl Scratch {
    /// Enters a private mount namespace and mounts the private place over `place`, an empty directory that is made when it
    /// is missing; nothing of it is ever on a disk. A plain user gets a user namespace first, in which it is root.
    ///
    /// Must be called while the process has one thread.
    pub fn enter(place: &Path) -> Result<Self, Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(place).step_about("making", place)?;
        if is_real_root() {
            unshare(CloneFlags::CLONE_NEWNS).step("making a private mount namespace")?;
        } else {
            let (uid, gid) = (Uid::effective(), Gid::effective());
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
                .step("making a private user and mount namespace (does this host allow them to plain users?)")?;
            prctl::set_dumpable(true).step("becoming dumpable")?;
            fs::write("/proc/self/setgroups", "deny").step("closing the groups")?;
            fs::write("/proc/self/uid_map", format!("0 {uid} 1")).step("mapping the user")?;
            fs::write("/proc/self/gid_map", format!("0 {gid} 1")).step("mapping the group")?;
        }
        // Before any mount: nothing done from here on may be seen by the host.
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
            .step("making the mounts private")?;
        let swap = memory(place, OWN_SIZE)?;
        let scratch = Self { place: place.to_path_buf(), swap };
        for name in ["root", "scratch"] {
            fs::create_dir(scratch.place.join(name)).step("making the private place")?;
        }
        Ok(scratch)
    }

    /// Mounts the run's own part, bounded, and makes the directories that a jail is given.
    pub fn open(&self, mebibytes: u64, owner: Owner) -> Result<(), Failure> {
        let base = self.run();
        // Empty files cost the kernel memory too: no more of them than pages, within reason.
        let files = mebibytes.saturating_mul(256).clamp(65_536, 1_000_000);
        memory(&base, &format!("{mebibytes}m,nr_inodes={files}"))?;
        for (name, mode) in [("work", 0o755), ("tmp", 0o1777), ("shm", 0o1777), ("image", 0o755)] {
            let path = base.join(name);
            fs::create_dir(&path).step("making the scratch")?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).step("making the scratch")?;
        }
        hand_over(&self.work(), owner)
    }

    /// The whole of the run's part.
    pub fn run(&self) -> PathBuf {
        self.place.join("scratch")
    }

    /// The program's working directory.
    pub fn work(&self) -> PathBuf {
        self.run().join("work")
    }

    /// Where the inputs of a job are laid out; made when there are some.
    pub fn inputs(&self) -> PathBuf {
        self.run().join("inputs")
    }

    /// Where images are unpacked.
    pub fn image(&self) -> PathBuf {
        self.run().join("image")
    }

    /// Where a jail's root is built.
    pub fn root(&self) -> PathBuf {
        self.place.join("root")
    }

    /// What it is, for the run's record.
    pub fn told(&self) -> agent::Scratch {
        agent::Scratch { medium: agent::Medium::Memory, swap: self.swap }
    }

    /// Removes all that the run left and takes its part down. True when it was empty then, held by nobody, and is gone: files that
    /// somebody still had open would count. To be called after the jail's end. One that was never opened has nothing to remove.
    pub fn clear(&self) -> bool {
        let run = self.run();
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
        match (device(&run), device(&self.place)) {
            (Ok(own), Ok(around)) if own == around => return true,
            (Ok(_), Ok(_)) => {}
            _ => return false,
        }
        for entry in fs::read_dir(&run).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            if let Err(error) = removed {
                tracing::warn!(%error, "a part of the scratch could not be removed");
            }
        }
        let is_empty = becomes_empty(&run);
        umount(&run).is_ok() && is_empty
    }

    /// The scratch as a jail sees it; all of it shares one bound.
    pub fn binds(&self) -> Vec<Bind> {
        vec![
            Bind::writable(self.work(), WORK),
            Bind::writable(self.run().join("tmp"), "/tmp"),
            Bind::writable(self.run().join("shm"), "/dev/shm"),
        ]
    }

    /// Whether the run's part is full.
    pub fn is_full(&self) -> bool {
        statvfs(&self.run()).is_ok_and(|found| found.blocks_available() == 0)
    }
}

/// Whether the root alone is left of a file system in memory. What was removed and is held somewhere is counted until it is let go;
/// the kernel takes down the mounts of a jail that has ended in its own time, so that is waited for a little.
fn becomes_empty(place: &Path) -> bool {
    let is_empty = || {
        statvfs(place).is_ok_and(|found| {
            found.files().saturating_sub(found.files_free()) <= 1 && found.blocks() == found.blocks_free()
        })
    };
    (0..LOOKS).any(|look| {
        if look > 0 {
            std::thread::sleep(BETWEEN);
        }
        is_empty()
    })
}

/// Gives a file or directory to the jail's user.
pub fn hand_over(path: &Path, owner: Owner) -> Result<(), Failure> {
    let (uid, gid) = (Uid::from_raw(owner.id), Gid::from_raw(owner.id));
    if owner.changes {
        chown(path, Some(uid), Some(gid)).step("handing over to the jail's user")?;
    }
    Ok(())
}

/// Mounts memory, and says whether the kernel may swap it out. Only real root may forbid that, and only since Linux 6.4.
fn memory(place: &Path, size: &str) -> Result<agent::Swap, Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mut options = format!("mode=700,size={size}");
    let plain = options.clone();
    options.push_str(",noswap");
    if mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options.as_str())).is_ok() {
        return Ok(agent::Swap::Forbidden);
    }
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(plain.as_str()))
        .map_err(io::Error::from)
        .step("mounting the private place")?;
    Ok(if has_swap() { agent::Swap::Possible } else { agent::Swap::NoneOnHost })
}

fn has_swap() -> bool {
    fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1)
}
