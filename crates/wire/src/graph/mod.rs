//! The directory in the form of Microsoft Graph v1.0, below `/graph/v1.0`. Fields that are not here are refused in requests.

mod application;
mod group;
mod user;

pub use application::{
    AddKey, AddPassword, Application, ApplicationForm, FederatedCredential, FederatedCredentialForm, KeyCredential,
    KeyCredentialForm, NewServicePrincipal, PasswordCredential, PasswordCredentialForm, RedirectUris, RemoveKey,
    ServicePrincipal, ServicePrincipalForm,
};
pub use group::{DirectoryObject, GetByIds, Group, GroupForm, Reference};
pub use user::{
    AuthenticationRequirements, NewPassword, NewUser, PasswordProfile, PasswordProfileForm, PasswordReset, User,
    UserForm,
};

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Debug, Serialize, Deserialize)]
pub struct List<T> {
    /// The entries.
    pub value: Vec<T>,
    /// Where the next page is.
    #[serde(rename = "@odata.nextLink", default, skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
}

/// An error's body.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// An error. What ties it to the logs is in the answer's headers.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// Graph's code.
    pub code: String,
    /// A sentence.
    pub message: String,
}
