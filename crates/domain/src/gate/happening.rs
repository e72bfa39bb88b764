//! What a record tells beyond its action: that something reached a state which people count or wait for.

/// The key under which a record's details name it.
const KEY: &str = "happening";

/// Something that people count or wait for. A record tells at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A run's program began.
    RunStarted,
    /// A run ended well.
    RunCompleted,
    /// A run ended badly.
    RunFailed,
    /// A run was ended by request.
    RunCanceled,
    /// A model got a version.
    ModelRegistered,
    /// A deployment's new state is under way.
    DeploymentStarted,
    /// A deployment serves as it was asked to.
    DeploymentSucceeded,
    /// A deployment could not be brought to serve.
    DeploymentFailed,
    /// A target started an agent.
    NodeTaken,
    /// A target did not start an agent.
    NodeRefused,
    /// A target is done with an agent.
    NodeReleased,
}

impl Happening {
    const ALL: [Self; 11] = [
        Self::RunStarted,
        Self::RunCompleted,
        Self::RunFailed,
        Self::RunCanceled,
        Self::ModelRegistered,
        Self::DeploymentStarted,
        Self::DeploymentSucceeded,
        Self::DeploymentFailed,
        Self::NodeTaken,
        Self::NodeRefused,
        Self::NodeReleased,
    ];

    fn word(self) -> String {
        format!("{self:?}")
    }

    pub(super) fn note(self) -> (&'static str, String) {
        (KEY, self.word())
    }

    /// What a record's details tell.
    pub fn of(detail: &std::collections::BTreeMap<String, String>) -> Option<Self> {
        let word = detail.get(KEY)?;
        Self::ALL.into_iter().find(|happening| happening.word() == *word)
    }
}
