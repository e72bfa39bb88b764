//! The address of an environment: what was asked for, in one form, hashed.
//!
//! The hash addresses a cache of public packages and protects nothing, so it is not one of the cryptographic uses that
//! live with the keys; it only must not collide.

use sha2::{Digest, Sha256};

use super::{EnvironmentError, interpreter::Interpreter};

/// Counts changes of the layout of a prepared environment.
const FORMAT: &str = "1";
/// The longest requirements text.
const LONGEST: usize = 64 << 10;

/// The requirements in one form: no comments, no blank lines, no double spaces, sorted.
pub fn normalise(text: &str) -> Result<Vec<String>, EnvironmentError> {
    if text.len() > LONGEST {
        return Err(EnvironmentError::Requirement(String::from("the text is too long")));
    }
    let joined = text.replace("\r\n", "\n").replace("\\\n", " ");
    let mut lines = Vec::new();
    for line in joined.lines() {
        // A comment begins a line or follows white space, as pip reads it.
        let line = match line.find('#') {
            Some(0) => "",
            Some(at) if line.get(..at).is_some_and(|head| head.ends_with(char::is_whitespace)) => {
                line.get(..at).unwrap_or_default()
            }
            _ => line,
        };
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            continue;
        }
        check(&line)?;
        lines.push(line);
    }
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// A requirement names a package of the index, a version and perhaps hashes; nothing that leads pip elsewhere.
fn check(line: &str) -> Result<(), EnvironmentError> {
    let refuse = |why: &str| Err(EnvironmentError::Requirement(format!("`{}`: {why}", shortened(line))));
    if line.starts_with('-') {
        return refuse("options are not allowed in requirements; the package index is the host's setting");
    }
    if !line.starts_with(|first: char| first.is_ascii_alphanumeric())
        || !line.bytes().all(|byte| (32..127).contains(&byte))
    {
        return refuse("it does not begin with the name of a package");
    }
    if line.contains("://") || line.contains('/') || line.contains('@') {
        return refuse("links and paths are not allowed; name a version that the package index has");
    }
    if line.contains("${") {
        return refuse("variables are not allowed");
    }
    let options_allowed = line.split(" --").skip(1).all(|option| option.starts_with("hash=sha"));
    if !options_allowed || line.contains(" -e") || line.contains(" -r ") {
        return refuse("of the options only `--hash` is allowed");
    }
    Ok(())
}

fn shortened(line: &str) -> String {
    line.chars().take(80).collect()
}

/// The address of an environment for this interpreter.
pub fn address(interpreter: &Interpreter, requirements: &[String], allow_source: bool) -> String {
    let source = if allow_source { "source" } else { "wheels" };
    let executable = interpreter.executable.to_string_lossy();
    let mut parts: Vec<&[u8]> = vec![
        FORMAT.as_bytes(),
        executable.as_bytes(),
        interpreter.version.as_bytes(),
        interpreter.platform.as_bytes(),
        source.as_bytes(),
    ];
    parts.extend(requirements.iter().map(|line| line.as_bytes()));
    digest(parts)
}

/// SHA-256 over parts, each preceded by its length so that no two lists of parts look alike.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_have_one_form() {
        let one = normalise("numpy==2.1.0  # arrays\n\n# all\nscikit-learn>=1.5 ; python_version > '3.9'\r\n").unwrap();
        let two = normalise("scikit-learn>=1.5   ; python_version > '3.9'\nnumpy==2.1.0").unwrap();
        assert_eq!(one, two);
        assert_eq!(one.len(), 2);
        let hashed = normalise(
            "six==1.16.0 \\\n  --hash=sha256:1e61c37477a1626458e36f7b1d82aa5c9b094fa4802892072e49de9c60c4c926",
        );
        assert!(hashed.is_ok(), "{hashed:?}");
    }

    #[test]
    fn requirements_lead_nowhere_else() {
        for line in [
            "--index-url https://evil.example/simple",
            "-e .",
            "-r /etc/passwd",
            "./local",
            "/abs/x.whl",
            "dir/x.whl",
            "a @ https://evil.example/a.whl",
            "git+https://evil.example/a",
            "https://evil.example/a.whl",
            "a==${HOME}",
            "a --global-option=x",
            "a --hash=sha256:aa --config-settings=x",
            "a\u{0}b",
        ] {
            assert!(normalise(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_address_tells_everything_apart() {
        let python = Interpreter {
            executable: "/usr/bin/python3.11".into(),
            prefix: "/usr".into(),
            exec_prefix: "/usr".into(),
            version: "3.11.2".into(),
            short: "3.11".into(),
            platform: "linux".into(),
            pip: None,
        };
        let lines = |words: &[&str]| words.iter().map(|word| String::from(*word)).collect::<Vec<_>>();
        let first = address(&python, &lines(&["a", "b"]), false);
        assert_eq!(first.len(), 64);
        assert_ne!(first, address(&python, &lines(&["ab"]), false));
        assert_ne!(first, address(&python, &lines(&["a", "b"]), true));
        assert_eq!(first, address(&python, &lines(&["a", "b"]), false));
    }
}
