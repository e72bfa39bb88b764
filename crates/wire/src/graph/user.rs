//! Users (Graph's `user`).

use serde::{Deserialize, Serialize};

/// A user.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Object id.
    pub id: String,
    /// Sign-in name.
    pub user_principal_name: String,
    /// For people.
    pub display_name: String,
    /// What comes before the `@` of the sign-in name.
    pub mail_nickname: String,
    /// Whether the user may sign in.
    pub account_enabled: bool,
    /// Always `Member`.
    pub user_type: String,
    /// RFC 3339.
    pub created_date_time: String,
    /// RFC 3339; none for users that sign in elsewhere.
    #[serde(default)]
    pub last_password_change_date_time: Option<String>,
    /// About the password.
    pub password_profile: PasswordProfile,
}

/// What can be said of a password. No `Debug`: it may hold one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordProfile {
    /// Whether the next sign-in asks for a new one.
    pub force_change_password_next_sign_in: bool,
    /// The password, once, where the server drew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Asks for a new user. No `Debug`: it holds a password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// Sign-in name.
    pub user_principal_name: String,
    /// For people.
    pub display_name: String,
    /// Whether the user may sign in; yes unless said otherwise.
    #[serde(default)]
    pub account_enabled: Option<bool>,
    /// What comes before the `@`; Graph's clients must send it, and it can be nothing else.
    #[serde(default)]
    pub mail_nickname: Option<String>,
    /// The first password; the server draws one when there is none.
    #[serde(default)]
    pub password_profile: Option<PasswordProfileForm>,
}

/// A password to be set. No `Debug`: it holds one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordProfileForm {
    /// The password.
    #[serde(default)]
    pub password: Option<String>,
    /// Whether the next sign-in asks for a new one; yes unless said otherwise.
    #[serde(default)]
    pub force_change_password_next_sign_in: Option<bool>,
}

/// Asks for changes of a user. No `Debug`: it may hold a password.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserForm {
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Whether the user may sign in.
    #[serde(default)]
    pub account_enabled: Option<bool>,
    /// A new password.
    #[serde(default)]
    pub password_profile: Option<PasswordProfileForm>,
}

/// Asks for a new password. No `Debug`: it may hold one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordReset {
    /// The password; the server draws one when there is none.
    #[serde(default)]
    pub new_password: Option<String>,
    /// Whether the next sign-in asks for a new one; yes unless said otherwise.
    #[serde(default)]
    pub require_change_on_next_sign_in: Option<bool>,
}

/// A password that was set. No `Debug`: it may hold it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPassword {
    /// The password, once, where the server drew it.
    #[serde(default)]
    pub new_password: Option<String>,
}

/// What is demanded of a user's sign-ins (Graph's `strongAuthenticationRequirements`).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthenticationRequirements {
    /// `enforced`: a second factor, whatever the policies say; `disabled`: what the policies say.
    pub per_user_mfa_state: String,
}
