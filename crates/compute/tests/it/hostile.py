"""Tries to get out of the jail. Prints one line per attempt: `ok NAME` when the wall stood, `ESCAPE NAME` otherwise."""
import ctypes, errno, json, os, resource, signal, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
facts = json.load(open("facts.json"))


def attempt(name, action, harmless=()):
    """The wall stands when the action raises an OSError, or returns None."""
    try:
        result = action()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print("ok", name, type(error).__name__, getattr(error, "errno", ""), flush=True)
        return
    if result is None or result in harmless:
        print("ok", name, flush=True)
    else:
        print("ESCAPE", name, repr(result)[:200], flush=True)


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read(path):
    return lambda: open(path, "rb").read(64)


def writes(path):
    def action():
        with open(path, "wb") as file:
            file.write(b"x")
        return path
    return action


# --- what came along
def descriptors():
    leaked = []
    for n in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{n}")
        except OSError:
            continue
        if int(n) > 2 and not target.startswith("/proc/") and not target.startswith("/job/"):
            leaked.append((n, target))
    return leaked or None
attempt("leaked descriptors", descriptors)

# --- files of the host
for path in ["/etc/shadow", "/etc/ssh/ssh_host_rsa_key", "/root/.bashrc", "/home", "/var/log/dpkg.log", "/boot",
             "/sys/kernel/notes", "/run/bartizan", facts["canary"], facts["home_canary"], "/proc/1/environ",
             "/proc/1/mem", "/proc/1/root/etc/shadow", "/proc/kcore", "/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/sda"]:
    attempt("read " + path, read(path), harmless=(b"",))
attempt("list /root", lambda: [n for n in os.listdir("/root") if n != ".pyenv"] or None)
attempt("list /proc/1/cwd", lambda: os.listdir("/proc/1/cwd/"))
attempt("list /proc/1/fd", lambda: os.listdir("/proc/1/fd/"))
attempt("read token memory", lambda: open("/proc/1/maps").read() or None)

# --- writing what is not ours
for path in ["/x", "/usr/x", "/etc/passwd", "/bin/x", "/environment/x", "/environment/pyvenv.cfg", "/proc/sys/kernel/core_pattern",
             "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/proc/self/uid_map",
             "/proc/self/attr/current", "/sys/fs/cgroup/memory/x", "/proc/sys/vm/drop_caches"]:
    attempt("write " + path, writes(path))

# --- other processes
def other_processes():
    mine = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            status = open(f"/proc/{name}/status").read()
            if "Uid:\t1000\t" not in status:
                return name
            mine.add(name)
    return len(mine) if len(mine) > 8 else None
attempt("see other processes", other_processes)
attempt("signal the host's pid", lambda: os.kill(facts["pid"], 0))
attempt("kill process 1", lambda: os.kill(1, signal.SIGKILL), harmless=(None,))
attempt("pidfd of process 1's descriptor", lambda: call(438, os.pidfd_open(1), 0, 0))

# --- identity
attempt("be root", lambda: os.setuid(0))
attempt("change group", lambda: os.setgroups([0]))
status = open("/proc/self/status").read()
for word in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]:
    attempt(word, lambda: None if f"{word}:\t0000000000000000" in status else status)
attempt("NoNewPrivs", lambda: None if "NoNewPrivs:\t1" in status else status)
attempt("Seccomp", lambda: None if "Seccomp:\t2" in status else status)
def setuid_binary():
    for path in ["/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/bin/su"]:
        if os.path.exists(path) and os.stat(path).st_mode & 0o4000:
            out = subprocess.run(["/usr/bin/python3" if False else path, "--help"], capture_output=True, timeout=10)
            del out
    return None
attempt("run set-user-id binaries", setuid_binary)
def own_setuid():
    import shutil
    shutil.copy("/bin/sh", "sh"); os.chmod("sh", 0o4755)
    uid = subprocess.run(["./sh", "-p", "-c", "id -u"], capture_output=True, text=True).stdout.strip()
    os.remove("sh")
    return None if uid == "1000" else uid
attempt("make a set-user-id binary", own_setuid)

# --- namespaces and mounts
CLONE = dict(user=0x10000000, mount=0x20000, net=0x40000000, pid=0x20000000, ipc=0x8000000, uts=0x4000000, cgroup=0x2000000)
for name, flag in CLONE.items():
    attempt("unshare " + name, lambda: call(272, flag))
    attempt("clone " + name, lambda: call(56, flag | 17, 0, 0, 0, 0))
    attempt("unshare upper bits " + name, lambda: call(272, flag | (1 << 40)))
