//! Which walls this host can build. Each is found out by building it, in children that end at once.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use kernel::{Capabilities, Wall};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Pid, Uid, pipe, setgroups, setresgid, setresuid},
};

use crate::{
    jail::{Cgroup, Share, is_real_root, seccomp, sys},
    process,
};

/// Probes with the executable that will build the jails.
///
/// # Errors
/// When the executable cannot be started or says nothing sensible.
pub fn probe(executable: &Path) -> io::Result<Capabilities> {
    let output = Command::new(executable)
        .args(["jail", "--probe"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

/// What `bartizan jail --probe` does.
pub fn probe_main() -> ExitCode {
    let Ok(text) = serde_json::to_vec(&walls()) else { return ExitCode::FAILURE };
    match io::stdout().write_all(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A probe that runs beside its parent.
pub struct Probing {
    child: Option<(Pid, File)>,
}

/// Starts a probe in a child. Must be called while the process has one thread.
pub fn begin() -> Probing {
    let Ok((read, write)) = pipe() else { return Probing { child: None } };
    match sys::fork() {
        Ok(ForkResult::Child) => {
            drop(read);
            let text = serde_json::to_vec(&walls()).unwrap_or_default();
            let code = i32::from(File::from(write).write_all(&text).is_err());
            sys::leave(code)
        }
        Ok(ForkResult::Parent { child }) => Probing { child: Some((child, File::from(read))) },
        Err(_) => Probing { child: None },
    }
}

impl Probing {
    /// What was found. A probe that failed found no wall at all.
    pub fn finish(self) -> Capabilities {
        let Some((child, mut pipe)) = self.child else { return capabilities(unknown()) };
        let mut text = Vec::new();
        let read = pipe.read_to_end(&mut text);
        let _reaped = waitpid(child, None);
        match (read, serde_json::from_slice(&text)) {
            (Ok(_), Ok(found)) => found,
            _ => capabilities(unknown()),
        }
    }
}

/// The names of all walls, in the order in which they are shown.
const WALLS: &[&str] = &[
    "user-namespace",
    "own-uid-range",
    "mount-namespace",
    "pid-namespace",
    "network-namespace",
    "ipc-namespace",
    "uts-namespace",
    "memory-limit",
    "pids-limit",
    "cpu-limit",
    "seccomp",
    "landlock",
    "private-scratch",
];

fn unknown() -> Vec<Wall> {
    WALLS.iter().map(|name| wall(name, false, "the probe itself failed")).collect()
}

fn capabilities(walls: Vec<Wall>) -> Capabilities {
    let cores = std::thread::available_parallelism().map_or(0, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX));
    Capabilities { walls, cores }
}

fn wall(name: &str, stands: bool, note: impl Into<String>) -> Wall {
    Wall { name: String::from(name), stands, note: note.into() }
}

fn walls() -> Capabilities {
    let root = is_real_root();
    let user = attempt(|| enter_user_namespace().map(|()| String::new()));
    // What a plain user builds, it builds inside a user namespace of its own.
    let within = move || if root { Ok(()) } else { enter_user_namespace() };
    let namespace = |flag: CloneFlags| attempt(move || within().and_then(|()| unshare(flag)).map(|()| String::new()));
    let mut found = vec![
        judged("user-namespace", user, "the program's ids mean nothing outside"),
        own_uid(root),
        judged("mount-namespace", attempt(move || within().and_then(|()| mounts())), "its root is an allow-list"),
        judged("pid-namespace", attempt(move || within().and_then(|()| processes())), "it sees its own processes only"),
        judged("network-namespace", namespace(CloneFlags::CLONE_NEWNET), "it has loopback only"),
        judged("ipc-namespace", namespace(CloneFlags::CLONE_NEWIPC), "it shares no memory with others"),
        judged("uts-namespace", namespace(CloneFlags::CLONE_NEWUTS), "it does not know the host's name"),
    ];
    found.extend(limits(root));
    found.push(judged("seccomp", attempt(filters), "system calls pass an allow-list"));
    let landlock = sys::landlock_version();
    found.push(if landlock > 0 {
        wall("landlock", true, format!("version {landlock}: a second allow-list of paths"))
    } else {
        wall("landlock", false, "the kernel has none; the mounts are the only allow-list of paths")
    });
    found.push(scratch(within));
    capabilities(found)
}

fn own_uid(root: bool) -> Wall {
    if !root {
        let note = "started by a plain user: the program has the agent's own user id outside its namespaces";
        return wall("own-uid-range", false, note);
    }
    let changed = attempt(|| {
        let (uid, gid) = (Uid::from_raw(1_900_000_000), Gid::from_raw(1_900_000_000));
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        Ok(String::new())
    });
    judged("own-uid-range", changed, "each run has an unprivileged user id of its own outside")
}

fn limits(root: bool) -> Vec<Wall> {
    let name = format!("{}-probe", process::own_name());
    let groups = Cgroup::make(&name, Share { memory_bytes: 64 << 20, processes: 16 });
    let none = "no control group can be made here (run as root, or delegate one)";
    let memory = if groups.bounds_memory() {
        wall("memory-limit", true, "by control group")
    } else {
        wall("memory-limit", false, format!("{none}; each process is limited, and their sum is watched"))
    };
    let processes = if groups.bounds_processes() {
        wall("pids-limit", true, "by control group")
    } else {
        let limited = attempt(move || limited_processes(root));
        judged("pids-limit", limited, "by the limit of its user namespace")
    };
    let processor = if groups.bounds_processor() {
        wall("cpu-limit", true, "by control group: a smaller share than the server's when both want it")
    } else {
        wall("cpu-limit", false, none)
    };
    vec![memory, processes, processor]
}

fn scratch(within: impl Fn() -> nix::Result<()> + Copy) -> Wall {
    let place = |options: &'static str| {
        attempt(move || {
            within()?;
            unshare(CloneFlags::CLONE_NEWNS)?;
            private()?;
            mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some(options)).map(|()| String::new())
        })
    };
    let swaps = fs::read_to_string("/proc/swaps").map_or(true, |text| text.lines().count() > 1);
    if place("size=1m,noswap").is_ok() {
        return wall("private-scratch", true, "in memory, never swapped, gone with the agent");
    }
    match place("size=1m") {
        Ok(_) if !swaps => wall("private-scratch", true, "in memory (this host has no swap), gone with the agent"),
        Ok(_) => wall("private-scratch", false, "in memory, but the host may swap it to disk in clear"),
        Err(why) => wall("private-scratch", false, why),
    }
}

fn judged(name: &str, result: Result<String, String>, means: &str) -> Wall {
    match result {
        Ok(more) if more.is_empty() => wall(name, true, means),
        Ok(more) => wall(name, true, format!("{means} ({more})")),
        Err(why) => wall(name, false, why),
    }
}

fn enter_user_namespace() -> nix::Result<()> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    prctl::set_dumpable(true)?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))
}

