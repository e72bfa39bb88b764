//! What opening can find.

/// A fault found while sealing or opening. None of the texts holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Wrong key, wrong place, or changed bytes: an authenticated cipher cannot and must not tell which.
    #[error("{what} does not open: wrong key, moved, or altered")]
    Unauthentic {
        /// What was to be opened.
        what: &'static str,
    },
    /// The ciphertext is shorter or longer than its sealed record says.
    #[error("{what} is truncated")]
    Truncated {
        /// What was to be opened.
        what: &'static str,
    },
    /// Not a format this release knows.
    #[error("{what} has format {found}, which this release does not know")]
    Format {
        /// What was to be opened.
        what: &'static str,
        /// The format byte found.
        found: u8,
    },
    /// The ciphertext names a key version that the ring does not hold.
    #[error("key version {0} is not in the keyring")]
    UnknownKey(u32),
    /// A key that must be replaced before it seals more.
    #[error("this key has sealed all it may")]
    Exhausted,
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to {0}")]
    Refused(&'static str),
}

impl From<SealError> for kernel::Error {
    fn from(fault: SealError) -> Self {
        kernel::Error::new(kernel::Kind::Internal, "stored data could not be opened; see the server's log")
            .because(fault)
    }
}

impl From<SealError> for kernel::StoreError {
    fn from(fault: SealError) -> Self {
        kernel::StoreError::Key(fault.to_string())
    }
}
