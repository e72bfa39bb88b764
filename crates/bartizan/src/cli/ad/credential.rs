//! Secrets and certificates, of applications and of their service principals alike.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use kernel::{Clock, SystemClock, Timestamp};
use seal::AssertionCertificate;
use serde_json::{Value, json};

use super::{GRAPH, lookup, text};
use crate::{
    cli::{Format, Session, SessionOptions, say},
    failure::Failure,
};

/// Commands on credentials.
#[derive(Subcommand)]
pub enum Command {
    /// Add a secret, which is shown this once, or a certificate. The others stay valid, so that rotation needs no pause.
    ///
    /// Whoever has a credential acts as its holder, so this takes the right to grant all roles that the holder has.
    Add {
        #[command(flatten)]
        one: One,
        /// What it is for.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// When a secret ends, like `2027-01-31T12:00:00Z`. Default: a year from now.
        #[arg(long, value_name = "TIME", conflicts_with_all = ["days", "certificate"])]
        end_date: Option<String>,
        /// After how many days a secret ends.
        #[arg(long, value_name = "N", conflicts_with = "certificate")]
        days: Option<u32>,
        /// File that holds a certificate, PEM or DER; never its private key.
        #[arg(long, value_name = "FILE", alias = "cert")]
        certificate: Option<PathBuf>,
    },
    /// List credentials. Secrets are known by their first characters only.
    List(#[command(flatten)] One),
    /// Remove a credential. Tokens of its holder end at once, since it may be in wrong hands; holders that are still
    /// trusted get new ones with another credential.
    Remove {
        #[command(flatten)]
        one: One,
        /// Its key id, as `list` shows it.
        #[arg(long, value_name = "GUID")]
        key_id: String,
    },
}

/// Whose credentials.
#[derive(Args)]
pub struct One {
    /// Client id, object id of the service principal, or a name that only one has.
    #[arg(value_name = "NAME")]
    id: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// By what the holder is named.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    Application,
    ServicePrincipal,
}

const ROWS: &[(&str, &str)] = &[
    ("Kind", "/kind"),
    ("Key id", "/keyId"),
    ("Name", "/displayName"),
    ("Known by", "/knownBy"),
    ("Ends", "/endDateTime"),
];

impl Command {
    pub(super) async fn run(self, owner: Owner) -> Result<ExitCode, Failure> {
        match self {
            Self::Add { one, display_name, end_date, days, certificate } => {
                if let Some(path) = certificate {
                    let unreadable = |fault| Failure::usage(format!("cannot read {}: {fault}", path.display()));
                    let certificate = certificate_in(&std::fs::read(&path).map_err(unreadable)?)?;
                    let (open, place) = one.open(owner).await?;
                    let key = STANDARD.encode(certificate.der());
                    let credential = json!({"type": "AsymmetricX509Cert", "usage": "Verify", "key": key, "displayName": display_name});
                    let body = json!({"keyCredential": credential});
                    let made = open.post(&format!("{place}/addKey"), &body).await?;
                    return one.session.output.entry(&shown(&made, "certificate"), ROWS);
                }
                let (open, place) = one.open(owner).await?;
                let end = end_date.or_else(|| days.map(|days| in_days(days).rfc3339()));
                let body = json!({"passwordCredential": {"displayName": display_name, "endDateTime": end}});
                add_secret(&open, &one.session, &place, &body).await
            }
            Self::List(one) => {
                let (open, place) = one.open(owner).await?;
                let holder: Value = open.get(&place).await?;
                let of = |field: &str, kind: &str| {
                    let entries = holder.get(field).and_then(Value::as_array);
                    entries.into_iter().flatten().map(|entry| shown(entry, kind)).collect::<Vec<_>>()
                };
                let entries = [of("passwordCredentials", "secret"), of("keyCredentials", "certificate")].concat();
                one.session.output.entries(&entries, ROWS)
            }
            Self::Remove { one, key_id } => {
                let (open, place) = one.open(owner).await?;
                let holder: Value = open.get(&place).await?;
                let certificates = holder.get("keyCredentials").and_then(Value::as_array);
                let is_certificate =
                    certificates.into_iter().flatten().any(|entry| text(entry, "/keyId").eq_ignore_ascii_case(&key_id));
                let verb = if is_certificate { "removeKey" } else { "removePassword" };
                open.post(&format!("{place}/{verb}"), &json!({"keyId": key_id})).await?;
                one.session.output.done("the credential was removed; tokens from before have ended", &Value::Null)
            }
        }
    }
}

impl One {
    async fn open(&self, owner: Owner) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let place = match owner {
            Owner::Application => format!("{GRAPH}/applications/{}", lookup::application(&session, &self.id).await?),
            Owner::ServicePrincipal => {
                format!("{GRAPH}/servicePrincipals/{}", lookup::service_principal(&session, &self.id).await?)
            }
        };
        Ok((session, place))
    }
}

