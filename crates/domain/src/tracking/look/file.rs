//! What of a file a loader would unpickle: known by its first bytes, and where those say nothing by its name.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{
    feed::{Cut, Feed, Inflated, Led, Window},
    names::Danger,
    pickle::{self, Found, Stop},
};

/// Bytes that say what a file is.
const HEAD: usize = 128;
/// What comes out of one compressed file or member, at most.
const INFLATED: u64 = 256 << 20;
/// Members of an archive that are looked at.
const MOST_MEMBERS: u64 = 4096;
/// Bytes of an archive's directory.
const LARGEST_DIRECTORY: u64 = 4 << 20;
/// Bytes of a network's description that are looked at.
const DESCRIPTION: usize = 4 << 20;
/// Bytes of what is probably no pickle that are read all the same.
const PERHAPS_BYTES: u64 = 8 << 20;
/// Archives within compressed files, and the reverse.
const DEEPEST: usize = 3;

/// Names of files that are pickles, and nothing else.
const PICKLES: &[&str] = &["pkl", "pickle", "pck", "pcl", "joblib", "jbl", "dill", "cloudpickle", "p", "sav"];
/// Names of files that may be.
const PERHAPS: &[&str] =
    &["pt", "pth", "bin", "ckpt", "dat", "data", "model", "mdl", "npy", "npz", "db", "cache", "obj"];

/// How sure a name makes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Pickle,
    Perhaps,
    Other,
}

fn guess(name: &str) -> Guess {
    let last = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    // `model.pkl.gz` is a pickle still.
    let bare = ["gz", "z", "bz2", "xz", "lzma", "lz4", "zst"]
        .iter()
        .find_map(|packed| last.strip_suffix(packed)?.strip_suffix('.'));
    match bare.unwrap_or(&last).rsplit_once('.') {
        Some((_, ending)) if PICKLES.contains(&ending) => Guess::Pickle,
        Some((_, ending)) if PERHAPS.contains(&ending) => Guess::Perhaps,
        Some(_) => Guess::Other,
        None => Guess::Perhaps,
    }
}

/// What was found in a file.
///
/// # Errors
/// When the file cannot be read, or no more of it may be.
pub(super) fn look(name: &str, file: &mut Window) -> io::Result<Found> {
    let mut found = Found::new();
    let head = file.take(HEAD)?;
    file.go(0);
    let done = match head.as_slice() {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => archive(name, file, &mut found),
        _ => stream(name, file, 0, &mut found),
    };
    match done {
        Ok(()) => Ok(found),
        Err(Stop::Failed(fault)) => Err(fault),
        Err(Stop::Broken | Stop::TooMuch) => {
            unread(&mut found, "it is larger, or nested deeper, than what is looked at");
            Ok(found)
        }
    }
}

fn unread(found: &mut Found, why: &str) {
    found.insert(format!("something that could not be read to its end: {why}"), Danger::Unread);
}

/// Something that is read from its beginning: a pickle, an array, or either compressed.
fn stream(name: &str, feed: &mut dyn Feed, depth: usize, found: &mut Found) -> Result<(), Stop> {
    let head = feed.take(HEAD)?;
    let guess = guess(name);
    let mut feed = Led::new(&head, feed);
    if depth >= DEEPEST {
        return Err(Stop::TooMuch);
    }
    let inner = depth.saturating_add(1);
    match head.as_slice() {
        [0x1f, 0x8b, ..] => packed(name, MultiGzDecoder::new(&mut feed), inner, found),
        // RFC 1950: the method in the first byte, and a check over both.
        [first @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78), second, ..]
            if u16::from_be_bytes([*first, *second]) % 31 == 0 && *second & 0x20 == 0 =>
        {
            packed(name, ZlibDecoder::new(&mut feed), inner, found)
        }
        [b'B', b'Z', b'h', ..]
        | [0xfd, b'7', b'z', b'X', b'Z', ..]
        | [0x04, 0x22, 0x4d, 0x18, ..]
        | [0x28, 0xb5, 0x2f, 0xfd, ..]
        | [0x5d, 0, 0, ..]
        | [b'Z', b'F', ..]
            if guess != Guess::Other =>
        {
            unread(found, "it is compressed in a way that is not opened here; `zlib` and `gzip` are");
            Ok(())
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => array(&mut feed, found),
        [0x80, 2..=5, ..] => certain(guess, &mut feed, found),
        [] => Ok(()),
        _ if guess == Guess::Pickle => certain(guess, &mut feed, found),
        _ => perhaps(&mut feed, found),
    }
}

