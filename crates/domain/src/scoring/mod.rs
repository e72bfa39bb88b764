//! The scoring room: endpoints, their deployments, the replicas that answer, and the gateway's rules.
//!
//! An endpoint is a lasting address with one form of proof at a time, and named keys beside it where it says so; each of its
//! deployments keeps one image running behind it and gets a share of the calls. The
//! gateway admits a call by the operation [`Score`] and carries it to the replica that this hands out; supervision replaces
//! replicas that are lost. **Invariant:** a credential of the form that is not in force is refused from the commit on that
//! changed the form. **Invariant:** whoever has no valid credential learns nothing, not even whether a service exists.
//! **Invariant:** an admitted call leaves exactly one record, with who called which model.

mod auth;
mod bounds;
mod deploy;
mod deployment;
mod deployment_request;
mod endpoint;
mod index;
mod keys;
mod memory;
mod name;
mod named_keys;
mod rate;
mod remove_endpoint;
mod replica;
mod request;
mod score;
mod service;
mod service_log;
mod supervise;
mod token;
mod traffic;
mod undeploy;

pub use auth::{AuthWords, Form, ServiceKind};
pub use bounds::{Place, RequestSettings};
pub use deploy::{Deployed, PutDeployment};
pub use deployment::{Deployment, Plan, Provisioning, Replica, ServiceState, UsedImage};
pub use deployment_request::DeploymentRequest;
pub use endpoint::{Endpoint, EndpointRequest, EndpointView, GetEndpoint, ListEndpoints, PutEndpoint};
pub use keys::{KeyName, KeyPair, ListServiceKeys, RegenerateServiceKey};
pub(crate) use memory::Scoring;
pub use named_keys::{CreateNamedKey, ListNamedKeys, NamedKey, NamedKeyRequest, NewNamedKey, RevokeNamedKey};
pub use remove_endpoint::DeleteEndpoint;
pub(crate) use remove_endpoint::remove_all_services;
pub use request::{CallWords, ListRequests, RequestRecord, Ticket, flush_requests};
pub use score::{Score, ScoringAdmission, Shut, Way};
pub use service::{Located, locate};
pub use service_log::GetServiceLog;
pub use supervise::{ListListening, Listening, report_probe, supervise};
pub use token::IssueServiceToken;
pub use undeploy::DeleteDeployment;

use crate::{gate::Record, resources::Resource};

/// A commit that touches one of these tables makes the gateway look again. Resources of all types share a table.
pub(crate) const TABLES: &[&str] = &[Resource::<Endpoint>::TABLE, "service", "service-keys", NamedKey::TABLE];
