//! Signatures that the server makes for others: for the data of a datastore, and the two kinds that a management client may ask for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, Secret, Timestamp};

use super::{
    Account, Sas,
    delegation::{Terms, issue, require_factors},
    sas::Kind as SasKind,
    time,
};
use crate::{
    gate::{Admission, Cx, Op},
    identity::Standing,
};

/// A signature for a datastore lives at most so long.
const LONGEST: Duration = Duration::from_secs(3600);
/// The version whose texts are signed here.
const VERSION: &str = "2022-11-02";
/// The newest version of the file service's text that is as here.
const FILE_VERSION: &str = "2022-11-02";

/// What a signature for a datastore is to open.
pub(crate) struct Vending {
    /// Whose rights it has: the workspace's own identity.
    pub(crate) identity: PrincipalId,
    /// The container.
    pub(crate) container: String,
    /// The datastore that it is for: whoever may not use that any more has nothing of it.
    pub(crate) datastore: ResourceId,
    /// Whether it may write too.
    pub(crate) writes: bool,
}

/// The letters of a signature for a datastore: reading and listing, and writing for whoever may change the datastore. What is there
/// is never deleted with one.
fn letters(writes: bool) -> &'static str {
    if writes { "racwl" } else { "rl" }
}

/// Until when a signature for a datastore may be used, as it is told.
fn hour_from(now: Timestamp) -> Timestamp {
    Timestamp(now.plus(LONGEST).seconds().saturating_mul(1000))
}

/// Signs for a container of an account here, in the name of a workspace's identity. It ends after an hour, and before that with the
/// caller's sign-in, with the right to the datastore, and with the identity's role.
///
/// # Errors
/// `Denied` for whoever is no principal; a challenge where a second factor is demanded for what it opens.
pub(crate) async fn vend(cx: &Admission<'_>, account: &Account, vending: Vending) -> Result<Secret<String>> {
    let Vending { identity, container, datastore, writes } = vending;
    let Some(principal) = cx.caller().principal() else {
        return Err(Error::new(
            Kind::Denied,
            "a datastore is opened for users, service principals and managed identities",
        ));
    };
    require_factors(cx, writes)?;
    let standing = Standing::of(cx.house(), principal);
    let (begins, mut ends) = (cx.now(), hour_from(cx.now()));
    if let Some(bound) = standing.ends_at(cx.house()).await? {
        ends = ends.min(bound);
    }
    let tid = principal.tenant.into();
    let key =
        issue(cx, account, Terms { oid: identity, tid, begins, ends, standing, datastore: Some(datastore) }).await?;
    cx.note("permissions", letters(writes));
    let (oid, tid) = (key.oid.to_string(), key.tid.to_string());
    let sas = Sas::unsigned(&[
        ("sv", VERSION),
        ("sr", "c"),
        ("sp", letters(writes)),
        ("se", &key.expiry),
        ("spr", "https"),
        ("skoid", &oid),
        ("sktid", &tid),
        ("skt", &key.start),
        ("ske", &key.expiry),
        ("sks", "b"),
        ("skv", key.version),
    ]);
    let resource = format!("/blob/{}/{container}", account.name());
    let key = Secret::new(STANDARD.decode(key.value.expose()).map_err(Error::internal)?);
    Ok(signed(&sas, &sas.text(SasKind::Delegated, account.name(), &resource, ""), &key))
}

fn signed(sas: &Sas, text: &str, key: &Secret<Vec<u8>>) -> Secret<String> {
    Secret::new(sas.query(&STANDARD.encode(seal::message_code(key, text.as_bytes()))))
}

/// Signs for a container with a key that was given for its account, wherever that is.
pub(crate) fn sign_for_container(
    key: &Secret<Vec<u8>>,
    (account, container): (&str, &str),
    writes: bool,
    now: Timestamp,
) -> Secret<String> {
    let expiry = hour_from(now).rfc3339();
    let said = [("sv", VERSION), ("sr", "c"), ("sp", letters(writes)), ("se", &expiry), ("spr", "https")];
    let sas = Sas::unsigned(&said);
    signed(&sas, &sas.text(SasKind::Service, account, &format!("/blob/{account}/{container}"), ""), key)
}

/// The same for a file share, whose text has no line for a snapshot and an encryption scope (REST, "Create a service SAS").
pub(crate) fn sign_for_share(
    key: &Secret<Vec<u8>>,
    (account, share): (&str, &str),
    writes: bool,
    now: Timestamp,
) -> Secret<String> {
    let expiry = hour_from(now).rfc3339();
    let letters = if writes { "rcwl" } else { "rl" };
    let sas = Sas::unsigned(&[("sv", FILE_VERSION), ("sr", "s"), ("sp", letters), ("se", &expiry), ("spr", "https")]);
    let resource = format!("/file/{account}/{share}");
    let text = [letters, "", &expiry, &resource, "", "", "https", FILE_VERSION, "", "", "", "", ""].join("\n");
    signed(&sas, &text, key)
}

