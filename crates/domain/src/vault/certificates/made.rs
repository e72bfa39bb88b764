//! A version that is ready to be kept: the certificate, and the key and the secret that come with it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Error, Kind as Fault, Result, Secret as Hidden};
use seal::{ReadCertificate, VaultKey, to_pem, to_pkcs12};

use super::{Certificate, CertificateContent, CertificateFormat, CertificatePolicy, CertificateWhole, due::mark};
use crate::{
    gate::{Admission, Changes, Row},
    vault::{
        AttributesForm, Key, KeyContent, Kind, Object, ObjectName, Secret, SecretContent, Span, VersionId,
        opened::Opened,
        version::{Draft, stage_version},
    },
};

/// How long before it is made a certificate is valid, in seconds, so that it is for whoever's clock is slow; Azure's.
const BEFORE: i64 = 600;

/// A version of all three.
pub(super) struct Made {
    id: VersionId,
    attributes: AttributesForm,
    tags: BTreeMap<String, String>,
    policy: CertificatePolicy,
    key: KeyContent,
    secret: SecretContent,
    content: CertificateContent,
}

impl Made {
    /// What these certificates make of this key.
    ///
    /// # Errors
    /// `Invalid` when the certificate cannot be read.
    pub(super) fn new(
        policy: CertificatePolicy,
        key: &VaultKey,
        chain: &[Vec<u8>],
        enabled: Option<bool>,
        tags: BTreeMap<String, String>,
    ) -> Result<Self> {
        let own = chain.first().ok_or_else(|| Error::internal("a chain without a certificate"))?;
        let read = ReadCertificate::from_der(own)?;
        let shown = Some(key).filter(|_| policy.is_exportable);
        let value = match policy.format {
            CertificateFormat::Pkcs12 => Hidden::new(STANDARD.encode(to_pkcs12(shown, chain)?.expose())),
            CertificateFormat::Pem => to_pem(shown, chain),
        };
        Ok(Self {
            id: VersionId::random(),
            attributes: AttributesForm { enabled, not_before: Some(read.from), expires: Some(read.until) },
            tags,
            key: KeyContent::new(policy.kind, policy.kind.operations(None)?, key),
            secret: SecretContent::of_certificate(&value, policy.format.name()),
            content: CertificateContent::new(chain, policy.is_exportable),
            policy,
        })
    }

    /// What this key makes of itself, as the policy says. `now` is epoch seconds.
    ///
    /// # Errors
    /// `Invalid` when the policy says what no certificate can.
    pub(super) fn self_signed(
        policy: CertificatePolicy,
        key: &VaultKey,
        enabled: Option<bool>,
        tags: BTreeMap<String, String>,
        now: i64,
    ) -> Result<Self> {
        let end = Span::months(policy.months).after(now);
        let end = end.ok_or_else(|| {
            Error::invalid("policy.x509_props.validity_months", "the certificate would end after the year 9999")
        })?;
        let der = policy.says.self_signed(key, now.saturating_sub(BEFORE), end)?;
        Self::new(policy, key, &[der], enabled, tags)
    }

    /// Adds it to `changes`: a first version of all three, or one that takes the place of the newest.
    ///
    /// # Errors
    /// `Conflict` when the name is a deleted certificate's, or a key's or secret's that belongs to none.
    pub(super) async fn stage(
        &self,
        cx: &Admission<'_>,
        opened: &Opened,
        name: &ObjectName,
        changes: &mut Changes,
    ) -> Result<Row<Object<Certificate>>> {
        let present = opened.named::<Certificate>(cx, name).await?;
        self.stage_over(cx, opened, name, present, changes).await
    }

    /// The same in the place of what was read before, by which it was decided: what changed since makes the commit stale.
    ///
    /// # Errors
    /// As [`Self::stage`].
    pub(super) async fn stage_over(
        &self,
        cx: &Admission<'_>,
        opened: &Opened,
        name: &ObjectName,
        present: Option<Row<Object<Certificate>>>,
        changes: &mut Changes,
    ) -> Result<Row<Object<Certificate>>> {
        let key = managed::<Key>(cx, opened, name).await?;
        let secret = managed::<Secret>(cx, opened, name).await?;
        let whole = CertificateWhole { policy: Some(self.policy.clone()), told: None };
        let draft = self.draft::<Certificate>(self.content.clone()).named(self.id, false).with(whole);
        let row = stage_version(cx, opened, name, present, draft, changes)?;
        stage_version(cx, opened, name, key, self.draft::<Key>(self.key.clone()).named(self.id, true), changes)?;
        stage_version(
            cx,
            opened,
            name,
            secret,
            self.draft::<Secret>(self.secret.clone()).named(self.id, true),
            changes,
        )?;
        mark(cx, &opened.shelf, &row.id, changes).await?;
        cx.note("version", self.id.to_string());
        Ok(row)
    }

    fn draft<K: Kind>(&self, content: K::Content) -> Draft<K> {
        Draft::new(self.attributes, self.tags.clone(), content)
    }
}

/// The key or the secret of a certificate of this name, if there is one.
///
/// # Errors
/// `Conflict` when there is one that belongs to no certificate.
async fn managed<K: Kind>(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<Option<Row<Object<K>>>> {
    match opened.named::<K>(cx, name).await? {
        Some(row) if !row.value.is_managed => {
            let why = format!(
                "there is a {} `{}` that belongs to no certificate; use another name, or purge it",
                K::WORD,
                row.value.name
            );
            Err(Error::new(Fault::Conflict, why))
        }
        found => Ok(found),
    }
}

/// Refuses what could not be kept afterwards: asked before anything costly is done.
///
/// # Errors
/// As [`Made::stage`].
pub(super) async fn require_place(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<()> {
    if let Some(row) = opened.named::<Certificate>(cx, name).await? {
        crate::vault::opened::require_alive(&row.value)?;
    }
    managed::<Key>(cx, opened, name).await?;
    managed::<Secret>(cx, opened, name).await?;
    Ok(())
}

/// The key of a policy's next version: the newest one's where it is used again, otherwise a fresh one. A key that was to stay is not
/// used again for a version whose private half may leave.
pub(super) async fn next_key(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    policy: &CertificatePolicy,
) -> Result<VaultKey> {
    let shape = policy.shape()?;
    if policy.reuses_key
        && let Some(row) = managed::<Key>(cx, opened, name).await?
        && row.value.current.content.shape()? == shape
        && (!policy.is_exportable || has_left(cx, opened, name).await?)
    {
        return row.value.current.content.opened();
    }
    cx.house().vault.make(move || VaultKey::generate(shape)).await
}

/// Whether the private half of the newest version may leave already.
async fn has_left(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<bool> {
    let present = opened.named::<Certificate>(cx, name).await?;
    Ok(present.is_some_and(|row| row.value.current.content.is_exportable))
}