fn packed(name: &str, reader: impl Read, depth: usize, found: &mut Found) -> Result<(), Stop> {
    let mut feed = Inflated::new(reader, INFLATED);
    match stream(name, &mut feed, depth, found) {
        // Large data sets are compressed too; only what is a pickle by its name must be read to its end.
        Err(Stop::TooMuch) if guess(name) == Guess::Other => Ok(()),
        done => done,
    }
}

/// A pickle by its first bytes or by its name.
fn certain(guess: Guess, feed: &mut dyn Feed, found: &mut Found) -> Result<(), Stop> {
    match pickle::read(feed, found) {
        Err(Stop::Broken) => {
            // Data that happens to begin like one is none.
            if guess == Guess::Pickle {
                unread(found, "it is no pickle, or a broken one");
            }
            Ok(())
        }
        done => done,
    }
}

/// Anything else might be one of the old protocols, which have no mark: what names something dangerous is told, and nothing else.
fn perhaps(feed: &mut dyn Feed, found: &mut Found) -> Result<(), Stop> {
    let mut names = Found::new();
    let done = pickle::read(&mut Cut::new(feed, PERHAPS_BYTES), &mut names);
    let is_pickle = done.is_ok();
    found.extend(names.into_iter().filter(|(_, danger)| is_pickle || *danger > Danger::Suspicious));
    match done {
        Err(Stop::Broken | Stop::TooMuch) => Ok(()),
        done => done,
    }
}

/// numpy's own form (NEP 1): an array of objects is a pickle behind its header.
fn array(feed: &mut dyn Feed, found: &mut Found) -> Result<(), Stop> {
    let mut start = [0; 8];
    feed.fill(&mut start)?;
    let length = match start {
        [.., 1, _] => {
            let mut length = [0; 2];
            feed.fill(&mut length)?;
            u64::from(u16::from_le_bytes(length))
        }
        _ => {
            let mut length = [0; 4];
            feed.fill(&mut length)?;
            u64::from(u32::from_le_bytes(length))
        }
    };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= 1 << 20) else {
        return Err(Stop::TooMuch);
    };
    let header = feed.take(length)?;
    let says = |what: &[u8]| header.windows(what.len()).any(|part| part == what);
    if says(b"|O") || says(b"'O'") || says(b"\"O\"") || says(b"O8") {
        found.insert(String::from("an array of objects, which is a pickle"), Danger::Suspicious);
        return certain(Guess::Pickle, feed, found);
    }
    Ok(())
}

/// A member of an archive.
struct Member {
    name: String,
    method: u16,
    is_encrypted: bool,
    packed: u64,
    /// Where its own header is.
    at: u64,
}

