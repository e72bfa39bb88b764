//! The root key in a file outside the data directory.
//!
//! ```text
//! bartizan-root-key-v1
//! <32 bytes in base64>
//! ```
//!
//! A rotation writes the new key to `F.next`. Once everything is wrapped under it, the old key gets the name `F.old` and the new
//! one takes `F`. A start between the two finds both, and goes on from whichever opens what is stored.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult};

use super::secret_file;
use crate::{disk, fault};

const MAGIC: &str = "bartizan-root-key-v1";
const KEY_BYTES: usize = 32;
const NEXT: &str = ".next";
const OLD: &str = ".old";
const DRAFT: &str = ".new";
/// The magic line and the key's line with their ends, and one byte more to notice what is too long.
const MOST_BYTES: usize = MAGIC.len() + 1 + 44 + 1 + 1;

/// Holds the root key that it read from a file; wraps and unwraps with it.
pub struct KeyFile {
    /// As the operator named it.
    named: PathBuf,
    /// The file itself, beside which the others of a rotation lie: the new key replaces it, and never a link to it.
    path: PathBuf,
    held: RwLock<Held>,
    sealing: Arc<dyn Sealing>,
}

struct Held {
    /// The key in the file.
    root: Secret<Vec<u8>>,
    /// The one in `F.next`.
    next: Option<Secret<Vec<u8>>>,
    /// Whether `next` is in use: it wraps, or has opened what is stored. Then nothing replaces it but its own taking over.
    turned: bool,
}

impl KeyFile {
    /// Writes `root` (32 fresh random bytes) to a new file that only we can read, durably, and opens it. A power cut
    /// leaves the whole file or none.
    ///
    /// # Errors
    /// `Key` when the file exists, its directory does not, or `root` is not 32 bytes; `Full` and `Failed` for faults of
    /// the medium.
    pub fn create(path: &Path, root: &Secret<Vec<u8>>, sealing: Arc<dyn Sealing>) -> StoreResult<Self> {
        let said = || format!("cannot write the key file `{}`", path.display());
        if root.expose().len() != KEY_BYTES {
            return Err(StoreError::Key(format!("a root key has {KEY_BYTES} bytes, not {}", root.expose().len())));
        }
        if !disk::parent(path).is_dir() {
            return Err(StoreError::Key(format!(
                "there is no directory for the key file `{}`; make it",
                path.display()
            )));
        }
        let draft = beside(path, DRAFT);
        let written = write(&draft, root).and_then(|()| fs::hard_link(&draft, path));
        // Also when writing failed; and what a power cut left is replaced by `write`.
        let cleared = fs::remove_file(&draft);
        match written.and(cleared).and_then(|()| disk::sync_parent(path)) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::Key(format!(
                "the key file `{0}` exists and is not overwritten; if no data needs it, move it away",
                path.display()
            ))),
            Err(cause) => Err(fault::io(said(), cause)),
            Ok(()) => Self::open(path, sealing),
        }
    }

    /// Reads the root key from its file.
    ///
    /// # Errors
    /// `Key`, with one sentence that says what to do: the file is missing, open to others, someone else's, or not a key
    /// file.
    pub fn open(path: &Path, sealing: Arc<dyn Sealing>) -> StoreResult<Self> {
        let missing = "put it back, without it the data cannot be read";
        let mut file = secret_file::open(path, "key file", missing)?;
        match read(&mut file)? {
            Some(root) => {
                let real = fs::canonicalize(path)
                    .map_err(|cause| fault::io(format!("cannot find the key file `{}`", path.display()), cause))?;
                let held = RwLock::new(Held { root, next: found_next(&real)?, turned: false });
                Ok(Self { named: path.to_owned(), path: real, held, sealing })
            }
            None => Err(StoreError::Key(format!(
                "`{}` is not a key file or is damaged; restore it from its backup",
                path.display()
            ))),
        }
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The new key takes the file's name; the old one keeps another, for backups that were made under it. A next key that is
    /// not in use stays where it is: what is stored may never have been wrapped under it.
    fn take_over(&self) -> StoreResult<()> {
        let mut held = self.held_mut();
        let Some(next) = held.next.clone().filter(|_| held.turned) else { return Ok(()) };
        let said = |cause| fault::io(format!("cannot replace the key file `{}`", self.path.display()), cause);
        self.keep_old(&held.root).map_err(said)?;
        fs::rename(beside(&self.path, NEXT), &self.path).map_err(said)?;
        disk::sync_parent(&self.path).map_err(said)?;
        *held = Held { root: next, next: None, turned: false };
        Ok(())
    }

    /// Gives the old key its second name, or a copy where the medium has no second names for a file.
    fn keep_old(&self, root: &Secret<Vec<u8>>) -> io::Result<()> {
        let old = beside(&self.path, OLD);
        let Err(cause) = fs::hard_link(&self.path, &old) else { return Ok(()) };
        if old.symlink_metadata().is_ok() {
            // Of a settling that was cut off; any other key stays.
            return if holds(&old, root) { Ok(()) } else { Err(io::Error::new(io::ErrorKind::AlreadyExists, cause)) };
        }
        let draft = beside(&self.path, DRAFT);
        write(&draft, root)?;
        fs::rename(&draft, &old)?;
        disk::sync_parent(&old)
    }
}

