//! Signatures (SAS) that delegate a part of what their maker may do, for at most seven days, and a day for a person. No key of the
//! account is needed, and what is signed ends with the rights, and with the sign-in, of whoever signed it.

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Clock, Secret, SystemClock, Timestamp};
use outbound::Method;

use super::{Account, VERSION, escaped, xml};
use crate::failure::Failure;

/// What is signed.
pub(super) struct Wanted<'a> {
    /// The account.
    pub account: &'a str,
    /// Container, and blob where it is for one alone.
    pub container: &'a str,
    /// The blob.
    pub blob: Option<&'a str>,
    /// Letters.
    pub permissions: &'a str,
    /// Until when.
    pub expiry: &'a str,
    /// From which address.
    pub ip: Option<&'a str>,
}

/// The query that is to be added to an address.
pub(super) async fn delegated(account: &Account, wanted: &Wanted<'_>) -> Result<String, Failure> {
    let bad = || Failure::usage("--expiry is a time like 2026-01-31T12:00:00Z or 2026-01-31T12:00Z");
    let expiry = wanted.expiry.strip_suffix('Z').ok_or_else(bad)?;
    let expiry = if expiry.matches(':').count() == 1 { format!("{expiry}:00Z") } else { wanted.expiry.to_owned() };
    Timestamp::parse_rfc3339(&expiry).ok_or_else(bad)?;
    let start = Timestamp(SystemClock.now().seconds().saturating_mul(1000)).rfc3339();
    let info = format!("<KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>");
    let call = account.call(Method::POST, "?restype=service&comp=userdelegationkey").body("application/xml", info);
    let key = account.document(call).await?;
    let field =
        |name: &str| xml::leaf(&key, name).ok_or_else(|| Failure::new("the delegation key cannot be understood"));
    let (oid, tid, from, to) =
        (field("SignedOid")?, field("SignedTid")?, field("SignedStart")?, field("SignedExpiry")?);
    // The key may end before what was asked for: no signature outlives it.
    let expiry = if to < expiry { to.clone() } else { expiry };
    let (service, version) = (field("SignedService")?, field("SignedVersion")?);
    let value =
        STANDARD.decode(field("Value")?).map_err(|_| Failure::new("the delegation key cannot be understood"))?;
    let (kind, resource) = match wanted.blob {
        Some(blob) => ("b", format!("/blob/{}/{}/{blob}", wanted.account, wanted.container)),
        None => ("c", format!("/blob/{}/{}", wanted.account, wanted.container)),
    };
    let ip = wanted.ip.unwrap_or_default();
    let lines = [
        wanted.permissions,
        &start,
        &expiry,
        &resource,
        &oid,
        &tid,
        &from,
        &to,
        &service,
        &version,
        "",
        "",
        "",
        ip,
        "https",
        VERSION,
        kind,
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ];
    let code = STANDARD.encode(seal::message_code(&Secret::new(value), lines.join("\n").as_bytes()));
    let pairs = [
        ("sv", VERSION),
        ("sr", kind),
        ("sp", wanted.permissions),
        ("st", &start),
        ("se", &expiry),
        ("sip", ip),
        ("spr", "https"),
        ("skoid", &oid),
        ("sktid", &tid),
        ("skt", &from),
        ("ske", &to),
        ("sks", &service),
        ("skv", &version),
        ("sig", &code),
    ];
    let said = pairs.iter().filter(|(_, value)| !value.is_empty());
    Ok(said.map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&"))
}
