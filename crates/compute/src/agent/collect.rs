//! What a program leaves behind: its `outputs`, and its `logs` while it runs. All of it is hostile (I29).
//!
//! Nothing is opened by a path that is resolved twice: each file is opened below its directory with `openat2`, which
//! refuses links, magic links and other file systems, and is judged by the descriptor that is then read.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt, fs::MetadataExt},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use nix::{
    dir::Dir,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    sys::stat::Mode,
};

use super::{
    logs::Log,
    redact::Screen,
    server::{Server, ServerError},
};

/// How many files are taken, how deep, and how many that are not are named.
const MOST_FILES: usize = 10_000;
const DEEPEST: usize = 32;
const MOST_NAMED: usize = 50;
/// How much of a growing log is sent at once.
const PIECE: usize = 256 << 10;
/// How many log files are followed, and how much of all of them is kept.
const MOST_LOGS: usize = 500;
const MOST_LOG_BYTES: u64 = 1 << 30;
/// How many files travel at once.
const TOGETHER: usize = 4;

/// Uploads `outputs` below the working directory. `largest` bounds one file and all of them: what claims to be larger
/// than the scratch it lies on is mostly holes.
pub async fn outputs(server: &Server, log: &Log, work: &Path, largest: u64) -> Result<usize, ServerError> {
    let mut found = Found::default();
    let base = match below(work, "outputs") {
        Ok(base) => base,
        Err(nix::errno::Errno::ENOENT) => return Ok(0),
        Err(_) => {
            log.note("`outputs` is not a directory; nothing was collected").await;
            return Ok(0);
        }
    };
    found.walk(&base, &mut Vec::new(), MOST_FILES);
    let mut left = largest;
    let mut taken = Vec::new();
    for name in found.files {
        match open_file(&base, &name) {
            Ok((file, length)) if length <= left => {
                left -= length;
                drop(file);
                taken.push(name);
            }
            Ok(_) => found.skipped.push(format!("`outputs/{}`: larger than what is left of the scratch", shown(&name))),
            Err(why) => found.skipped.push(format!("`outputs/{}`: {why}", shown(&name))),
        }
    }
    let count = taken.len();
    let base = Arc::new(base);
    let mut uploads =
        stream::iter(taken.into_iter().map(|name| upload(server, Arc::clone(&base), name))).buffer_unordered(TOGETHER);
    while let Some(uploaded) = uploads.next().await {
        if let Some(skipped) = uploaded? {
            found.skipped.push(skipped);
        }
    }
    drop(uploads);
    note_skipped(log, &found.skipped).await;
    Ok(count)
}

async fn upload(server: &Server, base: Arc<File>, name: PathBuf) -> Result<Option<String>, ServerError> {
    let Ok((file, length)) = open_file(&base, &name) else {
        return Ok(Some(format!("`outputs/{}`: it changed", shown(&name))));
    };
    let file = Arc::new(file);
    let artifact = format!("outputs/{}", shown(&name));
    let sent = server.artifact(&artifact, length, || Ok(FileBody::new(Arc::clone(&file), length).boxed_unsync())).await;
    match sent {
        // One name the server does not take is not the end of the run.
        Err(ServerError::Refused(why)) => Ok(Some(format!("`{artifact}`: {why}"))),
        other => other.map(|()| None),
    }
}

async fn note_skipped(log: &Log, skipped: &[String]) {
    for line in skipped.iter().take(MOST_NAMED) {
        log.note(&format!("not collected: {line}")).await;
    }
    if skipped.len() > MOST_NAMED {
        log.note(&format!("not collected: {} more", skipped.len() - MOST_NAMED)).await;
    }
}

/// Follows the files below `logs` of the working directory.
#[derive(Debug, Default)]
pub struct Follower {
    logs: BTreeMap<PathBuf, Followed>,
    total: u64,
}

/// One of them.
#[derive(Debug)]
struct Followed {
    /// How much of the file was read.
    read: u64,
    /// How much the server has.
    sent: u64,
    screen: Screen,
    /// What the server did not take yet.
    waits: Bytes,
}

