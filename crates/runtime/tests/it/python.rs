//! Entry scripts with `init()` and `run(data)`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;

use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tempfile::TempDir;

use crate::replica::Replica;

/// They need no package.
pub fn trials() -> Vec<Trial> {
    let test = |name: &str, body: fn()| {
        Trial::test(format!("python::{name}"), move || {
            body();
            Ok::<(), Failed>(())
        })
    };
    vec![
        test("run_gets_the_text_of_the_body", run_gets_the_text_of_the_body),
        test("results_become_json", results_become_json),
        test("an_exception_is_told_without_its_traceback", an_exception_is_told_without_its_traceback),
        test("a_crash_costs_one_request", a_crash_costs_one_request),
        test("a_run_without_end_is_killed", a_run_without_end_is_killed),
        test("what_the_script_prints_is_the_log", what_the_script_prints_is_the_log),
        test("a_failing_init_ends_the_process_with_the_reason", a_failing_init_ends_the_process_with_the_reason),
        test("nobody_is_healthy_before_init_returns", nobody_is_healthy_before_init_returns),
        test("workers_work_side_by_side", workers_work_side_by_side),
        test("a_full_queue_is_said_so", a_full_queue_is_said_so),
        test("a_worker_has_no_socket_but_its_own", a_worker_has_no_socket_but_its_own),
        test("a_script_may_answer_in_http", a_script_may_answer_in_http),
        test("workers_end_with_the_replica", workers_end_with_the_replica),
        test("a_missing_interpreter_is_named", a_missing_interpreter_is_named),
    ]
}

/// A replica, and the place of its script.
pub struct Script {
    pub replica: Replica,
    pub _place: TempDir,
}

/// Starts a replica of this script.
pub fn start(script: &str, more: &[&str], env: &[(&str, &OsStr)]) -> Script {
    let place = tempfile::tempdir().unwrap();
    let entry = place.path().join("score.py");
    fs::write(&entry, script).unwrap();
    let mut args: Vec<OsString> = ["--engine", "python", "--python", "python3", "--entry"].map(OsString::from).to_vec();
    args.push(entry.into());
    args.push("--model-dir".into());
    args.push(place.path().into());
    args.extend(more.iter().map(OsString::from));
    Script { replica: Replica::start(args, env), _place: place }
}

fn serve(script: &str, more: &[&str]) -> Script {
    let Script { replica, _place } = start(script, more, &[]);
    Script { replica: replica.ready(), _place }
}

fn run_gets_the_text_of_the_body() {
    let script = "
import json, os
from beside import word
def init():
    global place
    place = os.environ['AZUREML_MODEL_DIR']
def run(data):
    assert isinstance(data, str)
    return [json.loads(data)['data'], os.path.basename(__file__), os.path.isdir(place), word, len(data)]
";
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("score.py"), script).unwrap();
    fs::write(place.path().join("beside.py"), "word = 'found'").unwrap();
    let entry = place.path().join("score.py");
    let args = ["--engine", "python", "--python", "python3", "--model-dir", "/tmp", "--entry"].map(OsString::from);
    let replica = Replica::start(args.into_iter().chain([entry.into()]), &[]).ready();
    assert_eq!(replica.score(&json!({"data": "é"})).json(), json!(["é", "score.py", true, "found", 12]));
    replica.post(&[], b"{").failure(400);
    replica.post(&[], b"\"\xff\"").failure(400);
    replica.post(&[("content-type", "image/png")], b"{}").failure(415);
    let document = replica.get("/swagger.json").json();
    assert_eq!(document["definitions"]["ServiceInput"]["type"], "object");
    let large = "x".repeat(3 << 20);
    let reply = replica.score(&json!({ "data": large })).json();
    assert_eq!(reply[0].as_str().unwrap().len(), 3 << 20);
}

fn results_become_json() {
    let script = "
import datetime, json
def init(): pass
def run(data):
    return {
        'list': [1, 'a', None, True], 'str': '{\"a\": 1}', 'none': None, 'float': 0.1,
        'nan': [float('nan'), float('inf'), -float('inf')], 'day': datetime.date(2024, 2, 29),
        'bytes': b'raw', 'set': {1}, 'tuple': (1, 2),
    }[json.loads(data)]
";
    let Script { replica, _place } = serve(script, &[]);
    for (ask, answer) in [
        ("list", json!([1, "a", null, true])),
        ("str", json!("{\"a\": 1}")),
        ("none", json!(null)),
        ("float", json!(0.1)),
        ("nan", json!(["NaN", "Infinity", "-Infinity"])),
        ("day", json!("2024-02-29")),
        ("tuple", json!([1, 2])),
    ] {
        assert_eq!(replica.score(&json!(ask)).json(), answer, "{ask}");
    }
    for ask in ["bytes", "set"] {
        let said = replica.score(&json!(ask)).failure(502);
        assert!(said.contains(&format!("type {ask}, which has no JSON form")), "{said}");
    }
}

