//! Wildcards of role definitions. `*` stands for any text; `/*/` also for a single `/`, which is what the published roles
//! mean by `workspaces/*/write` (it must match `workspaces/write`). Case does not count.

/// Whether an action string matches a pattern.
pub(crate) fn matches(pattern: &str, action: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let action = action.to_ascii_lowercase();
    glob(pattern.as_bytes(), action.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*'] => true,
        // Zero segments: `a/*/b` against `a/b`.
        [b'/', b'*', b'/', rest @ ..] if text.first() == Some(&b'/') && glob_after_slash(rest, text) => true,
        [b'*', rest @ ..] => (0..=text.len()).any(|at| text.get(at..).is_some_and(|tail| glob(rest, tail))),
        [letter, rest @ ..] => match text {
            [first, tail @ ..] if first == letter => glob(rest, tail),
            _ => false,
        },
    }
}

fn glob_after_slash(rest: &[u8], text: &[u8]) -> bool {
    text.get(1..).is_some_and(|tail| glob(rest, tail))
}

#[cfg(test)]
mod tests {
    use super::matches;

    /// (pattern, action, whether it matches): the golden list.
    const PAIRS: &[(&str, &str, bool)] = &[
        ("*", "a/b/c", true),
        ("*/read", "a/b/read", true),
        ("*/read", "a/b/readers", false),
        ("*/read", "read", false),
        ("a/*", "a/b", true),
        ("a/*", "a/b/c", true),
        ("a/*", "a", false),
        ("A/B/READ", "a/b/read", true),
        ("a/*/write", "a/write", true),
        ("a/*/write", "a/b/write", true),
        ("a/*/write", "a/b/c/write", true),
        ("a/*/write", "awrite", false),
        ("a/*/write", "a/b/writers", false),
        ("a/b*/read", "a/bc/read", true),
        ("m/workspaces/*/read", "m/workspaces/read", true),
        ("m/workspaces/computes/*/write", "m/workspaces/computes/write", true),
        ("m/workspaces/computes/*/write", "m/workspaces/write", false),
        ("microsoft.authorization/*/write", "Microsoft.Authorization/roleAssignments/write", true),
        ("microsoft.authorization/*/write", "Microsoft.Authorization/roleAssignments/read", false),
        ("", "a", false),
        ("a", "", false),
    ];

    #[test]
    fn the_golden_pairs_hold() {
        for (pattern, action, expected) in PAIRS {
            assert_eq!(matches(pattern, action), *expected, "{pattern} against {action}");
        }
    }
}
