//! Randomness from the operating system through aws-lc-rs.

use aws_lc_rs::rand;

use crate::SealError;

/// Fresh random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| SealError::Refused("draw random bytes"))?;
    Ok(bytes)
}
