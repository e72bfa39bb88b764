//! Tokens of issuers elsewhere: their keys, fetched and kept for a while, and what they vouch for.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError},
    time::Duration,
};

use kernel::{Error, Kind, Result, Timestamp, Web, WebError};
use seal::{ForeignFault, ForeignKeys, ForeignToken};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::token_keys::SKEW;
use crate::gate::Admission;

/// The longest discovery document or key set, in bytes.
const LONGEST_DOCUMENT: usize = 256 << 10;
/// Keys are believed this long without asking again: a key that its issuer takes back is refused here after that.
const FRESH: Duration = Duration::from_secs(3600);
/// Between two questions for a key that is not known: whoever makes up key names makes no more traffic than this.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(60);
/// After a failure, before it is tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How much of a foreign token's id is recorded, in characters.
const LONGEST_ID: usize = 100;
/// Issuers whose keys are kept at once.
const MOST_ISSUERS: usize = 1000;

/// What a token of another issuer says, once its signature, times, issuer and audience were found to be right.
#[derive(Clone, Debug)]
pub(crate) struct ForeignClaims {
    /// `iss`, exactly as it was asked for.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The audience it was asked for; one of the token's.
    pub audience: String,
    /// `jti`, when there is one.
    pub jti: Option<String>,
    /// When it ends.
    pub exp: Timestamp,
    /// Every other claim.
    pub other: Map<String, Value>,
}

/// The claims of a token that this issuer signed for this audience; none when it is not one, or when the issuer's keys cannot
/// be had. The activity record says which.
pub(crate) async fn verify_foreign(
    cx: &Admission<'_>,
    issuer: &str,
    audience: &str,
    token: &str,
) -> Result<Option<ForeignClaims>> {
    let found = match verified(cx, &KeySource::Discovered { issuer }, token).await {
        Ok(found) => checked(found.claims, issuer, audience, cx.now()).map_err(str::to_owned),
        Err(why) => Err(why),
    };
    Ok(match found {
        Ok(claims) => {
            // What the issuer's own log can be searched for.
            cx.note("foreignTokenFor", &claims.audience);
            cx.note("foreignTokenEnds", claims.exp.rfc3339());
            if let Some(id) = &claims.jti {
                cx.note("foreignTokenId", id.chars().filter(|c| !c.is_control()).take(LONGEST_ID).collect::<String>());
            }
            Some(claims)
        }
        Err(why) => {
            cx.note("foreignToken", why);
            None
        }
    })
}

/// Where an issuer's keys are.
pub(super) enum KeySource<'a> {
    /// Where its discovery document says.
    Discovered {
        /// `iss`.
        issuer: &'a str,
    },
    /// At an address that was written down when the issuer was made known.
    Pinned {
        /// `jwks_uri`.
        jwks_uri: &'a str,
    },
}

impl KeySource<'_> {
    fn name(&self) -> String {
        match self {
            Self::Discovered { issuer } => format!("issuer {issuer}"),
            Self::Pinned { jwks_uri } => format!("keys {jwks_uri}"),
        }
    }
}

/// A token with a good signature under the issuer's present keys; otherwise why there is none, in words for the record.
pub(super) async fn verified(
    cx: &Admission<'_>,
    source: &KeySource<'_>,
    token: &str,
) -> std::result::Result<ForeignToken, String> {
    let (now, kept) = (cx.now(), cx.house().identity.issuers.kept(source));
    let mut keys = Kept::fresh(&kept, cx.web(), source, now).await?;
    let mut found = keys.verify(token);
    if found.as_ref().is_err_and(|fault| *fault == ForeignFault::UnknownKey) {
        keys = Kept::newer(&kept, cx.web(), source, now).await?;
        found = keys.verify(token);
    }
    found.map_err(|fault| fault.to_string())
}

