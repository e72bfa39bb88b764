//! Passwords of people: Argon2id (RFC 9106) at the cost OWASP ASVS 11.4.2 asks for, and more.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use kernel::Secret;
use serde::{Deserialize, Serialize};

use crate::{SealError, random};

/// Memory that one hash takes, KiB.
const MEMORY_KIB: u32 = 46 * 1024;
/// How often it goes over that memory.
const PASSES: u32 = 2;

/// A password's hash with its own salt and cost, so that the cost can rise without locking anyone out.
#[derive(Clone, Serialize, Deserialize)]
pub struct PasswordHash {
    memory_kib: u32,
    passes: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PasswordHash(***)")
    }
}

impl PasswordHash {
    /// Hashes a password. Takes about 50 ms of processor time: call it on a bounded pool.
    pub fn new(password: &Secret<String>) -> Result<Self, SealError> {
        let mut made = Self { memory_kib: MEMORY_KIB, passes: PASSES, salt: random()?, hash: [0; 32] };
        made.hash = made.compute(password)?;
        Ok(made)
    }

    /// The hash of no password, at the present cost: comparing with it takes as long as with a real one (invariant I32).
    pub fn decoy() -> Result<Self, SealError> {
        Ok(Self { memory_kib: MEMORY_KIB, passes: PASSES, salt: random()?, hash: random()? })
    }

    /// Whether this is the password; the comparison takes constant time.
    pub fn matches(&self, password: &Secret<String>) -> Result<bool, SealError> {
        let hash = self.compute(password)?;
        Ok(constant_time::verify_slices_are_equal(&hash, &self.hash).is_ok())
    }

    fn compute(&self, password: &Secret<String>) -> Result<[u8; 32], SealError> {
        let refused = |_| SealError::Refused("hash a password");
        let params = Params::new(self.memory_kib, self.passes, 1, Some(32)).map_err(refused)?;
        let mut hash = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.expose().as_bytes(), &self.salt, &mut hash)
            .map_err(refused)?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_password_matches() {
        let hash = PasswordHash::new(&Secret::new("correct horse".into())).unwrap();
        assert!(hash.matches(&Secret::new("correct horse".into())).unwrap());
        assert!(!hash.matches(&Secret::new("Correct horse".into())).unwrap());
        assert!(!hash.matches(&Secret::new("correct horse ".into())).unwrap());
    }

    #[test]
    fn nothing_matches_a_decoy_and_it_costs_the_same() {
        let (decoy, real) = (PasswordHash::decoy().unwrap(), PasswordHash::new(&Secret::new("a".into())).unwrap());
        assert!(!decoy.matches(&Secret::new(String::new())).unwrap());
        assert_eq!((decoy.memory_kib, decoy.passes), (real.memory_kib, real.passes));
    }
}
