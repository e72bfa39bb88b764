//! Workspaces.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use outbound::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    Session, SessionOptions, encryption, impact, network_rule, role, session::json_or_null, throughput,
    workspace_secret,
};
use crate::failure::Failure;

/// Commands on workspaces.
#[derive(Subcommand)]
pub enum Command {
    /// Create one in the resource group, with its vault, storage account, telemetry store, datastores and local target.
    Create {
        /// Its name: 3 to 32 letters, digits, `-` or `_`.
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        /// For people.
        #[arg(long)]
        friendly_name: Option<String>,
        /// The edition: `basic`, or `enterprise`, whose quotas can be managed.
        #[arg(long, default_value = "basic")]
        sku: String,
        /// Create the resource group too.
        #[arg(long)]
        create_resource_group: bool,
        /// Show the workspace that has this name, as it is, if there is one already. Without this, that is an error.
        #[arg(long)]
        exist_ok: bool,
        #[command(flatten)]
        companions: Companions,
        #[command(flatten)]
        key: encryption::NewKey,
        /// High business impact, for good: no run begins where its scratch can reach a disk, nothing of it is collected for
        /// diagnostics, and no name in it may tell who works there.
        #[arg(long, alias = "high-business-impact")]
        hbi_workspace: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group, or of the subscription when no group is set.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    Update(network_rule::Update),
    #[command(flatten)]
    Impact(impact::Command),
    /// The key that holds one's data.
    #[command(subcommand)]
    Encryption(encryption::Command),
    #[command(subcommand)]
    Throughput(throughput::Command),
    /// The addresses that may reach one.
    #[command(subcommand)]
    NetworkRule(network_rule::Command),
    #[command(subcommand)]
    Secret(workspace_secret::Command),
    /// Share one: assign a role on it.
    Share {
        /// Its name.
        name: String,
        /// Object id of a user, group or service principal.
        #[arg(long)]
        user: String,
        /// Name of the role.
        #[arg(long)]
        role: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show the keys of its storage account and registry, as it synced them last, and its telemetry store's key.
    ListKeys {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take over keys of its companions that were regenerated, and give its identity the roles that it lacks.
    SyncKeys {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Look at what it depends on: its companions, their keys, and what its identity may do there. Nothing is shown when all is
    /// well.
    Diagnose {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one. Its jobs, services and computes end; the rest can be recovered for some days, and then is purged.
    ///
    /// One under a customer-managed key rests like any other, and needs that key to be recovered.
    ///
    /// Its name stays taken until it is purged. Its storage account, vault, telemetry store and registry stay, unless you
    /// ask for their end too.
    Delete {
        /// Its name.
        name: String,
        /// Destroy its key at once: its data can never be read again.
        #[arg(long, alias = "permanently-delete")]
        force_to_purge: bool,
        /// Delete its storage account, vault, telemetry store and registry too, where no other workspace uses them. Without
        /// them it cannot be recovered.
        #[arg(long, alias = "all-resources")]
        delete_dependent_resources: bool,
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List deleted ones that can be recovered, of the resource group, or of the subscription when no group is set.
    ListDeleted(#[command(flatten)] SessionOptions),
    /// Recover a deleted one, as it was. Jobs and services that ended stay ended.
    Recover {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Purge a deleted one: destroy its key, so that its data can never be read again, and free its name.
    Purge {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Companions of a new workspace that are there already; the others are made with it.
#[derive(Args)]
pub struct Companions {
    /// Resource id of a storage account.
    #[arg(long)]
    storage_account: Option<String>,
    /// Resource id of a vault.
    #[arg(long)]
    key_vault: Option<String>,
    /// Resource id of a telemetry store.
    #[arg(long)]
    app_insights: Option<String>,
    /// Resource id of a registry; without one, it is made with the first image.
    #[arg(long)]
    container_registry: Option<String>,
}

const COLUMNS: &[(&str, &str)] = &[("Name", "/name"), ("Location", "/location"), ("Id", "/id")];
const KEYS: &[(&str, &str)] = &[
    ("Storage account", "/userStorageResourceId"),
    ("Storage key", "/userStorageKey"),
    ("Instrumentation key", "/appInsightsInstrumentationKey"),
    ("Registry user", "/containerRegistryCredentials/username"),
    ("Registry password", "/containerRegistryCredentials/passwords/0/value"),
];
const FINDINGS: &[(&str, &str)] =
    &[("Group", "/group"), ("Level", "/level"), ("Code", "/code"), ("Message", "/message")];
const DELETED: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Deleted", "/properties/softDeletedAt"),
    ("Purged", "/properties/scheduledPurgeDate"),
    ("Id", "/id"),
];
const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Id", "/id"),
    ("Edition", "/sku/name"),
    ("High impact", "/properties/hbiWorkspace"),
    ("Workspace GUID", "/properties/workspaceId"),
    ("Storage account", "/properties/storageAccount"),
    ("Key vault", "/properties/keyVault"),
    ("Telemetry store", "/properties/applicationInsights"),
    ("Registry", "/properties/containerRegistry"),
    ("Created", "/properties/creationTime"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create {
                name,
                location,
                friendly_name,
                sku,
                create_resource_group,
                exist_ok,
                companions,
                key,
                hbi_workspace,
                session,
            } => {
                let open = Session::open(&session).await?;
                if create_resource_group {
                    open.put(&open.group()?, &json!({"location": location})).await?;
                }
                let body = json!({"location": location, "sku": {"name": sku}, "properties": {
                    "friendlyName": friendly_name,
                    "storageAccount": companions.storage_account,
                    "keyVault": companions.key_vault,
                    "applicationInsights": companions.app_insights,
                    "containerRegistry": companions.container_registry,
                    "encryption": key.body(),
                    "hbiWorkspace": hbi_workspace.then_some(true),
                }});
                session.output.entry(&create(&open, &name, &body, exist_ok).await?, ROWS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let below = "providers/Microsoft.MachineLearningServices/workspaces";
                let place = match session.resource_group {
                    Some(_) => open.workspaces()?,
                    None => format!("{}/{below}", open.subscription()?),
                };
                session.output.entries(&open.list(&place).await?, COLUMNS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/{name}", open.workspaces()?)).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Update(update) => update.run().await,
            Self::Impact(command) => command.run().await,
            Self::Encryption(command) => command.run().await,
            Self::Throughput(command) => command.run().await,
            Self::NetworkRule(command) => command.run().await,
            Self::Secret(command) => command.run().await,
            Self::Share { name, user, role, session } => {
                let open = Session::open(&session).await?;
                let scope = format!("{}/{name}", open.workspaces()?);
                let made = role::assign(&open, &scope, &role, &user).await?;
                session.output.done(&format!("{user} holds {role} on {name}"), &made)
            }
            Self::ListKeys { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/listKeys", open.workspaces()?);
                session.output.entry(&open.post(&place, &json!({})).await?, KEYS)
            }
            Self::SyncKeys { name, session } => {
                let open = Session::open(&session).await?;
                open.post(&format!("{}/{name}/resyncKeys", open.workspaces()?), &json!({})).await?;
                session.output.done(&format!("workspace {name} has the present keys and its grants"), &Value::Null)
            }
            Self::Diagnose { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}/diagnose", open.workspaces()?);
                let found = open.post(&place, &json!({"value": {}})).await?;
                let entries = findings(&found);
                session.output.entries(&entries, FINDINGS)?;
                let is_broken = entries.iter().any(|entry| entry.get("level").and_then(Value::as_str) == Some("Error"));
                Ok(if is_broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Self::Delete { name, force_to_purge, delete_dependent_resources, yes: _, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}", open.workspaces()?);
                let companions = match delete_dependent_resources {
                    true => companions(&open.get(&place).await?),
                    false => Vec::new(),
                };
                let keep = !force_to_purge;
                open.delete(&format!("{place}?forceToPurge={force_to_purge}&keepForRecovery={keep}")).await?;
                for companion in companions {
                    open.delete(&companion).await?;
                }
                let words = match force_to_purge {
                    true => format!("workspace {name} is gone, and its key with it"),
                    false => format!("workspace {name} is deleted; `bartizan workspace recover {name}` brings it back"),
                };
                session.output.done(&words, &Value::Null)
            }
            Self::ListDeleted(session) => {
                let open = Session::open(&session).await?;
                let parent = match session.resource_group {
                    Some(_) => open.group()?,
                    None => open.subscription()?,
                };
                let place = format!("{parent}/providers/Microsoft.MachineLearningServices/deletedWorkspaces");
                session.output.entries(&open.list(&place).await?, DELETED)
            }
            Self::Recover { name, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/{name}", open.workspaces()?);
                deleted(&open, &name).await?;
                let body = json!({"properties": {"allowRecoverSoftDeletedWorkspace": "True"}});
                session.output.entry(&open.put(&place, &body).await?, ROWS)
            }
            Self::Purge { name, yes: _, session } => {
                let open = Session::open(&session).await?;
                deleted(&open, &name).await?;
                open.delete(&format!("{}/{name}?forceToPurge=true", open.workspaces()?)).await?;
                session.output.done(&format!("workspace {name} is gone, and its key with it"), &Value::Null)
            }
        }
    }
}

/// Creates a workspace that is not there yet.
async fn create(open: &Session, name: &str, body: &Value, exist_ok: bool) -> Result<Value, Failure> {
    let place = format!("{}/{name}", open.workspaces()?);
    let call = open.call(Method::PUT, &place).header("if-none-match", "*").json(body);
    let answer = call.send().await?;
    if answer.status() != StatusCode::PRECONDITION_FAILED {
        return json_or_null(answer.success().await?).await;
    }
    match exist_ok {
        true => open.get(&place).await,
        false => {
            let why = format!("there is a workspace `{name}` already; say --exist-ok if it is the one you mean");
            Err(Failure::new(why))
        }
    }
}

/// The ids of a workspace's companions.
fn companions(workspace: &Value) -> Vec<String> {
    let named = ["storageAccount", "keyVault", "applicationInsights", "containerRegistry"];
    let id = |name: &&str| workspace.pointer(&format!("/properties/{name}"))?.as_str().map(str::to_owned);
    named.iter().filter_map(id).collect()
}

/// All findings of a diagnosis, each with the group it is in.
fn findings(answer: &Value) -> Vec<Value> {
    let mut entries = Vec::new();
    for (group, found) in answer.get("value").and_then(Value::as_object).into_iter().flatten() {
        for entry in found.as_array().into_iter().flatten() {
            let mut entry = entry.clone();
            if let Some(fields) = entry.as_object_mut() {
                fields.insert(String::from("group"), json!(group.trim_end_matches("Results")));
            }
            entries.push(entry);
        }
    }
    entries
}

/// Refuses unless a deleted workspace of this name can be recovered: neither command is to create or purge a living one.
async fn deleted(open: &Session, name: &str) -> Result<(), Failure> {
    let place = format!("{}/providers/Microsoft.MachineLearningServices/deletedWorkspaces", open.group()?);
    let is_it =
        |found: &Value| found.get("name").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name));
    if open.list(&place).await?.iter().any(is_it) {
        return Ok(());
    }
    Err(Failure::new(format!("no deleted workspace `{name}`: `bartizan workspace list-deleted` shows those there are")))
}
