//! The real binary as a process, with real clients: jobs in jails, services, command line, MLflow's and Azure's own clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod access;
mod asked_secrets;
mod azureml_jobs;
mod canary;
mod clients;
mod credentials;
mod data;
mod directory;
mod elevation;
mod formats;
mod holders;
mod identities;
mod jobs;
mod keyvault;
mod quickstart;
mod refusals;
mod root_key;
mod safekeeping;
mod secrets;
mod served;
mod vault_certificates;
mod vault_keys;
