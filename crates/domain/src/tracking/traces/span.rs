//! Spans as they come: what the room has to know of one, and all that was sent of it.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::trace::check_id;
use crate::tracking::text;

/// Most bytes of one span, as it is kept.
pub(super) const MOST_SPAN: usize = 8 << 20;

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanStatus {
    /// Nobody said.
    #[default]
    Unset,
    /// Well.
    Ok,
    /// Badly.
    Error,
}

impl SpanStatus {
    /// MLflow's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }
}

/// A span that was sent.
#[derive(Clone, Debug)]
pub struct NewSpan {
    /// Its trace.
    pub trace: String,
    /// What is searched and summed of it.
    pub head: SpanHead,
    /// What was given to it, as JSON.
    pub inputs: Option<String>,
    /// What it gave, as JSON.
    pub outputs: Option<String>,
    /// The conversation it belongs to.
    pub session: Option<String>,
    /// The user it worked for.
    pub user: Option<String>,
    /// Tags for its trace that spans from the same place bring too: kept once for all of them.
    pub shared: Arc<[(String, String)]>,
    /// More tags for its trace.
    pub tags: Vec<(String, String)>,
    /// All of it, in the form in which clients read it.
    pub body: Box<RawValue>,
}

/// What is searched and summed of a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanHead {
    /// 16 hex digits.
    pub id: String,
    /// The span it belongs to; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What it does.
    pub name: String,
    /// What kind of step it is: `LLM`, `TOOL`, `CHAIN`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// How it ended.
    pub status: SpanStatus,
    /// When it began, in nanoseconds since the epoch.
    pub started_at: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Tokens by MLflow's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, f64>,
    /// Cost in US dollars by MLflow's names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cost: BTreeMap<String, f64>,
    /// The language model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl NewSpan {
    pub(super) fn check(&self) -> Result<()> {
        check_id(&self.trace)?;
        let head = &self.head;
        if !is_hex(&head.id, 16) || head.parent.as_ref().is_some_and(|parent| !is_hex(parent, 16)) {
            return Err(text::bad("span_id", &head.id, "it must be 16 hex digits"));
        }
        text::check_length("name", &head.name, 4000)?;
        text::check_length("mlflow.spanType", &head.kind, 500)?;
        for (name, said) in [("mlflow.llm.model", &head.model), ("mlflow.llm.provider", &head.provider)] {
            text::check_length(name, said.as_deref().unwrap_or_default(), 500)?;
        }
        if self.body.get().len() > MOST_SPAN {
            return Err(Error::new(Kind::TooLarge, format!("a span has at most {MOST_SPAN} bytes")));
        }
        Ok(())
    }

    /// About how many bytes it takes, without what it shares with others.
    pub fn size(&self) -> usize {
        let texts = [&self.inputs, &self.outputs, &self.session, &self.user];
        let texts = texts.into_iter().flatten().map(String::len);
        let tags = self.tags.iter().map(|(key, value)| key.len().saturating_add(value.len()));
        let known = self.head.size().saturating_add(self.body.get().len());
        texts.chain(tags).fold(known, usize::saturating_add)
    }
}

/// The tags that spans bring for their trace, in their order. What neighbours share is told once, not by each of them.
pub(super) fn tags(spans: &[NewSpan]) -> impl Iterator<Item = &(String, String)> {
    let mut last: Option<&Arc<[(String, String)]>> = None;
    spans.iter().flat_map(move |span| {
        let is_told = last.is_some_and(|last| Arc::ptr_eq(last, &span.shared));
        last = Some(&span.shared);
        span.shared.iter().take(if is_told { 0 } else { usize::MAX }).chain(&span.tags)
    })
}

impl SpanHead {
    pub(super) fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.model, &self.provider].into_iter().flatten().map(String::len);
        let numbers = self.usage.keys().chain(self.cost.keys()).map(|name| name.len().saturating_add(16));
        let known = 200_usize.saturating_add(self.name.len()).saturating_add(self.kind.len());
        texts.chain(numbers).fold(known, usize::saturating_add)
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
}
