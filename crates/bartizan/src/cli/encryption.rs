//! Customer-managed keys of workspaces.

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions, tell};
use crate::failure::Failure;

/// The key that shall hold a workspace's data; of a new one without, the server's own keyring does.
#[derive(Args)]
pub struct NewKey {
    /// Resource id of the vault that has the key; it needs purge protection. A vault elsewhere takes none.
    #[arg(long, requires = "resource_cmk_uri")]
    cmk_keyvault: Option<String>,
    /// Address of the key with its version: `https://<vault>.vault.<suffix>/keys/<name>/<version>`.
    #[arg(long)]
    resource_cmk_uri: Option<String>,
    /// Instead: a holder elsewhere that the server's operator named with `serve --key-holders`.
    #[arg(long, value_name = "HOLDER", requires = "key_name", conflicts_with = "resource_cmk_uri")]
    key_holder: Option<String>,
    /// The key's name at that holder.
    #[arg(long, value_name = "NAME", requires = "key_holder")]
    key_name: Option<String>,
}

impl NewKey {
    /// As a body's `properties.encryption` says it.
    pub fn body(&self) -> Value {
        if self.resource_cmk_uri.is_none() && self.key_holder.is_none() {
            return Value::Null;
        }
        json!({"status": "Enabled", "keyVaultProperties": self.properties()})
    }

    /// As `keyVaultProperties` says it.
    fn properties(&self) -> Value {
        match (&self.key_holder, &self.key_name) {
            (Some(holder), Some(name)) => json!({"keyHolder": holder, "keyName": name}),
            _ => json!({"keyVaultArmId": self.cmk_keyvault, "keyIdentifier": self.resource_cmk_uri}),
        }
    }
}

/// Commands on the key that holds a workspace's data.
#[derive(Subcommand)]
pub enum Command {
    /// Show which key holds the data, and whether it can be used now.
    Show {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show under which key, and which version of it, each kind of stored data lies: found in the stored rows themselves.
    ///
    /// Rows are counted by the version of the key that they name. Blobs have a key each, which lies in such a row. It takes no key, and
    /// works while the workspace is locked.
    Prove {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Hold the data with another key, or another version, from now on. Nothing is interrupted, and the key it had is needed no more.
    ChangeKey {
        /// The workspace's name.
        name: String,
        #[command(flatten)]
        key: NewKey,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Give the data a new key, and seal all of it anew under that, while it is in use.
    ///
    /// Changing the customer-managed key writes the keyring anew, and no data; this writes all data anew. Rows are sealed anew; blobs
    /// keep their own keys, which are wrapped anew. A minute after the last row, the older versions of the key are destroyed. It goes
    /// on after a restart where it was.
    Reseal(Reseal),
    /// Let two people together open a workspace for a time when its customer-managed key is gone.
    #[command(subcommand)]
    BreakGlass(super::break_glass::Command),
}

/// Sealing anew.
#[derive(Args)]
pub struct Reseal {
    /// The workspace's name.
    name: String,
    /// Wait until everything is sealed anew, and say how far it is meanwhile.
    #[arg(long)]
    watch: bool,
    /// Begin nothing: show how the last one stands, and count the rows that an older version still seals.
    #[arg(long, conflicts_with = "watch")]
    status: bool,
    #[command(flatten)]
    session: SessionOptions,
}

/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(500);
const RESEAL: &[(&str, &str)] = &[
    ("State", "/state"),
    ("Percent", "/percentComplete"),
    ("Key version", "/keyVersion"),
    ("Older versions", "/olderVersions"),
    ("Rows sealed anew", "/resealed"),
    ("Blobs re-wrapped", "/rewrappedBlobs"),
    ("Began", "/startedAt"),
    ("Sealed", "/sealedAt"),
    ("Older destroyed", "/retiredAt"),
    ("Failure", "/failure"),
];
const TABLES: &[(&str, &str)] = &[
    ("Table", "/name"),
    ("Rows", "/rows"),
    ("Sealed anew", "/resealed"),
    ("Blobs re-wrapped", "/rewrappedBlobs"),
    ("Unreadable", "/unreadable"),
    ("On older keys", "/older"),
];

const PROOF: &[(&str, &str)] = &[
    ("Class", "/class"),
    ("Keyring", "/keyId"),
    ("Version", "/keyVersion"),
    ("Held by", "/heldBy"),
    ("Rows by version", "/rowsByKeyVersion"),
    ("All of them", "/complete"),
    ("Where", "/where"),
];

const ROWS: &[(&str, &str)] = &[
    ("Customer-managed", "/status"),
    ("State", "/state"),
    ("Vault", "/keyVaultProperties/keyVaultArmId"),
    ("Key", "/keyVaultProperties/keyIdentifier"),
    ("Holder", "/keyVaultProperties/keyHolder"),
    ("Key there", "/keyVaultProperties/keyName"),
    ("Reason", "/reason"),
    ("Opened by", "/breakGlass/requestedBy"),
    ("Approved by", "/breakGlass/approvedBy"),
    ("Open until", "/breakGlass/until"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/encryption", open.workspaces()?);
                session.output.entry(&open.get::<Value>(&place).await?, ROWS)
            }
            Self::Prove { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/encryption/proof", open.workspaces()?);
                let found: Value = open.get(&place).await?;
                match (session.output, found.get("stores").and_then(Value::as_array)) {
                    (Format::Table, Some(stores)) => session.output.entries(stores, PROOF),
                    _ => session.output.entry(&found, PROOF),
                }
            }
            Self::ChangeKey { name, key, session } => {
                if key.body().is_null() {
                    let why = "name the key: --resource-cmk-uri with --cmk-keyvault, or --key-holder with --key-name";
                    return Err(Failure::usage(why));
                }
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/changeEncryptionKey", open.workspaces()?);
                session.output.entry(&open.post(&place, &key.properties()).await?, ROWS)
            }
            Self::Reseal(reseal) => reseal.run().await,
            Self::BreakGlass(command) => command.run().await,
        }
    }
}

impl Reseal {
    async fn run(self) -> Result<ExitCode, Failure> {
        let Self { name, watch, status, session } = self;
        let open = Session::open(&session).await?;
        let place = format!("{}/{name}/encryption/reseal", open.workspaces()?);
        if status {
            return show(session.output, &open.get(&format!("{place}?count=true")).await?);
        }
        let mut found = open.post(&place, &json!({})).await?;
        if !watch {
            return session.output.entry(&found, RESEAL);
        }
        let mut told = Value::Null;
        while found.get("state").and_then(Value::as_str) == Some("Sealing") {
            let percent = found.get("percentComplete").cloned().unwrap_or_default();
            if percent != told {
                tell(&format!("{percent} % of what there was is under the new key"));
                told = percent;
            }
            tokio::time::sleep(PAUSE).await;
            found = open.get(&place).await?;
        }
        if let Some(why) = found.get("failure").and_then(Value::as_str) {
            return Err(Failure::new(why.to_owned()));
        }
        show(session.output, &open.get(&format!("{place}?count=true")).await?)
    }
}

fn show(output: Format, found: &Value) -> Result<ExitCode, Failure> {
    output.entry(found, RESEAL)?;
    if output == Format::Table
        && let Some(tables) = found.get("tables").and_then(Value::as_array)
    {
        output.entries(tables, TABLES)?;
    }
    Ok(ExitCode::SUCCESS)
}
