//! Taking in a certificate that somebody brings with its key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Kind as Fault, ResourceId, Result, Secret as Hidden};
use seal::{CertificateBundle, ReadCertificate, VaultKeyFault, VaultPublicKey};

use super::{
    Certificate, CertificateFormat, CertificateIssuer, CertificatePolicy, PolicyForm,
    made::{Made, require_place},
    pending::require_none_waits,
};
use crate::{
    gate::{Changes, Cx, Op},
    resources::Addressed,
    vault::{
        KeyType, ObjectName, Shown,
        attributes::check_tags,
        keys::require_tier,
        opened::{ATTEMPTS, open, scope_of, too_busy},
    },
};

/// Bytes of what is brought.
const MOST_BYTES: usize = 96 * 1024;
/// Bytes of PKCS #12: each of its parts can make reading it take long, so there must not be many.
const MOST_PKCS12: usize = 32 * 1024;
/// What PEM begins its parts with.
const PEM: &str = "-----BEGIN ";
/// Seconds of a month, on average.
const MONTH: i64 = 2_629_746;

/// Takes in a certificate with its key: its first version, or one more.
#[derive(Debug)]
pub struct ImportCertificate {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
    /// PKCS #12 in base64; or PEM, as it is or in base64.
    pub content: Hidden<String>,
    /// The password of PKCS #12; empty when none.
    pub password: Option<Hidden<String>>,
    /// What its next version is made like. What the certificate itself says is taken from there.
    pub policy: PolicyForm,
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for ImportCertificate {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/certificates/import/action", Class::Control);
    type Output = Shown<Certificate>;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Certificate>> {
        check_tags(&self.tags)?;
        let opened = open(cx, &self.vault).await?;
        require_place(cx, &opened, &self.name).await?;
        require_none_waits(cx, &opened, &self.name).await?;
        let Self { vault, name, content, password, policy, enabled, tags } = self;
        let brought = Brought::parse(&content)?;
        let format = brought.format();
        if policy.format.is_some_and(|asked| asked != format) {
            let why = format!("does not say what is brought, which is `{}`", format.name());
            return Err(Error::invalid("policy.secret_props.contentType", why));
        }
        let password = password.unwrap_or_else(|| Hidden::new(String::new()));
        let places = &cx.house().vault;
        let bundle = match format {
            CertificateFormat::Pkcs12 => places.read(move || brought.read(&password)).await?,
            // It is under no password: it waits for nobody's bundle.
            CertificateFormat::Pem => places.make(move || brought.read(&password)).await?,
        };
        let policy = policy_of(&policy, &bundle, format, cx.now().seconds())?;
        require_tier(&opened, policy.kind)?;
        cx.note("kty", policy.kind.name());
        let made = Made::new(policy, &bundle.key, &bundle.chain, enabled, tags)?;
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &vault).await?;
            require_none_waits(cx, &opened, &name).await?;
            let mut changes = Changes::new();
            let object = made.stage(cx, &opened, &name, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| Shown::current(object.value, opened.recovery())),
            }
        }
        Err(too_busy::<Certificate>())
    }
}

/// What is brought, before it is read.
enum Brought {
    Pkcs12(Hidden<Vec<u8>>),
    Pem(Hidden<String>),
}

impl Brought {
    fn parse(content: &Hidden<String>) -> Result<Self> {
        if content.expose().len() > MOST_BYTES {
            return Err(Error::invalid("value", format_args!("at most {MOST_BYTES} bytes")));
        }
        if content.expose().contains(PEM) {
            return Ok(Self::Pem(content.clone()));
        }
        let bare: Hidden<String> = Hidden::new(content.expose().split_ascii_whitespace().collect());
        let unread = |_| Error::invalid("value", "must be PKCS #12 in base64, or PEM");
        let bytes = Hidden::new(STANDARD.decode(bare.expose()).map_err(unread)?);
        match std::str::from_utf8(bytes.expose()) {
            Ok(text) if text.contains(PEM) => Ok(Self::Pem(Hidden::new(text.to_owned()))),
            _ if bytes.expose().len() > MOST_PKCS12 => {
                Err(Error::invalid("value", format_args!("PKCS #12 of at most {MOST_PKCS12} bytes")))
            }
            _ => Ok(Self::Pkcs12(bytes)),
        }
    }

    fn format(&self) -> CertificateFormat {
        match self {
            Self::Pkcs12(_) => CertificateFormat::Pkcs12,
            Self::Pem(_) => CertificateFormat::Pem,
        }
    }

    fn read(&self, password: &Hidden<String>) -> Result<CertificateBundle, VaultKeyFault> {
        match self {
            Self::Pkcs12(bytes) => CertificateBundle::from_pkcs12(bytes.expose(), password.expose()),
            Self::Pem(text) => CertificateBundle::from_pem(text.expose()),
        }
    }
}

/// The policy of what is brought: what it says itself, and beside that what was said of it.
fn policy_of(
    form: &PolicyForm,
    bundle: &CertificateBundle,
    format: CertificateFormat,
    now: i64,
) -> Result<CertificatePolicy> {
    let own = bundle.chain.first().ok_or_else(|| Error::internal("a chain without a certificate"))?;
    let read = ReadCertificate::from_der(own)?;
    let is_hsm = form.kind.is_some_and(KeyType::is_hsm);
    let (kind, size, curve) = match bundle.key.public() {
        VaultPublicKey::Rsa { n, .. } => (KeyType::Rsa, u32::try_from(n.len().saturating_mul(8)).ok(), None),
        VaultPublicKey::Curve { crv, .. } => (KeyType::Ec, None, Some(*crv)),
        VaultPublicKey::Symmetric { .. } => return Err(Error::internal("a certificate of a symmetric key")),
    };
    let issuer = form.issuer.unwrap_or(CertificateIssuer::Unknown);
    let life = read.until.saturating_sub(read.from).saturating_add(MONTH / 2);
    let months = life.checked_div(MONTH).unwrap_or_default().clamp(1, 1200);
    let policy = CertificatePolicy {
        issuer,
        kind: if is_hsm { kind.in_hardware() } else { kind },
        size,
        curve,
        is_exportable: form.is_exportable.unwrap_or(true),
        reuses_key: form.reuses_key.unwrap_or(false),
        format,
        says: read.form,
        months: u32::try_from(months).map_err(Error::internal)?,
        actions: form.actions.clone().unwrap_or_else(|| CertificatePolicy::usual_actions(issuer)),
        created: now,
        updated: now,
    };
    // What somebody else signed may say more than we could: that matters only where we are to sign the next one.
    match issuer {
        CertificateIssuer::Own => policy.check()?,
        CertificateIssuer::Unknown => policy.check_actions()?,
    }
    Ok(policy)
}
