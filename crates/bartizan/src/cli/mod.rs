//! The command line: nouns and verbs, a table for people or JSON for scripts, one sentence and an exit code on failure.

mod access;
mod account;
pub(crate) mod activity_log;
mod ad;
mod alerts;
mod approval;
mod backup;
mod baseline;
mod break_glass;
mod companion;
mod compute;
mod data;
mod datastore;
mod deployment;
mod diagnostics;
mod doctor;
mod encryption;
pub(crate) mod endpoint;
mod endpoint_key;
mod erasure;
mod event_grid;
mod group;
mod identity;
mod identity_provider;
pub(crate) mod image;
mod impact;
mod import;
pub(crate) mod job;
mod keyvault;
mod login;
mod metrics;
pub(crate) mod model;
mod monitor;
mod named;
mod network;
mod network_rule;
mod output;
mod policy;
mod policy_assignment;
mod policy_definition;
mod provider;
mod quota;
mod registry;
mod remembered;
mod role;
mod root_key;
mod secret;
pub(crate) mod serve;
pub(crate) mod session;
mod sign_in;
mod snapshot;
mod storage;
mod throughput;
pub(crate) mod verify_log;
mod workspace;
mod workspace_secret;

pub(crate) use output::{Format, say, tell};
pub use session::sign_in;
pub(crate) use session::{Session, SessionOptions};
pub(crate) use snapshot::upload;

