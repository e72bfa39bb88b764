//! Sessions: what a person has proved in a browser so far, and until when that counts (NIST SP 800-63B §5).

use std::{net::IpAddr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Kind, PrincipalId, Proof, Result, Secret, Timestamp};
use seal::Fingerprint;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{policy::MULTI_FACTOR, token_keys::SKEW};
use crate::gate::{Admission, Changes, Record, Row};

/// After this long a person signs in again, whatever they did meanwhile.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// After this long without a sign of the person, too.
const LONGEST_SILENCE: Duration = Duration::from_secs(3600);
/// The time when a browser was heard last is written no more often than this.
const SEEN: Duration = Duration::from_secs(60);
/// A session that ended is kept so long, for its owner to see.
const KEPT_ENDED: Duration = Duration::from_secs(24 * 3600);
/// Any other is kept so long after it began: grants of a day, and the tokens under them, outlive it.
const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);
/// What session keys are fingerprinted as.
const PURPOSE: &str = "session key";
/// How much of a browser's own name is kept.
const LONGEST_AGENT: usize = 200;

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// What one knows.
    Password,
    /// A code of an authenticator (RFC 6238).
    Totp,
    /// One of the codes that were written down.
    RecoveryCode,
    /// A passkey with user verification: two factors at once.
    Passkey,
    /// An upstream issuer's word.
    Federated,
    /// An upstream issuer's word that there were two factors, where that is believed.
    FederatedMultiFactor,
}

/// A session. Its id is in the tokens that came from it (`sid`); its key is in the browser's cookie alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Names it; no secret.
    pub id: Uuid,
    /// Who signed in.
    pub principal: PrincipalId,
    /// What was proved, in order.
    pub methods: Vec<Method>,
    /// When it began.
    pub started_at: Timestamp,
    /// When something was proved last; none when a provider vouches for the person and does not say when they proved it.
    pub proved_at: Option<Timestamp>,
    /// When the browser was heard last, to within a minute.
    pub seen_at: Timestamp,
    /// From where it began.
    pub address: Option<IpAddr>,
    /// What the browser calls itself; for people to recognize it.
    pub agent: String,
    /// When it was ended by its owner or an administrator.
    pub ended_at: Option<Timestamp>,
    /// The upstream provider it came from: it ends when that is disabled.
    #[serde(default)]
    pub provider: Option<Uuid>,
    /// The cookie's keyed hash.
    key: Fingerprint,
}

impl Record for Session {
    const TABLE: &'static str = "session";
}

impl Session {
    /// Whether more than one factor was shown.
    pub fn is_multi_factor(&self) -> bool {
        use Method::{Federated, FederatedMultiFactor, Passkey, Password, RecoveryCode, Totp};
        let has = |method: Method| self.methods.contains(&method);
        let is_first = has(Password) || has(Federated);
        has(Passkey) || has(FederatedMultiFactor) || (is_first && (has(Totp) || has(RecoveryCode)))
    }

    /// What tokens say of it.
    pub fn proof(&self) -> Proof {
        let mut methods: Vec<String> = Vec::new();
        for method in &self.methods {
            let word = match method {
                Method::Password => "pwd",
                Method::Totp | Method::RecoveryCode => "otp",
                Method::Passkey => "fido",
                Method::Federated | Method::FederatedMultiFactor => "fed",
            };
            if !methods.iter().any(|known| known == word) {
                methods.push(word.to_owned());
            }
        }
        let mut contexts = Vec::new();
        if self.is_multi_factor() {
            methods.push(String::from("mfa"));
            contexts.push(String::from(MULTI_FACTOR));
        }
        Proof { methods, contexts, session: Some(self.id), run: None, grant: None }
    }

    /// Whether the browser is still believed.
    pub fn is_open(&self, now: Timestamp) -> bool {
        // One that begins in the future was begun before the clock was turned back: it would outlive its time.
        let has_begun = self.started_at <= now.plus(SKEW);
        self.ended_at.is_none()
            && has_begun
            && now < self.started_at.plus(LONGEST)
            && now < self.seen_at.plus(LONGEST_SILENCE)
    }

