//! `bartizan jail`: a fresh single-threaded process between the agent and the program.
//!
//! ```text
//! agent ── stage (agent's rights, joins the cgroup, owns nothing) ── init (process 1, no rights) ── the program
//! ```
//!
//! Each dies with the one before it (`PDEATHSIG`), and the kernel ends the whole pid namespace with its process 1. The
//! stage knows two signals: `SIGTERM` is handed on to the program, `SIGINT` ends everything at once.

use std::{
    ffi::{CStr, CString},
    fs::File,
    io::{self, IoSlice, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        socket::{ControlMessage, MsgFlags, sendmsg},
        stat::{Mode, umask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Gid, Pid, Uid, dup2_stdin, execve, fchown, getppid, pipe2, sethostname, setsid},
};
use seccompiler::BpfProgram;

use super::{
    credentials,
    failure::{Failure, Step},
    landlock,
    launch::receive_descriptor,
    root, seccomp,
    spec::{Event, NAME, Spec, WORK},
    sys,
};

/// The greatest description of a jail that is read.
const LARGEST_SPEC: u32 = 4 << 20;

/// What `bartizan jail` does. Its standard input is the socket to the agent.
pub fn jail_main() -> ExitCode {
    if std::env::args_os().nth(2).is_some_and(|word| word == "--probe") {
        return crate::probe::probe_main();
    }
    let Ok(control) = control_socket() else { return ExitCode::from(125) };
    match stage(&control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The agent may be gone; there is nobody else to tell.
            let _unheard = say(&control, &Event::Failed { why: failure.to_string() });
            ExitCode::from(125)
        }
    }
}

/// Moves the socket away from number 0, where the program's empty standard input will be.
fn control_socket() -> Result<UnixStream, Failure> {
    sys::close_from(3).step("closing inherited descriptors")?;
    let inherited = sys::inherited(0).step("finding the agent's socket")?;
    let number = fcntl(&inherited, FcntlArg::F_DUPFD_CLOEXEC(10)).step("moving the agent's socket")?;
    let socket = sys::inherited(number).step("keeping the agent's socket")?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).step("opening /dev/null")?;
    // Number 0 stays occupied for the whole life of this process, by nothing.
    std::mem::forget(inherited);
    dup2_stdin(null.as_fd()).step("emptying the standard input")?;
    Ok(UnixStream::from(socket))
}

fn stage(control: &UnixStream) -> Result<(), Failure> {
    let (spec, passed) = read_spec(control)?;
    prctl::set_pdeathsig(Signal::SIGKILL).step("tying the jail to its agent")?;
    if getppid() != Pid::from_raw(spec.parent) {
        return Err(Failure::new("finding the agent", io::Error::from(io::ErrorKind::NotFound)));
    }
    setsid().step("making a session")?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let signals = watched();
    signals.thread_block().step("blocking signals")?;
    // Before the first fork: whoever joins later leaves what it allocated before uncounted.
    for procs in &spec.cgroups {
        std::fs::write(procs, "0").step_about("joining", procs)?;
    }
    if spec.owner.changes {
        // So that `/dev/stdout` can be opened by name.
        let (uid, gid) = (Uid::from_raw(spec.owner.id), Gid::from_raw(spec.owner.id));
        for stream in [io::stdout().as_fd(), io::stderr().as_fd()] {
            fchown(stream, Some(uid), Some(gid)).step("handing over the output")?;
        }
    }
    unshare(
        CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP
            | CloneFlags::CLONE_NEWPID,
    )
    .step("making the namespaces")?;
    sethostname(NAME).step("naming the host")?;
    sys::loopback_up().step("bringing loopback up")?;
    open_door(control, &spec)?;

    // Tells process 1 whether this process still lives: it cannot ask for its parent's id, which is 0 to it.
    let (alive, life) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).step("making a pipe")?;
    match sys::fork().step("starting the first process")? {
        ForkResult::Child => {
            drop(life);
            let code = match first_process(control, &spec, passed, &alive) {
                Ok(()) => 0,
                Err(failure) => {
                    let _unheard = say(control, &Event::Failed { why: failure.to_string() });
                    125
                }
            };
            sys::leave(code)
        }
        ForkResult::Parent { child } => {
            drop((passed, alive));
            watch_over(&signals, child);
            drop(life);
            Ok(())
        }
    }
}

fn read_spec(mut control: &UnixStream) -> Result<(Spec, Option<OwnedFd>), Failure> {
    let (_, passed) = receive_descriptor(control).step("reading the first word")?;
    let mut length = [0; 4];
    control.read_exact(&mut length).step("reading the length")?;
    let length = u32::from_be_bytes(length);
    if length > LARGEST_SPEC {
        return Err(Failure::new("reading the length", io::Error::from(io::ErrorKind::InvalidData)));
    }
    let mut text = Vec::new();
    control.take(u64::from(length)).read_to_end(&mut text).step("reading the description")?;
    let spec: Spec = serde_json::from_slice(&text).step("reading the description")?;
    Ok((spec, passed))
}

/// Listens in the new network namespace and hands the listener to the agent, who answers from outside: nothing that
/// holds a right or a token has to run in here.
fn open_door(control: &UnixStream, spec: &Spec) -> Result<(), Failure> {
    let Some(port) = spec.network.port() else {
        return (&mut &*control).write_all(b"-").step("telling that there is no door");
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).step("opening the door")?;
    listener.set_nonblocking(true).step("opening the door")?;
    let descriptors = [listener.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(control.as_raw_fd(), &[IoSlice::new(b"+")], &message, MsgFlags::MSG_NOSIGNAL, None)
        .step("handing the door to the agent")
        .map(drop)
}

fn say(mut control: &UnixStream, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    control.write_all(&line)
}

fn watched() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT] {
        signals.add(signal);
    }
    signals
}

