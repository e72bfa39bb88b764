//! What secrets look like, wherever they stand: a table. It is asked of text of bounded length, by an engine whose time grows with
//! that length alone.

use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};

/// A shape, in people's words, and the pattern of ASCII text that has it.
struct Shape {
    name: &'static str,
    pattern: &'static str,
}

const fn shape(name: &'static str, pattern: &'static str) -> Shape {
    Shape { name, pattern }
}

/// Prefixes and lengths are those that their makers document. The first that fits gives the name.
const SHAPES: &[Shape] = &[
    shape("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    shape("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    shape("an Azure account key", r"(?i)\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}"),
    shape("an Azure shared access signature", r"(?i)\bSharedAccessSignature=|[?&;\s]sig=[A-Za-z0-9%+/]{20,}"),
    shape("an Azure client secret", r"\b[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}"),
    shape(
        "a connection string with a password",
        r"(?i)(?:^|[;\x22'\s])(?:password|pwd)\s*=\s*[^;\s\x22'$][^;\s\x22']{2,};|;\s*(?:password|pwd)\s*=\s*[^;\s\x22'$][^;\s\x22']{2,}",
    ),
    shape("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    shape("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}"),
    shape("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_.-]{20,}"),
    shape("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[0-9]-[A-Za-z0-9-]{10,}"),
    shape("a Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    shape("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    shape("a Google OAuth secret", r"\bGOCSPX-[A-Za-z0-9_-]{20,}|\bya29\.[A-Za-z0-9_-]{20,}"),
    shape("a Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|\bwhsec_[A-Za-z0-9]{16,}"),
    shape("an API key of a model provider", r"\bsk-[A-Za-z0-9_-]{20,}"),
    shape("a Hugging Face token", r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    shape("an npm token", r"\bnpm_[A-Za-z0-9]{36}|_authToken=[A-Za-z0-9_-]{16,}"),
    shape("a PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    shape("a Databricks token", r"\bdapi[a-f0-9]{32}"),
    shape("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    shape("a secret of this server", r"\bbz[skr]_[A-Za-z0-9_-]{20,}"),
    shape("a URL with a password", r"\b[A-Za-z][A-Za-z0-9+.-]{1,30}://[^/\s:@]*:[^/\s@${<*][^/\s@]{2,}@"),
];

static SET: LazyLock<Option<RegexSet>> = LazyLock::new(|| compile().ok());

fn compile() -> Result<RegexSet, regex::Error> {
    // Bytes, since what is looked for is ASCII, wherever it stands.
    RegexSetBuilder::new(SHAPES.iter().map(|shape| shape.pattern)).unicode(false).build()
}

/// What the text holds that looks like a secret, in people's words.
pub(super) fn shape_of(text: impl AsRef<[u8]>) -> Option<&'static str> {
    let first = SET.as_ref()?.matches(text.as_ref()).into_iter().next()?;
    SHAPES.get(first).map(|shape| shape.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_found_in_the_midst_of_other_text() {
        let body = "x0123456789abcdefghijABCDEFGHIJ0123456789abcdefghijABCDEFGHIJ";
        let cut = |length: usize| body.chars().take(length).collect::<String>();
        let hex = "0123456789abcdef0123456789abcdef";
        let upper = "ABCDEFGHIJKLMNOP";
        let cases = [
            ("a private key", String::from("-----BEGIN PRIVATE KEY-----")),
            ("a private key", String::from("-----BEGIN OPENSSH PRIVATE KEY-----")),
            ("a private key", String::from("-----BEGIN PGP PRIVATE KEY BLOCK-----")),
            ("an AWS access key", format!("AKIA{upper}")),
            ("an Azure account key", format!("AccountName=a;AccountKey={body}==")),
            ("an Azure shared access signature", format!("https://a.blob.core.windows.net/c?sp=r&sig={body}%3D")),
            ("an Azure client secret", format!("abc8Q~{}", cut(34))),
            ("a connection string with a password", String::from("Server=db;User ID=u;Password=hunter2;Encrypt=true")),
            ("a connection string with a password", String::from("pwd=hunter2;server=db")),
            ("a JSON web token", String::from("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc")),
            ("a GitHub token", format!("ghp_{}", cut(40))),
            ("a GitHub token", format!("github_pat_{}", cut(40))),
            ("a GitLab token", format!("glpat-{}", cut(20))),
            ("a Slack token", format!("xoxb-{}", cut(20))),
            ("a Slack webhook", format!("https://hooks.slack.com/services/{}", cut(30))),
            ("a Google API key", format!("AIza{}", cut(35))),
            ("a Google OAuth secret", format!("GOCSPX-{}", cut(28))),
            ("a Stripe key", format!("sk_live_{}", cut(24))),
            ("an API key of a model provider", format!("sk-proj-{}", cut(40))),
            ("an API key of a model provider", format!("sk-ant-api03-{}", cut(40))),
            ("a Hugging Face token", format!("hf_{}", cut(34))),
            ("an npm token", format!("npm_{}", cut(36))),
            ("a PyPI token", format!("pypi-{body}")),
            ("a Databricks token", format!("dapi{hex}")),
            ("a SendGrid key", format!("SG.{}.{}", cut(22), cut(43))),
            ("a secret of this server", format!("bzs_{body}")),
            ("a URL with a password", String::from("postgres://user:hunter2@db/x")),
            ("a URL with a password", String::from("redis://:hunter2@cache:6379")),
        ];
        assert_eq!(compile().unwrap().len(), SHAPES.len());
        for (name, text) in cases {
            assert_eq!(shape_of(&text), Some(name), "{text}");
            assert_eq!(shape_of(format!("run --with \"{text}\" und ü\n")), Some(name), "{text}");
        }
    }

    #[test]
    fn ordinary_values_have_no_shape() {
        for text in [
            "",
            "0.1",
            "cuda:0",
            "https://example.org/path?x=1&y=2",
            "https://user@example.org/",
            "postgres://user:${PASSWORD}@db/x",
            "http://host:8080/a@b",
            "secret://db-password",
            "sk-learn",
            "risk-adjusted-returns-of-the-portfolio",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "s3://bucket/key",
            "eyJ",
            "ghp_short",
            "/mnt/data/train.csv",
        ] {
            assert_eq!(shape_of(text), None, "{text}");
        }
    }
}
