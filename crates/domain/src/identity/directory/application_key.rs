//! Naming an application: by its own client id, or by its service principal's object id. They are two ids: roles are given to
//! the second, and the first signs in (requirement A-03).

use std::fmt;

use kernel::{AppId, Error, PrincipalId, Result};

use super::{power::require_unmanaged, removal::member_row};
use crate::{
    gate::{Admission, Row},
    identity::{Application, Member},
};

/// An application, or the service principal it has.
#[derive(Clone, Copy, Debug)]
pub enum ApplicationKey {
    /// The application's client id.
    Client(AppId),
    /// The service principal's object id.
    Principal(PrincipalId),
}

impl fmt::Display for ApplicationKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(app) => write!(out, "the application `{app}`"),
            Self::Principal(principal) => write!(out, "the service principal `{principal}`"),
        }
    }
}

/// The two rows of an application.
///
/// # Errors
/// `NotFound`; `Conflict` for a managed identity, which has no registration.
pub(super) async fn find(cx: &Admission<'_>, key: ApplicationKey) -> Result<(Row<Member>, Row<Application>)> {
    let missing = || Error::not_found(key);
    let app = match key {
        ApplicationKey::Client(app) => app,
        ApplicationKey::Principal(principal) => {
            let member = member_row(cx, principal).await?.ok_or_else(missing)?;
            require_unmanaged(&member.value)?;
            member.value.app.ok_or_else(missing)?
        }
    };
    let application = cx.get::<Application>(cx.system(), app.as_bytes()).await?.ok_or_else(missing)?;
    let member = member_row(cx, application.value.principal).await?.ok_or_else(missing)?;
    Ok((member, application))
}
