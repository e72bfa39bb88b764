//! Secrets that a name gives away: `password = "…"`, `"api_key": "…"`, `API_KEY=…`.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::secrets::literal::is_secret_by_name;

/// A value in quotes behind a name, as code and JSON have it.
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"([A-Za-z][A-Za-z0-9_.-]{2,60})";
    pattern(&format!(
        r"\b{name}\\?[\x22']?\]?\s{{0,20}}(?::=|=>|==?|:)\s{{0,20}}[bfru]{{0,2}}\\?[\x22']([^\x22'\s\\]{{8,512}})\\?[\x22']"
    ))
});
/// A line that is a setting, as files of environment variables and YAML have it.
static SETTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = r"([A-Za-z][A-Za-z0-9_.-]{2,60})";
    pattern(&format!(
        r"(?m)^[ \t]{{0,40}}(?:export[ \t]+)?{name}[ \t]{{0,20}}[=:][ \t]{{0,20}}([^\s\x22'<>${{}}()\[\],;.]{{8,512}})[ \t\r]{{0,20}}$"
    ))
});

fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).unicode(false).build().ok()
}

/// Whether text assigns what a name says is a secret.
pub(super) fn assigned(text: &[u8]) -> bool {
    let holds = |regex: &LazyLock<Option<Regex>>, is_setting: bool| {
        regex.as_ref().is_some_and(|regex| regex.captures_iter(text).any(|found| is_one(&found, is_setting)))
    };
    holds(&QUOTED, false) || holds(&SETTING, true)
}

fn is_one(found: &Captures<'_>, is_setting: bool) -> bool {
    let text = |group: usize| found.get(group).and_then(|part| std::str::from_utf8(part.as_bytes()).ok());
    let (Some(name), Some(value)) = (text(1), text(2)) else { return false };
    // What is not in quotes may be a name in code as well.
    let is_mixed = value.bytes().any(|c| c.is_ascii_digit()) && value.bytes().any(|c| c.is_ascii_alphabetic());
    let name = name.rsplit('.').next().unwrap_or(name);
    (is_mixed || !is_setting) && !is_placeholder(value) && is_secret_by_name(name, value)
}

/// What people write where a secret would be.
fn is_placeholder(value: &str) -> bool {
    let folded = value.to_ascii_lowercase();
    let words = [
        "your",
        "example",
        "changeme",
        "change-me",
        "change_me",
        "placeholder",
        "xxxx",
        "****",
        "....",
        "redacted",
        "dummy",
    ];
    words.iter().any(|word| folded.contains(word))
        || value.contains(['<', '>'])
        || value.contains("{{")
        || value.contains("%(")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_values_away_in_code_json_and_settings() {
        for text in [
            "password = \"correct-horse\"",
            "self.db_password = 'correct-horse'",
            "\"password\": \"hunter2hunter2\",",
            "{\"API_KEY\": \"0123456789abcdef\"}",
            "os.environ[\"MY_TOKEN\"] = \"a8f5f167f44f4964e6c998dee827110c\"",
            "connect(user='u', password='hunter2hunter2')",
            "API_KEY=0123456789abcdef",
            "export DB_PASSWORD=hunter2hunter2",
            "  password: hunter2hunter2",
            "const clientSecret = 'q8Xv2_Lm9-pR4tYw7zKc';",
            "password = b\"hunter2hunter2\"",
            "\"password = \\\"hunter2hunter2\\\"\\n\"",
        ] {
            assert!(assigned(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_only_reads_like_it_does_not() {
        for text in [
            "password = os.environ['DB_PASSWORD']",
            "password = getpass.getpass()",
            "password: SecretStr",
            "password: Optional[str] = None",
            "def f(password='short'):",
            "key = \"customer_identifier\"",
            "PASSWORD=$(cat /run/secrets/p)",
            "PASSWORD=/run/secrets/password1",
            "password = '${DB_PASSWORD}'",
            "password = 'secret://db-password'",
            "password = \"********\"",
            "api_key = \"your-api-key-0123\"",
            "tokenizer = 'bert-base-uncased-2024'",
            "passwd = user1.passwd",
            "print('password', 'of the user')",
        ] {
            assert!(!assigned(text.as_bytes()), "{text}");
        }
    }
}
