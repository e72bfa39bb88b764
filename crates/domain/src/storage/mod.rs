//! The storage room: what a storage account holds, as Azure's Blob service offers it. Bytes are sealed objects, names and everything
//! else are sealed rows, all under the account's own key.

mod account;
mod append;
mod authorize;
mod blob;
mod block;
mod body;
mod change;
mod condition;
mod container;
mod content;
mod delegation;
mod delete;
mod etag;
mod fault;
mod lease;
mod list;
mod lost;
mod name;
mod put;
mod sas;
mod service;
mod signed;
mod staged;
mod sweep;
mod time;
mod vend;
mod version;
mod within;

pub(crate) use account::Accounts;
pub use account::{Account, account_at};
pub use append::{AppendBlock, Appended};
pub use authorize::{Aim, Arrival, Credential, Level, Need, arrive};
pub use blob::{Blob, BlobKind, ContentHeaders, Copied, Guard, InContainer};
pub use block::{BlockLists, From, GetBlockList, PutBlock, PutBlockList, check_block_id};
pub use body::{Body, md5_of};
pub use change::{BlobChange, ChangeBlob, GetTags, READ_TAGS, SetTags, SnapshotBlob, WRITE_TAGS};
pub use condition::{Conditions, Tag};
pub use container::{
    ChangeContainer, Container, ContainerChange, CreateContainer, DELETE as DELETE_CONTAINER, DeleteContainer,
    GetContainer, InAccount, ListContainers, Policy, READ as READ_CONTAINER, WRITE as WRITE_CONTAINER,
};
pub(crate) use delegation::require_factors;
pub use delegation::{DelegationKey, GetDelegationKey, RevokeDelegationKeys};
pub use delete::{DeleteBlob, Snapshots, UndeleteBlob};
pub use fault::invalid;
pub use lease::{Answer as LeaseAnswer, Ask as LeaseAsk, Lease, duration as lease_duration, state as lease_state};
pub use list::{BlobPage, Entry, Include, ListBlobs, MOST as MOST_LISTED, Place};
pub use lost::collect_lost;
pub use name::{BlobName, ContainerName};
pub use put::{ADD, Adding, Addition, DELETE, GetBlob, Labels, Opened, PutBlob, READ, WRITE, Wanted, Writing};
pub use sas::Sas;
pub use service::{GetServiceSettings, Retention, ServiceSettings, SetServiceSettings};
pub use sweep::sweep_accounts;
pub use time::{http_date, parse_http_date, parse_snapshot, snapshot_text};
pub use vend::{AccountSas, ListAccountSas, ListServiceSas, ServiceSas};
pub(crate) use vend::{Vending, sign_for_container, sign_for_share, vend};
pub use version::{DELETE_VERSION, DeleteBlobVersion, Moment};
pub(crate) use within::{BlobState, blobs_at, open_state};
