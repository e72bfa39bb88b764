//! `LIKE`: `%` stands for any text, `_` for one character.

/// Whether a text matches a pattern, in time proportional to the product of their lengths at worst.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut want) = (0_usize, 0_usize);
    // Where to go on when what followed the last `%` does not fit: that `%` takes one more character.
    let mut again: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(at) {
        match pattern.get(want) {
            Some('%') => {
                want = want.saturating_add(1);
                again = Some((at, want));
            }
            Some(wanted) if *wanted == '_' || wanted == letter => {
                at = at.saturating_add(1);
                want = want.saturating_add(1);
            }
            _ => match again {
                Some((from, after)) => {
                    at = from.saturating_add(1);
                    want = after;
                    again = Some((at, after));
                }
                None => return false,
            },
        }
    }
    pattern.get(want..).unwrap_or_default().iter().all(|left| *left == '%')
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns_match() {
        let table = [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "_", false),
            ("abc", "%%", true),
            ("aXbXc", "a%X%c", true),
            ("abc", "ABC", false),
            ("mississippi", "%iss%ippi", true),
            ("é", "_", true),
            ("a%", "a%", true),
        ];
        for (text, pattern, expected) in table {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
        let long = "a".repeat(2000);
        assert!(!is_like(&long, &format!("{}b", "%a".repeat(50))));
    }
}
