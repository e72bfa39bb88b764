//! How callers of a storage account prove themselves: by a bearer token, by one of the two keys, or by a signature that was made
//! with a key or with what a principal delegated. What comes out is a caller for the gate, which decides as for everybody.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Caller, Error, KeyCaller, Kind, ResourceId, Result, Secret, Source, Who};

use super::{
    Account, BlobName, ContainerName, Sas,
    account::locate,
    delegation, fault,
    sas::{self, Kind as SasKind},
    signed::{bounds, require_kind, resource_of},
};
use crate::{
    gate::{House, knock_as, turn_away},
    identity::{Audience, identify_at},
};

/// What a request shows.
#[derive(Debug)]
pub enum Credential {
    /// Nothing.
    Nothing,
    /// A bearer token.
    Bearer(Secret<String>),
    /// A code of the request under a key.
    SharedKey {
        /// The account that it names.
        account: String,
        /// The code, base64.
        code: String,
        /// The request in canonical form; more than one, where clients differ in the order of headers.
        texts: Vec<String>,
    },
    /// A signature in the query.
    Sas(Sas),
}

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The service.
    Service,
    /// A container.
    Container,
    /// A blob.
    Blob,
}

impl Level {
    /// Its letter among the resource types of a signature for an account.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Service => 's',
            Self::Container => 'c',
            Self::Blob => 'o',
        }
    }
}

/// What an operation needs, in each form of permission.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The permission of roles.
    pub action: Action,
    /// What it is about.
    pub level: Level,
    /// The letters of a signature for an account of which one is enough; none when no signature is.
    pub letters: &'static str,
    /// The same of a signature for a container or blob.
    pub own_letters: &'static str,
    /// What lets add without replacing: permission and letters.
    pub adding: Option<(Action, &'static str)>,
}

impl Need {
    /// An operation on a blob, for which all signatures ask the same.
    pub const fn blob(action: Action, letters: &'static str) -> Self {
        Self { action, level: Level::Blob, letters, own_letters: letters, adding: None }
    }

    /// An operation on a container or the service, for which only signatures for the account are enough.
    pub const fn account(action: Action, level: Level, letters: &'static str) -> Self {
        Self { action, level, letters, own_letters: "", adding: None }
    }

