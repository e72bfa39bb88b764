//! Who somebody is here whom a provider vouches for, and which groups its word puts them into.

use std::collections::HashSet;

use kernel::{Error, Kind, PrincipalId, PrincipalKind, Result};

use super::{
    FederationRefusal,
    id_token::IdToken,
    links::{link_id, new_link},
    records::{FederatedUser, Provider},
};
use crate::{
    gate::{Admission, Changes, Row},
    identity::{
        Membership, Person,
        directory::{MOST_MEMBERSHIPS, is_deceptive, membership_id, require_room},
        found::new_member,
    },
};

/// Characters of a name for people.
const LONGEST_NAME: usize = 120;
/// Characters of a sign-in name, before what tells it from others.
const LONGEST_USER_NAME: usize = 64;
/// Characters that stand for the provider in it.
const LONGEST_MARK: usize = 24;

/// Somebody whom a provider vouches for.
pub(super) struct Known {
    /// The user.
    pub principal: PrincipalId,
    /// The changes that make it so.
    pub changes: Changes,
    /// Whether those touch users or groups.
    pub is_changed: bool,
}

/// Finds the user behind a subject by issuer and subject alone, or makes one where the provider may. The caller holds
/// `assigning` and commits.
pub(super) async fn known(
    cx: &Admission<'_>,
    provider: &Provider,
    token: &IdToken,
) -> Result<std::result::Result<Known, FederationRefusal>> {
    let mut changes = Changes::new();
    let id = link_id(cx, &provider.issuer, &token.subject);
    let found = cx.get::<FederatedUser>(cx.system(), &id).await?;
    let member = found.as_ref().and_then(|row| cx.house().identity.member(row.value.principal));
    let (mut link, is_new) = match (found, member) {
        (Some(_), Some(member)) if member.is_disabled => return Ok(Err(FederationRefusal::Disabled)),
        (Some(link), Some(_)) => (link, false),
        // Nobody yet, or a user that was deleted since: such a one does not come back.
        (found, _) if provider.creates_users => {
            let principal = create(cx, &mut changes, provider, token).await?;
            let version = found.map_or(0, |row| row.version);
            (Row { id, version, value: new_link(cx, provider, &token.subject, principal) }, true)
        }
        _ => return Ok(Err(FederationRefusal::NotInvited)),
    };
    let is_moved = place(cx, &mut changes, provider, token, &mut link.value).await?;
    if is_new || is_moved {
        changes.put(cx.system(), &link)?;
    }
    Ok(Ok(Known { principal: link.value.principal, changes, is_changed: is_new || is_moved }))
}

/// A new user. Its name is only a name: it never leads to a user that is there already.
async fn create(
    cx: &Admission<'_>,
    changes: &mut Changes,
    provider: &Provider,
    token: &IdToken,
) -> Result<PrincipalId> {
    require_room(cx)?;
    let said = token.text(&provider.user_name_claim).unwrap_or(&token.subject);
    let mut user_name = user_name(said, &provider.name);
    let row_of = |name: &str| cx.system().name_id::<Person>(name);
    if cx.get::<Person>(cx.system(), &row_of(&user_name)).await?.is_some() {
        user_name = format!("{user_name}-{}", seal::hex(&seal::random::<4>()?));
    }
    let id = PrincipalId::random();
    let person = Person {
        principal: id,
        user_name: user_name.clone(),
        password: None,
        display_name: token.text("name").and_then(display_name).unwrap_or_else(|| user_name.clone()),
        must_change: false,
        needs_mfa: false,
        password_set_at: None,
    };
    let member = new_member(cx, id, PrincipalKind::User, &user_name, None);
    cx.note("created", &user_name);
    changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), member))?;
    changes.put(cx.system(), &Row::new(row_of(&user_name), person))?;
    Ok(id)
}

/// Puts the user into the groups that the provider names now, and takes it out of those that it named before. What others
/// decided about the user's groups is left alone.
async fn place(
    cx: &Admission<'_>,
    changes: &mut Changes,
    provider: &Provider,
    token: &IdToken,
    link: &mut FederatedUser,
) -> Result<bool> {
    let said: HashSet<&str> =
        provider.group_claim.as_ref().map(|claim| token.values(claim).into_iter().collect()).unwrap_or_default();
    let named = provider.groups.iter().filter(|mapping| said.contains(mapping.value.as_str())).map(|one| one.group);
    let is_group = |group: &PrincipalId| cx.house().identity.kind_of(*group) == Some(PrincipalKind::Group);
    let wanted: HashSet<PrincipalId> = named.filter(is_group).collect();
    let before = link.groups.clone();
    for group in &wanted {
        let id = membership_id(*group, link.principal);
        if cx.get::<Membership>(cx.system(), &id).await?.is_none() {
            if cx.house().access().memberships() >= MOST_MEMBERSHIPS {
                let why = format!("the directory holds {MOST_MEMBERSHIPS} memberships, and no more");
                return Err(Error::new(Kind::TooLarge, why));
            }
            changes.put(cx.system(), &Row::new(id, Membership { group: *group, member: link.principal }))?;
            if !link.groups.contains(group) {
                link.groups.push(*group);
            }
        }
    }
    for group in before.iter().filter(|group| !wanted.contains(*group)) {
        let id = membership_id(*group, link.principal);
        if let Some(found) = cx.get::<Membership>(cx.system(), &id).await? {
            changes.delete(cx.system(), &found);
        }
        link.groups.retain(|kept| kept != group);
    }
    let is_moved = !changes.is_empty();
    if is_moved {
        cx.note("groups", wanted.len().to_string());
    }
    Ok(is_moved || link.groups != before)
}

/// `ann_corp.example#keycloak`: what the provider calls somebody, and by which provider it is said, so that nobody takes it for
/// one of our own.
fn user_name(said: &str, provider: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "'.-_+".contains(c) { c } else { '_' };
    let name: String = said.to_ascii_lowercase().chars().map(plain).take(LONGEST_USER_NAME).collect();
    let name = name.trim_matches(['.', '_']);
    let mark = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let mark: String = provider.to_ascii_lowercase().chars().map(mark).take(LONGEST_MARK).collect();
    let mark = mark.trim_matches('-');
    format!("{}#{}", if name.is_empty() { "user" } else { name }, if mark.is_empty() { "provider" } else { mark })
}

/// A name for people, as far as it can be shown: without what reorders or hides text.
fn display_name(said: &str) -> Option<String> {
    let name: String = said.chars().filter(|c| !is_deceptive(*c)).take(LONGEST_NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_it_comes_from() {
        assert_eq!(user_name("Ann@Corp.example", "Keycloak"), "ann_corp.example#keycloak");
        assert_eq!(user_name("admin", "Corp SSO (prod)"), "admin#corp-sso--prod");
        assert_eq!(user_name("李", "…"), "user#provider");
        assert_eq!(user_name(&"a".repeat(500), "p").len(), 66);
        assert_eq!(display_name(" An\u{202e}n\t").as_deref(), Some("Ann"));
        assert_eq!(display_name("\u{200b}"), None);
    }
}
