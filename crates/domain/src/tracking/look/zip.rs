//! What is in a zip archive, by its directory.

use std::collections::BTreeSet;

use super::{
    feed::{Feed, Window},
    pickle::Stop,
};

/// Members of an archive that are looked at.
const MOST_MEMBERS: u64 = 4096;
/// Bytes of an archive's directory.
const LARGEST_DIRECTORY: u64 = 4 << 20;

/// A member of an archive.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) method: u16,
    pub(super) is_encrypted: bool,
    pub(super) packed: u64,
    /// Where its own header is.
    at: u64,
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let part = bytes.get(at..at.saturating_add(size)).unwrap_or_default();
    part.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The members that an archive's directory names.
pub(super) fn directory(file: &mut Window) -> Result<Vec<Member>, Stop> {
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
    let mut places = BTreeSet::new();
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
        // No archiver writes two members at one place: the same bytes would be read for each. The count above is only what it says.
        if !places.insert(member.at) || u64::try_from(places.len()).unwrap_or(u64::MAX) > MOST_MEMBERS {
            return Err(Stop::TooMuch);
        }
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
pub(super) fn content_of(file: &mut Window, member: &Member) -> Result<Option<u64>, Stop> {
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
