//! Asking replicas how they are: `GET /` over their sockets.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use domain::{
    gate::{House, enter},
    scoring::{ListListening, Listening, report_probe},
};
use futures::{StreamExt, stream};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kernel::{Caller, Result};

use super::pool::connect;

/// How long a replica may take to answer (the article's liveness timeout).
const PATIENCE: Duration = Duration::from_secs(2);
/// Replicas asked at once.
const TOGETHER: usize = 16;

/// Asks every replica once and reports what has changed. Called about every second by the house's own work.
///
/// # Errors
/// Only what keeps it from asking at all; trouble with one replica is logged and does not keep it from the others.
pub async fn probe_replicas(house: &Arc<House>) -> Result<()> {
    let replicas = enter(house, &Caller::house(), ListListening).await?;
    stream::iter(replicas)
        .for_each_concurrent(TOGETHER, |replica| async move {
            let is_healthy = is_healthy(&replica).await;
            if let Err(fault) = report_probe(house, &replica, is_healthy).await {
                tracing::warn!(?fault, "the health of a replica could not be noted");
            }
        })
        .await;
    Ok(())
}

async fn is_healthy(replica: &Listening) -> bool {
    let asked = async {
        let mut sender = connect(&replica.socket).await.ok()?;
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("replica"));
        let response = sender.send_request(request).await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), 64).collect().await.ok()?.to_bytes();
        (body.as_ref() == wire::score::HEALTHY.as_bytes()).then_some(())
    };
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Some(())))
}
