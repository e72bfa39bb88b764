//! Secrets in files of the operator's: read whole, bounded, and refused when others could have read or put them there.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use kernel::{Secret, StoreError, StoreResult};
use nix::{fcntl::OFlag, unistd::geteuid};

use crate::fault;

/// What a secret of one line may have: a passphrase, a token, a PIN.
const MOST_LINE: usize = 4096;

/// Opens a file that only we can read. `what` is how people know it: `key file`.
///
/// # Errors
/// `Key`, with one sentence that says what to do: it is missing, no file, open to others, or someone else's.
pub(super) fn open(path: &Path, what: &str, missing: &str) -> StoreResult<File> {
    let place = path.display();
    let refuse = |why: String| Err(StoreError::Key(why));
    // Not blocking: opening a pipe would wait for ever.
    let file = match fs::OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return refuse(format!("the {what} `{place}` is missing; {missing}"));
        }
        Err(cause) => return refuse(format!("the {what} `{place}` cannot be opened ({cause})")),
    };
    let about = file.metadata().map_err(|cause| fault::io(format!("cannot read the {what} `{place}`"), cause))?;
    if !about.is_file() {
        return refuse(format!("the {what} `{place}` is not a regular file; name one that is"));
    }
    let me = geteuid().as_raw();
    if about.uid() != me {
        return refuse(format!("the {what} `{place}` belongs to another user; run `chown {me} {place}`"));
    }
    if about.permissions().mode() & 0o077 != 0 {
        return refuse(format!("the {what} `{place}` is open to other users; run `chmod 600 {place}`"));
    }
    Ok(file)
}

/// The one line of such a file, without its end.
pub(super) fn line(path: &Path, what: &str) -> StoreResult<Secret<String>> {
    let file = open(path, what, "put it there, with mode 600")?;
    read_line(file, &format!("the {what} `{}`", path.display()))
}

/// One line from anywhere. Empty, longer than it may be, of several lines or no text: refused.
pub(super) fn read_line(source: impl Read, what: &str) -> StoreResult<Secret<String>> {
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(MOST_LINE + 2);
    let most = u64::try_from(MOST_LINE + 2).unwrap_or(u64::MAX);
    let done = source.take(most).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    done.map_err(|cause| StoreError::Key(format!("{what} cannot be read ({cause})")))?;
    let text = std::str::from_utf8(bytes.expose()).ok().map(|text| text.strip_suffix('\n').unwrap_or(text));
    match text.map(|text| text.strip_suffix('\r').unwrap_or(text)) {
        Some(text) if !text.is_empty() && text.len() <= MOST_LINE && !text.contains(['\n', '\r', '\0']) => {
            Ok(Secret::new(text.to_owned()))
        }
        _ => Err(StoreError::Key(format!("{what} is not one line of text, of at most {MOST_LINE} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_and_nothing_else() {
        for (text, line) in [("a b\n", "a b"), ("a b", "a b"), ("a\r\n", "a"), (" a \n", " a ")] {
            assert_eq!(read_line(text.as_bytes(), "it").unwrap().expose(), line);
        }
        for bad in ["", "\n", "a\nb\n", "a\n\n", "a\0b", &"x".repeat(5000)] {
            assert!(read_line(bad.as_bytes(), "it").is_err(), "{bad:?}");
        }
        assert!(read_line([0xff, 0xfe].as_slice(), "it").is_err());
    }
}