/// A zip archive (PKWARE's APPNOTE 6.3): torch's, numpy's and keras's files are such.
fn archive(name: &str, file: &mut Window, found: &mut Found) -> Result<(), Stop> {
    let members = match directory(file) {
        Ok(members) => members,
        Err(Stop::Broken) => {
            // What begins like an archive and is none may be read as something else.
            file.go(0);
            return stream(name, file, 0, found);
        }
        Err(other) => return Err(other),
    };
    for member in members {
        let guess = guess(&member.name);
        if member.is_encrypted || !matches!(member.method, 0 | 8) {
            if guess != Guess::Other {
                unread(found, "a part of it is encrypted, or compressed in a way that is not opened here");
            }
            continue;
        }
        let Some(content) = content_of(file, &member)? else { continue };
        file.go(content);
        let mut raw = Cut::new(file, member.packed);
        let mut within = Found::new();
        let is_description = member.name.rsplit('/').next() == Some("config.json");
        let done = match (member.method, is_description) {
            (0, true) => description(&mut raw, &mut within),
            (0, false) => stream(&member.name, &mut raw, 1, &mut within),
            (_, true) => description(&mut Inflated::new(DeflateDecoder::new(raw), INFLATED), &mut within),
            (_, false) => packed(&member.name, DeflateDecoder::new(raw), 1, &mut within),
        };
        found.extend(within);
        match done {
            Ok(()) => {}
            // A broken part is the end of that part alone.
            Err(Stop::Broken) if guess == Guess::Other => {}
            Err(Stop::Broken) => unread(found, "a part of it is broken"),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

/// A network of keras may hold a function of its own.
fn description(feed: &mut dyn Feed, found: &mut Found) -> Result<(), Stop> {
    let text = feed.take(DESCRIPTION)?;
    if text.windows(10).any(|part| part == b"__lambda__") {
        found.insert(String::from("a `Lambda` layer, which is code"), Danger::Suspicious);
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let part = bytes.get(at..at.saturating_add(size)).unwrap_or_default();
    part.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The members that an archive's directory names.
fn directory(file: &mut Window) -> Result<Vec<Member>, Stop> {
    let length = file.length;
    let from = length.saturating_sub((1 << 16) + 22);
    file.go(from);
    let tail = file.take((1 << 16) + 22)?;
    let end = tail.windows(4).rposition(|mark| mark == b"PK\x05\x06").ok_or(Stop::Broken)?;
    let record = tail.get(end..).unwrap_or_default();
    let (mut size, mut at) = (number(record, 12, 4), number(record, 16, 4));
    let mut count = number(record, 10, 2);
    if at == u64::from(u32::MAX) || count == u64::from(u16::MAX) || size == u64::from(u32::MAX) {
        let locator = end.checked_sub(20).and_then(|place| tail.get(place..end)).ok_or(Stop::Broken)?;
        if locator.get(..4) != Some(b"PK\x06\x07") {
            return Err(Stop::Broken);
        }
        file.go(number(locator, 8, 8));
        let record = file.take(56)?;
        if record.get(..4) != Some(b"PK\x06\x06") {
            return Err(Stop::Broken);
        }
        (count, size, at) = (number(&record, 32, 8), number(&record, 40, 8), number(&record, 48, 8));
    }
    if size > LARGEST_DIRECTORY || count > MOST_MEMBERS {
        return Err(Stop::TooMuch);
    }
    if at.saturating_add(size) > length {
        return Err(Stop::Broken);
    }
    file.go(at);
    let entries = file.take(usize::try_from(size).map_err(|_| Stop::TooMuch)?)?;
    let (mut members, mut rest) = (Vec::new(), entries.as_slice());
    while rest.get(..4) == Some(b"PK\x01\x02") {
        let lengths = [28, 30, 32].map(|at| usize::try_from(number(rest, at, 2)).unwrap_or(0));
        let [name, extra, comment] = lengths;
        let (fixed, after) = rest.split_at_checked(46).ok_or(Stop::Broken)?;
        let text = after.get(..name).ok_or(Stop::Broken)?;
        let mut member = Member {
            name: String::from_utf8_lossy(text).into_owned(),
            method: u16::try_from(number(fixed, 10, 2)).unwrap_or(u16::MAX),
            is_encrypted: number(fixed, 8, 2) & 1 == 1,
            packed: number(fixed, 20, 4),
            at: number(fixed, 42, 4),
        };
        let extras = after.get(name..name.saturating_add(extra)).ok_or(Stop::Broken)?;
        widen(&mut member, number(fixed, 24, 4), extras);
        members.push(member);
        rest = after.get(name.saturating_add(extra).saturating_add(comment)..).ok_or(Stop::Broken)?;
    }
    Ok(members)
}

/// Sizes and places of large archives stand in a field of their own (APPNOTE 4.5.3).
fn widen(member: &mut Member, plain: u64, extras: &[u8]) {
    let mut rest = extras;
    while rest.len() >= 4 {
        let size = usize::try_from(number(rest, 2, 2)).unwrap_or(0);
        let field = rest.get(4..size.saturating_add(4)).unwrap_or_default();
        if number(rest, 0, 2) == 1 {
            let wide = u64::from(u32::MAX);
            let mut at = if plain == wide { 8 } else { 0 };
            if member.packed == wide {
                member.packed = number(field, at, 8);
                at += 8;
            }
            if member.at == wide {
                member.at = number(field, at, 8);
            }
            return;
        }
        rest = rest.get(size.saturating_add(4)..).unwrap_or_default();
    }
}

/// Where a member's bytes begin; none when there is no such member where the directory says.
fn content_of(file: &mut Window, member: &Member) -> Result<Option<u64>, Stop> {
    if member.at.saturating_add(30) > file.length {
        return Ok(None);
    }
    file.go(member.at);
    let header = file.take(30)?;
    if header.get(..4) != Some(b"PK\x03\x04") {
        return Ok(None);
    }
    let before = number(&header, 26, 2).saturating_add(number(&header, 28, 2)).saturating_add(30);
    Ok(Some(member.at.saturating_add(before)))
}
