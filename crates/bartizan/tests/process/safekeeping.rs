//! Backups of a server that serves, and what comes back from them: everything that was acknowledged, or nothing at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::served::{BARTIZAN, Served};

fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(BARTIZAN).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn good(arguments: &[&str]) -> String {
    let (is_good, said, told) = run(arguments);
    assert!(is_good, "{arguments:?}: {said}{told}");
    said
}

fn bad(arguments: &[&str]) -> String {
    let (is_good, said, told) = run(arguments);
    assert!(!is_good, "{arguments:?} should fail: {said}");
    told
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies what is kept beside a data directory: the root key and the first start's credentials.
fn keep_beside(from: &Path, to: &Path) {
    for name in ["D.key", "D.env"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
        fs::set_permissions(to.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn groups(served: &Served) -> Vec<String> {
    let found = served.json(&["group", "list"]);
    found.as_array().unwrap().iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_acknowledged_before_a_backup_is_there_after_its_restore() {
    let served = Served::with_workspace();
    let archives = tempfile::tempdir().unwrap();
    let (acknowledged, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let code = archives.path().join("code");
    fs::create_dir(&code).unwrap();
    let backups: Vec<(std::path::PathBuf, usize, Value)> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let number = acknowledged.load(Ordering::SeqCst);
                // A blob and rows; then a row alone.
                fs::write(code.join("main.py"), format!("print({number})\n").repeat(9000)).unwrap();
                served.good(&["snapshot", "create", text(&code)]);
                served.good(&["group", "create", &format!("g{number}")]);
                acknowledged.store(number + 1, Ordering::SeqCst);
            }
        });
        let made = (0..4).map(|number| {
            let (to, before) = (archives.path().join(format!("{number}.tar")), acknowledged.load(Ordering::SeqCst));
            let shown = served.json(&["backup", "--to", text(&to)]);
            (to, before, shown)
        });
        let made = made.collect();
        is_over.store(true, Ordering::SeqCst);
        made
    });
    let kept = served.data().join("activity-log.pub");
    for (file, _, shown) in &backups {
        let verified = good(&["backup", "verify", text(file), "--public-key", text(&kept), "-o", "json"]);
        assert_eq!(&serde_json::from_str::<Value>(&verified).unwrap(), shown);
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(archives.path().read_dir().unwrap().count(), backups.len() + 1, "a draft was left");
    let told = served.bad(&["backup", "--to", text(&backups[0].0)]);
    assert!(told.contains("not overwritten"), "{told}");

    let (file, before, shown) = backups.last().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    keep_beside(served.dir.path(), elsewhere.path());
    let place = elsewhere.path().join("D");
    good(&["restore", "--from", text(file), "--data-dir", text(&place), "--public-key", text(&kept)]);
    good(&["verify-log", "--data-dir", text(&place)]);
    let told = bad(&["restore", "--from", text(file), "--data-dir", text(&place)]);
    assert!(told.contains("is not empty"), "{told}");

    let again = Served::on(elsewhere, "127.0.0.1:0");
    let there = groups(&again);
    for number in 0..*before {
        assert!(there.contains(&format!("g{number}")), "g{number} of {before}: {there:?}");
    }
    // The chain goes on, and says from where.
    let records = again.json(&["activity-log", "list", "--max-events", "1000", "--tenant-wide"]);
    let marks = records.as_array().unwrap().iter().filter(|record| {
        record.to_string().contains("backups/restore/action")
            && record.to_string().contains(shown["madeAt"].as_str().unwrap())
    });
    assert_eq!(marks.count(), 1);
    again.good(&["group", "create", "after"]);
    good(&["verify-log", "--data-dir", text(&again.data())]);
}

#[test]
fn another_root_key_restores_nothing_and_leaves_nothing() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.tar");
    served.good(&["backup", "--to", text(&file)]);
    let other = Served::start().stop();
    let place = dir.path().join("D");
    let key = other.path().join("D.key");
    let told = bad(&["restore", "--from", text(&file), "--data-dir", text(&place), "--root-key", text(&key)]);
    assert!(told.contains("does not open this data directory") && told.contains("--root-key"), "{told}");
    assert_eq!(place.read_dir().unwrap().count(), 0);
    // Nor does none.
    let told = bad(&["restore", "--from", text(&file), "--data-dir", text(&place)]);
    assert!(told.contains("is missing"), "{told}");
    // The key of another server vouches for nothing of this one's.
    let public = other.path().join("D/activity-log.pub");
    let told = bad(&["backup", "verify", text(&file), "--public-key", text(&public)]);
    assert!(told.contains("not signed"), "{told}");
    let told = served.bad(&["backup", "--to", text(&dir.path().join("c.tar")), "--data-dir", text(&served.data())]);
    assert!(told.contains("in use"), "{told}");
    // At rest it is copied without a server.
    let file = dir.path().join("rest.tar");
    good(&["backup", "--to", text(&file), "--data-dir", text(&other.path().join("D"))]);
    good(&["backup", "verify", text(&file), "--public-key", text(&public)]);
}

#[test]
fn a_backup_that_was_cut_or_changed_is_none() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let code = dir.path().join("code");
    fs::create_dir(&code).unwrap();
    for word in ["a", "b"] {
        fs::write(code.join("main.py"), format!("{word}\n").repeat(3000)).unwrap();
        served.good(&["snapshot", "create", text(&code)]);
    }
    let file = dir.path().join("b.tar");
    served.good(&["backup", "--to", text(&file)]);
    let whole = fs::read(&file).unwrap();
    let changed = dir.path().join("changed.tar");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&changed, bytes).unwrap();
        let told = bad(&["backup", "verify", text(&changed)]);
        assert!(["damaged", "not whole", "not signed"].iter().any(|word| told.contains(word)), "{what}: {told}");
    };
    for length in [0, 1, 511, 512, 4000, whole.len() / 2, whole.len() - 1025, whole.len() - 1024, whole.len() - 1] {
        refused(&whole[..length], &format!("cut at {length}"));
    }
    refused(&[whole.as_slice(), &[0]].concat(), "a byte more");
    let step = whole.len() / 25;
    for at in (0..whole.len()).step_by(step).chain([100, 157, 257, 500]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        refused(&bytes, &format!("changed at {at}"));
    }
    // Members that change places, headers and all.
    let places: Vec<usize> =
        (0..whole.len() - 512).step_by(512).filter(|at| whole[*at..].starts_with(b"blobs/")).collect();
    assert!(places.len() >= 2, "{places:?}");
    let (first, second) = (places[0], places[1]);
    let mut swapped = whole.clone();
    let (name, other) = (whole[first..first + 100].to_vec(), whole[second..second + 100].to_vec());
    swapped[first..first + 100].copy_from_slice(&other);
    swapped[second..second + 100].copy_from_slice(&name);
    refused(&swapped, "swapped names");
    let place = dir.path().join("D");
    fs::write(&changed, &swapped).unwrap();
    keep_beside(served.dir.path(), dir.path());
    bad(&["restore", "--from", text(&changed), "--data-dir", text(&place)]);
    assert_eq!(place.read_dir().unwrap().count(), 0);
}

