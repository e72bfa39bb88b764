//! What is asked of the service of an account.

use axum::response::Response;
use domain::{
    gate::{Op, enter, knock},
    storage::{
        GetDelegationKey, GetServiceSettings, Level, ListContainers, Need, READ_CONTAINER, Retention,
        SetServiceSettings, http_date, invalid, lease_state,
    },
};
use http::StatusCode;
use kernel::Result;

use super::{
    done,
    error::unsupported,
    headers::{Answer, etag},
    list::most,
    visit::Visit,
    xml::{self, Node, Xml},
};

/// What the least of all needs.
pub(super) const SEE: Need = Need::account(READ_CONTAINER, Level::Service, "l");
const READ_SETTINGS: Need = Need::account(GetServiceSettings::ACTION, Level::Service, "r");
const WRITE_SETTINGS: Need = Need::account(SetServiceSettings::ACTION, Level::Service, "w");
/// Only a principal has anything to delegate.
const DELEGATE: Need = Need::account(GetDelegationKey::ACTION, Level::Service, "");

/// `GET ?comp=list`: the containers.
pub(super) async fn list(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SEE).await?;
    let most = most(&visit)?;
    let op = ListContainers {
        account: arrival.account.clone(),
        prefix: visit.query("prefix").to_owned(),
        from: visit.query("marker").to_owned(),
        most,
    };
    let (found, next) = enter(visit.house(), &arrival.caller, op).await?;
    let now = visit.house().now();
    let shows_metadata = visit.query("include").split(',').any(|word| word == "metadata");
    let mut xml = Xml::begin_with("EnumerationResults", &[("ServiceEndpoint", &visit.endpoint())]);
    xml.leaf_if("Prefix", visit.find("prefix"));
    xml.leaf_if("Marker", visit.find("marker"));
    xml.leaf("MaxResults", &most.to_string());
    xml.open("Containers");
    for container in &found {
        let state = lease_state(container.lease.as_ref(), now);
        xml.open("Container");
        xml.leaf("Name", &container.name);
        xml.open("Properties");
        xml.leaf("Last-Modified", &http_date(container.modified_at));
        xml.leaf("Etag", &etag(container.etag));
        xml.leaf("LeaseStatus", if state.is_locked() { "locked" } else { "unlocked" });
        xml.leaf("LeaseState", state.word());
        xml.leaf("HasImmutabilityPolicy", "false");
        xml.leaf("HasLegalHold", "false");
        xml.close();
        if shows_metadata {
            xml.open("Metadata");
            for (name, value) in &container.metadata {
                xml.leaf(name, value);
            }
            xml.close();
        }
        xml.close();
    }
    xml.close();
    xml.leaf("NextMarker", next.as_deref().unwrap_or_default());
    Ok(Answer::default().document(xml.end()))
}

/// `GET ?restype=service&comp=properties`.
pub(super) async fn get_settings(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&READ_SETTINGS).await?;
    let op = GetServiceSettings { account: arrival.account.clone() };
    let settings = enter(visit.house(), &arrival.caller, op).await?;
    let mut xml = Xml::begin("StorageServiceProperties");
    xml.open("Logging");
    xml.leaf("Version", "1.0");
    for name in ["Delete", "Read", "Write"] {
        xml.leaf(name, "false");
    }
    off(&mut xml, "RetentionPolicy");
    xml.close();
    for name in ["HourMetrics", "MinuteMetrics"] {
        xml.open(name);
        xml.leaf("Version", "1.0");
        xml.leaf("Enabled", "false");
        off(&mut xml, "RetentionPolicy");
        xml.close();
    }
    xml.leaf("Cors", "");
    xml.open("DeleteRetentionPolicy");
    match settings.retention_days {
        None => xml.leaf("Enabled", "false"),
        Some(days) => {
            xml.leaf("Enabled", "true");
            xml.leaf("Days", &days.to_string());
        }
    }
    xml.close();
    off(&mut xml, "StaticWebsite");
    Ok(Answer::default().document(xml.end()))
}

