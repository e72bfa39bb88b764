//! A server process on a port and a data directory of its own, ended with the test.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

pub const BARTIZAN: &str = env!("CARGO_BIN_EXE_bartizan");

/// A running server with the settings its first start wrote.
pub struct Served {
    child: Child,
    pub dir: tempfile::TempDir,
    pub env: BTreeMap<String, String>,
}

/// Settings of a `D.env` file.
pub fn read_env(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let pair = |line: &str| {
        let (name, quoted) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), quoted.trim_matches('\'').to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// A cache of prepared environments that all tests share, so that packages are fetched once.
pub fn cache() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("environments");
    std::fs::create_dir_all(&cache).unwrap();
    cache
}

impl Served {
    pub fn start() -> Self {
        Self::on(tempfile::tempdir().unwrap(), "127.0.0.1:0")
    }

    /// Starts at an address, over a directory that may hold an earlier server's data.
    pub fn on(dir: tempfile::TempDir, listen: &str) -> Self {
        Self::with(dir, listen, |_| {})
    }

    /// The same, told more.
    pub fn with(dir: tempfile::TempDir, listen: &str, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(BARTIZAN);
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(dir.path().join("D"));
        command.arg("--cache-dir").arg(cache()).stdout(Stdio::piped());
        more(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines.find_map(|line| line.unwrap().strip_prefix("bartizan listens on ").map(str::to_owned));
        let url = said.expect("the server says where it listens");
        let mut env = read_env(&dir.path().join("D.env"));
        env.insert(String::from("BARTIZAN_URL"), url);
        env.insert(String::from("BARTIZAN_RESOURCE_GROUP"), String::from("rg"));
        env.insert(String::from("BARTIZAN_WORKSPACE"), String::from("ws1"));
        Self { child, dir, env }
    }

    /// The same with a group and a workspace.
    pub fn with_workspace() -> Self {
        let served = Self::start();
        served.good(&["workspace", "create", "ws1", "--create-resource-group"]);
        served
    }

    /// Where it listens.
    pub fn listen(&self) -> String {
        self.env["BARTIZAN_URL"].replace("https://localhost", "127.0.0.1")
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("D")
    }

    /// The command line against this server.
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(BARTIZAN).args(arguments).envs(&self.env).output().unwrap()
    }

    /// A command that must work; gives its standard output.
    pub fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}{told}");
        said
    }

    /// The same, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.good(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{arguments:?}: {fault}: {said}"))
    }

    /// A command that must fail; gives what it told.
    pub fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} should fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The status of a GET with a bearer token.
    pub fn status_with(&self, place: &str, token: &str) -> u16 {
        let script = "import os, ssl, sys, urllib.error, urllib.request\n\
                      request = urllib.request.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + os.environ['TOKEN']})\n\
                      trust = ssl.create_default_context(cafile=os.environ['BARTIZAN_CA'])\n\
                      try: print(urllib.request.urlopen(request, context=trust).status)\n\
                      except urllib.error.HTTPError as refused: print(refused.code)\n";
        let url = format!("{}{place}", self.env["BARTIZAN_URL"]);
        let output =
            Command::new("python3").args(["-c", script, &url]).envs(&self.env).env("TOKEN", token).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("{output:?}"))
    }

    /// Asks a job until its status is one of these; bounded by the job's own progress, not by a clock.
    pub fn wait_for(&self, job: &str, wanted: &[&str]) -> Value {
        loop {
            let found = self.json(&["job", "show", job]);
            let status = found["properties"]["status"].as_str().unwrap().to_owned();
            if wanted.contains(&status.as_str()) {
                return found;
            }
            let is_over = ["Completed", "Failed", "Canceled"].contains(&status.as_str());
            assert!(!is_over, "{job} ended as {status}: {found}");
        }
    }

    /// Ends the server in order; its data stays.
    pub fn stop(mut self) -> tempfile::TempDir {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "the server ends well");
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// Ends the server at once, as a power failure of the process would; its data stays.
    pub fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A process id is only ours while the child was not waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
    }
}