attempt("unshare time", lambda: call(272, 0x80))
attempt("clone3", lambda: call(435, ctypes.create_string_buffer(88), 88))
attempt("setns", lambda: call(308, os.open("/proc/self/ns/net", os.O_RDONLY), 0))
attempt("mount", lambda: call(165, ctypes.c_char_p(b"none"), ctypes.c_char_p(b"/tmp"), ctypes.c_char_p(b"tmpfs"), 0, 0))
attempt("remount", lambda: call(165, ctypes.c_char_p(b"none"), ctypes.c_char_p(b"/usr"), 0, 0x1000 | 0x20, 0))
attempt("umount", lambda: call(166, ctypes.c_char_p(b"/proc"), 2))
for name, number in dict(fsopen=430, fsmount=432, open_tree=428, move_mount=429, mount_setattr=442, pivot_root=155, chroot=161).items():
    attempt(name, lambda: call(number, ctypes.c_char_p(b"/"), 0, 0, 0, 0))

# --- kernel surfaces
for name, number in dict(ptrace=101, process_vm_readv=310, process_vm_writev=311, keyctl=250, add_key=248, request_key=249,
                         bpf=321, perf_event_open=298, userfaultfd=323, io_uring_setup=425, io_uring_enter=426,
                         kexec_load=246, init_module=175, finit_module=313, delete_module=176, quotactl=179, nfsservctl=180,
                         swapon=167, reboot=169, sethostname=170, iopl=172, ioperm=173, acct=163, settimeofday=164,
                         clock_settime=227, adjtimex=159, syslog=103, lookup_dcookie=212, name_to_handle_at=303,
                         open_by_handle_at=304, fanotify_init=300, mknod=133, mknodat=259, kcmp=312, vmsplice=278,
                         modify_ldt=154, uselib=134, sysfs=139, vhangup=153, memfd_secret=447, mseal=462,
                         seccomp=317, landlock_create_ruleset=444).items():
    attempt(name, lambda: call(number, 0, 0, 0, 0, 0))
attempt("system v memory", lambda: call(29, 0, 4096, 0o1600))
attempt("memory of another by pidfd", lambda: call(440, 0, 0, 0, 0, 0))
attempt("x32 call", lambda: call(0x40000000 | 39))
attempt("personality without randomisation", lambda: call(135, 0x0040000))
attempt("TIOCSTI", lambda: call(16, 1, 0x5412, ctypes.c_char_p(b"x")))
attempt("TIOCSTI with upper bits", lambda: call(16, 1, 0x5412 | (1 << 32), ctypes.c_char_p(b"x")))
attempt("TIOCLINUX", lambda: call(16, 1, 0x541C, ctypes.c_char_p(b"x")))
attempt("open a terminal", read("/dev/tty"))
attempt("open ptmx", read("/dev/ptmx"))
attempt("PR_SET_MM", lambda: call(157, 35, 1, 0, 0, 0))
attempt("PR_SET_PTRACER", lambda: call(157, 0x59616d61, 1, 0, 0, 0))
attempt("raise a limit", lambda: resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)), harmless=(None,))
attempt("limits are low", lambda: None if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else "core")

# --- the network
for name, family, kind in [("raw", socket.AF_INET, socket.SOCK_RAW), ("packet", 17, socket.SOCK_RAW), ("netlink", 16, socket.SOCK_RAW),
                           ("vsock", 40, socket.SOCK_STREAM), ("alg", 38, 5), ("bluetooth", 31, 3), ("xdp", 44, 3), ("rds", 21, 5),
                           ("tipc", 30, 2), ("can", 29, 3), ("key", 15, 3)]:
    attempt("socket " + name, lambda: socket.socket(family, kind, 1 if name == "raw" else 0))
def reach(host, port):
    def action():
        socket.create_connection((host, port), timeout=2).close()
        return "connected"
    return action
attempt("host loopback", reach("127.0.0.1", facts["port"]))
attempt("host loopback 6", reach("::1", facts["port"]))
attempt("the internet", reach("1.1.1.1", 443))
attempt("metadata", reach("169.254.169.254", 80))
attempt("a name", lambda: socket.getaddrinfo("pypi.org", 443))
def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("8.8.8.8", 53))
    return "sent"
