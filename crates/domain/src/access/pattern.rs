//! Wildcards of role definitions. `*` stands for any text; `/*/` also for a single `/`, which is what the published roles
//! mean by `workspaces/*/write` (it must match `workspaces/write`). Case does not count.

/// A pattern, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This letter, in lower case.
    Letter(u8),
    /// `*`: any text.
    Text,
    /// What stands between the slashes of `/*/`, with the second one: nothing, or any text that ends in a slash.
    Segments,
}

impl Pattern {
    /// Reads a pattern. Every text is one.
    pub(crate) fn new(text: &str) -> Self {
        let folded = text.to_ascii_lowercase();
        let mut rest = folded.as_bytes();
        let mut tokens = Vec::with_capacity(rest.len());
        loop {
            rest = match rest {
                [] => return Self { tokens },
                [b'/', b'*', b'/', tail @ ..] => {
                    tokens.extend([Token::Letter(b'/'), Token::Segments]);
                    tail
                }
                [b'*', tail @ ..] => {
                    tokens.push(Token::Text);
                    tail
                }
                [letter, tail @ ..] => {
                    tokens.push(Token::Letter(*letter));
                    tail
                }
            };
        }
    }

    /// Whether an action, in lower case, matches. The work is bounded by the product of both lengths: only the latest wildcard
    /// is ever tried again. That suffices for `Segments` too, since a slash always stands before it: whatever an earlier wildcard
    /// could reach by taking more, this one reaches by itself.
    pub(crate) fn matches(&self, action: &str) -> bool {
        let text = action.as_bytes();
        let (mut at, mut next) = (0_usize, 0_usize);
        // Where to go on after a mismatch: the token behind the latest wildcard, and how far that wildcard reaches.
        let mut latest: Option<(Token, usize, usize)> = None;
        loop {
            match (self.tokens.get(next), text.get(at)) {
                (None, None) => return true,
                (Some(Token::Letter(letter)), Some(here)) if letter == here => {
                    at = at.saturating_add(1);
                    next = next.saturating_add(1);
                }
                (Some(wildcard @ (Token::Text | Token::Segments)), _) => {
                    next = next.saturating_add(1);
                    latest = Some((*wildcard, next, at));
                }
                _ => {
                    let Some((wildcard, after, reach)) = latest else { return false };
                    let Some(reach) = longer(wildcard, text, reach) else { return false };
                    latest = Some((wildcard, after, reach));
                    (at, next) = (reach, after);
                }
            }
        }
    }
}

