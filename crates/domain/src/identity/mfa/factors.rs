//! What is kept of a person's second factors.

use kernel::{PrincipalId, Result, Timestamp};
use seal::{Fingerprint, Passkey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    gate::{Admission, Changes, Record, Row},
    identity::sign_in::{SecondFactor, forgive_factor_guesses},
};

/// A person's second factors. The row's id is the principal's.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::identity) struct Factors {
    /// The authenticator.
    #[serde(default)]
    pub totp: Option<KeptTotp>,
    /// Passkeys, oldest first.
    #[serde(default)]
    pub passkeys: Vec<KeptPasskey>,
    /// Recovery codes that were not used yet: keyed hashes.
    #[serde(default)]
    pub recovery_codes: Vec<Fingerprint>,
}

impl Record for Factors {
    const TABLE: &'static str = "second-factor";
}

/// An authenticator.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::identity) struct KeptTotp {
    pub secret: seal::TotpSecret,
    pub enrolled_at: Timestamp,
    /// The step of the last code that was accepted: neither it nor an earlier one is accepted again.
    pub last_step: Option<u64>,
}

/// A passkey.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::identity) struct KeptPasskey {
    pub id: Uuid,
    /// For its owner.
    pub name: String,
    pub enrolled_at: Timestamp,
    pub used_at: Option<Timestamp>,
    /// How often its authenticator said last that it had signed; zero when it does not count.
    pub counter: u32,
    pub key: Passkey,
}

impl Factors {
    /// Whether the person has a second factor. Recovery codes alone are none: they stand in for one.
    pub(in crate::identity) fn are_enrolled(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    /// What can be shown.
    pub(in crate::identity) fn methods(&self) -> Vec<SecondFactor> {
        let mut methods = Vec::new();
        if !self.passkeys.is_empty() {
            methods.push(SecondFactor::Passkey);
        }
        if self.totp.is_some() {
            methods.push(SecondFactor::Totp);
        }
        if !self.recovery_codes.is_empty() {
            methods.push(SecondFactor::RecoveryCode);
        }
        methods
    }

    /// The public keys of the passkeys.
    pub(super) fn keys(&self) -> Vec<Passkey> {
        self.passkeys.iter().map(|kept| kept.key.clone()).collect()
    }

    /// Recovery codes go with the last factor.
    pub(super) fn tidy(&mut self) {
        if !self.are_enrolled() {
            self.recovery_codes.clear();
        }
    }
}

/// The factors of a person; a row that was never written when there are none.
pub(in crate::identity) async fn factors_of(cx: &Admission<'_>, principal: PrincipalId) -> Result<Row<Factors>> {
    let found = cx.get::<Factors>(cx.system(), principal.as_bytes()).await?;
    Ok(found.unwrap_or_else(|| Row::new(principal.as_bytes().as_slice(), Factors::default())))
}

/// Forgets all factors of a person, and the guesses at them: for an administrator's reset, and when the person is removed.
pub(crate) async fn reset_second_factors(
    cx: &Admission<'_>,
    changes: &mut Changes,
    principal: PrincipalId,
) -> Result<()> {
    if let Some(row) = cx.get::<Factors>(cx.system(), principal.as_bytes()).await? {
        changes.delete(cx.system(), &row);
    }
    forgive_factor_guesses(cx, changes, principal).await
}
