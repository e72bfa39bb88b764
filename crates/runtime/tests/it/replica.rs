//! A replica process and a small HTTP client for its socket.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// A running replica. Killed when dropped.
pub struct Replica {
    child: Child,
    place: TempDir,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Replica {
    /// Starts one as the agent does: the listening socket as descriptor 3, the log on standard error.
    pub fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, env: &[(&str, &OsStr)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(place.path().join("socket")).unwrap();
        let log = File::create(place.path().join("log")).unwrap();
        // The shell moves the socket to descriptor 3; every descriptor above is closed by exec.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 </dev/null", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["model-server", "--listen-fd", "3"])
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(log);
        Self { child: command.spawn().unwrap(), place }
    }

    /// Waits until it is healthy.
    pub fn ready(mut self) -> Self {
        let until = Instant::now() + DEADLINE;
        // Each question waits a little at the other end, so this does not spin.
        while self.get("/").status != 200 {
            assert!(Instant::now() < until, "not healthy in time:\n{}", self.log());
            assert!(self.child.try_wait().unwrap().is_none(), "ended instead of serving:\n{}", self.log());
        }
        self
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    /// Waits until the log has this in it.
    pub fn logged(&self, part: &str) -> bool {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            if self.log().contains(part) {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    pub fn socket(&self) -> PathBuf {
        self.place.path().join("socket")
    }

    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Connection(BufReader::new(stream))
    }

    pub fn get(&self, path: &str) -> Reply {
        // A replica that ends while the call waits is noticed by the caller.
        self.connect().send("GET", path, &[], b"").unwrap_or(Reply { status: 0, headers: vec![], body: vec![] })
    }

    pub fn score(&self, body: &Value) -> Reply {
        self.post(&[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.connect().send("POST", "/score", headers, body).unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One kept-alive connection.
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Reply> {
        self.write(method, path, headers, body);
        self.receive(method)
    }

    /// A body without a declared length.
    pub fn chunked(&mut self, path: &str, chunks: &[&[u8]]) -> Reply {
        let mut whole =
            format!("POST {path} HTTP/1.1\r\nhost: replica\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes();
        for chunk in chunks {
            whole.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            whole.extend_from_slice(chunk);
            whole.extend_from_slice(b"\r\n");
        }
        whole.extend_from_slice(b"0\r\n\r\n");
        self.0.get_mut().write_all(&whole).unwrap();
        self.receive("POST").unwrap()
    }

    pub fn write(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: replica\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut whole = head.into_bytes();
        whole.extend_from_slice(body);
        // A server that refuses a large body may close before all of it is sent; the answer is there all the same.
        drop(self.0.get_mut().write_all(&whole));
    }

    pub fn receive(&mut self, method: &str) -> std::io::Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let status =
            line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body)?;
        Ok(Reply { status, headers, body })
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The JSON of a 200.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The message of a failure with this status, which must be an `ErrorResponse`.
    #[track_caller]
    pub fn failure(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let error: wire::score::ErrorResponse = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(error.status_code, status);
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{}", error.message);
        error.message
    }
}
