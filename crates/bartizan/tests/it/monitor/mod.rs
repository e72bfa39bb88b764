//! The monitor face: the activity log, and where it is sent.

mod activity_log;
mod alerts;
mod delivery;
mod events;
mod export;
mod receiver;
mod registry;
mod retention;
mod tables;
mod turns;

pub use receiver::Receiver;

use kernel::Secret;
use outbound::Method;
use serde_json::Value;

use crate::house::TestHouse;

/// Asks for the subscription's activity log with these parameters.
async fn activities(test: &TestHouse, token: Option<&Secret<String>>, parameters: &[(&str, &str)]) -> (u16, Value) {
    let place = format!("{}/providers/Microsoft.Insights/eventtypes/management/values", test.subscription());
    let call = test.client().call(Method::GET, &place).query(&[("api-version", "2015-04-01")]).query(parameters);
    let answer = call.bearer(token.unwrap()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes(16 << 20).await.unwrap()).unwrap())
}