/// What a signature for an account is to say, in Azure's letters.
#[derive(Clone, Debug, Default)]
pub struct AccountSas {
    /// `ss`.
    pub services: String,
    /// `srt`.
    pub resource_types: String,
    /// `sp`.
    pub permissions: String,
    /// `sip`.
    pub addresses: String,
    /// `spr`.
    pub protocol: String,
    /// `st`.
    pub start: String,
    /// `se`.
    pub expiry: String,
    /// Which key signs.
    pub key: String,
}

/// Signs for an account with one of its keys.
#[derive(Debug)]
pub struct ListAccountSas {
    /// The account.
    pub account: Arc<Account>,
    /// What the signature says.
    pub wanted: AccountSas,
}

#[async_trait]
impl Op for ListAccountSas {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/listAccountSas/action", Class::Vault);
    type Output = Secret<String>;

    fn scope(&self) -> ResourceId {
        self.account.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Secret<String>> {
        let Self { account, wanted } = self;
        require_letters("signedServices", &wanted.services, "bqtf")?;
        require_letters("signedResourceTypes", &wanted.resource_types, "sco")?;
        require_letters("signedPermission", &wanted.permissions, PERMISSIONS)?;
        require_plain(&[("signedIp", &wanted.addresses)])?;
        let key = key_of(&account, &wanted.key)?;
        let (start, expiry) = times(&wanted.start, &wanted.expiry, true)?;
        note(cx, &wanted.permissions, &expiry, key.0);
        let sas = Sas::unsigned(&[
            ("sv", VERSION),
            ("ss", &wanted.services),
            ("srt", &wanted.resource_types),
            ("sp", &wanted.permissions),
            ("st", &start),
            ("se", &expiry),
            ("sip", &wanted.addresses),
            ("spr", protocol(&wanted.protocol)?),
        ]);
        Ok(signed(&sas, &sas.text(SasKind::Account, account.name(), "", ""), key.1))
    }
}

/// What a signature for a container or blob is to say.
#[derive(Clone, Debug, Default)]
pub struct ServiceSas {
    /// What it opens: `/blob/account/container[/blob]`.
    pub resource: String,
    /// `sr`: `c` or `b`.
    pub kind: String,
    /// `sp`; empty when a stored policy says it.
    pub permissions: String,
    /// `sip`.
    pub addresses: String,
    /// `spr`.
    pub protocol: String,
    /// `st`.
    pub start: String,
    /// `se`; empty when a stored policy says it.
    pub expiry: String,
    /// `si`: the name of a stored policy.
    pub policy: String,
    /// Which key signs.
    pub key: String,
    /// What the answer is changed to: `rscc`, `rscd`, `rsce`, `rscl`, `rsct`.
    pub answers: [String; 5],
}

/// Signs for a container or blob with one of the account's keys.
#[derive(Debug)]
pub struct ListServiceSas {
    /// The account.
    pub account: Arc<Account>,
    /// What the signature says.
    pub wanted: ServiceSas,
}

#[async_trait]
impl Op for ListServiceSas {
    const ACTION: Action = Action::new("Microsoft.Storage/storageAccounts/listServiceSas/action", Class::Vault);
    type Output = Secret<String>;

