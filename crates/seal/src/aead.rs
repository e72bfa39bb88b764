//! XAES-256-GCM (C2SP `XAES-256-GCM.md`): AES-256-GCM with a derived key and a 192-bit nonce, so that random nonces never
//! run out. Both halves come from aws-lc-rs; the derivation is the specification's.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_256, EncryptingKey, UnboundCipherKey},
};
use zeroize::{Zeroize, Zeroizing};

use crate::{SealError, random};

pub(crate) const NONCE: usize = 24;
pub(crate) const TAG: usize = 16;

/// An XAES-256-GCM key with its CMAC subkey computed once.
pub(crate) struct Xaes {
    block: EncryptingKey,
    subkey: Zeroizing<[u8; 16]>,
}

impl Xaes {
    pub(crate) fn new(key: &[u8; 32]) -> Result<Self, SealError> {
        let refused = |_| SealError::Refused("set up a key");
        let block = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key).map_err(refused)?).map_err(refused)?;
        let mut subkey = Zeroizing::new([0; 16]);
        encrypt_block(&block, &mut subkey)?;
        double(&mut subkey);
        Ok(Self { block, subkey })
    }

    /// Ciphertext and tag, appended to `out`.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let (key, short) = self.derive(nonce)?;
        let start = out.len();
        out.extend_from_slice(plain);
        let body = out.get_mut(start..).unwrap_or_default();
        let tag =
            key.seal_in_place_separate_tag(short, Aad::from(aad), body).map_err(|_| SealError::Refused("encrypt"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// The plaintext of `ciphertext ‖ tag`.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        sealed: &[u8],
        what: &'static str,
    ) -> Result<Vec<u8>, SealError> {
        let (key, short) = self.derive(nonce)?;
        let mut body = sealed.to_vec();
        let length =
            key.open_in_place(short, Aad::from(aad), &mut body).map_err(|_| SealError::Unauthentic { what })?.len();
        body.truncate(length);
        Ok(body)
    }

    fn derive(&self, nonce: &[u8; NONCE]) -> Result<(LessSafeKey, Nonce), SealError> {
        let (first, last) = nonce.split_at(12);
        let mut key = Zeroizing::new([0u8; 32]);
        for (half, counter) in key.chunks_exact_mut(16).zip([1u8, 2]) {
            let mut block = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            for (to, from) in block.iter_mut().skip(4).zip(first) {
                *to = *from;
            }
            for (to, mask) in block.iter_mut().zip(self.subkey.iter()) {
                *to ^= mask;
            }
            encrypt_block(&self.block, &mut block)?;
            half.copy_from_slice(&block);
            block.zeroize();
        }
        Ok((gcm(&key)?, short_nonce(last)?))
    }
}

/// A plain AES-256-GCM key, for callers that count their nonces.
pub(crate) fn gcm(key: &[u8; 32]) -> Result<LessSafeKey, SealError> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Refused("set up a key"))?;
    Ok(LessSafeKey::new(key))
}

pub(crate) fn short_nonce(bytes: &[u8]) -> Result<Nonce, SealError> {
    Nonce::try_assume_unique_for_key(bytes).map_err(|_| SealError::Refused("take a nonce"))
}

pub(crate) fn fresh_nonce() -> Result<[u8; NONCE], SealError> {
    random()
}

fn encrypt_block(key: &EncryptingKey, block: &mut [u8; 16]) -> Result<(), SealError> {
    key.encrypt(block).map(|_| ()).map_err(|_| SealError::Refused("derive a key"))
}

/// Multiplies by x in GF(2^128) as CMAC does (NIST SP 800-38B, section 6.1).
fn double(block: &mut [u8; 16]) {
    let value = u128::from_be_bytes(*block);
    let carry = if value >> 127 == 1 { 0x87 } else { 0 };
    *block = ((value << 1) ^ carry).to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(key: u8, aad: &[u8], expected: &str) {
        let xaes = Xaes::new(&[key; 32]).unwrap();
        let nonce = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let mut out = Vec::new();
        xaes.seal(&nonce, aad, b"XAES-256-GCM", &mut out).unwrap();
        assert_eq!(crate::hex(&out), expected);
        assert_eq!(xaes.open(&nonce, aad, &out, "vector").unwrap(), b"XAES-256-GCM");
        out[0] ^= 1;
        assert_eq!(xaes.open(&nonce, aad, &out, "vector"), Err(SealError::Unauthentic { what: "vector" }));
    }

    #[test]
    fn the_specification_s_vectors_hold() {
        vector(1, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
        vector(3, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    }
}
