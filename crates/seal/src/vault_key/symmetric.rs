//! What a symmetric key of a vault does: AES key wrap, GCM, and CBC with padding.

use aes_kw::{KeyInit, KwAes192};
use aws_lc_rs::{
    aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{
        AES_128, AES_192, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    iv::FixedLength,
    key_wrap::{self, AesKek, KeyWrap},
};
use zeroize::Zeroize;

use super::{EncryptionAlgorithm, VaultCiphertext, VaultKeyFault, public::OTHER_ALGORITHM};
use crate::random;

const TAG: usize = 16;
const NONCE: usize = 12;
const BLOCK: usize = 16;
/// AES key wrap works on halves of blocks, and on two of them at least (RFC 3394 §2).
const HALF: usize = 8;

const WRONG_SIZE: VaultKeyFault = VaultKeyFault::Invalid("the algorithm is for keys of another size");

/// The vector that a caller may choose. Under GCM a repeated one gives the key away, so there the vault chooses.
pub(super) fn encrypt(
    key: &[u8],
    algorithm: EncryptionAlgorithm,
    plain: &[u8],
    iv: Option<&[u8]>,
    aad: &[u8],
) -> Result<VaultCiphertext, VaultKeyFault> {
    match algorithm {
        EncryptionAlgorithm::AesKeyWrap(bits) => {
            fits(key, bits)?;
            plain_only(iv, aad)?;
            Ok(VaultCiphertext { value: wrap(key, plain)?, ..VaultCiphertext::default() })
        }
        EncryptionAlgorithm::AesGcm(bits) => {
            if iv.is_some() {
                return Err(VaultKeyFault::Invalid("`iv` must be left out: the vault chooses it, and answers with it"));
            }
            seal(key, bits, plain, aad)
        }
        EncryptionAlgorithm::AesCbcPad(bits) => {
            fits(key, bits)?;
            let iv: [u8; BLOCK] = match iv {
                Some(iv) => block(iv)?,
                None => random().map_err(|_| VaultKeyFault::Refused("make a random vector"))?,
            };
            plain_only(None, aad)?;
            chain(key, plain, iv)
        }
        EncryptionAlgorithm::RsaOaep | EncryptionAlgorithm::RsaOaep256 => Err(OTHER_ALGORITHM),
    }
}

pub(super) fn decrypt(
    key: &[u8],
    algorithm: EncryptionAlgorithm,
    sealed: &VaultCiphertext,
    aad: &[u8],
) -> Result<Vec<u8>, VaultKeyFault> {
    match algorithm {
        EncryptionAlgorithm::AesKeyWrap(bits) => {
            fits(key, bits)?;
            plain_only(sealed.iv.as_deref(), aad)?;
            unwrap(key, &sealed.value)
        }
        EncryptionAlgorithm::AesGcm(bits) => open(key, bits, sealed, aad),
        EncryptionAlgorithm::AesCbcPad(bits) => {
            fits(key, bits)?;
            plain_only(None, aad)?;
            let iv = sealed.iv.as_deref().ok_or(VaultKeyFault::Invalid("`iv` is missing"))?;
            unchain(key, &sealed.value, block(iv)?)
        }
        EncryptionAlgorithm::RsaOaep | EncryptionAlgorithm::RsaOaep256 => Err(OTHER_ALGORITHM),
    }
}

fn fits(key: &[u8], bits: u32) -> Result<(), VaultKeyFault> {
    if u32::try_from(key.len().saturating_mul(8)) == Ok(bits) { Ok(()) } else { Err(WRONG_SIZE) }
}

fn plain_only(iv: Option<&[u8]>, aad: &[u8]) -> Result<(), VaultKeyFault> {
    if iv.is_some() || !aad.is_empty() {
        return Err(VaultKeyFault::Invalid("the algorithm takes no `iv` or no `aad`"));
    }
    Ok(())
}

fn block(iv: &[u8]) -> Result<[u8; BLOCK], VaultKeyFault> {
    iv.try_into().map_err(|_| VaultKeyFault::Invalid("`iv` must have 16 bytes"))
}

fn wrap(key: &[u8], plain: &[u8]) -> Result<Vec<u8>, VaultKeyFault> {
    if plain.len() < 2 * HALF || !plain.len().is_multiple_of(HALF) {
        return Err(VaultKeyFault::Invalid("AES key wrap takes 16 bytes or more, in multiples of eight"));
    }
    let refused = || VaultKeyFault::Refused("wrap");
    let mut out = vec![0; plain.len().saturating_add(HALF)];
    match kek(key) {
        Some(kek) => {
            kek.map_err(|_| refused())?.wrap(plain, &mut out).map_err(|_| refused())?;
        }
        None => {
            let kek = KwAes192::new_from_slice(key).map_err(|_| refused())?;
            kek.wrap_key(plain, &mut out).map_err(|_| refused())?;
        }
    }
    Ok(out)
}

fn unwrap(key: &[u8], wrapped: &[u8]) -> Result<Vec<u8>, VaultKeyFault> {
    let undecryptable = VaultKeyFault::Undecryptable;
    if wrapped.len() < 3 * HALF || !wrapped.len().is_multiple_of(HALF) {
        return Err(undecryptable);
    }
    let mut out = vec![0; wrapped.len().saturating_sub(HALF)];
    let done = match kek(key) {
        Some(kek) => kek.and_then(|kek| kek.unwrap(wrapped, &mut out).map(|_| ())).is_ok(),
        None => KwAes192::new_from_slice(key).is_ok_and(|kek| kek.unwrap_key(wrapped, &mut out).is_ok()),
    };
    if !done {
        out.zeroize();
        return Err(undecryptable);
    }
    Ok(out)
}

/// aws-lc-rs wraps with 128 and 256 bits; none for 192, which is left to RustCrypto.
fn kek(key: &[u8]) -> Option<Result<AesKek, aws_lc_rs::error::Unspecified>> {
    match key.len() {
        16 => Some(AesKek::new(&key_wrap::AES_128, key)),
        24 => None,
        _ => Some(AesKek::new(&key_wrap::AES_256, key)),
    }
}

fn gcm(key: &[u8], bits: u32) -> Result<LessSafeKey, VaultKeyFault> {
    let algorithm = match bits {
        128 => &AES_128_GCM,
        192 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| WRONG_SIZE)
}

fn seal(key: &[u8], bits: u32, plain: &[u8], aad: &[u8]) -> Result<VaultCiphertext, VaultKeyFault> {
    let refused = VaultKeyFault::Refused("encrypt");
    let iv: [u8; NONCE] = random().map_err(|_| refused.clone())?;
    let mut value = plain.to_vec();
    let tag = gcm(key, bits)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(aad), &mut value)
        .map_err(|_| refused)?;
    Ok(VaultCiphertext { value, iv: Some(iv.to_vec()), tag: Some(tag.as_ref().to_vec()) })
}

