//! What must hold, one function each.

use std::{
    collections::BTreeMap,
    io::Read,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            fs::PermissionsExt,
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    time::{Duration, Instant},
};

use kernel::ComputeDriver;
use wire::agent::{Engine, Environment, Layer, RunState, Work};

use crate::{
    disk, environments,
    house::{BOOTSTRAP, RUN_TOKEN},
    stand::{PATIENCE, Run, Stand, WORKSPACE},
};

pub const ALL: &[(&str, fn())] = &[
    ("a_job_runs_and_leaves_its_outputs", a_job_runs_and_leaves_its_outputs),
    ("what_a_job_writes_is_on_no_disk", disk::what_a_job_writes_is_on_no_disk),
    ("nothing_gets_out_of_the_jail", nothing_gets_out_of_the_jail),
    ("a_job_that_wants_too_much_memory_is_killed", a_job_that_wants_too_much_memory_is_killed),
    ("many_small_memory_hogs_are_killed_too", many_small_memory_hogs_are_killed_too),
    ("an_exit_code_is_told", an_exit_code_is_told),
    ("a_canceled_job_may_clean_up", a_canceled_job_may_clean_up),
    ("a_job_that_ignores_the_end_is_killed", a_job_that_ignores_the_end_is_killed),
    ("a_job_ends_at_its_time_limit", a_job_ends_at_its_time_limit),
    ("what_a_program_leaves_running_ends_with_it", what_a_program_leaves_running_ends_with_it),
    ("a_killed_agent_takes_everything_along", a_killed_agent_takes_everything_along),
    ("two_jobs_are_two_users_outside", two_jobs_are_two_users_outside),
    ("stop_ends_an_agent_and_its_job", stop_ends_an_agent_and_its_job),
    ("a_server_that_is_away_for_a_moment_loses_nothing", a_server_that_is_away_for_a_moment_loses_nothing),
    ("the_proxy_adds_the_token_to_the_own_workspace_alone", the_proxy_adds_the_token_to_the_own_workspace_alone),
    ("a_demanded_wall_that_is_missing_refuses_the_run", a_demanded_wall_that_is_missing_refuses_the_run),
    ("a_snapshot_path_that_leads_out_is_refused", a_snapshot_path_that_leads_out_is_refused),
    ("an_offline_target_says_what_to_do", an_offline_target_says_what_to_do),
    ("a_service_answers_on_its_socket", a_service_answers_on_its_socket),
    ("an_environment_comes_from_the_index_alone", environments::an_environment_comes_from_the_index_alone),
    ("a_start_costs_little", environments::a_start_costs_little),
    ("the_usual_libraries_work_in_the_jail", environments::the_usual_libraries_work_in_the_jail),
];

/// Run by another scenario, in a process with the index's settings.
pub const INNER: &[(&str, fn())] = &[("inside_the_index", environments::inside_the_index)];

fn a_job_runs_and_leaves_its_outputs() {
    let command = "python main.py; echo to-err >&2; cat sub/data.txt; echo $GIVEN; mkdir -p outputs/m; \
                   echo model > outputs/m/x; echo line > logs/own.log";
    let stand =
        Run::job(command, &[("main.py", b"import sys; print('hello from', sys.prefix)"), ("sub/data.txt", b"data\n")])
            .start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Completed, "{finish:?} {}", stand.log());
    assert_eq!(finish.exit_code, Some(0));
    assert_eq!(finish.scratch_cleared, Some(true));
    assert_eq!(stand.log(), "hello from /environment\nto-err\ndata\nas it is\n");
    let seen = stand.house.seen.lock().unwrap();
    assert_eq!(seen.artifacts["outputs/m/x"], b"model\n");
    assert_eq!(seen.logs["logs/own.log"], b"line\n");
    let mut states: Vec<_> = seen.statuses.iter().map(|status| status.state).collect();
    states.dedup();
    assert_eq!(states, [RunState::Preparing, RunState::Starting, RunState::Running, RunState::Finalizing]);
    drop(seen);
    stand.gone();
    // Nothing of the run is on the disk: the private place is empty again.
    let private = stand.directory.path().join("cache/private");
    assert_eq!(std::fs::read_dir(private).unwrap().count(), 0);
}

