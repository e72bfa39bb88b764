//! What using a vault's key can find.

/// A fault of an operation with a key. None of the texts holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultKeyFault {
    /// What was asked does not fit the key, or is no good input.
    #[error("{0}")]
    Invalid(&'static str),
    /// The value does not decrypt under this key: it is another key's, or was altered. Which, and how, is not said.
    #[error("the value does not decrypt with this key and algorithm")]
    Undecryptable,
    /// Our own fault: a stored key does not open, or the library refused.
    #[error("the cryptographic library refused to {0}")]
    Refused(&'static str),
}

impl From<VaultKeyFault> for kernel::Error {
    fn from(fault: VaultKeyFault) -> Self {
        match fault {
            VaultKeyFault::Invalid(_) | VaultKeyFault::Undecryptable => {
                kernel::Error::new(kernel::Kind::Invalid, fault.to_string())
            }
            VaultKeyFault::Refused(_) => kernel::Error::internal(fault),
        }
    }
}
