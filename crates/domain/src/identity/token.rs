//! The client-credentials grant (RFC 6749 §4.4) in Entra's form, and the claims of access tokens (RFC 9068).

use kernel::{Action, AppId, Class, Kind, ResourceId, Result, Secret, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Application, directory::PURPOSE};
use crate::gate::{Actor, Cx, House, Op, Settings};

/// The `typ` of access tokens.
pub(super) const TYPE: &str = "at+jwt";

/// Claims of an access token: no more than is needed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: Uuid,
    pub oid: Uuid,
    pub tid: Uuid,
    pub appid: Uuid,
    pub azp: Uuid,
    pub client_id: Uuid,
    pub idtyp: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: Uuid,
    pub ver: String,
}

/// A token request by a service principal with its secret.
#[derive(Debug)]
pub struct GetToken {
    /// The tenant segment of the address.
    pub tenant: String,
    /// `client_id`.
    pub client: String,
    /// `client_secret`.
    pub secret: Secret<String>,
    /// `scope`: one resource with `/.default`.
    pub scope: String,
}

/// A token, with its lifetime in seconds.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret<String>,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// When it expires, epoch seconds.
    pub expires_on: i64,
    /// The audience it was issued for.
    pub resource: String,
}

/// Why a token was refused, in OAuth's terms; the face gives each its code and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// No such tenant here.
    UnknownTenant,
    /// No such application.
    UnknownClient,
    /// Wrong or expired secret.
    BadSecret,
    /// Nothing here answers to that scope.
    BadScope,
    /// The application's principal is disabled.
    Disabled,
}

impl Op for GetToken {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Read);
    type Output = std::result::Result<AccessToken, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let outcome = self.issue(cx).await?;
        if outcome.is_err() {
            cx.refuse(Kind::Unauthenticated);
        }
        Ok(outcome)
    }
}

impl GetToken {
    async fn issue(&self, cx: &Cx<'_, Self>) -> Result<std::result::Result<AccessToken, TokenRefusal>> {
        let house = cx.house();
        let Some(tenant) = tenant_of(house, &self.tenant) else {
            return Ok(Err(TokenRefusal::UnknownTenant));
        };
        let found = match self.client.parse::<AppId>() {
            Ok(app) => cx.get::<Application>(cx.system(), app.as_bytes()).await?,
            Err(_) => None,
        };
        let Some(application) = found.map(|row| row.value) else {
            return Ok(Err(TokenRefusal::UnknownClient));
        };
        let member = house.identity.member(application.principal);
        let Some(member) = member.filter(|member| !member.is_disabled) else {
            return Ok(Err(TokenRefusal::Disabled));
        };
        cx.establish(Actor::Principal { id: member.id, kind: member.kind, name: member.name.clone() });
        let now = cx.now();
        // Every secret is compared, so that the time does not tell which one came close.
        let good = application.secrets.iter().fold(false, |good, kept| {
            let same = cx.system().matches(PURPOSE, self.secret.expose(), &kept.fingerprint);
            good | (same && kept.expires_at > now)
        });
        if !good {
            cx.note("refused", "wrong or expired client secret");
            return Ok(Err(TokenRefusal::BadSecret));
        }
        let Some(audience) = audience_of(cx.settings(), &self.scope) else {
            return Ok(Err(TokenRefusal::BadScope));
        };
        let lifetime = i64::try_from(cx.settings().token_lifetime.as_secs()).unwrap_or(3600);
        let claims = Claims {
            iss: issuer(cx.settings(), tenant),
            aud: audience.clone(),
            sub: member.id.0,
            oid: member.id.0,
            tid: tenant.0,
            appid: application.app.0,
            azp: application.app.0,
            client_id: application.app.0,
            idtyp: String::from("app"),
            iat: now.seconds(),
            nbf: now.seconds(),
            exp: now.seconds().saturating_add(lifetime),
            jti: Uuid::new_v4(),
            ver: String::from("2.0"),
        };
        cx.note("audience", &audience);
        let token = house.identity.state().keys.sign(TYPE, &claims)?;
        Ok(Ok(AccessToken {
            token,
            expires_in: lifetime.saturating_sub(1),
            expires_on: claims.exp,
            resource: audience,
        }))
    }
}

/// The tenant named in an address: its id, or the aliases that stand for "the only tenant here".
pub(super) fn tenant_of(house: &House, named: &str) -> Option<TenantId> {
    let tenant = house.identity.tenant()?;
    let is_alias = matches!(named, "organizations" | "common");
    (is_alias || named.eq_ignore_ascii_case(&tenant.to_string())).then_some(tenant)
}

/// The issuer of a tenant's tokens.
pub(super) fn issuer(settings: &Settings, tenant: TenantId) -> String {
    format!("{}/{tenant}/v2.0", settings.url)
}

/// The audience a scope asks for, without `/.default` and trailing slashes; none when nothing here answers to it.
fn audience_of(settings: &Settings, scope: &str) -> Option<String> {
    let mut scopes = scope.split_ascii_whitespace();
    let (resource, more) = (scopes.next()?.strip_suffix("/.default")?, scopes.next());
    let resource = resource.trim_end_matches('/');
    (more.is_none() && (is_management(settings, resource) || is_data(settings, resource))).then(|| resource.to_owned())
}

/// Whether a token for this audience opens the management and tracking faces.
pub(super) fn is_management(settings: &Settings, audience: &str) -> bool {
    const MANAGEMENT: [&str; 3] =
        ["https://management.azure.com", "https://management.core.windows.net", "https://ml.azure.com"];
    audience == settings.url.trim_end_matches('/') || MANAGEMENT.contains(&audience)
}

fn is_data(settings: &Settings, audience: &str) -> bool {
    audience == "https://storage.azure.com" || audience == format!("https://vault.{}", settings.suffix)
}