/// I28 (the jail), I29 (what it leaves behind), I17 (no token inside), cases 61 and 62 (leaked descriptors, links).
fn nothing_gets_out_of_the_jail() {
    let directory = tempfile::tempdir().unwrap();
    let canary = directory.path().join("canary");
    std::fs::write(&canary, "canary").unwrap();
    let home = std::env::var("HOME").unwrap();
    let home_canary = format!("{home}/bartizan-canary-{}", std::process::id());
    std::fs::write(&home_canary, "canary").unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unix_path = directory.path().join("socket");
    let _unix = UnixListener::bind(&unix_path).unwrap();
    let name = format!("bartizan-it-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let facts = serde_json::json!({
        "canary": canary, "home_canary": home_canary, "pid": std::process::id(),
        "port": listener.local_addr().unwrap().port(), "abstract": name, "unix": unix_path,
        "pids": 64, "scratch_mib": 64, "secrets": [BOOTSTRAP, RUN_TOKEN],
    });
    let facts = serde_json::to_vec(&facts).unwrap();
    let files: &[(&str, &[u8])] = &[("hostile.py", include_bytes!("hostile.py")), ("facts.json", &facts)];
    let stand = Run::job("python hostile.py", files).start();
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
    let stood = log.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(stood > 170, "only {stood} attempts were made");
    let seen = stand.house.seen.lock().unwrap();
    let kept: Vec<_> = seen.artifacts.keys().map(String::as_str).collect();
    assert_eq!(kept, ["outputs/deep/model.bin", "outputs/good.txt"]);
    for name in ["link", "directory-link", "hard", "sparse", "bad\\nname"] {
        assert!(
            log.contains(&format!("not collected: `{name}`")) || log.contains(&format!("`outputs/{name}`")),
            "{name}"
        );
    }
    assert_eq!(mounts(), before);
}

fn a_job_that_wants_too_much_memory_is_killed() {
    let script: &[u8] = b"import time\nx = []\nfor i in range(400):\n    x.append(b'x' * (1 << 20))\n    \
        time.sleep(0.005)\ntime.sleep(5)\nprint('survived')\n";
    let mut run = Run::job("python hog.py", &[("hog.py", script)]);
    run.limits.memory_mib = 128;
    let stand = run.start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Failed);
    assert!(!stand.log().contains("survived"));
    let message = finish.message.unwrap();
    assert!(message.contains("the memory limit of 128 MiB was reached"), "{message}");
}

fn many_small_memory_hogs_are_killed_too() {
    let script: &[u8] =
        b"import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(48 << 20)\n        \
        [x.__setitem__(i, 1) for i in range(0, len(x), 4096)]\n        time.sleep(60)\ntime.sleep(60)\n";
    let mut run = Run::job("exec python hogs.py", &[("hogs.py", script)]);
    run.limits.memory_mib = 128;
    let stand = run.start();
    if stand.capabilities_lack("memory-limit") {
        let finish = stand.finish();
        assert!(finish.message.unwrap().contains("memory limit of 128 MiB"));
        return;
    }
    // The control group kills them one by one; the program itself goes on.
    std::thread::sleep(Duration::from_secs(2));
    stand.house.seen.lock().unwrap().cancel = true;
    assert_eq!(stand.finish().state, RunState::Canceled);
}

fn an_exit_code_is_told() {
    let stand = Run::job("echo last words; exit 7", &[]).start();
    let finish = stand.finish();
    assert_eq!((finish.state, finish.exit_code), (RunState::Failed, Some(7)));
    assert_eq!(finish.message.as_deref(), Some("the program ended with exit code 7"));
    assert_eq!(stand.log(), "last words\n[bartizan] the program ended with exit code 7\n");
}

fn a_canceled_job_may_clean_up() {
    let stand =
        Run::job("trap 'echo cleaned > outputs/x; exit 3' TERM; echo up; while :; do sleep 0.05; done", &[]).start();
    stand.house.until(PATIENCE, |seen| seen.log().contains("up\n").then_some(()));
    let begun = Instant::now();
    stand.house.seen.lock().unwrap().cancel = true;
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Canceled, "{finish:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(stand.house.seen.lock().unwrap().artifacts["outputs/x"], b"cleaned\n");
}

fn a_job_that_ignores_the_end_is_killed() {
    let stand = Run::job("trap '' TERM; echo up; (trap '' TERM; sleep 100) & sleep 100; sleep 100", &[]).start();
    stand.house.until(PATIENCE, |seen| seen.log().contains("up\n").then_some(()));
    let begun = Instant::now();
    stand.house.seen.lock().unwrap().cancel = true;
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Canceled, "{finish:?}");
    assert!(begun.elapsed() > Duration::from_secs(4) && begun.elapsed() < Duration::from_secs(12));
}

fn a_job_ends_at_its_time_limit() {
    let mut run = Run::job("echo up; sleep 100", &[]);
    run.limits.seconds = 1;
    let finish = run.start().finish();
    assert_eq!(finish.state, RunState::Canceled);
    assert_eq!(finish.message.as_deref(), Some("the time limit of 1 s was reached"));
}