fn an_exception_is_told_without_its_traceback() {
    let script = "
def init(): pass
def run(data):
    secret_local = 1
    if 'exit' in data: raise SystemExit(3)
    raise ValueError('no such\\nrow')
";
    let Script { replica, _place } = serve(script, &[]);
    let reply = replica.score(&json!({}));
    assert_eq!(reply.header("x-ms-run-function-failed"), Some("true"));
    let error: wire::score::ErrorResponse = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, error.message.as_str()), (502, "run() raised ValueError: no such row"));
    assert!(replica.logged("line 6, in run"), "{}", replica.log());
    assert!(!replica.log().contains("<string>"), "{}", replica.log());
    assert!(replica.score(&json!("exit")).failure(502).contains("SystemExit: 3"));
    replica.score(&json!({})).failure(502);
}

fn a_crash_costs_one_request() {
    let script = "
import json, os, signal
def init(): pass
def run(data):
    what = json.loads(data)
    if what == 'exit': os._exit(7)
    if what == 'kill': os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()
";
    let Script { replica, _place } = serve(script, &[]);
    let before = replica.score(&json!("pid")).json();
    for (how, part) in [("exit", "exit status: 7"), ("kill", "signal: 9")] {
        let reply = replica.score(&json!(how));
        assert!(reply.failure(502).contains(part), "{}", reply.text());
        assert_eq!(reply.header("x-ms-run-function-failed"), Some("true"));
        // The next request waits for the new worker.
        assert_ne!(replica.score(&json!("pid")).json(), before);
    }
}

fn a_run_without_end_is_killed() {
    let script = "
import json, subprocess
def init(): pass
def run(data):
    if json.loads(data) == 'loop':
        print('child', subprocess.Popen(['sleep', '1000']).pid, flush=True)
        while True: pass
    return 'done'
";
    let Script { replica, _place } = serve(script, &["--timeout", "0.5"]);
    assert!(replica.score(&json!("loop")).failure(504).contains("500ms"));
    // Starting anew may take longer than one request may wait.
    let Script { replica, _place } = Script { replica: replica.ready(), _place };
    assert_eq!(replica.score(&json!("x")).json(), json!("done"));
    let log = replica.log();
    let child = log.lines().find_map(|line| line.strip_prefix("child ")).unwrap();
    assert!(gone(child), "what the script started is still there");
}

/// Whether a process has ended; a dead one that nobody has collected counts.
fn gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
        matches!(state, Some('Z' | 'X'))
    })
}

fn what_the_script_prints_is_the_log() {
    let script = "
import sys, os
print('while loading')
def init(): print('in init')
def run(data):
    print('out', data); print('err', file=sys.stderr); os.write(1, b'raw\\n')
    return sys.stdin.read()
";
    let Script { replica, _place } = serve(script, &[]);
    assert_eq!(replica.score(&json!({"data": 1})).json(), json!(""));
    for part in ["while loading", "in init", "out {\"data\":1}", "err", "raw"] {
        assert!(replica.logged(part), "{part}: {}", replica.log());
    }
}

fn a_failing_init_ends_the_process_with_the_reason() {
    for (script, last) in [
        ("def init(): raise KeyError('model')\ndef run(data): pass", "init: KeyError: 'model'"),
        ("import no_such_package", "init: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def init(): pass", "init: AttributeError: `score.py` defines no run()"),
        ("def init(: pass", "init: SyntaxError: "),
        (
            "import os\ndef init(): os._exit(9)\ndef run(data): pass",
            "init: the worker process ended in init(): exit status: 9",
        ),
    ] {
        let Script { mut replica, _place } = start(script, &["--workers", "2"], &[]);
        assert_eq!(replica.ended().code(), Some(4), "{}", replica.log());
        let log = replica.log();
        assert!(log.lines().last().unwrap().starts_with(last), "{log}");
        assert!(log.contains("Traceback") || !last.contains("KeyError"), "{log}");
    }
    let forever = "def init():\n    while True: pass\ndef run(data): pass";
    let Script { mut replica, _place } = start(forever, &["--init-timeout", "0.3"], &[]);
    assert_eq!(replica.ended().code(), Some(4));
    assert!(replica.log().contains("init: init() did not finish within 300ms"), "{}", replica.log());
}

