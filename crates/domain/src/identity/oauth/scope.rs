//! What a token is asked for: one resource, and what OpenID Connect adds.

use kernel::{AppId, Result};
use serde::{Deserialize, Serialize};

use super::{TokenRefusal, refusal::Granted};
use crate::{
    gate::Admission,
    identity::{Application, claims},
};

/// The longest scope, in bytes.
const LONGEST: usize = 2048;
/// What a user's token lets an application do, as a scope.
const IMPERSONATION: &str = "user_impersonation";

/// What is asked for, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The audience of the access token.
    pub audience: String,
    /// The scopes of that resource, as the client wrote them: it finds its token again by them.
    resource: Vec<String>,
    /// An ID token.
    pub openid: bool,
    /// A refresh token.
    pub offline: bool,
    /// `profile` and `email` as they came.
    more: Vec<String>,
}

impl Asked {
    /// Understands a user's scope. Without a resource the token is for the application itself.
    pub(super) async fn by_user(cx: &Admission<'_>, client: AppId, scope: &str) -> Granted<Self> {
        let mut asked = Self::default();
        if scope.len() > LONGEST {
            return Err(TokenRefusal::BadScope.into());
        }
        let mut resource: Option<String> = None;
        for word in scope.split_ascii_whitespace() {
            match word {
                "openid" => asked.openid = true,
                "offline_access" => asked.offline = true,
                "profile" | "email" => asked.more.push(word.to_owned()),
                _ => {
                    let named = resource_of(word).ok_or(TokenRefusal::BadScope)?;
                    if resource.as_ref().is_some_and(|other| other != named) {
                        return Err(TokenRefusal::BadScope.into());
                    }
                    resource = Some(named.to_owned());
                    asked.resource.push(word.to_owned());
                }
            }
        }
        asked.audience = match resource {
            Some(resource) => audience_of(cx, &resource).await?.ok_or(TokenRefusal::BadScope)?,
            None => client.to_string(),
        };
        Ok(asked)
    }

    /// Understands an application's scope: one resource with `/.default`, nothing else. Gives the audience.
    pub(super) async fn by_application(cx: &Admission<'_>, scope: &str) -> Granted<String> {
        let mut words = scope.split_ascii_whitespace();
        let (word, more) = (words.next().unwrap_or_default(), words.next());
        let resource = word.strip_suffix("/.default").filter(|_| more.is_none() && scope.len() <= LONGEST);
        let audience = audience_of(cx, resource.ok_or(TokenRefusal::BadScope)?).await?;
        Ok(audience.ok_or(TokenRefusal::BadScope)?)
    }

    /// The scope that was granted. Entra's clients look for their token by what they asked for, so that is in it.
    pub(super) fn granted(&self) -> String {
        let mut words = self.resource.clone();
        if let Some(resource) = self.resource.first().and_then(|word| resource_of(word)) {
            let delegated = format!("{resource}/{IMPERSONATION}");
            if !words.contains(&delegated) {
                words.push(delegated);
            }
        }
        words.extend(self.openid.then(|| String::from("openid")));
        words.extend(self.more.iter().cloned());
        words.extend(self.offline.then(|| String::from("offline_access")));
        words.join(" ")
    }
}

/// The resource that a scope belongs to: all but its last segment. A scope that is an audience is one by itself.
fn resource_of(word: &str) -> Option<&str> {
    let (resource, _) = word.rsplit_once('/')?;
    (!resource.trim_end_matches('/').is_empty()).then_some(resource)
}

/// The audience for a resource: one of the server's own, or a registered application as `api://{id}` or its bare id.
async fn audience_of(cx: &Admission<'_>, resource: &str) -> Result<Option<String>> {
    if let Some(own) = claims::audience(cx.settings(), resource) {
        return Ok(Some(own));
    }
    let resource = resource.trim_end_matches('/');
    let Ok(app) = resource.strip_prefix("api://").unwrap_or(resource).parse::<AppId>() else { return Ok(None) };
    let is_known = cx.get::<Application>(cx.system(), app.as_bytes()).await?.is_some();
    Ok(is_known.then(|| resource.to_ascii_lowercase()))
}

/// Whether an audience means this application.
pub(super) fn is_of(audience: &str, app: AppId) -> bool {
    audience.strip_prefix("api://").unwrap_or(audience).parse() == Ok(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_all_but_the_last_segment() {
        assert_eq!(resource_of("https://management.azure.com/.default"), Some("https://management.azure.com"));
        assert_eq!(
            resource_of("https://management.core.windows.net//.default"),
            Some("https://management.core.windows.net/")
        );
        assert_eq!(resource_of("api://a/user_impersonation"), Some("api://a"));
        assert_eq!(resource_of(".default"), None);
        assert_eq!(resource_of("/.default"), None);
    }

    #[test]
    fn the_granted_scope_holds_what_was_asked() {
        let word = String::from("https://management.core.windows.net//.default");
        let asked = Asked {
            resource: vec![word],
            openid: true,
            offline: true,
            more: vec![String::from("profile")],
            audience: String::new(),
        };
        let granted = "https://management.core.windows.net//.default https://management.core.windows.net//user_impersonation openid profile offline_access";
        assert_eq!(asked.granted(), granted);
    }

    #[test]
    fn an_application_has_two_names() {
        let app: AppId = "6f9619ff-8b86-d011-b42d-00c04fc964ff".parse().unwrap();
        assert!(
            is_of("6f9619ff-8b86-d011-b42d-00c04fc964ff", app)
                && is_of("api://6F9619FF-8b86-d011-b42d-00c04fc964ff", app)
        );
        assert!(!is_of("api://api://6f9619ff-8b86-d011-b42d-00c04fc964ff", app) && !is_of("https://x", app));
    }
}
