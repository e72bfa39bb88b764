//! Vaults themselves.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    cli::{Session, SessionOptions},
    failure::Failure,
};

/// From where a vault is reached.
#[derive(Args, Default)]
pub struct Reach {
    /// Nothing is purged before its time. Once on, it stays.
    #[arg(long)]
    enable_purge_protection: bool,
    /// Whether it is reached at all but through private endpoints: `Enabled` or `Disabled`.
    #[arg(long, value_name = "Enabled|Disabled")]
    public_network_access: Option<String>,
    /// What becomes of addresses that no rule names: `Allow` or `Deny`.
    #[arg(long, value_name = "Allow|Deny")]
    default_action: Option<String>,
    /// Addresses and ranges that are let in, instead of those before: `10.0.0.0/8`.
    #[arg(long, num_args = 0.., value_name = "CIDR")]
    network_acls_ips: Option<Vec<String>>,
}

/// Commands on vaults.
#[derive(Subcommand)]
pub enum Command {
    /// Create a vault. What is deleted in it rests for its retention, as it does itself.
    Create {
        /// Its name: 3 to 24 letters, digits and `-`; part of an address, and so nobody else's.
        #[arg(short, long)]
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        /// Days that what is deleted rests, 7 to 90. Set once.
        #[arg(long, value_name = "DAYS")]
        retention_days: Option<u16>,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Change from where it is reached, or turn protection against purging on.
    Update {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one; refused while a workspace uses it. It rests with all that it holds.
    Delete {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List deleted vaults of the subscription.
    ListDeleted(#[command(flatten)] SessionOptions),
    /// Take a deletion back: the vault, all that it held, and who may use it.
    Recover {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Destroy a deleted vault's key: nothing that it held can be read again.
    Purge {
        /// Its name.
        #[arg(short, long)]
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("VaultUri", "/properties/vaultUri"),
    ("RetentionDays", "/properties/softDeleteRetentionInDays"),
    ("PurgeProtection", "/properties/enablePurgeProtection"),
    ("PublicNetworkAccess", "/properties/publicNetworkAccess"),
    ("DefaultAction", "/properties/networkAcls/defaultAction"),
];
const DELETED: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("VaultId", "/properties/vaultId"),
    ("Deleted", "/properties/deletionDate"),
    ("Purged", "/properties/scheduledPurgeDate"),
    ("PurgeProtection", "/properties/purgeProtectionEnabled"),
];

impl Reach {
    fn properties(self) -> Map<String, Value> {
        let mut out = Map::new();
        if self.enable_purge_protection {
            out.insert(String::from("enablePurgeProtection"), json!(true));
        }
        if let Some(word) = self.public_network_access {
            out.insert(String::from("publicNetworkAccess"), json!(word));
        }
        let mut acls = Map::new();
        if let Some(word) = self.default_action {
            acls.insert(String::from("defaultAction"), json!(word));
        }
        if let Some(ranges) = self.network_acls_ips {
            let rules: Vec<Value> = ranges.iter().map(|range| json!({"value": range})).collect();
            acls.insert(String::from("ipRules"), json!(rules));
        }
        if !acls.is_empty() {
            out.insert(String::from("networkAcls"), Value::Object(acls));
        }
        out
    }
}

fn place(session: &Session, name: &str) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.KeyVault/vaults/{name}", session.group()?))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, location, retention_days, reach, session } => {
                let mut properties = reach.properties();
                if let Some(days) = retention_days {
                    properties.insert(String::from("softDeleteRetentionInDays"), json!(days));
                }
                put(&session, &name, &json!({"location": location, "properties": properties})).await
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let all = format!("{}/providers/Microsoft.KeyVault/vaults", open.group()?);
                session.output.entries(&open.list(&all).await?, ROWS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                session.output.entry(&open.get::<Value>(&place(&open, &name)?).await?, ROWS)
            }
            Self::Update { name, reach, session } => {
                let open = Session::open(&session).await?;
                open.patch(&place(&open, &name)?, &json!({"properties": reach.properties()})).await?;
                session.output.entry(&open.get::<Value>(&place(&open, &name)?).await?, ROWS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&place(&open, &name)?).await?;
                session
                    .output
                    .done(&format!("vault {name} is deleted; `keyvault recover` takes that back"), &Value::Null)
            }
            Self::ListDeleted(session) => {
                let open = Session::open(&session).await?;
                let all = format!("{}/providers/Microsoft.KeyVault/deletedVaults", open.subscription()?);
                session.output.entries(&open.list(&all).await?, DELETED)
            }
            Self::Recover { name, session } => {
                put(&session, &name, &json!({"properties": {"createMode": "recover"}})).await
            }
            Self::Purge { name, session } => {
                let open = Session::open(&session).await?;
                let deleted = "providers/Microsoft.KeyVault/locations/local/deletedVaults";
                open.post(&format!("{}/{deleted}/{name}/purge", open.subscription()?), &json!({})).await?;
                session.output.done(&format!("vault {name} is purged"), &Value::Null)
            }
        }
    }
}

async fn put(session: &SessionOptions, name: &str, body: &Value) -> Result<ExitCode, Failure> {
    let open = Session::open(session).await?;
    session.output.entry(&open.put(&place(&open, name)?, body).await?, ROWS)
}
