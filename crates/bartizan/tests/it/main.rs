//! The whole server, entered through its doors.

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
mod arm;
mod artifacts;
mod audit;
mod baseline;
mod blobs;
mod browser;
mod capacity;
mod companions;
mod data_assets;
mod datastores;
mod deleted;
mod deployments;
mod directory;
mod erasures;
mod federation;
mod gate;
mod governance;
mod grants;
mod history;
mod house;
mod identity;
mod impact;
mod inventory;
mod metrics;
mod monitor;
mod nested;
mod network;
mod oauth;
mod pages;
mod quotas;
mod registry;
mod resealing;
mod run_secrets;
mod signin;
mod spelling;
mod takeover;
mod traces;
mod tracking_group;
mod vault;
