//! What somebody says of a certificate's policy; what is not said is as usual, or stays.

use kernel::{Error, Result};
use seal::{CertificateForm, CertificateUsage};

use super::{CertificateAction, CertificateFormat, CertificateIssuer, CertificatePolicy};
use crate::vault::{KeyType, VaultCurve};

/// What a certificate is for where nobody said: servers and their clients (RFC 5280 §4.2.1.12), as in Azure.
const PURPOSES: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];
/// How many months one is valid where nobody said; Azure's.
const MONTHS: u32 = 12;

/// What is said of a policy.
#[derive(Clone, Debug, Default)]
pub struct PolicyForm {
    /// Who signs.
    pub issuer: Option<CertificateIssuer>,
    /// What keys are called.
    pub kind: Option<KeyType>,
    /// Bits of an RSA key.
    pub size: Option<u32>,
    /// The curve of one on a curve.
    pub curve: Option<VaultCurve>,
    /// Whether the secret holds the private half.
    pub is_exportable: Option<bool>,
    /// Whether the next version has the same key.
    pub reuses_key: Option<bool>,
    /// What the secret holds.
    pub format: Option<CertificateFormat>,
    /// The subject's distinguished name.
    pub subject: Option<String>,
    /// Alternative names of the subject, instead of all that were there.
    pub names: Option<NamesForm>,
    /// What it is for: object identifiers.
    pub purposes: Option<Vec<String>>,
    /// What its key may be used for.
    pub usages: Option<Vec<CertificateUsage>>,
    /// How many months one is valid.
    pub months: Option<u32>,
    /// What is done in the life of a version.
    pub actions: Option<Vec<CertificateAction>>,
}

/// Alternative names of a subject.
#[derive(Clone, Debug, Default)]
pub struct NamesForm {
    /// Names of servers.
    pub dns_names: Vec<String>,
    /// Addresses of mail.
    pub emails: Vec<String>,
    /// Principal names of users.
    pub upns: Vec<String>,
    /// Identifiers.
    pub uris: Vec<String>,
    /// Addresses of servers.
    pub addresses: Vec<String>,
}

