//! The directory: users, groups, applications and their service principals.
//!
//! Whoever may write here could come by other people's rights: a password that was just set signs in, a group's members have
//! its roles. So everything that lets somebody act as a principal asks [`power::require_power_over`] first, nobody shuts out
//! themselves, and the last owner of a scope stays.
//!
//! An object id is given once. A principal that is deleted leaves a tombstone; its name may be used again, by another id.

mod application_key;
mod applications;
mod certificates;
mod client_secrets;
mod federated;
mod groups;
mod listing;
mod memberships;
mod naming;
mod objects;
mod passwords;
mod power;
mod redirects;
mod removal;
mod service_principals;
mod users;

#[cfg(test)]
mod tests;

pub use application_key::ApplicationKey;
pub use applications::{
    CreateApplication, DeleteApplication, GetApplication, ListApplications, NewApplication, Registration,
    UpdateApplication,
};
pub use certificates::{AddCertificate, CertificateEntry, CertificateView, RemoveCertificate};
pub use client_secrets::{AddClientSecret, NewSecret, RemoveClientSecret, SecretView};
pub use federated::{
    AddFederatedCredential, FederatedCredentialForm, ListFederatedCredentials, RemoveFederatedCredential,
    UpdateFederatedCredential,
};
pub use groups::{CreateGroup, DeleteGroup, GetGroup, GroupForm, GroupView, ListGroups, UpdateGroup};
pub use listing::{Field, Filter, Listing, Page, Test};
pub use memberships::{AddGroupMember, ListGroupMembers, ListMemberOf, RemoveGroupMember};
pub use objects::{DirectoryObject, GetDirectoryObject, GetDirectoryObjects};
pub use passwords::{NewPassword, ResetPassword};
pub use service_principals::{
    CreateServicePrincipal, DeleteServicePrincipal, GetServicePrincipal, ListServicePrincipals, ServicePrincipal,
    UpdateServicePrincipal,
};
pub use users::{
    CreateUser, DeleteUser, GetUser, ListUsers, NewUser, RevokeSignInSessions, UpdateUser, User, UserForm, UserKey,
};

pub(in crate::identity) use applications::blank;
pub(in crate::identity) use client_secrets::{PURPOSE, first_secret};
pub(in crate::identity) use naming::is_deceptive;
pub(in crate::identity) use power::{require_another, require_power_over};
pub(in crate::identity) use removal::{cut_off, membership_id};
pub(crate) use removal::{end_managed_principals, require_room};

/// Principals that a directory may hold, alive. Each is kept in memory, in some hundred bytes.
const MOST_PRINCIPALS: usize = 100_000;
/// Groups among them: every decision about a person may have to look at all that the person is in.
const MOST_GROUPS: usize = 10_000;
/// Memberships of groups, together.
pub(super) const MOST_MEMBERSHIPS: usize = 100_000;