use std::{future::Future, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{failure::Failure, quickstart, server::ServeOptions};

/// A self-hosted, secure-by-default machine-learning workspace.
///
/// Start a server with `bartizan serve`, or see everything at once with `bartizan quickstart`. All other commands talk to a
/// server. Sign in with `bartizan login`, or by these environment variables (a first start writes them to a file to source):
/// BARTIZAN_URL, BARTIZAN_CA, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_SUBSCRIPTION_ID,
/// BARTIZAN_RESOURCE_GROUP, BARTIZAN_WORKSPACE.
///
/// Exit codes: 0 done, 1 failed, 2 called wrongly.
#[derive(Parser)]
#[command(name = "bartizan", version, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until it is told to stop. The first start makes keys, certificate, tenant, subscription and admin.
    Serve(ServeOptions),
    /// Make an empty data directory ready, without serving: what the first `serve` does.
    Init(ServeOptions),
    /// The main job end to end: train, register, build, deploy, score, verify. Real data, real jail, real TLS.
    Quickstart(quickstart::QuickstartOptions),
    Login(login::Login),
    /// Forget the remembered sign-in.
    Logout,
    /// Who is signed in, and where.
    #[command(subcommand)]
    Account(account::Command),
    /// The directory: users, groups, applications and service principals.
    #[command(subcommand)]
    Ad(ad::Command),
    /// What waits for the approval of others, and the rules that make it wait.
    #[command(subcommand)]
    Approval(approval::Command),
    /// How what is here stands to the controls of a security baseline.
    #[command(subcommand)]
    Baseline(baseline::Command),
    /// Policies on what resources may be, where they count, and what is not as they want it.
    #[command(subcommand)]
    PolicyAssignment(policy_assignment::Command),
    /// Policies on what resources may be: those that ship, and your own.
    #[command(subcommand)]
    PolicyDefinition(policy_definition::Command),
    /// Role assignments and definitions: who may do what.
    #[command(subcommand)]
    Role(role::Command),
    /// Who may do what, and why; what a change would change; what in a role misleads.
    #[command(subcommand)]
    Access(access::Command),
    /// What can be granted: the operation catalogue.
    #[command(subcommand)]
    Provider(provider::Command),
    /// Resource groups.
    #[command(subcommand)]
    Group(group::Command),
    /// Templates of resources: check one, see what it would change, deploy it.
    #[command(subcommand)]
    Deployment(deployment::Command),
    /// User-assigned managed identities, as which jobs can act.
    #[command(subcommand)]
    Identity(identity::Command),
    /// Virtual networks, private endpoints, and who is let into a workspace through them.
    #[command(subcommand)]
    Network(network::Command),
    /// Workspaces.
    #[command(subcommand)]
    Workspace(workspace::Command),
    /// Companions of workspaces: storage accounts, vaults, telemetry stores, registries, and their keys.
    #[command(subcommand)]
    Companion(companion::Command),
    /// Container registries: their settings and keys, and the repositories, tags and manifests in them.
    #[command(subcommand)]
    Registry(registry::Command),
    /// Key vaults: vaults themselves, their deletion and recovery, and the secrets and keys they hold.
    #[command(subcommand, name = "keyvault")]
    KeyVault(keyvault::Command),
    /// What storage accounts hold: containers and blobs.
    #[command(subcommand)]
    Storage(storage::Command),
    /// Quotas of cores, by family of machines.
    #[command(subcommand)]
    Quota(quota::Command),
    /// Compute targets.
    #[command(subcommand)]
    Compute(compute::Command),
    /// Data assets: data under a name with versions, and the runs that used it.
    #[command(subcommand)]
    Data(data::Command),
    /// Datastores.
    #[command(subcommand)]
    Datastore(datastore::Command),
    /// Code snapshots: content-addressed, so that unchanged files are not sent again.
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Training jobs.
    #[command(subcommand)]
    Job(job::Command),
    /// Registered models.
    #[command(subcommand)]
    Model(model::Command),
    /// Bring in what another server kept.
    #[command(subcommand)]
    Import(import::Command),
    /// Images built from models.
    #[command(subcommand)]
    Image(image::Command),
    /// Web services: deploy, keys and tokens, score.
    #[command(subcommand)]
    Endpoint(endpoint::Command),
    /// Events that are pushed to webhooks.
    #[command(subcommand, name = "eventgrid")]
    EventGrid(event_grid::Command),
    /// The activity log: who did what, when, with which result.
    #[command(subcommand)]
    ActivityLog(activity_log::Command),
    /// What may leave the installation about its use: nothing, until an owner says so; and every byte of it before it does.
    #[command(subcommand)]
    Diagnostics(diagnostics::Command),
    /// Bring events elsewhere, and query the log tables.
    #[command(subcommand)]
    Monitor(monitor::Command),
    /// Certificates of erasure: what is left of workspaces whose keys were destroyed.
    #[command(subcommand)]
    Erasure(erasure::Command),
    Backup(Box<backup::Backup>),
    Restore(backup::Restore),
    /// The root key, under which everything is sealed.
    #[command(subcommand)]
    RootKey(Box<root_key::Command>),
    /// Verify an activity log offline: its chain and its signed checkpoints. Names the first bad or missing record.
    VerifyLog(verify_log::VerifyLog),
    /// What this machine can enforce around jobs, and what is missing.
    Doctor(doctor::Doctor),
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            tell(&format!("error: {failure}"));
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Serve(options) => serve::serve(options),
        Command::Init(options) => serve::init(options),
        Command::Quickstart(options) => quickstart::quickstart(options),
        Command::Login(login) => block_on(login.run()),
        Command::Logout => account::logout(),
        Command::Account(command) => block_on(command.run()),
        Command::Ad(command) => block_on(command.run()),
        Command::Approval(command) => block_on(command.run()),
        Command::Baseline(command) => block_on(command.run()),
        Command::PolicyAssignment(command) => block_on(command.run()),
        Command::PolicyDefinition(command) => block_on(command.run()),
        Command::Role(command) => block_on(command.run()),
        Command::Access(command) => block_on(command.run()),
        Command::Provider(command) => block_on(command.run()),
        Command::Group(command) => block_on(command.run()),
        Command::Deployment(command) => block_on(command.run()),
        Command::Identity(command) => block_on(command.run()),
        Command::Network(command) => block_on(command.run()),
        Command::Workspace(command) => block_on(command.run()),
        Command::Companion(command) => block_on(command.run()),
        Command::Registry(command) => block_on(command.run()),
        Command::KeyVault(command) => block_on(command.run()),
        Command::Storage(command) => block_on(command.run()),
        Command::Quota(command) => block_on(command.run()),
        Command::Compute(command) => block_on(command.run()),
        Command::Data(command) => block_on(command.run()),
        Command::Datastore(command) => block_on(command.run()),
        Command::Snapshot(command) => block_on(command.run()),
        Command::Job(command) => block_on(command.run()),
        Command::Model(command) => block_on(command.run()),
        Command::Import(command) => block_on(command.run()),
        Command::Image(command) => block_on(command.run()),
        Command::Endpoint(command) => block_on(command.run()),
        Command::EventGrid(command) => block_on(command.run()),
        Command::ActivityLog(command) => block_on(command.run()),
        Command::Diagnostics(command) => block_on(command.run()),
        Command::Monitor(command) => block_on(command.run()),
        Command::Erasure(command) => block_on(command.run()),
        Command::Backup(command) => block_on(command.run()),
        Command::Restore(command) => block_on(command.run()),
        Command::RootKey(command) => block_on(command.run()),
        Command::VerifyLog(command) => block_on(command.run()),
        Command::Doctor(command) => block_on(command.run()),
    }
}

/// Runs a client command: one thread is enough, and starts at once.
fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
