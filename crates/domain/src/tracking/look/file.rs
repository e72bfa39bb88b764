//! What of a file a loader would unpickle: known by its first bytes, and where those say nothing by its name.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::{
    feed::{Bound, Cost, Cut, Feed, Inflated, Led, Window},
    names::Danger,
    pickle::{self, Found, MOST_NAMES, Stop},
    zip::{content_of, directory},
};

/// Bytes that say what a file is.
const HEAD: usize = 128;
/// What comes out of one compressed file or member, at most.
const INFLATED: u64 = 256 << 20;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guess {
    Pickle,
    Perhaps,
    Other,
}

pub(super) fn guess(name: &str) -> Guess {
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

/// What was found in a file. Of its name nothing counts but what it is guessed from it to be.
///
/// # Errors
/// When the file cannot be read, no more of it may be, or nobody waits.
pub(super) fn look(guess: Guess, file: &mut Window, cost: &Cost) -> io::Result<Found> {
    let mut found = Found::new();
    let head = file.take(HEAD)?;
    file.go(0);
    let done = match head.as_slice() {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => archive(guess, file, cost, &mut found),
        _ => stream(guess, file, 0, cost, &mut found),
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

/// Adds what was found in a part: never without end, and what is worse than suspicious before anything else.
fn join(found: &mut Found, within: Found) {
    for (what, danger) in within {
        let most = if danger > Danger::Suspicious { MOST_NAMES.saturating_mul(2) } else { MOST_NAMES };
        if found.len() < most {
            found.insert(what, danger);
        }
    }
}

/// Something that is read from its beginning: a pickle, an array, or either compressed.
fn stream(guess: Guess, feed: &mut dyn Feed, depth: usize, cost: &Cost, found: &mut Found) -> Result<(), Stop> {
    let head = feed.take(HEAD)?;
    let mut feed = Led::new(&head, feed);
    if depth >= DEEPEST {
        return Err(Stop::TooMuch);
    }
    let inner = depth.saturating_add(1);
    match head.as_slice() {
        [0x1f, 0x8b, ..] => packed(guess, MultiGzDecoder::new(&mut feed), inner, cost, found),
        // RFC 1950: the method in the first byte, and a check over both.
        [first @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78), second, ..]
            if u16::from_be_bytes([*first, *second]) % 31 == 0 && *second & 0x20 == 0 =>
        {
            packed(guess, ZlibDecoder::new(&mut feed), inner, cost, found)
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
        [0x80, 0..=5, ..] => certain(guess, &mut feed, found),
        [] => Ok(()),
        _ if guess == Guess::Pickle => certain(guess, &mut feed, found),
        _ => perhaps(&mut feed, found),
    }
}

fn packed(guess: Guess, reader: impl Read, depth: usize, cost: &Cost, found: &mut Found) -> Result<(), Stop> {
    let mut feed = Inflated::new(reader, INFLATED, cost);
    match stream(guess, &mut feed, depth, cost, found) {
        // Large data sets are compressed too; only what is a pickle by its name must be read to its end. What spends all that the version
        // has is no data set.
        Err(Stop::TooMuch) if guess == Guess::Other && !cost.is_spent() => Ok(()),
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
    let mut bound = Bound::new(feed, PERHAPS_BYTES);
    let done = pickle::read(&mut bound, &mut names);
    let (is_spent, is_too_large) = (bound.is_spent, bound.is_too_large);
    let is_pickle = done.is_ok();
    found.extend(names.into_iter().filter(|(_, danger)| is_pickle || *danger > Danger::Suspicious));
    match done {
        Err(Stop::TooMuch) if is_too_large => Err(Stop::TooMuch),
        // What is no pickle breaks sooner.
        Err(Stop::TooMuch) => {
            unread(found, "it reads like a pickle, and is larger than what is looked at");
            Ok(())
        }
        Ok(()) | Err(Stop::Broken) => {
            if is_spent {
                unread(found, "it reads like a pickle, and is larger than what is looked at");
            }
            Ok(())
        }
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

/// A zip archive (PKWARE's APPNOTE 6.3): torch's, numpy's and keras's files are such.
fn archive(guess: Guess, file: &mut Window, cost: &Cost, found: &mut Found) -> Result<(), Stop> {
    let members = match directory(file) {
        Ok(members) => members,
        Err(Stop::Broken) => {
            // What begins like an archive and is none may be read as something else.
            file.go(0);
            return stream(guess, file, 0, cost, found);
        }
        Err(other) => return Err(other),
    };
    for member in members {
        let guess = self::guess(&member.name);
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
            (0, false) => stream(guess, &mut raw, 1, cost, &mut within),
            (_, true) => description(&mut Inflated::new(DeflateDecoder::new(raw), INFLATED, cost), &mut within),
            (_, false) => packed(guess, DeflateDecoder::new(raw), 1, cost, &mut within),
        };
        join(found, within);
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

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, atomic::AtomicU64},
    };

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn seen(guess: Guess, bytes: &[u8], inflated: u64) -> (Option<Danger>, Result<(), Stop>) {
        let cost = Cost::new(Arc::new(AtomicU64::new(inflated)));
        let mut found = Found::new();
        let done = stream(guess, &mut &*bytes, 0, &cost, &mut found);
        (found.into_values().max(), done)
    }

    /// A text of so many bytes that is dropped, and what comes behind it.
    fn behind(length: u32, rest: &[u8]) -> Vec<u8> {
        let text = vec![b'a'; usize::try_from(length).unwrap()];
        [b"X".as_slice(), &length.to_le_bytes(), &text, b"0", rest].concat()
    }

    #[test]
    fn what_stands_far_behind_the_beginning_is_found_or_said_to_be_unread() {
        let skipped = behind(9 << 20, b"cos\nsystem\n.");
        assert!(matches!(seen(Guess::Other, &skipped, 1), (Some(Danger::Dangerous), Ok(()))));
        let line = [b"V".as_slice(), &vec![b'a'; 9 << 20], b"\n0cos\nsystem\n."].concat();
        assert!(matches!(seen(Guess::Other, &line, 1), (Some(Danger::Unread), Ok(()))));
        let prose = b"prose\n".repeat(2 << 20);
        assert!(matches!(seen(Guess::Other, &prose, 1), (None, Ok(()))));
        let many = vec![b'('; 2 << 20];
        assert!(matches!(seen(Guess::Other, &many, 1), (Some(Danger::Unread), Ok(()))));
    }

    #[test]
    fn what_a_version_may_inflate_is_counted_together() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&behind(2 << 20, b".")).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(matches!(seen(Guess::Other, &packed, 4 << 20), (None, Ok(()))));
        assert!(matches!(seen(Guess::Other, &packed, 1 << 20), (None, Err(Stop::TooMuch))));
    }

    #[test]
    fn who_looks_stops_when_nobody_waits() {
        let cost = Cost::new(Arc::new(AtomicU64::new(1 << 20)));
        let mut feed = Inflated::new(b"abc".as_slice(), 100, &cost);
        let waiting = cost.waiting();
        assert_eq!(feed.take(1).unwrap(), b"a");
        drop(waiting);
        assert!(feed.take(1).is_err());
    }
}
