//! Traces: what an application did for one request, as a tree of spans, with what people and programs think of it. Facts:
//! MLflow 3.17, whose clients write and read them.
//!
//! A trace is one row below its experiment, and pages of spans beside it. Spans come in any order, in as many exports as it takes,
//! and again when an exporter tries again: what is there already is not kept twice. **Invariant:** all that is kept of one
//! trace is bounded, whoever writes to it.

mod assess;
mod assessment;
mod change;
mod correlation;
mod delete;
mod filter;
mod link;
mod log_spans;
mod measure;
mod metrics;
mod pages;
mod read;
mod search;
mod sieve;
mod span;
mod start;
mod sum;
#[cfg(test)]
mod tests;
mod trace;

pub use assess::{AssessmentPatch, CreateAssessment, DeleteAssessment, GetAssessment, UpdateAssessment};
pub use assessment::{Assessment, AssessmentFault, Expected, Verdict};
pub use change::{TraceChange, UpdateTrace};
pub use correlation::{CorrelateTraces, Correlation};
pub use delete::DeleteTraces;
pub use link::LinkTraces;
pub use log_spans::LogSpans;
pub use measure::{Aggregation, DataPoint};
pub use metrics::{MeasureTraces, Measured};
pub use read::{GetTrace, ListTraces, OpenedTrace, OpenedTraces, ReadTraces};
pub use search::SearchTraces;
pub use span::{NewSpan, SpanHead, SpanStatus};
pub use start::{NewTrace, StartTrace};
pub use trace::{Trace, TraceState};
