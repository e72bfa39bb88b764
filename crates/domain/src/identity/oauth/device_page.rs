//! The person's side of a device grant: which device a code belongs to, and the decision.

use std::{net::IpAddr, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Secret};

use super::{
    device::{Decision, Device, typed},
    guesses::Guesser,
};
use crate::{
    gate::{Actor, Admission, Changes, Cx, Op},
    identity::{Member, NextStep, Session, session::session_of, sign_in::next_step},
};

/// A device that waits for a decision, as the person is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// The application's name.
    pub application: String,
    /// What it asks for.
    pub scope: String,
    /// Where the device is.
    pub address: Option<IpAddr>,
}

/// Why a code is not looked at, or not decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRefusal {
    /// Nobody is signed in, or not completely: sign in first.
    SignIn,
    /// The application needs a second factor: prove one first.
    SecondFactor,
    /// No device waits with that code: it was mistyped, decided on, or has expired.
    UnknownCode,
    /// Too many wrong codes.
    Throttled {
        /// After how many seconds the next one is looked at.
        seconds: u64,
    },
}

/// Which device waits with a code.
#[derive(Debug)]
pub struct GetDeviceRequest {
    /// The browser's key.
    pub session: Secret<String>,
    /// As it was typed.
    pub user_code: String,
}

#[async_trait]
impl Op for GetDeviceRequest {
    const ACTION: Action = Action::public("Microsoft.Directory/deviceCodes/read", Class::Read);
    type Output = std::result::Result<DeviceRequest, DeviceRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, session) = match present(cx, &self.session).await? {
            Ok(present) => present,
            Err(why) => return Ok(refused(cx, why)),
        };
        Ok(with_device(cx, &session, &self.user_code, |device| DeviceRequest {
            application: device.client_name.clone(),
            scope: device.asked.granted(),
            address: device.address,
        }))
    }
}

/// Decides for a device.
#[derive(Debug)]
pub struct DecideDevice {
    /// The browser's key.
    pub session: Secret<String>,
    /// As it was typed.
    pub user_code: String,
    /// Yes or no.
    pub approve: bool,
}

#[async_trait]
impl Op for DecideDevice {
    const ACTION: Action = Action::public("Microsoft.Directory/deviceCodes/decide/action", Class::Control);
    type Output = std::result::Result<(), DeviceRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (member, session) = match present(cx, &self.session).await? {
            Ok(present) => present,
            Err(why) => return Ok(refused(cx, why)),
        };
        let looked = with_device(cx, &session, &self.user_code, |device| {
            let lacks_factor = self.approve && !device.demands.contexts.is_empty() && !session.is_multi_factor();
            let place = device.address.map_or_else(|| String::from("unknown"), |address| address.to_string());
            cx.note("client", device.client.to_string());
            cx.note("device", place);
            cx.note("approved", self.approve.to_string());
            lacks_factor
        });
        match looked {
            Ok(false) => {}
            Ok(true) => return Ok(refused(cx, DeviceRefusal::SecondFactor)),
            Err(why) => return Ok(Err(why)),
        }
        // No record, no effect: the decision counts once it is written down.
        cx.commit(Changes::new()).await?;
        let decision = match self.approve {
            true => Decision::Approved { principal: member.id, session: session.id, at: cx.now() },
            false => Decision::Declined,
        };
        Ok(with_device(cx, &session, &self.user_code, |device| device.decision = decision))
    }
}

/// The person in front of the browser, if they are signed in completely.
async fn present(
    cx: &Admission<'_>,
    key: &Secret<String>,
) -> Result<std::result::Result<(Member, Session), DeviceRefusal>> {
    let Some(row) = session_of(cx, key).await? else { return Ok(Err(DeviceRefusal::SignIn)) };
    let Some(member) = cx.house().identity.member(row.value.principal) else { return Ok(Err(DeviceRefusal::SignIn)) };
    cx.establish(Actor::Principal { id: member.id, kind: member.kind, name: member.name.clone() });
    Ok(match next_step(cx, &row.value).await? {
        NextStep::Done => Ok((member, row.value)),
        NextStep::ProveSecondFactor { .. } => Err(DeviceRefusal::SecondFactor),
        NextStep::EnrolSecondFactor | NextStep::ChangePassword => Err(DeviceRefusal::SignIn),
    })
}

/// Does something with the undecided device that a code belongs to. Wrong codes are counted, for the session and for its
/// network: codes are short, and a stranger's must not be found by trying.
fn with_device<T>(
    cx: &Admission<'_>,
    session: &Session,
    user_code: &str,
    act: impl FnOnce(&mut Device) -> T,
) -> std::result::Result<T, DeviceRefusal> {
    let (offers, now) = (&cx.house().identity.offers, cx.now());
    let guessers = [Guesser::Session(session.id), Guesser::at(cx.caller().source.address)];
    let wait = guessers.iter().map(|who| offers.guesses().wait(*who, now)).max().unwrap_or(Duration::ZERO);
    if !wait.is_zero() {
        return refused(cx, DeviceRefusal::Throttled { seconds: wait.as_secs().max(1) });
    }
    let done = typed(user_code).and_then(|code| {
        let mut devices = offers.devices();
        let device = devices.shown(&code, now)?;
        matches!(device.decision, Decision::Pending).then(|| act(device))
    });
    match done {
        Some(done) => {
            offers.guesses().hit(Guesser::Session(session.id));
            Ok(done)
        }
        None => {
            for who in guessers {
                offers.guesses().miss(who, now);
            }
            refused(cx, DeviceRefusal::UnknownCode)
        }
    }
}

fn refused<T>(cx: &Admission<'_>, why: DeviceRefusal) -> std::result::Result<T, DeviceRefusal> {
    cx.refuse(match why {
        DeviceRefusal::SignIn | DeviceRefusal::SecondFactor => Kind::Unauthenticated,
        DeviceRefusal::UnknownCode => Kind::NotFound,
        DeviceRefusal::Throttled { .. } => Kind::Throttled,
    });
    Err(why)
}