impl Followed {
    /// Sends what waits; gives how much that was.
    async fn send(&mut self, server: &Server, name: &Path) -> Result<u64, ServerError> {
        if self.waits.is_empty() {
            return Ok(0);
        }
        server.log(&format!("logs/{}", shown(name)), self.sent, self.waits.clone()).await?;
        let count = u64::try_from(self.waits.len()).unwrap_or(u64::MAX);
        self.waits = Bytes::new();
        self.sent = self.sent.saturating_add(count);
        Ok(count)
    }
}

impl Follower {
    /// Sends the last of what was held back, since it could have been the beginning of a secret.
    pub async fn end(&mut self, server: &Server) -> Result<(), ServerError> {
        for (name, log) in &mut self.logs {
            let rest = log.screen.end();
            log.waits = [log.waits.as_ref(), rest.as_ref()].concat().into();
            match log.send(server, name).await {
                Ok(_) | Err(ServerError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends what was appended since the last time.
    pub async fn look(&mut self, server: &Server, work: &Path) -> Result<(), ServerError> {
        let Ok(base) = below(work, "logs") else { return Ok(()) };
        let mut found = Found::default();
        found.walk(&base, &mut Vec::new(), MOST_LOGS);
        for name in found.files {
            let Ok((file, length)) = open_file(&base, &name) else { continue };
            let new = || Followed { read: 0, sent: 0, screen: server.redactor().screen(), waits: Bytes::new() };
            let log = self.logs.entry(name.clone()).or_insert_with(new);
            while self.total < MOST_LOG_BYTES {
                match log.send(server, &name).await {
                    Ok(count) => self.total = self.total.saturating_add(count),
                    Err(ServerError::Refused(_)) => break,
                    Err(error) => return Err(error),
                }
                let left = length.saturating_sub(log.read);
                let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                let Ok(count) = file.read_at(&mut piece, log.read) else { break };
                if count == 0 {
                    break;
                }
                piece.truncate(count);
                log.read = log.read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                log.waits = log.screen.push(Bytes::from(piece));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Found {
    files: Vec<PathBuf>,
    skipped: Vec<String>,
}

impl Found {
    fn walk(&mut self, directory: &File, path: &mut Vec<String>, most: usize) {
        let Ok(copy) = directory.try_clone() else { return };
        let Ok(mut listing) = Dir::from_fd(copy.into()) else { return };
        let mut names: Vec<Vec<u8>> = Vec::new();
        for entry in listing.iter().flatten().take(most.saturating_mul(2)) {
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort();
        for name in names {
            let shown_here =
                path.iter().map(String::as_str).chain([&*String::from_utf8_lossy(&name)]).collect::<Vec<_>>().join("/");
            let Some(name) = plain(&name) else {
                self.skipped.push(format!("`{}`: its name cannot be kept", shown_here.escape_debug()));
                continue;
            };
            if self.files.len() >= most {
                self.skipped.push(format!("`{shown_here}` and what follows: more than {most} files"));
                return;
            }
            match open_below(directory, Path::new(name)) {
                Ok(file) => match file.metadata() {
                    Ok(found) if found.is_dir() && path.len() < DEEPEST => {
                        path.push(String::from(name));
                        self.walk(&file, path, most);
                        path.pop();
                    }
                    Ok(found) if found.is_file() && found.nlink() == 1 => {
                        self.files.push(path.iter().map(String::as_str).chain([name]).collect());
                    }
                    Ok(found) if found.is_file() => self.skipped.push(format!("`{shown_here}`: it has several names")),
                    Ok(found) if found.is_dir() => self.skipped.push(format!("`{shown_here}`: too deep")),
                    Ok(_) | Err(_) => self.skipped.push(format!("`{shown_here}`: not a plain file")),
                },
                Err(_) => self.skipped.push(format!("`{shown_here}`: a link, or not a plain file")),
            }
        }
    }
}

/// A name that can be an artifact's: text without control characters and backslashes.
fn plain(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    (!name.chars().any(char::is_control) && !name.contains('\\') && name.len() <= 255).then_some(name)
}

fn shown(name: &Path) -> std::borrow::Cow<'_, str> {
    name.to_string_lossy()
}

fn below(work: &Path, name: &str) -> nix::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let work = File::from(open(work, flags, Mode::empty())?);
    let file = open_below(&work, Path::new(name))?;
    match file.metadata() {
        Ok(found) if found.is_dir() => Ok(file),
        _ => Err(nix::errno::Errno::ENOTDIR),
    }
}

/// Opens below a directory without following anything; without waiting, should it be a pipe.
fn open_below(directory: &File, name: &Path) -> nix::Result<File> {
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    openat2(directory, name, OpenHow::new().flags(flags).resolve(resolve)).map(File::from)
}

/// Opens a plain file with one name; its length at this moment.
fn open_file(base: &File, name: &Path) -> Result<(File, u64), &'static str> {
    let file = open_below(base, name).map_err(|_| "it changed, or is not a plain file")?;
    let found = file.metadata().map_err(|_| "it cannot be read")?;
    if !found.is_file() || found.nlink() != 1 {
        return Err("not a plain file of one name");
    }
    Ok((file, found.len()))
}

/// Reads exactly `length` bytes of a file. A file that shrank is filled with zeros to the length that was announced.
struct FileBody {
    file: Arc<File>,
    at: u64,
    length: u64,
}

impl FileBody {
    fn new(file: Arc<File>, length: u64) -> Self {
        Self { file, at: 0, length }
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let left = self.length.saturating_sub(self.at);
        if left == 0 {
            return Poll::Ready(None);
        }
        // The file lies in memory, so reading it does not wait.
        let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        match self.file.read_at(&mut piece, self.at) {
            Ok(0) => {}
            Ok(count) => piece.truncate(count),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        self.at = self.at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length.saturating_sub(self.at))
    }
}

/// A relative path of a snapshot or a layer: parts that are names, nothing else (I11).
pub fn relative(path: &str) -> Option<PathBuf> {
    let mut made = PathBuf::new();
    for part in path.split('/') {
        if part.is_empty() || part == "." || part == ".." || part.contains(['\0', '\\']) || part.len() > 255 {
            return None;
        }
        made.push(OsStr::from_bytes(part.as_bytes()));
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_of_a_snapshot_stay_below() {
        assert_eq!(relative("src/train.py").unwrap(), Path::new("src/train.py"));
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "a/", "a\\b", "a\0b"] {
            assert!(relative(path).is_none(), "{path:?}");
        }
    }

    #[test]
    fn links_devices_and_second_names_are_not_collected() {
        let work = tempfile::tempdir().unwrap();
        let outputs = work.path().join("outputs");
        std::fs::create_dir_all(outputs.join("deep/er")).unwrap();
        std::fs::write(work.path().join("secret"), "s").unwrap();
        std::fs::write(outputs.join("deep/er/model.bin"), "m").unwrap();
        symlink("/etc/passwd", outputs.join("link")).unwrap();
        symlink("..", outputs.join("up")).unwrap();
        symlink("/proc/self/root", outputs.join("magic")).unwrap();
        std::fs::hard_link(work.path().join("secret"), outputs.join("hard")).unwrap();
        nix::unistd::mkfifo(&outputs.join("pipe"), Mode::S_IRUSR).unwrap();
        std::fs::write(outputs.join("bad\nname"), "x").unwrap();
        let mut found = Found::default();
        found.walk(&below(work.path(), "outputs").unwrap(), &mut Vec::new(), 100);
        assert_eq!(found.files, [Path::new("deep/er/model.bin")]);
        assert_eq!(found.skipped.len(), 6, "{:?}", found.skipped);
        symlink("/etc", work.path().join("logs")).unwrap();
        assert!(below(work.path(), "logs").is_err());
    }
}