fn open(key: &[u8], bits: u32, sealed: &VaultCiphertext, aad: &[u8]) -> Result<Vec<u8>, VaultKeyFault> {
    let missing = VaultKeyFault::Invalid("`iv` of 12 bytes and `tag` of 16 bytes are needed");
    let (Some(iv), Some(tag)) = (&sealed.iv, &sealed.tag) else { return Err(missing) };
    let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| missing.clone())?;
    if tag.len() != TAG {
        return Err(missing);
    }
    let mut body = sealed.value.clone();
    body.extend_from_slice(tag);
    let key = gcm(key, bits)?;
    let length = key.open_in_place(nonce, Aad::from(aad), &mut body).map_err(|_| VaultKeyFault::Undecryptable)?.len();
    body.truncate(length);
    Ok(body)
}

fn cipher(key: &[u8]) -> Result<UnboundCipherKey, VaultKeyFault> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        _ => &AES_256,
    };
    UnboundCipherKey::new(algorithm, key).map_err(|_| WRONG_SIZE)
}

fn chain(key: &[u8], plain: &[u8], iv: [u8; BLOCK]) -> Result<VaultCiphertext, VaultKeyFault> {
    let refused = |_| VaultKeyFault::Refused("encrypt");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(cipher(key)?).map_err(refused)?;
    // With room for the padding, so that no copy of the value is left behind.
    let mut value = Vec::with_capacity(plain.len().saturating_add(BLOCK));
    value.extend_from_slice(plain);
    key.less_safe_encrypt(&mut value, EncryptionContext::Iv128(FixedLength::from(iv))).map_err(refused)?;
    Ok(VaultCiphertext { value, iv: Some(iv.to_vec()), tag: None })
}

fn unchain(key: &[u8], value: &[u8], iv: [u8; BLOCK]) -> Result<Vec<u8>, VaultKeyFault> {
    if value.is_empty() || !value.len().is_multiple_of(BLOCK) {
        return Err(VaultKeyFault::Undecryptable);
    }
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(cipher(key)?).map_err(|_| VaultKeyFault::Refused("decrypt"))?;
    let mut body = value.to_vec();
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = match key.decrypt(&mut body, context) {
        Ok(plain) => plain.len(),
        Err(_) => {
            body.zeroize();
            return Err(VaultKeyFault::Undecryptable);
        }
    };
    body.truncate(length);
    Ok(body)
}
