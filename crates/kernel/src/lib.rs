//! The words every other crate speaks: ids, callers, actions, errors, secrets, sealed values, the clock and the ports.
//!
//! Nothing here performs input, output or cryptography. A port is a trait that names a need (`MetaStore`, `BlobStore`,
//! `KeyProvider`, `KeyHolders`, `ComputeDriver`, `Web`); the thing that meets it lives in another crate.

mod action;
mod caller;
mod clock;
mod error;
mod id;
mod key_holders;
mod limit;
mod log;
mod ports;
mod resource_id;
mod root_key;
mod sealed;
mod secret;

pub use action::{Action, Class};
pub use caller::{Caller, KeyCaller, Principal, PrincipalKind, Proof, RunCaller, Source, Who};
pub use clock::{Clock, SystemClock, Timestamp};
pub use error::{Error, Kind, Result};
pub use id::{AppId, BlobId, CorrelationId, InvalidId, PrincipalId, RunId, SubscriptionId, TenantId, WorkspaceId};
pub use key_holders::{HolderRule, KeyElsewhere, KeyHolders, NoKeyHolders};
pub use limit::Limits;
pub use log::{Chain, Link, LogRow};
pub use ports::{
    Batch, BlobHold, BlobStore, Capabilities, Change, ComputeDriver, LaunchSpec, Launched, MetaCopy, MetaStore, NoWeb,
    ProcessState, SealedStream, StoreError, StoreResult, Versioned, Wall, Web, WebAnswer, WebError, WebMethod,
    WebReply, WebRequest,
};
pub use resource_id::ResourceId;
pub use root_key::{Agreement, KeyProvider, Sealing, Stretch};
pub use sealed::Sealed;
pub use secret::Secret;
