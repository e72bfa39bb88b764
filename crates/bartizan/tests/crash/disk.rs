//! A file system of our own on a loop device, whose power can be cut: ext4's shutdown call drops what was not yet on the
//! medium, as a power failure does. `kill -9` alone proves nothing about the disk, since the page cache survives it.

#![expect(unsafe_code, reason = "the shutdown call of ext4 is an ioctl that no safe interface offers")]

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

/// `EXT4_IOC_SHUTDOWN`: `_IOR('X', 125, __u32)` of the kernel's `fs/ext4/ext4.h`.
const SHUTDOWN: libc::c_ulong = 0x8004_587D;

/// What happens to ext4's own journal at the cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// It is written out first (`EXT4_GOING_FLAGS_LOGFLUSH`): data that was not synced is lost, names may survive.
    KeepingJournal,
    /// It is lost too (`EXT4_GOING_FLAGS_NOLOGFLUSH`): the harder case.
    DroppingJournal,
}

/// A mounted image. Dropping it unmounts.
pub struct Disk {
    image: PathBuf,
    place: PathBuf,
    is_mounted: bool,
}

/// Runs work whose mounts only it and its children see: the kernel takes them away with the last of these, however they
/// end, and the loop device with them.
///
/// # Errors
/// Why this machine does not allow it.
pub fn with_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|why| format!("no mount namespace: {why}"))?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(|why| why.to_string())?;
            Ok(work())
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Disk {
    /// Makes an ext4 file system in a file and mounts it.
    ///
    /// # Errors
    /// Why this machine cannot: no root, no loop devices, no mkfs.
    pub fn make(dir: &Path) -> Result<Self, String> {
        let disk = Self { image: dir.join("disk.img"), place: dir.join("disk"), is_mounted: false };
        File::create(&disk.image).and_then(|file| file.set_len(384 << 20)).map_err(|why| why.to_string())?;
        std::fs::create_dir(&disk.place).map_err(|why| why.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&disk.image))?;
        disk.mounted()
    }

    fn mounted(mut self) -> Result<Self, String> {
        // mount(8) asks for a loop device that vanishes with the mount.
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.place))?;
        self.is_mounted = true;
        Ok(self)
    }

    /// Where it is mounted.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Cuts the power: from now on every write fails, and what was not on the medium is gone after [`Disk::replugged`].
    pub fn cut(&self, cut: Cut) {
        let flag: u32 = match cut {
            Cut::KeepingJournal => 1,
            Cut::DroppingJournal => 2,
        };
        let root = File::open(&self.place).unwrap();
        // SAFETY: the descriptor is open for the length of the call, and the kernel reads one `u32` from the pointer,
        // which refers to a live local.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &raw const flag) };
        assert_eq!(result, 0, "the shutdown call failed: {}", std::io::Error::last_os_error());
    }

    /// Unmounts, mounts again (which replays the journal), and has the file system checked in between.
    pub fn replugged(mut self) -> Self {
        self.unmount();
        self = self.mounted().unwrap();
        self.unmount();
        run(Command::new("fsck.ext4").args(["-f", "-n"]).arg(&self.image)).unwrap();
        self.mounted().unwrap()
    }

    fn unmount(&mut self) {
        umount2(&self.place, MntFlags::empty()).unwrap_or_else(|why| panic!("umount: {why}"));
        self.is_mounted = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = umount2(&self.place, MntFlags::MNT_DETACH);
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(format!("{command:?}: {}: {}", output.status, said.trim()))
}
