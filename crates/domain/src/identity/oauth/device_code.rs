//! The device's side of a device grant: polling until the person decided.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret, Timestamp};
use uuid::Uuid;

use super::{
    ClientClaim, TokenRefusal, TokenSet,
    client::{Proved, prove},
    credential::DEVICE_CODE,
    demands::Demands,
    device::{Decision, Device, Devices, SLOWER},
    grant::{OpenGrant, refuse_replay, revoke},
    refusal::{Granted, answer, is_stale},
    tokens::{Moment, Subject, Terms, issue, name_person, new_grant, standing},
};
use crate::gate::{Changes, Cx, Op};

/// Asks whether the person decided, and redeems the code if so.
#[derive(Debug)]
pub struct RedeemDeviceCode {
    /// The application.
    pub client: ClientClaim,
    /// `device_code`.
    pub code: Secret<String>,
    /// `claims`.
    pub claims: Option<String>,
}

#[async_trait]
impl Op for RedeemDeviceCode {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Control);
    type Output = std::result::Result<TokenSet, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "device_code");
        let mut granted = self.redeem(cx).await;
        // Whoever was slower finds the grant open, and so a replay.
        if is_stale(&granted) {
            granted = self.redeem(cx).await;
        }
        answer(cx, granted)
    }
}

impl RedeemDeviceCode {
    async fn redeem(&self, cx: &Cx<'_, Self>) -> Granted<TokenSet> {
        let proved = prove(cx, &self.client, &["device_code", self.code.expose().as_str()]).await?;
        let grant = Uuid::from_bytes(DEVICE_CODE.id_of(&self.code).ok_or(TokenRefusal::BadCode)?);
        let polled = {
            let mut devices = cx.house().identity.offers.devices();
            let known = devices.waiting.get(&grant);
            let is_known =
                known.is_some_and(|device| DEVICE_CODE.matches(cx.system(), &self.code, &device.fingerprint));
            is_known.then(|| poll(&mut devices, grant, &proved, cx.now()))
        };
        let Some(polled) = polled else {
            refuse_replay(cx, &DEVICE_CODE, grant, &self.code).await?;
            return Err(TokenRefusal::BadCode.into());
        };
        let device = polled?;
        let issued = self.issue(cx, proved, grant, &device).await;
        if !is_stale(&issued) {
            cx.house().identity.offers.devices().end(grant);
        }
        issued
    }

    async fn issue(&self, cx: &Cx<'_, Self>, proved: Proved, grant: Uuid, device: &Device) -> Granted<TokenSet> {
        let Decision::Approved { principal, session, at } = device.decision else {
            return Err(TokenRefusal::Pending.into());
        };
        name_person(cx, principal);
        if OpenGrant::find(cx, grant).await?.is_some() {
            revoke(cx, grant, "a device code was redeemed twice").await?;
            return Err(TokenRefusal::BadCode.into());
        }
        // The device is somewhere else than the person was: policies count for where it is.
        let (member, session) = standing(cx, principal, session, at, &device.demands, Moment::Absent).await?;
        let mut demands = Demands::read(self.claims.as_deref())?;
        demands.capabilities.extend(device.demands.capabilities.iter().cloned());
        demands.capabilities.dedup();
        let subject = Subject { tenant: proved.tenant, client: proved.client.app, member, session, grant };
        let mut changes = Changes::new();
        new_grant(cx, &subject, &device.asked, &demands, device.fingerprint.clone()).open(cx, &mut changes)?;
        let terms = Terms {
            asked: &device.asked,
            capabilities: demands.capabilities,
            nonce: None,
            generation: device.asked.offline.then_some(0),
            not_after: None,
        };
        let tokens = issue(cx, &subject, terms, &mut changes).await?;
        cx.commit(changes).await?;
        Ok(tokens)
    }
}

/// One poll: the device, once the person said yes.
fn poll(devices: &mut Devices, grant: Uuid, proved: &Proved, now: Timestamp) -> Granted<Device> {
    let device = devices.waiting.get_mut(&grant).ok_or(TokenRefusal::BadCode)?;
    if device.client != proved.client.app {
        return Err(TokenRefusal::BadCode.into());
    }
    if device.has_expired(now) {
        return Err(TokenRefusal::DeviceExpired.into());
    }
    let pause = std::time::Duration::from_secs(u64::from(device.interval));
    let is_hasty = device.polled_at.is_some_and(|last| now.since(last) < pause && last <= now);
    device.polled_at = Some(now);
    match device.decision {
        Decision::Declined => {
            devices.end(grant);
            Err(TokenRefusal::Declined.into())
        }
        Decision::Pending if is_hasty => {
            device.interval = device.interval.saturating_add(SLOWER);
            Err(TokenRefusal::SlowDown.into())
        }
        Decision::Pending => Err(TokenRefusal::Pending.into()),
        Decision::Approved { .. } => Ok(device.clone()),
    }
}
