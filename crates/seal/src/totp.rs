//! Codes of authenticator apps (RFC 6238): SHA-1, six digits, thirty seconds, as every app can.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use kernel::Secret;
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{SealError, random};

/// Seconds that a code is shown.
const STEP: u64 = 30;
/// How many steps before and after the present one are accepted (RFC 6238 §5.2 advises one).
const SKEW: u16 = 1;
const DIGITS: usize = 6;

/// The secret that an authenticator shares with the server: 160 bits (RFC 4226 §4).
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct TotpSecret([u8; 20]);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TotpSecret(***)")
    }
}

impl TotpSecret {
    /// Draws one.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self(random()?))
    }

    /// The step that this code belongs to, when it is one of the three around `seconds` (since the epoch) and later than
    /// `last`, the step that was used last. Whoever accepts it keeps the step, so that no code counts twice.
    pub fn step_of(&self, code: &str, seconds: i64, last: Option<u64>) -> Result<Option<u64>, SealError> {
        let (Ok(seconds), true) = (u64::try_from(seconds), is_code(code)) else { return Ok(None) };
        let step = self.totp()?.check(code, seconds);
        Ok(step.filter(|step| last.is_none_or(|last| *step > last)))
    }

    /// The code shown at `seconds` since the epoch.
    pub fn code_at(&self, seconds: i64) -> Result<Secret<String>, SealError> {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Ok(Secret::new(self.totp()?.generate(seconds).to_string()))
    }

    /// Base32 without padding, as people type it.
    pub fn base32(&self) -> Secret<String> {
        Secret::new(BASE32_NOPAD.encode(&self.0))
    }

    fn totp(&self) -> Result<Totp, SealError> {
        Builder::new()
            .with_secret(self.0)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .build()
            .map_err(|_| SealError::Refused("compute a code"))
    }
}

fn is_code(code: &str) -> bool {
    code.len() == DIGITS && code.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc() -> TotpSecret {
        TotpSecret(*b"12345678901234567890")
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1; the last six of its eight digits.
        let vectors: [(i64, &str); 6] = [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ];
        for (seconds, code) in vectors {
            assert_eq!(rfc().code_at(seconds).unwrap().expose(), code, "at {seconds}");
            let step = u64::try_from(seconds).unwrap() / STEP;
            assert_eq!(rfc().step_of(code, seconds, None).unwrap(), Some(step), "at {seconds}");
        }
    }

    #[test]
    fn a_code_counts_one_step_early_and_one_late_and_no_more() {
        let code = rfc().code_at(1_111_111_111).unwrap();
        let step = 1_111_111_111 / STEP;
        let start = 1_111_111_110_i64;
        for (seconds, counts) in
            [(start - 31, false), (start - 1, true), (start + 29, true), (start + 59, true), (start + 60, false)]
        {
            let found = rfc().step_of(code.expose(), seconds, None).unwrap();
            assert_eq!(found, counts.then_some(step), "{} seconds after it was first shown", seconds - start);
        }
    }

    #[test]
    fn a_step_that_was_used_is_used_up_and_so_are_those_before() {
        let code = rfc().code_at(59).unwrap();
        assert_eq!(rfc().step_of(code.expose(), 59, Some(0)).unwrap(), Some(1));
        assert_eq!(rfc().step_of(code.expose(), 59, Some(1)).unwrap(), None);
        assert_eq!(rfc().step_of(code.expose(), 59, Some(2)).unwrap(), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for code in ["", "28708", "2870822", "28 7082", "+87082", "２８７０８２", "-28708", "abcdef"] {
            assert_eq!(rfc().step_of(code, 59, None).unwrap(), None, "{code}");
        }
        assert_eq!(rfc().step_of("287082", -1, None).unwrap(), None);
    }

    #[test]
    fn a_secret_has_160_bits_and_does_not_print() {
        let secret = TotpSecret::generate().unwrap();
        assert_eq!(BASE32_NOPAD.decode(secret.base32().expose().as_bytes()).unwrap().len(), 20);
        assert_eq!(format!("{secret:?}"), "TotpSecret(***)");
        let kept: TotpSecret = serde_json::from_slice(&serde_json::to_vec(&secret).unwrap()).unwrap();
        assert_eq!(kept.base32().expose(), secret.base32().expose());
    }
}
