//! Parts of lists: how many are asked for, which of them, and where the next part begins.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Error, ResourceId, Result};
use serde::Serialize;
use wire::arm;

use crate::{
    Guest,
    faces::monitor::filter::{Word, words},
};

/// Entries of one page, and what `$top` can be at most (Azure's bound).
const MOST: usize = 1000;
/// Most bytes of a token.
const LONGEST_TOKEN: usize = 4096;
/// Most bytes of a filter.
const LONGEST_FILTER: usize = 4096;

/// A page of a list that is sorted by id.
pub(super) struct Pages {
    /// The parameter that carries the token.
    token: &'static str,
    most: usize,
    after: Option<ResourceId>,
}

impl Pages {
    /// What a request asks for: `$top`, and the token of the page before in the parameter that Azure has it in.
    ///
    /// # Errors
    /// `Invalid`, naming the parameter.
    pub fn of(guest: &Guest, token: &'static str) -> Result<Self> {
        let most = match guest.query("$top") {
            None => MOST,
            Some(text) => match text.parse() {
                Ok(most) if (1..=MOST).contains(&most) => most,
                _ => return Err(Error::invalid("$top", format_args!("must be 1 to {MOST}"))),
            },
        };
        // The last one counts: a link to a next page that was escaped on the way is added to, not replaced.
        let after = guest.query_all(token).pop().map(|text| {
            let bytes = URL_SAFE_NO_PAD.decode(&text).ok().filter(|_| text.len() <= LONGEST_TOKEN);
            let id = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
            id.ok_or_else(|| Error::invalid(token, "must be taken from the page before"))
        });
        Ok(Self { token, most, after: after.transpose()? })
    }

    /// The page of all that there is, as an answer.
    pub fn answer<T, V: Serialize>(
        &self,
        guest: &Guest,
        all: impl IntoIterator<Item = T>,
        id: impl Fn(&T) -> &ResourceId,
        view: impl Fn(&T) -> V,
    ) -> Response {
        let mut rest = all.into_iter().filter(|one| self.after.as_ref().is_none_or(|after| id(one) > after));
        let page: Vec<T> = rest.by_ref().take(self.most).collect();
        let is_last = rest.next().is_none();
        let last = page.last().filter(|_| !is_last).map(|one| URL_SAFE_NO_PAD.encode(id(one).folded()));
        let next_link = last.map(|token| guest.link_with(self.token, &token));
        axum::Json(arm::List { value: page.iter().map(view).collect(), next_link }).into_response()
    }
}

/// What a filter says: `field eq 'value'`, joined by `and`; the names of the fields in lower case.
pub(super) struct Clauses(BTreeMap<String, String>);

impl Clauses {
    /// Reads `$filter`, which may name these fields.
    ///
    /// # Errors
    /// `Invalid`, with the fields that there are.
    pub fn of(guest: &Guest, fields: &[&str]) -> Result<Self> {
        let filter = guest.query("$filter").unwrap_or_default();
        if filter.len() > LONGEST_FILTER {
            return Err(Error::invalid("$filter", format_args!("is longer than {LONGEST_FILTER} bytes")));
        }
        let unknown = || {
            let named = fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
            Error::invalid("$filter", format_args!("use {named} with `eq`, joined by `and`"))
        };
        let is_known = |field: &Word| fields.iter().any(|known| known.eq_ignore_ascii_case(&field.text));
        let words = words(&filter)?;
        let mut clauses = BTreeMap::new();
        for clause in words.split(|word| word.is("and")).filter(|_| !words.is_empty()) {
            let [field, comparator, value] = clause else { return Err(unknown()) };
            if !is_known(field) || !comparator.is("eq") {
                return Err(unknown());
            }
            clauses.insert(field.text.to_ascii_lowercase(), value.text.clone());
        }
        Ok(Self(clauses))
    }

    /// Whether a field is as the filter wants it; case does not count.
    pub fn fits(&self, field: &str, found: &str) -> bool {
        self.0.get(field).is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
    }

    /// Whether there is a tag as `tagName` and `tagValue` want it; the case of values counts.
    pub fn fit_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        let value = self.0.get("tagvalue");
        let is_asked = value.is_some() || self.0.contains_key("tagname");
        let fits =
            |(name, held): (&String, &String)| self.fits("tagname", name) && value.is_none_or(|wanted| wanted == held);
        !is_asked || tags.iter().any(fits)
    }
}
