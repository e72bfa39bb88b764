//! Code snapshots: walking a folder, sending what the server does not have, and bringing a tree back.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use ignore::WalkBuilder;
use outbound::Method;
use seal::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Session, SessionOptions, tell};
use crate::failure::Failure;

/// Commands on snapshots.
#[derive(Subcommand)]
pub enum Command {
    /// Upload a folder. Honours `.amlignore`, or `.gitignore` where there is no `.amlignore`; sends only what is new.
    Create {
        /// The folder.
        dir: PathBuf,
        /// Name of the code asset. Default: the snapshot's id.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Bring a snapshot back, byte for byte.
    Restore {
        /// Name of the code asset.
        name: String,
        /// Its version.
        #[arg(long, default_value = "1")]
        version: String,
        /// An empty or missing folder to write to.
        #[arg(long)]
        to: PathBuf,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// One file of a tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct File {
    path: String,
    length: u64,
    sha256: String,
    #[serde(default)]
    executable: bool,
}

/// An uploaded snapshot.
pub struct Snapshot {
    /// Resource id of the code asset.
    pub code_id: String,
    /// The server's id of the tree: the same tree has the same id.
    pub id: String,
    /// Files in it.
    pub files: usize,
    /// Files that had to be sent.
    pub sent: usize,
    /// Bytes that had to be sent.
    pub sent_bytes: u64,
}

/// Largest pack of files in one request; the server refuses more.
const PACK_BYTES: u64 = 48 << 20;
const PACK_FILES: usize = 1000;

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { dir, name, session } => {
                let open = Session::open(&session).await?;
                let made = upload(&open, &dir, name).await?;
                let value = json!({
                    "id": made.code_id, "snapshotId": made.id, "files": made.files,
                    "filesSent": made.sent, "bytesSent": made.sent_bytes,
                });
                let sentence = format!(
                    "snapshot {}: {} files, {} sent ({} bytes)\n{}",
                    made.id, made.files, made.sent, made.sent_bytes, made.code_id
                );
                session.output.done(&sentence, &value)
            }
            Self::Restore { name, version, to, session } => {
                let open = Session::open(&session).await?;
                let files = restore(&open, &name, &version, &to).await?;
                let sentence = format!("{files} files restored to {}", to.display());
                session.output.done(&sentence, &json!({"files": files}))
            }
        }
    }
}

/// Uploads a folder and registers it as a code asset.
pub async fn upload(session: &Session, dir: &Path, name: Option<String>) -> Result<Snapshot, Failure> {
    let files = walk(dir)?;
    if files.is_empty() {
        return Err(Failure::usage(format!("{} holds no files to upload", dir.display())));
    }
    let workspace = session.workspace()?;
    let missing = ask_missing(session, &workspace, &files).await?;
    let mut sent = 0;
    let mut sent_bytes = 0;
    let mut wanted: BTreeMap<&str, &File> = BTreeMap::new();
    for file in files.iter().filter(|file| missing.contains(&file.sha256)) {
        wanted.entry(&file.sha256).or_insert(file);
    }
    for pack in packs(wanted.into_values().collect()) {
        let body = build_pack(dir, &pack)?;
        sent += pack.len();
        sent_bytes += pack.iter().map(|file| file.length).sum::<u64>();
        let call = session.call(Method::POST, &format!("{workspace}/snapshots/packs"));
        call.body("application/octet-stream", body).send().await?.success().await?;
    }
    let name = name.unwrap_or_else(|| tree_name(&files));
    let place = format!("{workspace}/codes/{name}/versions/1");
    let properties = json!({"files": files, "properties": git_facts(dir)});
    let code = session.put(&place, &json!({"properties": properties})).await?;
    for warning in code.pointer("/properties/warnings").and_then(Value::as_array).into_iter().flatten() {
        tell(&format!("warning: {}", warning.as_str().unwrap_or_default()));
    }
    let text = |pointer: &str| code.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Snapshot { code_id: text("/id"), id: text("/properties/snapshotId"), files: files.len(), sent, sent_bytes })
}

async fn ask_missing(session: &Session, workspace: &str, files: &[File]) -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    for part in files.chunks(5000) {
        let body: Vec<Value> = part.iter().map(|file| json!({"sha256": file.sha256, "length": file.length})).collect();
        let answer = session.post(&format!("{workspace}/snapshots/missing"), &json!({"files": body})).await?;
        let found = answer.get("missing").and_then(Value::as_array).cloned().unwrap_or_default();
        missing.extend(found.iter().filter_map(|hash| hash.as_str().map(str::to_owned)));
    }
    Ok(missing)
}

/// Groups files so that each request stays within bounds.
fn packs(files: Vec<&File>) -> Vec<Vec<&File>> {
    let mut packs: Vec<Vec<&File>> = Vec::new();
    let mut size = 0;
    for file in files {
        let is_full = packs.last().is_none_or(|pack| pack.len() >= PACK_FILES || size + file.length > PACK_BYTES);
        if is_full {
            packs.push(Vec::new());
            size = 0;
        }
        size += file.length;
        if let Some(pack) = packs.last_mut() {
            pack.push(file);
        }
    }
    packs
}

