//! What the pages are made of: style, script and picture. They are part of the program, and their addresses change with their
//! contents, so that browsers may keep them.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::response::{IntoResponse, Response};
use domain::identity::GetSignInPage;
use http::{StatusCode, header};

use super::{fault::Fault, visit::Visit};
use crate::Guest;

/// A file that pages load.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

pub(super) const STYLE: Asset =
    Asset { name: "style.css", kind: "text/css; charset=utf-8", content: include_str!("../../../assets/style.css") };
pub(super) const SCRIPT: Asset = Asset {
    name: "signin.js",
    kind: "text/javascript; charset=utf-8",
    content: include_str!("../../../assets/signin.js"),
};
pub(super) const ICON: Asset =
    Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../../../assets/icon.svg") };
/// Sends the one form of a page: for answers to applications by `form_post`.
pub(super) const SEND: Asset =
    Asset { name: "send.js", kind: "text/javascript; charset=utf-8", content: include_str!("../../../assets/send.js") };

const ALL: [Asset; 4] = [STYLE, SCRIPT, ICON, SEND];

impl Asset {
    /// Where it is, in the version of this program.
    pub(super) fn link(&self) -> String {
        // Not for safety: another content has to have another address, no more.
        let mut hasher = DefaultHasher::new();
        self.content.hash(&mut hasher);
        format!("/signin/assets/{}?v={:016x}", self.name, hasher.finish())
    }
}

/// `GET /signin/assets/{name}`.
pub(super) async fn get_asset(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::of(&guest)?;
    visit.enter(GetSignInPage::default()).await?;
    let name: String = guest.param("name").map_err(|why| visit.fault(&why))?;
    let asset = ALL.into_iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| visit.fault(&kernel::Error::not_found("this file")))?;
    let kept = "public, max-age=31536000, immutable";
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)];
    Ok((StatusCode::OK, headers, asset.content).into_response())
}
