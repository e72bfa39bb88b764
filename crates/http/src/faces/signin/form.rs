//! Reading what a page sends: only from a page of ours, only with the token that page was given.

use std::collections::HashMap;

use kernel::{Error, Secret};
use serde::Deserialize;

use super::{fault::Fault, return_path::ReturnPath, visit::Visit};
use crate::{Guest, path};

/// The longest form (bytes): a passkey with its attestation has a few KiB.
const LONGEST: usize = 64 * 1024;

/// The fields of a form.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a form that one of our pages sent.
    pub(super) async fn read(guest: Guest) -> Result<(Visit, Self), Fault> {
        let mut visit = Visit::of(&guest)?;
        if !is_from_here(&guest) {
            return Err(visit.foreign_form());
        }
        let body = guest.bytes_to(LONGEST).await.map_err(|why| visit.fault(&why))?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let mut fields = HashMap::new();
        for (name, value) in path::pairs(text) {
            if fields.insert(name, value).is_some() {
                return Err(visit.fault(&Error::invalid("form", "a field comes twice")));
            }
        }
        let mut form = Self(fields);
        if !visit.knows(&form.take("form")) {
            return Err(visit.foreign_form());
        }
        visit.return_to = ReturnPath::parse(&form.take("return"));
        Ok((visit, form))
    }

    /// A field's value; empty when it is missing.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// A field's value that nothing may print.
    pub(super) fn secret(&mut self, name: &str) -> Secret<String> {
        Secret::new(self.take(name))
    }
}

/// Reads what the script of a page sends: only the page's token.
pub(super) async fn read_script(guest: Guest) -> Result<Visit, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        form: String,
    }
    let visit = Visit::of(&guest)?;
    if !is_from_here(&guest) {
        return Err(visit.foreign_form());
    }
    let body = guest.bytes_to(LONGEST).await.map_err(|why| visit.fault(&why))?;
    let asked: Asked = crate::guest::parse_json(&body).map_err(|why| visit.fault(&why))?;
    if visit.knows(&asked.form) { Ok(visit) } else { Err(visit.foreign_form()) }
}

/// Whether the browser says that a page of this very origin sent this. Forms from a page without referrers say `Origin: null`
/// (Fetch §3.2), so they need `Sec-Fetch-Site`, which every browser since 2023 sends; whoever says neither is refused.
fn is_from_here(guest: &Guest) -> bool {
    let site = guest.header("sec-fetch-site");
    let is_same_site = site == Some("same-origin");
    match guest.header("origin") {
        Some(origin) if origin != "null" => {
            let is_ours = origin == guest.house().settings().url.trim_end_matches('/');
            is_ours && (is_same_site || site.is_none())
        }
        _ => is_same_site,
    }
}