fn what_a_program_leaves_running_ends_with_it() {
    let marker = format!("3{}", std::process::id());
    let stand =
        Run::job(&format!("setsid nohup sleep {marker} >/dev/null 2>&1 & setsid sleep {marker} & echo left"), &[])
            .start();
    assert_eq!(stand.finish().state, RunState::Completed);
    assert!(!runs(&marker));
}

fn a_killed_agent_takes_everything_along() {
    let marker = format!("4{}", std::process::id());
    let stand = Run::job(&format!("echo up; setsid sleep {marker} & sleep {marker}"), &[]).start();
    stand.house.until(PATIENCE, |seen| seen.log().contains("up\n").then_some(()));
    assert!(runs(&marker));
    let agent = stand.launched.handle.split(':').next().unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(agent), nix::sys::signal::Signal::SIGKILL).unwrap();
    stand.gone();
    let begun = Instant::now();
    while runs(&marker) {
        assert!(begun.elapsed() < Duration::from_secs(5), "the job outlives its agent");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_dir(stand.directory.path().join("cache/private")).unwrap().count(), 0);
}

fn stop_ends_an_agent_and_its_job() {
    let marker = format!("5{}", std::process::id());
    let stand = Run::job(&format!("echo up; exec sleep {marker}"), &[]).start();
    stand.house.until(PATIENCE, |seen| seen.log().contains("up\n").then_some(()));
    stand.runtime.block_on(stand.computer.stop(&stand.launched)).unwrap();
    assert!(!stand.alive());
    assert!(!runs(&marker));
    let finish = stand.house.seen.lock().unwrap().finish.clone().unwrap();
    assert_eq!((finish.state, finish.message.as_deref()), (RunState::Canceled, Some("ended by the compute target")));
    // Again, and for what never was.
    stand.runtime.block_on(stand.computer.stop(&stand.launched)).unwrap();
    let never = kernel::Launched { handle: String::from("1:1") };
    stand.runtime.block_on(stand.computer.stop(&never)).unwrap();
}

/// I28: each jail of root's has a user of its own; a plain user has only itself to give.
fn two_jobs_are_two_users_outside() {
    let owners: Vec<(Stand, u32)> = ["6", "7"]
        .iter()
        .map(|first| {
            let marker = format!("{first}{}", std::process::id());
            let stand = Run::job(&format!("echo up; exec sleep {marker}"), &[]).start();
            stand.house.until(PATIENCE, |seen| seen.log().contains("up\n").then_some(()));
            let begun = Instant::now();
            while !runs(&marker) {
                assert!(begun.elapsed() < Duration::from_secs(5));
            }
            let owner = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
                let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let ours =
                    words.starts_with(b"sleep") && words.split(|byte| *byte == 0).any(|word| word == marker.as_bytes());
                let status = std::fs::read_to_string(entry.path().join("status")).ok().filter(|_| ours)?;
                status.lines().find_map(|line| line.strip_prefix("Uid:\t")?.split('\t').next()?.parse().ok())
            });
            (stand, owner.unwrap())
        })
        .collect();
    let us = nix::unistd::Uid::effective();
    if us.is_root() {
        assert!(owners.iter().all(|(_, owner)| (1_900_000_001..1_900_005_000).contains(owner)));
        assert_ne!(owners[0].1, owners[1].1);
    } else {
        assert!(owners.iter().all(|(_, owner)| *owner == us.as_raw()));
    }
    for (stand, _) in &owners {
        stand.runtime.block_on(stand.computer.stop(&stand.launched)).unwrap();
    }
}

/// Whether a process with this word in its arguments runs on the host.
fn runs(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()) && words.starts_with(b"sleep")
    })
}

fn a_server_that_is_away_for_a_moment_loses_nothing() {
    let run = Run::job("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.3; done", &[]);
    let stand = run.start();
    stand.house.seen.lock().unwrap().broken_logs = 3;
    assert_eq!(stand.finish().state, RunState::Completed);
    let lines: String = (1..=8).map(|number| format!("line {number}\n")).collect();
    assert_eq!(stand.log(), lines);
}

/// I6: what a program may ask of the server.
fn the_proxy_adds_the_token_to_the_own_workspace_alone() {
    let script: &[u8] = br#"
import http.client, os, urllib.parse
base = urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"])
def ask(path, method="GET", body=None, headers={}):
    connection = http.client.HTTPConnection(base.hostname, base.port)
    connection.putrequest(method, path, skip_host=False)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode()[:40], flush=True)