fn write(path: &str, text: &str) -> nix::Result<()> {
    fs::write(path, text).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
}

fn private() -> nix::Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// A read-only view of a system directory, which needs `mount_setattr` (Linux 5.12).
fn mounts() -> nix::Result<String> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    private()?;
    mount(Some("/usr"), "/usr", None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    sys::harden_mount(Path::new("/usr"), sys::mount_attribute::READ_ONLY, true)
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(String::new())
}

/// A pid namespace with its own `/proc`, which a container's engine may forbid by masking the outer one.
fn processes() -> nix::Result<String> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
    private()?;
    let inner = attempt(|| {
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("hidepid=2")).map(|()| String::new())
    });
    inner.map_err(|_| Errno::EPERM)
}

fn filters() -> nix::Result<String> {
    let program = seccomp::program().map_err(|_| Errno::ENOSYS)?;
    prctl::set_no_new_privs()?;
    seccompiler::apply_filter(&program).map_err(|_| Errno::ENOSYS)?;
    // A refused call proves that the filter is asked.
    match unshare(CloneFlags::CLONE_NEWUTS) {
        Err(Errno::EPERM) => Ok(String::new()),
        _ => Err(Errno::ENOSYS),
    }
}

/// Without control groups: a limit of processes that counts within the jail's own user namespace (Linux 5.14).
fn limited_processes(root: bool) -> nix::Result<String> {
    if root {
        return Err(Errno::ENOTSUP);
    }
    enter_user_namespace()?;
    unshare(CloneFlags::CLONE_NEWUSER)?;
    setrlimit(Resource::RLIMIT_NPROC, 2, 2)?;
    let mut children = Vec::new();
    let mut refused = false;
    for _ in 0..4 {
        match sys::fork() {
            Ok(ForkResult::Child) => {
                nix::unistd::pause();
                sys::leave(0)
            }
            Ok(ForkResult::Parent { child }) => children.push(child),
            Err(Errno::EAGAIN) => refused = true,
            Err(error) => return Err(error),
        }
    }
    for child in children {
        let _gone = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
        let _reaped = waitpid(child, None);
    }
    if refused { Ok(String::new()) } else { Err(Errno::ENOTSUP) }
}

/// Does something in a child of its own; says why it did not work.
fn attempt(action: impl FnOnce() -> nix::Result<String>) -> Result<String, String> {
    let failed = |error: Errno| format!("refused by this host: {}", error.desc());
    match sys::fork().map_err(failed)? {
        ForkResult::Child => {
            let code = match action() {
                Ok(_) => 0,
                Err(Errno::UnknownErrno) => libc::EIO,
                Err(error) => error_number(error),
            };
            sys::leave(code)
        }
        ForkResult::Parent { child } => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(String::new()),
            Ok(WaitStatus::Exited(_, code)) => Err(failed(Errno::from_raw(code))),
            _ => Err(String::from("refused by this host")),
        },
    }
}

#[expect(clippy::as_conversions, reason = "an enum without fields, whose numbers are the system's own")]
fn error_number(error: Errno) -> i32 {
    error as i32
}
