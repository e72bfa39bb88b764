//! The proof that nothing a user wrote lies in clear in the data directory: every file of it is searched.

use std::{fs, io::Read, path::Path};

use super::{plan::Plan, stage::Stage};
use crate::failure::Failure;

/// Searches every file below the data directory for the canary and for rows of the training data.
pub fn prove(stage: &mut Stage, data_dir: &Path, plan: &Plan) -> Result<(), Failure> {
    stage.begin("look for the canary and the training data in every file of the data directory");
    let mut needles: Vec<&[u8]> = vec![plan.canary().as_bytes()];
    needles.extend(plan.data_rows().iter().map(|row| row.as_bytes()));
    let mut searched = Searched::default();
    search(data_dir, &needles, &mut searched)?;
    let (files, mib) = (searched.files, searched.bytes / (1 << 20));
    if searched.found.is_empty() {
        stage.note(&format!("{files} files, {mib} MiB searched for {} texts: not found", needles.len()));
        return Ok(());
    }
    Err(Failure::new(format!("found in clear in: {}", searched.found.join(", "))))
}

#[derive(Default)]
struct Searched {
    files: u64,
    bytes: u64,
    found: Vec<String>,
}

fn search(dir: &Path, needles: &[&[u8]], searched: &mut Searched) -> Result<(), Failure> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            search(&entry.path(), needles, searched)?;
        } else {
            searched.files += 1;
            if contains(&entry.path(), needles, searched)? {
                searched.found.push(entry.path().display().to_string());
            }
        }
    }
    Ok(())
}

/// Reads a file in pieces that overlap by the longest needle, so that none can hide on a border.
fn contains(path: &Path, needles: &[&[u8]], searched: &mut Searched) -> Result<bool, Failure> {
    let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        // The database removes its own side files now and then.
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(fault) => return Err(fault.into()),
    };
    let mut window: Vec<u8> = Vec::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(false);
        }
        searched.bytes += u64::try_from(count).unwrap_or(0);
        window.extend_from_slice(piece.get(..count).unwrap_or_default());
        if needles.iter().any(|needle| has(&window, needle)) {
            return Ok(true);
        }
        let keep = window.len().min(longest);
        window.drain(..window.len() - keep);
    }
}

fn has(window: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = window;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(needle) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
