//! Where the answers to sign-ins may go. Whoever gets an answer acts as the person who signed in, whoever that is.

use kernel::{Error, Kind, ResourceId, Result};

use crate::{
    access::{GRANT_DIRECTORY, PutRoleAssignment},
    gate::{Admission, Op},
    identity::{Application, oauth::check_redirect_uri},
};

/// Redirect URIs of an application.
const MOST: usize = 50;

/// Refuses whoever may not let answers go to these addresses. One on the person's own machine says nothing to others; any
/// other gets tokens of whoever follows a link, so naming it takes the right to grant everything (invariant I3).
pub(super) async fn require_right_to_redirect(cx: &Admission<'_>, old: &[String], new: &[String]) -> Result<()> {
    // Plain `http` is for loopback addresses alone: `check_redirects` sees to it.
    if new.iter().any(|uri| !uri.starts_with("http://") && !old.contains(uri)) {
        let root = ResourceId::root();
        cx.require(&PutRoleAssignment::ACTION, &root).await?;
        cx.require(&GRANT_DIRECTORY, &root).await?;
    }
    cx.note("redirectUris", new.len().to_string());
    Ok(())
}

/// Refuses an application whose parts contradict each other, and addresses that an answer could go astray by.
pub(super) fn check_redirects(application: &Application) -> Result<()> {
    if application.is_public && application.without_pkce {
        let why = "a public client always uses PKCE: nothing else tells it from somebody who read its answer";
        return Err(Error::new(Kind::Conflict, why));
    }
    let uris = &application.redirect_uris;
    if uris.len() > MOST {
        return Err(Error::invalid("redirectUris", format_args!("are more than {MOST}")));
    }
    for (at, uri) in uris.iter().enumerate() {
        check_redirect_uri(uri).map_err(|why| Error::invalid("redirectUris", why))?;
        if uris.iter().take(at).any(|other| other == uri) {
            return Err(Error::invalid("redirectUris", format_args!("name `{uri}` twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::directory::applications::blank;
    use kernel::{AppId, PrincipalId};

    #[test]
    fn a_public_client_uses_pkce_and_no_address_comes_twice() {
        let mut application = blank(AppId::random(), PrincipalId::random(), "app", Vec::new());
        application.without_pkce = true;
        assert!(check_redirects(&application).is_ok());
        application.is_public = true;
        assert_eq!(check_redirects(&application).unwrap_err().kind(), Kind::Conflict);
        application.without_pkce = false;
        application.redirect_uris = vec![String::from("http://localhost"), String::from("http://localhost")];
        assert!(check_redirects(&application).is_err());
        application.redirect_uris = vec![String::from("http://elsewhere.example/")];
        assert!(check_redirects(&application).is_err());
        application.redirect_uris = (0..51).map(|at| format!("http://localhost/{at}")).collect();
        assert!(check_redirects(&application).is_err());
    }
}
