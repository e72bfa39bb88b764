//! Agreeing beforehand to who may open a workspace without its customer's key (requirement X-14). Off until somebody who has every right
//! on that key agrees, while it opens the workspace. Where the key is elsewhere, nobody's rights on it can be told: then it is off until
//! the operator says of its holder that this may be agreed to.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, HolderRule, Kind, PrincipalId, PrincipalKind, ResourceId, Result};
use seal::VaultPublicKey;
use serde_json::json;
use uuid::Uuid;

use super::{
    CustomerKey, KeyPlace,
    choice::{LEAST_BITS, require_rights},
    glass::GlassState,
    recovery::{Custodian, Recovery, Terms},
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op},
    resources::{ResourceType, Workspace, find},
    vault::ObjectName,
};

/// Custodians of one workspace.
const CUSTODIANS: std::ops::RangeInclusive<usize> = 2..=5;
/// Minutes of the longest opening that can be agreed to.
const MINUTES: std::ops::RangeInclusive<u32> = 5..=1440;
/// Bytes of the largest modulus: RSA of 4096 bits.
const MOST_MODULUS: usize = 512;
/// Bytes of the longest public exponent, and the smallest that is taken (FIPS 186-5 §5.1).
const MOST_EXPONENT: usize = 4;
const LEAST_EXPONENT: u64 = 65_537;
const ATTEMPTS: usize = 4;

/// How it stands with opening a workspace without its customer's key.
#[derive(Clone, Debug)]
pub struct BreakGlass {
    /// What was agreed to; none when nobody did.
    pub terms: Option<Terms>,
    /// The asker's own share, wrapped with their public key.
    pub wrapped_share: Option<Vec<u8>>,
    /// What was asked for, or is open.
    pub state: GlassState,
}

/// A workspace's GUID, with the key that holds it.
pub(super) async fn held_workspace(cx: &Admission<'_>, id: &ResourceId) -> Result<(Uuid, Option<CustomerKey>)> {
    let row = find::<Workspace>(cx, id).await?.1.value;
    Ok((row.guid, row.properties.encryption))
}

/// What was prepared for a workspace.
///
/// # Errors
/// `Conflict` (`BreakGlassNotEnabled`) when nothing was: then nothing can be, since only the customer's key could.
pub(super) async fn prepared(house: &House, of: Uuid) -> Result<Recovery> {
    let held = house.held_by(of).await?;
    held.and_then(|held| held.recovery().cloned()).ok_or_else(|| {
        let why = "break-glass was not enabled while the customer-managed key opened the workspace; nothing but that key opens it";
        Error::new(Kind::Conflict, why).coded("BreakGlassNotEnabled")
    })
}

