//! The log of a service: what its newest replica wrote, and what the agent said about it.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, RunId};

use super::Deployment;
use crate::{
    compute::{launch_state, tail_log},
    gate::{Admission, Cx, Op, Shelf},
    resources::{Resource, row_id, workspace_shelf},
};

/// Most bytes of a log that are read for one answer.
const MOST_BYTES: u64 = 1 << 20;
/// Most characters of a log that a reason repeats.
const LAST_WORDS: usize = 1000;

/// The last lines of a service's log.
#[derive(Debug)]
pub struct GetServiceLog {
    /// The deployment.
    pub deployment: ResourceId,
    /// How many lines.
    pub tail: usize,
}

#[async_trait]
impl Op for GetServiceLog {
    const ACTION: Action = Action::new(
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/getLogs/action",
        Class::Read,
    );
    type Output = String;

    fn scope(&self) -> ResourceId {
        self.deployment.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<String> {
        let (shelf, _) = workspace_shelf(cx, &self.deployment).await?;
        let row = cx.get::<Resource<Deployment>>(&shelf, &row_id::<Deployment>(&shelf, &self.deployment)).await?;
        let row = row.ok_or_else(|| Error::not_found(format_args!("the resource `{}`", self.deployment)))?;
        let Some(launch) = row.value.properties.log else { return Ok(String::new()) };
        let mut text = tail_log(cx, &shelf, &launch, MOST_BYTES).await?;
        let state = launch_state(cx, &shelf, &launch).await?;
        let said = [state.and_then(|state| state.message), row.value.properties.reason];
        for message in said.into_iter().flatten() {
            if text.contains(&message) {
                continue;
            }
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&message);
            text.push('\n');
        }
        Ok(last_lines(&text, self.tail))
    }
}

/// What a replica said last, in one line; none when it said nothing.
pub(super) async fn last_words(cx: &Admission<'_>, shelf: &Shelf, launch: &RunId) -> Result<Option<String>> {
    let text = tail_log(cx, shelf, launch, 8 << 10).await?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tail = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" / ");
    let skip = tail.chars().count().saturating_sub(LAST_WORDS);
    let words: String = tail.chars().skip(skip).filter(|c| !c.is_control()).collect();
    Ok((!words.is_empty()).then_some(words))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_whole_lines() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a\nb\n", 1), "b\n");
        assert_eq!(last_lines("a\n", 0), "");
        assert_eq!(last_lines("", 5), "");
    }
}
