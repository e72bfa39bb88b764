//! What a run leaves on the node's disk, read below its file system.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use wire::agent::{Medium, RunState, Swap};

use crate::stand::{PATIENCE, Run, Stand};

/// A disk of its own, in a file, under the place where the target keeps what it keeps.
struct Disk {
    image: PathBuf,
    mounted: PathBuf,
    _directory: TempDir,
}

impl Disk {
    /// None where this user cannot mount one.
    fn under(place: &Path) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("disk");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::create_dir_all(place).unwrap();
        let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let is_made = works(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let is_mounted = is_made && works(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(place));
        is_mounted.then(|| Self { image, mounted: place.to_path_buf(), _directory: directory })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mounted).status();
    }
}

/// Whether bytes are on the disk, or in the files of a directory where there is no disk of its own.
fn holds(disk: Option<&Disk>, directory: &Path, wanted: &str) -> bool {
    let _synced = Command::new("sync").arg("-f").arg(directory).status();
    match disk {
        Some(disk) => is_in(&disk.image, wanted),
        None => files(directory).iter().any(|file| is_in(file, wanted)),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

fn is_in(file: &Path, wanted: &str) -> bool {
    let found = Command::new("grep").args(["-q", "-a", "-F", "-e", wanted]).arg(file).status().unwrap();
    assert!(found.code().is_some_and(|code| code < 2), "{} could not be read", file.display());
    found.success()
}

/// F-02, X-05, X-06: neither while it runs nor after.
pub fn what_a_job_writes_is_on_no_disk() {
    let canary = format!("canary-{}-{:?}", std::process::id(), std::time::UNIX_EPOCH.elapsed().unwrap());
    let control = canary.replace("canary", "control");
    let command = "cat data.txt > here.txt; cat data.txt > /tmp/there.txt; cat data.txt > /dev/shm/elsewhere.txt; \
                   mkdir -p outputs; cat data.txt > outputs/out.txt; echo written; exec sleep 1000";
    let run = Run::job(command, &[("data.txt", canary.as_bytes())]);
    let cache = run.directory.path().join("cache");
    let disk = Disk::under(&cache);
    if disk.is_none() {
        println!("    no disk of its own can be mounted here: files are looked at, and not the disk below them");
        fs::create_dir_all(&cache).unwrap();
    }
    // The search itself finds what is there.
    fs::write(cache.join("control"), &control).unwrap();
    let stand = run.start();
    let begun = std::time::Instant::now();
    while !stand.log().contains("written") {
        assert!(begun.elapsed() < PATIENCE && stand.alive(), "{}", stand.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let on_disk = |stand: &Stand, wanted: &str| holds(disk.as_ref(), &stand.directory.path().join("cache"), wanted);
    assert!(on_disk(&stand, &control), "the search finds what is on the disk");
    assert!(!on_disk(&stand, &canary), "the disk shows what a running job wrote");
    stand.house.seen.lock().unwrap().cancel = true;
    let finish = stand.finish();
    assert_eq!((finish.state, finish.scratch_cleared), (RunState::Canceled, Some(true)), "{finish:?}");
    stand.gone();
    assert!(!on_disk(&stand, &canary), "the disk shows what a job wrote");
    assert!(on_disk(&stand, &control));
    let start = stand.house.seen.lock().unwrap().start.clone().unwrap();
    let scratch = start.scratch.unwrap();
    assert_eq!(scratch.medium, Medium::Memory);
    assert_eq!(scratch.swap == Swap::Possible, start.missing_walls.iter().any(|wall| wall == "private-scratch"));
    drop(disk);
}