#[test]
fn x15_a_restored_backup_of_an_erased_workspace_does_not_open() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    served.good(&["workspace", "create", "kept"]);
    let file = dir.path().join("b.tar");
    served.good(&["backup", "--to", text(&file)]);
    served.good(&["workspace", "delete", "ws1", "--yes", "--force-to-purge"]);
    let listed = served.json(&["erasure", "list"]);
    let (one, all) = (dir.path().join("one.json"), dir.path().join("all.json"));
    let guid = listed[0]["erasure"]["workspaceGuid"].as_str().unwrap();
    served.good(&["erasure", "download", guid, "--to", text(&one)]);
    fs::write(&all, listed.to_string()).unwrap();
    let key = served.data().join("activity-log.pub");
    for certificates in [&one, &all] {
        good(&["erasure", "verify", text(certificates), "--public-key", text(&key)]);
    }
    let changed = dir.path().join("changed.json");
    fs::write(&changed, fs::read_to_string(&one).unwrap().replace("ws1", "ws2")).unwrap();
    let told = bad(&["erasure", "verify", text(&changed), "--public-key", text(&key)]);
    assert!(told.contains("proves nothing"), "{told}");
    let other = Served::start();
    let foreign = other.data().join("activity-log.pub");
    let told = bad(&["erasure", "verify", text(&one), "--public-key", text(&foreign)]);
    assert!(told.contains("proves nothing"), "{told}");

    let elsewhere = tempfile::tempdir().unwrap();
    keep_beside(served.dir.path(), elsewhere.path());
    let place = elsewhere.path().join("D");
    // One that proves nothing ends the restore, and nothing is left.
    let told = bad(&["restore", "--from", text(&file), "--data-dir", text(&place), "--erased", text(&changed)]);
    assert!(told.contains("not honoured"), "{told}");
    assert_eq!(place.read_dir().unwrap().count(), 0);
    let restored = good(&[
        "restore",
        "--from",
        text(&file),
        "--data-dir",
        text(&place),
        "--erased",
        text(&one),
        "--erased",
        text(&all),
        "-o",
        "json",
    ]);
    let restored: Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(restored["erasedAgain"].as_array().unwrap().len(), 1, "{restored}");
    good(&["verify-log", "--data-dir", text(&place)]);
    let again = Served::on(elsewhere, "127.0.0.1:0");
    let there = again.json(&["workspace", "list"]).to_string();
    assert!(there.contains("\"kept\"") && !there.contains("\"ws1\""), "{there}");
    again.bad(&["workspace", "recover", "ws1"]);
    assert_eq!(again.json(&["erasure", "list"]), listed, "it is the same certificate");
}