    /// The same, where adding is enough as long as nothing is replaced.
    #[must_use]
    pub const fn or_adding(self, action: Action, letters: &'static str) -> Self {
        Self { adding: Some((action, letters)), ..self }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aim<'a> {
    /// The account, as the address names it.
    pub account: &'a str,
    /// The container.
    pub container: Option<&'a ContainerName>,
    /// The blob.
    pub blob: Option<&'a BlobName>,
    /// The snapshot, as the query has it; empty without one.
    pub snapshot: &'a str,
    /// The version, the same.
    pub version: &'a str,
}

/// A caller that was established.
#[derive(Debug)]
pub struct Arrival {
    /// The account.
    pub account: Arc<Account>,
    /// Who asks.
    pub caller: Caller,
    /// Whether the caller may add and not replace.
    pub is_adding: bool,
    /// The signature that was shown.
    pub sas: Option<Sas>,
}

/// Establishes who asks for something of a storage account, and whether they may.
///
/// # Errors
/// As the gate for whoever may not; `Unauthenticated` without a credential and for a bad token; `Denied` with the service's own codes for keys and signatures;
/// `NotFound` for an account that is not there, to whoever holds a token.
pub async fn arrive(
    house: &House,
    source: Source,
    aim: Aim<'_>,
    credential: Credential,
    need: &Need,
) -> Result<Arrival> {
    let arrival = established(house, source, aim, credential, need).await?;
    let scope = scope_of(&arrival.account, aim);
    let action = need.adding.filter(|_| arrival.is_adding).map_or(need.action, |(adding, _)| adding);
    // Before anything else of the request is looked at: a stranger learns nothing from how it is read.
    knock_as(house, &arrival.caller, &action, &scope).await?;
    arrival.account.require_open()?;
    Ok(arrival)
}

async fn established(
    house: &House,
    source: Source,
    aim: Aim<'_>,
    credential: Credential,
    need: &Need,
) -> Result<Arrival> {
    let account = locate(house, aim.account).await?;
    match credential {
        Credential::Nothing => {
            house.count_anonymous_denial();
            let why = "the request has no credential: a bearer token, a shared key, or a signature in the query";
            Err(Error::new(Kind::Unauthenticated, why).coded("NoAuthenticationInformation"))
        }
        Credential::Bearer(token) => {
            let caller = identify_at(house, token.expose(), source, Audience::Storage(aim.account)).await?;
            let account = account.ok_or_else(|| Error::not_found("the storage account"))?;
            let is_adding = adds_only(house, &caller, &account, aim, need);
            Ok(Arrival { account, caller, is_adding, sas: None })
        }
        Credential::SharedKey { account: named, code, texts } => {
            if !named.eq_ignore_ascii_case(aim.account) {
                return Err(refused(house, "the `Authorization` header names another account"));
            }
            let account = account.ok_or_else(|| unfit(house))?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let key = signing_key(&account, &texts, &code).ok_or_else(|| unfit(house))?;
            let only = vec![need.action];
            let who = KeyCaller { credential: key, scope: account.id.clone(), only, on_behalf_of: None };
            let caller = Caller { who: Who::Keyed(who), source };
            if let Err(fault) = require_keys_taken(&account) {
                return Err(turn_away(house, &caller, &need.action, &scope_of(&account, aim), fault).await);
            }
            Ok(Arrival { account, caller, is_adding: false, sas: None })
        }
        Credential::Sas(sas) => {
            // What is wrong by itself is told so, and what is wrong for this account is told as if there were none.
            let kind = sas.kind().inspect_err(|_| house.count_anonymous_denial())?;
            let account = account.ok_or_else(|| unfit(house))?;
            signed(house, source, account, aim, sas, kind, need).await
        }
    }
}

/// Where permission is looked up.
fn scope_of(account: &Account, aim: Aim<'_>) -> ResourceId {
    aim.container.map_or_else(|| account.service(), |container| account.container(container))
}

/// One and the same for an account that is not there and for a code that none of its keys made.
fn unfit(house: &House) -> Error {
    refused(house, "the signature does not fit the request")
}

/// Counted like any refusal of nobody: whoever shows no good credential leaves no record.
fn refused(house: &House, why: &str) -> Error {
    house.count_anonymous_denial();
    fault::unproven(why)
}

fn adds_only(house: &House, caller: &Caller, account: &Account, aim: Aim<'_>, need: &Need) -> bool {
    let (Who::Principal(principal), Some((adding, _))) = (&caller.who, need.adding) else { return false };
    let scope = scope_of(account, aim);
    let access = house.access();
    !access.allows(principal.id, &need.action, &scope) && access.allows(principal.id, &adding, &scope)
}

fn require_keys_taken(account: &Account) -> Result<()> {
    if account.takes_keys {
        return Ok(());
    }
    let why = "Key based authentication is not permitted on this storage account.";
    Err(fault::not_for_this("KeyBasedAuthenticationNotPermitted", why))
}

/// Which of the keys made a code of one of these texts. All are compared, so that the time does not tell which came close.
fn signing_key(account: &Account, texts: &[&str], code: &str) -> Option<String> {
    let code = STANDARD.decode(code).ok()?;
    let mut found = None;
    for (name, key) in &account.keys {
        for text in texts {
            if seal::is_message_code(key, text.as_bytes(), &code) {
                found = Some(name.clone());
            }
        }
    }
    found
}

/// A caller with a signature: first whether it is one, then whether it is for this.
async fn signed(
    house: &House,
    source: Source,
    account: Arc<Account>,
    aim: Aim<'_>,
    sas: Sas,
    kind: SasKind,
    need: &Need,
) -> Result<Arrival> {
    let resource = resource_of(&account, aim, &sas, kind).ok_or_else(|| unfit(house))?;
    let snapshot = match sas.get("sr") {
        "bs" => aim.snapshot,
        "bv" => aim.version,
        _ => "",
    };
    let text = sas.text(kind, account.name(), &resource, snapshot);
    let mut issued = None;
    let (credential, on_behalf_of) = match kind {
        SasKind::Account | SasKind::Service => {
            let key = signing_key(&account, &[&text], sas.get("sig")).ok_or_else(|| unfit(house))?;
            let kind = if kind == SasKind::Account { "account SAS" } else { "service SAS" };
            (format!("{kind} signed with {key}"), None)
        }
        SasKind::Delegated => {
            let by = delegation::delegator(house, &account, &sas, &text).await?.ok_or_else(|| unfit(house))?;
            let name = match by.issued.is_of_datastore() {
                // The rights are those of the workspace's identity, so that the log would not say who it was.
                true => format!("datastore SAS given to {}", by.issued.holder()),
                false => String::from("user delegation SAS"),
            };
            issued = Some(by.issued);
            (name, Some(by.oid))
        }
    };
    let scope = match aim.container {
        Some(container) if kind != SasKind::Account => account.container(container),
        _ => account.id.clone(),
    };
    let keyed = |only| Who::Keyed(KeyCaller { credential, scope, only, on_behalf_of });
    let stands = match &issued {
        Some(issued) => issued.require(house, sas.get("sp")).await,
        None => Ok(()),
    };
    let letters = match stands {
        Ok(()) => letters(house, &account, aim, &sas, kind, &source, need).await,
        Err(fault) => Err(fault),
    };
    let letters = match letters {
        Ok(letters) => letters,
        // It was proved, so there is somebody to write down: a signature that was stolen shows in the log.
        Err(fault) if fault.kind() == Kind::Denied => {
            let caller = Caller { who: keyed(Vec::new()), source };
            return Err(turn_away(house, &caller, &need.action, &scope_of(&account, aim), fault).await);
        }
        Err(fault) => return Err(fault),
    };
    let enough = if kind == SasKind::Account { need.letters } else { need.own_letters };
    let has = |wanted: &str| wanted.chars().any(|letter| letters.contains(letter));
    let is_adding = !has(enough) && need.adding.is_some_and(|(_, wanted)| has(wanted));
    // One that permits neither is nobody's for the gate, which refuses it and writes down by whom it was.
    let mut only = Vec::new();
    if has(enough) {
        only.push(need.action);
    }
    if let (true, Some((adding, _))) = (is_adding, need.adding) {
        only.push(adding);
    }
    let who = keyed(only);
    Ok(Arrival { account, caller: Caller { who, source }, is_adding, sas: Some(sas) })
}

/// The letters of a signature that was proved, when it is for this time, this place and this kind of thing.
async fn letters(
    house: &House,
    account: &Account,
    aim: Aim<'_>,
    sas: &Sas,
    kind: SasKind,
    source: &Source,
    need: &Need,
) -> Result<String> {
    match kind {
        SasKind::Account | SasKind::Service => require_keys_taken(account)?,
        SasKind::Delegated => sas::in_time(sas.get("skt"), sas.get("ske"), house.now())?,
    }
    let (start, expiry, letters) = bounds(house, account, aim, sas, kind).await?;
    sas::in_time(&start, &expiry, house.now())?;
    sas::by_protocol(sas.get("spr"))?;
    sas::from_there(sas.get("sip"), source.address)?;
    require_kind(sas, kind, need)?;
    Ok(letters)
}
