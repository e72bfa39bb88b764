//! The root key in a file outside the data directory.
//!
//! ```text
//! bartizan-root-key-v1
//! <32 bytes in base64>
//! ```

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult};
use nix::{fcntl::OFlag, unistd::geteuid};

use crate::{disk, fault};

const MAGIC: &str = "bartizan-root-key-v1";
const KEY_BYTES: usize = 32;
/// The magic line and the key's line with their ends, and one byte more to notice what is too long.
const MOST_BYTES: usize = MAGIC.len() + 1 + 44 + 1 + 1;

/// Holds the root key that it read from a file; wraps and unwraps with it.
pub struct KeyFile {
    path: PathBuf,
    root: Secret<Vec<u8>>,
    sealing: Arc<dyn Sealing>,
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
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
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
        let place = path.display();
        let refuse = |why: String| Err(StoreError::Key(why));
        // Not blocking: opening a pipe would wait for ever.
        let opened = fs::OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return refuse(format!(
                    "the key file `{place}` is missing; put it back, without it the data cannot be read"
                ));
            }
            Err(cause) => return refuse(format!("the key file `{place}` cannot be opened ({cause})")),
        };
        let about = file.metadata().map_err(|cause| fault::io(format!("cannot read the key file `{place}`"), cause))?;
        if !about.is_file() {
            return refuse(format!("the key file `{place}` is not a regular file; name one that is"));
        }
        let me = geteuid().as_raw();
        if about.uid() != me {
            return refuse(format!("the key file `{place}` belongs to another user; run `chown {me} {place}`"));
        }
        if about.permissions().mode() & 0o077 != 0 {
            return refuse(format!("the key file `{place}` is open to other users; run `chmod 600 {place}`"));
        }
        match read(&mut file)? {
            Some(root) => Ok(Self { path: path.to_owned(), root, sealing }),
            None => refuse(format!("`{place}` is not a key file or is damaged; restore it from its backup")),
        }
    }
}

#[async_trait]
impl KeyProvider for KeyFile {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        self.sealing.seal(&self.root, purpose, key.expose())
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        self.sealing.open(&self.root, purpose, wrapped)
    }

    fn describe(&self) -> String {
        format!("key file `{}`", self.path.display())
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