/// `sha256 (32 bytes) ‖ length (u64, big-endian) ‖ bytes`, repeated.
fn build_pack(dir: &Path, pack: &[&File]) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    for file in pack {
        let content = fs::read(dir.join(&file.path))?;
        let changed = || Failure::new(format!("{} changed while it was uploaded; try again", file.path));
        let hash = Sha256::of(&content);
        if seal::hex(&hash) != file.sha256 {
            return Err(changed());
        }
        body.extend_from_slice(&hash);
        body.extend_from_slice(&file.length.to_be_bytes());
        body.extend_from_slice(&content);
    }
    Ok(body)
}

/// The regular files of a folder that are not ignored, by path. Links and special files are named and left out.
fn walk(dir: &Path) -> Result<Vec<File>, Failure> {
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{} is not a folder", dir.display())));
    }
    let mut walker = WalkBuilder::new(dir);
    // Only what lies in the folder decides: no global or parent rules, which other machines do not have.
    walker.standard_filters(false).hidden(false).parents(false).require_git(false).follow_links(false);
    if dir.join(".amlignore").exists() {
        walker.add_custom_ignore_filename(".amlignore");
    } else {
        walker.git_ignore(true);
    }
    walker.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
    let mut files = Vec::new();
    for entry in walker.build() {
        let entry = entry.map_err(|fault| Failure::new(fault.to_string()))?;
        let Some(kind) = entry.file_type().filter(|kind| !kind.is_dir()) else { continue };
        if !kind.is_file() {
            tell(&format!("left out, since it is no regular file: {}", entry.path().display()));
            continue;
        }
        files.push(describe(dir, entry.path())?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn describe(dir: &Path, path: &Path) -> Result<File, Failure> {
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let name = relative.to_str().ok_or_else(|| Failure::new(format!("the name of {} is not UTF-8", path.display())))?;
    let mut hash = Sha256::default();
    let mut file = fs::File::open(path)?;
    let mut length: u64 = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        length += u64::try_from(count).unwrap_or(u64::MAX);
    }
    let executable = file.metadata()?.permissions().mode() & 0o100 != 0;
    Ok(File { path: name.to_owned(), length, sha256: seal::hex(&hash.finish()), executable })
}

/// A name for the code asset that depends on the tree alone.
fn tree_name(files: &[File]) -> String {
    let mut hash = Sha256::default();
    for file in files {
        hash.update(format!("{}\0{}\0{}\0", file.path, file.sha256, file.executable).as_bytes());
    }
    seal::hex(&hash.finish()).chars().take(32).collect()
}

/// Where the code came from, if the folder is in a git work tree: best effort, never a reason to fail.
fn git_facts(dir: &Path) -> BTreeMap<&'static str, String> {
    let git = |arguments: &[&str]| {
        let run = std::process::Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
        run.status.success().then(|| String::from_utf8_lossy(&run.stdout).trim().to_owned())
    };
    let mut facts = BTreeMap::new();
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return facts };
    facts.insert("azureml.git.commit", commit);
    let asked = [
        ("azureml.git.repository_uri", git(&["config", "--get", "remote.origin.url"])),
        ("azureml.git.branch", git(&["rev-parse", "--abbrev-ref", "HEAD"])),
        ("azureml.git.dirty", git(&["status", "--porcelain", "."]).map(|changes| (!changes.is_empty()).to_string())),
    ];
    facts.extend(asked.into_iter().filter_map(|(name, value)| Some((name, value?))));
    facts
}

async fn restore(session: &Session, name: &str, version: &str, to: &Path) -> Result<usize, Failure> {
    let workspace = session.workspace()?;
    let code: Value = session.get(&format!("{workspace}/codes/{name}/versions/{version}")).await?;
    let files = code.pointer("/properties/files").cloned().unwrap_or_default();
    let files: Vec<File> = serde_json::from_value(files).map_err(|fault| Failure::new(fault.to_string()))?;
    fs::create_dir_all(to)?;
    if fs::read_dir(to)?.next().is_some() {
        return Err(Failure::usage(format!("{} is not empty", to.display())));
    }
    let mut known: HashMap<String, Vec<u8>> = HashMap::new();
    for file in &files {
        let path = safe_path(to, &file.path)?;
        if !known.contains_key(&file.sha256) {
            let call = session.call(Method::GET, &format!("{workspace}/snapshots/files/{}", file.sha256));
            let content = call.send().await?.success().await?.bytes(512 << 20).await?.to_vec();
            if seal::sha256_hex(&content) != file.sha256 {
                return Err(Failure::new(format!("{} did not arrive as it was stored", file.path)));
            }
            known.clear();
            known.insert(file.sha256.clone(), content);
        }
        let content = known.get(&file.sha256).map(Vec::as_slice).unwrap_or_default();
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(files.len())
}

/// A path from a manifest, joined below a folder; one that would leave it is refused, whatever the server says.
fn safe_path(to: &Path, path: &str) -> Result<PathBuf, Failure> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\0']);
    if path.split('/').all(is_plain) {
        Ok(to.join(path))
    } else {
        Err(Failure::new(format!("refused the path `{path}`")))
    }
}
