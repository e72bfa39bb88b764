//! House rules that a compiler does not hold: who may depend on whom, what may be used where, and what every file owes
//! its reader.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root().join("crates"), "rs", &mut found);
    found.sort();
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    found.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// The part of a file that ships: without its unit tests.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/")
        || path.contains("/benches/")
        || path.contains("/examples/")
        || path.starts_with("crates/testkit/")
}

/// Who may depend on whom. `testkit` is for development alone.
const WALLS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("seal", &["kernel"]),
    ("wire", &[]),
    ("domain", &["kernel", "seal"]),
    ("outbound", &["kernel"]),
    ("store", &["kernel", "outbound"]),
    ("compute", &["kernel", "wire", "outbound"]),
    ("runtime", &["kernel", "wire"]),
    ("http", &["kernel", "wire", "domain"]),
    ("bartizan", &["kernel", "seal", "wire", "domain", "outbound", "store", "compute", "runtime", "http-faces"]),
    ("testkit", &["kernel"]),
];

/// Outside crates with only one home.
const HOMES: &[(&str, &[&str])] = &[
    ("aes-kw", &["seal"]),
    ("aws-lc-rs", &["seal"]),
    ("argon2", &["seal"]),
    ("jsonwebtoken", &["seal"]),
    ("md5", &["seal"]),
    ("p12-keystore", &["seal"]),
    ("rcgen", &["seal"]),
    ("cryptoki", &["store"]),
    ("rusqlite", &["store"]),
    ("reqwest", &["outbound"]),
    ("axum", &["http"]),
    ("quick-xml", &["http"]),
    ("ort", &["runtime"]),
    ("nix", &["compute", "runtime", "store"]),
    ("libc", &["compute"]),
    ("landlock", &["compute"]),
    ("seccompiler", &["compute"]),
    ("clap", &["bartizan"]),
    ("regex", &["domain"]),
    ("aho-corasick", &["compute"]),
];

/// Names in a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap();
    let name = |line: &str| line.split(['=', '.', ' ']).next().unwrap().trim().to_owned();
    section.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains('=')).map(name).collect()
}

#[test]
fn the_walls_between_crates_stand() {
    let walls: BTreeMap<_, _> = WALLS.iter().copied().collect();
    let ours = [
        "kernel",
        "seal",
        "wire",
        "domain",
        "outbound",
        "store",
        "compute",
        "runtime",
        "http-faces",
        "bartizan",
        "testkit",
    ];
    let mut seen = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let allowed = walls.get(name.as_str()).unwrap_or_else(|| panic!("crate `{name}` names no wall here"));
        let manifest = fs::read_to_string(root().join("crates").join(&name).join("Cargo.toml")).unwrap();
        for dependency in dependencies(&manifest) {
            if ours.contains(&dependency.as_str()) {
                assert!(allowed.contains(&dependency.as_str()), "`{name}` must not depend on `{dependency}`");
            }
            if let Some((_, homes)) = HOMES.iter().find(|(outside, _)| *outside == dependency) {
                assert!(homes.contains(&name.as_str()), "`{dependency}` has no home in `{name}`");
            }
        }
        seen.push(name);
    }
    assert_eq!(seen.len(), WALLS.len(), "a wall names a crate that is gone");
}

#[test]
fn rooms_and_faces_touch_no_files_and_no_processes() {
    for (path, text) in rust_files() {
        if ["kernel", "seal", "wire", "domain", "http"].contains(&crate_of(&path)) && !is_test(&path) {
            for banned in ["std::fs", "std::process", "tokio::fs", "tokio::process"] {
                assert!(!shipped(&text).contains(banned), "{path} uses {banned}");
            }
        }
    }
}

#[test]
fn only_seal_makes_ciphertext_and_only_drivers_read_it_back() {
    for (path, text) in rust_files() {
        let text = shipped(&text);
        let at_home = |homes: &[&str]| homes.iter().any(|home| path.starts_with(home)) || is_test(&path);
        if text.contains("Sealed::made_by_seal") {
            assert!(at_home(&["crates/seal/", "crates/kernel/"]), "{path} makes sealed values");
        }
        if text.contains("Sealed::read_back") {
            let homes = [
                "crates/store/",
                "crates/kernel/",
                "crates/bartizan/src/cli/verify_log.rs",
                "crates/bartizan/src/server/restored.rs",
            ];
            assert!(at_home(&homes), "{path} claims stored bytes to be sealed");
        }
    }
}

#[test]
fn unsafe_code_lives_in_few_named_places() {
    let homes =
        ["crates/compute/src/jail", "crates/runtime/src/", "crates/compute/src/", "crates/bartizan/tests/crash"];
    for (path, text) in rust_files() {
        let has = text.lines().any(|line| {
            line.trim_start().starts_with("unsafe ") || line.contains("= unsafe {") || line.contains("(unsafe {")
        });
        if has && !path.ends_with("tidy.rs") {
            assert!(homes.iter().any(|home| path.starts_with(home)), "{path} holds unsafe code");
            assert!(text.contains("SAFETY:"), "{path} does not say why its unsafe code is sound");
        }
    }
}

#[test]
fn tasks_are_spawned_only_by_serving_code_and_work() {
    let homes = [
        "crates/http/src/serve.rs",
        "crates/http/src/faces/score",
        "crates/domain/src/safekeeping/backup.rs",
        "crates/domain/src/work",
        "crates/bartizan/src",
        "crates/compute/",
        "crates/runtime/",
        "crates/store/",
    ];
    for (path, text) in rust_files() {
        if shipped(&text).contains("tokio::spawn(") && !is_test(&path) {
            assert!(homes.iter().any(|home| path.starts_with(home)), "{path} spawns a task");
        }
    }
}

#[test]
fn every_file_says_what_lives_in_it_and_stays_readable() {
    for (path, text) in rust_files() {
        assert!(text.starts_with("//!"), "{path} does not begin with a `//!` line");
        let lines = text.lines().count();
        assert!(lines <= 800, "{path} has {lines} lines: two nouns?");
        let name = Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            !["utils", "util", "helpers", "helper", "common", "misc"].contains(&name.as_str()),
            "{path}: name the noun"
        );
        for marker in ["todo!(", "unimplemented!(", "FIXME", "XXX:"] {
            assert!(path.ends_with("tidy.rs") || !text.contains(marker), "{path} holds `{marker}`");
        }
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut found = vec![root().join("README.md")];
    files(&root().join("docs"), "md", &mut found);
    for path in found {
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(
                path.parent().unwrap().join(target).exists(),
                "{} links to {link}, which is not there",
                path.display()
            );
        }
    }
}

#[test]
fn every_decision_is_in_the_index() {
    let dir = root().join("docs/decisions");
    let index = fs::read_to_string(dir.join("README.md")).expect("docs/decisions/README.md");
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || index.contains(&name), "{name} is not in the index of decisions");
    }
}
