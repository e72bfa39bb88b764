//! What the sign-in pages need before anybody is known: the tenant's name, and the words that tie a form to the browser that it
//! was sent to.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret};

use super::{Tenant, oauth::application_name};
use crate::gate::{Cx, House, Op};

/// What form tokens are keyed hashes as.
const PURPOSE: &str = "sign-in form";

/// Opens the sign-in pages and what they are made of (styles, script). It reads nothing but names that strangers may know.
#[derive(Debug, Default)]
pub struct GetSignInPage {
    /// The application that the browser comes from, by its client id.
    pub client: Option<String>,
}

/// What the first page may say to anybody.
#[derive(Clone, Debug)]
pub struct SignInPage {
    /// The tenant, for people.
    pub tenant: String,
    /// The application, for people; none when there is none of that id.
    pub application: Option<String>,
}

#[async_trait]
impl Op for GetSignInPage {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/pages/read", Class::Open);
    type Output = SignInPage;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignInPage> {
        let tenants = cx.page::<Tenant>(cx.system(), b"", None, 1).await?;
        let tenant = tenants.into_iter().next();
        let tenant = tenant.ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet; try again"))?;
        let application = match &self.client {
            Some(client) => application_name(cx, client).await?,
            None => None,
        };
        Ok(SignInPage { tenant: tenant.value.name, application })
    }
}

/// A key for a browser that has no session yet: 256 bits, base64url.
pub fn new_browser_key() -> Result<Secret<String>> {
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(seal::random::<32>()?)))
}

/// What a form carries to show that it came from a page that was sent to the browser with this key, whether a session's or
/// a `new_browser_key`: a keyed hash, which another site can neither read nor compute.
pub fn form_token(house: &House, key: &Secret<String>) -> String {
    house.system().fingerprint(PURPOSE, key.expose()).to_text()
}

/// Whether a form carries this browser's token; in constant time.
pub fn is_form_token(house: &House, key: &Secret<String>, token: &str) -> bool {
    let token = seal::Fingerprint::from_text(token);
    token.is_some_and(|token| house.system().matches(PURPOSE, key.expose(), &token))
}
