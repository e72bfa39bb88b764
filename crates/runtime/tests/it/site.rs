//! Python packages and trained models, made once and kept below the target directory.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

/// Exactly these, so that what is kept can be told from what is wanted.
const PINS: &[&str] = &[
    "onnxruntime==1.31.1",
    "onnx==1.23.2",
    "scikit-learn==1.9.1",
    "scipy==1.17.1",
    "skl2onnx==1.20.0",
    "numpy==2.4.6",
    "inference-schema==1.8",
    "azureml-contrib-services==1.62.0",
    "flask==3.1.3",
];
const MAKE_MODELS: &str = include_str!("../make_models.py");

/// Where things are.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// For `PYTHONPATH`.
    pub packages: &'static Path,
    /// ONNX files and, beside each, what scikit-learn predicts.
    pub models: &'static Path,
    /// The shared library.
    pub onnxruntime: &'static Path,
}

impl Site {
    /// Names without places, for listing.
    #[expect(clippy::unnecessary_wraps, reason = "stands beside `prepare`")]
    pub fn nowhere() -> Result<Self, String> {
        let none = Path::new("");
        Ok(Self { packages: none, models: none, onnxruntime: none })
    }

    /// Installs and trains what is not there yet.
    ///
    /// # Errors
    /// Why it cannot be: no interpreter, no package index.
    pub fn prepare() -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        (PINS, MAKE_MODELS).hash(&mut hasher);
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("runtime-{:016x}", hasher.finish()));
        // One process at a time: a runner may start one for each test.
        let lock = File::create(kept.with_extension("lock")).map_err(|error| error.to_string())?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error.to_string())?;
        if !kept.exists() {
            // Made aside and renamed, so that what exists is whole.
            let aside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
            make(aside.path())?;
            fs::rename(aside.keep(), &kept).map_err(|error| error.to_string())?;
        }
        drop(lock);
        let packages = kept.join("packages");
        let onnxruntime = fs::read_dir(packages.join("onnxruntime/capi"))
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime.so")))
            .ok_or("the wheel holds no libonnxruntime.so")?;
        let leak = |path: PathBuf| -> &'static Path { Box::leak(path.into_boxed_path()) };
        Ok(Self { packages: leak(packages), models: leak(kept.join("models")), onnxruntime: leak(onnxruntime) })
    }
}

fn make(place: &Path) -> Result<(), String> {
    let packages = place.join("packages");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target"]).arg(&packages).args(PINS);
    run(pip).map_err(|why| format!("no package index: {why}"))?;
    let mut models = Command::new("python3");
    models.args(["-c", MAKE_MODELS]).arg(place.join("models")).env("PYTHONPATH", &packages);
    // Packages that are there and do not work are no reason to skip.
    run(models).unwrap_or_else(|why| panic!("cannot train the models: {why}"));
    Ok(())
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said
        .lines()
        .rfind(|line| line.starts_with("ERROR") || !line.trim().is_empty())
        .unwrap_or("no reason")
        .to_owned())
}
