//! What is trained: a scikit-learn pipeline exported to ONNX, or, without a package index, a classifier in plain Python.

use std::{fs, path::PathBuf};

use crate::failure::Failure;

/// The files of one training, in a folder of their own that goes away afterwards.
pub struct Plan {
    folder: tempfile::TempDir,
    canary: String,
    is_offline: bool,
}

const ONLINE: &[(&str, &str)] = &[
    ("code/train.py", include_str!("online/train.py")),
    ("code/requirements.txt", include_str!("online/requirements.txt")),
];
const OFFLINE: &[(&str, &str)] = &[
    ("code/train.py", include_str!("offline/train.py")),
    ("code/iris.csv", include_str!("offline/iris.csv")),
    ("serving/score.py", include_str!("offline/score.py")),
];

impl Plan {
    /// Writes the files. Each contains a canary, to be looked for afterwards.
    pub fn new(is_offline: bool) -> Result<Self, Failure> {
        let canary = format!("canary-{}", seal::hex(&seal::random::<16>().map_err(kernel::Error::from)?));
        let folder = tempfile::tempdir()?;
        for (name, content) in if is_offline { OFFLINE } else { ONLINE } {
            let path = folder.path().join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mark = if name.ends_with(".csv") { String::new() } else { format!("# {canary}\n") };
            fs::write(path, format!("{content}{mark}"))?;
        }
        Ok(Self { folder, canary, is_offline })
    }

    /// A random text that is in the code, a parameter, a variable and an output.
    pub fn canary(&self) -> &str {
        &self.canary
    }

    /// The training code.
    pub fn code_dir(&self) -> PathBuf {
        self.folder.path().join("code")
    }

    /// The model among the job's outputs.
    pub fn model_path(&self) -> &'static str {
        if self.is_offline { "outputs/model.json" } else { "outputs/model.onnx" }
    }

    /// The folder with the entry script, if the model needs one.
    pub fn serving_dir(&self) -> Option<PathBuf> {
        self.is_offline.then(|| self.folder.path().join("serving"))
    }

    /// The entry script.
    pub fn entry_script(&self) -> Option<&'static str> {
        self.is_offline.then_some("score.py")
    }

    /// A scoring request: rows of the data set with known answers (malignant, benign; virginica, setosa).
    pub fn score_body(&self) -> &'static str {
        let body = if self.is_offline { include_str!("offline/body.json") } else { include_str!("online/body.json") };
        body.trim_end()
    }

    /// Texts that the training data consists of, to be looked for in the data directory.
    pub fn data_rows(&self) -> Vec<&'static str> {
        if self.is_offline {
            OFFLINE.iter().filter(|(name, _)| name.ends_with(".csv")).flat_map(|(_, csv)| csv.lines()).collect()
        } else {
            include_str!("online/rows.txt").lines().collect()
        }
    }
}