/// Issuer, subject, audience and times of a token whose signature is good; otherwise what is wrong.
pub(super) fn checked(
    mut claims: Map<String, Value>,
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> std::result::Result<ForeignClaims, &'static str> {
    if claims.remove("iss").as_ref().and_then(Value::as_str) != Some(issuer) {
        return Err("the token is of another issuer");
    }
    let audiences = claims.remove("aud").unwrap_or_default();
    let is_for_us = match &audiences {
        Value::String(only) => only == audience,
        Value::Array(several) => several.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    };
    if !is_for_us {
        return Err("the token is for another audience");
    }
    let (now, skew) = (now.seconds(), i64::try_from(SKEW.as_secs()).unwrap_or(60));
    let time = |name: &str| claims.get(name).map(|value| numeric_date(value).ok_or("the token's times are malformed"));
    let (exp, nbf, iat) = (time("exp").transpose()?, time("nbf").transpose()?, time("iat").transpose()?);
    let exp = exp.ok_or("the token says no end")?;
    if exp.saturating_add(skew) <= now {
        return Err("the token has expired");
    }
    if [nbf, iat].into_iter().flatten().any(|from| from > now.saturating_add(skew)) {
        return Err("the token is not valid yet");
    }
    let subject = match claims.remove("sub") {
        Some(Value::String(subject)) if !subject.is_empty() && subject.len() <= 255 => subject,
        _ => return Err("the token names no subject"),
    };
    let jti = claims.remove("jti").and_then(|jti| jti.as_str().map(str::to_owned));
    claims.insert(String::from("aud"), audiences);
    Ok(ForeignClaims {
        issuer: issuer.to_owned(),
        subject,
        audience: audience.to_owned(),
        jti,
        exp: Timestamp(exp.saturating_mul(1000)),
        other: claims,
    })
}

/// Seconds since the epoch (RFC 7519 §2); a fraction is cut off.
pub(super) fn numeric_date(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| format!("{:.0}", value.as_f64()?.floor()).parse().ok())
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0 §3), as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    /// Exactly the issuer that was asked.
    pub issuer: String,
    #[serde(default)]
    pub authorization_endpoint: String,
    #[serde(default)]
    pub token_endpoint: String,
    pub jwks_uri: String,
    /// RFC 9207: answers to sign-ins carry `iss`.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
}

/// Why an issuer's documents are not to be had.
#[derive(Debug)]
pub(super) enum IssuerFault {
    /// The operator allows no such place.
    NotAllowed(String),
    /// It does not answer.
    Away(String),
    /// It answers something else.
    Malformed(String),
}

impl fmt::Display for IssuerFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotAllowed(why) | Self::Away(why) | Self::Malformed(why)) = self;
        out.write_str(why)
    }
}

impl From<WebError> for IssuerFault {
    fn from(fault: WebError) -> Self {
        match fault {
            WebError::Refused(why) => Self::NotAllowed(why),
            WebError::Unreachable { .. } => Self::Away(fault.to_string()),
            WebError::TooLarge { .. } => Self::Malformed(fault.to_string()),
        }
    }
}

impl IssuerFault {
    /// For whoever makes an issuer known.
    pub(super) fn into_error(self, field: &str) -> Error {
        match self {
            Self::NotAllowed(why) | Self::Malformed(why) => Error::invalid(field, why),
            Self::Away(why) => Error::new(Kind::Unavailable, why),
        }
    }
}

/// Fetches an issuer's discovery document; it has to name exactly this issuer (§4.3).
pub(super) async fn discover(web: &dyn Web, issuer: &str) -> std::result::Result<Metadata, IssuerFault> {
    let place = format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer));
    let metadata: Metadata = fetch(web, &place, "discovery document").await?;
    if metadata.issuer != issuer {
        return Err(IssuerFault::Malformed(format!("the discovery document at `{place}` is of another issuer")));
    }
    Ok(metadata)
}

