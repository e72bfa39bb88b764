//! Challenges that wait for their answers. They live for minutes, in memory alone: strangers ask for them at every sign-in
//! page, and must not be able to make the store write. A restart loses them, and the person starts again.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{Result, Timestamp};
use seal::{PasskeyQuestion, PasskeyRegistration, TotpSecret};
use uuid::Uuid;

/// How long a challenge of a passkey waits, as browsers are told by default (WebAuthn §15.1).
const PASSKEY: Duration = Duration::from_secs(300);
/// How long the secret of a new authenticator waits for its first code.
const TOTP: Duration = Duration::from_secs(600);
/// Challenges, and secrets, that wait. Beyond, the oldest is dropped.
const MOST: usize = 4_000;
/// Challenges of one session. Beyond, its oldest is dropped.
const MOST_EACH: usize = 20;
/// Challenges of one network: each first page that is opened asks for one, and many people may be behind one address.
const MOST_OF_A_NETWORK: usize = 200;

/// Who may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A browser that has proved something already.
    Session(Uuid),
    /// Whoever comes from this network.
    Stranger(Option<IpAddr>),
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// To make a passkey.
    New(PasskeyRegistration),
    /// To show one.
    Show(PasskeyQuestion),
}

/// What waits.
#[derive(Debug, Default)]
pub(in crate::identity) struct Tickets(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    challenges: HashMap<String, Ticket>,
    secrets: HashMap<Uuid, (Timestamp, TotpSecret)>,
    drawn: u64,
}

#[derive(Debug)]
struct Ticket {
    at: Timestamp,
    /// Counts up, so that there is an oldest one.
    number: u64,
    holder: Holder,
    asked: Asked,
}

impl Tickets {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a challenge; the ticket names it.
    pub(super) fn keep(&self, now: Timestamp, holder: Holder, asked: Asked) -> Result<String> {
        let name = seal::hex(&seal::random::<16>()?);
        let mut waiting = self.waiting();
        waiting.challenges.retain(|_, ticket| is_waiting(ticket.at, PASSKEY, now));
        let of_holder = waiting.challenges.values().filter(|ticket| ticket.holder == holder).count();
        let most = match holder {
            Holder::Session(_) => MOST_EACH,
            Holder::Stranger(_) => MOST_OF_A_NETWORK,
        };
        if of_holder >= most {
            waiting.drop_oldest(|ticket| ticket.holder == holder);
        } else if waiting.challenges.len() >= MOST {
            // Strangers first: they can have as many as they like.
            let is_stranger = |ticket: &Ticket| matches!(ticket.holder, Holder::Stranger(_));
            if !waiting.drop_oldest(is_stranger) {
                waiting.drop_oldest(|_| true);
            }
        }
        waiting.drawn = waiting.drawn.wrapping_add(1);
        let ticket = Ticket { at: now, number: waiting.drawn, holder, asked };
        waiting.challenges.insert(name.clone(), ticket);
        Ok(name)
    }

    /// Gives out a challenge, once, to who was asked. Whoever else names it uses it up as well.
    pub(super) fn take(&self, now: Timestamp, name: &str, holder: &Holder) -> Option<Asked> {
        let ticket = self.waiting().challenges.remove(name)?;
        (is_waiting(ticket.at, PASSKEY, now) && ticket.holder == *holder).then_some(ticket.asked)
    }

    /// The secret that a session's new authenticator is being given. While it waits it stays the same, so that a page may
    /// be loaded anew without the code that was scanned becoming worthless.
    pub(super) fn secret(&self, now: Timestamp, session: Uuid) -> Result<TotpSecret> {
        let mut waiting = self.waiting();
        waiting.secrets.retain(|_, (at, _)| is_waiting(*at, TOTP, now));
        if let Some((_, secret)) = waiting.secrets.get(&session) {
            return Ok(secret.clone());
        }
        if waiting.secrets.len() >= MOST {
            let oldest = waiting.secrets.iter().min_by_key(|(_, (at, _))| *at).map(|(session, _)| *session);
            oldest.and_then(|oldest| waiting.secrets.remove(&oldest));
        }
        let secret = TotpSecret::generate()?;
        waiting.secrets.insert(session, (now, secret.clone()));
        Ok(secret)
    }

