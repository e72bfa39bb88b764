//! What versions of a certificate are made like, and what happens in their lives.

use std::str::FromStr;

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result};
use seal::CertificateForm;
use serde::{Deserialize, Serialize};

use super::{Certificate, PolicyForm, due::mark};
use crate::{
    gate::{Changes, Cx, Op},
    resources::Addressed,
    vault::{
        Attributes, KeyType, Kind, ObjectName, VaultCurve, VaultKeyShape,
        opened::{ATTEMPTS, open, scope_of, too_busy},
    },
};

/// The longest life of a version, in months.
const LONGEST_LIFE: u32 = 1200;
/// Days of a month, where a time before the end must fit into a life; Azure's bound.
const LEAST_MONTH: u32 = 27;
const DAY: i64 = 86_400;

/// Who signs a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CertificateIssuer {
    /// Its own key.
    #[serde(rename = "Self")]
    Own,
    /// Somebody who is given a request, and whose certificate is merged.
    Unknown,
}

impl CertificateIssuer {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "Self",
            Self::Unknown => "Unknown",
        }
    }
}

impl FromStr for CertificateIssuer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::Own, Self::Unknown].into_iter().find(|issuer| issuer.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            let why = "must be `Self` or `Unknown`: no certificate authority is connected to this vault";
            Error::invalid("policy.issuer.name", why)
        })
    }
}

/// What the secret of a certificate holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CertificateFormat {
    /// PKCS #12 with an empty password, in base64.
    Pkcs12,
    /// PEM.
    Pem,
}

impl CertificateFormat {
    /// Its media type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pkcs12 => "application/x-pkcs12",
            Self::Pem => "application/x-pem-file",
        }
    }
}

impl FromStr for CertificateFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Self::Pkcs12, Self::Pem].into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
        known.ok_or_else(|| {
            let why = "must be `application/x-pkcs12` or `application/x-pem-file`";
            Error::invalid("policy.secret_props.contentType", why)
        })
    }
}

/// What is done in the life of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CertificateAct {
    /// A new version takes over.
    AutoRenew,
    /// The coming end is written into the activity log, from where it goes to whoever listens.
    EmailContacts,
}

impl CertificateAct {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AutoRenew => "AutoRenew",
            Self::EmailContacts => "EmailContacts",
        }
    }
}

impl FromStr for CertificateAct {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let acts = [Self::AutoRenew, Self::EmailContacts];
        let unknown = || Error::invalid("policy.lifetime_actions", "an action must be `AutoRenew` or `EmailContacts`");
        acts.into_iter().find(|act| act.name().eq_ignore_ascii_case(text)).ok_or_else(unknown)
    }
}

/// When something is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CertificateTrigger {
    /// So many days before the end.
    DaysBeforeExpiry(u32),
    /// When so many hundredths of the life are over.
    LifetimePercentage(u32),
}

/// Something that is done once in the life of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CertificateAction {
    /// What.
    pub act: CertificateAct,
    /// When.
    pub trigger: CertificateTrigger,
}

/// What versions of a certificate are made like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatePolicy {
    /// Who signs them.
    pub issuer: CertificateIssuer,
    /// What their keys are called.
    pub kind: KeyType,
    /// Bits of an RSA key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// The curve of one that is on a curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<VaultCurve>,
    /// Whether the secret holds the private half.
    pub is_exportable: bool,
    /// Whether the next version has the same key.
    pub reuses_key: bool,
    /// What the secret holds.
    pub format: CertificateFormat,
    /// What they say.
    pub says: CertificateForm,
    /// How many months one is valid.
    pub months: u32,
    /// What is done, and when: at most one of each act.
    pub actions: Vec<CertificateAction>,
    /// When the policy was made, epoch seconds.
    pub created: i64,
    /// When it was changed last, epoch seconds.
    pub updated: i64,
}

impl CertificatePolicy {
    /// What is done where nobody said, as in Azure.
    pub(super) fn usual_actions(issuer: CertificateIssuer) -> Vec<CertificateAction> {
        let act = match issuer {
            CertificateIssuer::Own => CertificateAct::AutoRenew,
            CertificateIssuer::Unknown => CertificateAct::EmailContacts,
        };
        vec![CertificateAction { act, trigger: CertificateTrigger::LifetimePercentage(80) }]
    }

