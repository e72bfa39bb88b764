//! The address of one file: `https://run-files.blob.core.{suffix}/{workspace}/{run}/{file}?{signature}`. Azure's clients take such a
//! host apart and put it together again (`{account}.blob.{endpoint}`), and name the rest as a blob in a container.
//!
//! Workspace and file are there in base64, since clients differ in how often they escape a name.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::tracking::{ArtifactPath, azure::FileAddress};
use kernel::{Error, ResourceId, Result, RunId, Secret};

use crate::Guest;

/// The name of the account that these files seem to lie in. No account can have it: a hyphen is not among their letters.
pub(super) use crate::front::RUN_FILES as ACCOUNT;
/// Where a run's agent says how its code reaches it. It is the agent's own code that reads the answer, so that it may say what it likes.
const DOOR: &str = "x-bartizan-door";
/// What the code of a job shows instead of a signature: its proxy adds the run's token.
const UNSIGNED: &str = "sv=2022-11-02&sr=b&sig=proxy";

/// The whole address.
pub(super) fn of(guest: &Guest, workspace: &ResourceId, run: &RunId, file: &FileAddress) -> Secret<String> {
    let base = match (&file.query, guest.header(DOOR).filter(|door| is_door(door))) {
        (None, Some(door)) => door.trim_end_matches('/').to_owned(),
        _ => guest.house().settings().own_url(ACCOUNT, "blob.core").trim_end_matches('/').to_owned(),
    };
    let query = file.query.as_ref().map_or(UNSIGNED, |query| query.expose());
    let (workspace, path) = (encoded(&workspace.to_string()), encoded(file.path.as_str()));
    Secret::new(format!("{base}/{workspace}/{run}/{path}?{query}"))
}

/// An origin that only this machine answers at, or a path below one.
fn is_door(text: &str) -> bool {
    text.len() <= 200
        && (text.starts_with("http://127.0.0.1:") || text.starts_with("https://run-files.blob.core."))
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b':' | b'/' | b'.' | b'-'))
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// What an address names.
pub(super) struct Named {
    pub(super) workspace: ResourceId,
    pub(super) run: RunId,
    pub(super) path: ArtifactPath,
}

/// Reads `/run-files/{workspace}/{run}/{file}`.
pub(super) fn read(guest: &Guest) -> Result<Named> {
    let missing = || Error::not_found("this address");
    let (workspace, file): (String, String) = (guest.param("workspace")?, guest.param("file")?);
    let named: ResourceId = decoded(&workspace).and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    let workspace = named.workspace().filter(|workspace| *workspace == named).ok_or_else(missing)?;
    let path = ArtifactPath::parse(&decoded(&file).ok_or_else(missing)?)?;
    Ok(Named { workspace, run: guest.param("run")?, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_is_on_this_machine() {
        assert!(
            is_door("http://127.0.0.1:4280/run-files") && is_door("https://run-files.blob.core.bartizan.internal:4280")
        );
        for bad in ["", "http://127.0.0.1.evil/", "https://evil", "http://127.0.0.1:1/?x", "http://127.0.0.1:1@evil"] {
            assert!(!is_door(bad), "{bad}");
        }
    }
}
