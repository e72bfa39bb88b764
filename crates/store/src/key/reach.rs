//! The way to a provider over HTTP: hosts that the operator named, and whoever vouches for them.

use std::path::{Path, PathBuf};

use kernel::{StoreError, StoreResult, Web};
use outbound::{Reach, WebClient};

/// A client for these origins and no other. Whoever names a file of authorities trusts nobody else, whatever is in it.
pub(super) fn client(
    what: &str,
    origins: &[&str],
    networks: &[String],
    ca: Option<&PathBuf>,
) -> StoreResult<WebClient> {
    let refused = |why: String| StoreError::Key(format!("{what}'s configuration: {why}"));
    let hosts = origins.iter().map(|text| text.parse().map_err(|fault| refused(format!("`{text}`: {fault}"))));
    let networks = networks.iter().map(|text| text.parse().map_err(|fault| refused(format!("`{text}`: {fault}"))));
    let ca_pem = match ca {
        Some(path) => authorities(path).map_err(refused)?,
        None => Vec::new(),
    };
    let reach = Reach {
        hosts: hosts.collect::<StoreResult<_>>()?,
        networks: networks.collect::<StoreResult<_>>()?,
        is_pinned: ca.is_some(),
        ca_pem,
    };
    let web = WebClient::new(reach, WebClient::PATIENCE).map_err(|fault| refused(fault.to_string()))?;
    for origin in origins {
        web.permits(origin).map_err(|fault| refused(fault.to_string()))?;
    }
    Ok(web)
}

/// The PEM file of the only authorities that are trusted.
fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|cause| format!("cannot read `{}` ({cause})", path.display()))?;
    if pem.trim_ascii().is_empty() {
        return Err(format!("`{}` is empty; put the authority there, in PEM", path.display()));
    }
    Ok(pem)
}

/// A sentence from afar: shortened, and without what a terminal would obey.
pub(super) fn said(words: &str) -> String {
    /// So many characters are shown.
    const MOST_WORDS: usize = 200;
    let words: String = words.chars().filter(|c| !c.is_control()).take(MOST_WORDS).collect();
    if words.is_empty() { words } else { format!(" ({words})") }
}
