//! Hiding the secrets that a program was given in what it says: each value, in the forms in which programs print it, becomes `***`,
//! wherever pieces of the stream begin and end. What a program is given while it runs is hidden from then on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use bytes::Bytes;
use kernel::Secret;

use super::forms::forms;

/// What stands in place of a secret.
const HIDDEN: &[u8] = b"***";
/// Different values that are hidden of one run, and bytes of all of them: the search for their forms has a size.
const MOST_VALUES: usize = 64;
const MOST_BYTES: usize = 64 << 10;

/// Why values cannot be hidden.
#[derive(Debug, thiserror::Error)]
pub enum HideError {
    #[error("a run is given at most {MOST_VALUES} different secrets of {} KiB together", MOST_BYTES >> 10)]
    TooMany,
    #[error("there is too much of its secrets to be hidden in its log")]
    TooMuch(#[source] aho_corasick::BuildError),
}

/// Knows what to hide. Copies know the same, now and later; cheap to copy.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Mutex<Held>>);

/// All that was told so far.
#[derive(Default)]
struct Held {
    values: Vec<Secret<String>>,
    known: Option<Arc<Known>>,
}

struct Known {
    search: AhoCorasick,
    /// All forms of all values, by their first byte: for what a piece may end within.
    forms: BTreeMap<u8, Vec<Secret<Vec<u8>>>>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Redactor(***)")
    }
}

impl Known {
    fn of<'a>(values: impl Iterator<Item = &'a Secret<String>>) -> Result<Option<Self>, HideError> {
        let all: BTreeSet<Vec<u8>> = values.flat_map(|value| forms(value.expose())).collect();
        if all.is_empty() {
            return Ok(None);
        }
        // All matches count, those within and across others too: what is left of a secret whose neighbour was hidden shows.
        let search = AhoCorasick::builder()
            // The automaton that would be chosen for few patterns takes a gigabyte for a long one.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(&all)
            .map_err(HideError::TooMuch)?;
        let longest = all.iter().map(Vec::len).max().unwrap_or_default();
        let mut forms: BTreeMap<u8, Vec<Secret<Vec<u8>>>> = BTreeMap::new();
        for form in all {
            let first = form.first().copied().unwrap_or_default();
            forms.entry(first).or_default().push(Secret::new(form));
        }
        Ok(Some(Self { search, forms, longest }))
    }
}

impl Redactor {
    /// Hides these values too, and their usual encodings: in whole texts, and in every stream from its next piece on.
    ///
    /// # Errors
    /// When there is too much of them to be looked for; then nothing has changed.
    pub fn hide<'a>(&self, values: impl Iterator<Item = &'a Secret<String>>) -> Result<(), HideError> {
        let mut held = self.held();
        let mut all = held.values.clone();
        for value in values {
            if !all.iter().any(|known| known.expose() == value.expose()) {
                all.push(value.clone());
            }
        }
        if all.len() == held.values.len() {
            return Ok(());
        }
        let bytes = all.iter().fold(0_usize, |sum, value| sum.saturating_add(value.expose().len()));
        if all.len() > MOST_VALUES || bytes > MOST_BYTES {
            return Err(HideError::TooMany);
        }
        held.known = Known::of(all.iter())?.map(Arc::new);
        held.values = all;
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.held().known.clone()
    }

    /// A whole text.
    pub fn text(&self, text: &str) -> String {
        if self.known().is_none() {
            return text.to_owned();
        }
        let mut screen = self.screen();
        let mut shown = screen.push(Bytes::copy_from_slice(text.as_bytes())).to_vec();
        shown.extend_from_slice(&screen.end());
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// For one stream.
    pub fn screen(&self) -> Screen {
        Screen { redactor: self.clone(), held: Vec::new(), hidden: 0 }
    }
}

/// One stream, piece by piece. What could be the beginning of a secret is held back until more of it is known.
#[derive(Default)]
pub struct Screen {
    redactor: Redactor,
    /// The end of what was pushed: shorter than the longest form that was known then.
    held: Vec<u8>,
    /// How many of these belong to a secret for which `***` was shown already.
    hidden: usize,
}

impl fmt::Debug for Screen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Screen({} held)", self.held.len())
    }
}

impl Screen {
    /// Takes a piece; gives what can be shown.
    pub fn push(&mut self, piece: Bytes) -> Bytes {
        let Some(known) = self.redactor.known() else { return piece };
        let mut data = std::mem::take(&mut self.held);
        data.extend_from_slice(&piece);
        let hold = known.may_go_on(&data);
        self.show(&known, &data, hold)
    }

    /// The rest, at the end of the stream.
    pub fn end(&mut self) -> Bytes {
        let Some(known) = self.redactor.known() else { return Bytes::new() };
        let data = std::mem::take(&mut self.held);
        self.show(&known, &data, data.len())
    }

    /// Shows all before `hold` and keeps the rest.
    fn show(&mut self, known: &Known, data: &[u8], hold: usize) -> Bytes {
        let mut matches: Vec<(usize, usize)> =
            known.search.find_overlapping_iter(data).map(|found| (found.start(), found.end())).collect();
        matches.sort_unstable();
        let part = |from: usize, to: usize| data.get(from..to).unwrap_or_default();
        let mut shown = Vec::with_capacity(data.len());
        let mut at = self.hidden;
        for (start, end) in matches {
            // It is found again when what is held is looked at with what follows.
            if start >= hold {
                break;
            }
            if start >= at {
                shown.extend_from_slice(part(at, start));
                shown.extend_from_slice(HIDDEN);
            }
            at = at.max(end);
        }
        shown.extend_from_slice(part(at, hold));
        self.held = part(hold, data.len()).to_vec();
        self.hidden = at.saturating_sub(hold);
        Bytes::from(shown)
    }
}

