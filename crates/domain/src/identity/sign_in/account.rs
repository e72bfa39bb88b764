//! One account, however its name is typed: what it is looked up by is what its guesses are counted by.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Longer names are nobody's; what is behind is not read.
const LONGEST: usize = 256;

/// A sign-in name in its one spelling: without space around it, in lower case, in Unicode's composed compatibility form
/// (NFKC, UAX #15). People are stored under it.
pub(crate) fn account_name(typed: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let bounded: String = typed.trim().chars().take(LONGEST.saturating_add(1)).collect();
    let folded = nfkc.normalize(&bounded).to_lowercase();
    nfkc.normalize(&folded).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_account() {
        for (typed, name) in [
            ("ada", "ada"),
            (" Ada\t", "ada"),
            ("\u{a0}ADA\u{3000}", "ada"),
            ("ＡＤＡ", "ada"),
            ("Rene\u{301}", "ren\u{e9}"),
            ("REN\u{c9}", "ren\u{e9}"),
            ("\u{212b}ngstrom", "\u{e5}ngstrom"),
            ("ﬁn", "fin"),
        ] {
            assert_eq!(account_name(typed), name, "{typed:?}");
            assert_eq!(account_name(&account_name(typed)), name, "{typed:?} twice");
        }
    }

    #[test]
    fn a_name_without_end_is_cut_and_is_nobodys() {
        assert_eq!(account_name(&"a".repeat(100_000)).chars().count(), LONGEST + 1);
    }
}