/// The next place that a wildcard reaches when it takes more.
fn longer(wildcard: Token, text: &[u8], reach: usize) -> Option<usize> {
    let rest = text.get(reach..)?;
    let more = match wildcard {
        Token::Segments => rest.iter().position(|letter| *letter == b'/')?,
        Token::Text | Token::Letter(_) => rest.first().map(|_| 0)?,
    };
    reach.checked_add(more)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    const ML: &str = "Microsoft.MachineLearningServices/workspaces";

    /// (pattern, action, whether it matches): the golden list.
    const PAIRS: &[(&str, &str, bool)] = &[
        ("*", "a/b/c", true),
        ("*", "", true),
        ("**", "a", true),
        ("*/read", "a/b/read", true),
        ("*/read", "a/b/readers", false),
        ("*/read", "read", false),
        ("*/read", "/read", true),
        ("*/*", "a/b", true),
        ("*/*", "ab", false),
        ("a/*", "a/b", true),
        ("a/*", "a/b/c", true),
        ("a/*", "a", false),
        ("a/*", "a/", true),
        ("A/B/READ", "a/b/read", true),
        ("a/b/read", "A/B/Read", true),
        ("a/b/read", "a/b/read/", false),
        ("a/*/write", "a/write", true),
        ("a/*/write", "a/b/write", true),
        ("a/*/write", "a/b/c/write", true),
        ("a/*/write", "awrite", false),
        ("a/*/write", "a/bwrite", false),
        ("a/*/write", "a/b/writers", false),
        ("a/*/write", "a//write", true),
        ("a/*/write", "a/write/write", true),
        ("a/*/write", "b/write", false),
        ("a/*/*/write", "a/write", false),
        ("a/*/*/write", "a/b/write", true),
        ("a/*/*/write", "a/b/c/d/write", true),
        ("a/*/b/*/c", "a/b/c", true),
        ("a/*/b/*/c", "a/x/b/y/c", true),
        ("a/*/b/*/c", "a/x/y/c", false),
        ("a/*/b/*/c", "a/b/b/c/c", true),
        ("a/b*/read", "a/bc/read", true),
        ("a/b*/read", "a/b/read", true),
        ("a/b*/read", "a/c/read", false),
        ("a/*b/read", "a/b/read", true),
        ("a/*b/read", "a/x/cb/read", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "abcb", false),
        ("a*b*c", "abcbc", true),
        ("a*bc", "abcabc", true),
        ("*abc", "ababc", true),
        ("*aab", "aaab", true),
        ("m/workspaces/*/read", "m/workspaces/read", true),
        ("m/workspaces/computes/*/write", "m/workspaces/computes/write", true),
        ("m/workspaces/computes/*/write", "m/workspaces/write", false),
        ("m/workspaces/computes/*/write", "m/workspaces/computesx/write", false),
        ("microsoft.authorization/*/write", "Microsoft.Authorization/roleAssignments/write", true),
        ("microsoft.authorization/*/write", "Microsoft.Authorization/roleAssignments/read", false),
        ("Microsoft.Authorization/*", "Microsoft.Authorization/elevateAccess/action", true),
        ("Microsoft.MachineLearningServices/workspaces/*/read", ML_READ, true),
        ("Microsoft.MachineLearningServices/workspaces/*/action", ML_LISTKEYS, true),
        ("Microsoft.MachineLearningServices/workspaces/*/delete", ML_DELETE, true),
        ("Microsoft.MachineLearningServices/workspaces/computes/*", ML_COMPUTE, true),
        ("Microsoft.MachineLearningServices/workspaces/computes/*/write", ML_COMPUTE, true),
        ("Microsoft.MachineLearningServices/workspaces/computes/*/delete", ML_COMPUTE, false),
        ("Microsoft.MachineLearningServices/workspaces/notebooks/vm/*", ML_COMPUTE, false),
        ("*/write", ML_COMPUTE, true),
        ("*", ML_COMPUTE, true),
        ("", "a", false),
        ("a", "", false),
        ("", "", true),
    ];
    const ML_READ: &str = "Microsoft.MachineLearningServices/workspaces/read";
    const ML_DELETE: &str = "Microsoft.MachineLearningServices/workspaces/delete";
    const ML_LISTKEYS: &str = "Microsoft.MachineLearningServices/workspaces/listKeys/action";
    const ML_COMPUTE: &str = "Microsoft.MachineLearningServices/workspaces/computes/write";

    fn matches(pattern: &str, action: &str) -> bool {
        Pattern::new(pattern).matches(&action.to_ascii_lowercase())
    }

    /// What the words at the top of this file say, tried in every way: slow, and too simple to be wrong.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        let tails = |text: &[u8]| (0..=text.len()).map(|at| text[at..].to_vec()).collect::<Vec<_>>();
        match pattern {
            [] => text.is_empty(),
            [b'/', b'*', b'/', rest @ ..] => match text {
                [b'/', tail @ ..] => {
                    naive(rest, tail)
                        || tails(tail).iter().any(|end| end.first() == Some(&b'/') && naive(rest, &end[1..]))
                }
                _ => false,
            },
            [b'*', rest @ ..] => tails(text).iter().any(|end| naive(rest, end)),
            [letter, rest @ ..] => text.first() == Some(letter) && naive(rest, &text[1..]),
        }
    }

    #[test]
    fn the_golden_pairs_hold() {
        assert!(PAIRS.len() >= 60, "{}", PAIRS.len());
        for (pattern, action, expected) in PAIRS {
            assert_eq!(matches(pattern, action), *expected, "{pattern} against {action}");
            let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
            assert_eq!(naive(pattern.as_bytes(), action.as_bytes()), *expected, "naively: {pattern} against {action}");
        }
        assert!(ML_READ.starts_with(ML));
    }

    #[test]
    fn it_agrees_with_a_naive_matcher_on_every_short_text() {
        let words = |letters: &[u8], most: usize| {
            let mut all = vec![Vec::new()];
            let mut from = 0;
            for _ in 0..most {
                let until = all.len();
                for at in from..until {
                    for letter in letters {
                        let mut word: Vec<u8> = all[at].clone();
                        word.push(*letter);
                        all.push(word);
                    }
                }
                from = until;
            }
            all
        };
        let texts = words(b"a/", 6);
        for pattern in words(b"a/*", 6) {
            let compiled = Pattern::new(std::str::from_utf8(&pattern).unwrap());
            for text in &texts {
                let said = compiled.matches(std::str::from_utf8(text).unwrap());
                let (pattern, text) = (String::from_utf8_lossy(&pattern), String::from_utf8_lossy(text));
                assert_eq!(said, naive(pattern.as_bytes(), text.as_bytes()), "{pattern} against {text}");
            }
        }
    }

    #[test]
    fn a_pattern_of_stars_costs_no_more_than_the_product() {
        let pattern = Pattern::new(&"*a".repeat(100));
        assert!(!pattern.matches(&"a".repeat(99)));
        assert!(!pattern.matches(&format!("{}b", "a".repeat(240))));
    }
}