impl Known {
    /// From where on the data may be the beginning of something to hide, whose rest is still to come.
    fn may_go_on(&self, data: &[u8]) -> usize {
        let earliest = data.len().saturating_sub(self.longest.saturating_sub(1));
        let begins = |at: &usize| {
            let end = data.get(*at..).unwrap_or_default();
            let forms = end.first().and_then(|first| self.forms.get(first));
            let goes_on = |form: &Secret<Vec<u8>>| form.expose().len() > end.len() && form.expose().starts_with(end);
            forms.is_some_and(|forms| forms.iter().any(goes_on))
        };
        (earliest..data.len()).find(begins).unwrap_or(data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        hide(&redactor, values).unwrap();
        redactor
    }

    fn hide(redactor: &Redactor, values: &[&str]) -> Result<(), HideError> {
        let values: Vec<Secret<String>> = values.iter().map(|value| Secret::new((*value).to_owned())).collect();
        redactor.hide(values.iter())
    }

    fn in_pieces(redactor: &Redactor, text: &[u8], size: usize) -> String {
        let mut screen = redactor.screen();
        let mut shown = Vec::new();
        for piece in text.chunks(size) {
            shown.extend_from_slice(&screen.push(Bytes::copy_from_slice(piece)));
        }
        shown.extend_from_slice(&screen.end());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_value_is_hidden_wherever_pieces_end() {
        let redactor = redactor(&["hunter2hunter2", "zweites-Geheimnis ü\nmit Zeile"]);
        let text = "a hunter2hunter2 b hunter2 hunter2hunterhunter2hunter2 zweites-Geheimnis ü\nmit Zeile. zweites-";
        let due = "a *** b hunter2 hunter2hunter*** ***. zweites-";
        for size in 1..text.len() + 1 {
            assert_eq!(in_pieces(&redactor, text.as_bytes(), size), due, "pieces of {size}");
        }
    }

    #[test]
    fn values_that_overlap_leave_nothing() {
        let redactor = redactor(&["abcdef", "defghi", "abcdefgh", "xxxxxx"]);
        for (text, due) in [
            ("-abcdefghi-", "-***-"),
            ("abcdefabcdef", "******"),
            ("abcdefgh", "***"),
            ("abcde", "abcde"),
            ("xxxxxxx.xxxxx", "***.xxxxx"),
            ("xxxxxxxxxxxxxxxxxxx", "***"),
        ] {
            for size in 1..text.len() + 1 {
                assert_eq!(in_pieces(&redactor, text.as_bytes(), size), due, "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_shown_at_once() {
        let redactor = redactor(&["hunter2hunter2"]);
        let mut screen = redactor.screen();
        assert_eq!(screen.push(Bytes::from_static(b"epoch 1: loss 0.5\n")), "epoch 1: loss 0.5\n");
        assert_eq!(screen.push(Bytes::from_static(b"a hunt")), "a ");
        assert_eq!(screen.push(Bytes::from_static(b"ing")), "hunting");
        assert_eq!(screen.end(), "");
    }

    #[test]
    fn without_secrets_all_is_shown_and_nothing_prints_one() {
        let none = redactor(&["short"]);
        assert_eq!(none.text("a short text"), "a short text");
        let some = redactor(&["hunter2hunter2"]);
        assert_eq!(some.text("it is hunter2hunter2!"), "it is ***!");
        assert!(!format!("{some:?} {:?}", some.screen()).contains("hunter"));
    }

    #[test]
    fn what_is_told_later_is_hidden_from_the_next_piece_on_and_what_was_told_before_stays_so() {
        let redactor = redactor(&["hunter2hunter2"]);
        let (mut screen, mut fresh) = (redactor.screen(), Redactor::default().screen());
        let push = |screen: &mut Screen, text: &'static str| screen.push(Bytes::from_static(text.as_bytes()));
        assert_eq!(push(&mut screen, "late-secret hunter2"), "late-secret ");
        hide(&redactor, &["late-secret", "hunter2hunter2"]).unwrap();
        assert_eq!(push(&mut screen, "hunter2 late-"), "*** ");
        assert_eq!(push(&mut screen, "secret."), "***.");
        assert_eq!(redactor.text("a late-secret"), "a ***");
        // Half of one was shown as hidden when the next one became known.
        assert_eq!(push(&mut screen, "xxhunter2hunter2late"), "xx***");
        hide(&redactor, &["later-still"]).unwrap();
        assert_eq!(push(&mut screen, "r-still"), "***");
        assert_eq!(screen.end(), "");
        assert_eq!(push(&mut fresh, "late-secret"), "late-secret", "another run's");
    }

    #[test]
    fn there_is_a_most_and_beyond_it_nothing_changes() {
        let redactor = redactor(&["hunter2hunter2"]);
        let many: Vec<String> = (0..MOST_VALUES).map(|n| format!("secret-number-{n:04}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(matches!(hide(&redactor, &many), Err(HideError::TooMany)));
        assert_eq!(redactor.text("secret-number-0001 hunter2hunter2"), "secret-number-0001 ***");
        hide(&redactor, &many[1..]).unwrap();
        hide(&redactor, &many[1..]).unwrap();
        assert_eq!(redactor.text("secret-number-0001 hunter2hunter2"), "*** ***");
        assert!(matches!(hide(&redactor, &[&"x".repeat(MOST_BYTES)]), Err(HideError::TooMany)));
    }
}
