//! The jail's root: an allow-list of read-only binds on an empty file system, never the host's root.
//!
//! Runs as process 1 of the new pid namespace, in a mount namespace of its own, still with the agent's privileges. The
//! user namespace of the program is made afterwards, so every mount here belongs to an outer one: the program could not
//! change them even with all capabilities of its own namespace.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{
    failure::{Failure, Step},
    spec::{Bind, INNER_ID, NAME, Spec},
    sys::{self, mount_attribute as attribute},
};
use crate::jail_tls::FILES;

/// Parts of the system that are shown as they are: a link stays a link.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// The few files of `/etc` that libraries need and that say nothing about this host's users.
const ETC: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// Devices without state.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

/// Files below `/proc` that tell about, or act on, the whole host.
const MASKED_FILES: &[&str] = &[
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "kallsyms",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "timer_list",
    "sched_debug",
    "latency_stats",
    "sysrq-trigger",
    "interrupts",
    "softirqs",
    "iomem",
    "ioports",
    "vmallocinfo",
    "slabinfo",
    "pagetypeinfo",
    "modules",
    "mtrr",
    "config.gz",
    "cmdline",
    "bootconfig",
    "locks",
    "consoles",
];

/// Directories below `/proc` of the same kind.
const MASKED_DIRECTORIES: &[&str] = &["acpi", "asound", "scsi", "irq", "bus", "fs", "driver", "tty", "dynamic_debug"];

/// Builds the root and moves into it; the host's tree is gone afterwards.
pub fn enter(spec: &Spec) -> Result<(), Failure> {
    let root = spec.root.as_path();
    // Nothing done here may reach another mount namespace, and nothing from there may appear here.
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .step("making the mounts private")?;
    tmpfs(root, "mode=755,size=4m,nr_inodes=4096")?;
    for name in SYSTEM {
        show_system(root, Path::new(name))?;
    }
    make_etc(root)?;
    make_devices(root)?;
    make_proc(root)?;
    for bind in &spec.binds {
        show(root, bind)?;
    }
    for (path, target) in &spec.links {
        let place = inside(root, Path::new(path))?;
        parents(&place)?;
        symlink(target, &place).step("making a link")?;
    }
    // The working directory's parents are made; from here on the root itself is read-only.
    sys::harden_mount(
        root,
        attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEVICES | attribute::NO_EXEC,
        false,
    )
    .step("making the root read-only")?;
    pivot(root)
}

fn pivot(root: &Path) -> Result<(), Failure> {
    nix::unistd::chdir(root).step("entering the new root")?;
    // With both arguments the same the old root lands on top of the new one, where it is then taken away: no directory
    // has to be made for it and no path to it ever exists.
    nix::unistd::pivot_root(".", ".").step("changing the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("detaching the host's root")?;
    nix::unistd::chdir("/").step("entering the root")
}

fn show_system(root: &Path, path: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let place = inside(root, path)?;
    if found.is_symlink() {
        let target = fs::read_link(path).step("reading a system link")?;
        return symlink(target, place).step("making a system link");
    }
    bind(path, &place, found.is_dir(), attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEVICES)
}

fn show(root: &Path, wanted: &Bind) -> Result<(), Failure> {
    let found = fs::metadata(&wanted.source).step_about("finding", &wanted.source)?;
    let mut attributes = attribute::NO_SUID | attribute::NO_DEVICES;
    if !wanted.writable {
        attributes |= attribute::READ_ONLY;
    }
    if !wanted.executable {
        attributes |= attribute::NO_EXEC;
    }
    let place = inside(root, &wanted.target)?;
    // Inside a part that is shown already (an interpreter below `/usr`), the place exists and is only covered.
    bind(&wanted.source, &place, found.is_dir(), attributes)
}

fn bind(source: &Path, place: &Path, is_directory: bool, attributes: u64) -> Result<(), Failure> {
    parents(place)?;
    if !place.exists() {
        if is_directory {
            fs::create_dir(place).step_about("making a place for", source)?;
        } else {
            fs::File::create_new(place).step_about("making a place for", source)?;
        }
    }
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), place, None::<&str>, flags, None::<&str>).step_about("showing", source)?;
    sys::harden_mount(place, attributes, true).step_about("hardening the view of", source)
}