#[test]
fn x13_sealing_anew_goes_on_after_a_kill() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let code = dir.path().join("code");
    fs::create_dir(&code).unwrap();
    for number in 0..20 {
        fs::write(code.join("main.py"), format!("print({number})\n").repeat(2000)).unwrap();
        served.good(&["snapshot", "create", text(&code), "--name", &format!("c{number}")]);
    }
    served.good(&["workspace", "encryption", "reseal", "ws1"]);
    let again = Served::on(served.kill(), "127.0.0.1:0");
    let find = || again.json(&["workspace", "encryption", "reseal", "ws1", "--status"]);
    let mut found = find();
    while found["state"] == "Sealing" {
        found = find();
    }
    assert_eq!((&found["percentComplete"], &found["keyVersion"]), (&Value::from(100), &Value::from(2)), "{found}");
    for table in found["tables"].as_array().unwrap() {
        assert_eq!((&table["older"], &table["unreadable"]), (&Value::from(0), &Value::from(0)), "{table}");
    }
    // What was there is there, under the new key.
    let back = dir.path().join("back");
    again.good(&["snapshot", "restore", "c19", "--to", text(&back)]);
    assert_eq!(fs::read(back.join("main.py")).unwrap(), fs::read(code.join("main.py")).unwrap());
}

/// How many unfinished backups lie there.
fn drafts(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".part")).count()
}

/// How often a kill is tried that has to come before an end.
const ATTEMPTS: usize = 30;

#[test]
fn a_kill_leaves_no_half_backup_and_no_half_restore_that_passes_for_one() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("b.tar");
    let mut killed = 0;
    for _ in 0..ATTEMPTS {
        let mut command = Command::new(BARTIZAN);
        command.args(["backup", "--to", text(&file)]).envs(&served.env).stdout(Stdio::null()).stderr(Stdio::null());
        let before = drafts(dir.path());
        let mut child = command.spawn().unwrap();
        while drafts(dir.path()) == before && matches!(child.try_wait(), Ok(None)) {}
        let _ = child.kill();
        child.wait().unwrap();
        if file.exists() {
            // It was quicker than we were; then it is whole.
            good(&["backup", "verify", text(&file)]);
            fs::remove_file(&file).unwrap();
        } else {
            killed += 1;
        }
        if killed == 3 {
            break;
        }
    }
    assert!(killed > 0, "no backup was cut off");
    let before = drafts(dir.path());
    served.good(&["backup", "--to", text(&file)]);
    assert_eq!(drafts(dir.path()), before);

    keep_beside(served.dir.path(), dir.path());
    let place = dir.path().join("D");
    let mark = place.join("RESTORE-INCOMPLETE");
    for _ in 0..ATTEMPTS {
        // One that was quicker than we were is whole, and goes.
        let _ = fs::remove_dir_all(&place);
        let mut child = Command::new(BARTIZAN)
            .args(["restore", "--from", text(&file), "--data-dir", text(&place)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while !mark.exists() && matches!(child.try_wait(), Ok(None)) {}
        let _ = child.kill();
        child.wait().unwrap();
        if mark.exists() {
            break;
        }
    }
    assert!(mark.exists(), "no restore was cut off");
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["root-key", "show"],
        &["init", "--listen", "127.0.0.1:0"],
        &["verify-log"],
    ] {
        let told = bad(&[command, &["--data-dir", text(&place)]].concat());
        assert!(told.contains("did not end"), "{told}");
    }
    fs::remove_dir_all(&place).unwrap();
    good(&["restore", "--from", text(&file), "--data-dir", text(&place)]);
    assert!(!mark.exists());
}

#[test]
fn only_who_may_make_backups_does() {
    let served = Served::with_workspace();
    let dir = tempfile::tempdir().unwrap();
    let made = served.json(&["ad", "sp", "create", "--name", "keeper"]);
    let credentials = [("AZURE_CLIENT_ID", &made["clientId"]), ("AZURE_CLIENT_SECRET", &made["clientSecret"])];
    let keeper = |arguments: &[&str]| {
        let mut command = Command::new(BARTIZAN);
        command.args(arguments).envs(&served.env);
        command.envs(credentials.iter().map(|(name, value)| (*name, value.as_str().unwrap())));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let file = dir.path().join("b.tar");
    assert!(!keeper(&["backup", "--to", text(&file)]).0);
    assert!(!file.exists() && drafts(dir.path()) == 0);
    let role = ["role", "assignment", "create", "--role", "Bartizan Backup Operator", "--scope", "/", "--assignee"];
    served.good(&[&role[..], &[made["objectId"].as_str().unwrap()]].concat());
    let (is_good, told) = keeper(&["backup", "--to", text(&file)]);
    assert!(is_good, "{told}");
    assert!(keeper(&["root-key", "show"]).0);
    // And nothing else.
    assert!(!keeper(&["root-key", "rotate"]).0 && !keeper(&["workspace", "show", "ws1"]).0);
}