/// Adds a secret to whoever is at `place`, and shows it.
pub(super) async fn add_secret(
    open: &Session,
    options: &SessionOptions,
    place: &str,
    body: &Value,
) -> Result<ExitCode, Failure> {
    // First: nothing may fail between the secret and its being shown.
    let holder: Value = open.get(place).await?;
    let made = open.post(&format!("{place}/addPassword"), body).await?;
    show_secret(open, options, &holder, &text(&made, "/secretText"))
}

/// The document that Azure's tools print and read (`clientId, clientSecret, subscriptionId, tenantId` and addresses).
pub(super) fn show_secret(
    open: &Session,
    options: &SessionOptions,
    holder: &Value,
    secret: &str,
) -> Result<ExitCode, Failure> {
    let principal = holder.get("servicePrincipalId").or_else(|| holder.get("id"));
    let document = json!({
        "clientId": holder.get("appId"),
        "clientSecret": secret,
        "objectId": principal,
        "subscriptionId": options.subscription,
        "tenantId": open.tenant(),
        "activeDirectoryEndpointUrl": open.client().base(),
        "resourceManagerEndpointUrl": open.client().base(),
    });
    if options.output == Format::Table {
        say("the secret is shown this once; keep it in a safe place");
    }
    let rows = [
        ("Client id", "/clientId"),
        ("Client secret", "/clientSecret"),
        ("Object id", "/objectId"),
        ("Tenant", "/tenantId"),
    ];
    options.output.entry(&document, &rows)
}

/// A credential with its kind, and what people know it by.
fn shown(entry: &Value, kind: &str) -> Value {
    let mut entry = entry.clone();
    let known = entry.get("hint").or_else(|| entry.get("customKeyIdentifier")).cloned().unwrap_or_default();
    if let Some(fields) = entry.as_object_mut() {
        fields.insert(String::from("kind"), Value::String(kind.to_owned()));
        fields.insert(String::from("knownBy"), known);
    }
    entry
}

/// The certificate in a file, and nothing else of it: a private key has no business leaving its machine, in whatever form.
fn certificate_in(document: &[u8]) -> Result<AssertionCertificate, Failure> {
    if String::from_utf8_lossy(document).contains("PRIVATE KEY-----") {
        let why = "the file holds a private key, which must stay where it is; give a file with the certificate alone";
        return Err(Failure::usage(why));
    }
    AssertionCertificate::read(document).map_err(|why| {
        Failure::usage(format!("the file holds no certificate that can be used, and nothing was sent: {why}"))
    })
}

fn in_days(days: u32) -> Timestamp {
    SystemClock.now().plus(Duration::from_secs(u64::from(days).saturating_mul(24 * 3600)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

    use super::*;

    #[test]
    fn a_private_key_stays_at_home_and_only_the_certificate_leaves() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let made = CertificateParams::new(vec![String::from("robot")]).unwrap().self_signed(&key).unwrap();
        let pem = made.pem();
        for document in [made.der().as_ref(), pem.as_bytes(), format!("{pem}# a secret note\n").as_bytes()] {
            assert_eq!(certificate_in(document).unwrap().der(), made.der().as_ref());
        }
        for kind in ["", "RSA ", "EC ", "ENCRYPTED "] {
            let file = format!("{pem}\n-----BEGIN {kind}PRIVATE KEY-----\nMII\n");
            assert!(certificate_in(file.as_bytes()).is_err(), "{kind}");
        }
        // A key in PKCS #8, one behind its certificate, and how a PKCS #12 file begins.
        let behind = [made.der().as_ref(), key.serialized_der()].concat();
        let store = [&[0x30, 0x82, 0, 9, 2, 1, 3, 0x30, 0x82, 0, 2, 6, 0][..], key.serialized_der()].concat();
        for document in [key.serialized_der(), &behind, &store, b""] {
            assert!(certificate_in(document).is_err());
        }
    }
}