ask(base.path + "/api/2.0/mlflow/runs/create", "POST", b"{\"a\":1}", {"Content-Type": "application/json", "Authorization": "Bearer mine", "Cookie": "a=b"})
ask(base.path + "/api/2.0/mlflow/big", "PUT", b"x" * 3000000)
ask("/agent/v1/runs/run-1/finish", "POST", b"{}")
ask(base.path + "/../ws2/api")
ask(base.path + "/%2e%2e/ws2/api")
ask("http://127.0.0.1:1/evil")
ask("/")
"#;
    let stand = Run::job("python ask.py", &[("ask.py", script)]).start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Completed, "{}", stand.log());
    let answers: Vec<String> = stand.log().lines().map(|line| line.chars().take(3).collect()).collect();
    assert_eq!(answers, ["200", "200", "403", "403", "403", "403", "403"], "{}", stand.log());
    let seen = stand.house.seen.lock().unwrap();
    let token = format!("Bearer {RUN_TOKEN}");
    assert_eq!(seen.proxied.len(), 2);
    for (method, path, bearer, body) in &seen.proxied {
        assert!(path.starts_with(WORKSPACE), "{path}");
        assert_eq!(bearer.as_deref(), Some(token.as_str()));
        assert_eq!(body.len(), if method == "PUT" { 3_000_000 } else { 7 });
    }
}

fn a_demanded_wall_that_is_missing_refuses_the_run() {
    let mut run = Run::job("echo ran", &[]);
    run.required_walls = vec![String::from("own-uid-range"), String::from("seccomp")];
    let stand = run.start();
    let finish = stand.finish();
    let mut unheard_of = Run::job("echo ran", &[]);
    unheard_of.required_walls = vec![String::from("moat")];
    assert!(unheard_of.start().finish().message.unwrap().ends_with("demands: moat"));
    if stand.capabilities_lack("own-uid-range") {
        assert_eq!(finish.state, RunState::Failed);
        assert!(finish.message.unwrap().contains("own-uid-range"));
        assert_eq!(stand.log(), "");
        assert!(finish.missing_walls.contains(&String::from("own-uid-range")));
    } else {
        assert_eq!(finish.state, RunState::Completed);
        assert!(finish.missing_walls.is_empty(), "{:?}", finish.missing_walls);
    }
}

/// I11: a name from outside is no path of this host.
fn a_snapshot_path_that_leads_out_is_refused() {
    let stand = Run::job("echo ran", &[("../x", b"x")]).start();
    let finish = stand.finish();
    assert_eq!(finish.state, RunState::Failed);
    assert!(finish.message.unwrap().contains("not a path below the snapshot"));
}

fn an_offline_target_says_what_to_do() {
    let mut run = Run::job("echo ran", &[]);
    run.environment =
        Environment { requirements: Some(String::from("numpy==1.0")), offline: true, ..Environment::default() };
    let finish = run.start().finish();
    assert_eq!(finish.state, RunState::Failed);
    assert!(finish.message.unwrap().contains("run once with the index allowed"));
}

fn a_service_answers_on_its_socket() {
    let mut header = tar_header("app/score.py", 5);
    header.extend_from_slice(b"SCORE");
    header.resize(header.len().next_multiple_of(512) + 1024, 0);
    let layer = Layer {
        digest: format!("sha256:{:064}", 1),
        size: header.len().try_into().unwrap(),
        media_type: String::from("application/vnd.oci.image.layer.v1.tar"),
    };
    let contents = BTreeMap::from([(layer.digest.clone(), header)]);
    let engine = Engine::Python { entry: String::from("/app/score.py"), model_dir: String::from("/app") };
    let mut run = Run::of(Work::Service { layers: vec![layer], engine }, contents);
    let socket = run.directory.path().join("replica.sock");
    run.socket = Some(socket.clone());
    let stand = run.start();
    stand.house.until(PATIENCE, |seen| seen.statuses.iter().any(|s| s.state == RunState::Running).then_some(()));
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut answer = String::new();
    UnixStream::connect(&socket).unwrap().read_to_string(&mut answer).unwrap();
    let lines: Vec<&str> = answer.lines().collect();
    assert!(lines[0].starts_with("/bartizan model-server --listen-fd 3 --engine python --entry /app/score.py"));
    assert_eq!(lines[1], "SCORE");
    // 0, 1, 2, the listener, and the directory that is being listed.
    assert_eq!(lines[2].matches('"').count() / 2, 5, "{}", lines[2]);
    assert_eq!(lines[3], "network false");
    assert!(stand.house.until(PATIENCE, |seen| seen.log().contains("model server up").then_some(true)));
    stand.runtime.block_on(stand.computer.stop(&stand.launched)).unwrap();
    assert!(!socket.exists());
}

/// A ustar header.
fn tar_header(name: &str, size: usize) -> Vec<u8> {
    let mut header = vec![0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}
