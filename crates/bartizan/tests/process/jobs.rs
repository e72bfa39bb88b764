//! Jobs in their jails: the ends they can come to, and what they leave behind.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::served::Served;

fn code(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn submit(served: &Served, dir: &Path, name: &str, command: &str, more: &[&str]) {
    let dir = dir.to_str().unwrap();
    let arguments = ["job", "submit", "--code", dir, "--name", name, "--command", command];
    served.good(&[&arguments, more].concat());
}

fn ended(served: &Served, name: &str) -> Value {
    served.wait_for(name, &["Completed", "Failed", "Canceled"])
}

#[test]
fn a_job_runs_over_its_snapshot_and_leaves_log_and_outputs() {
    let served = Served::with_workspace();
    let script = "import os, pathlib\nprint('hello from', os.getcwd())\npathlib.Path('outputs').mkdir(exist_ok=True)\n\
                  pathlib.Path('outputs/result.txt').write_text(open('data/in.txt').read().upper())\n";
    let dir = code(&[("main.py", script), ("data/in.txt", "canary-in-the-snapshot")]);
    submit(&served, dir.path(), "good", "python main.py", &[]);
    let job = ended(&served, "good");
    assert_eq!(job["properties"]["status"], "Completed", "{job}");
    assert!(served.good(&["job", "logs", "good"]).contains("hello from"));
    // A job's token is nowhere, and nothing of it lies in clear.
    let found = Command::new("grep").args(["-rl", "canary-in-the-snapshot"]).arg(served.data()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    // It counts as one run begun and one completed on the local target, and gives its node back.
    let metrics = ["monitor", "metrics", "list", "--interval", "P1D", "--filter"];
    for metric in ["Started Runs", "Completed Runs", "Failed Runs"] {
        let asked = ["ComputeType eq 'local'", "--aggregation", "Total", "--metrics", metric];
        let counted = served.json(&[&metrics[..], &asked[..]].concat());
        let wanted = if metric == "Failed Runs" { 0.0 } else { 1.0 };
        assert_eq!(counted[0]["values"]["total"], wanted, "{metric}: {counted}");
    }
    let told = |word: &str| {
        let records = served.json(&["activity-log", "list", "--max-events", "200"]);
        let records = records.as_array().unwrap().iter();
        records.filter(|record| record["properties"]["happening"] == word).count()
    };
    let begun = Instant::now();
    while told("NodeReleased") == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the node was not given back");
    }
    assert_eq!((told("NodeTaken"), told("NodeReleased")), (1, 1));
}

#[test]
fn a_script_that_fails_ends_the_run_as_failed_with_its_log_and_exit_code() {
    let served = Served::with_workspace();
    let dir = code(&[("main.py", "import sys\nprint('about to fail')\nsys.exit(7)\n")]);
    submit(&served, dir.path(), "bad", "python main.py", &[]);
    let job = ended(&served, "bad");
    assert_eq!(job["properties"]["status"], "Failed");
    assert_eq!(job["properties"]["exitCode"], 7, "{job}");
    assert!(served.good(&["job", "logs", "bad"]).contains("about to fail"));
    let reused =
        served.bad(&["job", "submit", "--code", dir.path().to_str().unwrap(), "--name", "bad", "--command", "true"]);
    assert!(reused.contains("409"), "{reused}");
}

#[test]
fn a_canceled_job_ends_soon_and_its_output_so_far_is_kept() {
    let served = Served::with_workspace();
    let dir = code(&[("main.py", "import time\nprint('running', flush=True)\ntime.sleep(3600)\n")]);
    submit(&served, dir.path(), "long", "python main.py", &[]);
    served.wait_for("long", &["Running"]);
    served.good(&["job", "cancel", "long"]);
    assert_eq!(ended(&served, "long")["properties"]["status"], "Canceled");
}

#[test]
fn a_killed_agent_leaves_no_run_running_for_ever() {
    let served = Served::with_workspace();
    let dir = code(&[("main.py", "import time\nprint('running', flush=True)\ntime.sleep(3600)\n")]);
    submit(&served, dir.path(), "orphan", "python main.py", &[]);
    served.wait_for("orphan", &["Running"]);
    // The agents of this test's server are its children (and nobody else's); the jail dies with its agent.
    let server = served.process_id().to_string();
    let killed = Command::new("pkill").args(["-KILL", "-P", &server, "-f", "agent"]).status().unwrap();
    assert!(killed.success());
    let job = served.wait_for("orphan", &["Failed"]);
    assert!(job["properties"]["error"]["message"].as_str().is_some_and(|why| !why.is_empty()), "{job}");
}

#[test]
fn a_restarted_server_picks_up_what_was_queued_and_keeps_what_was_done() {
    let served = Served::with_workspace();
    let dir = code(&[("main.py", "print('done')\n")]);
    submit(&served, dir.path(), "first", "python main.py", &[]);
    ended(&served, "first");
    submit(&served, dir.path(), "second", "python main.py", &[]);
    // On the same port, so that an agent that was already started finds its server again.
    let listen = served.listen();
    let served = Served::on(served.kill(), &listen);
    let job = ended(&served, "second");
    assert_eq!(job["properties"]["status"], "Completed", "{job}");
    assert_eq!(served.json(&["job", "show", "first"])["properties"]["status"], "Completed");
    served.good(&["verify-log", "--data-dir", served.data().to_str().unwrap()]);
}

#[test]
fn a_snapshot_comes_back_byte_for_byte_and_unchanged_files_are_not_sent_again() {
    let served = Served::with_workspace();
    let big = "x".repeat(300_000);
    let dir = code(&[
        ("a.py", "print(1)\n"),
        ("pkg/b.bin", &big),
        ("pkg/empty", ""),
        ("skip.log", "no"),
        ("deep/skip.log", "no"),
        ("keep/keep.log", "yes"),
        (".gitignore", "*.log\n!keep/keep.log\n"),
    ]);
    let first = served.json(&["snapshot", "create", dir.path().to_str().unwrap()]);
    assert_eq!(first["files"], 5, "{first}");
    let again = served.json(&["snapshot", "create", dir.path().to_str().unwrap()]);
    assert_eq!((again["filesSent"].as_u64(), &again["snapshotId"]), (Some(0), &first["snapshotId"]));
    fs::write(dir.path().join("a.py"), "print(2)\n").unwrap();
    let changed = served.json(&["snapshot", "create", dir.path().to_str().unwrap()]);
    assert_eq!(changed["filesSent"], 1);
    assert_ne!(changed["snapshotId"], first["snapshotId"]);
    let back = tempfile::tempdir().unwrap();
    let name = first["id"].as_str().unwrap().split('/').rev().nth(2).unwrap().to_owned();
    served.good(&["snapshot", "restore", &name, "--to", back.path().to_str().unwrap()]);
    assert_eq!(fs::read_to_string(back.path().join("a.py")).unwrap(), "print(1)\n");
    assert_eq!(fs::read_to_string(back.path().join("pkg/b.bin")).unwrap(), big);
    assert!(back.path().join("keep/keep.log").exists() && !back.path().join("skip.log").exists());
}

#[test]
fn a_model_that_is_no_onnx_is_refused_at_deploy_with_the_reason() {
    if !super::clients::index_is_reachable() {
        super::clients::skip("deploy");
        return;
    }
    let served = Served::with_workspace();
    let dir = code(&[("main.py", "open('outputs/m.onnx','w').write('not a model')\n")]);
    submit(&served, dir.path(), "fake", "python main.py", &["--wait"]);
    served.good(&["model", "register", "--name", "fake", "--job", "fake", "--path", "outputs/m.onnx"]);
    served.good(&["image", "build", "--name", "fake", "--model", "fake:1"]);
    let told = served.bad(&["endpoint", "create", "fake-service", "--image", "fake"]);
    assert!(told.contains("not a loadable ONNX model"), "{told}");
}
