//! A request to a vault: who asks, at which vault, and how its addresses are to be written in the answer.

use std::marker::PhantomData;

use bytes::Bytes;
use domain::{
    gate::{Op, enter, knock},
    identity::{Audience, identify_at, vault_resource},
    resources::{Addressed, FindAddress, KeyVault},
    vault::{Certificate, Key, Kind as _, ObjectName, Paging, Secret, VersionId},
};
use kernel::{Caller, Error, Kind, ResourceId};
use serde::de::DeserializeOwned;

use super::{Fault, error::Challenge, version};
use crate::{Guest, guest::parse_json};

/// Bytes of a body: a value of a secret at its bound in JSON's longest escapes, and more than any imported key has.
const BODY: usize = 256 * 1024;

/// A request whose caller was established, at a vault that there is.
pub(crate) struct Visit {
    guest: Guest,
    /// Who asks.
    pub caller: Caller,
    /// The vault.
    pub vault: Addressed,
    /// What addresses in the answer begin with, as the client wrote it: no slash at the end.
    pub base: String,
}

impl Visit {
    /// Establishes who asks for `O`, and looks the vault up. Nobody learns whether there is a vault without a token.
    pub async fn new<O: Op>(guest: Guest) -> Result<Self, Fault> {
        let caller = caller::<O>(&guest).await?;
        version::check(guest.query("api-version").as_deref())?;
        check_address(&guest)?;
        let name: String = guest.param("vault")?;
        let found = enter(guest.house(), &Caller::house(), FindAddress::<KeyVault>::new(&name)).await?;
        let Some(vault) = found else {
            // Whoever asks is as unknown here as at a vault of somebody else's.
            return Err(Error::not_found(format_args!("the vault `{name}`")).into());
        };
        let base = guest.vault_base(&name);
        Ok(Self { guest, caller, vault, base })
    }

    /// The object that the address names.
    pub fn name(&self) -> Result<ObjectName, Fault> {
        Ok(ObjectName::new(&self.guest.param::<String>("name")?)?)
    }

    /// The version that the address names; none when it names none, and `coded` when it is no version.
    pub fn version(&self, coded: &'static str) -> Result<Option<VersionId>, Fault> {
        let Ok(text) = self.guest.param::<String>("version") else { return Ok(None) };
        version_of(&text, coded).map(Some)
    }

    /// Which page of a list is wanted.
    pub fn paging(&self) -> Result<Paging, Fault> {
        paging_of(&self.guest)
    }

    /// The link to the next page of this list.
    pub fn next(&self, mark: &str) -> String {
        let path = self.guest.path();
        let below = path.split('/').skip(3).collect::<Vec<_>>().join("/");
        let kept = ["api-version", "maxresults"].map(|name| Some((name, self.guest.query(name)?)));
        // Both were read, and so hold no character that an address may not.
        let kept: String = kept.into_iter().flatten().map(|(name, value)| format!("{name}={value}&")).collect();
        format!("{}/{below}?{kept}$skiptoken={mark}", self.base)
    }

    /// Runs an operation for whoever asks.
    pub async fn enter<O: Op>(&self, op: O) -> Result<O::Output, Fault> {
        enter(self.guest.house(), &self.caller, op).await.map_err(|fault| refused(&self.guest, fault))
    }

    /// Whether the caller would be admitted to `O`: to be asked before a body is read.
    pub async fn knock<O: Op>(&self, scope: &ResourceId) -> Result<(), Fault> {
        knock::<O>(self.guest.house(), &self.caller, scope).await.map_err(|fault| refused(&self.guest, fault))
    }

    /// The scope of an object of the vault, for asking before a body is read.
    pub fn scope(&self, collection: &str, name: &ObjectName) -> Result<ResourceId, Fault> {
        let scope = self.vault.id.child([collection, name.as_str()]);
        Ok(scope.map_err(|why| Error::invalid("name", why))?)
    }

    /// The body as JSON; an empty one is an empty object. What comes with it goes on without it.
    pub async fn body<T: DeserializeOwned>(self) -> Result<(Self, T), Fault> {
        self.body_to(BODY).await
    }

    /// The same, of at most `most` bytes.
    pub async fn body_to<T: DeserializeOwned>(self, most: usize) -> Result<(Self, T), Fault> {
        let Self { guest, caller, vault, base } = self;
        let shell = guest.shell();
        let bytes = guest.bytes_to(most).await?;
        let bytes = if bytes.trim_ascii().is_empty() { Bytes::from_static(b"{}") } else { bytes };
        Ok((Self { guest: shell, caller, vault, base }, parse_json(&bytes)?))
    }

    /// The kind of object that an operation is about.
    pub fn kind<K>() -> PhantomData<fn() -> K> {
        PhantomData
    }
}

/// Refuses an address that names nothing that could be, before a vault is looked up: the answer is the same whether there is one.
fn check_address(guest: &Guest) -> Result<(), Fault> {
    if let Ok(name) = guest.param::<String>("name") {
        ObjectName::new(&name)?;
    }
    paging_of(guest)?;
    let Ok(version) = guest.param::<String>("version") else { return Ok(()) };
    let is_of = |collection| guest.path().split('/').nth(3) == Some(collection);
    let coded = if is_of(Key::COLLECTION) {
        Key::NOT_FOUND
    } else if is_of(Certificate::COLLECTION) {
        Certificate::NOT_FOUND
    } else {
        Secret::NOT_FOUND
    };
    version_of(&version, coded).map(drop)
}

fn paging_of(guest: &Guest) -> Result<Paging, Fault> {
    let unread = || Error::invalid("maxresults", "must be a number");
    let most = guest.query("maxresults").map(|text| text.parse().map_err(|_| unread())).transpose()?;
    Ok(Paging { most, after: guest.query("$skiptoken") })
}

fn version_of(text: &str, coded: &'static str) -> Result<VersionId, Fault> {
    let unknown = |_| Error::new(Kind::NotFound, format!("there is no version `{text}`")).coded(coded);
    Ok(text.parse().map_err(unknown)?)
}

/// Who asks; a challenge when that is nobody.
async fn caller<O: Op>(guest: &Guest) -> Result<Caller, Fault> {
    let Some(token) = guest.bearer() else {
        // Counted by the gate like every refusal of nobody.
        let nobody = Caller::nobody(guest.source());
        let refusal = knock::<O>(guest.house(), &nobody, &ResourceId::root()).await;
        let refusal = refusal.err().unwrap_or_else(|| Error::new(Kind::Unauthenticated, "a token is required"));
        return Err(refused(guest, refusal));
    };
    let established = identify_at(guest.house(), token, guest.source(), Audience::Vault).await;
    established.map_err(|fault| refused(guest, fault))
}

/// A refusal with the challenge that helps, where a new token does.
fn refused(guest: &Guest, fault: Error) -> Fault {
    if fault.kind() != Kind::Unauthenticated {
        return fault.into();
    }
    let settings = guest.house().settings();
    let tenant = guest.house().tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    let authority = format!("{}/{tenant}", settings.url);
    Fault::challenging(fault, Challenge { authority, resource: vault_resource(settings) })
}
