//! Certificates of applications: the key behind one signs the application's assertions (RFC 7523), and never comes here.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, Timestamp};
use seal::AssertionCertificate;
use uuid::Uuid;

use super::{
    ApplicationKey, application_key, applications,
    client_secrets::UPDATE,
    naming,
    power::{require_power_over, require_way_in},
    removal::cut_off,
};
use crate::{
    gate::{Admission, Changes, Cx, Op},
    identity::{Application, ClientCertificate},
};

const MOST_CERTIFICATES: usize = 20;

/// A certificate as callers see it.
#[derive(Clone, Debug)]
pub struct CertificateView {
    /// Names it.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// SHA-1 of it: what people and tools know it by.
    pub thumbprint: Vec<u8>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An entry of an application's certificates: one that is there, or a new one.
#[derive(Clone, Debug)]
pub enum CertificateEntry {
    /// Stays.
    Kept(Uuid),
    /// Is added.
    New {
        /// What it is for; may be empty.
        name: String,
        /// DER or PEM.
        document: Vec<u8>,
    },
}

/// Adds a certificate to an application; the others stay valid.
#[derive(Debug)]
pub struct AddCertificate {
    /// Which application.
    pub of: ApplicationKey,
    /// What it is for; may be empty.
    pub name: String,
    /// DER or PEM.
    pub document: Vec<u8>,
}

#[async_trait]
impl Op for AddCertificate {
    const ACTION: Action = UPDATE;
    type Output = CertificateView;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<CertificateView> {
        let (member, mut row) = application_key::find(cx, self.of).await?;
        applications::note(cx, &row.value);
        require_power_over(cx, member.value.id).await?;
        let kept = add(cx, &mut row.value, self.name, &self.document)?;
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(kept)
    }
}

/// Removes a certificate. One that was still good may be in wrong hands: the application's tokens end with it.
#[derive(Debug)]
pub struct RemoveCertificate {
    /// Which application.
    pub of: ApplicationKey,
    /// Which certificate.
    pub key: Uuid,
}

#[async_trait]
impl Op for RemoveCertificate {
    const ACTION: Action = UPDATE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let (mut member, mut row) = application_key::find(cx, self.of).await?;
        applications::note(cx, &row.value);
        require_power_over(cx, member.value.id).await?;
        let certificates = &mut row.value.certificates;
        let at = certificates.iter().position(|kept| kept.id == self.key);
        let at = at.ok_or_else(|| Error::invalid("keyId", "names no certificate of this application"))?;
        let gone = certificates.remove(at);
        cx.note("certificate", seal::hex(&gone.sha1));
        let mut changes = Changes::new();
        require_way_in(cx, &mut changes, &row.value).await?;
        if gone.expires_at > cx.now() {
            cut_off(cx, &mut changes, &mut member.value).await?;
            changes.put(cx.system(), &member)?;
        }
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await
    }
}

/// Makes these the certificates of an application; says whether one that was still good is gone.
pub(super) async fn replace(
    cx: &Admission<'_>,
    application: &mut Application,
    entries: Vec<CertificateEntry>,
) -> Result<bool> {
    require_power_over(cx, application.principal).await?;
    let mut before = std::mem::take(&mut application.certificates);
    let mut fresh = Vec::new();
    for entry in entries {
        match entry {
            CertificateEntry::Kept(id) => {
                let at = before.iter().position(|kept| kept.id == id);
                let at = at.ok_or_else(|| Error::invalid("keyCredentials", "names a `keyId` that is not there"))?;
                application.certificates.push(before.remove(at));
            }
            CertificateEntry::New { name, document } => fresh.push((name, document)),
        }
    }
    for (name, document) in fresh {
        add(cx, application, name, &document)?;
    }
    cx.note("certificates", application.certificates.len().to_string());
    Ok(before.iter().any(|gone| gone.expires_at > cx.now()))
}

fn add(cx: &Admission<'_>, application: &mut Application, name: String, document: &[u8]) -> Result<CertificateView> {
    if !name.is_empty() {
        naming::check_name("keyCredential.displayName", &name)?;
    }
    if application.is_public {
        let why = "a public client keeps no key: whoever has the application would have it too";
        return Err(Error::new(Kind::Conflict, why));
    }
    let read = AssertionCertificate::read(document).map_err(|why| Error::invalid("keyCredential.key", why))?;
    let expires_at = Timestamp(read.ends_at().saturating_mul(1000));
    if expires_at <= cx.now() {
        return Err(Error::invalid("keyCredential.key", "the certificate has expired"));
    }
    application.certificates.retain(|kept| kept.expires_at > cx.now());
    if application.certificates.len() >= MOST_CERTIFICATES {
        let why = format!("an application has at most {MOST_CERTIFICATES} certificates; remove one first");
        return Err(Error::new(Kind::Conflict, why));
    }
    if application.certificates.iter().any(|kept| kept.sha256 == read.sha256()) {
        return Err(Error::new(Kind::Exists, "the application has this certificate already"));
    }
    cx.note("certificate", seal::hex(read.sha1()));
    let certificate = ClientCertificate {
        id: Uuid::new_v4(),
        name,
        der: read.der().to_vec(),
        sha1: read.sha1().to_vec(),
        sha256: read.sha256().to_vec(),
        created_at: cx.now(),
        expires_at,
    };
    let shown = view(&certificate);
    application.certificates.push(certificate);
    Ok(shown)
}

pub(super) fn view(certificate: &ClientCertificate) -> CertificateView {
    CertificateView {
        id: certificate.id,
        name: certificate.name.clone(),
        thumbprint: certificate.sha1.clone(),
        created_at: certificate.created_at,
        expires_at: certificate.expires_at,
    }
}
