//! The host's pip settings, and what pip says while it works.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use super::{EnvironmentError, interpreter::Interpreter};
use crate::jail::Bind;

/// Where the certificate authorities are inside the build jail.
const AUTHORITIES: &str = "/authorities.pem";
/// How long pip may take to tell its settings.
const SETTINGS_TIME: Duration = Duration::from_secs(20);
/// The index when none is set, and the host it serves files from.
const DEFAULT_INDEX: &str = "https://pypi.org/simple";
const DEFAULT_FILES: &str = "files.pythonhosted.org";

/// What a build needs to know of the host's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Variables for pip in the jail. An index address may hold credentials: only the build jail sees them, no run does.
    pub variables: BTreeMap<String, String>,
    /// Hosts and ports that may be reached.
    pub hosts: BTreeSet<(String, u16)>,
    /// Directories of packages and the authorities' file, shown read-only.
    pub binds: Vec<Bind>,
}

impl Settings {
    /// Asks pip for the host's settings. They are the operator's, so they are trusted.
    pub async fn ask(interpreter: &Interpreter) -> Result<Self, EnvironmentError> {
        let mut command = Command::new(&interpreter.executable);
        command.args(["-I", "-m", "pip", "config", "list"]).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        if let Some(home) = home() {
            command.env("HOME", home);
        }
        let output = timeout(SETTINGS_TIME, command.output()).await;
        let Ok(Ok(output)) = output else {
            return Err(EnvironmentError::BadPython(
                interpreter.executable.clone(),
                String::from("its pip does not tell its settings"),
            ));
        };
        let mut settings = read(&String::from_utf8_lossy(&output.stdout));
        for (name, value) in env::vars() {
            // `pip config list` names the variables already, in its own spelling; these are for authorities alone.
            if matches!(name.as_str(), "REQUESTS_CA_BUNDLE" | "SSL_CERT_FILE") {
                settings.entry(String::from("cert")).or_insert(value);
            }
        }
        Self::from(&settings)
    }

    fn from(settings: &BTreeMap<String, String>) -> Result<Self, EnvironmentError> {
        let mut made = Self::default();
        made.set("CONFIG_FILE", "/dev/null");
        // pip's own default waits long for a host that the gate refuses.
        made.set("RETRIES", "2");
        let uses_index =
            !settings.get("no-index").is_some_and(|value| matches!(value.as_str(), "1" | "true" | "True" | "yes"));
        if uses_index {
            let index = settings.get("index-url").map_or(DEFAULT_INDEX, String::as_str);
            made.set("INDEX_URL", index);
            made.allow(index)?;
            if host_and_port(index)?.0 == "pypi.org" {
                made.hosts.insert((String::from(DEFAULT_FILES), 443));
            }
            if let Some(extra) = settings.get("extra-index-url") {
                made.set("EXTRA_INDEX_URL", extra);
                for url in extra.split_whitespace() {
                    made.allow(url)?;
                }
            }
        } else {
            made.set("NO_INDEX", "1");
        }
        if let Some(links) = settings.get("find-links") {
            let mut kept = Vec::new();
            for link in links.split_whitespace() {
                let path = Path::new(link.strip_prefix("file://").unwrap_or(link));
                if link.starts_with("https://") {
                    made.allow(link)?;
                    kept.push(link);
                } else if path.is_absolute() && path.is_dir() {
                    made.binds.push(package_directory(path));
                    kept.push(link);
                }
            }
            made.set("FIND_LINKS", &kept.join(" "));
        }
        if let Some(authorities) = settings.get("cert").filter(|path| Path::new(path).is_file()) {
            made.binds.push(package_directory_at(Path::new(authorities), AUTHORITIES));
            made.set("CERT", AUTHORITIES);
        }
        for (name, variable) in [("timeout", "TIMEOUT"), ("default-timeout", "TIMEOUT"), ("retries", "RETRIES")] {
            if let Some(value) = settings.get(name).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit())) {
                made.set(variable, value);
            }
        }
        Ok(made)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(format!("PIP_{name}"), String::from(value));
    }

    fn allow(&mut self, url: &str) -> Result<(), EnvironmentError> {
        self.hosts.insert(host_and_port(url)?);
        Ok(())
    }
}

fn package_directory(path: &Path) -> Bind {
    let target = path.to_path_buf();
    package_directory_at(path, target)
}

fn package_directory_at(path: &Path, target: impl Into<PathBuf>) -> Bind {
    Bind { executable: false, ..Bind::read_only(path, target) }
}

