//! Upstream sign-in providers in the form of Microsoft Graph's `identityProviders`: its OpenID Connect provider
//! (`openIdConnectIdentityProvider`), with what is decided about groups and factors beside it.

use serde::{Deserialize, Serialize};

/// The type that Graph gives such a provider.
pub const TYPE: &str = "#microsoft.graph.openIdConnectIdentityProvider";

/// Asks for a new provider.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIdentityProvider {
    /// [`TYPE`], if it is said at all.
    #[serde(rename = "@odata.type", default, skip_serializing_if = "Option::is_none")]
    pub odata_type: Option<String>,
    /// `iss`, exactly as the provider writes it. Its discovery document is fetched.
    pub issuer: String,
    /// For people.
    pub display_name: String,
    /// As which client this server is registered there.
    pub client_id: String,
    /// That client's secret; none for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Whether it signs people in. Default: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// Scopes that are asked for beside `openid`. Default: `profile` and `email`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Whether people who come for the first time become users. Default: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates_users: Option<bool>,
    /// The claim that a new user is named after. Default: `preferred_username`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name_claim: Option<String>,
    /// The claim with groups; a name that begins with a slash is a JSON pointer. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// What the values of that claim mean here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_mappings: Option<Vec<GroupMapping>>,
    /// Which claims count as two factors. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_factor: Option<MultiFactor>,
}

/// Changes a provider: what is not there stays. The issuer never changes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityProviderUpdate {
    /// [`TYPE`], if it is said at all.
    #[serde(rename = "@odata.type", default, skip_serializing_if = "Option::is_none")]
    pub odata_type: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// As which client this server is registered there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// That client's secret; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Whether it signs people in. Sessions that came from it end when it no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
    /// Scopes that are asked for beside `openid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Whether people who come for the first time become users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates_users: Option<bool>,
    /// The claim that a new user is named after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name_claim: Option<String>,
    /// The claim with groups; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// What the values of that claim mean here: the whole table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_mappings: Option<Vec<GroupMapping>>,
    /// Which claims count as two factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_factor: Option<MultiFactor>,
    /// Asks the issuer for its endpoints again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_endpoints: Option<bool>,
}

/// A provider. Its secret is never in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// [`TYPE`].
    #[serde(rename = "@odata.type")]
    pub odata_type: String,
    /// Names it.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// `iss`.
    pub issuer: String,
    /// As which client this server is registered there.
    pub client_id: String,
    /// Whether there is a secret: `******` as Graph has it, or nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Whether it signs people in.
    pub is_enabled: bool,
    /// Scopes that are asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Whether people who come for the first time become users.
    pub creates_users: bool,
    /// The claim that a new user is named after.
    pub user_name_claim: String,
    /// The claim with groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// What the values of that claim mean here.
    pub group_mappings: Vec<GroupMapping>,
    /// Which claims count as two factors.
    pub multi_factor: MultiFactor,
    /// To be registered with the provider.
    pub redirect_uri: String,
    /// Where browsers are sent.
    pub authorization_endpoint: String,
    /// Where codes are redeemed.
    pub token_endpoint: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// When it named those; RFC 3339.
    pub endpoints_date_time: String,
    /// RFC 3339.
    pub created_date_time: String,
}

/// What one value of the claim with groups means here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupMapping {
    /// As the claim has it.
    pub value: String,
    /// Object id of a group: people with that value are its members.
    pub group_id: String,
}

/// Claims that count as two factors, any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MultiFactor {
    /// Values in `amr` (RFC 8176).
    #[serde(default)]
    pub amr: Vec<String>,
    /// Values of `acr`.
    #[serde(default)]
    pub acr: Vec<String>,
}

/// Says that a subject of a provider is a user here.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserLink {
    /// `sub`, exactly.
    pub subject: String,
    /// Object id of the user.
    pub user_id: String,
}

/// Takes that back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserUnlink {
    /// `sub`, exactly.
    pub subject: String,
}
