//! The files of a snapshot and the layers of an image, from the server into the scratch.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use futures::{StreamExt, TryStreamExt, stream};
use http_body_util::BodyExt;
use tar::{Archive, EntryType};
use tokio::time::timeout;
use wire::agent::{Input, InputFile, Layer, SnapshotFile};

use super::{
    collect::relative,
    server::{Server, ServerError},
    transport::Body,
};
use crate::{jail::Owner, scratch::hand_over};

/// How many files travel at once.
const TOGETHER: usize = 8;
/// How many files an image may hold.
const MOST_ENTRIES: usize = 200_000;
/// How long the server may pause within a file.
const PAUSE: Duration = Duration::from_secs(60);
/// How often a file is asked for.
const ATTEMPTS: usize = 4;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// What was fetched is not what was announced.
    #[error("`{0}`: {1}")]
    Content(String, String),
    /// The scratch.
    #[error("`{0}` could not be written: {1}")]
    Scratch(String, io::Error),
}

/// Fetches the files of a snapshot into the working directory, which the program owns.
///
/// Lengths are checked here. The hash is not: the server has verified it while unsealing the bytes it sends, over a
/// connection that authenticates them.
pub async fn files(server: &Server, files: &[SnapshotFile], work: &Path, owner: Owner) -> Result<(), FetchError> {
    let mut places = Vec::with_capacity(files.len());
    let mut made = BTreeSet::new();
    for file in files {
        let Some(name) = relative(&file.path) else {
            return Err(FetchError::Content(file.path.clone(), String::from("not a path below the snapshot")));
        };
        directories(work, &name, owner, &mut made).map_err(|error| FetchError::Scratch(file.path.clone(), error))?;
        places.push((file, work.join(name)));
    }
    stream::iter(places)
        .map(|(file, place)| async move { one_file(server, file, &place, owner).await })
        .buffer_unordered(TOGETHER)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

async fn one_file(server: &Server, file: &SnapshotFile, place: &Path, owner: Owner) -> Result<(), FetchError> {
    let mode = if file.executable { 0o755 } else { 0o644 };
    let written = |error| FetchError::Scratch(file.path.clone(), error);
    let target = OpenOptions::new().write(true).create_new(true).mode(mode).open(place).map_err(written)?;
    if file.length > 0 {
        receive(&file.path, file.length, &target, || server.file(&file.sha256)).await?;
    }
    hand_over(place, owner).map_err(|error| written(io::Error::other(error)))
}

/// Fetches the inputs of a job below `base`, a directory per input. They stay the agent's: the program may read them and change nothing.
pub async fn inputs(server: &Server, inputs: &[Input], base: &Path) -> Result<(), FetchError> {
    fs::create_dir(base)
        .and_then(|()| fs::set_permissions(base, fs::Permissions::from_mode(0o755)))
        .map_err(|error| FetchError::Scratch(String::from("inputs"), error))?;
    let keeps = Owner { id: 0, changes: false };
    let (mut places, mut made) = (Vec::new(), BTreeSet::new());
    for input in inputs {
        let strange = |path: &str| FetchError::Content(path.to_owned(), String::from("not a path below the input"));
        // One name, which is no path.
        let directory = relative(&input.name).filter(|name| name.components().count() == 1);
        let directory = directory.ok_or_else(|| strange(&input.name))?;
        for (index, file) in input.files.iter().enumerate() {
            let name = directory.join(relative(&file.path).ok_or_else(|| strange(&file.path))?);
            directories(base, &name, keeps, &mut made)
                .map_err(|error| FetchError::Scratch(file.path.clone(), error))?;
            places.push((input.name.as_str(), index, file, base.join(name)));
        }
    }
    stream::iter(places)
        .map(|(name, index, file, place)| async move { one_of_input(server, name, index, file, &place).await })
        .buffer_unordered(TOGETHER)
        .try_collect::<Vec<()>>()
        .await
        .map(drop)
}

async fn one_of_input(
    server: &Server,
    name: &str,
    index: usize,
    file: &InputFile,
    place: &Path,
) -> Result<(), FetchError> {
    let written = |error| FetchError::Scratch(file.path.clone(), error);
    let target = OpenOptions::new().write(true).create_new(true).mode(0o444).open(place).map_err(written)?;
    fs::set_permissions(place, fs::Permissions::from_mode(0o444)).map_err(written)?;
    if file.length > 0 {
        receive(&file.path, file.length, &target, || server.input(name, index)).await?;
    }
    Ok(())
}

/// Receives exactly `length` bytes; asks again when the connection breaks in between.
async fn receive<F>(name: &str, length: u64, target: &fs::File, open: impl Fn() -> F) -> Result<(), FetchError>
where
    F: Future<Output = Result<Body, ServerError>>,
{
    let mut broken = String::new();
    for _ in 0..ATTEMPTS {
        let mut body = open().await?;
        target.set_len(0).map_err(|error| FetchError::Scratch(String::from(name), error))?;
        let mut file = target;
        io::Seek::rewind(&mut file).map_err(|error| FetchError::Scratch(String::from(name), error))?;
        let mut count = 0_u64;
        let whole = loop {
            let frame = match timeout(PAUSE, body.frame()).await {
                Ok(None) => break true,
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    broken = error.to_string();
                    break false;
                }
                Err(_) => {
                    broken = String::from("the server paused for too long");
                    break false;
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            count = count.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if count > length {
                return Err(FetchError::Content(String::from(name), String::from("longer than announced")));
            }
            file.write_all(&data).map_err(|error| FetchError::Scratch(String::from(name), error))?;
        };
        if whole && count == length {
            return Ok(());
        }
        if whole {
            return Err(FetchError::Content(String::from(name), String::from("shorter than announced")));
        }
    }
    Err(FetchError::Content(String::from(name), broken))
}

/// Makes the directories above a file, each the owner's.
fn directories(base: &Path, name: &Path, owner: Owner, made: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let Some(parent) = name.parent() else { return Ok(()) };
    let mut place = base.to_path_buf();
    for part in parent.components() {
        place.push(part);
        if made.insert(place.clone()) && !place.is_dir() {
            fs::create_dir(&place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
            hand_over(&place, owner).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// Fetches and unpacks the layers of an image, lowest first, into `image`. `most` bounds the bytes of all files.
pub async fn layers(server: &Server, layers: &[Layer], image: &Path, most: u64) -> Result<(), FetchError> {
    let mut left = most;
    let mut entries = MOST_ENTRIES;
    for layer in layers {
        let written = |error| FetchError::Scratch(layer.digest.clone(), error);
        let packed = image.with_extension("layer");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&packed).map_err(written)?;
        receive(&layer.digest, layer.size, &file, || server.layer(&layer.digest)).await?;
        fs::remove_file(&packed).map_err(written)?;
        let compressed = match layer.media_type.rsplit_once('.').map(|(_, kind)| kind) {
            Some("tar") => false,
            Some("tar+gzip") => true,
            _ => {
                let words = format!("layers of type `{}` are not understood", layer.media_type);
                return Err(FetchError::Content(layer.digest.clone(), words));
            }
        };
        let image = image.to_path_buf();
        let work = move || -> io::Result<(u64, usize)> {
            let mut file = file;
            io::Seek::rewind(&mut file)?;
            let source: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
            unpack(source, &image, &mut left, &mut entries)?;
            Ok((left, entries))
        };
        let unpacked = tokio::task::spawn_blocking(work).await.map_err(|error| written(io::Error::other(error)))?;
        (left, entries) = unpacked.map_err(|error| FetchError::Content(layer.digest.clone(), error.to_string()))?;
    }
    Ok(())
}

/// Unpacks plain files and directories; anything else in a layer refuses it. The tree holds no links and nobody else
/// writes to it, so paths made of plain names stay below it.
fn unpack(source: impl Read, image: &Path, left: &mut u64, entries: &mut usize) -> io::Result<()> {
    // Headers and padding count too: an archive of nothing but headers must end.
    let bounded = source.take(left.saturating_mul(2).saturating_add(64 << 20));
    let mut archive = Archive::new(bounded);
    for entry in archive.entries()? {
        let mut entry = entry?;
        *entries = entries.checked_sub(1).ok_or_else(|| refused("the image holds too many files"))?;
        let path = entry.path_bytes().into_owned();
        let text = std::str::from_utf8(&path).map_err(|_| refused("a path of the layer is not text"))?;
        let text = text.strip_prefix("./").unwrap_or(text).trim_end_matches('/');
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader || text.is_empty() || text == "." {
            continue;
        }
        let name = relative(text).ok_or_else(|| refused(&format!("`{text}` leads out of the image")))?;
        let place = image.join(&name);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        if let Some(hidden) = name.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix(".wh."))
        {
            white_out(&place, hidden)?;
            continue;
        }
        match kind {
            EntryType::Directory => fs::create_dir_all(&place)?,
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                *left = left.checked_sub(size).ok_or_else(|| refused("the image is larger than the scratch"))?;
                if place.is_dir() {
                    return Err(refused(&format!("`{text}` is a directory in a lower layer")));
                }
                if place.exists() {
                    fs::remove_file(&place)?;
                }
                let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
                let mode = if executable { 0o755 } else { 0o644 };
                let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&place)?;
                let count = io::copy(&mut (&mut entry).take(size), &mut file)?;
                if count != size {
                    return Err(refused("the layer ends too early"));
                }
            }
            _ => return Err(refused(&format!("`{text}` is neither a plain file nor a directory"))),
        }
    }
    Ok(())
}

/// Removes what a layer says is gone from those below it.
fn white_out(place: &Path, hidden: &str) -> io::Result<()> {
    let Some(parent) = place.parent() else { return Ok(()) };
    if hidden == ".wh..opq" {
        for entry in fs::read_dir(parent)? {
            remove(&entry?.path())?;
        }
        return Ok(());
    }
    match relative(hidden) {
        Some(name) => remove(&parent.join(name)),
        None => Err(refused("a removal in the layer names no file")),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: EntryType, path: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(content.len().try_into().unwrap());
        header.set_entry_type(kind);
        header.set_mode(0o4777);
        header.as_gnu_mut().unwrap().linkname[..11].copy_from_slice(b"/etc/passwd");
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, content).unwrap();
        builder.into_inner().unwrap()
    }

    fn unpacked(bytes: &[u8], most: u64) -> io::Result<tempfile::TempDir> {
        let image = tempfile::tempdir()?;
        unpack(bytes, image.path(), &mut most.clone(), &mut 10).map(|()| image)
    }

    #[test]
    fn a_layer_of_plain_files_is_unpacked_without_its_modes() {
        let image = unpacked(&layer(EntryType::Regular, "./app/model.onnx", b"model"), 100).unwrap();
        let file = image.path().join("app/model.onnx");
        assert_eq!(fs::read(&file).unwrap(), b"model");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o755 & !0o022);
    }

    #[test]
    fn a_layer_that_leads_out_is_refused() {
        for path in ["../x", "/etc/x", "app/../../x", "a//b", "a\\b"] {
            assert!(unpacked(&layer(EntryType::Regular, path, b"x"), 100).is_err(), "{path}");
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo] {
            assert!(unpacked(&layer(kind, "app/x", b""), 100).is_err(), "{kind:?}");
        }
        assert!(unpacked(&layer(EntryType::Regular, "app/x", b"too large"), 3).is_err());
    }

    #[test]
    fn a_layer_removes_what_lies_below() {
        let image = unpacked(&layer(EntryType::Regular, "app/x", b"x"), 100).unwrap();
        let gone = layer(EntryType::Regular, "app/.wh.x", b"");
        unpack(&gone[..], image.path(), &mut 100, &mut 10).unwrap();
        assert!(!image.path().join("app/x").exists());
    }
}
