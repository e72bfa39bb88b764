//! Where this installation's services are, as `az cloud register` and SDKs ask before anybody signs in.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    resources::{Cloud, GetCloud},
};
use http::Method;
use serde_json::{Value, json};

use super::Fault;
use crate::{Doors, Guest};

/// The newest api-version that is answered with a list of clouds; later ones get the one cloud itself.
const LAST_WITH_LIST: &str = "2019-05-01";

/// The door of the cloud's document.
pub(super) fn doors(doors: Doors) -> Doors {
    doors.open::<GetCloud, _, _>(Method::GET, "/metadata/endpoints", get_endpoints)
}

/// The cloud as Azure describes its own. What is not offered here (SQL, batch, data lakes …) is left out rather than named with
/// an address where nobody answers.
fn view(cloud: &Cloud) -> Value {
    let Cloud { url, suffix } = cloud;
    json!({
        "name": "Bartizan",
        "portal": format!("{url}/signin"),
        "authentication": {
            "loginEndpoint": url,
            "audiences": [url, format!("{url}/")],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": url,
        "graph": format!("{url}/graph"),
        "graphAudience": format!("{url}/graph/"),
        "microsoftGraphResourceId": format!("{url}/graph/"),
        "logAnalyticsResourceId": url,
        "suffixes": {
            "storage": format!("core.{suffix}"),
            "keyVaultDns": format!("vault.{suffix}"),
            "acrLoginServer": format!("azurecr.{suffix}"),
        },
    })
}

/// `GET /metadata/endpoints?api-version=…`.
async fn get_endpoints(guest: Guest) -> Result<Response, Fault> {
    let cloud = enter(guest.house(), &guest.anyone(), GetCloud).await?;
    let one = view(&cloud);
    let wants_list = guest.query("api-version").is_some_and(|version| version.as_str() <= LAST_WITH_LIST);
    Ok(axum::Json(if wants_list { json!([one]) } else { one }).into_response())
}
