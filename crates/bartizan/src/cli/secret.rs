//! Secrets that commands are given: in a file or on standard input, so that no list of processes shows them.

use std::{
    io::{self, Read},
    path::Path,
};

use kernel::Secret;

use crate::failure::Failure;

/// The longest secret, in bytes.
const LONGEST: usize = 4096;

/// A secret from a file, or from standard input for `-`. One line end behind it is the editor's, not the secret's.
pub(super) fn read(path: &Path) -> Result<Secret<String>, Failure> {
    read_up_to(path, LONGEST)
}

/// The same for one that may have so many bytes.
pub(super) fn read_up_to(path: &Path, longest: usize) -> Result<Secret<String>, Failure> {
    if path == Path::new("-") {
        return take(io::stdin().lock(), "standard input", longest);
    }
    let named = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|fault| unreadable(&named, &fault))?;
    take(file, &named, longest)
}

fn take(source: impl Read, named: &str, longest: usize) -> Result<Secret<String>, Failure> {
    // Room for all that is read: growing would leave copies behind. Two bytes more are a line end, a third is too many.
    let room = longest.saturating_add(3);
    let mut text = String::with_capacity(room);
    let most = u64::try_from(room).unwrap_or(u64::MAX);
    source.take(most).read_to_string(&mut text).map_err(|fault| unreadable(named, &fault))?;
    let kept = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).len();
    text.truncate(kept);
    if text.len() > longest {
        return Err(Failure::usage(format!("{named} holds more than a secret: it may have {longest} bytes")));
    }
    Ok(Secret::new(text))
}

fn unreadable(named: &str, fault: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {named}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_taken_whole_or_not_at_all() {
        let longest = "x".repeat(LONGEST);
        let cases = [
            ("s", "s"),
            ("s\n", "s"),
            ("s\r\n", "s"),
            ("s\n\n", "s\n"),
            (" s \r", " s \r"),
            ("", ""),
            (longest.as_str(), &longest),
            (&format!("{longest}\r\n"), &longest),
        ];
        for (written, meant) in cases {
            assert_eq!(take(written.as_bytes(), "a file", LONGEST).unwrap().expose(), meant, "{written:?}");
        }
        for written in [format!("{longest}y"), format!("{longest}\n\n\n"), longest.repeat(2)] {
            assert!(take(written.as_bytes(), "a file", LONGEST).is_err());
        }
        assert!(take(&b"\xff"[..], "a file", LONGEST).is_err());
    }
}
