//! `$filter`: the conditions that Graph's clients send here, and no more of OData's language.

use domain::identity::{Field, Filter, Test};
use kernel::{Error, Result};

/// The longest expression, in bytes.
const LONGEST: usize = 2000;

/// Reads an expression: `field eq 'text'` and `startswith(field,'text')`, joined by `and`. Azure's tools ask for a service
/// principal by `servicePrincipalNames/any(c:c eq 'text')`, which is its client id.
pub(super) fn parse(text: &str) -> Result<Vec<Filter>> {
    if text.len() > LONGEST {
        return Err(Error::invalid("$filter", format_args!("is longer than {LONGEST} bytes")));
    }
    let mut filters = Vec::new();
    let mut rest = text.trim();
    loop {
        let (filter, after) = condition(rest).ok_or_else(unknown)?;
        filters.push(filter);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(filters);
        }
        rest = word(after, "and ").ok_or_else(unknown)?.trim_start();
    }
}

fn unknown() -> Error {
    let why = "is not understood; use `field eq 'text'` or `startswith(field,'text')`, joined by `and`, on `displayName`, \
               `userPrincipalName` or `appId`";
    Error::invalid("$filter", why)
}

/// One condition, and what comes after it.
fn condition(text: &str) -> Option<(Filter, &str)> {
    if let Some(rest) = word(text, "startswith(") {
        let (field, rest) = field(rest.trim_start())?;
        let (value, rest) = quoted(rest.trim_start().strip_prefix(',')?.trim_start())?;
        let rest = rest.trim_start().strip_prefix(')')?;
        return Some((Filter { field, test: Test::StartsWith, text: value }, rest));
    }
    if let Some(rest) = word(text, "servicePrincipalNames/any(") {
        let (variable, rest) = rest.split_once(':')?;
        let rest = rest.trim_start().strip_prefix(variable.trim())?;
        let (value, rest) = quoted(word(rest.trim_start(), "eq ")?.trim_start())?;
        let rest = rest.trim_start().strip_prefix(')')?;
        return Some((Filter { field: Field::AppId, test: Test::Equals, text: value }, rest));
    }
    let (field, rest) = field(text)?;
    let (value, rest) = quoted(word(rest.trim_start(), "eq ")?.trim_start())?;
    Some((Filter { field, test: Test::Equals, text: value }, rest))
}

fn field(text: &str) -> Option<(Field, &str)> {
    let fields = [("displayName", Field::DisplayName), ("userPrincipalName", Field::UserName), ("appId", Field::AppId)];
    let found = fields.into_iter().find_map(|(name, field)| Some((field, word(text, name)?)))?;
    // `displayNames` is another field.
    (!found.1.starts_with(|c: char| c.is_alphanumeric() || c == '/')).then_some(found)
}

/// What comes after a word; its case does not count.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// A text in quotes, in which two quotes stand for one, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix('\'')?;
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(Field, Test, String)>> {
        let filters = parse(text).ok()?;
        Some(filters.into_iter().map(|filter| (filter.field, filter.test, filter.text)).collect())
    }

    #[test]
    fn what_clients_send_is_understood() {
        let name = |test, text: &str| (Field::DisplayName, test, text.to_owned());
        assert_eq!(read("displayName eq 'Ann'"), Some(vec![name(Test::Equals, "Ann")]));
        assert_eq!(read(" DISPLAYNAME EQ 'O''Neil' "), Some(vec![name(Test::Equals, "O'Neil")]));
        assert_eq!(read("startswith(displayName,'An')"), Some(vec![name(Test::StartsWith, "An")]));
        assert_eq!(read("startsWith( displayName , ' and ' )"), Some(vec![name(Test::StartsWith, " and ")]));
        let id = (Field::AppId, Test::Equals, String::from("x"));
        assert_eq!(read("servicePrincipalNames/any(c:c eq 'x')"), Some(vec![id.clone()]));
        assert_eq!(read("appId eq 'x' and displayName eq ''"), Some(vec![id, name(Test::Equals, "")]));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "displayName",
            "displayName eq Ann",
            "displayName eq 'Ann",
            "displayName ne 'Ann'",
            "displayNames eq 'Ann'",
            "displayName/x eq 'Ann'",
            "displayName eq 'a' or displayName eq 'b'",
            "displayName eq 'a' and",
            "displayName eq 'a'displayName eq 'b'",
            "not displayName eq 'a'",
            "endswith(displayName,'a')",
            "accountEnabled eq true",
            "servicePrincipalNames/any(c:d eq 'x')",
            "é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(parse(&format!("displayName eq '{}'", "a".repeat(LONGEST))).is_err());
    }
}
