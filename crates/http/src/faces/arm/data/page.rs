//! What of a list of data assets is asked for: archived ones or not, tags, order, and which part of it.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{data_assets::DataVersion, gate::Row, resources::Resource};
use kernel::{Error, Result};
use serde::Serialize;
use wire::arm;

use crate::Guest;

/// Entries of one page, and what `$top` can be at most.
const MOST: usize = 1000;
/// Most bytes of `$tags`.
const LONGEST_TAGS: usize = 4096;
/// Most bytes of a token.
const LONGEST_TOKEN: usize = 1024;
/// Where the next page begins. Azure's clients take the whole link as it is.
const TOKEN: &str = "$skipToken";

/// `listViewType`.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    Active,
    Archived,
    All,
}

impl Shown {
    /// What a request asks for; what is not archived, when it does not say.
    pub(super) fn of(guest: &Guest) -> Result<Self> {
        match guest.query("listViewType").unwrap_or_default().to_ascii_lowercase().as_str() {
            "" | "activeonly" => Ok(Self::Active),
            "archivedonly" => Ok(Self::Archived),
            "all" => Ok(Self::All),
            _ => Err(Error::invalid("listViewType", "must be `ActiveOnly`, `ArchivedOnly` or `All`")),
        }
    }

    pub(super) fn takes(self, is_archived: bool) -> bool {
        match self {
            Self::Active => !is_archived,
            Self::Archived => is_archived,
            Self::All => true,
        }
    }
}

/// `$orderBy`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

impl Order {
    /// What a request asks for; the newest first, when it does not say.
    pub(super) fn of(guest: &Guest) -> Result<Self> {
        let said = guest.query("$orderBy").unwrap_or_default().to_ascii_lowercase();
        match said.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
            [] | ["createdtime" | "modifiedtime", "desc"] => Ok(Self::NewestFirst),
            ["createdtime" | "modifiedtime"] | ["createdtime" | "modifiedtime", "asc"] => Ok(Self::OldestFirst),
            _ => Err(Error::invalid("$orderBy", "must be `createdtime asc` or `createdtime desc`")),
        }
    }
}

/// `$tags`: names, each with a value or with any.
pub(super) struct Tags(Vec<(String, Option<String>)>);

/// What a request asks for: `tag1,tag2=value2`.
pub(super) fn tags_of(guest: &Guest) -> Result<Tags> {
    let said = guest.query("$tags").unwrap_or_default();
    if said.len() > LONGEST_TAGS {
        return Err(Error::invalid("$tags", format_args!("is longer than {LONGEST_TAGS} bytes")));
    }
    let one = |part: &str| match part.split_once('=') {
        Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
        None => (part.trim().to_owned(), None),
    };
    Ok(Tags(said.split(',').filter(|part| !part.trim().is_empty()).map(one).collect()))
}

impl Tags {
    /// Whether all that are asked for are there.
    pub(super) fn fit(&self, tags: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, wanted)| {
            tags.get(name).is_some_and(|value| wanted.as_ref().is_none_or(|wanted| wanted == value))
        })
    }
}

/// How many entries a page is to have.
pub(super) fn top_of(guest: &Guest) -> Result<usize> {
    match guest.query("$top") {
        None => Ok(MOST),
        Some(text) => match text.parse() {
            Ok(most) if most >= 1 => Ok(MOST.min(most)),
            _ => Err(Error::invalid("$top", "must be a number from 1 on")),
        },
    }
}

/// A version's place in the order, which it keeps: when it was made, its number, its name.
type Rank = (i64, u64, String);

fn rank(row: &Row<Resource<DataVersion>>) -> Rank {
    let version = &row.value;
    (version.system.created_at.0, version.properties.number, version.id.folded().to_owned())
}

/// The page of versions, which come newest first, as an answer.
pub(super) fn versions_page<V: Serialize>(
    guest: &Guest,
    order: Order,
    mut rows: Vec<Row<Resource<DataVersion>>>,
    view: impl Fn(&Row<Resource<DataVersion>>) -> V,
) -> Result<Response> {
    let most = top_of(guest)?;
    if order == Order::OldestFirst {
        rows.reverse();
    }
    // The last one counts: a link to a next page that was escaped on the way is added to, not replaced.
    let after = guest.query_all(TOKEN).pop().map(|token| read(&token)).transpose()?;
    let is_behind = |row: &Row<Resource<DataVersion>>| match &after {
        None => true,
        Some(after) if order == Order::NewestFirst => rank(row) < *after,
        Some(after) => rank(row) > *after,
    };
    rows.retain(is_behind);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let token = rows.last().filter(|_| has_more).map(|row| written(&rank(row)));
    let next_link = token.map(|token| guest.link_with(TOKEN, &token));
    Ok(axum::Json(arm::List { value: rows.iter().map(view).collect(), next_link }).into_response())
}

fn written((at, number, name): &Rank) -> String {
    URL_SAFE_NO_PAD.encode(format!("{at}|{number}|{name}"))
}

fn read(token: &str) -> Result<Rank> {
    let parsed = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|_| token.len() <= LONGEST_TOKEN)?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(3, '|');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
    };
    parsed().ok_or_else(|| Error::invalid(TOKEN, "must be taken from the page before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_place_in_the_order_and_nothing_else_is() {
        let place = (1_767_225_600_000, 12, String::from("/subscriptions/s/x|y"));
        assert_eq!(read(&written(&place)).unwrap(), place);
        for bad in ["", "!", "YWJj", &written(&place).repeat(40)] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_are_asked_for_with_or_without_a_value() {
        let tags = BTreeMap::from([(String::from("a"), String::from("1"))]);
        let fits = |wanted: &[(&str, Option<&str>)]| {
            let wanted = wanted.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
            Tags(wanted.collect()).fit(&tags)
        };
        assert!(fits(&[]) && fits(&[("a", None)]) && fits(&[("a", Some("1"))]));
        assert!(!fits(&[("a", Some("2"))]) && !fits(&[("b", None)]) && !fits(&[("a", None), ("b", None)]));
    }
}
