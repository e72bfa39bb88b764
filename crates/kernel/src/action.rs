//! Permissions as Azure spells them, and what recording them costs.

/// What the activity record of an operation costs, and so what it promises.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Changes to resources, identities and access: the record is durable before the reply; no record, no effect.
    Control,
    /// Reads of secrets and keys: the record is durable before the reply.
    Vault,
    /// Writes of data (metrics, blobs, artifacts): one compact record in the same commit.
    DataWrite,
    /// Reads and scoring: one row each, written in batches of at most a second.
    Read,
    /// Calls that carry no authority and reveal nothing (health, discovery, sign-in documents): counted, not recorded.
    Open,
}

/// A permission: the string that role definitions match, and how using it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Action {
    name: &'static str,
    class: Class,
    is_data: bool,
    is_public: bool,
    is_open_to_runs: bool,
    is_beyond_network_rules: bool,
}

impl Action {
    /// A control-plane action, matched against a role's `actions`.
    pub const fn new(name: &'static str, class: Class) -> Self {
        let (is_data, is_public, is_open_to_runs, is_beyond_network_rules) = (false, false, false, false);
        Self { name, class, is_data, is_public, is_open_to_runs, is_beyond_network_rules }
    }

    /// A data-plane action, matched against a role's `dataActions`.
    pub const fn data(name: &'static str, class: Class) -> Self {
        Self { is_data: true, ..Self::new(name, class) }
    }

    /// Needs no identity. Every such action is a line of the golden list of public routes, which may only shrink.
    pub const fn public(name: &'static str, class: Class) -> Self {
        Self { is_public: true, ..Self::new(name, class) }
    }

    /// Also allowed to a run's own token, inside the run's workspace, while the run lives.
    #[must_use]
    pub const fn open_to_runs(self) -> Self {
        Self { is_open_to_runs: true, ..self }
    }

    /// Not bound by a workspace's network rules: the management of the workspace itself, so that no rule locks out whoever
    /// may change it. Everything else within a workspace is bound.
    #[must_use]
    pub const fn beyond_network_rules(self) -> Self {
        Self { is_beyond_network_rules: true, ..self }
    }

    /// The string, as Azure spells it.
    pub const fn name(&self) -> &'static str {
        self.name
    }
    /// What the record costs.
    pub const fn class(&self) -> Class {
        self.class
    }
    /// Whether roles grant it by `dataActions`.
    pub const fn is_data(&self) -> bool {
        self.is_data
    }
    /// Whether nobody at all may do it.
    pub const fn is_public(&self) -> bool {
        self.is_public
    }
    /// Whether a run's token may do it.
    pub const fn is_open_to_runs(&self) -> bool {
        self.is_open_to_runs
    }
    /// Whether network rules leave it alone.
    pub const fn is_beyond_network_rules(&self) -> bool {
        self.is_beyond_network_rules
    }
}
