//! `D.env`: what a shell needs to use the server; mode 0600, since it holds credentials.

use std::path::Path;

use super::data_dir::write_whole;
use crate::failure::Failure;

/// Variables in the order they are written.
#[derive(Default)]
pub struct EnvFile {
    lines: Vec<(String, String)>,
}

impl EnvFile {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        match self.lines.iter_mut().find(|(known, _)| known == name) {
            Some(line) => line.1 = value,
            None => self.lines.push((name.to_owned(), value)),
        }
        self
    }

    /// Reads the variables of a file this wrote.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|fault| Failure::new(format!("cannot read {}: {fault}", path.display())))?;
        let mut file = Self::default();
        for line in text.lines() {
            let pair = line.strip_prefix("export ").and_then(|pair| pair.split_once('='));
            if let Some((name, quoted)) = pair {
                file.set(name, unquote(quoted));
            }
        }
        Ok(file)
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let lines = self.lines.iter().map(|(name, value)| format!("export {name}={}\n", quote(value)));
        write_whole(path, lines.collect::<String>().as_bytes(), 0o600)
    }
}

/// POSIX single quotes: nothing inside is special but the quote itself.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn unquote(quoted: &str) -> String {
    let inner = quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(quoted);
    inner.replace("'\\''", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_survives_the_shell_s_quotes() {
        for value in ["plain", "it's", "a b $HOME `id` \"x\"", ""] {
            assert_eq!(unquote(&quote(value)), value);
        }
    }
}
