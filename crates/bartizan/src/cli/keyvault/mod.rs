//! Key vaults: vaults themselves, and what they hold.

mod at_vault;
mod certificate;
mod kept;
mod key;
mod secret;
mod vault;

use std::process::ExitCode;

use clap::Subcommand;

pub(super) use at_vault::{AtVault, VaultOptions};

use crate::failure::Failure;

/// Commands on vaults and what they hold.
#[derive(Subcommand)]
pub enum Command {
    /// Certificates: signed by themselves, by somebody who is given a request, or brought; each with its key and secret.
    ///
    /// Owning a vault gives no right to its certificates: assign a role such as `Key Vault Certificates Officer` or `Key Vault
    /// Certificate User` at the vault, or at one certificate (`{vault id}/certificates/{name}`). The vault is named by --vault-name or
    /// BARTIZAN_KEY_VAULT.
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Keys: made here or brought, used here alone.
    ///
    /// Owning a vault gives no right to its keys: assign a role such as `Key Vault Crypto Officer` or `Key Vault Crypto User` at the
    /// vault, or at one key (`{vault id}/keys/{name}`). The vault is named by --vault-name or BARTIZAN_KEY_VAULT.
    #[command(subcommand)]
    Key(key::Command),
    /// Secrets: text that somebody gave, in versions.
    ///
    /// Owning a vault gives no right to what it holds: assign a role such as `Key Vault Secrets Officer` or `Key Vault Secrets User`
    /// at the vault, or at one secret (`{vault id}/secrets/{name}`). The vault is named by --vault-name or BARTIZAN_KEY_VAULT.
    #[command(subcommand)]
    Secret(secret::Command),
    #[command(flatten)]
    Vault(vault::Command),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Certificate(command) => command.run().await,
            Self::Key(command) => command.run().await,
            Self::Secret(command) => command.run().await,
            Self::Vault(command) => command.run().await,
        }
    }
}