    /// What keys are made like.
    ///
    /// # Errors
    /// `Invalid` for a type that no certificate has.
    pub(super) fn shape(&self) -> Result<VaultKeyShape> {
        match (self.kind, self.size, self.curve) {
            (KeyType::Rsa | KeyType::RsaHsm, size, None) => match size.unwrap_or(2048) {
                size @ (2048 | 3072 | 4096) => Ok(VaultKeyShape::Rsa(size)),
                _ => Err(Error::invalid("policy.key_props.key_size", "must be 2048, 3072 or 4096")),
            },
            (KeyType::Ec | KeyType::EcHsm, _, curve) => Ok(VaultKeyShape::Curve(curve.unwrap_or(VaultCurve::P256))),
            (KeyType::Rsa | KeyType::RsaHsm, ..) => {
                Err(Error::invalid("policy.key_props.crv", "is for keys of type `EC`"))
            }
            (KeyType::Oct | KeyType::OctHsm, ..) => {
                Err(Error::invalid("policy.key_props.kty", "must be `RSA` or `EC`, or one of them followed by `-HSM`"))
            }
        }
    }

    /// Refuses what cannot be.
    pub(super) fn check(&self) -> Result<()> {
        self.check_rest()?;
        self.says.check()?;
        Ok(())
    }

    /// All of it but what it says, which somebody else may have signed.
    pub(super) fn check_rest(&self) -> Result<()> {
        self.shape()?;
        if !(1..=LONGEST_LIFE).contains(&self.months) {
            let why = format!("must be 1 to {LONGEST_LIFE}");
            return Err(Error::invalid("policy.x509_props.validity_months", why));
        }
        self.check_actions()
    }

    /// The part of it that also holds for what was made elsewhere.
    pub(super) fn check_actions(&self) -> Result<()> {
        let invalid = |why: String| Err(Error::invalid("policy.lifetime_actions", why));
        for act in [CertificateAct::AutoRenew, CertificateAct::EmailContacts] {
            if self.actions.iter().filter(|action| action.act == act).count() > 1 {
                return invalid(format!("there can be one action `{}`", act.name()));
            }
        }
        for action in &self.actions {
            if action.act == CertificateAct::AutoRenew && self.issuer == CertificateIssuer::Unknown {
                return invalid(String::from("`AutoRenew` takes the issuer `Self`"));
            }
            let most = self.months.saturating_mul(LEAST_MONTH);
            match action.trigger {
                CertificateTrigger::LifetimePercentage(part) if !(1..=99).contains(&part) => {
                    return invalid(String::from("`lifetime_percentage` must be 1 to 99"));
                }
                CertificateTrigger::DaysBeforeExpiry(days) if !(1..=most).contains(&days) => {
                    return invalid(format!("`days_before_expiry` must be 1 to {most}: 27 for each month of validity"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// From when on, epoch seconds, something is due for a version; none when never.
    pub(super) fn due_at(&self, act: CertificateAct, version: &Attributes) -> Option<i64> {
        let action = self.actions.iter().find(|action| action.act == act)?;
        let end = version.expires?;
        match action.trigger {
            CertificateTrigger::DaysBeforeExpiry(days) => end.checked_sub(i64::from(days).checked_mul(DAY)?),
            CertificateTrigger::LifetimePercentage(part) => {
                let begin = version.not_before.unwrap_or(version.created);
                let part = end.checked_sub(begin)?.checked_div(100)?.checked_mul(i64::from(part))?;
                begin.checked_add(part)
            }
        }
    }
}

/// Reads a certificate's policy.
#[derive(Debug)]
pub struct GetCertificatePolicy {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
}

#[async_trait]
impl Op for GetCertificatePolicy {
    const ACTION: Action = Certificate::READ;
    type Output = CertificatePolicy;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<CertificatePolicy> {
        let opened = open(cx, &self.vault).await?;
        let row = opened.object::<Certificate>(cx, &self.name).await?;
        row.value.whole.policy.ok_or_else(|| Error::internal("a certificate without a policy"))
    }
}

/// Changes a certificate's policy; it holds from the next version on.
#[derive(Debug)]
pub struct PutCertificatePolicy {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
    /// What changes; what is not said stays.
    pub policy: PolicyForm,
}

#[async_trait]
impl Op for PutCertificatePolicy {
    const ACTION: Action = Certificate::UPDATE;
    type Output = CertificatePolicy;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<CertificatePolicy> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let mut row = opened.object::<Certificate>(cx, &self.name).await?;
            let whole = &mut row.value.whole;
            let policy = whole.policy.as_mut().ok_or_else(|| Error::internal("a certificate without a policy"))?;
            self.policy.apply(policy, cx.now().seconds())?;
            let policy = policy.clone();
            let mut changes = Changes::new();
            mark(cx, &opened.shelf, &row.id, &mut changes).await?;
            changes.put(&opened.shelf, &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| policy),
            }
        }
        Err(too_busy::<Certificate>())
    }
}
