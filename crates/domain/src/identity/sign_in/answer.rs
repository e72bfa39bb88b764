//! What a step of a sign-in answers: a new cookie and what comes next, or why not.

use kernel::{Result, Secret, Timestamp};
use uuid::Uuid;

use super::PasswordFault;
use crate::{
    gate::Admission,
    identity::{
        Method, Session,
        mfa::{self, Factors},
        policy,
    },
};

/// A step that was taken. The browser's cookie is replaced by this one: the one before is worth nothing any more.
#[derive(Debug)]
pub struct SignedIn {
    /// The session's key.
    pub cookie: Secret<String>,
    /// What has to be done before the session counts.
    pub next: NextStep,
}

/// What has to be done before a session counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing: the person is signed in.
    Done,
    /// One of the enrolled factors.
    ProveSecondFactor {
        /// Those that the person has.
        methods: Vec<SecondFactor>,
    },
    /// A second factor is demanded, and the person has none yet.
    EnrolSecondFactor,
    /// The password was set by somebody else.
    ChangePassword,
}

/// What can be asked for after the first proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// A code of an authenticator.
    Totp,
    /// A code that was written down.
    RecoveryCode,
    /// A passkey.
    Passkey,
}

/// Why a step was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInRefusal {
    /// No such user, another password, or an account that may not sign in: which of them is not said.
    BadCredentials,
    /// A code that is wrong, too old, or was used before.
    BadCode,
    /// Too many guesses.
    Throttled {
        /// After how many seconds the next one is looked at.
        seconds: u64,
    },
    /// The session, or the challenge, has ended: start again.
    Expired,
    /// The last proof is too long ago for a change of factors: sign in again, and come back.
    ProveAgain,
    /// The new password is not accepted.
    WeakPassword {
        /// Why not.
        why: PasswordFault,
    },
    /// The passkey did not prove what it was asked.
    BadPasskey,
    /// This session, person or installation cannot do that: nothing to prove, nothing to remove, the last factor of
    /// someone of whom one is demanded, or passkeys at an address that is no host name.
    NotPossible,
}

/// A browser's session, as its owner sees it.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Names it; no secret.
    pub id: Uuid,
    /// Sign-in name.
    pub user_name: String,
    /// For people.
    pub display_name: String,
    /// What was proved, in order.
    pub methods: Vec<Method>,
    /// What has to be done before it counts.
    pub next: NextStep,
    /// Whether an authenticator is enrolled.
    pub has_totp: bool,
    /// Passkeys: id, name, when each was enrolled.
    pub passkeys: Vec<(Uuid, String, Timestamp)>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: usize,
}

/// What a session still lacks.
///
/// An enrolled factor is always asked for, and before the password may be changed: whoever got hold of a first password
/// and has not the factor must not be able to shut the owner out.
pub(in crate::identity) async fn next_step(cx: &Admission<'_>, session: &Session) -> Result<NextStep> {
    let factors = mfa::factors_of(cx, session.principal).await?;
    Ok(what_next(cx, session, &factors.value))
}

/// The same, of factors that were read or are about to be written.
pub(in crate::identity) fn what_next(cx: &Admission<'_>, session: &Session, factors: &Factors) -> NextStep {
    let is_multi_factor = session.is_multi_factor();
    if factors.are_enrolled() && !is_multi_factor {
        return NextStep::ProveSecondFactor { methods: factors.methods() };
    }
    // Whoever came by a passkey or another house's word did not use the password that somebody else knows.
    let used_password = session.methods.contains(&Method::Password);
    let person = cx.house().identity.person(session.principal);
    if used_password && person.is_some_and(|person| person.must_change) {
        return NextStep::ChangePassword;
    }
    if !is_multi_factor && is_demanded(cx, session) {
        return NextStep::EnrolSecondFactor;
    }
    NextStep::Done
}

/// Whether this person has to show a second factor, coming from where the request comes from.
pub(in crate::identity) fn is_demanded(cx: &Admission<'_>, session: &Session) -> bool {
    policy::demands_mfa(cx.house(), session.principal, cx.caller().source.address)
}
