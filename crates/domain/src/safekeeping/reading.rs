//! Reading a backup's archive from its beginning to its end, once, without trusting a byte of it.

use std::io::{self, Read};

use seal::{CheckpointVerifier, Sha256, sha256_hex};
use tar::{EntryType, Header};

use super::archive::{self, BLOCK, MOST_TEXT, Manifest, Name};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// The longest line of a public key, bytes.
const MOST_KEY: u64 = 1024;

/// A member as its header says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub name: Name,
    /// Its bytes.
    pub size: u64,
}

/// What becomes of the members. Their content is not known to be right before the end: until then, whatever is made of it is
/// not complete.
pub trait Unpack {
    /// A member begins.
    fn begin(&mut self, member: &Member) -> io::Result<()>;
    /// A piece of it.
    fn piece(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// It ended.
    fn end(&mut self) -> io::Result<()>;
}

/// Looks at everything and keeps nothing.
impl Unpack for () {
    fn begin(&mut self, _: &Member) -> io::Result<()> {
        Ok(())
    }
    fn piece(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why an archive is no backup, or could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackFault {
    /// It ends before its manifest.
    #[error("the backup is not whole: it ends before its manifest")]
    Truncated,
    /// Not an archive of ours, or bytes of it were changed.
    #[error("the backup is damaged or was altered: {0}")]
    Damaged(String),
    /// Signed by somebody else.
    #[error("the backup's manifest was not signed by that server, or was altered")]
    Unsigned,
    /// A backup of a newer release.
    #[error("the backup was made by a newer release, which this one does not read")]
    Newer,
    /// Reading or writing failed.
    #[error("the backup cannot be unpacked: {0}")]
    Io(#[from] io::Error),
}

fn damaged(why: impl Into<String>) -> UnpackFault {
    UnpackFault::Damaged(why.into())
}

/// Reads an archive.
pub struct ReadBackup<R> {
    source: R,
    /// The public key to trust; the archive's own when none is given, which shows damage, and not who made it.
    pinned: Option<CheckpointVerifier>,
    /// The public key's line in the archive.
    log_key: String,
    lines: String,
    found: Manifest,
}

impl<R: Read> ReadBackup<R> {
    /// From its first byte on.
    pub fn new(source: R, pinned: Option<CheckpointVerifier>) -> Self {
        Self { source, pinned, log_key: String::new(), lines: String::new(), found: Manifest::default() }
    }

    /// Reads all of it. Gives the manifest and the line of the public key that it was checked against.
    ///
    /// # Errors
    /// Whatever is wrong first; what was unpacked up to there is worth nothing.
    pub fn read(mut self, into: &mut dyn Unpack) -> Result<(Manifest, String), UnpackFault> {
        let mut is_first = true;
        loop {
            let member = self.header()?;
            if is_first && member.name != Name::Meta {
                return Err(damaged("it does not begin with the metadata"));
            }
            is_first = false;
            match member.name {
                Name::Manifest => return self.manifest(member.size),
                Name::List(number) => self.list(number, member.size)?,
                _ => self.member(&member, into)?,
            }
        }
    }

    fn exactly(&mut self, room: &mut [u8]) -> Result<(), UnpackFault> {
        self.source.read_exact(room).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => UnpackFault::Truncated,
            _ => UnpackFault::Io(cause),
        })
    }

    fn header(&mut self) -> Result<Member, UnpackFault> {
        let mut block = Header::new_ustar();
        self.exactly(block.as_mut_bytes())?;
        let text = block.path().ok().and_then(|path| path.to_str().map(str::to_owned));
        let (text, size) = text.zip(block.size().ok()).ok_or_else(|| damaged("it is no archive of a backup"))?;
        let name = Name::parse(&text).ok_or_else(|| damaged("it holds a member that no backup has"))?;
        let due = archive::header(&name, size).map_err(|_| damaged("a header cannot be"))?;
        // One form for each header: what is not covered by a digest can only be what it has to be.
        if block.entry_type() != EntryType::Regular || due.as_slice() != block.as_bytes().as_slice() {
            return Err(damaged(format!("the header of `{text}` is not as it is written")));
        }
        Ok(Member { name, size })
    }

    fn member(&mut self, member: &Member, into: &mut dyn Unpack) -> Result<(), UnpackFault> {
        if member.name == Name::LogKey && member.size > MOST_KEY {
            return Err(damaged("its public key is longer than any"));
        }
        into.begin(member)?;
        let (mut hash, mut left) = (Sha256::default(), member.size);
        let mut room = vec![0; PIECE];
        while left > 0 {
            let due = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let Some(piece) = room.get_mut(..due) else { return Err(UnpackFault::Truncated) };
            self.exactly(piece)?;
            hash.update(piece);
            if member.name == Name::LogKey {
                self.log_key.push_str(&String::from_utf8_lossy(piece));
            }
            into.piece(piece)?;
            left = left.saturating_sub(u64::try_from(due).unwrap_or(u64::MAX));
        }
        into.end()?;
        self.filling(member.size)?;
        self.lines.push_str(&archive::line(&member.name, member.size, &hash.finish()));
        self.found.members = self.found.members.saturating_add(1);
        self.found.bytes = self.found.bytes.saturating_add(member.size);
        if self.lines.len() > usize::try_from(MOST_TEXT).unwrap_or(usize::MAX) {
            return Err(damaged("its members are named by no list"));
        }
        Ok(())
    }

    fn filling(&mut self, size: u64) -> Result<(), UnpackFault> {
        let mut zeros = [0; BLOCK];
        let Some(room) = zeros.get_mut(..archive::filling(size)) else { return Ok(()) };
        self.exactly(room)?;
        if room.iter().any(|byte| *byte != 0) {
            return Err(damaged("what fills a block is not zero"));
        }
        Ok(())
    }

    fn text(&mut self, size: u64) -> Result<String, UnpackFault> {
        if size > MOST_TEXT {
            return Err(damaged("a list or the manifest is longer than any that is written"));
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
        self.exactly(&mut text)?;
        self.filling(size)?;
        String::from_utf8(text).map_err(|_| damaged("a list or the manifest is no text"))
    }

    fn list(&mut self, number: u32, size: u64) -> Result<(), UnpackFault> {
        let text = self.text(size)?;
        if text != self.lines {
            return Err(damaged(format!("members are not what list {number} says")));
        }
        let name = Name::List(number).text();
        self.found.lists.push((name, sha256_hex(text.as_bytes())));
        self.lines.clear();
        Ok(())
    }

    fn manifest(mut self, size: u64) -> Result<(Manifest, String), UnpackFault> {
        let text = self.text(size)?;
        let own = CheckpointVerifier::from_line(&self.log_key).ok_or_else(|| damaged("it has no public key"))?;
        let signed = self.pinned.as_ref().unwrap_or(&own).verify(&text).map_err(|_| UnpackFault::Unsigned)?;
        let manifest = Manifest::read(&signed);
        let is_other = |text: &str| {
            signed.origin.starts_with(archive::ORIGIN)
                && text.lines().nth(4).is_some_and(|line| line.starts_with("bartizan-backup-v"))
        };
        let manifest = match manifest {
            Some(manifest) => manifest,
            None if is_other(&text) => return Err(UnpackFault::Newer),
            None => return Err(damaged("what is signed is no manifest")),
        };
        let Manifest { members, bytes, lists, .. } = &self.found;
        if !self.lines.is_empty() || (members, bytes, lists) != (&manifest.members, &manifest.bytes, &manifest.lists) {
            return Err(damaged("members are not what the manifest says"));
        }
        let mut end = [1; archive::END.len()];
        self.exactly(&mut end)?;
        if end != archive::END || self.source.read(&mut [0])? != 0 {
            return Err(damaged("something follows its end"));
        }
        Ok((manifest, self.log_key.trim().to_owned()))
    }
}
