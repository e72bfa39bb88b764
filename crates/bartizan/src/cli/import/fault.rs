//! Why a call to one of the two sides did not work.

use std::fmt;

use crate::failure::{Failure, with_causes};

/// Most characters that are repeated of what a server said.
const MOST_WORDS: usize = 300;

/// Why a call did not work.
#[derive(Clone, Debug)]
pub struct Fault {
    /// MLflow's word for it; empty when there was no such answer.
    pub code: String,
    /// What to say.
    pub words: String,
    /// The status; 0 when there was no answer.
    pub status: u16,
    /// Whether another try may work.
    pub may_pass: bool,
}

impl Fault {
    /// A fault that is not an answer.
    pub fn new(words: impl Into<String>) -> Self {
        Self { code: String::new(), words: words.into(), status: 0, may_pass: false }
    }

    /// Whether it says that there is no such thing.
    pub fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Whether the other side is not there, or cannot keep up: nothing more comes of it now.
    pub fn is_down(&self) -> bool {
        self.may_pass
    }

    /// Whether it says that there is such a thing already.
    pub fn is_taken(&self) -> bool {
        matches!(self.code.as_str(), "RESOURCE_ALREADY_EXISTS" | "ALREADY_EXISTS")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.words)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(fault.words)
    }
}

impl From<outbound::Error> for Fault {
    fn from(fault: outbound::Error) -> Self {
        let may_pass = matches!(
            fault,
            outbound::Error::TimedOut { .. } | outbound::Error::CutOff { .. } | outbound::Error::Unreachable { .. }
        );
        Self { may_pass, ..Self::new(with_causes(&fault)) }
    }
}

/// Words from afar, fit for a terminal.
pub fn clean(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn words_from_afar_do_nothing_to_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a [2Jb ");
    }
}
