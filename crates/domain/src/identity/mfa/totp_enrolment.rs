//! Enrolling and removing an authenticator.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret};

use super::{
    enrolment::{alter, enrol, opened},
    factors::KeptTotp,
    totp::digits,
};
use crate::{
    gate::{Cx, Op},
    identity::{
        Method, Person,
        federation::escaped,
        session::session_of,
        sign_in::{SignInRefusal, SignedIn, Step, establish, expired, refused},
    },
};

/// How apps name the account's home.
const ISSUER: &str = "Bartizan";

/// A new authenticator's secret. It is shown until a code of it was, and never again.
#[derive(Debug)]
pub struct TotpSecret {
    /// Base32, for typing.
    pub secret: Secret<String>,
    /// `otpauth://totp/…`, for a QR code.
    pub uri: Secret<String>,
}

/// Draws a secret for a new authenticator, which replaces the present one once a code of it was shown. Asked again within
/// ten minutes, it gives the same one.
#[derive(Debug)]
pub struct BeginTotpEnrolment {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for BeginTotpEnrolment {
    // Nothing has happened yet: what is recorded is the enrolment.
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/totp/begin", Class::Open);
    type Output = Step<TotpSecret>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let session = match opened(cx, &self.session).await? {
            Ok((session, _)) => session.value,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(known) = cx.house().identity.person(session.principal) else { return Ok(expired(cx)) };
        let Some(person) = cx.get::<Person>(cx.system(), &known.row).await? else { return Ok(expired(cx)) };
        let secret = cx.house().identity.tickets.secret(cx.now(), session.id)?.base32();
        let uri = Secret::new(format!(
            "otpauth://totp/{ISSUER}:{}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30",
            escaped(&person.value.user_name),
            secret.expose(),
        ));
        Ok(Ok(TotpSecret { secret, uri }))
    }
}

/// Enrols the authenticator that shows this code. Recovery codes come with it when there are none.
#[derive(Debug)]
pub struct FinishTotpEnrolment {
    /// The session.
    pub session: Secret<String>,
    /// Six digits; spaces do not count.
    pub code: String,
}

#[async_trait]
impl Op for FinishTotpEnrolment {
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/totp/write", Class::Control);
    type Output = Step<(SignedIn, Vec<Secret<String>>)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some(session) = session_of(cx, &self.session).await?.map(|row| row.value) else { return Ok(expired(cx)) };
        establish(cx, session.principal);
        cx.note("session", session.id.to_string());
        let tickets = &cx.house().identity.tickets;
        let Some(secret) = tickets.waiting_secret(cx.now(), session.id) else {
            return Ok(refused(cx, SignInRefusal::NotPossible, "no authenticator is being enrolled"));
        };
        // Whoever guesses here guesses at a secret that this session was shown: there is nothing to throttle.
        let Some(step) = secret.step_of(&digits(&self.code), cx.now().seconds(), None)? else {
            return Ok(refused(cx, SignInRefusal::BadCode, "wrong code"));
        };
        let enrolled_at = cx.now();
        let enrolled = enrol(cx, &self.session, Method::Totp, |factors| {
            factors.totp = Some(KeptTotp { secret: secret.clone(), enrolled_at, last_step: Some(step) });
            Ok(())
        })
        .await?;
        if enrolled.is_ok() {
            tickets.forget_secret(session.id);
        }
        Ok(enrolled)
    }
}

/// Forgets the authenticator.
#[derive(Debug)]
pub struct RemoveTotp {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for RemoveTotp {
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/totp/delete", Class::Control);
    type Output = Step<()>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        alter(cx, &self.session, |factors| Ok(factors.totp.take().map(drop).ok_or(SignInRefusal::NotPossible))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_add_to_the_address() {
        assert_eq!(escaped("ada@example.org"), "ada%40example.org");
        assert_eq!(escaped("a?secret=b&c:d/é"), "a%3Fsecret%3Db%26c%3Ad%2F%C3%A9");
    }
}
