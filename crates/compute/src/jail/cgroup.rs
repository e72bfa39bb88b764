//! Control groups: memory, processes and processor share of a jail, on version 1 or 2, whichever this host runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a jail may use.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Memory in bytes, files on its memory file systems included.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
}

/// Processor weight of a jail against the rest of the host (which has 1024 and 100), so that the server stays quick.
const V1_SHARES: &str = "512";
const V2_WEIGHT: &str = "50";

/// Every group of ours is called so, and then by its agent's process id and start time.
const PREFIX: &str = "bartizan-";

/// The groups of one jail; removed when dropped.
#[derive(Debug, Default)]
pub struct Cgroup {
    memory: Option<PathBuf>,
    processes: Option<PathBuf>,
    processor: Option<PathBuf>,
    directories: Vec<PathBuf>,
    unified: bool,
}

impl Cgroup {
    /// Makes the groups that this process is allowed to make; the others stay away and are asked for by `bounds_*`.
    pub fn make(name: &str, share: Share) -> Self {
        let mut made = Self::default();
        let Ok(own) = fs::read_to_string("/proc/self/cgroup") else { return made };
        let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return made };
        let hierarchies = Hierarchy::all(&own, &mounts);
        for hierarchy in &hierarchies {
            // A failure leaves this group out; the jail's owner sees it in the list of walls.
            let _missing = made.join_up(hierarchy, name, share);
        }
        made
    }

    /// The files to write a process id into.
    pub fn procs(&self) -> Vec<PathBuf> {
        self.directories.iter().map(|directory| directory.join("cgroup.procs")).collect()
    }

    /// Whether memory is bounded.
    pub fn bounds_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether processes are bounded.
    pub fn bounds_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Whether the processor share is set.
    pub fn bounds_processor(&self) -> bool {
        self.processor.is_some()
    }

    /// How often the memory limit killed a process.
    pub fn memory_kills(&self) -> u64 {
        let Some(directory) = &self.memory else { return 0 };
        let file = if self.unified { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    }

    fn join_up(&mut self, hierarchy: &Hierarchy, name: &str, share: Share) -> io::Result<()> {
        let base = hierarchy.base()?;
        sweep(&base);
        let directory = base.join(format!("{PREFIX}{name}"));
        fs::create_dir(&directory)?;
        self.directories.push(directory.clone());
        let set = |file: &str, value: &str| fs::write(directory.join(file), value);
        let memory = share.memory_bytes.to_string();
        let processes = share.processes.to_string();
        if hierarchy.unified {
            self.unified = true;
            set("memory.max", &memory)?;
            self.memory = Some(directory.clone());
            // Absent on a kernel without swap accounting.
            let _absent = set("memory.swap.max", "0");
            set("pids.max", &processes)?;
            self.processes = Some(directory.clone());
            if set("cpu.weight", V2_WEIGHT).is_ok() {
                self.processor = Some(directory.clone());
            }
            return Ok(());
        }
        for controller in &hierarchy.controllers {
            match controller.as_str() {
                "memory" => {
                    set("memory.limit_in_bytes", &memory)?;
                    let _absent = set("memory.memsw.limit_in_bytes", &memory);
                    let _absent = set("memory.swappiness", "0");
                    self.memory = Some(directory.clone());
                }
                "pids" => {
                    set("pids.max", &processes)?;
                    self.processes = Some(directory.clone());
                }
                "cpu" => {
                    set("cpu.shares", V1_SHARES)?;
                    self.processor = Some(directory.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for directory in &self.directories {
            // What is still busy is swept by the next jail.
            let _busy = fs::remove_dir(directory);
        }
    }
}

/// Removes groups whose agent is gone; one with processes in it cannot be removed, so this is safe to try.
pub fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let mut parts = rest.split('-');
        let (Some(pid), Some(start)) = (parts.next(), parts.next()) else { continue };
        if !crate::process::is_alive(pid, start) {
            let _busy = fs::remove_dir(entry.path());
        }
    }
}

/// One mounted hierarchy and where this process is in it.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    unified: bool,
    controllers: Vec<String>,
    mount: PathBuf,
    own: PathBuf,
}

impl Hierarchy {
    /// The hierarchies that bound what we bound.
    fn all(own: &str, mounts: &str) -> Vec<Self> {
        let mut found = Vec::new();
        for line in mounts.lines() {
            // `36 35 98:0 /root /mount/point options - type source super,options`
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (Some(root), Some(mount)) = (left.get(3), left.get(4)) else { continue };
            let unified = match right.first() {
                Some(&"cgroup") => false,
                Some(&"cgroup2") => true,
                _ => continue,
            };
            let controllers: Vec<String> = right
                .get(2)
                .unwrap_or(&"")
                .split(',')
                .filter(|word| matches!(*word, "memory" | "pids" | "cpu"))
                .map(String::from)
                .collect();
            if !unified && controllers.is_empty() {
                continue;
            }
            let Some(path) = own_path(own, unified, &controllers) else { continue };
            let below = path.strip_prefix(root).unwrap_or(path).trim_start_matches('/');
            let mount = PathBuf::from(mount);
            let hierarchy = Self { unified, controllers, own: mount.join(below), mount };
            if !found.contains(&hierarchy) {
                found.push(hierarchy);
            }
        }
        found
    }

    /// The directory in which our groups are made.
    fn base(&self) -> io::Result<PathBuf> {
        if !self.unified {
            return Ok(self.own.clone());
        }
        // In version 2 a group with processes in it cannot hand controllers to groups below it, so the place may be one
        // further up: there this process's own service is a neighbour.
        let mut candidates = vec![self.own.clone()];
        candidates.extend(self.own.parent().filter(|parent| parent.starts_with(&self.mount)).map(Path::to_path_buf));
        candidates.push(self.mount.clone());
        for base in candidates {
            let offered = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
            if !has_both(&offered) {
                continue;
            }
            for controller in ["+memory", "+pids", "+cpu"] {
                let _refused = fs::write(base.join("cgroup.subtree_control"), controller);
            }
            if has_both(&fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default()) {
                return Ok(base);
            }
        }
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }
}

fn has_both(controllers: &str) -> bool {
    ["memory", "pids"].iter().all(|wanted| controllers.split_whitespace().any(|word| word == *wanted))
}

fn own_path<'a>(own: &'a str, unified: bool, controllers: &[String]) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = if unified {
            names.is_empty()
        } else {
            controllers.iter().all(|wanted| names.split(',').any(|name| name == wanted))
        };
        ours.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_one_is_found_with_its_root_taken_off() {
        let own = "4:memory:/docker/abc/job\n2:cpu,cpuacct:/\n0::/\n";
        let mounts = "35 31 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      36 31 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      37 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      38 31 0:34 / /proc rw - proc proc rw\n";
        let found = Hierarchy::all(own, mounts);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].own, Path::new("/sys/fs/cgroup/memory/job"));
        assert_eq!(found[1].own, Path::new("/sys/fs/cgroup/cpu/"));
        assert!(found[2].unified);
    }
}
