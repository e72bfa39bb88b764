//! Workspaces that two custodians opened, and those that one has asked to open. In memory alone: what opens them is gone with the
//! process, and so is every opening.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::{Error, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp};
use uuid::Uuid;

/// Somebody, as they were called then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who.
    pub id: PrincipalId,
    /// Their name.
    pub name: String,
}

/// A custodian's wish to open a workspace.
#[derive(Clone, Debug)]
pub struct AskedOpening {
    /// Its name.
    pub name: Uuid,
    /// Who asked.
    pub by: Party,
    /// Why.
    pub reason: String,
    /// For how long, in minutes.
    pub minutes: u32,
    /// When it counts no more.
    pub expires_at: Timestamp,
}

/// A workspace that is open without its customer's key.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Which.
    pub workspace: ResourceId,
    /// Who asked.
    pub asked_by: Party,
    /// Who approved.
    pub approved_by: Party,
    /// Why.
    pub reason: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// Where it stands with one workspace.
#[derive(Clone, Debug, Default)]
pub struct GlassState {
    /// What was asked for and waits.
    pub asked: Option<AskedOpening>,
    /// What is open.
    pub opening: Option<Opening>,
}

#[derive(Default)]
struct Held {
    asked: HashMap<Uuid, (AskedOpening, Secret<Vec<u8>>)>,
    open: HashMap<Uuid, (Opening, Secret<Vec<u8>>)>,
}

/// All of it.
#[derive(Default)]
pub(crate) struct Glass(Mutex<Held>);

impl Glass {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a wish, with the share that came with it. The same person's earlier one is replaced; another's is not.
    ///
    /// # Errors
    /// `Conflict` when it is open already, or somebody else's wish waits.
    pub(super) fn ask(&self, of: Uuid, asked: AskedOpening, share: Secret<Vec<u8>>, now: Timestamp) -> Result<()> {
        let mut held = self.held();
        if let Some((opening, _)) = held.open.get(&of).filter(|(opening, _)| now < opening.until) {
            let why = format!("the workspace is open already, until {}", opening.until.rfc3339());
            return Err(Error::new(Kind::Conflict, why).coded("BreakGlassOpen"));
        }
        let waits = held.asked.get(&of).map(|(waiting, _)| waiting).filter(|waiting| now < waiting.expires_at);
        if let Some(waiting) = waits.filter(|waiting| waiting.by.id != asked.by.id) {
            let why = format!("`{}` has asked for it already: approve request `{}`", waiting.by.name, waiting.name);
            return Err(Error::new(Kind::Conflict, why).coded("BreakGlassRequested"));
        }
        held.asked.insert(of, (asked, share));
        Ok(())
    }

    /// A wish that can be approved now, with its share.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` (`BreakGlassRequestExpired`).
    pub(super) fn asked(&self, of: Uuid, name: Uuid, now: Timestamp) -> Result<(AskedOpening, Secret<Vec<u8>>)> {
        let held = self.held();
        let found = held.asked.get(&of).filter(|(asked, _)| asked.name == name);
        let (asked, share) = found.ok_or_else(|| Error::not_found(format_args!("the request `{name}`")))?;
        if asked.expires_at <= now {
            let why = "the request has expired; one of two custodians asks again";
            return Err(Error::new(Kind::Conflict, why).coded("BreakGlassRequestExpired"));
        }
        Ok((asked.clone(), Secret::new(share.expose().clone())))
    }

    /// From now on this key opens the keyring. It takes the wish that was approved: whatever ended that meanwhile, such as a command to
    /// close, is not overtaken.
    ///
    /// # Errors
    /// `Conflict` (`BreakGlassRequestExpired`) when that wish is there no more, or counts no more.
    pub(crate) fn open(
        &self,
        of: Uuid,
        wish: Uuid,
        opening: Opening,
        inner: Secret<Vec<u8>>,
        now: Timestamp,
    ) -> Result<()> {
        let mut held = self.held();
        if !held.asked.get(&of).is_some_and(|(asked, _)| asked.name == wish && now < asked.expires_at) {
            let why = "the request was taken back or has expired meanwhile; one of two custodians asks again";
            return Err(Error::new(Kind::Conflict, why).coded("BreakGlassRequestExpired"));
        }
        held.asked.remove(&of);
        held.open.insert(of, (opening, inner));
        Ok(())
    }

    /// The key of what is open, and until when.
    pub(crate) fn key(&self, of: Uuid, now: Timestamp) -> Option<(Secret<Vec<u8>>, Timestamp)> {
        let held = self.held();
        let (opening, inner) = held.open.get(&of).filter(|(opening, _)| now < opening.until)?;
        Some((Secret::new(inner.expose().clone()), opening.until))
    }