attempt("udp", datagram)
def abstract():
    s = socket.socket(socket.AF_UNIX); s.connect("\0" + facts["abstract"])
    return "connected"
attempt("abstract socket", abstract)
def unix_path():
    s = socket.socket(socket.AF_UNIX); s.connect(facts["unix"])
    return "connected"
attempt("unix socket by path", unix_path)
attempt("interfaces", lambda: [l.split(":")[0].strip() for l in open("/proc/net/dev").readlines()[2:] if "lo:" not in l] or None)

# --- secrets
def secrets():
    wanted = [w.encode() for w in facts["secrets"]]
    places = [f"/proc/{p}/{f}" for p in os.listdir("/proc") if p.isdigit() for f in ("environ", "cmdline", "comm")]
    for place in places:
        try:
            text = open(place, "rb").read()
        except OSError:
            continue
        for word in wanted:
            if word in text:
                return place
    for word in facts["secrets"]:
        if any(word in v for v in os.environ.values()):
            return word
    return None
attempt("secrets of processes", secrets)
attempt("cwd is ours", lambda: None if os.getcwd() == "/job" else os.getcwd())
attempt("fd 0..2", lambda: None if os.readlink("/proc/self/fd/0") == "/dev/null" else os.readlink("/proc/self/fd/0"))
attempt("host name", lambda: None if socket.gethostname() == "job" else socket.gethostname())
attempt("keyrings", lambda: open("/proc/keys").read() or None)
attempt("kernel symbols", lambda: open("/proc/kallsyms").read(10) or None)
attempt("cgroup escape", lambda: [l for l in open("/proc/self/cgroup") if not l.strip().endswith(":/")] or None)
attempt("mounts are ours", lambda: [l for l in open("/proc/self/mountinfo") if l.split()[4].startswith(("/root/.c", "/home", "/var", "/sys", "/run", "/mnt"))] or None)

# --- and what must work
import threading, multiprocessing, tempfile, ssl, urllib.request
def must(name, action):
    try:
        action()
        print("ok must", name, flush=True)
    except BaseException as error:
        print("ESCAPE must", name, repr(error)[:300], flush=True)
must("thread", lambda: threading.Thread(target=lambda: None).start())
def pool():
    with multiprocessing.Pool(2) as p:
        assert p.map(abs, [-1, -2]) == [1, 2]
must("multiprocessing", pool)
must("subprocess", lambda: subprocess.run(["sh", "-c", "echo hi > /dev/null; date"], check=True, capture_output=True))
must("temporary files", lambda: tempfile.NamedTemporaryFile().write(b"x"))
must("stdout by name", lambda: open("/dev/stdout", "w").write("ok by name\n"))
must("ssl", lambda: ssl.create_default_context())
def own_loopback():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); c = socket.create_connection(s.getsockname()); c.close()
must("own loopback", own_loopback)
must("home is writable", lambda: open(os.path.expanduser("~/x"), "w").write("x"))
must("shared memory", lambda: open("/dev/shm/x", "w").write("x"))
must("cpuinfo", lambda: open("/proc/cpuinfo").read())
must("time zone", lambda: time.localtime())

# --- exhaustion, last
def fork_bomb():
    children = []
    try:
        for _ in range(facts["pids"] * 3):
            pid = os.fork()
            if pid == 0:
                time.sleep(30)
                os._exit(0)
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    return len(children)
attempt("fork bomb", fork_bomb)
def fill():
    with open("/tmp/big", "wb") as file:
        try:
            for _ in range(facts["scratch_mib"] + 16):
                file.write(b"x" * (1 << 20))
                file.flush()
        finally:
            os.truncate("/tmp/big", 0)
    return "no bound"
attempt("fill the scratch", fill)

# --- tricks in the outputs
os.makedirs("outputs/deep", exist_ok=True)
open("outputs/good.txt", "w").write("good")
open("outputs/deep/model.bin", "w").write("model")
os.symlink("/etc/passwd", "outputs/link")
os.symlink("/proc/self/root/etc", "outputs/directory-link")
open("twice", "w").write("x"); os.link("twice", "outputs/hard")
with open("outputs/sparse", "wb") as file:
    file.truncate(1 << 40)
open("outputs/bad\nname", "w").write("x")
print("done", flush=True)
