//! The host's Python: found once, remembered by the file it is, so that a run with a cached environment starts no Python.

use std::{
    env, fs, io,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use super::{EnvironmentError, key::digest};

/// Names the interpreter outright, instead of the first `python3` in `PATH`.
pub const PYTHON_VARIABLE: &str = "BARTIZAN_PYTHON";

/// How long the interpreter may take to describe itself.
const DISCOVERY_TIME: Duration = Duration::from_secs(20);

/// What it says about itself. The real interpreter is asked for, below any virtual environment or shim.
const QUESTION: &str = "import importlib.util as u, json, os, sys, sysconfig\n\
    pip = u.find_spec('pip')\n\
    print(json.dumps({'executable': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),\n\
    'prefix': sys.base_prefix, 'exec_prefix': sys.base_exec_prefix,\n\
    'version': '.'.join(map(str, sys.version_info[:3])), 'short': '.'.join(map(str, sys.version_info[:2])),\n\
    'platform': sysconfig.get_platform() + ' ' + str(sysconfig.get_config_var('SOABI')),\n\
    'pip': list(pip.submodule_search_locations)[0] if pip else None}))";

/// A Python interpreter of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// The executable itself, no link and no shim.
    pub executable: PathBuf,
    /// Where its library is.
    pub prefix: PathBuf,
    /// Where the machine-dependent part of its library is.
    pub exec_prefix: PathBuf,
    /// `3.11.7`
    pub version: String,
    /// `3.11`
    pub short: String,
    /// Platform and binary interface.
    pub platform: String,
    /// Its pip, if it has one.
    pub pip: Option<PathBuf>,
}

impl Interpreter {
    /// Finds the interpreter, from `cache` when it was asked before.
    pub async fn find(cache: &Path) -> Result<Self, EnvironmentError> {
        let found = candidate().ok_or(EnvironmentError::NoPython)?;
        let fingerprint = fingerprint(&found).map_err(EnvironmentError::cache)?;
        let directory = cache.join("interpreters");
        let file = directory.join(digest([fingerprint.as_bytes()]));
        if let Ok(text) = fs::read(&file)
            && let Ok(known) = serde_json::from_slice::<Self>(&text)
            && known.executable.exists()
        {
            return Ok(known);
        }
        let known = ask(&found).await?;
        // Only a shortcut: without it the next run asks again.
        let remembered = fs::create_dir_all(&directory).and_then(|()| replace(&file, &serde_json::to_vec(&known)?));
        if let Err(error) = remembered {
            tracing::warn!(%error, "the interpreter's description could not be cached");
        }
        Ok(known)
    }

    /// The directories that a jail has to show for this interpreter to work, beside the system's libraries.
    pub fn directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<PathBuf> = Vec::new();
        let bin = self.executable.parent().map(Path::to_path_buf);
        for directory in [Some(self.prefix.clone()), Some(self.exec_prefix.clone()), bin].into_iter().flatten() {
            // An interpreter of a store of packages finds its libraries in neighbours.
            let directory = if directory.starts_with("/nix/store") { PathBuf::from("/nix/store") } else { directory };
            let shown = directory.starts_with("/usr") || directories.iter().any(|known| directory.starts_with(known));
            if !shown {
                directories.push(directory);
            }
        }
        directories
    }
}

/// The interpreter to ask: the one that was configured, or the first `python3` that can be executed.
fn candidate() -> Option<PathBuf> {
    if let Some(configured) = env::var_os(PYTHON_VARIABLE) {
        return Some(PathBuf::from(configured));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("python3"))
        .find(|file| fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0))
}

/// Changes whenever the answer could: the file's identity; and for a version manager's shim, which is a script, the
/// file beside it that names the version in use.
fn fingerprint(file: &Path) -> io::Result<String> {
    let real = fs::canonicalize(file)?;
    let mut text = identity(&real)?;
    let mut head = [0_u8; 2];
    fs::File::open(&real)?.read_exact(&mut head)?;
    if &head == b"#!"
        && let Some(chosen) = real.parent().and_then(Path::parent).map(|root| root.join("version"))
    {
        text.push_str(&fs::read_to_string(chosen).unwrap_or_default());
    }
    Ok(text)
}

fn identity(file: &Path) -> io::Result<String> {
    let found = fs::metadata(file)?;
    Ok(format!("{}\n{} {} {} {}\n", file.display(), found.dev(), found.ino(), found.size(), found.mtime_nsec()))
        .map(|text| format!("{text}{}\n", found.mtime()))
}

async fn ask(python: &Path) -> Result<Interpreter, EnvironmentError> {
    let asking = Command::new(python)
        .args(["-I", "-c", QUESTION])
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(DISCOVERY_TIME, asking)
        .await
        .map_err(|_| EnvironmentError::BadPython(python.to_path_buf(), String::from("it does not answer")))?
        .map_err(|error| EnvironmentError::BadPython(python.to_path_buf(), error.to_string()))?;
    let said = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    let known: Interpreter = serde_json::from_slice(said).map_err(|_| {
        let words = String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect();
        EnvironmentError::BadPython(python.to_path_buf(), words)
    })?;
    if known.prefix == Path::new("/") || known.prefix.components().count() < 2 {
        return Err(EnvironmentError::BadPython(python.to_path_buf(), String::from("its prefix is the whole host")));
    }
    Ok(known)
}

/// Writes a small file whole or not at all.
pub fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(name);
    fs::write(&fresh, bytes)?;
    fs::rename(&fresh, file)
}
