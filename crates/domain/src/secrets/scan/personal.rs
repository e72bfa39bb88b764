//! Personal data that checks itself: numbers with a checksum, and many addresses in one file. Names and free text are not looked for.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::bytes::{Regex, RegexBuilder};

/// Different addresses of one file that are too many to be those of its authors.
const MANY: usize = 10;

static CARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"\b(?:[3-6][0-9]{12,18}|[3-6][0-9]{3}(?:[ -][0-9]{4}){3}|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})\b")
});
static IBAN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\b[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)\b"));
/// Brazil's number of a taxpayer.
static CPF: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b"));
/// That of the United States has no checksum: it counts where the line says what it is.
static SSN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i)\b(?:ssn|social[ _-]?security)\b.{0,40}?\b([0-8][0-9]{2})-([0-9]{2})-([0-9]{4})\b"));
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b")
});

fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).unicode(false).build().ok()
}

/// What of a person a line holds, in people's words.
pub(super) fn personal(line: &[u8]) -> Option<&'static str> {
    let holds = |regex: &LazyLock<Option<Regex>>, is_one: fn(&[u8], &[u8]) -> bool| {
        regex.as_ref().is_some_and(|regex| {
            regex.find_iter(line).any(|found| is_one(line.get(..found.start()).unwrap_or_default(), found.as_bytes()))
        })
    };
    if holds(&CARD, |before, text| !is_in_a_number(before) && is_card(text)) {
        return Some("a payment card's number");
    }
    if holds(&IBAN, |_, text| is_iban(text)) {
        return Some("a bank account's number (IBAN)");
    }
    if holds(&CPF, |_, text| is_cpf(text)) {
        return Some("a taxpayer's number (CPF)");
    }
    let is_ssn = SSN.as_ref().and_then(|regex| regex.captures(line)).is_some_and(|found| {
        let is = |group: usize, zero: &[u8]| found.get(group).is_some_and(|part| part.as_bytes() == zero);
        !is(1, b"000") && !is(1, b"666") && !is(2, b"00") && !is(3, b"0000")
    });
    is_ssn.then_some("a social security number")
}

/// Addresses of one file.
#[derive(Default)]
pub(super) struct Addresses(BTreeSet<Vec<u8>>);

impl Addresses {
    /// Counts those of a line; says so once there are many.
    pub(super) fn count(&mut self, line: &[u8]) -> Option<&'static str> {
        if self.0.len() >= MANY || !line.contains(&b'@') {
            return None;
        }
        for found in ADDRESS.as_ref()?.find_iter(line) {
            self.0.insert(found.as_bytes().to_ascii_lowercase());
            if self.0.len() >= MANY {
                return Some("many people's e-mail addresses");
            }
        }
        None
    }
}

/// Whether what stands before makes the digits a part of a longer number.
fn is_in_a_number(before: &[u8]) -> bool {
    matches!(before, [.., b'0'..=b'9', b'.' | b',' | b'-' | b' '] | [.., b'.' | b'-' | b'+' | b'#'])
}

fn digits(text: &[u8]) -> Vec<u32> {
    text.iter().filter_map(|byte| char::from(*byte).to_digit(10)).collect()
}

/// The makers' first digits and lengths, and Luhn's checksum (ISO/IEC 7812).
fn is_card(text: &[u8]) -> bool {
    let digits = digits(text);
    let first = |count: usize| {
        digits.iter().take(count).fold(0_u32, |sum, digit| sum.saturating_mul(10).saturating_add(*digit))
    };
    let is_made = match (first(2), digits.len()) {
        (40..=49, 13 | 16 | 19) | (51..=55 | 35, 16) | (34 | 37, 15) | (60 | 64 | 65, 16) => true,
        (22..=27, 16) => (2221..=2720).contains(&first(4)),
        _ => false,
    };
    let differ = digits.iter().collect::<BTreeSet<_>>().len() > 1;
    let sum: u32 = digits
        .iter()
        .rev()
        .zip([false, true].into_iter().cycle())
        .map(|(digit, is_doubled)| if is_doubled { digit * 2 / 10 + digit * 2 % 10 } else { *digit })
        .sum();
    is_made && differ && sum.is_multiple_of(10)
}

/// ISO 13616: the remainder by 97 is one, letters counting from ten and the first four characters last.
fn is_iban(text: &[u8]) -> bool {
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != b' ').collect();
    let Some((head, rest)) = text.split_at_checked(4).filter(|_| (15..=34).contains(&text.len())) else { return false };
    let remainder = rest.iter().chain(head).try_fold(0_u32, |sum, byte| {
        let value = char::from(*byte).to_digit(36)?;
        Some((if value < 10 { sum * 10 + value } else { sum * 100 + value }) % 97)
    });
    remainder == Some(1)
}

/// Two digits that are checks of those before them.
fn is_cpf(text: &[u8]) -> bool {
    let digits = digits(text);
    let differ = digits.iter().collect::<BTreeSet<_>>().len() > 1;
    let is_right = |count: u32| {
        let weights = (2..=count.saturating_add(1)).rev();
        let sum: u32 = digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum();
        let due = sum * 10 % 11 % 10;
        usize::try_from(count).ok().and_then(|at| digits.get(at)) == Some(&due)
    };
    digits.len() == 11 && differ && is_right(9) && is_right(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_check_themselves_are_found() {
        for (text, what) in [
            ("card: 4111111111111111", "card"),
            ("4111 1111 1111 1111", "card"),
            ("5500-0000-0000-0004", "card"),
            ("amex 3782 822463 10005", "card"),
            ("\"371449635398431\",", "card"),
            ("DE89 3704 0044 0532 0130 00", "IBAN"),
            ("iban=GB82WEST12345698765432", "IBAN"),
            ("cpf 529.982.247-25", "CPF"),
            ("ssn: 123-45-6789", "social"),
            ("Social Security number 123-45-6789", "social"),
        ] {
            assert!(personal(text.as_bytes()).is_some_and(|found| found.contains(what)), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_not() {
        for text in [
            "4111111111111112",
            "0.4111111111111111",
            "-4111111111111111",
            "1700000000000",
            "4444444444444444",
            "id 9999999999999995",
            "DE89 3704 0044 0532 0130 01",
            "529.982.247-26",
            "111.111.111-11",
            "123-45-6789",
            "ssn: 000-45-6789",
            "GB82 is a flight",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        ] {
            assert_eq!(personal(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_few_addresses_are_authors_and_many_are_people() {
        let mut found = Addresses::default();
        for n in 0..MANY - 1 {
            assert_eq!(found.count(format!("a{n}@example.org, A{n}@example.org").as_bytes()), None);
        }
        assert!(found.count(b"one.more@example.co.uk").is_some());
        assert_eq!(found.count(b"and.another@example.org"), None, "told once");
        let mut other = Addresses::default();
        assert_eq!(other.count(b"pip install git+ssh://git@host/x @decorator a@b"), None);
    }
}
