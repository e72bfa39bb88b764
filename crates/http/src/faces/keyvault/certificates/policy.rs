//! Policies of certificates.

use axum::response::{IntoResponse, Response};
use domain::vault::{
    CertificateAction, CertificatePolicy, CertificateTrigger, CertificateUsage, GetCertificatePolicy, NamesForm,
    PolicyForm, PutCertificatePolicy, VaultCurve,
};
use http::Method;
use kernel::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Visit};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    let policy = "/vaults/{vault}/certificates/{name}/policy";
    doors.open::<GetCertificatePolicy, _, _>(Method::GET, policy, get).open::<PutCertificatePolicy, _, _>(
        Method::PATCH,
        policy,
        update,
    )
}

/// A policy as clients see it.
pub(super) fn view(visit: &Visit, name: &str, policy: &CertificatePolicy) -> Value {
    let mut key = json!({
        "exportable": policy.is_exportable,
        "kty": policy.kind.name(),
        "reuse_key": policy.reuses_key,
    });
    if let Some(key) = key.as_object_mut() {
        policy.size.map(|size| key.insert(String::from("key_size"), json!(size)));
        policy.curve.map(|curve| key.insert(String::from("crv"), json!(curve.name())));
    }
    let says = &policy.says;
    let mut sans = json!({});
    let lists = [
        ("dns_names", &says.dns_names),
        ("emails", &says.emails),
        ("upns", &says.upns),
        ("uris", &says.uris),
        ("ipAddresses", &says.addresses),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        sans.as_object_mut().map(|sans| sans.insert(name.to_owned(), json!(list)));
    }
    let action = |action: &CertificateAction| {
        let trigger = match action.trigger {
            CertificateTrigger::DaysBeforeExpiry(days) => json!({"days_before_expiry": days}),
            CertificateTrigger::LifetimePercentage(part) => json!({"lifetime_percentage": part}),
        };
        json!({"trigger": trigger, "action": {"action_type": action.act.name()}})
    };
    json!({
        "id": format!("{}/certificates/{name}/policy", visit.base),
        "key_props": key,
        "secret_props": {"contentType": policy.format.name()},
        "x509_props": {
            "subject": says.subject,
            "sans": sans,
            "ekus": says.purposes,
            "key_usage": says.usages.iter().map(|usage| usage.name()).collect::<Vec<_>>(),
            "validity_months": policy.months,
            "basic_constraints": {"ca": false},
        },
        "lifetime_actions": policy.actions.iter().map(action).collect::<Vec<_>>(),
        "issuer": {"name": policy.issuer.name()},
        "attributes": {"enabled": true, "created": policy.created, "updated": policy.updated},
    })
}

/// A policy as clients send it; what only the server says is not looked at.
#[derive(Default, Deserialize)]
pub(super) struct PolicyBody {
    #[serde(default)]
    issuer: Option<IssuerBody>,
    #[serde(default)]
    key_props: Option<KeyBody>,
    #[serde(default)]
    secret_props: Option<SecretBody>,
    #[serde(default)]
    x509_props: Option<SaysBody>,
    #[serde(default)]
    lifetime_actions: Option<Vec<ActionBody>>,
}

#[derive(Default, Deserialize)]
struct IssuerBody {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Default, Deserialize)]
struct KeyBody {
    #[serde(default)]
    exportable: Option<bool>,
    #[serde(default)]
    kty: Option<String>,
    #[serde(default)]
    key_size: Option<u32>,
    #[serde(default)]
    reuse_key: Option<bool>,
    #[serde(default)]
    crv: Option<String>,
}

#[derive(Default, Deserialize)]
struct SecretBody {
    #[serde(default, rename = "contentType")]
    content_type: Option<String>,
}

#[derive(Default, Deserialize)]
struct SaysBody {
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    sans: Option<NamesBody>,
    #[serde(default)]
    ekus: Option<Vec<String>>,
    #[serde(default)]
    key_usage: Option<Vec<String>>,
    #[serde(default)]
    validity_months: Option<u32>,
}