/// Says how it stands.
#[derive(Debug)]
pub struct GetBreakGlass {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetBreakGlass {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/read", Class::Read);
    type Output = BreakGlass;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<BreakGlass> {
        let (of, _) = held_workspace(cx, &self.workspace).await?;
        let held = cx.house().held_by(of).await?;
        let recovery = held.as_ref().and_then(|held| held.recovery());
        let own = recovery.zip(cx.caller().principal()).and_then(|(recovery, asker)| recovery.wrapped_share(asker.id));
        Ok(BreakGlass {
            terms: recovery.map(|recovery| recovery.terms().clone()),
            wrapped_share: own.map(<[u8]>::to_vec),
            state: cx.house().glass.state(of, cx.now()),
        })
    }
}

/// Agrees: names who may open it, two together, and for how long at most. What was agreed to before is replaced.
#[derive(Debug)]
pub struct EnableBreakGlass {
    /// The workspace.
    pub workspace: ResourceId,
    /// Who, with their public keys.
    pub custodians: Vec<(PrincipalId, VaultPublicKey)>,
    /// For how long at most, in minutes.
    pub longest_minutes: u32,
}

#[async_trait]
impl Op for EnableBreakGlass {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/write", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = Terms;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let one =
            |(principal, key): &(PrincipalId, VaultPublicKey)| json!({"principalId": principal, "publicKey": key});
        let custodians: Vec<_> = self.custodians.iter().map(one).collect();
        let body = json!({"custodians": custodians, "longestMinutes": self.longest_minutes});
        Ok(Guarded::at(Guard::KeyChange, &self.workspace, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Terms> {
        cx.require(&Workspace::WRITE, &self.workspace).await?;
        let (of, key) = held_workspace(cx, &self.workspace).await?;
        let key = key.ok_or_else(|| {
            let why =
                "no customer-managed key holds the workspace, so there is nothing that two people could have to open";
            Error::new(Kind::Conflict, why).coded("BreakGlassNeedsCustomerKey")
        })?;
        require_holder(cx, &key, &self.workspace).await?;
        let asker = cx.caller().principal().map(|principal| principal.id);
        let terms = Terms {
            custodians: self.checked(cx.house())?,
            longest_minutes: self.longest_minutes,
            agreed_at: cx.now(),
            agreed_by: asker.ok_or_else(|| Error::new(Kind::Denied, "only a principal agrees to this"))?,
        };
        let names = terms.custodians.iter().map(|custodian| named(cx.house(), custodian.principal));
        cx.note("custodians", names.collect::<Vec<_>>().join(", "));
        cx.note("longestMinutes", terms.longest_minutes.to_string());
        for _ in 0..ATTEMPTS {
            let mut changes = Changes::new();
            cx.prepare_recovery(of, &key, terms.clone(), &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| terms),
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace's key changes too fast; try again"))
    }
}

impl EnableBreakGlass {
    fn checked(&self, house: &House) -> Result<Vec<Custodian>> {
        if !MINUTES.contains(&self.longest_minutes) {
            let why = format_args!("must be {} to {} minutes", MINUTES.start(), MINUTES.end()).to_string();
            return Err(Error::invalid("longestMinutes", why));
        }
        if !CUSTODIANS.contains(&self.custodians.len()) {
            let why = format_args!("must be {} to {} people", CUSTODIANS.start(), CUSTODIANS.end()).to_string();
            return Err(Error::invalid("custodians", why));
        }
        let mut people = BTreeSet::new();
        let mut keys = BTreeSet::new();
        for (principal, key) in &self.custodians {
            if house.identity.kind_of(*principal) != Some(PrincipalKind::User) || !house.identity.is_enabled(*principal)
            {
                let why = format!("`{principal}` is no person of the directory who may sign in");
                return Err(Error::invalid("custodians.principalId", why));
            }
            if !people.insert(*principal) || !keys.insert(modulus(key)?) {
                return Err(Error::invalid("custodians", "names a person or a key twice; each has one of their own"));
            }
        }
        Ok(self.custodians.iter().cloned().map(|(principal, key)| Custodian { principal, key }).collect())
    }
}

/// The modulus of a public key that can wrap a share.
fn modulus(key: &VaultPublicKey) -> Result<Vec<u8>> {
    let VaultPublicKey::Rsa { n, e } = key else { return Err(no_key()) };
    let exponent = e.iter().fold(0_u64, |sum, byte| sum.saturating_mul(256).saturating_add(u64::from(*byte)));
    let is_right = n.first().is_some_and(|first| *first != 0)
        && (LEAST_BITS / 8..=MOST_MODULUS).contains(&n.len())
        && e.len() <= MOST_EXPONENT
        && exponent >= LEAST_EXPONENT
        && exponent % 2 == 1;
    if is_right { Ok(n.clone()) } else { Err(no_key()) }
}

fn no_key() -> Error {
    let why = "must be an RSA public key of 2048 to 4096 bits (`kty`, `n`, `e`) with an exponent of 65537 or more";
    Error::invalid("custodians.publicKey", why)
}

/// Refuses whoever does not hold the customer's key: the holder agrees beforehand, and nobody else can.
async fn require_holder(cx: &Admission<'_>, key: &CustomerKey, of: &ResourceId) -> Result<()> {
    match &key.place {
        KeyPlace::Here(vaulted) => require_rights(cx, &vaulted.vault, &ObjectName::new(&vaulted.name)?).await,
        // Who may use a holder elsewhere is the operator's to say, as where the key is chosen. That is not enough: whoever may use it is
        // not who could destroy it.
        KeyPlace::Elsewhere(at) => match cx.settings().key_holders.rule(&at.holder, of) {
            HolderRule::Open => require_word(cx, key),
            HolderRule::NotHere | HolderRule::Unknown => {
                Err(Error::new(Kind::Denied, "the holder of the workspace's key may not be used here any more"))
            }
        },
    }
}

/// Refuses what a holder elsewhere locks, unless the operator said of that holder that it may be opened without it. It is asked when it is
/// agreed to and whenever it is opened, so what the operator takes back holds no more, however it was prepared.
///
/// # Errors
/// `Denied` (`BreakGlassNotForThisHolder`).
pub(super) fn require_word(cx: &Admission<'_>, key: &CustomerKey) -> Result<()> {
    match &key.place {
        KeyPlace::Elsewhere(at) if !cx.settings().key_holders.may_be_opened_without(&at.holder) => {
            let why = format!(
                "the workspace's key is held by `{}`, outside of this server, so nobody here can agree in the place of its owner; the \
                 operator has to set `\"break-glass\": true` of that holder in the file of `serve --key-holders`",
                at.holder
            );
            Err(Error::new(Kind::Denied, why).coded("BreakGlassNotForThisHolder"))
        }
        KeyPlace::Elsewhere(_) | KeyPlace::Here(_) => Ok(()),
    }
}

/// Somebody for a record.
pub(super) fn named(house: &House, who: PrincipalId) -> String {
    format!("{} ({who})", house.identity.name_of(who).unwrap_or_default())
}

/// Takes it back: what was prepared is gone, and what is open is closed. It only takes away, so it waits for nobody.
#[derive(Debug)]
pub struct DisableBreakGlass {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for DisableBreakGlass {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        // Who works in a workspace may not change the workspace.
        cx.require(&Workspace::WRITE, &self.workspace).await?;
        let (of, _) = held_workspace(cx, &self.workspace).await?;
        for _ in 0..ATTEMPTS {
            let mut changes = Changes::new();
            if !cx.drop_recovery(of, &mut changes).await? {
                return Ok(());
            }
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace's key changes too fast; try again"))
    }
}
