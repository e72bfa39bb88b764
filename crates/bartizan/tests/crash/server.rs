//! A server process that is started, killed and started again over one data directory.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long a start may take before it counts as hanging.
const START: Duration = Duration::from_secs(60);
const HELLO: &str = "bartizan listens on ";

/// Where a server's data lies.
pub struct Site {
    /// The data directory.
    pub data: PathBuf,
    /// Outside the data directory: root key, credentials, logs.
    beside: PathBuf,
    binary: PathBuf,
}

impl Site {
    /// Data in `data`, everything else in `beside`.
    pub fn new(data: PathBuf, beside: &Path) -> Self {
        let named = std::env::var_os("BARTIZAN_CRASH_BINARY").map(PathBuf::from);
        let built = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_bartizan")));
        // A name of its own, so that a build in the meantime does not change what is under test.
        let binary = beside.join("bartizan");
        if std::fs::hard_link(&built, &binary).is_err() {
            std::fs::copy(built, &binary).unwrap();
        }
        Self { data, beside: beside.to_owned(), binary }
    }

    /// Site with both below one directory.
    pub fn within(dir: &Path) -> Self {
        Self::new(dir.join("data"), dir)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        self.dress(&mut command);
        command
    }

    /// The server's own command line, run by another program.
    pub fn command_under(&self, program: &str, arguments: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.binary);
        self.dress(&mut command);
        command
    }

    fn dress(&self, command: &mut Command) {
        command.arg("serve").arg("--data-dir").arg(&self.data).args(["--listen", "127.0.0.1:0", "--offline"]);
        command.arg("--root-key").arg(self.root_key());
        command.arg("--cache-dir").arg(self.beside.join("cache"));
        command.env("BARTIZAN_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::piped());
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        command.stderr(log);
    }

    fn log(&self) -> PathBuf {
        self.beside.join("server.log")
    }

    /// The last lines that servers of this site wrote to standard error.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// A variable of the credentials file that the first start wrote.
    pub fn variable(&self, name: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.env_file()).ok()?;
        let wanted = format!("export {name}='");
        text.lines().find_map(|line| Some(line.strip_prefix(&wanted)?.strip_suffix('\'')?.to_owned()))
    }

    pub fn ca_pem(&self) -> Vec<u8> {
        std::fs::read(self.data.join("ca.pem")).unwrap()
    }

    /// Starts the server and waits until it listens.
    pub fn start(&self) -> Server {
        self.try_start(self.command()).unwrap_or_else(|why| panic!("the server does not start: {why}"))
    }

    /// Starts it by some command; why it ended when it did.
    pub fn try_start(&self, command: Command) -> Result<Server, String> {
        let begun = Instant::now();
        let mut server = Server::spawn(command);
        match server.hello() {
            Some(url) => {
                server.url = url;
                server.ready = begun.elapsed();
                Ok(server)
            }
            None => {
                let hung = begun.elapsed() >= START;
                drop(server);
                let how = if hung { "it hangs" } else { "it ended" };
                Err(format!("{how}; its last words:\n{}", self.last_words()))
            }
        }
    }

    /// Starts it and kills it after a while, whatever it has reached by then. Whether it listened.
    pub fn start_and_kill(&self, after: Duration) -> bool {
        let mut server = Server::spawn(self.command());
        let listened = server.lines.recv_timeout(after).is_ok();
        server.kill();
        listened
    }

    /// Starts it and kills it as soon as a file exists. Whether that was before it listened.
    pub fn start_and_kill_at(&self, file: &Path) -> bool {
        let mut server = Server::spawn(self.command());
        let end = Instant::now() + START;
        let mut listened = false;
        while !file.exists() && !listened && Instant::now() < end {
            listened = matches!(server.lines.try_recv(), Ok(_) | Err(mpsc::TryRecvError::Disconnected));
            thread::yield_now();
        }
        server.kill();
        !listened
    }

    /// The credentials file.
    pub fn env_file(&self) -> PathBuf {
        let mut file = self.data.clone().into_os_string();
        file.push(".env");
        file.into()
    }

    /// The root key's file.
    pub fn root_key(&self) -> PathBuf {
        self.beside.join("root.key")
    }

    /// Runs the offline verifier; what it says when it finds the log unsound.
    pub fn verify_log(&self) -> Result<(), String> {
        let output = Command::new(&self.binary).arg("verify-log").arg("--data-dir").arg(&self.data).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(format!("verify-log: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// Its address.
    pub url: String,
    /// From the start of the process until it listened.
    pub ready: Duration,
}

impl Server {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, url: String::new(), ready: Duration::ZERO }
    }

    /// The address it announces; none when it ends or hangs before.
    fn hello(&mut self) -> Option<String> {
        let end = Instant::now() + START;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            if let Some(url) = line.strip_prefix(HELLO) {
                return Some(url.to_owned());
            }
        }
    }

    /// Its process.
    pub fn process(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id() as i32)
    }

    /// SIGKILL to the server, and to the program it runs under: nothing gets a chance to tidy up.
    pub fn kill(&mut self) {
        for child in children(self.child.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The lines end when every process that holds the pipe is gone.
        while self.lines.recv().is_ok() {}
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Direct children of a process: the server below a tracer; none below the server itself.
fn children(process: u32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
}
