//! Finding secrets that are written out in variables, inputs and command lines.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use regex::bytes::{Regex, RegexBuilder};

use super::{reference::FIELD, shapes::shape_of};

/// Shortest value that a telling name makes a secret, in bytes.
const SHORTEST: usize = 8;
/// Shortest value that is taken for a key by its letters, and the longest: what is longer is no key.
const KEY_LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;
/// Bits of information of a letter, above which text is no word of people's.
const RANDOM: f64 = 3.3;
/// What a name of that kind says by itself.
const NAMED: &str = "a secret, by its name";

/// A place that looks as if it held a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    place: Place,
    /// What it looks like.
    shape: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Variable(String),
    Input(String),
    Command,
}

impl Finding {
    /// The field of the request that it is in.
    pub(super) fn field(&self) -> &'static str {
        match self.place {
            Place::Variable(_) => FIELD,
            Place::Input(_) => "properties.inputs",
            Place::Command => "properties.command",
        }
    }

    /// For the record.
    pub(super) fn in_short(&self) -> String {
        match &self.place {
            Place::Variable(name) => format!("variable {name}: {}", self.shape),
            Place::Input(name) => format!("input {name}: {}", self.shape),
            Place::Command => format!("command: {}", self.shape),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Variable(name) => write!(out, "the environment variable `{name}` looks like {}", self.shape),
            Place::Input(name) => write!(out, "the input `{name}` looks like {}", self.shape),
            Place::Command => write!(out, "the command line looks as if it held {}", self.shape),
        }
    }
}

/// All places that look as if they held a secret. `secret://…` is none, and neither is what the shell puts in later.
pub(super) fn found_in(
    variables: &BTreeMap<String, String>,
    command: Option<(&str, &BTreeMap<String, String>)>,
) -> Vec<Finding> {
    let of = |place: Place, name: &str, value: &str| {
        let shape = shape_of(value).or_else(|| is_secret_by_name(name, value).then_some(NAMED))?;
        Some(Finding { place, shape })
    };
    let mut found: Vec<Finding> = variables
        .iter()
        .filter(|(_, value)| !value.starts_with("secret://"))
        .filter_map(|(name, value)| of(Place::Variable(name.clone()), name, value))
        .collect();
    if let Some((command, inputs)) = command {
        found.extend(inputs.iter().filter_map(|(name, value)| of(Place::Input(name.clone()), name, value)));
        let shape = shape_of(command).or_else(|| is_said(command).then_some("a secret"));
        found.extend(shape.map(|shape| Finding { place: Place::Command, shape }));
    }
    found
}

/// Whether a command says a secret by name: `--password x`, `API_KEY=x`.
fn is_said(command: &str) -> bool {
    static SAID: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let (name, value) = (r"([A-Za-z][A-Za-z0-9_-]{2,60})", r"[\x22']?([^\s\x22';&|)]{8,512})");
        let pattern = format!(r"(?:^|[\s;&|\x22'(])(?:-{{1,2}}{name}(?:=|\s+)|{name}(?:=|:\s*)){value}");
        RegexBuilder::new(&pattern).unicode(false).build().ok()
    });
    let Some(said) = SAID.as_ref() else { return false };
    // A name that is no secret's may be the value before one that is: each word is looked at as both.
    let mut rest = command.as_bytes();
    while let Some(found) = said.captures(rest) {
        let text = |group: usize| found.get(group).and_then(|part| std::str::from_utf8(part.as_bytes()).ok());
        if let (Some(name), Some(value)) = (text(1).or(text(2)), text(3))
            && is_secret_by_name(name, value)
        {
            return true;
        }
        let next = found.get(1).or(found.get(2)).map_or(rest.len(), |name| name.end());
        rest = rest.get(next.max(1)..).unwrap_or_default();
    }
    false
}

/// Whether a name says that its value is a secret, and the value could be one.
pub(super) fn is_secret_by_name(name: &str, value: &str) -> bool {
    if value.len() < SHORTEST || stands_for_something(value) {
        return false;
    }
    let name = name.to_ascii_uppercase().replace('-', "_");
    let words: Vec<&str> = name.split('_').collect();
    let ends_in = |endings: &[&str]| words.iter().any(|word| endings.iter().any(|ending| word.ends_with(ending)));
    // Passwords are chosen by people, so that their letters say nothing.
    if ends_in(&["PASSWORD", "PASSWD", "PASSPHRASE", "PWD"]) {
        return true;
    }
    let is_key = ends_in(&["SECRET", "TOKEN", "KEY", "CREDENTIAL", "CREDENTIALS", "APIKEY", "AUTH", "SIGNATURE"]);
    is_key && is_random(value)
}