fn nobody_is_healthy_before_init_returns() {
    let script = "
import os
def init():
    with open(os.environ['GATE']) as gate: gate.read()
def run(data): return 1
";
    let place = tempfile::tempdir().unwrap();
    let gate = place.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let Script { replica, _place } = start(script, &[], &[("GATE", gate.as_os_str())]);
    let reply = replica.get("/");
    assert!(reply.failure(503).contains("still loading"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    replica.score(&json!({})).failure(503);
    replica.get("/swagger.json").failure(503);
    fs::write(&gate, "open").unwrap();
    let replica = replica.ready();
    assert_eq!(replica.score(&json!({})).json(), json!(1));
}

fn workers_work_side_by_side() {
    // Each request waits for the other one to arrive, which works only with two workers.
    let script = "
import json, os
def init(): pass
def run(data):
    mine, other = json.loads(data)
    place = os.environ['AZUREML_MODEL_DIR']
    for name in (mine, other):
        try: os.mkfifo(os.path.join(place, name))
        except FileExistsError: pass
    if mine < other:
        open(os.path.join(place, mine), 'w').close(); open(os.path.join(place, other)).close()
    else:
        open(os.path.join(place, other)).close(); open(os.path.join(place, mine), 'w').close()
    return os.getpid()
";
    let Script { replica, _place } = serve(script, &["--workers", "2"]);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| replica.score(&json!(["a", "b"])).json());
        let other = scope.spawn(|| replica.score(&json!(["b", "a"])).json());
        assert_ne!(one.join().unwrap(), other.join().unwrap());
    });
}

fn a_full_queue_is_said_so() {
    let script = "
import os
def init(): pass
def run(data):
    with open(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'gate')) as gate: return gate.read()
";
    let Script { replica, _place } = serve(script, &["--queue", "1"]);
    let gate = _place.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| replica.score(&json!({})))).collect();
        let mut open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        // One is in run(), one waits; the others are refused at once, while nobody has been answered.
        let mut left: Vec<_> = calls.into_iter().collect();
        let mut refused = 0;
        while refused < 4 {
            if let Some(at) = left.iter().position(std::thread::ScopedJoinHandle::is_finished) {
                let reply = left.swap_remove(at).join().unwrap();
                reply.failure(503);
                assert_eq!(reply.header("retry-after"), Some("1"));
                refused += 1;
            }
            std::thread::yield_now();
        }
        std::io::Write::write_all(&mut open, b"go").unwrap();
        drop(open);
        for call in left {
            // Whoever waited opens the gate anew.
            while !call.is_finished() {
                if let Ok(gate) = fs::OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(&gate) {
                    drop(gate);
                }
                std::thread::yield_now();
            }
            assert_eq!(call.join().unwrap().status, 200);
        }
    });
}

fn a_worker_has_no_socket_but_its_own() {
    let script = "
import os
def init(): pass
def run(data):
    found = []
    for fd in os.listdir('/proc/self/fd'):
        try: target = os.readlink('/proc/self/fd/' + fd)
        except OSError: continue
        if target.startswith('socket:'): found.append(target)
    return found
";
    let Script { replica, _place } = serve(script, &[]);
    assert_eq!(replica.score(&json!({})).json().as_array().unwrap().len(), 1);
}

fn a_script_may_answer_in_http() {
    let script = "
class Made:
    status_code = 418
    headers = {'content-type': 'text/plain', 'x-own': 'yes', 'content-length': '999'}
    def get_data(self): return b'short and stout\\n'
def init(): pass
def run(data): return Made()
";
    let Script { replica, _place } = serve(script, &[]);
    let reply = replica.score(&json!({}));
    assert_eq!((reply.status, reply.text()), (418, "short and stout\n"));
    assert_eq!((reply.header("x-own"), reply.header("content-length")), (Some("yes"), Some("16")));
}

fn workers_end_with_the_replica() {
    let script = "
import atexit, os
def init(): atexit.register(lambda: print('good night', flush=True))
def run(data): return os.getpid()
";
    let Script { mut replica, _place } = serve(script, &["--workers", "2"]);
    let pid = replica.score(&json!({})).json().to_string();
    replica.terminate();
    assert_eq!(replica.ended().code(), Some(0), "{}", replica.log());
    assert!(gone(&pid));
    assert!(replica.log().contains("good night"), "{}", replica.log());
}

fn a_missing_interpreter_is_named() {
    let args = ["--engine", "python", "--python", "/no/such/python", "--entry", "score.py", "--model-dir", "/tmp"];
    let mut replica = Replica::start(args, &[]);
    assert_eq!(replica.ended().code(), Some(5), "{}", replica.log());
    assert!(replica.log().contains("cannot start `/no/such/python`"), "{}", replica.log());
}
