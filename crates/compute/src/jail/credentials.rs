//! From the agent's rights to none: own uid, user namespace, no capabilities, no new privileges.

use std::{fs::File, io::Write};

use nix::{
    fcntl::{OFlag, openat},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, getrlimit, rlim_t, setrlimit},
        signal::Signal,
        stat::Mode,
    },
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use super::{
    failure::{Failure, Step},
    spec::{Bounds, INNER_ID, Owner},
    sys,
};

/// Open files of one process; above what mathematical libraries use, below what exhausts the host.
const OPEN_FILES: rlim_t = 8192;
/// Memory that cannot be swapped, of one process.
const LOCKED_BYTES: rlim_t = 8 << 20;

/// Gives up everything, in the order in which each step is still allowed. `host_proc` is the host's `/proc`, opened before
/// the root changed, since the jail's own is read-only already.
pub fn give_up(owner: Owner, host_proc: File) -> Result<(), Failure> {
    if owner.changes {
        setgroups(&[]).step("dropping the groups")?;
        let (gid, uid) = (Gid::from_raw(owner.id), Uid::from_raw(owner.id));
        setresgid(gid, gid, gid).step("changing the group")?;
        setresuid(uid, uid, uid).step("changing the user")?;
    }
    // A change of user makes a process undumpable, and what belongs to an undumpable process belongs to root: without this
    // the maps below could not be opened.
    prctl::set_dumpable(true).step("becoming dumpable")?;
    unshare(CloneFlags::CLONE_NEWUSER).step("making the user namespace")?;
    prctl::set_dumpable(true).step("becoming dumpable again")?;
    write_map(&host_proc, "self/setgroups", "deny")?;
    write_map(&host_proc, "self/uid_map", &format!("{INNER_ID} {} 1", owner.id))?;
    write_map(&host_proc, "self/gid_map", &format!("{INNER_ID} {} 1", owner.id))?;
    drop(host_proc);
    sys::drop_capabilities().step("dropping the capabilities")?;
    prctl::set_no_new_privs().step("forbidding new privileges")?;
    // A change of credentials also forgot the signal that ties this life to the parent's.
    prctl::set_pdeathsig(Signal::SIGKILL).step("tying the jail to its agent")
}

fn write_map(proc: &File, name: &str, text: &str) -> Result<(), Failure> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let descriptor = openat(proc, name, flags, Mode::empty()).step("opening a map of the user namespace")?;
    File::from(descriptor).write_all(text.as_bytes()).step("writing a map of the user namespace")
}

/// Lowers the limits; none is ever raised, which needs a right that a root without `CAP_SYS_RESOURCE` lacks.
pub fn bound(bounds: Bounds) -> Result<(), Failure> {
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_NOFILE, OPEN_FILES)?;
    lower(Resource::RLIMIT_MEMLOCK, LOCKED_BYTES)?;
    lower(Resource::RLIMIT_MSGQUEUE, 0)?;
    lower(Resource::RLIMIT_NICE, 0)?;
    lower(Resource::RLIMIT_RTPRIO, 0)?;
    lower(Resource::RLIMIT_NPROC, bounds.processes)?;
    if let Some(bytes) = bounds.data_bytes {
        lower(Resource::RLIMIT_DATA, bytes)?;
    }
    Ok(())
}

fn lower(resource: Resource, value: rlim_t) -> Result<(), Failure> {
    let (_, hard) = getrlimit(resource).step("reading a limit")?;
    let value = value.min(hard);
    setrlimit(resource, value, value).step("lowering a limit")
}