    fn scope(&self) -> ResourceId {
        self.account.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Secret<String>> {
        let Self { account, wanted } = self;
        let place = wanted.resource.strip_prefix(&format!("/blob/{}/", account.name())).unwrap_or_default();
        let is_blob = place.contains('/');
        if place.is_empty() || wanted.kind != if is_blob { "b" } else { "c" } {
            let why = "must be `/blob/ACCOUNT/CONTAINER` with `signedResource` `c`, or `/blob/ACCOUNT/CONTAINER/BLOB` with `b`";
            return Err(Error::invalid("canonicalizedResource", why));
        }
        let [rscc, rscd, rsce, rscl, rsct] = &wanted.answers;
        require_plain(&[
            ("canonicalizedResource", &wanted.resource),
            ("signedIdentifier", &wanted.policy),
            ("signedIp", &wanted.addresses),
            ("rscc", rscc),
            ("rscd", rscd),
            ("rsce", rsce),
            ("rscl", rscl),
            ("rsct", rsct),
        ])?;
        if wanted.policy.is_empty() || !wanted.permissions.is_empty() {
            require_letters("signedPermission", &wanted.permissions, PERMISSIONS)?;
        }
        let key = key_of(&account, &wanted.key)?;
        let (start, expiry) = times(&wanted.start, &wanted.expiry, wanted.policy.is_empty())?;
        note(cx, &wanted.permissions, &expiry, key.0);
        cx.note("resource", &wanted.resource);
        let sas = Sas::unsigned(&[
            ("sv", VERSION),
            ("sr", &wanted.kind),
            ("sp", &wanted.permissions),
            ("st", &start),
            ("se", &expiry),
            ("si", &wanted.policy),
            ("sip", &wanted.addresses),
            ("spr", protocol(&wanted.protocol)?),
            ("rscc", rscc),
            ("rscd", rscd),
            ("rsce", rsce),
            ("rscl", rscl),
            ("rsct", rsct),
        ]);
        Ok(signed(&sas, &sas.text(SasKind::Service, account.name(), &wanted.resource, ""), key.1))
    }
}

/// Azure's letters of permissions.
const PERMISSIONS: &str = "racwdxyltmeopiuf";

fn note(cx: &Admission<'_>, permissions: &str, expiry: &str, key: &str) {
    cx.note("permissions", permissions);
    cx.note("expiry", expiry);
    cx.note("key", key);
}

fn require_letters(field: &str, said: &str, known: &str) -> Result<()> {
    if !said.is_empty() && said.len() <= known.len() && said.chars().all(|letter| known.contains(letter)) {
        return Ok(());
    }
    Err(Error::invalid(field, format_args!("must be letters of `{known}`")))
}

/// What is signed is lines, and the same key signs requests: a field that held more than one line could be another text.
fn require_plain(fields: &[(&str, &str)]) -> Result<()> {
    match fields.iter().find(|(_, said)| said.chars().any(char::is_control)) {
        Some((field, _)) => Err(Error::invalid(*field, "must hold no control characters")),
        None => Ok(()),
    }
}

fn protocol(said: &str) -> Result<&str> {
    match said {
        "" | "https" | "https,http" => Ok(said),
        _ => Err(Error::invalid("signedProtocol", "must be `https` or `https,http`")),
    }
}

/// Start and end in the form that is signed.
fn times(start: &str, expiry: &str, needs_end: bool) -> Result<(String, String)> {
    let read = |field: &str, text: &str| {
        let bad = || Error::invalid(field, "must be a time like `2026-01-31T12:00:00Z`");
        let at = time::parse(text).ok_or_else(bad)?;
        Ok::<_, Error>(Timestamp(at.seconds().saturating_mul(1000)).rfc3339())
    };
    if needs_end && expiry.is_empty() {
        return Err(Error::invalid("signedExpiry", "is missing"));
    }
    let one = |field, text: &str| if text.is_empty() { Ok(String::new()) } else { read(field, text) };
    Ok((one("signedStart", start)?, one("signedExpiry", expiry)?))
}

/// A key of the account by its name; the first when none is named.
fn key_of<'a>(account: &'a Account, name: &str) -> Result<(&'a str, &'a Secret<Vec<u8>>)> {
    if !account.takes_keys {
        let why = "the account refuses its keys and what they sign; sign with a user delegation key";
        return Err(Error::new(Kind::Conflict, why));
    }
    let fits = |(known, _): &&(String, Secret<Vec<u8>>)| name.is_empty() || known.eq_ignore_ascii_case(name);
    let found = account.keys.iter().find(fits).map(|(name, key)| (name.as_str(), key));
    found.ok_or_else(|| Error::invalid("keyToSign", "must be `key1` or `key2`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_for_a_datastore_says_what_it_opens_and_ends_within_an_hour() {
        let key = Secret::new(vec![7; 64]);
        let now = Timestamp(1_767_225_600_500);
        let query = |writes| sign_for_container(&key, ("acc", "box"), writes, now).expose().clone();
        let told = query(false);
        assert!(
            told.contains("se=2026-01-01T01%3A00%3A00Z") && told.contains("sp=rl&") && told.contains("sr=c"),
            "{told}"
        );
        assert!(query(true).contains("sp=racwl&"));
        let share = sign_for_share(&key, ("acc", "files"), true, now);
        assert!(share.expose().contains("sr=s") && share.expose().contains("sp=rcwl&"));
        assert!(!told.contains(&STANDARD.encode([7; 64])), "the key is not in it");
    }

    #[test]
    fn what_is_asked_for_is_read_strictly() {
        assert!(require_letters("f", "rl", PERMISSIONS).is_ok());
        for bad in ["", "rz", "rwrwrwrwrwrwrwrwrwrw"] {
            assert!(require_letters("f", bad, PERMISSIONS).is_err(), "{bad}");
        }
        assert!(require_plain(&[("f", ""), ("g", "text/x-ü; a=\"b\"")]).is_ok());
        for bad in ["a\nb", "\r", "\t", "\u{7f}", "\u{85}"] {
            assert!(require_plain(&[("f", "a"), ("g", bad)]).is_err(), "{bad:?}");
        }
        assert_eq!(times("", "2026-01-31T12:00Z", true).unwrap().1, "2026-01-31T12:00:00Z");
        assert!(
            times("", "", true).is_err() && times("", "", false).is_ok() && times("x", "2026-01-31", true).is_err()
        );
        assert!(protocol("http").is_err());
    }
}
