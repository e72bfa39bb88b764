//! Taking an object out as a sealed blob, with all its versions, and bringing it back (`docs/formats/vault-backup.md`).

use std::marker::PhantomData;

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result, Secret as Hidden};
use serde::{Deserialize, Serialize};

use super::{
    Key, Kind, Object, ObjectName, Secret, Shown, Version,
    object::Older,
    opened::{ATTEMPTS, Opened, open, require_alive, require_own, scope_of, too_busy},
    version::older_id,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    resources::Addressed,
};

/// Older versions in one backup; Azure's bound.
const MOST_OLDER: usize = 500;
/// Bytes of what is sealed.
const MOST_BYTES: usize = 16 << 20;
const FORMAT: u8 = 1;

/// What is sealed in a backup, after the byte of its format.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Bundle<K: Kind> {
    name: String,
    whole: K::Whole,
    /// The newest is the last.
    versions: Vec<Version<K>>,
    /// What came with a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pair: Option<Box<Pair>>,
}

/// The key and the secret of a certificate.
#[derive(Serialize, Deserialize)]
struct Pair {
    key: Bundle<Key>,
    secret: Bundle<Secret>,
}

/// All versions of an object.
///
/// # Errors
/// `Conflict` when there are too many.
async fn bundle<K: Kind>(cx: &Admission<'_>, opened: &Opened, row: Row<Object<K>>) -> Result<Bundle<K>> {
    let older = cx.page::<Older<K>>(&opened.shelf, &row.id, None, MOST_OLDER.saturating_add(1)).await?;
    if older.len() > MOST_OLDER {
        let why = format!("the {} has more than {MOST_OLDER} older versions, too many for a backup", K::WORD);
        return Err(Error::new(Fault::Conflict, why));
    }
    let mut versions: Vec<Version<K>> = older.into_iter().map(|row| row.value.0).collect();
    versions.sort_by_key(|version| version.attributes.created);
    versions.push(row.value.current);
    Ok(Bundle { name: row.value.name, whole: row.value.whole, versions, pair: None })
}

/// Takes an object out: all its versions, sealed. The blob opens in the same tenant and subscription only.
#[derive(Debug)]
pub struct BackupObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for BackupObject<K> {
    const ACTION: Action = K::BACKUP;
    type Output = Vec<u8>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<u8>> {
        let opened = open(cx, &self.vault).await?;
        let row = opened.object::<K>(cx, &self.name).await?;
        require_own(&row.value)?;
        let mut bundle = bundle(cx, &opened, row).await?;
        if K::HAS_PAIR {
            let key = opened.object::<Key>(cx, &self.name).await?;
            let secret = opened.object::<Secret>(cx, &self.name).await?;
            let key = self::bundle(cx, &opened, key).await?;
            bundle.pair = Some(Box::new(Pair { key, secret: self::bundle(cx, &opened, secret).await? }));
        }
        let mut plain = vec![FORMAT];
        serde_json::to_writer(&mut plain, &bundle).map_err(Error::internal)?;
        let plain = Hidden::new(plain);
        if plain.expose().len() > MOST_BYTES {
            return Err(Error::new(Fault::TooLarge, format!("a backup has at most {MOST_BYTES} bytes")));
        }
        cx.note("versions", bundle.versions.len().to_string());
        cx.seal_apart(&purpose::<K>(), &bound_to(cx, &self.vault)?, plain.expose())
    }
}

fn purpose<K: Kind>() -> String {
    format!("vault-backup {}", K::COLLECTION)
}

/// Where a backup opens: the tenant, then the subscription.
fn bound_to(cx: &Admission<'_>, vault: &Addressed) -> Result<Vec<u8>> {
    let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
    let subscription = vault.id.subscription_id();
    let subscription = subscription.ok_or_else(|| Error::internal("a vault outside of subscriptions"))?;
    Ok([*tenant.as_bytes(), *subscription.as_bytes()].concat())
}

/// Brings an object back from its backup, under the name that it had, into any vault of the tenant and subscription.
pub struct RestoreObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The backup.
    pub blob: Vec<u8>,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for RestoreObject<K> {
    const ACTION: Action = K::RESTORE;
    type Output = Shown<K>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<K>> {
        let bundle = self.opened_bundle(cx)?;
        cx.note(K::WORD, &bundle.name);
        cx.note("versions", bundle.versions.len().to_string());
        let name = ObjectName::new(&bundle.name)?;
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            require_free::<K>(cx, &opened, &name).await?;
            let mut changes = Changes::new();
            let object = stage(&opened, &name, &bundle, false, &mut changes)?;
            if let Some(pair) = &bundle.pair {
                require_free::<Key>(cx, &opened, &name).await?;
                require_free::<Secret>(cx, &opened, &name).await?;
                stage(&opened, &name, &pair.key, true, &mut changes)?;
                stage(&opened, &name, &pair.secret, true, &mut changes)?;
            }
            K::restored(cx, &opened.shelf, &opened.row_id::<K>(&name), &object.whole, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| Shown::current(object, opened.recovery())),
            }
        }
        Err(too_busy::<K>())
    }
}

impl<K: Kind> RestoreObject<K> {
    fn opened_bundle(&self, cx: &Cx<'_, Self>) -> Result<Bundle<K>> {
        let foreign = || {
            let why = format!("is no backup of a {} of this tenant and subscription, or was changed", K::WORD);
            Error::invalid("value", why)
        };
        let plain = cx.open_apart(&purpose::<K>(), &bound_to(cx, &self.vault)?, &self.blob).ok_or_else(foreign)?;
        match plain.expose().split_first() {
            Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(Error::internal),
            _ => Err(foreign()),
        }
    }
}

/// Refuses a name that is taken.
///
/// # Errors
/// `Conflict`.
pub(super) async fn require_free<K: Kind>(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<()> {
    let Some(row) = opened.named::<K>(cx, name).await? else { return Ok(()) };
    require_alive(&row.value)?;
    let why = format!("there is a {} `{}` in this vault already", K::WORD, row.value.name);
    Err(Error::new(Fault::Conflict, why))
}

fn stage<K: Kind>(
    opened: &Opened,
    name: &ObjectName,
    bundle: &Bundle<K>,
    is_managed: bool,
    changes: &mut Changes,
) -> Result<Object<K>> {
    let (current, older) = bundle.versions.split_last().ok_or_else(|| Error::internal("a backup without a version"))?;
    let id = opened.row_id::<K>(name);
    for version in older {
        changes.put(&opened.shelf, &Row::new(older_id(&id, version.id), Older(version.clone())))?;
    }
    let object = Object {
        name: bundle.name.clone(),
        current: current.clone(),
        older: u32::try_from(older.len()).unwrap_or(u32::MAX),
        whole: bundle.whole.clone(),
        is_managed,
        deletion: None,
    };
    changes.put(&opened.shelf, &Row::new(id, object.clone()))?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To the byte what `docs/formats/vault-backup.md` shows: old backups always open.
    const FIRST: &str = r#"{"name":"db-password","whole":null,"versions":[{"id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","attributes":{"enabled":true,"not_before":1,"expires":2,"created":1700000000,"updated":1700000000},"tags":{"a":"b"},"content":{"value":"…","content_type":"text/plain"}}]}"#;

    #[test]
    fn a_backup_of_the_first_format_opens() {
        let bundle: Bundle<Secret> = serde_json::from_str(FIRST).unwrap();
        assert_eq!(serde_json::to_string(&bundle).unwrap(), FIRST);
    }
}
