//! The body of `runs/log-batch` in the form in which clients send it, read straight into what it means: a batch has a thousand
//! metrics. Whatever is written in another way is left to [`Fields`](super::fields::Fields), which reads all ways and says what is
//! wrong.

use std::borrow::Cow;

use domain::tracking::{Metric, Point};
use serde::Deserialize;

use super::runs::Logged;

/// A batch as clients write it. A key that is given twice, or that is not known, makes it another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    run_uuid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    metrics: Vec<Item<'a>>,
    #[serde(borrow, default)]
    params: Vec<Pair<'a>>,
    #[serde(borrow, default)]
    tags: Vec<Pair<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: f64,
    timestamp: i64,
    step: Option<i64>,
    #[serde(borrow)]
    model_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dataset_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    dataset_digest: Option<Cow<'a, str>>,
    /// Said again by some clients.
    #[serde(borrow, rename = "run_id")]
    _run: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
}

fn text(text: Option<Cow<'_, str>>) -> String {
    text.map(Cow::into_owned).unwrap_or_default()
}

/// The run's id and what is logged to it; none when the body is written in another way.
pub(super) fn read(body: &[u8]) -> Option<(String, Logged)> {
    let batch: Batch<'_> = serde_json::from_slice(body).ok()?;
    let run = batch.run_id.filter(|id| !id.is_empty()).or(batch.run_uuid).filter(|id| !id.is_empty())?;
    let has_keys = batch.metrics.iter().all(|one| !one.key.is_empty())
        && batch.params.iter().chain(&batch.tags).all(|one| !one.key.is_empty());
    if !has_keys {
        return None;
    }
    let metric = |one: Item<'_>| Metric {
        point: Point::new(one.step.unwrap_or(0), one.timestamp, one.value),
        key: one.key.into_owned(),
        model: one.model_id.filter(|id| !id.is_empty()).map(Cow::into_owned),
        dataset_name: text(one.dataset_name),
        dataset_digest: text(one.dataset_digest),
    };
    let pairs = |pairs: Vec<Pair<'_>>| pairs.into_iter().map(|one| (one.key.into_owned(), text(one.value))).collect();
    let logged = Logged {
        metrics: batch.metrics.into_iter().map(metric).collect(),
        params: pairs(batch.params),
        tags: pairs(batch.tags),
    };
    Some((run.into_owned(), logged))
}

#[cfg(test)]
mod tests {
    use super::{super::runs::logged, *};
    use crate::faces::mlflow::fields::Fields;

    /// As it is read field by field.
    fn slowly(body: &str) -> Option<String> {
        let fields = Fields::parse(body.as_bytes()).ok()?;
        Some(format!("{:?}", logged(&fields).ok()?))
    }

    #[test]
    fn what_is_read_at_once_means_what_it_means_field_by_field() {
        let same = [
            r#"{"run_id":"a","metrics":[{"key":"m","value":1,"timestamp":2,"step":3},{"key":"é\n","value":-1.5e300,"timestamp":0}]}"#,
            r#"{"run_uuid":"a","metrics":[{"key":"m","value":0.1,"timestamp":2,"step":null,"model_id":"","dataset_name":"d","dataset_digest":null}]}"#,
            r#"{"run_id":"","run_uuid":"b","params":[{"key":"p","value":"v"},{"key":"q"}],"tags":[{"value":null,"key":"t"}]}"#,
            r#"{"run_id":"a","metrics":[]}"#,
        ];
        for body in same {
            let (_, at_once) = read(body.as_bytes()).unwrap();
            assert_eq!(format!("{at_once:?}"), slowly(body).unwrap(), "{body}");
        }
    }

    #[test]
    fn what_is_written_in_another_way_is_left_alone() {
        let others = [
            r#"{"run_id":"a","metrics":[{"key":"m","value":"NaN","timestamp":2}]}"#,
            r#"{"run_id":"a","metrics":[{"key":"m","value":1,"timestamp":"2"}]}"#,
            r#"{"run_id":"a","metrics":[{"key":"m","value":1,"value":2,"timestamp":2}]}"#,
            r#"{"run_id":"a","run_id":"b"}"#,
            r#"{"run_id":"a","other":1,"other":2}"#,
            r#"{"run_id":"a","metrics":[{"key":"","value":1,"timestamp":2}]}"#,
            r#"{"run_id":"a","metrics":null}"#,
            r#"{"metrics":[]}"#,
            r#""{\"run_id\":\"a\"}""#,
            "",
            "{",
        ];
        for body in others {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
    }
}
