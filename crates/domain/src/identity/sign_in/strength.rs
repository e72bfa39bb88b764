//! What a new password must be (NIST SP 800-63B §3.1.1.2): long, and not among the first that a guesser tries. No rules about
//! kinds of characters, and no change for the calendar's sake.

use kernel::{Result, Secret};
use seal::PasswordHash;
use zxcvbn::{Score, zxcvbn};

use crate::gate::House;

/// Characters.
const LEAST: usize = 12;
/// Characters.
const MOST: usize = 256;
/// Characters that are estimated at once: what it takes grows with the cube of them.
const PIECE: usize = 32;

/// What is wrong with a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordFault {
    /// Fewer characters than this.
    TooShort {
        /// How many it must have.
        least: usize,
    },
    /// More characters than this.
    TooLong {
        /// How many it may have.
        most: usize,
    },
    /// Too easily guessed: common passwords, words, names, dates, keyboard patterns, or the person's own name.
    Guessable,
    /// It is the old one.
    Unchanged,
}

/// Whether a new password may be set. `hints` are words that a guesser of this person's would try first: user name,
/// display name.
///
/// `zxcvbn` brings the lists that it is compared with: the 30,000 commonest passwords, names and words, and their
/// spellings with figures for letters. A password that one of them, a date, a sequence or a keyboard pattern nearly makes
/// up is refused (fewer than 10⁸ guesses).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_password_strength(
    password: &Secret<String>,
    hints: &[&str],
) -> std::result::Result<(), PasswordFault> {
    let length = password.expose().chars().count();
    if length < LEAST {
        return Err(PasswordFault::TooShort { least: LEAST });
    }
    if length > MOST {
        return Err(PasswordFault::TooLong { most: MOST });
    }
    // Names are tried in parts, too (the words of a display name, what is before the `@`), and written as one word; and with
    // them the house's own name.
    let parts = hints.iter().flat_map(|hint| hint.split(|c: char| !c.is_alphanumeric())).map(str::to_owned);
    let joined = hints.iter().map(|hint| hint.chars().filter(|c| c.is_alphanumeric()).collect());
    let whole = hints.iter().copied().chain(["bartizan"]).map(str::to_owned);
    let words: Vec<String> = whole.chain(parts).chain(joined).filter(|word| word.chars().count() > 2).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let is_strong = |piece: &str| matches!(zxcvbn(piece, &words).score(), Score::Three | Score::Four);
    let head: Secret<String> = Secret::new(password.expose().chars().take(PIECE).collect());
    let tail: Secret<String> = Secret::new(password.expose().chars().skip(length.saturating_sub(PIECE)).collect());
    // A password is at least as strong as any piece of it.
    match is_strong(head.expose()) || (length > PIECE && is_strong(tail.expose())) {
        true => Ok(()),
        false => Err(PasswordFault::Guessable),
    }
}

/// Hashes a new password where passwords are hashed, for the parts that set one. `Unavailable` when too many wait.
pub(crate) async fn hash_password(house: &House, password: &Secret<String>) -> Result<PasswordHash> {
    house.identity.hashing.place().await?.hash(password.clone()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> std::result::Result<(), PasswordFault> {
        check_password_strength(&Secret::new(password.to_owned()), &["ada.lovelace@example.org", "Ada Lovelace"])
    }

    #[test]
    fn length_counts_characters_and_has_both_ends() {
        assert_eq!(check("xK9#mQ2$vL7"), Err(PasswordFault::TooShort { least: 12 }));
        assert_eq!(check("xK9#mQ2$vL7w"), Ok(()));
        assert_eq!(check("あいうえおか"), Err(PasswordFault::TooShort { least: 12 }));
        let long = "plum cairn obelisk wharf ".repeat(11);
        assert_eq!(check(long.get(..256).unwrap()), Ok(()));
        assert_eq!(check(long.get(..257).unwrap()), Err(PasswordFault::TooLong { most: 256 }));
    }

    #[test]
    fn common_and_guessable_passwords_are_refused() {
        for password in [
            "password1234",
            "passwordpassword",
            "Password123!",
            "P@ssw0rd1234",
            "123456789012",
            "qwertyuiop12",
            "qwertyuiop[]",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "iloveyou1234",
            "letmeinletmein",
            "administrator",
            "Administrator1",
            "changeme1234",
            "welcome12345",
            "trustno1trustno1",
            "aaaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "abcabcabcabcabc",
            "adalovelace1815",
            "Ada.Lovelace@example.org",
            "bartizan1234",
            "bartizanbartizan",
            "zxcvbnm,./12",
            "football2024",
            "dragon123456",
            "monkeymonkey",
            "passwordpasswordpasswordpasswordpasswordpasswordpassword",
        ] {
            assert_eq!(check(password), Err(PasswordFault::Guessable), "{password}");
        }
    }

    #[test]
    fn long_phrases_and_any_characters_are_welcome() {
        for password in [
            "plum cairn obelisk",
            "       x7 grille  q",
            "смелый ёжик в тумане",
            "correct horse battery",
            "Tr0ub4dor&3 zither",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa plum cairn obelisk",
        ] {
            assert_eq!(check(password), Ok(()), "{password}");
        }
    }
}
