//! What a backup's archive looks like: a tar of sealed members, lists of their digests, and a signed manifest at the end. See
//! `docs/formats/backup.md`.

use kernel::{BlobId, Error, Result};
use seal::{SignedCheckpoint, hex};
use tar::{EntryType, Header};

/// The release that writes.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// What a manifest's first line begins with, so that no checkpoint is taken for one.
pub(super) const ORIGIN: &str = "bartizan.backup/";
/// The manifest's fifth line: the format.
pub(super) const FORMAT: &str = "bartizan-backup-v1";
/// Bytes of a header, and to what members are filled up.
pub(super) const BLOCK: usize = 512;
/// Two blocks of zeros end a tar.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Members that one list names.
pub(super) const LISTED: usize = 4096;
/// The longest list and the longest manifest, bytes.
pub(super) const MOST_TEXT: u64 = 64 << 20;

/// A member of an archive. No other name is read, so none leads anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Metadata and the activity log, in the store's own form: always the first.
    Meta,
    /// The public key of the activity log.
    LogKey,
    /// A checkpoint that covers all of the log.
    Checkpoint,
    /// Signed cuts of the log, if there are any: the newest, and one that was made during the copy.
    Cut,
    /// The certificate of the installation's authority.
    Authority,
    /// A sealed blob.
    Blob(BlobId),
    /// Digests of the members since the list before.
    List(u32),
    /// What everything hangs on: always the last.
    Manifest,
}

impl Name {
    /// As it stands in the archive.
    pub fn text(&self) -> String {
        match self {
            Self::Meta => String::from("meta.sqlite"),
            Self::LogKey => String::from("activity-log.pub"),
            Self::Checkpoint => String::from("activity-log.checkpoints"),
            Self::Cut => String::from("activity-log.cuts"),
            Self::Authority => String::from("ca.pem"),
            Self::Blob(id) => format!("blobs/{id}"),
            Self::List(number) => format!("lists/{number:08}"),
            Self::Manifest => String::from("manifest"),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let fixed = [Self::Meta, Self::LogKey, Self::Checkpoint, Self::Cut, Self::Authority, Self::Manifest];
        if let Some(name) = fixed.into_iter().find(|name| name.text() == text) {
            return Some(name);
        }
        let name = match text.split_once('/')? {
            ("blobs", id) => Self::Blob(id.parse().ok()?),
            ("lists", number) => Self::List(number.parse().ok()?),
            _ => return None,
        };
        // One spelling each.
        (name.text() == text).then_some(name)
    }

    /// Whether its digest stands in a list.
    pub(super) fn is_listed(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Manifest)
    }
}

/// A member's header.
pub(super) fn header(name: &Name, size: u64) -> Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_path(name.text()).map_err(Error::internal)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    // Members have no time of their own; the manifest says when the copy was made.
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// How many zeros follow `size` bytes.
pub(super) fn filling(size: u64) -> usize {
    let block = u64::try_from(BLOCK).unwrap_or(512);
    usize::try_from(size.checked_rem(block).map_or(0, |over| if over == 0 { 0 } else { block - over })).unwrap_or(0)
}

/// A member's line in its list.
pub(super) fn line(name: &Name, size: u64, digest: &[u8; 32]) -> String {
    format!("{} {size} {}\n", hex(digest), name.text())
}

/// What the manifest says beyond the log's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// When the copy was made, RFC 3339.
    pub made_at: String,
    /// The release that made it.
    pub release: String,
    /// Records of its log.
    pub records: u64,
    /// Members that the lists name.
    pub members: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Lists, with their digests.
    pub(super) lists: Vec<(String, String)>,
}

impl Manifest {
    /// The lines that are signed beside the log's state.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            FORMAT.to_owned(),
            format!("release {}", self.release),
            format!("members {}", self.members),
            format!("bytes {}", self.bytes),
        ];
        lines.extend(self.lists.iter().map(|(name, digest)| format!("list {digest} {name}")));
        lines
    }

    /// Reads a manifest whose signature was checked.
    pub(super) fn read(signed: &SignedCheckpoint) -> Option<Self> {
        if !signed.origin.starts_with(ORIGIN) {
            return None;
        }
        let (body, _) = signed.text.split_once("\n\n")?;
        let mut lines = body.lines().skip(4);
        if lines.next()? != FORMAT {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let (release, members, bytes) = (field("release")?, field("members")?, field("bytes")?);
        let lists = lines.map(|line| {
            let (digest, name) = line.strip_prefix("list ")?.split_once(' ')?;
            Some((name.to_owned(), digest.to_owned()))
        });
        Some(Self {
            made_at: signed.time.clone(),
            release,
            records: signed.size,
            members: members.parse().ok()?,
            bytes: bytes.parse().ok()?,
            lists: lists.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling_and_leads_nowhere() {
        let blob = "blobs/0a0b0c0d-0102-0304-0506-0708090a0b0c";
        for good in ["meta.sqlite", "activity-log.pub", "ca.pem", "manifest", "lists/00000012", blob] {
            assert_eq!(Name::parse(good).unwrap().text(), good);
        }
        let upper = blob.to_uppercase();
        for bad in
            ["", "/meta.sqlite", "../ca.pem", "blobs/../x", "lists/12", "lists/+0000012", "Manifest", &upper, "blobs/x"]
        {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn members_are_filled_to_whole_blocks() {
        for (size, zeros) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511), (u64::MAX, 1)] {
            assert_eq!(filling(size), zeros, "{size}");
        }
    }
}
