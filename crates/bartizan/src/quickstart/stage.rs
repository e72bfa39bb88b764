//! The transcript: numbered stages with what happened in each, as it happens.

use std::time::Instant;

use serde_json::Value;

use crate::{
    cli::{Session, job, say},
    failure::Failure,
};

/// Prints stages.
pub struct Stage {
    number: usize,
    total: usize,
    started: Instant,
}

impl Stage {
    /// A transcript of so many stages.
    pub fn new(total: usize) -> Self {
        Self { number: 0, total, started: Instant::now() }
    }

    /// Begins the next stage.
    pub fn begin(&mut self, title: &str) {
        self.number += 1;
        let (number, total) = (self.number, self.total);
        say(&format!("\n[{number:>2}/{total}] {title}  ({:.1} s)", self.started.elapsed().as_secs_f64()));
    }

    /// Says something about the present stage.
    pub fn note(&self, line: &str) {
        say(&format!("        {line}"));
    }

    /// Follows a job to its end: its states, its progress and its log, as they come.
    pub async fn follow(&mut self, session: &Session, name: &str) -> Result<Value, Failure> {
        let mut offset: u64 = 0;
        let mut last = String::new();
        let mut unfinished = String::new();
        loop {
            let found = job::show(session, name).await?;
            let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let line = format!("{:<12} {}", text("/properties/status"), text("/properties/message"));
            if line != last {
                self.note(line.trim_end());
                last = line;
            }
            let (log, is_over) = job::fetch_log(session, name, "user_logs/std_log.txt", offset, 1).await?;
            offset += u64::try_from(log.len()).unwrap_or(0);
            unfinished.push_str(&String::from_utf8_lossy(&log));
            while let Some((line, rest)) = unfinished.split_once('\n') {
                self.note(&format!("  | {line}"));
                unfinished = rest.to_owned();
            }
            if is_over && log.is_empty() {
                if !unfinished.is_empty() {
                    self.note(&format!("  | {unfinished}"));
                }
                return job::show(session, name).await;
            }
        }
    }
}
