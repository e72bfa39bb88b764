//! The agent's side of a jail: start it, hear from it, end it.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut, Write},
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::Stdio,
    time::Duration,
};

use nix::{
    cmsg_space,
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg},
    },
    unistd::{Pid, pipe2},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Interest, Take},
    net::{UnixStream as AsyncUnixStream, unix::pipe},
    process::{Child, Command},
    time::timeout,
};

use super::{
    cgroup::Cgroup,
    failure::{Failure, Step},
    spec::{Event, Spec},
    sys,
};

/// How long a jail may take to be built; far above what it takes.
const BUILD_TIME: Duration = Duration::from_secs(20);
/// How long the end of everything in a jail may take, before its stage is killed outright.
const END_TIME: Duration = Duration::from_secs(10);
/// What a jail may say in all its life.
const LARGEST_TALK: u64 = 64 << 10;

/// A jail that was started.
#[derive(Debug)]
pub struct Jail {
    stage: Child,
    events: BufReader<Take<AsyncUnixStream>>,
    heard: VecDeque<Event>,
    cgroup: Cgroup,
}

/// What the agent holds of a jail's outside.
#[derive(Debug)]
pub struct Ends {
    /// Reads what the program writes, standard output and error in one order.
    pub output: pipe::Receiver,
    /// Accepts what comes to the jail's door.
    pub door: Option<TcpListener>,
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// By itself, with this code.
    pub code: Option<i32>,
    /// By this signal.
    pub signal: Option<i32>,
    /// How often the memory limit killed a process of it.
    pub memory_kills: u64,
}

impl Jail {
    /// Starts `executable jail`, hands it the description and waits until the program is being executed.
    ///
    /// Must be called on the thread that lives as long as the agent: the jail dies with the thread that started it.
    pub async fn start(
        executable: &Path,
        spec: &Spec,
        passed: Option<OwnedFd>,
        cgroup: Cgroup,
    ) -> Result<(Self, Ends), Failure> {
        let (ours, theirs) = UnixStream::pair().step("making the jail's socket")?;
        let (read, write) = pipe2(OFlag::O_CLOEXEC).step("making the output pipe")?;
        let second = write.try_clone().step("making the output pipe")?;
        let stage = Command::new(executable)
            .arg("jail")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(write))
            .stderr(Stdio::from(second))
            .kill_on_drop(true)
            .spawn()
            .step_about("starting", executable)?;
        hand_over(&ours, spec, passed)?;
        ours.set_nonblocking(true).step("preparing the jail's socket")?;
        let socket = AsyncUnixStream::from_std(ours).step("preparing the jail's socket")?;
        let output = pipe::Receiver::from_owned_fd(read).step("preparing the output pipe")?;
        let building = async {
            let (word, door) = socket
                .async_io(Interest::READABLE, || receive_descriptor(&socket))
                .await
                .step("hearing from the jail")?;
            let mut jail =
                Self { stage, events: BufReader::new(socket.take(LARGEST_TALK)), heard: VecDeque::new(), cgroup };
            let first = match word {
                b'{' => jail.listen("{").await?,
                _ => jail.listen("").await?,
            };
            match first {
                Some(Event::Failed { why }) => Err(Failure::new("building the jail", io::Error::other(why))),
                Some(event) => {
                    jail.heard.push_back(event);
                    Ok((jail, Ends { output, door: door.map(TcpListener::from) }))
                }
                None if jail.cgroup.memory_kills() > 0 => Err(Failure::new(
                    "building the jail",
                    io::Error::other("the memory limit is too small for the jail itself"),
                )),
                None => Err(Failure::new("building the jail", io::Error::from(io::ErrorKind::UnexpectedEof))),
            }
        };
        timeout(BUILD_TIME, building)
            .await
            .unwrap_or_else(|_| Err(Failure::new("building the jail", io::Error::from(io::ErrorKind::TimedOut))))
    }

    /// Asks the program to end.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Ends the program and everything it started, now.
    pub fn kill(&self) {
        self.signal(Signal::SIGINT);
    }

    /// The id of the process that holds the jail.
    pub fn stage_id(&self) -> Option<u32> {
        self.stage.id()
    }

    /// Waits until the program ended and nothing of the jail is left. Can be dropped and called again.
    pub async fn ended(&mut self) -> Ending {
        while let Ok(Some(event)) = self.listen("").await {
            self.heard.push_back(event);
        }
        // The socket is closed: process 1 is gone, and with it the pid namespace. Its stage follows.
        if timeout(END_TIME, self.stage.wait()).await.is_err() {
            let _gone = self.stage.kill().await;
        }
        let memory_kills = self.cgroup.memory_kills();
        let mut ending = Ending { code: None, signal: None, memory_kills };
        for event in &self.heard {
            match event {
                Event::Exited { code } => ending.code = Some(*code),
                Event::Signaled { signal } => ending.signal = Some(*signal),
                Event::Running | Event::Failed { .. } => {}
            }
        }
        if ending.code.is_none() && ending.signal.is_none() {
            // Process 1 itself was killed, by us or by the memory limit.
            ending.signal = Some(libc::SIGKILL);
        }
        ending
    }

    async fn listen(&mut self, begun: &str) -> Result<Option<Event>, Failure> {
        let mut line = String::from(begun);
        let count = self.events.read_line(&mut line).await.step("hearing from the jail")?;
        if count == 0 {
            return Ok(None);
        }
        // What a jail says is never trusted further than its shape.
        serde_json::from_str(&line).map(Some).step("understanding the jail")
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.stage.id().and_then(|id| i32::try_from(id).ok()) else { return };
        // The child is not reaped before `wait`, so the number is still its own.
        let _gone = kill(Pid::from_raw(pid), signal);
    }
}

fn hand_over(mut socket: &UnixStream, spec: &Spec, passed: Option<OwnedFd>) -> Result<(), Failure> {
    let descriptors: Vec<RawFd> = passed.iter().map(AsRawFd::as_raw_fd).collect();
    let mut message = Vec::new();
    if !descriptors.is_empty() {
        message.push(ControlMessage::ScmRights(&descriptors));
    }
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"!")], &message, MsgFlags::MSG_NOSIGNAL, None)
        .step("handing the description to the jail")?;
    let text = serde_json::to_vec(spec).step("writing the description")?;
    let length = u32::try_from(text.len()).map_err(io::Error::other).step("writing the description")?;
    socket.write_all(&length.to_be_bytes()).step("handing the description to the jail")?;
    socket.write_all(&text).step("handing the description to the jail")
}

/// Reads one byte and the descriptor that came with it, if one did.
pub fn receive_descriptor(socket: &impl AsRawFd) -> Result<(u8, Option<OwnedFd>), io::Error> {
    let mut word = [0_u8];
    let mut space = cmsg_space!([RawFd; 1]);
    let mut slices = [IoSliceMut::new(&mut word)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
    let mut received = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            for number in numbers {
                received = Some(sys::inherited(number)?);
            }
        }
    }
    if message.bytes == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    let [first] = word;
    Ok((first, received))
}
