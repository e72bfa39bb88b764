//! Processes by id and start time, so that a reused id is never mistaken for the process it once was.

use std::fs;

use nix::unistd::Pid;

/// Whether the process with this id, started at this time, still runs. A zombie does not run.
pub fn is_alive(pid: &str, start: &str) -> bool {
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    matches!(stat(pid), Some((state, found)) if found == start && state != "Z" && state != "X")
}

/// This process's own id and start time, as `pid-start`.
pub fn own_name() -> String {
    let pid = Pid::this().to_string();
    let start = stat(&pid).map_or_else(|| String::from("0"), |(_, start)| start);
    format!("{pid}-{start}")
}

/// State and start time of a process.
pub fn stat(pid: &str) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in brackets, which may hold anything, brackets too; the rest follows the last one.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    // Field 22 of the line, the 19th after the state's.
    let start = fields.nth(18)?;
    Some((String::from(state), String::from(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_id_and_start() {
        let own = own_name();
        let (pid, start) = own.split_once('-').unwrap();
        assert!(is_alive(pid, start));
        assert!(!is_alive(pid, "1"));
        assert!(!is_alive("../1", start));
        assert!(!is_alive("", start));
    }
}
