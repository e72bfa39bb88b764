//! Every byte shape that clients see: plain serde structs, used module-qualified (`wire::agent::Assignment`). They are
//! promises; what the domain decides with them lives elsewhere.

pub mod agent;
pub mod alert;
pub mod approval;
pub mod arm;
pub mod authorization;
pub mod conditional_access;
pub mod data;
pub mod deployment;
pub mod diagnostics;
pub mod elevation;
pub mod encryption;
pub mod endpoint;
pub mod event_grid;
pub mod graph;
pub mod identity_provider;
pub mod image;
pub mod impact;
pub mod job;
pub mod mlflow;
pub mod model;
pub mod network;
pub mod oauth;
pub mod otlp;
pub mod policy;
pub mod score;
pub mod snapshot;
