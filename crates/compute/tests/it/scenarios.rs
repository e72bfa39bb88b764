//! What must hold, one function each.

use std::time::Duration;

use wire::agent::RunState;

use crate::stand::{PATIENCE, Run};

pub const ALL: &[(&str, fn())] = &[
    ("a_job_runs_and_leaves_its_outputs", a_job_runs_and_leaves_its_outputs),
    ("nothing_gets_out_of_the_jail", nothing_gets_out_of_the_jail),
];

fn a_job_runs_and_leaves_its_outputs() {
    let stand = Run::job(
        "python main.py; echo to-err >&2; cat sub/data.txt; echo $GIVEN; mkdir -p outputs/m; echo model > outputs/m/x; echo line > logs/own.log",
        &[("main.py", b"import sys; print('hello from', sys.prefix)"), ("sub/data.txt", b"data\n")],
    )
    .start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Completed, "{finish:?} {}", stand.log());
    assert_eq!(finish.exit_code, Some(0));
    assert_eq!(stand.log(), "hello from /environment\nto-err\ndata\nas it is\n");
    let seen = stand.house.seen.lock().unwrap();
    assert_eq!(seen.artifacts["outputs/m/x"], b"model\n");
    assert_eq!(seen.logs["logs/own.log"], b"line\n");
    let mut states: Vec<_> = seen.statuses.iter().map(|status| status.state).collect();
    states.dedup();
    assert_eq!(states, [RunState::Preparing, RunState::Starting, RunState::Running, RunState::Finalizing]);
    drop(seen);
    stand.gone();
    let _ = (PATIENCE, Duration::ZERO);
}

fn nothing_gets_out_of_the_jail() {
    let directory = tempfile::tempdir().unwrap();
    let canary = directory.path().join("canary");
    std::fs::write(&canary, "canary").unwrap();
    let home = std::env::var("HOME").unwrap();
    let home_canary = format!("{home}/bartizan-canary-{}", std::process::id());
    std::fs::write(&home_canary, "canary").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix_path = directory.path().join("socket");
    let _unix = std::os::unix::net::UnixListener::bind(&unix_path).unwrap();
    let name = format!("bartizan-it-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(&name).unwrap();
    let _abstract = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let facts = serde_json::json!({
        "canary": canary, "home_canary": home_canary, "pid": std::process::id(), "port": listener.local_addr().unwrap().port(),
        "server_port": 1, "abstract": name, "unix": unix_path, "pids": 64, "scratch_mib": 64, "cache": "bartizan-it",
        "secrets": [crate::house::BOOTSTRAP, crate::house::RUN_TOKEN],
    });
    let facts = serde_json::to_vec(&facts).unwrap();
    let stand =
        Run::job("python hostile.py", &[("hostile.py", include_bytes!("hostile.py")), ("facts.json", &facts)]).start();
    let finish = stand.finish();
    std::fs::remove_file(&home_canary).unwrap();
    let log = stand.log();
    if std::env::var_os("SHOW").is_some() {
        println!("{log}");
    }
    let escapes: Vec<_> = log.lines().filter(|line| line.starts_with("ESCAPE")).collect();
    assert!(escapes.is_empty(), "{escapes:#?}");
    assert!(log.contains("\ndone\n"), "{log}");
    assert_eq!(finish.state, RunState::Completed, "{finish:?} {log}");
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
}
