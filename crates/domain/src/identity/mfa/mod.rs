//! Second factors: authenticator codes, recovery codes and passkeys; proving, enrolling and removing them.

mod enrolment;
mod factors;
mod passkey;
mod passkey_enrolment;
mod proof;
mod recovery;
#[cfg(test)]
mod tests;
mod tickets;
mod totp;
mod totp_enrolment;

pub(crate) use factors::reset_second_factors;
pub(super) use factors::{Factors, factors_of};
pub use passkey::{BeginPasskey, FinishPasskey, PasskeyChallenge};
pub use passkey_enrolment::{BeginPasskeyEnrolment, FinishPasskeyEnrolment, RemovePasskey};
pub use recovery::{NewRecoveryCodes, ProveRecoveryCode};
pub(super) use tickets::Tickets;
pub use totp::ProveTotp;
pub use totp_enrolment::{BeginTotpEnrolment, FinishTotpEnrolment, RemoveTotp, TotpSecret};
