//! The rooms: who may do what, and what it means. No HTTP, no SQL, no files, no processes: rooms speak through the gate.

pub mod access;
pub mod alerts;
pub mod audit;
pub mod compute;
pub mod customer_keys;
pub mod data_assets;
pub mod delivery;
pub mod deployments;
pub mod diagnostics;
pub mod erasure;
pub mod gate;
pub mod governance;
pub mod identity;
pub mod images;
pub mod impact;
pub mod network;
pub mod operations;
pub mod platform_metrics;
pub mod provenance;
pub mod registry;
pub mod resealing;
pub mod resources;
pub mod safekeeping;
pub mod scoring;
pub mod secrets;
pub mod snapshots;
pub mod storage;
pub mod tracking;
pub mod vault;
pub mod work;

mod signal;
