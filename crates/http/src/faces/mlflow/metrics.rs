//! `metrics/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{GetMetricHistory, SampleMetricHistory, text},
};
use http::Method;
use kernel::{Result, RunId};
use wire::mlflow;

use super::{
    Fault, arrive,
    fields::Fields,
    runs::run_id,
    view::{self, reply},
};
use crate::{Doors, Guest};

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
    let key = fields.need("metric_key")?;
    let most = match fields.count("max_results", 0)? {
        0 => None,
        most => Some(most),
    };
    let op = GetMetricHistory {
        workspace,
        run: run_id(&fields)?,
        key: key.clone(),
        most,
        page_token: fields.text("page_token")?,
    };
    let page = enter(&house, &caller, op).await?;
    let metrics = page.items.iter().map(|point| view::metric(&key, point, None)).collect();
    Ok(reply(mlflow::Metrics { metrics, next_page_token: page.next }))
}

async fn sample_history(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<SampleMetricHistory>(&guest).await?;
    let fields = Fields::query(&guest, &["run_ids", "metric_key", "start_step", "end_step", "max_results"]);
    let key = fields.need("metric_key")?;
    let id = |text: &String| text.parse().map_err(|_| text::bad("run_ids", text, "it is not a run id"));
    let runs: Result<Vec<RunId>> = fields.texts("run_ids")?.iter().map(id).collect();
    let steps = match (fields.integer("start_step")?, fields.integer("end_step")?) {
        (Some(from), Some(to)) if from <= to => Some((from, to)),
        (None, None) => None,
        _ => {
            let why = "it must come with 'end_step', which must not be less";
            return Err(text::bad("start_step", "", why).into());
        }
    };
    let most = fields.count("max_results", 2500)?;
    let op = SampleMetricHistory { workspace, runs: runs?, key: key.clone(), steps, most };
    let found = enter(&house, &caller, op).await?;
    let of_run = |(run, points): &(RunId, Vec<_>)| -> Vec<mlflow::Metric> {
        points.iter().map(|point| view::metric(&key, point, Some(run))).collect()
    };
    let metrics = found.iter().flat_map(of_run).collect();
    Ok(reply(mlflow::Metrics { metrics, next_page_token: None }))
}
