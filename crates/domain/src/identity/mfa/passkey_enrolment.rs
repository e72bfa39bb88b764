//! Enrolling and removing passkeys.

use async_trait::async_trait;
use kernel::{Action, Class, PrincipalId, ResourceId, Result, Secret};
use seal::{Passkey, PasskeySite};
use uuid::Uuid;

use super::{
    Factors, PasskeyChallenge,
    enrolment::{alter, enrol, opened},
    factors::KeptPasskey,
    tickets::{Asked, Holder},
};
use crate::{
    gate::{Admission, Cx, Op},
    identity::{
        Method, Person,
        session::session_of,
        sign_in::{SignInRefusal, SignedIn, Step, establish, expired, refused},
    },
};

/// Passkeys of one person.
const MOST: usize = 10;
/// Characters of a passkey's name; what is behind is dropped.
const LONGEST_NAME: usize = 60;

/// Asks for the challenge of a new passkey.
#[derive(Debug)]
pub struct BeginPasskeyEnrolment {
    /// The session.
    pub session: Secret<String>,
}

#[async_trait]
impl Op for BeginPasskeyEnrolment {
    // Nothing has happened yet: what is recorded is the enrolment.
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/passkeys/begin", Class::Open);
    type Output = Step<PasskeyChallenge>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some(site) = PasskeySite::at(&cx.settings().url) else {
            return Ok(refused(cx, SignInRefusal::NotPossible, "the server's address is no host name"));
        };
        let (session, factors) = match opened(cx, &self.session).await? {
            Ok((session, factors)) => (session.value, factors.value),
            Err(refusal) => return Ok(Err(refusal)),
        };
        if factors.passkeys.len() >= MOST {
            return Ok(refused(cx, SignInRefusal::NotPossible, "too many passkeys"));
        }
        let Some(known) = cx.house().identity.person(session.principal) else { return Ok(expired(cx)) };
        let Some(person) = cx.get::<Person>(cx.system(), &known.row).await? else { return Ok(expired(cx)) };
        let owner = *session.principal.as_bytes();
        let (options, state) =
            site.ask_for_new(owner, &person.value.user_name, &person.value.display_name, &factors.keys())?;
        let tickets = &cx.house().identity.tickets;
        let ticket = tickets.keep(cx.now(), Holder::Session(session.id), Asked::New(state))?;
        Ok(Ok(PasskeyChallenge { ticket, options }))
    }
}

/// Enrols the passkey that answered. Recovery codes come with it when there are none.
#[derive(Debug)]
pub struct FinishPasskeyEnrolment {
    /// The session.
    pub session: Secret<String>,
    /// The challenge.
    pub ticket: String,
    /// `PublicKeyCredential.toJSON()`.
    pub credential: serde_json::Value,
    /// For its owner to recognize it; at most 60 characters are kept.
    pub name: String,
}

#[async_trait]
impl Op for FinishPasskeyEnrolment {
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/passkeys/write", Class::Control);
    type Output = Step<(SignedIn, Vec<Secret<String>>)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some(session) = session_of(cx, &self.session).await?.map(|row| row.value) else { return Ok(expired(cx)) };
        establish(cx, session.principal);
        cx.note("session", session.id.to_string());
        let holder = Holder::Session(session.id);
        let Some(Asked::New(state)) = cx.house().identity.tickets.take(cx.now(), &self.ticket, &holder) else {
            return Ok(refused(cx, SignInRefusal::Expired, "no such challenge"));
        };
        let made = PasskeySite::at(&cx.settings().url).and_then(|site| site.made(&self.credential, &state));
        let Some(key) = made else {
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the answer does not fit"));
        };
        if is_enrolled(cx, &key, session.principal).await? {
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the passkey is enrolled already"));
        }
        let (id, enrolled_at) = (Uuid::new_v4(), cx.now());
        let name = self.name.trim().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect::<String>();
        cx.note("passkey", id.to_string());
        enrol(cx, &self.session, Method::Passkey, |factors| {
            let is_new = factors.passkeys.iter().all(|kept| kept.key.id() != key.id());
            if factors.passkeys.len() >= MOST || !is_new {
                return refused(cx, SignInRefusal::NotPossible, "too many passkeys, or enrolled already");
            }
            let (name, key) = (name.clone(), key.clone());
            factors.passkeys.push(KeptPasskey { id, name, enrolled_at, used_at: None, counter: 0, key });
            Ok(())
        })
        .await
    }
}

/// Forgets a passkey.
#[derive(Debug)]
pub struct RemovePasskey {
    /// The session.
    pub session: Secret<String>,
    /// Which one.
    pub id: Uuid,
}

#[async_trait]
impl Op for RemovePasskey {
    const ACTION: Action = Action::public("Microsoft.Directory/secondFactors/passkeys/delete", Class::Control);
    type Output = Step<()>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("passkey", self.id.to_string());
        alter(cx, &self.session, |factors| {
            let before = factors.passkeys.len();
            factors.passkeys.retain(|kept| kept.id != self.id);
            Ok(if factors.passkeys.len() < before { Ok(()) } else { Err(SignInRefusal::NotPossible) })
        })
        .await
    }
}

/// Whether a credential of that id belongs to somebody else (WebAuthn §7.1, step 26). Enrolments are rare and people are
/// few: all are looked through.
async fn is_enrolled(cx: &Admission<'_>, key: &Passkey, owner: PrincipalId) -> Result<bool> {
    let all = cx.all::<Factors>(cx.system(), b"").await?;
    let others = all.iter().filter(|row| row.id != owner.as_bytes());
    Ok(others.flat_map(|row| &row.value.passkeys).any(|kept| kept.key.id() == key.id()))
}
