//! When a key is rotated by the vault itself.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Value, json};

use super::{KEYS, Named, one};
use crate::failure::Failure;

/// Commands on rotation policies.
#[derive(Subcommand)]
pub enum Command {
    /// Show the policy of a key.
    Show(#[command(flatten)] Named),
    /// Set the policy of a key, instead of the one before. Times are ISO 8601: `P90D`, `P18M`, `P2Y`.
    Update {
        /// Rotate so long after a version was made; 7 days or more.
        #[arg(long, value_name = "SPAN", conflicts_with = "rotate_before_expiry")]
        rotate_after: Option<String>,
        /// Rotate so long before a version ends; takes --expires-in.
        #[arg(long, value_name = "SPAN", requires = "expires_in")]
        rotate_before_expiry: Option<String>,
        /// Write the coming end of a version into the activity log so long before it.
        #[arg(long, value_name = "SPAN")]
        notify_before_expiry: Option<String>,
        /// How long a version lives that rotation makes; 28 days or more.
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<String>,
        #[command(flatten)]
        key: Named,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("Id", "/id"),
    ("Actions", "/lifetimeActions"),
    ("ExpiresIn", "/attributes/expiryTime"),
    ("Updated", "/attributes/updated"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show(key) => {
                one(&key.vault, Method::GET, &format!("{}/rotationpolicy", key.place(&KEYS)?), None, ROWS).await
            }
            Self::Update { rotate_after, rotate_before_expiry, notify_before_expiry, expires_in, key } => {
                let action = |act: &str, trigger: &str, span: Option<String>| {
                    span.map(|span| json!({"trigger": {trigger: span}, "action": {"type": act}}))
                };
                let actions: Vec<Value> = [
                    action("Rotate", "timeAfterCreate", rotate_after),
                    action("Rotate", "timeBeforeExpiry", rotate_before_expiry),
                    action("Notify", "timeBeforeExpiry", notify_before_expiry),
                ]
                .into_iter()
                .flatten()
                .collect();
                let body = json!({"lifetimeActions": actions, "attributes": {"expiryTime": expires_in}});
                one(&key.vault, Method::PUT, &format!("{}/rotationpolicy", key.place(&KEYS)?), Some(body), ROWS).await
            }
        }
    }
}
