//! The few system calls that the safe wrappers do not offer. Everything `unsafe` about the jail's set-up is here.
#![expect(unsafe_code, reason = "raw system calls without a safe wrapper; each block says why it is sound")]

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use nix::unistd::{ForkResult, Pid};

/// Attributes of a mount, as `mount_setattr(2)` knows them.
pub mod mount_attribute {
    /// Nothing on it can be written.
    pub const READ_ONLY: u64 = 0x1;
    /// Set-user-id bits have no effect.
    pub const NO_SUID: u64 = 0x2;
    /// Device nodes have no effect.
    pub const NO_DEVICES: u64 = 0x4;
    /// Nothing on it can be executed.
    pub const NO_EXEC: u64 = 0x8;
}

/// Forks. Only for processes that never started a second thread.
pub fn fork() -> nix::Result<ForkResult> {
    // SAFETY: the callers (`bartizan jail`, the probe, the agent before its runtime) are single-threaded, so no lock can
    // be held by a thread that does not exist in the child, and the child may go on with ordinary code.
    unsafe { nix::unistd::fork() }
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: `close_range` takes three integers and touches no memory. The callers own no descriptor object at or above
    // `first` that they use afterwards.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0_u32) }).map(drop)
}

/// Marks every descriptor from `first` on as closed at the next `execve`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: as in `close_from`; the flag only marks.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Takes charge of a descriptor that this process was started with.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl(F_GETFD)` only reads flags of a number.
    checked(i64::from(unsafe { libc::fcntl(number, libc::F_GETFD) }))?;
    // SAFETY: the descriptor is open (just checked) and was inherited for this purpose, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Puts a copy of a descriptor at a fixed number and lets it survive `execve`.
pub fn place(descriptor: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    if descriptor.as_raw_fd() == number {
        // SAFETY: `fcntl(F_SETFD)` changes a flag of an open descriptor.
        return checked(i64::from(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })).map(drop);
    }
    // SAFETY: `dup2` on an open descriptor; whatever was at `number` is closed, and the callers hold nothing there.
    checked(i64::from(unsafe { libc::dup2(descriptor.as_raw_fd(), number) })).map(drop)
}

/// Adds attributes to a mount, and to all mounts below it when `recursive`.
pub fn harden_mount(path: &Path, attributes: u64, recursive: bool) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let attr = MountAttr { set: attributes, clear: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path is a NUL-terminated string and attr a struct of the layout and size the kernel expects (version 0,
    // 32 bytes); both outlive the call.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attr,
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Gives up every capability: ambient, bounding, inheritable, permitted, effective; and locks the road back.
pub fn drop_capabilities() -> io::Result<()> {
    // SAFETY: `prctl` with integer arguments only.
    checked(i64::from(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) }))?;
    for capability in 0..=63 {
        // SAFETY: as above. EINVAL marks the end of the capabilities this kernel knows.
        match checked(i64::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    // NOROOT, NO_SETUID_FIXUP off, KEEP_CAPS off, NO_CAP_AMBIENT_RAISE; each with its lock.
    const SECURE_BITS: i32 = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80;
    // SAFETY: as above.
    checked(i64::from(unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) }))?;

    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let data =
        [Data { effective: 0, permitted: 0, inheritable: 0 }, Data { effective: 0, permitted: 0, inheritable: 0 }];
    // SAFETY: version 3 reads one header and two data structs, which is what it gets; both outlive the call.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// Brings the loopback interface of this network namespace up.
pub fn loopback_up() -> io::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: an all-zero `ifreq` is valid: it is plain data with a union of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    // SAFETY: SIOCGIFFLAGS reads the name from and writes the flags into the struct, which is live and large enough.
    checked(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) }))?;
    // SAFETY: the call above filled this member of the union.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = libc::c_short::try_from(libc::IFF_UP).map_err(io::Error::other)?;
    request.ifr_ifru.ifru_flags = flags | up;
    // SAFETY: SIOCSIFFLAGS reads name and flags from the live struct.
    checked(i64::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })).map(drop)
}

/// The version of Landlock this kernel speaks; 0 when it has none.
pub fn landlock_version() -> i64 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no memory and only returns a number.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) }.max(0)
}

/// Waits until a process ends, without reaping it, at most this long. True when it ended (or was not there).
pub fn wait_for_end(pid: Pid, milliseconds: i32) -> bool {
    // SAFETY: `pidfd_open` takes two integers.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0_u32) };
    let Ok(number) = checked(number).and_then(|number| RawFd::try_from(number).map_err(io::Error::other)) else {
        return nix::sys::signal::kill(pid, None).is_err();
    };
    // SAFETY: the kernel just made this descriptor for us.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live `pollfd`, count 1.
    let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    ready > 0
}

fn checked(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Ends a forked child at once, without running what belongs to its parent (buffers, exit handlers).
pub fn leave(code: i32) -> ! {
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes a command start its process in a session of its own, with a descriptor at number 3 and no others.
pub fn pass_at_three(command: &mut std::process::Command, descriptor: OwnedFd) {
    use std::os::unix::process::CommandExt;
    let prepare = move || {
        nix::unistd::setsid()?;
        place(descriptor.as_fd(), 3)?;
        close_on_exec_from(4)
    };
    // SAFETY: the closure runs between fork and exec; it makes three system calls and neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
}