#[derive(Default, Deserialize)]
struct NamesBody {
    #[serde(default)]
    dns_names: Option<Vec<String>>,
    #[serde(default)]
    emails: Option<Vec<String>>,
    #[serde(default)]
    upns: Option<Vec<String>>,
    #[serde(default)]
    uris: Option<Vec<String>>,
    #[serde(default, rename = "ipAddresses")]
    addresses: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ActionBody {
    trigger: TriggerBody,
    action: ActBody,
}

#[derive(Deserialize)]
struct TriggerBody {
    #[serde(default)]
    days_before_expiry: Option<u32>,
    #[serde(default)]
    lifetime_percentage: Option<u32>,
}

#[derive(Deserialize)]
struct ActBody {
    action_type: String,
}

impl From<NamesBody> for NamesForm {
    fn from(body: NamesBody) -> Self {
        Self {
            dns_names: body.dns_names.unwrap_or_default(),
            emails: body.emails.unwrap_or_default(),
            upns: body.upns.unwrap_or_default(),
            uris: body.uris.unwrap_or_default(),
            addresses: body.addresses.unwrap_or_default(),
        }
    }
}

impl TryFrom<ActionBody> for CertificateAction {
    type Error = Error;

    fn try_from(body: ActionBody) -> Result<Self> {
        let trigger = match (body.trigger.days_before_expiry, body.trigger.lifetime_percentage) {
            (Some(days), None) => CertificateTrigger::DaysBeforeExpiry(days),
            (None, Some(part)) => CertificateTrigger::LifetimePercentage(part),
            _ => {
                let why = "a trigger must have one of `days_before_expiry` and `lifetime_percentage`";
                return Err(Error::invalid("policy.lifetime_actions", why));
            }
        };
        Ok(Self { act: body.action.action_type.parse()?, trigger })
    }
}

impl PolicyBody {
    /// What is said of a policy.
    ///
    /// # Errors
    /// `Invalid` and `Unsupported`, naming the field.
    pub(super) fn form(self) -> Result<PolicyForm> {
        let (key, says) = (self.key_props.unwrap_or_default(), self.x509_props.unwrap_or_default());
        let actions: Option<Result<Vec<_>>> =
            self.lifetime_actions.map(|all| all.into_iter().map(CertificateAction::try_from).collect());
        Ok(PolicyForm {
            issuer: self.issuer.and_then(|issuer| issuer.name).map(|name| name.parse()).transpose()?,
            kind: key.kty.map(|kind| kind.parse()).transpose()?,
            size: key.key_size,
            curve: key.crv.as_deref().map(curve).transpose()?,
            is_exportable: key.exportable,
            reuses_key: key.reuse_key,
            format: self.secret_props.and_then(|secret| secret.content_type).map(|kind| kind.parse()).transpose()?,
            subject: says.subject,
            names: says.sans.map(NamesForm::from),
            purposes: says.ekus,
            usages: says.key_usage.map(|all| all.iter().map(|name| usage(name)).collect()).transpose()?,
            months: says.validity_months,
            actions: actions.transpose()?,
        })
    }
}

fn curve(name: &str) -> Result<VaultCurve> {
    VaultCurve::from_name(name).ok_or_else(|| match name {
        "P-256K" | "SECP256K1" => Error::new(Kind::Unsupported, "the curve `P-256K` (secp256k1) is not supported"),
        _ => Error::invalid("policy.key_props.crv", "must be `P-256`, `P-384` or `P-521`"),
    })
}

fn usage(name: &str) -> Result<CertificateUsage> {
    let known = CertificateUsage::ALL.into_iter().find(|usage| usage.name().eq_ignore_ascii_case(name));
    known.ok_or_else(|| {
        let names: Vec<_> = CertificateUsage::ALL.iter().map(|usage| usage.name()).collect();
        Error::invalid("policy.x509_props.key_usage", format_args!("each must be one of {}", names.join(", ")))
    })
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetCertificatePolicy>(guest).await?;
    let name = visit.name()?;
    let policy = visit.enter(GetCertificatePolicy { vault: visit.vault.clone(), name: name.clone() }).await?;
    Ok(axum::Json(view(&visit, name.as_str(), &policy)).into_response())
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PutCertificatePolicy>(guest).await?;
    let name = visit.name()?;
    visit.knock::<PutCertificatePolicy>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, PolicyBody) = visit.body().await?;
    let op = PutCertificatePolicy { vault: visit.vault.clone(), name: name.clone(), policy: body.form()? };
    let policy = visit.enter(op).await?;
    Ok(axum::Json(view(&visit, name.as_str(), &policy)).into_response())
}
