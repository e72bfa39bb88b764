//! Signing in: the password, what comes after it, and the end of it. Second factors are in `mfa`.

mod account;
mod answer;
mod change_password;
mod hashing;
mod pages;
mod password;
mod report;
mod strangers;
mod strength;
mod sweep;
mod tally;
#[cfg(test)]
pub(super) mod tests;
mod throttle;

pub(crate) use account::account_name;
pub use answer::{NextStep, SecondFactor, SessionView, SignInRefusal, SignedIn};
pub(super) use answer::{is_demanded, next_step, what_next};
pub use change_password::ChangePassword;
pub(super) use hashing::Hashing;
pub use pages::{GetSession, SignOut};
pub use password::SignInWithPassword;
pub(super) use report::{establish, establish_stranger, expired, refused, taken, throttled};
pub(super) use strangers::Strangers;
pub use strength::PasswordFault;
pub(crate) use strength::{check_password_strength, hash_password};
pub(crate) use sweep::SweepSignIns;
pub(crate) use throttle::forgive_guesses;
pub(super) use throttle::{Guess, forgive_factor_guesses, network};

/// A step's answer.
pub type Step<T> = std::result::Result<T, SignInRefusal>;
