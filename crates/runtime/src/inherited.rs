//! Takes over the listening socket that the parent process left open under an agreed number.
#![expect(unsafe_code, reason = "a descriptor received by number can be taken into ownership in no safe way")]

use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{getsockopt, sockopt};

/// Becomes the owner of descriptor `fd`, which must be a listening socket. Workers must not inherit it: it is marked
/// close-on-exec and non-blocking.
///
/// # Errors
/// When the number is one of the standard streams, is not open or is not a listening socket.
pub(crate) fn listener(fd: RawFd) -> io::Result<UnixListener> {
    if fd <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a standard stream cannot be the listening socket"));
    }
    // An open descriptor is needed before anything may own it; `/proc` tells without touching it.
    std::fs::symlink_metadata(format!("/proc/self/fd/{fd}"))?;
    // SAFETY: `fd` is open (checked above) and nobody else in this process owns it: the parent opened it before exec for
    // exactly this use, its number comes from the command line, and the command line is taken once, at start.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    if !getsockopt(&owned, sockopt::AcceptConn)? {
        // Whatever it is, it is not ours to close.
        let _ = owned.into_raw_fd();
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket is not listening"));
    }
    fcntl(&owned, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    let listener = UnixListener::from(owned);
    listener.set_nonblocking(true)?;
    Ok(listener)
}
