//! Files, from the one side's store through this process into the other's. No file is written here, and what a listing says is
//! a name in a store and nothing else.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use outbound::Method;
use seal::Sha256;
use serde_json::Value;

use super::{Errand, fault::Fault, integer, list, report::Kind, server::Server, text};

/// Most files, and most directories, of one run or logged model.
const MOST_FILES: usize = 100_000;
/// Most directories below each other.
const MOST_DEPTH: usize = 32;
/// Most bytes of a file whose size the source does not say.
const MOST_BYTES: u64 = 1 << 40;

/// Why a file that goes on is not taken.
const LONGER: &str = "the file is longer than the source said";

/// Files of one side, by path: their sizes where they are said.
type Listing = BTreeMap<String, Option<u64>>;

/// Where the artifact proxy has what an address names.
pub fn root(uri: &str) -> Option<&str> {
    let path = uri.strip_prefix("mlflow-artifacts:/")?.trim_end_matches('/');
    path.split('/').all(is_segment).then_some(path)
}

/// Whether it can be the name of a file or directory: one segment, and none that leads elsewhere.
fn is_segment(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && c != '/' && c != '\\';
    !name.is_empty() && name.len() <= 1024 && name != "." && name != ".." && name.chars().all(is_plain)
}

/// Lists everything below a root. The second list is of names that are none.
async fn listing(server: &Server, root: &str) -> Result<(Listing, Vec<String>), Fault> {
    let (mut files, mut bad) = (Listing::new(), Vec::new());
    let mut open = vec![(String::new(), 0_usize)];
    let mut directories = 0_usize;
    while let Some((directory, depth)) = open.pop() {
        directories = directories.saturating_add(1);
        let path = if directory.is_empty() { root.to_owned() } else { format!("{root}/{directory}") };
        let query = [("path", path.as_str())];
        let found = server.json(Method::GET, "/api/2.0/mlflow-artifacts/artifacts", &query, None).await?;
        for file in list(&found, "/files") {
            let name = text(file, "/path");
            if !is_segment(name) {
                bad.push(name.chars().take(100).collect());
                continue;
            }
            let below = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            if file.get("is_dir").and_then(Value::as_bool) == Some(true) {
                open.push((below, depth.saturating_add(1)));
            } else {
                files.insert(below, integer(file, "/file_size").and_then(|size| u64::try_from(size).ok()));
            }
        }
        let is_too_deep = open.last().is_some_and(|(_, depth)| *depth > MOST_DEPTH);
        if is_too_deep
            || files.len() > MOST_FILES
            || directories > MOST_FILES
            || open.len() > MOST_FILES
            || bad.len() > 1000
        {
            return Err(Fault::new(format!("it has more than {MOST_FILES} files, or they lie too deep")));
        }
    }
    Ok((files, bad))
}

/// What a content is known by.
#[derive(Default)]
struct Tally {
    hash: Sha256,
    length: u64,
}

/// Hash and length of a file.
async fn digest(server: &Server, path: &str, most: u64) -> Result<([u8; 32], u64), Fault> {
    let mut pieces = Box::pin(server.download(path).await?.stream());
    let mut tally = Tally::default();
    while let Some(piece) = pieces.try_next().await? {
        take(&mut tally, &piece, most).map_err(|fault| Fault::new(fault.to_string()))?;
    }
    Ok((tally.hash.finish(), tally.length))
}

fn take(tally: &mut Tally, piece: &Bytes, most: u64) -> io::Result<()> {
    tally.hash.update(piece);
    tally.length = tally.length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    match tally.length > most {
        true => Err(io::Error::other(LONGER)),
        false => Ok(()),
    }
}

/// Copies a file; hash and length of what the source gave.
async fn copy(errand: &Errand<'_>, from: &str, to: &str, most: u64) -> Result<([u8; 32], u64), Fault> {
    let answer = errand.source.download(from).await?;
    let length = answer.length();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let counted = tally.clone();
    let pieces = answer.stream().map(move |piece| {
        let piece = piece.map_err(io::Error::other)?;
        take(&mut counted.lock().unwrap_or_else(PoisonError::into_inner), &piece, most)?;
        Ok(piece)
    });
    let sent = errand.target.upload(to, length, pieces).await;
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    if tally.length > most {
        return Err(Fault::new(LONGER));
    }
    sent?;
    Ok((tally.hash.finish(), tally.length))
}

