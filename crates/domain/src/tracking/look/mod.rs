//! Looking at the files of a model version before it is registered: for what runs code when somebody loads it, and for secrets and
//! personal data (requirement X-23). Nothing is loaded here, and no model is parsed: opcodes of pickles are read for the names in them.
//!
//! A content is looked at once in its workspace; what was found is kept beside it.

mod content;
mod feed;
mod file;
mod names;
mod opcodes;
mod pickle;
mod seen;
mod zip;

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Error, Kind, Result};

pub use self::seen::Seen;
use self::{
    content::{Form, Text},
    names::Danger,
};
use crate::{
    gate::{Admission, BlobRef, Changes, Shelf},
    resources::Workspace,
    secrets::{ContentScan, Hit, ModelScan, RULES as TEXT_RULES},
};

/// The number of the rules about names: what was looked at by others is looked at again.
const RULES: u32 = 2;
/// Findings of a version, and of one content, that are kept.
const MOST: usize = 50;
/// Findings that a record tells one by one.
const MOST_TOLD: usize = 10;
/// Bytes of a tag's value.
const LONGEST_TAG: usize = 4000;

/// What begins like this is said by the server alone.
pub(super) const TAG: &str = "bartizan.scan";
const TAG_FINDINGS: &str = "bartizan.scan.findings";
const TAG_CONTENT: &str = "bartizan.scan.content";

/// Something in a file of a model.
#[derive(Clone, Debug)]
struct Finding {
    path: String,
    danger: Danger,
    what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "`{}` holds {}", self.path, self.what)
    }
}

/// What was found in a version.
#[derive(Default)]
struct Looked {
    names: Vec<Finding>,
    hits: Vec<String>,
    unseen: usize,
}

impl Looked {
    /// The worst first: what is cut off is what matters less.
    fn cut(&mut self) {
        self.names.sort_by(|a, b| b.danger.cmp(&a.danger).then_with(|| a.path.cmp(&b.path)));
        self.names.truncate(MOST);
    }
}

/// Looks at files as their workspace wants it; the tags that the version gets. What was not looked at before is put into `changes`, to be
/// kept; what is in `seen` is not looked at again.
///
/// # Errors
/// `Invalid`, naming file and what is in it, where the workspace refuses that.
pub(super) async fn look(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Workspace,
    files: &[(String, BlobRef)],
    seen: &Seen,
    changes: &mut Changes,
) -> Result<BTreeMap<String, String>> {
    let (models, content) = (workspace.model_scan, workspace.content_scan);
    let (wants_names, wants_text) = (models != ModelScan::Allow, content != ContentScan::Off);
    let mut tags = BTreeMap::new();
    if files.is_empty() || !(wants_names || wants_text) {
        return Ok(tags);
    }
    let mut looked = Looked::default();
    let mut kept = BTreeSet::new();
    let pickled = if wants_names { content::pickled(cx, shelf, files).await? } else { BTreeSet::new() };
    for (path, blob) in files.iter().filter(|(_, blob)| blob.length > 0) {
        let form = Form::of(path, pickled.contains(path));
        let is_read = wants_text && form.text != Text::No;
        let wanted = (if wants_names { RULES } else { 0 }, if is_read { TEXT_RULES } else { 0 });
        let found = match seen.find(blob, form, wanted) {
            Some(sight) => Some(sight),
            None => content::one(cx, shelf, seen, (blob, form), wanted).await?,
        };
        let Some(sight) = found else {
            looked.unseen = looked.unseen.saturating_add(1);
            continue;
        };
        if sight.is_to_keep && kept.insert((blob.sha256.as_str(), form)) {
            content::keep(cx, shelf, (blob, form), &sight.look, changes).await?;
        }
        let found = sight.look;
        if wants_names {
            let of = |(danger, what)| Finding { path: path.clone(), danger, what };
            looked.names.extend(found.names.into_iter().map(of));
            if looked.names.len() > 4 * MOST {
                looked.cut();
            }
        }
        if wanted.1 != 0 {
            let tell = |hit: Hit| format!("`{path}`, line {}, looks as if it held {}", hit.line, hit.what);
            looked.hits.extend(found.hits.into_iter().map(tell));
            looked.hits.truncate(MOST);
        }
    }
    looked.cut();
    if wants_names {
        about_names(cx, models, &looked, &mut tags)?;
    }
    about_texts(cx, content, &looked.hits, &mut tags)?;
    Ok(tags)
}

fn about_names(
    cx: &Admission<'_>,
    mode: ModelScan,
    looked: &Looked,
    tags: &mut BTreeMap<String, String>,
) -> Result<()> {
    let worst = looked.names.first();
    let word = match worst.map(|finding| finding.danger) {
        Some(Danger::Dangerous) => "dangerous",
        Some(Danger::Unread) => "unread",
        Some(Danger::Suspicious) => "suspicious",
        None if looked.unseen > 0 => "unread",
        // Tags are read by programs too: where there is nothing to say, there is none.
        None => return Ok(()),
    };
    tags.insert(TAG.to_owned(), word.to_owned());
    let mut all: Vec<String> = looked.names.iter().map(Finding::to_string).collect();
    if looked.unseen > 0 {
        all.push(format!("{} files were not looked at: there was too much", looked.unseen));
    }
    tags.insert(TAG_FINDINGS.to_owned(), cut(all.join("; ")));
    cx.note("modelScan", word);
    cx.note("modelFindings", told(&all));
    match worst {
        Some(worst) if mode == ModelScan::Refuse && worst.danger > Danger::Suspicious => {
            let why = format!(
                "{worst}, which may run code when the file is loaded, and this workspace refuses such models: save it in a form \
                 without code (ONNX, safetensors, the library's own), or ask an owner to change `modelScan`"
            );
            Err(Error::new(Kind::Invalid, why))
        }
        _ => Ok(()),
    }
}

fn about_texts(
    cx: &Admission<'_>,
    mode: ContentScan,
    hits: &[String],
    tags: &mut BTreeMap<String, String>,
) -> Result<()> {
    let Some(first) = hits.first() else { return Ok(()) };
    cx.note("findings", told(hits));
    if mode == ContentScan::Refuse {
        let more = match hits.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more places)"),
        };
        let why = format!(
            "{first}{more}, and this workspace refuses that: take it out and log the model again; a secret belongs into the \
             workspace's key vault"
        );
        return Err(Error::new(Kind::Invalid, why));
    }
    tags.insert(TAG_CONTENT.to_owned(), cut(hits.join("; ")));
    Ok(())
}

/// For the record: places and names, never what stands there.
fn told(findings: &[String]) -> String {
    let mut told: Vec<String> = findings.iter().take(MOST_TOLD).cloned().collect();
    if findings.len() > MOST_TOLD {
        told.push(format!("{} more", findings.len().saturating_sub(MOST_TOLD)));
    }
    cut(told.join("; "))
}

fn cut(mut text: String) -> String {
    if text.len() > LONGEST_TAG {
        let mut at = LONGEST_TAG;
        while !text.is_char_boundary(at) {
            at = at.saturating_sub(1);
        }
        text.truncate(at);
        text.push('…');
    }
    text
}
