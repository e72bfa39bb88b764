//! The root key's life: a new version while serving, another holder while not, and a clear word when it does not fit.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use serde_json::json;

use crate::served::{BARTIZAN, Served};

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(BARTIZAN).args(arguments).output().unwrap();
    (
        output.status.success(),
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
    )
}

fn good(arguments: &[&str]) -> String {
    let (is_good, said) = run(arguments);
    assert!(is_good, "{arguments:?}: {said}");
    said
}

fn bad(arguments: &[&str]) -> String {
    let (is_good, said) = run(arguments);
    assert!(!is_good, "{arguments:?} should fail: {said}");
    said
}

fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn it_is_rotated_while_serving_and_opens_at_every_step() {
    let served = Served::with_workspace();
    let key = served.dir.path().join("D.key");
    let before = fs::read_to_string(&key).unwrap();
    assert!(served.json(&["root-key", "show"])["provider"].as_str().unwrap().contains("D.key"));
    let archive = served.dir.path().join("b.tar");
    served.good(&["backup", "--to", archive.to_str().unwrap()]);
    served.good(&["root-key", "rotate"]);
    let after = fs::read_to_string(&key).unwrap();
    assert!(before != after && fs::read_to_string(served.dir.path().join("D.key.old")).unwrap() == before);
    served.good(&["group", "create", "g1"]);
    // It does not write over a key that older backups need.
    let told = served.bad(&["root-key", "rotate"]);
    assert!(told.contains("D.key.old"), "{told}");
    let records = served.json(&["activity-log", "list", "--max-events", "200", "--tenant-wide"]);
    assert!(records.to_string().contains("Microsoft.Authorization/rootKey/write"));
    assert!(!records.to_string().contains(after.lines().nth(1).unwrap()));
    // Power goes; the new key opens, and the old one does not.
    let dir = served.kill();
    let place = dir.path().join("D");
    let old = dir.path().join("D.key.old");
    let told = bad(&["root-key", "show", "--data-dir", place.to_str().unwrap(), "--root-key", old.to_str().unwrap()]);
    assert!(told.contains("does not open this data directory"), "{told}");
    // The backup from before comes back with the old one.
    let back = dir.path().join("back");
    good(&[
        "restore",
        "--from",
        archive.to_str().unwrap(),
        "--data-dir",
        back.to_str().unwrap(),
        "--root-key",
        old.to_str().unwrap(),
    ]);
    let said =
        good(&["doctor", "-o", "json", "--data-dir", back.to_str().unwrap(), "--root-key", old.to_str().unwrap()]);
    assert!(said.contains("root-key") && said.contains("D.key.old"), "{said}");
    let served = Served::on(dir, "127.0.0.1:0");
    served.good(&["group", "show", "g1"]);
    let told = Command::new(BARTIZAN)
        .args(["root-key", "show", "--data-dir", served.data().to_str().unwrap()])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).contains("in use"), "{told:?}");
}

#[test]
fn it_moves_to_a_passphrase_and_back_while_nobody_serves() {
    let dir = Served::with_workspace().stop();
    let place = dir.path().join("D");
    let (place, of) = (place.to_str().unwrap(), |name: &str| dir.path().join(name).display().to_string());
    secret(&dir.path().join("words"), "correct horse battery staple\n");
    secret(&dir.path().join("wrong"), "correct horse battery stable\n");
    let config = |name: &str| {
        let file = of(&format!("{name}.json"));
        fs::write(&file, json!({"kind": "passphrase", "from": {"file": of(name)}}).to_string()).unwrap();
        file
    };
    let (words, wrong) = (config("words"), config("wrong"));
    good(&["root-key", "move", "--data-dir", place, "--to-config", &words]);
    let shown = good(&["root-key", "show", "--data-dir", place, "--root-key-config", &words]);
    assert!(shown.contains("passphrase from file") && !shown.contains("horse"), "{shown}");
    // The key that was there before opens nothing any more, and says who does.
    let told = bad(&["root-key", "show", "--data-dir", place]);
    assert!(told.contains("does not open"), "{told}");
    let told = bad(&["root-key", "show", "--data-dir", place, "--root-key-config", &wrong]);
    assert!(told.contains("does not open") && !told.contains("stable"), "{told}");
    let told = bad(&["root-key", "rotate", "--data-dir", place, "--root-key-config", &words]);
    assert!(told.contains("move to another one"), "{told}");
    // A backup of it, restored by the passphrase alone.
    let (archive, back) = (of("b.tar"), of("back"));
    good(&["backup", "--to", &archive, "--data-dir", place, "--root-key-config", &words]);
    good(&["restore", "--from", &archive, "--data-dir", &back, "--root-key-config", &words]);
    good(&["verify-log", "--data-dir", &back]);
    // Nowhere in the data do the words stand.
    let grep = Command::new("grep").args(["-rlF", "correct horse", place, &back, &archive]).output().unwrap();
    assert!(grep.stdout.is_empty(), "{grep:?}");
    let fresh = of("fresh.key");
    good(&["root-key", "move", "--data-dir", place, "--root-key-config", &words, "--to-file", &fresh]);
    good(&["root-key", "rotate", "--data-dir", place, "--root-key", &fresh]);
    good(&["verify-log", "--data-dir", place]);
    let told = bad(&["root-key", "show", "--data-dir", &of("nothing")]);
    assert!(told.contains("holds no server's data") && !dir.path().join("nothing").exists(), "{told}");
    for text in ["{", r#"{"kind": "hope"}"#, r#"{"kind": "file", "path": "k", "hope": 1}"#] {
        fs::write(of("bad.json"), text).unwrap();
        let told = bad(&["root-key", "show", "--data-dir", place, "--root-key-config", &of("bad.json")]);
        // What is wrong is not repeated: it may be a secret in the wrong place.
        assert!(told.contains("does not say who holds the root key") && !told.contains("hope"), "{told}");
    }
}