/// Host and port of an index address. Plain http is refused: what it serves is executed.
fn host_and_port(url: &str) -> Result<(String, u16), EnvironmentError> {
    let bad = || EnvironmentError::Index(String::from("the package index must be an https address"));
    let rest = url.strip_prefix("https://").ok_or_else(bad)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (place, 443),
    };
    if host.is_empty() {
        return Err(bad());
    }
    Ok((host.to_ascii_lowercase(), port))
}

/// Reads `pip config list`: `global.index-url='…'`, `install.…`, `:env:.…`; what comes later in that order wins.
fn read(text: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for section in ["global.", "install.", ":env:."] {
        for line in text.lines() {
            let Some((name, value)) = line.strip_prefix(section).and_then(|rest| rest.split_once('=')) else {
                continue;
            };
            let value = value.trim();
            let value =
                value.strip_prefix(['\'', '"']).and_then(|rest| rest.strip_suffix(['\'', '"'])).unwrap_or(value);
            settings.insert(String::from(name.trim()), value.replace("\\n", " ").replace("\\\\", "\\"));
        }
    }
    settings
}

fn home() -> Option<PathBuf> {
    // The real user's: in the agent's own user namespace the id would be another.
    env::var_os("HOME").map(PathBuf::from).or_else(|| {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
        Some(user.dir)
    })
}

/// Listens to pip: one line for people at a time, and the last words for when it fails.
#[derive(Debug, Default)]
pub struct Listener {
    last: Vec<String>,
    errors: Vec<String>,
}

impl Listener {
    /// How many lines are kept.
    const KEPT: usize = 12;

    /// Hears a line; says what to tell people, when there is something to tell.
    pub fn hear(&mut self, line: &str) -> Option<String> {
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        let line: String = line.chars().filter(|letter| !letter.is_control()).take(300).collect();
        // `Could not fetch` is a warning to pip, and the reason for the error that follows to everybody else.
        let error =
            line.strip_prefix("ERROR: ").or_else(|| line.contains("Could not fetch URL").then_some(line.as_str()));
        if let Some(error) = error
            && self.errors.len() < Self::KEPT
        {
            self.errors.push(String::from(error));
        }
        if self.last.len() == Self::KEPT {
            self.last.remove(0);
        }
        self.last.push(line.clone());
        let (word, rest) = line.split_once(' ')?;
        match word {
            "Collecting" => Some(format!("collecting {}", first(rest))),
            "Downloading" => Some(format!("downloading {rest}")),
            "Building" => Some(format!("building {rest}")),
            "Installing" => rest
                .strip_prefix("collected packages: ")
                .map(|names| format!("installing {} packages", names.split(", ").count())),
            _ => None,
        }
    }

    /// The reason in pip's own words.
    pub fn reason(&self) -> String {
        let lines = if self.errors.is_empty() { &self.last } else { &self.errors };
        let from = lines.len().saturating_sub(3);
        let text = lines.get(from..).unwrap_or_default().join("; ");
        if text.is_empty() { String::from("pip said nothing") } else { text }
    }
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_settings_become_walls_and_variables() {
        let text = ":env:.index-url='https://me:secret@pkg.example:8443/simple'\nglobal.index-url='https://old.example'\n\
                    global.extra-index-url='https://a.example/x\\nhttps://b.example/y'\n";
        let settings = Settings::from(&read(text)).unwrap();
        let hosts: Vec<_> = settings.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        assert_eq!(hosts, ["a.example:443", "b.example:443", "pkg.example:8443"]);
        assert_eq!(settings.variables["PIP_CONFIG_FILE"], "/dev/null");
    }

    #[test]
    fn without_settings_it_is_the_public_index() {
        let settings = Settings::from(&BTreeMap::new()).unwrap();
        assert!(settings.hosts.contains(&(String::from("pypi.org"), 443)));
        assert!(settings.hosts.contains(&(String::from("files.pythonhosted.org"), 443)));
        assert!(
            Settings::from(&BTreeMap::from([(String::from("index-url"), String::from("http://plain.example"))]))
                .is_err()
        );
    }

    #[test]
    fn pip_is_heard() {
        let mut listener = Listener::default();
        assert_eq!(listener.hear("Collecting numpy==2 (from -r x)").as_deref(), Some("collecting numpy==2"));
        assert_eq!(listener.hear("Installing collected packages: a, b").as_deref(), Some("installing 2 packages"));
        assert_eq!(listener.hear("  Using cached"), None);
        listener.hear("ERROR: No matching distribution found for nope");
        assert_eq!(listener.reason(), "No matching distribution found for nope");
    }
}