/// The key in `F.next`: of a rotation that has not been settled.
fn found_next(path: &Path) -> StoreResult<Option<Secret<Vec<u8>>>> {
    let next = beside(path, NEXT);
    if !next.try_exists().unwrap_or(false) {
        return Ok(None);
    }
    read(&mut secret_file::open(&next, "key file", "put it back")?)
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(word);
    PathBuf::from(name)
}

/// Whether a file holds this key.
fn holds(path: &Path, root: &Secret<Vec<u8>>) -> bool {
    let found = secret_file::open(path, "key file", "").and_then(|mut file| read(&mut file));
    found.ok().flatten().is_some_and(|found| found.expose() == root.expose())
}

#[async_trait]
impl KeyProvider for KeyFile {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        let held = self.held();
        let newest = held.next.as_ref().filter(|_| held.turned).unwrap_or(&held.root);
        self.sealing.seal(newest, purpose, key.expose())
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let by_next = {
            let held = self.held();
            let refused = match self.sealing.open(&held.root, purpose, wrapped) {
                Ok(key) => return Ok(key),
                Err(fault) => fault,
            };
            let Some(next) = &held.next else { return Err(refused) };
            self.sealing.open(next, purpose, wrapped).map_err(|_| refused)?
        };
        // What is stored is under the next key: the last rotation ended before it was settled. Files stay as they are, since who
        // only looks may do so beside the one whose rotation it is.
        let mut held = self.held_mut();
        held.turned = held.next.is_some();
        Ok(by_next)
    }

    async fn rotate(&self) -> StoreResult<()> {
        if self.held().turned {
            // The last rotation was not settled. What is stored may be under its key already, so that goes on to be the newest:
            // another one in its place would be the loss of everything.
            return Ok(());
        }
        if beside(&self.path, OLD).try_exists().unwrap_or(true) {
            return Err(StoreError::Key(format!(
                "`{}` is the key of the last rotation, which backups from before it need; move it to where you keep such \
                 keys, then rotate again",
                beside(&self.path, OLD).display()
            )));
        }
        let root = self.sealing.fresh()?;
        let (draft, next) = (beside(&self.path, DRAFT), beside(&self.path, NEXT));
        let written = write(&draft, &root).and_then(|()| fs::rename(&draft, &next));
        written
            .and_then(|()| disk::sync_parent(&next))
            .map_err(|cause| fault::io(format!("cannot write the key file `{}`", next.display()), cause))?;
        let mut held = self.held_mut();
        (held.next, held.turned) = (Some(root), true);
        Ok(())
    }

    async fn settle(&self) -> StoreResult<()> {
        self.take_over()
    }

    fn describe(&self) -> String {
        format!("key file `{}`", self.named.display())
    }
}

fn write(draft: &Path, root: &Secret<Vec<u8>>) -> io::Result<()> {
    match fs::remove_file(draft) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let encoded = Secret::new(STANDARD.encode(root.expose()));
    let mut file = disk::ours().write(true).create_new(true).open(draft)?;
    for part in [MAGIC, "\n", encoded.expose(), "\n"] {
        file.write_all(part.as_bytes())?;
    }
    file.sync_all()
}