/// The stage after its fork: hands signals on and waits. When process 1 is reaped, nothing of the jail runs any more.
fn watch_over(signals: &SigSet, child: Pid) {
    loop {
        // A failure can only mean that process 1 is gone, which the wait below finds out.
        match signals.wait() {
            Ok(Signal::SIGTERM) => drop(kill(child, Signal::SIGTERM)),
            Ok(Signal::SIGINT) => drop(kill(child, Signal::SIGKILL)),
            Ok(_) | Err(_) => {}
        }
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => return,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Process 1: builds the root, gives everything up, starts the program, reaps, reports.
fn first_process(control: &UnixStream, spec: &Spec, passed: Option<OwnedFd>, alive: &OwnedFd) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("tying the jail to its agent")?;
    still_alive(alive)?;
    let directory = OFlag::O_DIRECTORY | OFlag::O_PATH | OFlag::O_CLOEXEC;
    let host_proc = File::from(open("/proc", directory, Mode::empty()).step("opening /proc")?);
    unshare(CloneFlags::CLONE_NEWNS).step("making the mount namespace")?;
    root::enter(spec)?;
    credentials::give_up(spec.owner, host_proc)?;
    still_alive(alive)?;
    credentials::bound(spec.bounds)?;
    // Nobody with the same id may look into process 1.
    prctl::set_dumpable(false).step("becoming undumpable")?;
    let filter = seccomp::program().map_err(io::Error::other).step("compiling the system call filter")?;
    let program = Program::new(spec)?;
    let (broken, breaks) = pipe2(OFlag::O_CLOEXEC).step("making a pipe")?;
    let child = match sys::fork().step("starting the program")? {
        ForkResult::Child => {
            drop(broken);
            let failure = match become_program(spec, &program, &filter, passed) {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            let _unheard = File::from(breaks).write_all(failure.to_string().as_bytes());
            sys::leave(126)
        }
        ForkResult::Parent { child } => child,
    };
    drop((passed, breaks));
    seccompiler::apply_filter(&filter).map_err(io::Error::other).step("filtering process 1")?;
    let mut why = String::new();
    File::from(broken).take(4096).read_to_string(&mut why).step("waiting for the program's start")?;
    if !why.is_empty() {
        return say(control, &Event::Failed { why }).step("reporting");
    }
    // The agent may be gone; then this process is about to be, too.
    let _unheard = say(control, &Event::Running);
    say(control, &reap(child)).step("reporting")
}

fn still_alive(alive: &OwnedFd) -> Result<(), Failure> {
    match nix::unistd::read(alive, &mut [0]) {
        Err(Errno::EAGAIN) => Ok(()),
        Ok(_) | Err(_) => Err(Failure::new("finding the agent", io::Error::from(io::ErrorKind::NotFound))),
    }
}

/// Waits for the program, reaping whatever else was left to process 1. When this returns, process 1 ends, and with it
/// everything that the program left running.
fn reap(program: Pid) -> Event {
    let signals = watched();
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == program => return Event::Exited { code },
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                    return Event::Signaled { signal: i32::from_signal(signal) };
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                Ok(_) => {}
            }
        }
        if signals.wait() == Ok(Signal::SIGTERM) {
            // Everybody but process 1: a program that is a shell does not hand signals on.
            let _gone = kill(Pid::from_raw(-1), Signal::SIGTERM);
        }
    }
}

trait FromSignal {
    fn from_signal(signal: Signal) -> Self;
}

impl FromSignal for i32 {
    #[expect(clippy::as_conversions, reason = "an enum without fields, whose numbers are the signals' own")]
    fn from_signal(signal: Signal) -> i32 {
        signal as i32
    }
}

/// What `execve` needs, made while memory may still be allocated freely.
struct Program {
    argv: Vec<CString>,
    variables: Vec<CString>,
}

impl Program {
    fn new(spec: &Spec) -> Result<Self, Failure> {
        let strings = |words: Vec<String>| {
            words.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().step("reading the command")
        };
        let variables = spec.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(Self { argv: strings(spec.argv.clone())?, variables: strings(variables)? })
    }

    fn path(&self) -> &CStr {
        self.argv.first().map_or(c"/", CString::as_c_str)
    }
}

/// The last steps before the user's code: nothing of ours stays open, and the filter comes last, since it forbids the
/// calls that the steps before it make.
fn become_program(
    spec: &Spec,
    program: &Program,
    filter: &BpfProgram,
    passed: Option<OwnedFd>,
) -> Result<std::convert::Infallible, Failure> {
    let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).step("opening /dev/null")?;
    dup2_stdin(null.as_fd()).step("emptying the standard input")?;
    let mut first_closed = 3;
    if let Some(passed) = passed {
        sys::place(passed.as_fd(), 3).step("handing over the descriptor")?;
        if passed.as_raw_fd() == 3 {
            std::mem::forget(passed);
        }
        first_closed = 4;
    }
    sys::close_on_exec_from(first_closed).step("closing descriptors")?;
    nix::unistd::chdir(WORK).step("entering the working directory")?;
    landlock::restrict(spec).map_err(io::Error::other).step("restricting by Landlock")?;
    SigSet::all().thread_unblock().step("unblocking signals")?;
    setsid().step("making a session")?;
    seccompiler::apply_filter(filter).map_err(io::Error::other).step("filtering system calls")?;
    execve(program.path(), &program.argv, &program.variables).step_about("executing", program.path_shown())
}

impl Program {
    fn path_shown(&self) -> &std::path::Path {
        use std::os::unix::ffi::OsStrExt;
        std::path::Path::new(std::ffi::OsStr::from_bytes(self.path().to_bytes()))
    }
}
