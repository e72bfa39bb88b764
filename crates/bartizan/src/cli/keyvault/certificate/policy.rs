//! What the next version of a certificate is made like, and when.

use std::{io::Read, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{CERTIFICATES, Named, one};
use crate::failure::Failure;

/// Bytes of the longest policy that is read.
const LONGEST: u64 = 64 * 1024;

/// What is said of a policy. What is not said is as usual when a certificate is made, and stays when a policy is changed.
#[derive(Args)]
pub struct PolicyOptions {
    /// A file with a policy as JSON, in the words of Azure (`policy show --output json`); the options below go over it.
    #[arg(short, long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The subject's distinguished name: `CN=example.com, O=Example`.
    #[arg(long)]
    subject: Option<String>,
    /// Names of servers.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    dns: Option<Vec<String>>,
    /// Addresses of mail.
    #[arg(long, num_args = 1.., value_name = "ADDRESS")]
    email: Option<Vec<String>>,
    /// Principal names of users.
    #[arg(long, num_args = 1.., value_name = "NAME")]
    upn: Option<Vec<String>>,
    /// Who signs: `Self`, or `Unknown` for somebody who is given a request.
    #[arg(long)]
    issuer: Option<String>,
    /// The key's type: `RSA` or `EC`.
    #[arg(long)]
    kty: Option<String>,
    /// Bits of an RSA key: 2048, 3072 or 4096.
    #[arg(long)]
    size: Option<u32>,
    /// The curve of an EC key: `P-256`, `P-384` or `P-521`.
    #[arg(long)]
    curve: Option<String>,
    /// Whether the secret holds the private half.
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    exportable: Option<bool>,
    /// Whether the next version has the same key.
    #[arg(long, action = clap::ArgAction::Set, value_name = "true|false")]
    reuse_key: Option<bool>,
    /// What the secret holds: `application/x-pkcs12` or `application/x-pem-file`.
    #[arg(long)]
    content_type: Option<String>,
    /// What the certificate is for: object identifiers.
    #[arg(long, num_args = 1.., value_name = "OID")]
    ekus: Option<Vec<String>>,
    /// What its key may be used for: `digitalSignature keyEncipherment …`.
    #[arg(long, num_args = 1.., value_name = "USAGE")]
    key_usage: Option<Vec<String>>,
    /// How many months it is valid.
    #[arg(long, value_name = "MONTHS")]
    validity: Option<u32>,
    /// Renew it so many days before its end.
    #[arg(long, value_name = "DAYS", conflicts_with = "renew_at")]
    renew_before: Option<u32>,
    /// Renew it when so many hundredths of its life are over.
    #[arg(long, value_name = "PERCENT")]
    renew_at: Option<u32>,
    /// Write its coming end into the activity log so many days before it.
    #[arg(long, value_name = "DAYS")]
    tell_before: Option<u32>,
}

impl PolicyOptions {
    /// What is sent for it.
    pub(super) fn body(self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        if let Some(file) = &self.policy {
            let mut text = String::new();
            std::fs::File::open(file)?.take(LONGEST).read_to_string(&mut text)?;
            let unread = |_| Failure::usage("--policy takes a file with one JSON object");
            body = serde_json::from_str(&text).map_err(unread)?;
        }
        let actions: Vec<Value> = [
            self.renew_before.map(|days| ("AutoRenew", json!({"days_before_expiry": days}))),
            self.renew_at.map(|part| ("AutoRenew", json!({"lifetime_percentage": part}))),
            self.tell_before.map(|days| ("EmailContacts", json!({"days_before_expiry": days}))),
        ]
        .into_iter()
        .flatten()
        .map(|(act, trigger)| json!({"trigger": trigger, "action": {"action_type": act}}))
        .collect();
        if !actions.is_empty() {
            body.insert(String::from("lifetime_actions"), json!(actions));
        }
        let names = [("dns_names", self.dns), ("emails", self.email), ("upns", self.upn)];
        let names: Map<String, Value> =
            names.into_iter().filter_map(|(name, list)| Some((name.to_owned(), json!(list?)))).collect();
        let names = Some(names).filter(|names| !names.is_empty()).map(Value::Object);
        say(&mut body, "issuer", [("name", self.issuer.map(Value::from))]);
        say(&mut body, "secret_props", [("contentType", self.content_type.map(Value::from))]);
        say(
            &mut body,
            "key_props",
            [
                ("kty", self.kty.map(Value::from)),
                ("key_size", self.size.map(Value::from)),
                ("crv", self.curve.map(Value::from)),
                ("exportable", self.exportable.map(Value::from)),
                ("reuse_key", self.reuse_key.map(Value::from)),
            ],
        );
        say(
            &mut body,
            "x509_props",
            [
                ("subject", self.subject.map(Value::from)),
                ("sans", names),
                ("ekus", self.ekus.map(Value::from)),
                ("key_usage", self.key_usage.map(Value::from)),
                ("validity_months", self.validity.map(Value::from)),
            ],
        );
        Ok(body)
    }
}

/// Puts what was said into one group of a policy, over what the file says.
fn say<const N: usize>(body: &mut Map<String, Value>, group: &str, said: [(&str, Option<Value>); N]) {
    let said: Vec<_> = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    if said.is_empty() {
        return;
    }
    let fields = body.entry(group.to_owned()).or_insert_with(|| json!({}));
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(said);
    }
}

/// Commands on policies.
#[derive(Subcommand)]
pub enum Command {
    /// Show the policy of a certificate.
    Show(#[command(flatten)] Named),
    /// Change the policy of a certificate; it holds from the next version on.
    Update {
        #[command(flatten)]
        policy: Box<PolicyOptions>,
        #[command(flatten)]
        certificate: Named,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("Issuer", "/issuer/name"),
    ("Key", "/key_props"),
    ("Secret", "/secret_props/contentType"),
    ("Says", "/x509_props"),
    ("Actions", "/lifetime_actions"),
    ("Updated", "/attributes/updated"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let place = |certificate: &Named| Ok::<_, Failure>(format!("{}/policy", certificate.place(&CERTIFICATES)?));
        match self {
            Self::Show(certificate) => one(&certificate.vault, Method::GET, &place(&certificate)?, None, ROWS).await,
            Self::Update { policy, certificate } => {
                let body = Some(Value::Object(policy.body()?));
                one(&certificate.vault, Method::PATCH, &place(&certificate)?, body, ROWS).await
            }
        }
    }
}
