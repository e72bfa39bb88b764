//! The program's output, on its way to the server while the program runs.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use super::server::{Server, ServerError};

/// Where the program's output is found.
pub const PROGRAM_LOG: &str = "user_logs/std_log.txt";
/// How long output may wait for more.
const DELAY: Duration = Duration::from_millis(250);
/// How much is sent at once, at most.
const BATCH: usize = 32 << 10;
/// All that is kept of one program's output.
const MOST: u64 = 256 << 20;
/// Pieces that wait for the server; when it is away for long, the program's writes wait too, so nothing is lost.
const WAITING: usize = 256;

/// The writing end of the program's log.
#[derive(Debug, Clone)]
pub struct Log {
    pieces: mpsc::Sender<Bytes>,
}

/// The task that sends the log; ends when every writing end is gone.
#[derive(Debug)]
pub struct Sending(JoinHandle<Result<(), ServerError>>);

impl Log {
    /// Starts the log of the program.
    pub fn open(server: Arc<Server>) -> (Self, Sending) {
        let (pieces, waiting) = mpsc::channel(WAITING);
        (Self { pieces }, Sending(tokio::spawn(send(server, waiting))))
    }

    /// Appends what the program wrote.
    pub async fn write(&self, bytes: Bytes) {
        // The sender ends early only when the run is given up.
        let _given_up = self.pieces.send(bytes).await;
    }

    /// Appends a line of the agent's own.
    pub async fn note(&self, line: &str) {
        self.write(Bytes::from(format!("[bartizan] {line}\n"))).await;
    }
}

impl Sending {
    /// Waits until everything written is at the server.
    pub async fn done(self) -> Result<(), ServerError> {
        self.0.await.unwrap_or(Ok(()))
    }
}

async fn send(server: Arc<Server>, mut waiting: mpsc::Receiver<Bytes>) -> Result<(), ServerError> {
    let mut screen = server.redactor().screen();
    let mut kept = Kept { server, offset: 0, full: false };
    let mut batch = BytesMut::with_capacity(BATCH);
    while let Some(first) = waiting.recv().await {
        batch.extend_from_slice(&first);
        let until = Instant::now() + DELAY;
        while batch.len() < BATCH {
            match timeout_at(until, waiting.recv()).await {
                Ok(Some(more)) => batch.extend_from_slice(&more),
                Ok(None) | Err(_) => break,
            }
        }
        kept.add(screen.push(batch.split().freeze())).await?;
    }
    kept.add(screen.end()).await
}

/// The log as the server has it.
struct Kept {
    server: Arc<Server>,
    offset: u64,
    full: bool,
}

impl Kept {
    async fn add(&mut self, mut piece: Bytes) -> Result<(), ServerError> {
        // The program goes on; its further words are read and dropped.
        if self.full || piece.is_empty() {
            return Ok(());
        }
        let room = usize::try_from(MOST.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        if piece.len() > room {
            self.full = true;
            let end =
                format!("\n[bartizan] the log ends here: it reached {} MiB, what follows is dropped\n", MOST >> 20);
            piece = [piece.slice(..room).as_ref(), end.as_bytes()].concat().into();
        }
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.server.log(PROGRAM_LOG, self.offset, piece).await?;
        self.offset = self.offset.saturating_add(length);
        Ok(())
    }
}