fn off(xml: &mut Xml, name: &'static str) {
    xml.open(name);
    xml.leaf("Enabled", "false");
    xml.close();
}

/// `PUT ?restype=service&comp=properties`.
pub(super) async fn set_settings(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&WRITE_SETTINGS).await?;
    knock::<SetServiceSettings>(visit.house(), &arrival.caller, &arrival.account.service()).await?;
    let house = visit.house().clone();
    let document = xml::read(&visit.bytes(64 << 10).await?, "StorageServiceProperties", xml::FEW)?;
    refuse_what_is_not_offered(&document)?;
    let Some(policy) = document.child("DeleteRetentionPolicy") else { return Ok(done(StatusCode::ACCEPTED)) };
    let retention = match policy.text_of("Enabled") {
        "true" => {
            let bad = || invalid("InvalidXmlNodeValue", "`Days` must be 1 to 365");
            Retention::Days(policy.text_of("Days").parse::<u32>().map_err(|_| bad())?)
        }
        "false" => Retention::Off,
        _ => return Err(invalid("InvalidXmlNodeValue", "`Enabled` must be `true` or `false`")),
    };
    enter(&house, &arrival.caller, SetServiceSettings { account: arrival.account, retention, versioning: None })
        .await?;
    Ok(done(StatusCode::ACCEPTED))
}

/// What is switched off there is off here; what would be switched on and is not there is refused.
fn refuse_what_is_not_offered(document: &Node) -> Result<()> {
    let is_on = |node: &Node| node.text_of("Enabled") == "true";
    for name in ["HourMetrics", "MinuteMetrics", "StaticWebsite"] {
        if document.child(name).is_some_and(is_on) {
            return Err(unsupported(&format!("`{name}` is not offered here")));
        }
    }
    let logs = document
        .child("Logging")
        .is_some_and(|logging| ["Delete", "Read", "Write"].iter().any(|name| logging.text_of(name) == "true"));
    if logs {
        return Err(unsupported("`Logging` is not offered here; the activity log holds every access"));
    }
    if document.child("Cors").is_some_and(|cors| !cors.children.is_empty()) {
        return Err(unsupported("`Cors` is not offered here: no page of another site reads blobs"));
    }
    Ok(())
}

/// `GET ?restype=account&comp=properties`.
pub(super) async fn account(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SEE).await?;
    knock::<ListContainers>(visit.house(), &arrival.caller, &arrival.account.service()).await?;
    Ok(Answer::default()
        .set("x-ms-sku-name", "Standard_LRS")
        .set("x-ms-account-kind", "StorageV2")
        .set("x-ms-is-hns-enabled", "false")
        .empty(StatusCode::OK))
}

/// `POST ?restype=service&comp=userdelegationkey`.
pub(super) async fn delegate(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&DELEGATE).await?;
    knock::<GetDelegationKey>(visit.house(), &arrival.caller, &arrival.account.service()).await?;
    let house = visit.house().clone();
    let asked = xml::read(&visit.bytes(64 << 10).await?, "KeyInfo", xml::FEW)?;
    if asked.child("DelegatedUserTid").is_some() {
        return Err(unsupported("a delegation key for the use of one user alone is not offered"));
    }
    let op = GetDelegationKey {
        account: arrival.account,
        start: asked.text_of("Start").to_owned(),
        expiry: asked.text_of("Expiry").to_owned(),
    };
    let key = enter(&house, &arrival.caller, op).await?;
    let mut xml = Xml::begin("UserDelegationKey");
    xml.leaf("SignedOid", &key.oid.to_string());
    xml.leaf("SignedTid", &key.tid.to_string());
    xml.leaf("SignedStart", &key.start);
    xml.leaf("SignedExpiry", &key.expiry);
    xml.leaf("SignedService", "b");
    xml.leaf("SignedVersion", key.version);
    xml.leaf("Value", key.value.expose());
    Ok(Answer::default().document(xml.end()))
}

/// `POST ?comp=batch`.
pub(super) async fn batch(visit: &Visit) -> Result<Response> {
    visit.arrive(&SEE).await?;
    Err(unsupported("batches are not offered; send the requests one by one"))
}
