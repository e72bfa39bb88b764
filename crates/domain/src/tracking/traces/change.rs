//! Small changes of a trace: its tags, and the prompts it used.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::trace::{self, NAME_TAG, check_tag_key, find_writable, is_own_tag};
use crate::{
    gate::{Changes, Cx, Op},
    impact::admit_names,
    resources::workspace_shelf,
    tracking::{
        action::{WRITE_ANY_TRACE, WRITE_TRACES},
        attempt::{Attempt, settle},
        ownership, text,
    },
};

/// What to do to a trace.
#[derive(Clone, Debug)]
pub enum TraceChange {
    /// Set a tag.
    SetTag(String, String),
    /// Remove a tag.
    DeleteTag(String),
    /// Say which versions of prompts it used: name and version.
    LinkPrompts(Vec<(String, u64)>),
}

/// Changes one.
#[derive(Debug)]
pub struct UpdateTrace {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
    /// What to do.
    pub change: TraceChange,
}

#[async_trait]
impl Op for UpdateTrace {
    const ACTION: Action = WRITE_TRACES;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        match &self.change {
            TraceChange::SetTag(key, _) => {
                check_tag_key(key)?;
                must_be_free(key, "set")?;
            }
            TraceChange::DeleteTag(key) => must_be_free(key, "deleted")?,
            TraceChange::LinkPrompts(prompts) => {
                prompts.iter().try_for_each(|(name, _)| text::check("name", name, 1..=256))?;
            }
        }
        settle(&self, cx).await
    }
}

fn must_be_free(key: &str, what: &str) -> Result<()> {
    if is_own_tag(key) {
        let words = format!("Tag '{key}' is immutable and cannot be {what} on a trace.");
        return Err(Error::new(Kind::Invalid, words));
    }
    Ok(())
}

impl Attempt for UpdateTrace {
    fn contends_for(&self) -> String {
        format!("trace|{}", self.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = find_writable(cx, &shelf, &self.id, &WRITE_ANY_TRACE).await?;
        match &self.change {
            TraceChange::SetTag(key, value) => {
                if key == NAME_TAG {
                    let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
                    admit_names(cx, is_raised, &[(NAME_TAG, value)])?;
                }
                row.value.set_tag(key, value)?;
            }
            TraceChange::DeleteTag(key) => {
                if row.value.tags.remove(key).is_none() {
                    let (key, id) = (text::echo(key), &row.value.id);
                    let words = format!("No trace tag with key '{key}' for trace with ID '{id}'");
                    return Err(Error::new(Kind::NotFound, words));
                }
            }
            TraceChange::LinkPrompts(prompts) => {
                row.value.prompts.extend(prompts.iter().map(|(name, version)| format!("{name}/{version}")));
            }
        }
        cx.note("trace", row.value.id.clone());
        let mut changes = Changes::new();
        trace::put(&shelf, &mut changes, &row)?;
        cx.commit(changes).await
    }
}