    /// The secret that waits for its first code.
    pub(super) fn waiting_secret(&self, now: Timestamp, session: Uuid) -> Option<TotpSecret> {
        let waiting = self.waiting();
        let (at, secret) = waiting.secrets.get(&session)?;
        is_waiting(*at, TOTP, now).then(|| secret.clone())
    }

    /// The secret was enrolled.
    pub(super) fn forget_secret(&self, session: Uuid) {
        self.waiting().secrets.remove(&session);
    }
}

impl Waiting {
    fn drop_oldest(&mut self, which: impl Fn(&Ticket) -> bool) -> bool {
        let of_those = self.challenges.iter().filter(|(_, ticket)| which(ticket));
        let oldest = of_those.min_by_key(|(_, ticket)| ticket.number).map(|(name, _)| name.clone());
        oldest.and_then(|oldest| self.challenges.remove(&oldest)).is_some()
    }
}

/// Neither too old nor, after the clock was turned back, from the future.
fn is_waiting(at: Timestamp, span: Duration, now: Timestamp) -> bool {
    at <= now.plus(span) && now <= at.plus(span)
}

#[cfg(test)]
mod tests {
    use seal::PasskeySite;

    use super::*;

    fn asked() -> Asked {
        let site = PasskeySite::at("https://localhost:8443").unwrap();
        Asked::Show(site.ask_anyone().unwrap().1)
    }

    fn stranger(last: u8) -> Holder {
        Holder::Stranger(Some(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn a_ticket_is_worth_one_answer_of_its_holder_in_time() {
        let tickets = Tickets::default();
        let keep = || tickets.keep(Timestamp(0), stranger(1), asked()).unwrap();
        let ticket = keep();
        assert!(tickets.take(Timestamp(299_000), &ticket, &stranger(1)).is_some());
        assert!(tickets.take(Timestamp(299_000), &ticket, &stranger(1)).is_none(), "used twice");
        let ticket = keep();
        assert!(tickets.take(Timestamp(0), &ticket, &stranger(2)).is_none(), "from elsewhere");
        assert!(tickets.take(Timestamp(0), &ticket, &stranger(1)).is_none(), "named by somebody else before");
        let ticket = keep();
        assert!(tickets.take(Timestamp(300_001), &ticket, &stranger(1)).is_none(), "too late");
        assert!(tickets.take(Timestamp(0), "", &stranger(1)).is_none());
    }

    #[test]
    fn a_stranger_fills_neither_the_memory_nor_others_out_of_it() {
        let tickets = Tickets::default();
        let session = Holder::Session(Uuid::from_u128(1));
        let mine = tickets.keep(Timestamp(0), session.clone(), asked()).unwrap();
        let first = tickets.keep(Timestamp(0), stranger(1), asked()).unwrap();
        for _ in 0..MOST_OF_A_NETWORK {
            tickets.keep(Timestamp(0), stranger(1), asked()).unwrap();
        }
        assert_eq!(tickets.waiting().challenges.len(), MOST_OF_A_NETWORK + 1, "one holder has so many");
        assert!(tickets.take(Timestamp(0), &first, &stranger(1)).is_none(), "its oldest went");
        for number in 0..u32::try_from(MOST).unwrap() {
            let holder = Holder::Stranger(Some(IpAddr::from(number.to_be_bytes())));
            tickets.keep(Timestamp(0), holder, asked()).unwrap();
        }
        assert_eq!(tickets.waiting().challenges.len(), MOST);
        assert!(tickets.take(Timestamp(0), &mine, &session).is_some(), "whoever proved something is kept");
    }

    #[test]
    fn a_secret_stays_the_same_while_it_waits() {
        let tickets = Tickets::default();
        let (session, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let shown = |at: i64, session| tickets.secret(Timestamp(at), session).unwrap().base32().expose().clone();
        let first = shown(0, session);
        assert_eq!(shown(599_000, session), first);
        assert_ne!(shown(599_000, other), first);
        assert!(tickets.waiting_secret(Timestamp(600_001), session).is_none());
        assert_ne!(shown(600_001, session), first);
        tickets.forget_secret(session);
        assert!(tickets.waiting_secret(Timestamp(600_001), session).is_none());
    }
}
