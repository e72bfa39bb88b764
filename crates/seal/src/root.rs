//! Wrapping under a root key that a provider on this machine holds, and making one from a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use kernel::{Agreement, Sealed, Sealing, Secret, StoreResult, Stretch};

use crate::{
    SealError,
    aead::{self, NONCE, Xaes},
    random,
};

const FORMAT: u8 = 1;
const WHAT: &str = "a wrapped key";

/// XAES-256-GCM under a root key: `1 ‖ nonce ‖ ciphertext ‖ tag`, with the purpose as associated data.
#[derive(Clone, Copy, Debug, Default)]
pub struct RootSealing;

fn key_of(key: &Secret<Vec<u8>>) -> Result<Xaes, SealError> {
    let key: &[u8; 32] =
        key.expose().as_slice().try_into().map_err(|_| SealError::Refused("use a root key that is not 32 bytes"))?;
    Xaes::new(key)
}

fn aad(purpose: Agreement<'_>) -> Vec<u8> {
    let mut aad = b"bartizan root v1\0".to_vec();
    aad.extend_from_slice(purpose);
    aad
}

/// Opens what [`RootSealing`] sealed and a record kept as bytes.
///
/// # Errors
/// Another key or purpose, and every changed byte.
pub fn open_kept(key: &Secret<Vec<u8>>, purpose: Agreement<'_>, kept: &[u8]) -> Result<Secret<Vec<u8>>, SealError> {
    let rest = match kept {
        [FORMAT, rest @ ..] => rest,
        [found, ..] => return Err(SealError::Format { what: WHAT, found: *found }),
        [] => return Err(SealError::Truncated { what: WHAT }),
    };
    let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(SealError::Truncated { what: WHAT })?;
    Ok(Secret::new(key_of(key)?.open(nonce, &aad(purpose), body, WHAT)?))
}

impl Sealing for RootSealing {
    fn seal(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, plain: &[u8]) -> StoreResult<Sealed> {
        let nonce = aead::fresh_nonce()?;
        let mut out = vec![FORMAT];
        out.extend_from_slice(&nonce);
        key_of(key)?.seal(&nonce, &aad(purpose), plain, &mut out)?;
        Ok(Sealed::made_by_seal(Bytes::from(out)))
    }

    fn open(&self, key: &Secret<Vec<u8>>, purpose: Agreement<'_>, sealed: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        Ok(open_kept(key, purpose, sealed.bytes())?)
    }

    fn fresh(&self) -> StoreResult<Secret<Vec<u8>>> {
        Ok(Secret::new(random::<32>()?.to_vec()))
    }

    fn stretch(&self, passphrase: &Secret<String>, salt: &[u8], cost: Stretch) -> StoreResult<Secret<Vec<u8>>> {
        let refused = |_| SealError::Refused("make a key from a passphrase");
        let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(refused)?;
        let mut key = vec![0; 32];
        let made = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
            passphrase.expose().as_bytes(),
            salt,
            &mut key,
        );
        let key = Secret::new(key);
        made.map_err(refused)?;
        Ok(key)
    }
}
