//! `metrics/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{GetMetricHistory, SampleMetricHistory, text},
};
use http::Method;
use kernel::{Error, Kind, Result, RunId};
use wire::mlflow;

use super::{
    Fault, arrive,
    fields::Fields,
    runs::run_id,
    view::{self, reply},
};
use crate::{Doors, Guest};

/// Most runs of one sample.
const MOST_RUNS: usize = 100;
/// Most points of a sample, per run.
const MOST_POINTS: usize = 2500;

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |path: &str| format!("{base}/metrics/{path}");
    doors
        .open::<GetMetricHistory, _, _>(Method::GET, &at("get-history"), get_history)
        .open::<SampleMetricHistory, _, _>(Method::GET, &at("get-history-bulk-interval"), sample_history)
}

async fn get_history(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetMetricHistory>(&guest).await?;
    let fields = Fields::query(&guest, &["run_id", "run_uuid", "metric_key", "max_results", "page_token"]);
    let run = run_id(&fields)?;
    let key = fields.need("metric_key")?;
    let most = match fields.integer("max_results")? {
        None => None,
        Some(most) => Some(usize::try_from(most).ok().filter(|most| *most > 0).ok_or_else(|| {
            let words =
                format!("Invalid value {most} for parameter 'max_results' supplied. It must be a positive integer.");
            Error::new(Kind::Invalid, words)
        })?),
    };
    let op = GetMetricHistory { workspace, run, key: key.clone(), most, page_token: fields.text("page_token")? };
    let page = enter(&house, &caller, op).await?;
    let metrics = page.items.iter().map(|point| view::metric(&key, point, None)).collect();
    Ok(reply(mlflow::Metrics { metrics, next_page_token: page.next }))
}

fn steps(from: Option<i64>, to: Option<i64>) -> Result<Option<(i64, i64)>> {
    match (from, to) {
        (None, None) => Ok(None),
        (Some(from), Some(to)) if from <= to => Ok(Some((from, to))),
        (Some(from), Some(to)) => {
            let found = format!("Found start_step={from} and end_step={to}.");
            Err(Error::new(Kind::Invalid, format!("end_step must be greater than start_step. {found}")))
        }
        _ => Err(Error::new(Kind::Invalid, "If either start step or end step are specified, both must be specified.")),
    }
}

async fn sample_history(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SampleMetricHistory>(&guest).await?;
    let fields = Fields::query(&guest, &["run_ids", "metric_key", "start_step", "end_step", "max_results"]);
    let named = fields.texts("run_ids")?;
    if named.is_empty() {
        return Err(fields.missing("run_ids").into());
    }
    if named.len() > MOST_RUNS {
        let words = format!("GetMetricHistoryBulkInterval request must specify at most {MOST_RUNS} run_ids.");
        return Err(text::refused(&format!("{words} Received {} run_ids.", named.len())).into());
    }
    let id = |text: &String| text.parse().map_err(|_| text::bad("run_ids", text, "it is not a run id"));
    let runs: Result<Vec<RunId>> = named.iter().map(id).collect();
    let key = fields.need("metric_key")?;
    let steps = steps(fields.integer("start_step")?, fields.integer("end_step")?)?;
    let most = fields.integer("max_results")?.map_or(Ok(MOST_POINTS), usize::try_from);
    let most = most.ok().filter(|most| (1..=MOST_POINTS).contains(most));
    let most = most.ok_or_else(|| text::refused(&format!("max_results must be between 1 and {MOST_POINTS}.")))?;
    let op = SampleMetricHistory { workspace, runs: runs?, key: key.clone(), steps, most };
    let found = enter(&house, &caller, op).await?;
    let of_run = |(run, points): &(RunId, Vec<_>)| -> Vec<mlflow::Metric> {
        points.iter().map(|point| view::metric(&key, point, Some(run))).collect()
    };
    let metrics = found.iter().flat_map(of_run).collect();
    Ok(reply(mlflow::Metrics { metrics, next_page_token: None }))
}
