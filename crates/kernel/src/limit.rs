//! Bounds that hold before a request costs anything (invariants I24 to I26).

use std::time::Duration;

/// The bounds of one server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest JSON or form body, in bytes.
    pub body: usize,
    /// Largest streamed body (a blob, an artifact, a snapshot file), in bytes.
    pub stream: u64,
    /// Deadline of an ordinary request.
    pub request: Duration,
    /// How long a client may take over its header, and how long a silent connection is kept.
    pub slow_client: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Requests of one caller at once.
    pub per_caller: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            stream: 64 << 30,
            request: Duration::from_secs(60),
            slow_client: Duration::from_secs(20),
            connections: 4096,
            per_caller: 256,
        }
    }
}
