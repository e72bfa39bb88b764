//! Where a run stands, and which way it may go from there (requirement M-02).

use serde::{Deserialize, Serialize};

use crate::tracking::RunStatus;

/// Where a run stands, in Azure's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// Accepted, not queued yet.
    NotStarted,
    /// Waits for its target.
    Queued,
    /// The target is being made ready.
    Provisioning,
    /// The environment is being prepared.
    Preparing,
    /// Files are fetched, the jail is built.
    Starting,
    /// The user's program runs.
    Running,
    /// Somebody asked for an end.
    CancelRequested,
    /// Ended by request.
    Canceled,
    /// The program ended; outputs are collected.
    Finalizing,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Waits for an approval that was refused.
    Unapproved,
    /// No sign of life.
    NotResponding,
    /// Is being paused.
    Pausing,
    /// Paused.
    Paused,
}

use RunState::{
    CancelRequested, Canceled, Completed, Failed, Finalizing, NotResponding, NotStarted, Paused, Pausing, Preparing,
    Provisioning, Queued, Running, Starting, Unapproved,
};

impl RunState {
    /// Every state.
    pub const ALL: [Self; 15] = [
        NotStarted,
        Queued,
        Provisioning,
        Preparing,
        Starting,
        Running,
        CancelRequested,
        Canceled,
        Finalizing,
        Completed,
        Failed,
        Unapproved,
        NotResponding,
        Pausing,
        Paused,
    ];

    /// The word clients see.
    pub fn word(self) -> &'static str {
        match self {
            NotStarted => "NotStarted",
            Queued => "Queued",
            Provisioning => "Provisioning",
            Preparing => "Preparing",
            Starting => "Starting",
            Running => "Running",
            CancelRequested => "CancelRequested",
            Canceled => "Canceled",
            Finalizing => "Finalizing",
            Completed => "Completed",
            Failed => "Failed",
            Unapproved => "Unapproved",
            NotResponding => "NotResponding",
            Pausing => "Pausing",
            Paused => "Paused",
        }
    }

    /// Whether nothing follows it.
    pub fn is_final(self) -> bool {
        matches!(self, Canceled | Completed | Failed | Unapproved)
    }

    /// Whether it waits for its target.
    pub fn is_waiting(self) -> bool {
        matches!(self, NotStarted | Queued)
    }

    /// Whether an agent may say so while it works.
    pub fn is_progress(self) -> bool {
        matches!(self, Provisioning | Preparing | Starting | Running | Finalizing)
    }

    /// Whether this state may follow `before`. Staying is always fine, except at the end.
    pub fn may_follow(self, before: Self) -> bool {
        if before.is_final() {
            return false;
        }
        // Any run may fail, be canceled, or be asked to end.
        if self == before || matches!(self, Failed | Canceled) {
            return true;
        }
        match before {
            NotStarted => matches!(self, Queued | CancelRequested | Unapproved),
            Queued => matches!(self, Provisioning | CancelRequested | Unapproved),
            // Back to the queue when the target did not take it.
            Provisioning => matches!(self, Queued | Preparing | Starting | CancelRequested | NotResponding),
            Preparing => matches!(self, Starting | CancelRequested | NotResponding),
            Starting => matches!(self, Running | Finalizing | CancelRequested | NotResponding),
            Running => matches!(self, Finalizing | Completed | CancelRequested | NotResponding | Pausing),
            // What was ordered and what happened may cross: a program can end well just then.
            CancelRequested => matches!(self, Completed),
            Finalizing => matches!(self, Completed | CancelRequested | NotResponding),
            NotResponding => {
                matches!(self, Provisioning | Preparing | Starting | Running | Finalizing | Completed | CancelRequested)
            }
            Pausing => matches!(self, Paused | Running | Completed | CancelRequested | NotResponding),
            Paused => matches!(self, Queued | Running | CancelRequested),
            Canceled | Completed | Failed | Unapproved => false,
        }
    }

    /// The same in the words of the tracking room.
    pub fn status(self) -> RunStatus {
        match self {
            NotStarted | Queued | Provisioning | Preparing | Starting => RunStatus::Scheduled,
            Running | CancelRequested | Finalizing | NotResponding | Pausing | Paused => RunStatus::Running,
            Canceled => RunStatus::Killed,
            Completed => RunStatus::Finished,
            Failed | Unapproved => RunStatus::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From each state, the states that may follow it beside itself, `Failed` and `Canceled`.
    const TABLE: &[(RunState, &[RunState])] = &[
        (NotStarted, &[Queued, CancelRequested, Unapproved]),
        (Queued, &[Provisioning, CancelRequested, Unapproved]),
        (Provisioning, &[Queued, Preparing, Starting, CancelRequested, NotResponding]),
        (Preparing, &[Starting, CancelRequested, NotResponding]),
        (Starting, &[Running, Finalizing, CancelRequested, NotResponding]),
        (Running, &[Finalizing, Completed, CancelRequested, NotResponding, Pausing]),
        (CancelRequested, &[Completed]),
        (Finalizing, &[Completed, CancelRequested, NotResponding]),
        (NotResponding, &[Provisioning, Preparing, Starting, Running, Finalizing, Completed, CancelRequested]),
        (Pausing, &[Paused, Running, Completed, CancelRequested, NotResponding]),
        (Paused, &[Queued, Running, CancelRequested]),
    ];

    #[test]
    fn the_table_of_transitions_holds() {
        for before in RunState::ALL {
            let row = TABLE.iter().find(|(state, _)| *state == before).map(|(_, next)| *next);
            for after in RunState::ALL {
                let due = row
                    .is_some_and(|next| after == before || matches!(after, Failed | Canceled) || next.contains(&after));
                assert_eq!(after.may_follow(before), due, "{} → {}", before.word(), after.word());
            }
        }
    }

    #[test]
    fn nothing_follows_an_end() {
        for before in RunState::ALL.into_iter().filter(|state| state.is_final()) {
            assert!(RunState::ALL.into_iter().all(|after| !after.may_follow(before)), "{}", before.word());
            assert!(before.status().is_final());
        }
    }

    #[test]
    fn words_are_what_is_stored() {
        for state in RunState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.word()));
        }
    }
}
