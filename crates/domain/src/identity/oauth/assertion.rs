//! Client assertions: signed under a certificate that the application registered (RFC 7523 §2.2), or by an issuer elsewhere that
//! it trusts (workload identity).
//!
//! A certificate's assertion is for one caller and one request: it is remembered by its `jti`, and refused when it comes from
//! another address or asks the same again. That it may ask for something else is Microsoft's libraries' way: they sign one
//! and use it for nine minutes, for each resource once. The token of an issuer elsewhere is made to be shown again and
//! is bound by its short life alone.

use std::{net::IpAddr, time::Duration};

use kernel::{AppId, Secret, TenantId, Timestamp};
use seal::{AssertionCertificate, AssertionClaims, ClientAssertion, Sha256};
use serde::{Deserialize, Serialize};

use super::{TokenRefusal, client::Client, refusal::Granted};
use crate::{
    gate::{Admission, Changes, Record, Row},
    identity::{claims::issuer, issuers::verify_foreign, token_keys::SKEW},
};

/// No assertion may be good for longer.
const LONGEST_LIFE: Duration = Duration::from_secs(600);
/// The longest `jti`, in bytes.
const LONGEST_ID: usize = 256;
/// Requests that one assertion is good for.
const MOST_USES: usize = 32;

/// An assertion that was used, until it would have expired anyway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UsedAssertion {
    /// Who used it first.
    pub address: Option<IpAddr>,
    /// What it was used for, by digest.
    pub uses: Vec<String>,
    /// When it is no longer good in any case.
    pub expires_at: Timestamp,
}

impl Record for UsedAssertion {
    const TABLE: &'static str = "used-assertion";
}

/// One use of an assertion, not yet remembered.
pub(super) struct Use(Row<UsedAssertion>);

impl Use {
    pub(super) fn remember(&self, cx: &Admission<'_>, changes: &mut Changes) -> kernel::Result<()> {
        changes.put(cx.system(), &self.0)?;
        Ok(())
    }
}

/// The application that an assertion claims to stand for; no proof.
pub(super) fn claimed_client(text: &Secret<String>) -> Option<String> {
    Some(ClientAssertion::parse(text.expose())?.claimed_subject().to_owned())
}

/// Believes an assertion, or not. `addressed` is the tenant as the request's address has it.
pub(super) async fn check(
    cx: &Admission<'_>,
    client: &Client,
    tenant: TenantId,
    addressed: &str,
    text: &Secret<String>,
    what: &[&str],
) -> Granted<Option<Use>> {
    let assertion = ClientAssertion::parse(text.expose()).ok_or(TokenRefusal::BadAssertion)?;
    let own = client.app.to_string();
    if !assertion.claimed_issuer().eq_ignore_ascii_case(&own) {
        return check_foreign(cx, client, &assertion, text).await.map(|()| None);
    }
    let claims = verified(cx, client, assertion).ok_or(TokenRefusal::BadAssertion)?;
    cx.note("credential", "certificate");
    let is_ours = audiences(cx, tenant, addressed).contains(&claims.audience);
    if !is_ours || !claims.subject.eq_ignore_ascii_case(&own) {
        return Err(TokenRefusal::BadAssertion.into());
    }
    check_times(cx.now(), &claims)?;
    once(cx, client.app, &claims, what).await.map(Some)
}

/// What it says, if one of the application's certificates that it names, and that is good now, signed it.
fn verified(cx: &Admission<'_>, client: &Client, assertion: ClientAssertion<'_>) -> Option<AssertionClaims> {
    let now = cx.now();
    let named = client.certificates.iter().find(|known| assertion.names(&known.sha1, &known.sha256))?;
    if named.expires_at <= now {
        return None;
    }
    let certificate = AssertionCertificate::read(&named.der).ok()?;
    let starts_at = Timestamp(certificate.starts_at().saturating_mul(1000));
    if starts_at > now.plus(SKEW) {
        return None;
    }
    cx.note("certificate", named.id.to_string());
    assertion.verified(&certificate)
}

/// The token endpoint by each of its names, and the issuer.
fn audiences(cx: &Admission<'_>, tenant: TenantId, addressed: &str) -> Vec<String> {
    let url = &cx.settings().url;
    let mut all = vec![issuer(cx.settings(), tenant)];
    for named in [tenant.to_string().as_str(), addressed] {
        all.extend(["oauth2/v2.0/token", "oauth2/token"].map(|place| format!("{url}/{named}/{place}")));
    }
    all
}

fn check_times(now: Timestamp, claims: &AssertionClaims) -> Granted<()> {
    let now = now.seconds();
    let [skew, life] = [SKEW, LONGEST_LIFE].map(|span| i64::try_from(span.as_secs()).unwrap_or(60));
    let has_begun = claims.starts_at.is_none_or(|start| start <= now.saturating_add(skew));
    let is_short = claims.expires_at <= now.saturating_add(life).saturating_add(skew);
    if has_begun && is_short && now < claims.expires_at {
        return Ok(());
    }
    Err(TokenRefusal::AssertionTimes.into())
}

async fn once(cx: &Admission<'_>, app: AppId, claims: &AssertionClaims, what: &[&str]) -> Granted<Use> {
    let jti = claims.id.as_deref().filter(|jti| (1..=LONGEST_ID).contains(&jti.len()));
    let jti = jti.ok_or(TokenRefusal::BadAssertion)?;
    let id = cx.system().name_id::<UsedAssertion>(&format!("{app}\n{jti}"));
    let (address, digest) = (cx.caller().source.address, digest(what));
    let mut row = match cx.get::<UsedAssertion>(cx.system(), &id).await? {
        Some(row) => row,
        None => {
            let expires_at = Timestamp(claims.expires_at.saturating_mul(1000)).plus(SKEW);
            Row::new(id, UsedAssertion { address, uses: Vec::new(), expires_at })
        }
    };
    let used = &mut row.value;
    if used.address != address || used.uses.contains(&digest) || used.uses.len() >= MOST_USES {
        return Err(TokenRefusal::ReplayedAssertion.into());
    }
    used.uses.push(digest);
    Ok(Use(row))
}

/// Each part with its length, so that no two requests look alike.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::default();
    for part in parts {
        hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    seal::hex(&hash.finish())
}

/// The issuer and the subject must be ones that the application trusts, to the letter, before any key is fetched.
async fn check_foreign(
    cx: &Admission<'_>,
    client: &Client,
    assertion: &ClientAssertion<'_>,
    text: &Secret<String>,
) -> Granted<()> {
    let (issuer, subject) = (assertion.claimed_issuer(), assertion.claimed_subject());
    for trusted in client.federated.iter().filter(|trusted| trusted.issuer == issuer && trusted.subject == subject) {
        cx.note("credential", "federated");
        let claims = verify_foreign(cx, &trusted.issuer, &trusted.audience, text.expose()).await?;
        if claims.is_some_and(|claims| claims.subject == trusted.subject && claims.issuer == trusted.issuer) {
            cx.note("federatedCredential", trusted.id.to_string());
            return Ok(());
        }
    }
    Err(TokenRefusal::BadAssertion.into())
}