/// Brings the files below one address to another, and compares them. `is_open` says whether files can be added there.
pub async fn bring(errand: &Errand<'_>, what: &str, from: &str, to: &str) -> Result<(), Fault> {
    let to = root(to).ok_or_else(|| Fault::new("the workspace gives no address for its files"))?;
    let Some(from) = root(from) else { return unreachable(errand, what, from).await };
    let (there, bad) = listing(errand.source, from).await?;
    let (here, _) = listing(errand.target, to).await?;
    for name in bad {
        errand.note(|report| {
            report.found(Kind::Files, 1);
            report.differs(what, &format!("the source lists a file as `{name}`, which is no name of one"));
        });
    }
    for (path, size) in &there {
        let most = size.unwrap_or(MOST_BYTES);
        let (at, away) = (format!("{from}/{path}"), format!("{to}/{path}"));
        let is_there = here.get(path).is_some_and(|known| known.is_some() && (*known == *size || size.is_none()));
        let same = settle(errand, &at, &away, most, is_there).await;
        if let Err(fault) = &same
            && fault.is_down()
        {
            return Err(fault.clone());
        }
        errand.note(|report| {
            report.found(Kind::Files, 1);
            match same {
                Ok((length, made)) => {
                    report.matched(Kind::Files, 1);
                    report.bytes(length, true);
                    if made {
                        report.made(Kind::Files);
                    }
                }
                Err(fault) => {
                    report.bytes(size.unwrap_or(0), false);
                    report.differs(&format!("{what}, file {path}"), &fault.words);
                }
            }
        });
        errand.show(|progress| progress.bytes(size.unwrap_or(0)));
    }
    let extra = here.keys().filter(|path| !there.contains_key(*path)).count();
    if extra > 0 {
        errand.note(|report| report.differs(what, &format!("{extra} of the files here are not there")));
    }
    Ok(())
}

/// Makes a file the same here; its length, and whether it had to be copied.
async fn settle(errand: &Errand<'_>, from: &str, to: &str, most: u64, is_there: bool) -> Result<(u64, bool), Fault> {
    if is_there {
        let there = digest(errand.source, from, most).await?;
        if digest(errand.target, to, most).await? == there {
            return Ok((there.1, false));
        }
    }
    let mut tries: u32 = 0;
    let there = loop {
        tries = tries.saturating_add(1);
        match copy(errand, from, to, most).await {
            Err(fault) if fault.is_down() && tries < 3 => {}
            done => break done?,
        }
    };
    match digest(errand.target, to, most).await? == there {
        true => Ok((there.1, true)),
        false => Err(Fault::new("its SHA-256 is another one here")),
    }
}

/// Files that the source's server does not hand out: those of its own disk, or of a store that its clients reach themselves.
async fn unreachable(errand: &Errand<'_>, what: &str, uri: &str) -> Result<(), Fault> {
    let store = uri.split_once(':').map_or("a path", |(scheme, _)| scheme);
    let why = format!(
        "its files are in a store of the kind `{store}`, which the source does not hand out over HTTP; start that server with \
         `--serve-artifacts` and an `mlflow-artifacts:` root, or say `--skip artifacts`"
    );
    errand.note(|report| report.differs(what, &why));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_proxy_s_own_addresses_are_read() {
        assert_eq!(root("mlflow-artifacts:/1/abc/artifacts"), Some("1/abc/artifacts"));
        for bad in [
            "file:///etc",
            "/etc",
            "s3://b/k",
            "http://169.254.169.254/x",
            "mlflow-artifacts://other.example/1",
            "mlflow-artifacts:/1/../../etc",
            "mlflow-artifacts:/",
            "mlflow-artifacts:/a//b",
            "",
        ] {
            assert_eq!(root(bad), None, "{bad}");
        }
        for bad in ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "a\nb"] {
            assert!(!is_segment(bad), "{bad}");
        }
        assert!(is_segment("a b.onnx") && is_segment("...") && is_segment("ü"));
    }
}
