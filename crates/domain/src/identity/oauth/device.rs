//! The device grant (RFC 8628): a device shows a short code, a person types it into a browser and decides, the device polls.
//!
//! Anybody may start one, so nothing is written before a person decides: what waits is in memory, bounded for each network and
//! as a whole, and forgotten after fifteen minutes or a restart.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use async_trait::async_trait;
use kernel::{Action, AppId, Class, Error, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp};
use seal::Fingerprint;
use uuid::Uuid;

use super::{
    ClientClaim, TokenRefusal,
    client::prove,
    credential::DEVICE_CODE,
    demands::Demands,
    refusal::{Granted, answer},
    scope::Asked,
};
use crate::{
    gate::{Cx, Op},
    identity::sign_in::network,
};

/// A code is good for this long.
pub(super) const LIFETIME: Duration = Duration::from_secs(900);
/// Seconds between two polls, at first.
pub(super) const INTERVAL: u32 = 5;
/// What a poll that comes too early adds (RFC 8628 §3.5), in seconds.
pub(super) const SLOWER: u32 = 5;
/// Devices that wait at once.
const MOST: usize = 10_000;
/// Devices in one network that wait at once.
const MOST_OF_A_NETWORK: usize = 100;
/// No vowels, so that no words come out, and nothing that looks like something else (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of a user code: 20 to the 8th are 25,600,000,000.
const LENGTH: usize = 8;

/// What a person decided.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    /// Nothing yet.
    Pending,
    /// No.
    Declined,
    /// Yes.
    Approved { principal: PrincipalId, session: Uuid, at: Timestamp },
}

/// A device that waits.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub user_code: String,
    pub fingerprint: Fingerprint,
    pub client: AppId,
    pub client_name: String,
    pub asked: Asked,
    pub demands: Demands,
    /// Where the device is; shown to the person.
    pub address: Option<IpAddr>,
    pub started_at: Timestamp,
    pub polled_at: Option<Timestamp>,
    /// Seconds between two polls.
    pub interval: u32,
    pub decision: Decision,
}

impl Device {
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.started_at.plus(LIFETIME)
    }

    fn network(&self) -> Option<IpAddr> {
        self.address.map(network)
    }
}

/// Devices that wait, by the grant that they would open.
#[derive(Default)]
pub(super) struct Devices {
    pub(super) waiting: HashMap<Uuid, Device>,
    by_user_code: HashMap<String, Uuid>,
}

impl Devices {
    /// Lets a device wait; whether there was room.
    fn start(&mut self, grant: Uuid, device: Device) -> bool {
        let now = device.started_at;
        // Those who ask after expiry are told so for another while.
        let forgotten: Vec<Uuid> = self
            .waiting
            .iter()
            .filter(|(_, old)| now >= old.started_at.plus(LIFETIME.saturating_mul(2)))
            .map(|(grant, _)| *grant)
            .collect();
        for old in forgotten {
            self.end(old);
        }
        let of_network = self.waiting.values().filter(|other| other.network() == device.network()).count();
        let is_taken = self.by_user_code.contains_key(&device.user_code);
        if self.waiting.len() >= MOST || of_network >= MOST_OF_A_NETWORK || is_taken {
            return false;
        }
        self.by_user_code.insert(device.user_code.clone(), grant);
        self.waiting.insert(grant, device);
        true
    }

    /// The device with this user code.
    pub(super) fn shown(&mut self, user_code: &str, now: Timestamp) -> Option<&mut Device> {
        let grant = self.by_user_code.get(user_code)?;
        self.waiting.get_mut(grant).filter(|device| !device.has_expired(now))
    }

    /// Forgets a device.
    pub(super) fn end(&mut self, grant: Uuid) {
        if let Some(device) = self.waiting.remove(&grant) {
            self.by_user_code.remove(&device.user_code);
        }
    }
}

/// Starts a device grant.
#[derive(Debug)]
pub struct StartDevice {
    /// The application; it must be a public one.
    pub client: ClientClaim,
    /// `scope`.
    pub scope: String,
    /// `claims`.
    pub claims: Option<String>,
}

/// What a device shows and polls with (RFC 8628 §3.2).
#[derive(Debug)]
pub struct DeviceAnswer {
    /// To be typed into a browser: `BCDF-GHJK`.
    pub user_code: String,
    /// To poll with.
    pub device_code: Secret<String>,
    /// Seconds until both end.
    pub expires_in: u64,
    /// Seconds between two polls.
    pub interval: u32,
}