/// The key in a file; none when it is not in the one form that is written.
fn read(file: &mut File) -> StoreResult<Option<Secret<Vec<u8>>>> {
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(MOST_BYTES);
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let done = file.take(most).read_to_end(&mut bytes);
    let text = Secret::new(bytes);
    done.map_err(|cause| fault::io("cannot read the key file", cause))?;
    let encoded = std::str::from_utf8(text.expose())
        .ok()
        .and_then(|text| text.strip_prefix(MAGIC))
        .and_then(|rest| rest.strip_prefix('\n'))
        .and_then(|rest| rest.strip_suffix('\n'));
    let Some(encoded) = encoded else { return Ok(None) };
    let decoded = STANDARD.decode(encoded).ok().map(Secret::new);
    Ok(decoded.filter(|root| root.expose().len() == KEY_BYTES))
}

#[cfg(test)]
mod tests {
    use testkit::ToySealing;

    use super::*;

    const PURPOSE: &[u8] = b"test";

    fn open(path: &Path) -> KeyFile {
        KeyFile::open(path, Arc::new(ToySealing)).unwrap()
    }

    fn create(dir: &Path) -> (PathBuf, KeyFile) {
        let path = dir.join("root.key");
        let held = KeyFile::create(&path, &Secret::new(vec![7; KEY_BYTES]), Arc::new(ToySealing)).unwrap();
        (path, held)
    }

    #[tokio::test]
    async fn a_next_key_that_opens_what_is_stored_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (path, held) = create(dir.path());
        let data_key = Secret::new(vec![9; 32]);
        held.rotate().await.unwrap();
        let stored = held.wrap(PURPOSE, &data_key).await.unwrap();
        // The old key cannot get its second name.
        fs::create_dir(beside(&path, OLD)).unwrap();
        held.settle().await.unwrap_err();
        let next = fs::read(beside(&path, NEXT)).unwrap();
        drop(held);
        for _ in 0..2 {
            let held = open(&path);
            assert_eq!(held.unwrap(PURPOSE, &stored).await.unwrap().expose(), data_key.expose());
            held.settle().await.unwrap_err();
            held.rotate().await.unwrap();
            assert_eq!(fs::read(beside(&path, NEXT)).unwrap(), next, "the only key of what is stored was replaced");
            let again = held.wrap(PURPOSE, &data_key).await.unwrap();
            assert_eq!(open(&path).unwrap(PURPOSE, &again).await.unwrap().expose(), data_key.expose());
        }
        fs::remove_dir(beside(&path, OLD)).unwrap();
        let held = open(&path);
        held.unwrap(PURPOSE, &stored).await.unwrap();
        held.settle().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), next);
    }

    #[tokio::test]
    async fn settling_goes_on_from_a_copy_of_the_old_key() {
        let dir = tempfile::tempdir().unwrap();
        let (path, held) = create(dir.path());
        let old = fs::read(&path).unwrap();
        held.rotate().await.unwrap();
        // As a medium without links is left when the settling is cut off.
        fs::copy(&path, beside(&path, OLD)).unwrap();
        held.settle().await.unwrap();
        assert_eq!(fs::read(beside(&path, OLD)).unwrap(), old);
        assert_ne!(fs::read(&path).unwrap(), old);
    }

    #[tokio::test]
    async fn a_rotation_replaces_what_a_link_leads_to_and_not_the_link() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, _) = create(elsewhere.path());
        let (link, old) = (dir.path().join("data.key"), fs::read(&path).unwrap());
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let held = open(&link);
        assert!(held.describe().contains("data.key"));
        held.rotate().await.unwrap();
        held.settle().await.unwrap();
        assert!(link.is_symlink() && fs::read(&link).unwrap() != old);
        assert_eq!(fs::read(beside(&path, OLD)).unwrap(), old);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing of a key lies beside the link");
    }

    #[tokio::test]
    async fn looking_moves_no_files_and_what_was_never_wrapped_under_does_not_take_over() {
        let dir = tempfile::tempdir().unwrap();
        let (path, held) = create(dir.path());
        let before = held.wrap(PURPOSE, &Secret::new(vec![9; 32])).await.unwrap();
        held.rotate().await.unwrap();
        let after = held.wrap(PURPOSE, &Secret::new(vec![9; 32])).await.unwrap();
        let old = fs::read(&path).unwrap();
        open(&path).unwrap(PURPOSE, &after).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), old);
        let started = open(&path);
        started.unwrap(PURPOSE, &before).await.unwrap();
        started.settle().await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), old);
    }
}
