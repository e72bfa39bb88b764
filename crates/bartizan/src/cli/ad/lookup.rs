//! From what people type to object ids.

use serde_json::Value;
use uuid::Uuid;

use super::{GRAPH, is, text};
use crate::{cli::Session, failure::Failure};

/// The address of a user, by object id or sign-in name. The server knows both.
pub(in crate::cli) fn user(named: &str) -> Result<String, Failure> {
    Ok(format!("{GRAPH}/users/{}", segment(named)?))
}

/// The object id of a group, by itself or by a name that only one has.
pub(super) async fn group(session: &Session, named: &str) -> Result<String, Failure> {
    if is_id(named) {
        return Ok(named.to_owned());
    }
    only(session, "groups", &is("displayName", named), named).await
}

/// The object id of a service principal, by itself, by its client id, or by a name that only one has.
pub(super) async fn service_principal(session: &Session, named: &str) -> Result<String, Failure> {
    if !is_id(named) {
        return only(session, "servicePrincipals", &is("displayName", named), named).await;
    }
    let found = session.list_where(&format!("{GRAPH}/servicePrincipals"), &is("appId", named)).await?;
    Ok(found.first().map_or_else(|| named.to_owned(), |principal| text(principal, "/id")))
}

/// The client id of an application, by itself, by its service principal's object id, or by a name that only one has.
pub(super) async fn application(session: &Session, named: &str) -> Result<String, Failure> {
    if !is_id(named) {
        return only(session, "applications", &is("displayName", named), named).await;
    }
    let found = session.list_where(&format!("{GRAPH}/applications"), &is("appId", named)).await?;
    if let Some(application) = found.first() {
        return Ok(text(application, "/appId"));
    }
    let principal: Value = session.get(&format!("{GRAPH}/servicePrincipals/{named}")).await?;
    Ok(text(&principal, "/appId"))
}

/// The object id of anybody: a user by sign-in name, the others as above.
pub(super) async fn principal(session: &Session, named: &str) -> Result<String, Failure> {
    if is_id(named) {
        let found = session.list_where(&format!("{GRAPH}/servicePrincipals"), &is("appId", named)).await?;
        return Ok(found.first().map_or_else(|| named.to_owned(), |principal| text(principal, "/id")));
    }
    let mut found: Vec<Value> = session.list_where(&format!("{GRAPH}/users"), &is("userPrincipalName", named)).await?;
    if found.is_empty() {
        found = session.list_where(&format!("{GRAPH}/groups"), &is("displayName", named)).await?;
        let principals = format!("{GRAPH}/servicePrincipals");
        found.extend(session.list_where(&principals, &is("displayName", named)).await?);
    }
    one(found, named)
}

async fn only(session: &Session, noun: &str, filter: &str, named: &str) -> Result<String, Failure> {
    one(session.list_where(&format!("{GRAPH}/{noun}"), filter).await?, named)
}

fn one(found: Vec<Value>, named: &str) -> Result<String, Failure> {
    match found.as_slice() {
        [only] => Ok(text(only, "/id")),
        [] => Err(Failure::new(format!(
            "nothing in the directory is named `{named}`; `bartizan ad user list`, `group list` and `sp list` show who is there"
        ))),
        several => {
            let ids: Vec<String> = several.iter().map(|entry| text(entry, "/id")).collect();
            Err(Failure::usage(format!("several are named `{named}`; give one of their ids: {}", ids.join(", "))))
        }
    }
}

pub(super) fn is_id(named: &str) -> bool {
    named.len() == 36 && Uuid::try_parse(named).is_ok()
}

/// A name as one segment of an address.
fn segment(named: &str) -> Result<String, Failure> {
    let is_plain = |c: char| c.is_ascii_graphic() && c != '/' && c != '\\';
    if named.is_empty() || !named.chars().all(is_plain) {
        return Err(Failure::usage(format!("`{}` is neither an object id nor a sign-in name", named.escape_debug())));
    }
    let escaped = |c: char| match c {
        '%' | '?' | '#' | '"' | '<' | '>' | '^' | '`' | '{' | '}' | '|' | '[' | ']' => format!("%{:02X}", u32::from(c)),
        other => other.to_string(),
    };
    Ok(named.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_segment() {
        assert_eq!(user("ann@example.com").unwrap(), "/graph/v1.0/users/ann@example.com");
        assert_eq!(user("ann#keycloak").unwrap(), "/graph/v1.0/users/ann%23keycloak");
        for bad in ["", "a/b", "a\\b", "a b", "a\n"] {
            assert!(user(bad).is_err(), "{bad:?}");
        }
        assert!(is_id("6f9619ff-8b86-d011-b42d-00c04fc964ff") && !is_id("6f9619ff8b86d011b42d00c04fc964ff"));
    }

    #[test]
    fn a_name_that_several_have_is_no_answer() {
        let entry = |id: &str| serde_json::json!({"id": id});
        assert_eq!(one(vec![entry("a")], "x").unwrap(), "a");
        assert!(one(vec![], "x").is_err());
        let told = one(vec![entry("a"), entry("b")], "x").unwrap_err().to_string();
        assert!(told.contains("a, b"), "{told}");
    }
}
