//! Users.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        CreateUser, DeleteUser, GetUser, ListUsers, NewPassword, ResetPassword, RevokeSignInSessions, UpdateUser, User,
        UserForm,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Secret};
use wire::graph;

use super::{Fault, done, odata, root};
use crate::{Doors, Guest};

/// Graph's name of the way to sign in that a password is.
const PASSWORD: &str = "28c10230-6103-485e-b985-444c60001490";

/// The doors of users.
pub(super) fn doors(doors: Doors) -> Doors {
    let (all, one) = ("/graph/v1.0/users", "/graph/v1.0/users/{user}");
    let revoke = "/graph/v1.0/users/{user}/revokeSignInSessions";
    let requirements = "/graph/v1.0/users/{user}/authentication/requirements";
    let reset = "/graph/v1.0/users/{user}/authentication/methods/{method}/resetPassword";
    doors
        .open::<ListUsers, _, _>(Method::GET, all, list_users)
        .open::<CreateUser, _, _>(Method::POST, all, create_user)
        .open::<GetUser, _, _>(Method::GET, one, get_user)
        .open::<UpdateUser, _, _>(Method::PATCH, one, update_user)
        .open::<DeleteUser, _, _>(Method::DELETE, one, delete_user)
        .open::<RevokeSignInSessions, _, _>(Method::POST, revoke, revoke_sign_in_sessions)
        .open::<ResetPassword, _, _>(Method::POST, reset, reset_password)
        .open::<GetUser, _, _>(Method::GET, requirements, get_requirements)
        .open::<UpdateUser, _, _>(Method::PATCH, requirements, update_requirements)
}

fn view(user: &User) -> graph::User {
    graph::User {
        id: user.id.to_string(),
        user_principal_name: user.user_name.clone(),
        display_name: user.display_name.clone(),
        mail_nickname: nickname(&user.user_name).to_owned(),
        account_enabled: user.is_enabled,
        user_type: String::from("Member"),
        created_date_time: user.created_at.rfc3339(),
        last_password_change_date_time: user.password_set_at.map(kernel::Timestamp::rfc3339),
        password_profile: graph::PasswordProfile {
            force_change_password_next_sign_in: user.must_change,
            password: None,
        },
    }
}

fn nickname(user_name: &str) -> &str {
    user_name.split('@').next().unwrap_or_default()
}

/// A password that somebody else sets is changed at the next sign-in, unless that is said not to be.
fn password_of(password: Option<String>, must_change: Option<bool>) -> NewPassword {
    NewPassword { password: password.map(Secret::new), must_change: must_change.unwrap_or(true) }
}

async fn list_users(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListUsers>(&root()).await?;
    let found = enter(guest.house(), &caller, ListUsers { listing: odata::listing(&guest)? }).await?;
    Ok(odata::page(&guest, found, view)?)
}

async fn create_user(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateUser>(&root()).await?;
    let body: graph::NewUser = guest.json().await?;
    if body.mail_nickname.is_some_and(|given| !given.eq_ignore_ascii_case(nickname(&body.user_principal_name))) {
        let why = "must be what comes before the `@` of `userPrincipalName`, or be left out";
        return Err(Error::invalid("mailNickname", why).into());
    }
    let (password, must_change) =
        body.password_profile.map_or((None, None), |form| (form.password, form.force_change_password_next_sign_in));
    let op = CreateUser {
        user_name: body.user_principal_name,
        display_name: body.display_name,
        is_enabled: body.account_enabled.unwrap_or(true),
        password: password_of(password, must_change),
    };
    let made = enter(&house, &caller, op).await?;
    let mut shown = view(&made.user);
    shown.password_profile.password = made.password.map(|password| password.expose().clone());
    Ok((StatusCode::CREATED, axum::Json(shown)).into_response())
}

async fn get_user(guest: Guest) -> Result<Response, Fault> {
    let found =
        enter(guest.house(), &guest.admitted::<GetUser>(&root()).await?, GetUser { user: guest.param("user")? })
            .await?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(&found))?)
}

async fn update_user(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateUser>(&root()).await?;
    let (house, user) = (guest.house().clone(), guest.param("user")?);
    let body: graph::UserForm = guest.json().await?;
    let mut form =
        UserForm { display_name: body.display_name, is_enabled: body.account_enabled, ..UserForm::default() };
    match body.password_profile {
        Some(graph::PasswordProfileForm { password: None, force_change_password_next_sign_in }) => {
            form.must_change = force_change_password_next_sign_in;
        }
        Some(profile) => {
            form.password = Some(password_of(profile.password, profile.force_change_password_next_sign_in))
        }
        None => {}
    }
    enter(&house, &caller, UpdateUser { user, form }).await?;
    Ok(done())
}

async fn delete_user(guest: Guest) -> Result<Response, Fault> {
    enter(guest.house(), &guest.admitted::<DeleteUser>(&root()).await?, DeleteUser { user: guest.param("user")? })
        .await?;
    Ok(done())
}

async fn revoke_sign_in_sessions(guest: Guest) -> Result<Response, Fault> {
    enter(
        guest.house(),
        &guest.admitted::<RevokeSignInSessions>(&root()).await?,
        RevokeSignInSessions { user: guest.param("user")? },
    )
    .await?;
    Ok(axum::Json(serde_json::json!({"value": true})).into_response())
}

async fn reset_password(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ResetPassword>(&root()).await?;
    let (house, user) = (guest.house().clone(), guest.param("user")?);
    if guest.param::<String>("method")? != PASSWORD {
        return Err(Error::not_found(format_args!("a password method other than `{PASSWORD}`")).into());
    }
    let body: graph::PasswordReset = guest.json().await?;
    let password = password_of(body.new_password, body.require_change_on_next_sign_in);
    let drawn = enter(&house, &caller, ResetPassword { user, password }).await?;
    let new_password = drawn.map(|password| password.expose().clone());
    Ok(axum::Json(graph::NewPassword { new_password }).into_response())
}

async fn get_requirements(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<GetUser>(&root()).await?;
    let found = enter(guest.house(), &caller, GetUser { user: guest.param("user")? }).await?;
    let per_user_mfa_state = String::from(if found.needs_mfa { "enforced" } else { "disabled" });
    Ok(axum::Json(graph::AuthenticationRequirements { per_user_mfa_state }).into_response())
}

async fn update_requirements(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateUser>(&root()).await?;
    let (house, user) = (guest.house().clone(), guest.param("user")?);
    let body: graph::AuthenticationRequirements = guest.json().await?;
    let needs_mfa = match body.per_user_mfa_state.as_str() {
        "enforced" => true,
        "disabled" => false,
        _ => return Err(Error::invalid("perUserMfaState", "must be `enforced` or `disabled`").into()),
    };
    let form = UserForm { needs_mfa: Some(needs_mfa), ..UserForm::default() };
    enter(&house, &caller, UpdateUser { user, form }).await?;
    Ok(done())
}
