//! What ends a command: one sentence that says what to do, and an exit code.

use std::{fmt, process::ExitCode};

/// A command's failure.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure of the thing itself: exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A mistake in how the command was called: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// An error with its causes on one line.
pub fn with_causes(fault: &dyn std::error::Error) -> String {
    let mut words = fault.to_string();
    let mut next = fault.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !words.ends_with(&cause_words) {
            words.push_str(": ");
            words.push_str(&cause_words);
        }
        next = cause.source();
    }
    words
}

impl From<kernel::Error> for Failure {
    fn from(fault: kernel::Error) -> Self {
        Self::new(with_causes(&fault))
    }
}

impl From<kernel::StoreError> for Failure {
    fn from(fault: kernel::StoreError) -> Self {
        Self::new(with_causes(&fault))
    }
}

impl From<outbound::Error> for Failure {
    fn from(fault: outbound::Error) -> Self {
        match &fault {
            // The server's own sentence is what helps; the transport's causes do not.
            outbound::Error::Answered { .. } => Self::new(fault.to_string()),
            _ => Self::new(with_causes(&fault)),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(fault: std::io::Error) -> Self {
        Self::new(fault.to_string())
    }
}