impl PolicyForm {
    /// The policy of a certificate that is to be made. `now` is epoch seconds.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(super) fn fresh(&self, now: i64) -> Result<CertificatePolicy> {
        let missing = || Error::invalid("policy.issuer.name", "must be given: `Self` or `Unknown`");
        let issuer = self.issuer.ok_or_else(missing)?;
        let mut policy = CertificatePolicy {
            issuer,
            kind: KeyType::Rsa,
            size: Some(2048),
            curve: None,
            is_exportable: true,
            reuses_key: false,
            format: CertificateFormat::Pkcs12,
            says: CertificateForm {
                purposes: PURPOSES.map(String::from).to_vec(),
                usages: vec![CertificateUsage::DigitalSignature, CertificateUsage::KeyEncipherment],
                ..CertificateForm::default()
            },
            months: MONTHS,
            actions: CertificatePolicy::usual_actions(issuer),
            created: now,
            updated: now,
        };
        self.apply(&mut policy, now)?;
        // Of what is not signed yet, all that it says is checked, though nothing was said.
        policy.check()?;
        Ok(policy)
    }

    /// Changes what is said. `now` is epoch seconds.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(super) fn apply(&self, policy: &mut CertificatePolicy, now: i64) -> Result<()> {
        let mut next = policy.clone();
        self.apply_to_key(&mut next);
        next.issuer = self.issuer.unwrap_or(next.issuer);
        next.format = self.format.unwrap_or(next.format);
        next.months = self.months.unwrap_or(next.months);
        let said = self.clone();
        let says = &mut next.says;
        says.subject = said.subject.unwrap_or_else(|| std::mem::take(&mut says.subject));
        says.purposes = said.purposes.unwrap_or_else(|| std::mem::take(&mut says.purposes));
        says.usages = said.usages.unwrap_or_else(|| std::mem::take(&mut says.usages));
        if let Some(NamesForm { dns_names, emails, upns, uris, addresses }) = said.names {
            (says.dns_names, says.emails, says.upns) = (dns_names, emails, upns);
            (says.uris, says.addresses) = (uris, addresses);
        }
        next.actions = said.actions.unwrap_or(next.actions);
        next.updated = now;
        // What somebody else signed may say more than we could: that matters where it is changed, or we are to sign the next one.
        if next.issuer == CertificateIssuer::Unknown && next.says == policy.says {
            next.check_rest()?;
        } else {
            next.check()?;
        }
        *policy = next;
        Ok(())
    }

    fn apply_to_key(&self, policy: &mut CertificatePolicy) {
        let meant = match (self.kind, self.curve, self.size) {
            (None, Some(_), None) => Some(KeyType::Ec),
            (None, None, Some(_)) => Some(KeyType::Rsa),
            (kind, ..) => kind,
        };
        if let Some(kind) = meant {
            let is_rsa = matches!(kind, KeyType::Rsa | KeyType::RsaHsm);
            policy.kind = kind;
            policy.size = self.size.or(policy.size).filter(|_| is_rsa);
            policy.curve = self.curve.or(policy.curve.filter(|_| !is_rsa));
        }
        policy.is_exportable = self.is_exportable.unwrap_or(policy.is_exportable);
        policy.reuses_key = self.reuses_key.unwrap_or(policy.reuses_key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::{CertificateAct, CertificateTrigger};

    fn form() -> PolicyForm {
        PolicyForm {
            issuer: Some(CertificateIssuer::Own),
            subject: Some(String::from("CN=a")),
            ..PolicyForm::default()
        }
    }

    #[test]
    fn a_policy_is_as_azure_s_where_nothing_is_said() {
        let policy = form().fresh(7).unwrap();
        assert_eq!(
            (policy.kind, policy.months, policy.is_exportable, policy.reuses_key),
            (KeyType::Rsa, 12, true, false)
        );
        assert_eq!(policy.actions[0].act, CertificateAct::AutoRenew);
        let elsewhere = PolicyForm { issuer: Some(CertificateIssuer::Unknown), ..form() }.fresh(7).unwrap();
        assert_eq!(elsewhere.actions[0].act, CertificateAct::EmailContacts);
        assert!(PolicyForm { issuer: None, ..form() }.fresh(7).is_err());
    }

    #[test]
    fn what_somebody_else_signed_stays_while_the_rest_is_changed() {
        let unknown = Some(CertificateIssuer::Unknown);
        assert!(PolicyForm { issuer: unknown, ..PolicyForm::default() }.fresh(7).is_err(), "it names nobody");
        let mut policy = PolicyForm { issuer: unknown, ..form() }.fresh(7).unwrap();
        // More than we could sign.
        policy.says.subject = String::from("CN=a, CN=b");
        let longer = PolicyForm { months: Some(2), subject: Some(String::from("CN=a, CN=b")), ..PolicyForm::default() };
        longer.apply(&mut policy, 8).unwrap();
        assert_eq!((policy.months, policy.says.subject.as_str()), (2, "CN=a, CN=b"));
        for bad in [
            PolicyForm { months: Some(0), ..PolicyForm::default() },
            PolicyForm { issuer: Some(CertificateIssuer::Own), ..PolicyForm::default() },
            PolicyForm { subject: Some(String::from("CN=b, CN=c")), ..PolicyForm::default() },
        ] {
            assert!(bad.apply(&mut policy, 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_policy_that_cannot_be_is_refused_and_changes_nothing() {
        let action = |act, trigger| Some(vec![CertificateAction { act, trigger }]);
        let renew = CertificateAct::AutoRenew;
        let bad = [
            PolicyForm { subject: Some(String::new()), ..form() },
            PolicyForm { kind: Some(KeyType::Oct), ..form() },
            PolicyForm { size: Some(1024), ..form() },
            PolicyForm { kind: Some(KeyType::Rsa), curve: Some(VaultCurve::P256), ..form() },
            PolicyForm { months: Some(0), ..form() },
            PolicyForm { months: Some(1201), ..form() },
            PolicyForm { actions: action(renew, CertificateTrigger::LifetimePercentage(100)), ..form() },
            PolicyForm { actions: action(renew, CertificateTrigger::LifetimePercentage(0)), ..form() },
            PolicyForm { actions: action(renew, CertificateTrigger::DaysBeforeExpiry(12 * 27 + 1)), ..form() },
            PolicyForm {
                issuer: Some(CertificateIssuer::Unknown),
                actions: action(renew, CertificateTrigger::DaysBeforeExpiry(30)),
                ..form()
            },
        ];
        let before = form().fresh(7).unwrap();
        for bad in bad {
            assert!(bad.fresh(7).is_err(), "{bad:?}");
            let mut policy = before.clone();
            assert!(bad.apply(&mut policy, 8).is_err(), "{bad:?}");
            assert_eq!(policy, before);
        }
        let mut policy = before;
        let change = PolicyForm { curve: Some(VaultCurve::P384), months: Some(1), ..PolicyForm::default() };
        change.apply(&mut policy, 8).unwrap();
        assert_eq!(
            (policy.kind, policy.curve, policy.size, policy.months),
            (KeyType::Ec, Some(VaultCurve::P384), None, 1)
        );
    }
}
