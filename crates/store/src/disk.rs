//! Directories and files that are ours alone, and survive a power cut once they are made.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use kernel::StoreResult;
use nix::{fcntl::OFlag, unistd::geteuid};

use crate::fault;

/// Files that only we may read and write.
pub(crate) const FILE_MODE: u32 = 0o600;
/// Directories that only we may enter.
pub(crate) const DIR_MODE: u32 = 0o700;

/// Makes sure that `dir` exists and is a directory that nobody but us can write, and returns its path without symbolic
/// links. What has to be made is made for us alone, and is durable.
pub(crate) fn private_dir(dir: &Path) -> StoreResult<PathBuf> {
    let said = || format!("cannot use the directory `{}`", dir.display());
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|place| !place.as_os_str().is_empty() && matches!(place.try_exists(), Ok(false)))
        .collect();
    for place in missing.iter().rev() {
        match DirBuilder::new().mode(DIR_MODE).create(place) {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(fault::io(said(), cause)),
            _ => sync_parent(place).map_err(|cause| fault::io(said(), cause))?,
        }
    }
    let real = fs::canonicalize(dir).map_err(|cause| fault::io(said(), cause))?;
    let about = fs::symlink_metadata(&real).map_err(|cause| fault::io(said(), cause))?;
    if !about.is_dir() {
        return Err(fault::refused(format!("`{}` is not a directory; choose another path", dir.display())));
    }
    if about.uid() != geteuid().as_raw() {
        return Err(fault::refused(format!(
            "the directory `{}` belongs to another user; run the server as its owner, or choose another path",
            dir.display()
        )));
    }
    if about.permissions().mode() & 0o022 != 0 {
        return Err(fault::refused(format!(
            "the directory `{0}` can be written by other users; run `chmod 700 {0}`",
            dir.display()
        )));
    }
    Ok(real)
}

/// The same for the directory `name` inside one of ours, which must not be a link to another place.
pub(crate) fn private_child(dir: &Path, name: &str) -> StoreResult<PathBuf> {
    let child = dir.join(name);
    if private_dir(&child)? == child {
        return Ok(child);
    }
    Err(fault::refused(format!(
        "`{}` is a symbolic link and is not followed; configure the directory that it points to",
        child.display()
    )))
}

/// How a file of ours is opened: never through a symbolic link, never handed on to another program.
pub(crate) fn ours() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).bits());
    options
}

/// Takes a file of ours away from other users, by name: some files must not be opened a second time.
pub(crate) fn close_to_others(file: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(file)?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(file, fs::Permissions::from_mode(FILE_MODE))?;
    }
    Ok(())
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the entry of `path` in its directory durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    sync_dir(parent(path))
}

/// The directory that `path` lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}
