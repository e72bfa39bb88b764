//! Azure Resource Manager (`/subscriptions/…`), and the native control API, which is the same.

mod access;
mod account_encryption;
mod account_signatures;
mod baseline;
mod blob_services;
mod break_glass;
mod cloud;
mod codes;
mod companions;
mod data;
mod datastores;
mod deployments;
mod diagnose;
mod encryption;
mod endpoints;
mod erasures;
mod error;
mod groups;
mod identities;
mod images;
mod impact;
mod inventory;
mod jobs;
mod log_stores;
mod managed_groups;
mod models;
mod named_keys;
mod network;
mod operations;
mod pages;
mod policy_states;
mod private_endpoints;
mod providers;
mod quotas;
mod registries;
mod reseal;
mod snapshots;
mod storage_accounts;
mod templates;
mod throughput;
mod vaults;
mod view;
mod virtual_networks;
mod workspace_keys;
mod workspaces;

pub use error::Fault;
pub(crate) use error::detail;
pub(crate) use view::{list, named, precondition, show};

use crate::Doors;

pub(crate) const GROUP: &str = "/subscriptions/{subscription}/resourceGroups/{group}";
pub(crate) const WORKSPACE: &str = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}";

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors
        .face(cloud::doors)
        .face(groups::doors)
        .face(inventory::doors)
        .face(providers::doors)
        .face(companions::doors)
        .face(blob_services::doors)
        .face(account_signatures::doors)
        .face(vaults::doors)
        .face(identities::doors)
        .face(log_stores::doors)
        .face(workspaces::doors)
        .face(erasures::doors)
        .face(encryption::doors)
        .face(break_glass::doors)
        .face(managed_groups::doors)
        .face(throughput::doors)
        .face(impact::doors)
        .face(reseal::doors)
        .face(network::doors)
        .face(virtual_networks::doors)
        .face(private_endpoints::doors)
        .face(workspace_keys::doors)
        .face(data::doors)
        .face(datastores::doors)
        .face(diagnose::doors)
        .face(quotas::doors)
        .face(snapshots::doors)
        .face(codes::doors)
        .face(jobs::doors)
        .face(access::doors)
        .face(policy_states::doors)
        .face(baseline::doors)
        .face(models::doors)
        .face(images::doors)
        .face(operations::doors)
        .face(endpoints::doors)
        .face(named_keys::doors)
        .face(deployments::doors)
        .face(templates::doors)
}