fn make_etc(root: &Path) -> Result<(), Failure> {
    let id = INNER_ID;
    let files = [
        ("passwd", format!("{NAME}:x:{id}:{id}::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")),
        ("group", format!("{NAME}:x:{id}:\nnogroup:x:65534:\n")),
        ("hosts", format!("127.0.0.1 localhost {NAME} {FILES}\n::1 localhost\n")),
        ("hostname", format!("{NAME}\n")),
        ("nsswitch.conf", String::from("passwd: files\ngroup: files\nhosts: files\n")),
        ("resolv.conf", String::from("# no name server: there is no network here\n")),
    ];
    let etc = root.join("etc");
    fs::create_dir(&etc).step("making /etc")?;
    for (name, text) in files {
        fs::write(etc.join(name), text).step("writing a file of /etc")?;
    }
    for path in ETC {
        // Resolved here, so that a link out of the shown parts (as `/etc/localtime` may be) still works.
        let Ok(source) = fs::canonicalize(path) else { continue };
        let is_directory = source.is_dir();
        let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEVICES | attribute::NO_EXEC;
        bind(&source, &inside(root, Path::new(path))?, is_directory, attributes)?;
    }
    Ok(())
}

fn make_devices(root: &Path) -> Result<(), Failure> {
    let dev = root.join("dev");
    fs::create_dir(&dev).step("making /dev")?;
    tmpfs(&dev, "mode=755,size=64k,nr_inodes=64")?;
    for name in DEVICES {
        bind(
            &Path::new("/dev").join(name),
            &dev.join(name),
            false,
            attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC,
        )?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        symlink(target, dev.join(name)).step("making a link in /dev")?;
    }
    fs::create_dir(dev.join("shm")).step("making /dev/shm")?;
    sys::harden_mount(&dev, attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC, false)
        .step("hardening /dev")
}

fn make_proc(root: &Path) -> Result<(), Failure> {
    let proc = root.join("proc");
    fs::create_dir(&proc).step("making /proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), flags, Some("hidepid=2"))
        .step("mounting /proc (inside a container this needs a /proc that the container's engine has not masked)")?;
    let null = Path::new("/dev/null");
    let covered = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC;
    for name in MASKED_FILES {
        let file = proc.join(name);
        if file.exists() {
            bind(null, &file, false, covered)?;
        }
    }
    for name in MASKED_DIRECTORIES {
        let directory = proc.join(name);
        if directory.is_dir() {
            tmpfs(&directory, "mode=555,size=4k,nr_inodes=1")?;
            sys::harden_mount(&directory, covered | attribute::NO_DEVICES, false).step("covering a part of /proc")?;
        }
    }
    // All of it read-only: `/proc/sys`, `/proc/sysrq-trigger` and the like, whatever they are called in this kernel.
    sys::harden_mount(
        &proc,
        attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEVICES | attribute::NO_EXEC,
        false,
    )
    .step("making /proc read-only")
}

fn tmpfs(place: &Path, options: &str) -> Result<(), Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), place, Some("tmpfs"), flags, Some(options)).step_about("mounting memory at", place)
}

/// Where a path of the jail lies while its root is still a directory of ours. Refuses what is not plainly absolute.
fn inside(root: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let mut place = root.to_path_buf();
    for part in path.components() {
        match part {
            Component::RootDir => {}
            Component::Normal(name) => place.push(name),
            Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                return Err(Failure::new("placing a path", io::Error::from(io::ErrorKind::InvalidInput)));
            }
        }
    }
    Ok(place)
}

fn parents(place: &Path) -> Result<(), Failure> {
    let Some(parent) = place.parent() else { return Ok(()) };
    if parent.exists() {
        return Ok(());
    }
    parents(parent)?;
    fs::create_dir(parent).step("making a directory of the root")?;
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).step("opening a directory of the root")
}
