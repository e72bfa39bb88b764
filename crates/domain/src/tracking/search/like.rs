//! `LIKE`: `%` stands for any text, `_` for one character.

/// Longest pattern. Pieces with `_` cost the product of their length and the text's; others the sum.
pub(super) const LONGEST_PATTERN: usize = 500;

/// Whether a text matches a pattern: the pieces between `%` follow one another in it, the first at its start, the last at its
/// end.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('%');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = begins(text, first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match after(rest, piece) {
            Some(later) => rest = later,
            None => return false,
        }
    }
    ends(rest, last)
}

/// What follows a piece at the start of a text.
fn begins<'a>(text: &'a str, piece: &str) -> Option<&'a str> {
    let mut letters = text.chars();
    let fits = piece.chars().all(|wanted| letters.next().is_some_and(|letter| wanted == '_' || wanted == letter));
    fits.then_some(letters.as_str())
}

/// What follows the first place where a piece fits.
fn after<'a>(text: &'a str, piece: &str) -> Option<&'a str> {
    if !piece.contains('_') {
        return text.find(piece).and_then(|at| begins(text.get(at..)?, piece));
    }
    let mut rest = text;
    loop {
        if let Some(later) = begins(rest, piece) {
            return Some(later);
        }
        let mut letters = rest.chars();
        letters.next()?;
        rest = letters.as_str();
    }
}

fn ends(text: &str, piece: &str) -> bool {
    let count = piece.chars().count();
    let start = match count.checked_sub(1) {
        None => return true,
        Some(before) => text.char_indices().rev().nth(before).map(|(at, _)| at),
    };
    let tail = start.and_then(|start| text.get(start..));
    tail.and_then(|tail| begins(tail, piece)).is_some_and(str::is_empty)
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