    /// Whether something may still come from it: the browser goes silent after an hour, the tokens of applications do not.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && !self.is_over(now)
    }

    /// Whether nothing can come from it any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ended_at.is_some_and(|at| now > at.plus(KEPT_ENDED)) || now > self.started_at.plus(KEPT)
    }
}

/// A new session, and the key for the browser's cookie.
pub(super) fn new_session(
    cx: &Admission<'_>,
    principal: PrincipalId,
    method: Method,
    agent: &str,
) -> Result<(Row<Session>, Secret<String>)> {
    let id = Uuid::new_v4();
    let (key, fingerprint) = draw(cx, id)?;
    let now = cx.now();
    let session = Session {
        id,
        principal,
        methods: vec![method],
        started_at: now,
        proved_at: Some(now),
        seen_at: now,
        address: cx.caller().source.address,
        agent: agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect(),
        ended_at: None,
        provider: None,
        key: fingerprint,
    };
    Ok((Row::new(id.as_bytes().as_slice(), session), key))
}

/// Adds what was proved, and gives the browser another key: one that was planted before the sign-in is worth nothing after
/// it (OWASP ASVS 7.2.4).
pub(super) fn elevate(cx: &Admission<'_>, row: &mut Row<Session>, method: Method) -> Result<Secret<String>> {
    let (key, fingerprint) = draw(cx, row.value.id)?;
    row.value.key = fingerprint;
    row.value.proved_at = Some(cx.now());
    row.value.seen_at = cx.now();
    if !row.value.methods.contains(&method) {
        row.value.methods.push(method);
    }
    Ok(key)
}

/// The session that takes an open one's place when its owner's credentials changed at `from`: what was proved stays proved.
pub(super) fn renewed(cx: &Admission<'_>, old: &Session, from: Timestamp) -> Result<(Row<Session>, Secret<String>)> {
    let id = Uuid::new_v4();
    let (key, fingerprint) = draw(cx, id)?;
    let session =
        Session { id, started_at: from, proved_at: Some(from), seen_at: from, key: fingerprint, ..old.clone() };
    Ok((Row::new(id.as_bytes().as_slice(), session), key))
}

fn draw(cx: &Admission<'_>, id: Uuid) -> Result<(Secret<String>, Fingerprint)> {
    let key = Secret::new(format!("{}.{}", id.simple(), URL_SAFE_NO_PAD.encode(seal::random::<32>()?)));
    let fingerprint = cx.system().fingerprint(PURPOSE, key.expose());
    Ok((key, fingerprint))
}

/// The open session that a browser's key belongs to, whose principal is enabled and has not been signed out everywhere.
pub(super) async fn session_of(cx: &Admission<'_>, key: &Secret<String>) -> Result<Option<Row<Session>>> {
    match live_session_of(cx, key).await? {
        Some(row) if row.value.is_open(cx.now()) => seen(cx, row).await.map(Some),
        _ => Ok(None),
    }
}

/// The same, also when the browser has been silent for too long: enough to end the session, and for nothing else.
pub(super) async fn live_session_of(cx: &Admission<'_>, key: &Secret<String>) -> Result<Option<Row<Session>>> {
    let Some(id) = key.expose().split_once('.').and_then(|(id, _)| Uuid::try_parse(id).ok()) else {
        return Ok(None);
    };
    let Some(row) = cx.get::<Session>(cx.system(), id.as_bytes()).await? else { return Ok(None) };
    let is_known = cx.system().matches(PURPOSE, key.expose(), &row.value.key);
    let member = cx.house().identity.member(row.value.principal);
    let stands = member.is_some_and(|member| !member.is_disabled && member.valid_from <= row.value.started_at);
    Ok((is_known && stands && row.value.is_alive(cx.now())).then_some(row))
}

/// Notes that the browser was heard. Whoever writes the row at the same moment heard it, too.
async fn seen(cx: &Admission<'_>, mut row: Row<Session>) -> Result<Row<Session>> {
    let was_seen_at = row.value.seen_at;
    if cx.now().since(was_seen_at) < SEEN {
        return Ok(row);
    }
    row.value.seen_at = cx.now();
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    match cx.keep(changes).await {
        Ok(()) => row.version = row.version.saturating_add(1),
        Err(fault) if fault.kind() == Kind::Stale => row.value.seen_at = was_seen_at,
        Err(fault) => return Err(fault),
    }
    Ok(row)
}