async fn fetch<T: serde::de::DeserializeOwned>(
    web: &dyn Web,
    place: &str,
    what: &str,
) -> std::result::Result<T, IssuerFault> {
    let answer = web.get(place, LONGEST_DOCUMENT).await?;
    if answer.status != 200 {
        return Err(IssuerFault::Malformed(format!("`{place}` answers {} instead of a {what}", answer.status)));
    }
    let malformed = |_| IssuerFault::Malformed(format!("what `{place}` answers is no {what}"));
    serde_json::from_slice(&answer.body).map_err(malformed)
}

/// Keys of issuers elsewhere, as they were fetched last.
#[derive(Default)]
pub(super) struct Issuers(std::sync::Mutex<HashMap<String, Shared>>);

type Shared = Arc<tokio::sync::Mutex<Kept>>;

impl Issuers {
    /// Keys that were fetched from this address are fetched again when they are needed next.
    pub(super) fn forget(&self, jwks_uri: &str) {
        let name = KeySource::Pinned { jwks_uri }.name();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }

    fn kept(&self, source: &KeySource<'_>) -> Shared {
        let name = source.name();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_ISSUERS && !known.contains_key(&name) {
            known.clear();
        }
        Arc::clone(known.entry(name).or_default())
    }
}

/// Keys of one issuer. Whoever finds them stale asks; the others wait for the answer.
#[derive(Default)]
struct Kept {
    keys: Option<(Arc<ForeignKeys>, Timestamp)>,
    asked_at: Option<Timestamp>,
}

impl Kept {
    /// Keys that are not too old.
    async fn fresh(
        kept: &Shared,
        web: &dyn Web,
        source: &KeySource<'_>,
        now: Timestamp,
    ) -> std::result::Result<Arc<ForeignKeys>, String> {
        let mut kept = kept.lock().await;
        match &kept.keys {
            Some((keys, at)) if is_within(FRESH, *at, now) => return Ok(Arc::clone(keys)),
            _ => kept.keys = None,
        }
        if kept.asked_at.is_some_and(|at| is_within(AFTER_FAILURE, at, now)) {
            return Err(String::from("the issuer's keys could not be had a moment ago"));
        }
        kept.ask(web, source, now).await
    }

    /// Keys that are as new as may be asked for; the known ones when there is no better answer.
    async fn newer(
        kept: &Shared,
        web: &dyn Web,
        source: &KeySource<'_>,
        now: Timestamp,
    ) -> std::result::Result<Arc<ForeignKeys>, String> {
        let mut kept = kept.lock().await;
        let known = kept.keys.as_ref().map(|(keys, _)| Arc::clone(keys));
        match known {
            Some(keys) if kept.asked_at.is_some_and(|at| is_within(BETWEEN_QUESTIONS, at, now)) => Ok(keys),
            Some(keys) => Ok(kept.ask(web, source, now).await.unwrap_or(keys)),
            None => kept.ask(web, source, now).await,
        }
    }

    async fn ask(
        &mut self,
        web: &dyn Web,
        source: &KeySource<'_>,
        now: Timestamp,
    ) -> std::result::Result<Arc<ForeignKeys>, String> {
        self.asked_at = Some(now);
        let found = async {
            let place = match source {
                KeySource::Discovered { issuer } => discover(web, issuer).await?.jwks_uri,
                KeySource::Pinned { jwks_uri } => (*jwks_uri).to_owned(),
            };
            let document: Value = fetch(web, &place, "key set").await?;
            let keys = ForeignKeys::from_json(document.to_string().as_bytes()).filter(|keys| !keys.is_empty());
            keys.ok_or_else(|| {
                IssuerFault::Malformed(format!("`{place}` publishes no key that tokens may be signed with"))
            })
        };
        match found.await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.keys = Some((Arc::clone(&keys), now));
                Ok(keys)
            }
            Err(fault) => {
                tracing::warn!(%fault, "the keys of an issuer elsewhere could not be fetched");
                Err(format!("the issuer's keys cannot be had: {fault}"))
            }
        }
    }
}

/// Whether `at` lies less than `span` before now. A clock that was put back counts as no.
fn is_within(span: Duration, at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.since(at) < span
}