/// A path, an address, or what a shell puts in later.
fn stands_for_something(value: &str) -> bool {
    value.starts_with(['/', '.', '$', '~', '-']) || value.contains("://") || value.contains("${{")
}

/// Whether letters are as mixed as those of keys.
fn is_random(value: &str) -> bool {
    if !KEY_LENGTHS.contains(&value.len()) || value.contains(char::is_whitespace) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    digits >= 2 && letters >= 2 && bits_of_a_letter(value) >= RANDOM
}

/// Shannon's entropy of a value, in bits for each byte.
fn bits_of_a_letter(value: &str) -> f64 {
    let mut counts: BTreeMap<u8, u32> = BTreeMap::new();
    for byte in value.bytes() {
        counts.entry(byte).and_modify(|count| *count = count.saturating_add(1)).or_insert(1);
    }
    let all: f64 = counts.values().copied().map(f64::from).sum();
    counts.values().map(|count| f64::from(*count) / all).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Vec<Finding> {
        found_in(&BTreeMap::from([(name.to_owned(), value.to_owned())]), None)
    }

    fn command(text: &str) -> Option<&'static str> {
        found_in(&BTreeMap::new(), Some((text, &BTreeMap::new()))).first().map(|finding| finding.shape)
    }

    #[test]
    fn a_variable_that_looks_like_a_secret_is_noticed() {
        for (name, value) in [
            ("DB_PASSWORD", "correct horse"),
            ("PGPASSWORD", "hunter2hunter2"),
            ("API_KEY", "0123456789abcdef"),
            ("ACCOUNT_KEY", "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="),
            ("MY_TOKEN", "a8f5f167f44f4964e6c998dee827110c"),
            ("CLIENT_SECRET", "q8Xv2_Lm9-pR4tYw7zKc"),
            ("X", "ghp_0123456789abcdefghijABCDEFGHIJ012345"),
            ("URL", "https://u:hunter2@example.org"),
        ] {
            assert_eq!(variable(name, value).len(), 1, "{name}");
        }
    }

    #[test]
    fn what_only_sounds_like_one_is_not() {
        for (name, value) in [
            ("TOKEN_COUNT", "12"),
            ("TOKENIZER", "bert-base-uncased-2024-v12-finetuned"),
            ("MAX_TOKENS", "4096000000000000"),
            ("KEY_COLUMN", "customer_identifier"),
            ("PRIMARY_KEY", "customer_identifier"),
            ("SECRET_FILE", "/run/secrets/db"),
            ("DB_PASSWORD", "secret://db-password"),
            ("DB_PASSWORD", "/run/secrets/db-password"),
            ("DB_PASSWORD", "short"),
            ("LR", "0.1"),
            ("COMMIT", "a8f5f167f44f4964e6c998dee827110c"),
        ] {
            assert_eq!(variable(name, value), Vec::new(), "{name}={value}");
        }
    }

    #[test]
    fn a_command_line_is_read_word_by_word() {
        for text in [
            "python train.py --password hunter2hunter2",
            "python train.py --db-password='hunter2hunter2' --x 1",
            "API_KEY=0123456789abcdef python train.py",
            "export X=1; export MY_TOKEN=a8f5f167f44f4964e6c998dee827110c && run",
            "curl -H \"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc\" x",
        ] {
            assert!(command(text).is_some(), "{text}");
        }
        for text in [
            "python train.py --epochs 3 --tokenizer bert-base-uncased",
            "python train.py --password $DB_PASSWORD",
            "python train.py --password \"${DB_PASSWORD}\"",
            "python train.py --password-file /run/secrets/password",
            "python train.py --key customer_identifier --lr 0.1",
            "grep -v password train.log > outputs/clean.log",
        ] {
            assert_eq!(command(text), None, "{text}");
        }
    }

    #[test]
    fn an_input_is_looked_at_and_no_value_is_told() {
        let inputs = BTreeMap::from([(String::from("key"), String::from("AKIAABCDEFGHIJKLMNOP"))]);
        let found = found_in(&BTreeMap::new(), Some(("run", &inputs)));
        let first = found.first().unwrap();
        assert_eq!(first.field(), "properties.inputs");
        assert!(!format!("{first}{}", first.in_short()).contains("AKIA"));
    }

    #[test]
    fn much_text_takes_no_long_time() {
        let text = "--key a ".repeat(16_000);
        assert_eq!(command(&text), None);
        // Each word is a name and a value, and none is a secret.
        assert_eq!(command(&"(abc=".repeat(6_000)), None);
        assert!(command(&"password=".repeat(16_000)).is_some());
    }
}