    /// Forgets wish and opening; gives what was open.
    pub(crate) fn end(&self, of: Uuid) -> Option<Opening> {
        let mut held = self.held();
        held.asked.remove(&of);
        held.open.remove(&of).map(|(opening, _)| opening)
    }

    /// Whether there is an opening whose time is over.
    pub(crate) fn is_over(&self, of: Uuid, now: Timestamp) -> bool {
        self.held().open.get(&of).is_some_and(|(opening, _)| opening.until <= now)
    }

    /// Forgets an opening whose time is over. One that was made since stays, and so does a wish.
    pub(super) fn end_over(&self, of: Uuid, now: Timestamp) {
        let mut held = self.held();
        if held.open.get(&of).is_some_and(|(opening, _)| opening.until <= now) {
            held.open.remove(&of);
        }
    }

    /// Openings whose time is over, and wishes that nobody answered are put away.
    pub(super) fn over(&self, now: Timestamp) -> Vec<(Uuid, Opening)> {
        let mut held = self.held();
        held.asked.retain(|_, (asked, _)| now < asked.expires_at);
        let is_over = |opening: &Opening| opening.until <= now;
        held.open
            .iter()
            .filter(|(_, (opening, _))| is_over(opening))
            .map(|(of, (opening, _))| (*of, opening.clone()))
            .collect()
    }

    /// Where it stands.
    pub(super) fn state(&self, of: Uuid, now: Timestamp) -> GlassState {
        let held = self.held();
        let asked = held.asked.get(&of).map(|(asked, _)| asked.clone()).filter(|asked| now < asked.expires_at);
        let opening = held.open.get(&of).map(|(opening, _)| opening.clone()).filter(|opening| now < opening.until);
        GlassState { asked, opening }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const HALF_AN_HOUR: Duration = Duration::from_secs(30 * 60);

    fn party() -> Party {
        Party { id: Uuid::from_u128(7).into(), name: String::from("ann") }
    }

    fn asked() -> AskedOpening {
        let expires_at = NOW.plus(HALF_AN_HOUR);
        AskedOpening { name: Uuid::new_v4(), by: party(), reason: String::from("because"), minutes: 30, expires_at }
    }

    fn opening(until: Timestamp) -> Opening {
        let workspace = ResourceId::root();
        let (asked_by, approved_by, reason) = (party(), party(), String::from("because"));
        Opening { workspace, asked_by, approved_by, reason, opened_at: NOW, until }
    }

    fn key() -> Secret<Vec<u8>> {
        Secret::new(vec![7; 32])
    }

    #[test]
    fn an_approval_opens_nothing_once_its_request_was_taken_back_replaced_or_is_over() {
        let (glass, of, wish) = (Glass::default(), Uuid::new_v4(), asked());
        let until = NOW.plus(HALF_AN_HOUR);
        let open = |name, now| {
            let opened = glass.open(of, name, opening(until), key(), now);
            opened.map_err(|fault| fault.code().unwrap_or_default())
        };
        glass.ask(of, wish.clone(), key(), NOW).unwrap();
        glass.end(of);
        assert_eq!(open(wish.name, NOW), Err("BreakGlassRequestExpired"));
        let next = asked();
        glass.ask(of, next.clone(), key(), NOW).unwrap();
        assert_eq!(open(wish.name, NOW), Err("BreakGlassRequestExpired"));
        assert_eq!(open(next.name, next.expires_at), Err("BreakGlassRequestExpired"));
        assert!(glass.key(of, NOW).is_none());
        assert_eq!(open(next.name, NOW), Ok(()));
        assert!(glass.key(of, NOW).is_some());
        assert_eq!(open(next.name, NOW), Err("BreakGlassRequestExpired"), "it is approved once");
    }

    #[test]
    fn the_end_of_an_opening_takes_neither_a_wish_nor_the_next_opening() {
        let (glass, of) = (Glass::default(), Uuid::new_v4());
        let (first, second) = (NOW.plus(Duration::from_secs(60)), NOW.plus(HALF_AN_HOUR));
        let wish = asked();
        glass.ask(of, wish.clone(), key(), NOW).unwrap();
        glass.open(of, wish.name, opening(first), key(), NOW).unwrap();
        glass.end_over(of, NOW);
        assert!(glass.key(of, NOW).is_some() && !glass.is_over(of, NOW), "its time is not over");
        assert!(glass.is_over(of, first));
        let wish = asked();
        glass.ask(of, wish.clone(), key(), first).unwrap();
        glass.end_over(of, first);
        assert!(!glass.is_over(of, first) && glass.state(of, first).asked.is_some());
        glass.open(of, wish.name, opening(second), key(), first).unwrap();
        glass.end_over(of, first);
        assert!(glass.key(of, first).is_some());
    }
}
