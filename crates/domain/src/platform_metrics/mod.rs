//! Platform metrics: what happened to runs, models and deployments, and how the nodes stand. Collected without configuration, from
//! the activity log.

mod count;
mod levels;
mod metric;
mod read;
mod sheet;

pub(crate) use count::{CountRecords, keep_counting};
pub use metric::{Metric, Unit};
pub use read::{DescribeMetrics, Point, Question, ReadMetrics, Scrape, ScrapeMetrics, Series};
pub(crate) use read::{READ as READ_METRICS, answer};
pub use sheet::Dimensions;
