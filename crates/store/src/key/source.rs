//! Where a passphrase comes from: never an argument or the environment, which other programs of this machine can see.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use kernel::{Secret, StoreError, StoreResult};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde::Deserialize;

use super::secret_file;

/// Where a passphrase is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassphraseSource {
    /// The one line of a file that only we can read.
    File(PathBuf),
    /// The one line that an inherited descriptor gives: `3` for `3< <(pass show bartizan)`.
    Descriptor(u32),
    /// The credential of this name that systemd handed to the service (`LoadCredentialEncrypted=`).
    Credential(String),
    /// Whoever sits at the terminal.
    Prompt,
}

impl PassphraseSource {
    /// Reads it. `credentials` is the directory that systemd named, if it did. Who sits at the terminal says a new one twice: it
    /// is not shown, and one slip in it would be the loss of everything.
    ///
    /// # Errors
    /// `Key` with one sentence that says what to do.
    pub fn read(&self, credentials: Option<&Path>, is_new: bool) -> StoreResult<Secret<String>> {
        let refused = |why: String| StoreError::Key(why);
        match self {
            Self::File(path) => secret_file::line(path, "passphrase file"),
            Self::Descriptor(number) => {
                let what = format!("the passphrase on descriptor {number}");
                // A descriptor is a number, and making a file of one is not safe; its name is.
                let file = File::open(format!("/proc/self/fd/{number}"));
                let file = file.map_err(|cause| refused(format!("{what} cannot be read ({cause}); hand one over")))?;
                secret_file::read_line(file, &what)
            }
            Self::Credential(name) => {
                let what = format!("the credential `{name}`");
                let is_name = !name.is_empty() && !name.contains('/') && name != ".." && name != ".";
                let dir = credentials.filter(|_| is_name).ok_or_else(|| {
                    refused(format!(
                        "{what} was not handed over; add `LoadCredential={name}:FILE` to the service's unit"
                    ))
                })?;
                let file = File::open(dir.join(name));
                let file = file.map_err(|cause| refused(format!("{what} cannot be opened ({cause})")))?;
                secret_file::read_line(file, &what)
            }
            Self::Prompt => agreed(is_new, |question| {
                ask(question).map_err(|cause| {
                    let instead = "name a file, descriptor or credential";
                    refused(format!("the passphrase cannot be asked for ({cause}); {instead}"))
                })?
            }),
        }
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("file `{}`", path.display()),
            Self::Descriptor(number) => format!("descriptor {number}"),
            Self::Credential(name) => format!("systemd credential `{name}`"),
            Self::Prompt => String::from("a prompt"),
        }
    }
}

/// The answer; of a new passphrase, when it was the same twice.
fn agreed(is_new: bool, mut ask: impl FnMut(&str) -> StoreResult<Secret<String>>) -> StoreResult<Secret<String>> {
    if !is_new {
        return ask("passphrase of the root key: ");
    }
    let words = ask("new passphrase of the root key: ")?;
    if ask("the new passphrase again: ")?.expose() == words.expose() {
        return Ok(words);
    }
    Err(StoreError::Key(String::from("the new passphrase was not the same twice; nothing was changed, begin anew")))
}

/// Asks at the terminal, which shows nothing of the answer.
fn ask(question: &str) -> std::io::Result<StoreResult<Secret<String>>> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(question.as_bytes())?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden)?;
    let line = secret_file::read_line(OneLine(&terminal), "the passphrase");
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &shown)?;
    terminal.write_all(b"\n")?;
    Ok(line)
}

/// A terminal up to its first line's end: it never ends otherwise.
struct OneLine<'a>(&'a File);

impl std::io::Read for OneLine<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let mut byte = [0];
        let count = self.0.read(&mut byte)?;
        match (count, byte, room.first_mut()) {
            (1, [b'\n'], _) | (0, ..) | (.., None) => Ok(0),
            (_, [byte], Some(first)) => {
                *first = byte;
                Ok(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_is_said_twice() {
        let said = |is_new, answers: [&str; 2]| {
            let (mut answers, mut questions) = (answers.into_iter(), Vec::new());
            let end = agreed(is_new, |question| {
                questions.push(question.to_owned());
                Ok(Secret::new(answers.next().unwrap().to_owned()))
            });
            (end.map(|words| words.expose().clone()), questions)
        };
        assert_eq!(said(false, ["correct horse", ""]).0.unwrap(), "correct horse");
        let (same, questions) = said(true, ["correct horse", "correct horse"]);
        assert_eq!(same.unwrap(), "correct horse");
        assert!(questions.len() == 2 && questions.iter().all(|text| text.contains("new passphrase")), "{questions:?}");
        assert!(matches!(said(true, ["correct horse", "correct house"]).0, Err(StoreError::Key(_))));
    }
}