#[async_trait]
impl Op for StartDevice {
    const ACTION: Action = Action::public("Microsoft.Directory/deviceCodes/issue", Class::Open);
    type Output = std::result::Result<DeviceAnswer, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let started = self.start(cx).await;
        answer(cx, started)
    }
}

impl StartDevice {
    async fn start(&self, cx: &Cx<'_, Self>) -> Granted<DeviceAnswer> {
        let proved = prove(cx, &self.client, &["device", &self.scope]).await?;
        let client = proved.client;
        if !client.is_public {
            return Err(TokenRefusal::GrantNotAllowed.into());
        }
        let asked = Asked::by_user(cx, client.app, &self.scope).await?;
        let demands = Demands::read(self.claims.as_deref())?;
        let grant = Uuid::new_v4();
        let (device_code, fingerprint) = DEVICE_CODE.draw(cx.system(), grant.as_bytes())?;
        let user_code = draw()?;
        let device = Device {
            user_code: user_code.clone(),
            fingerprint,
            client: client.app,
            client_name: client.name,
            asked,
            demands,
            address: cx.caller().source.address,
            started_at: cx.now(),
            polled_at: None,
            interval: INTERVAL,
            decision: Decision::Pending,
        };
        if !cx.house().identity.offers.devices().start(grant, device) {
            return Err(Error::new(Kind::Throttled, "too many devices wait for a sign-in; try again later").into());
        }
        Ok(DeviceAnswer {
            user_code: shown(&user_code),
            device_code,
            expires_in: LIFETIME.as_secs(),
            interval: INTERVAL,
        })
    }
}

/// A fresh user code. Bytes that would make some letters likelier are thrown away.
fn draw() -> Result<String> {
    let mut code = String::with_capacity(LENGTH);
    while code.len() < LENGTH {
        for byte in seal::random::<16>()? {
            let fair = usize::from(byte) < 256 / LETTERS.len() * LETTERS.len();
            if let Some(letter) = LETTERS.get(usize::from(byte) % LETTERS.len()).filter(|_| fair && code.len() < LENGTH)
            {
                code.push(char::from(*letter));
            }
        }
    }
    Ok(code)
}

/// A user code as people read it.
fn shown(code: &str) -> String {
    let (left, right) = code.split_at_checked(LENGTH / 2).unwrap_or((code, ""));
    format!("{left}-{right}")
}

/// A user code as somebody typed it; none for what cannot be one.
pub(super) fn typed(text: &str) -> Option<String> {
    if text.len() > 64 {
        return None;
    }
    let code: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '\u{2010}'..='\u{2015}'))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    (code.len() == LENGTH && code.bytes().all(|letter| LETTERS.contains(&letter))).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        for _ in 0..200 {
            let code = draw().unwrap();
            assert_eq!(typed(&shown(&code)).as_ref(), Some(&code));
            assert_eq!(typed(&format!(" {} ", shown(&code).to_lowercase().replace('-', " "))).as_ref(), Some(&code));
        }
        for bad in ["", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "ＢCDF-GHJK", &"B".repeat(100)] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }

    #[test]
    fn letters_are_fair() {
        let mut counts = HashMap::new();
        for _ in 0..2500 {
            for letter in draw().unwrap().chars() {
                *counts.entry(letter).or_insert(0_u32) += 1;
            }
        }
        // 1000 of each are expected; six standard deviations are about 190.
        assert!(counts.len() == 20 && counts.values().all(|count| (810..1190).contains(count)), "{counts:?}");
    }

    fn device(at: i64, address: u8) -> Device {
        Device {
            user_code: draw().unwrap(),
            fingerprint: seal::Keyring::generate().unwrap().ring().unwrap().fingerprint("p", "c"),
            client: AppId::random(),
            client_name: String::new(),
            asked: Asked::default(),
            demands: Demands::default(),
            address: Some(IpAddr::from([127, 0, 0, address])),
            started_at: Timestamp(at),
            polled_at: None,
            interval: INTERVAL,
            decision: Decision::Pending,
        }
    }

    #[test]
    fn one_address_leaves_room_for_others_and_time_makes_room_again() {
        let mut devices = Devices::default();
        let many = std::iter::repeat_with(|| devices.start(Uuid::new_v4(), device(0, 1))).take(150);
        assert_eq!(many.filter(|has_room| *has_room).count(), MOST_OF_A_NETWORK);
        assert!(devices.start(Uuid::new_v4(), device(0, 2)));
        let later = i64::try_from(LIFETIME.as_millis()).unwrap() * 2;
        assert!(devices.start(Uuid::new_v4(), device(later, 1)));
        assert_eq!((devices.waiting.len(), devices.by_user_code.len()), (1, 1));
    }
}
