//! Exports: each format has what its reader needs, and verifies.

use outbound::Method;
use serde_json::Value;

use crate::house::{TestHouse, Who};

async fn export(test: &TestHouse, token: Option<&kernel::Secret<String>>, format: &str) -> Vec<Value> {
    let place = format!("/activity-log/v1/records?limit=5000&format={format}");
    let answer = test.client().get(&place).bearer(token.unwrap()).send().await.unwrap();
    let lines = answer.success().await.unwrap().bytes(64 << 20).await.unwrap();
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The attributes that OCSF 1.3.0 requires of each class, but for those of profiles.
fn required(class: u64) -> &'static [&'static str] {
    match class {
        3002 => &[
            "/activity_id",
            "/category_uid",
            "/class_uid",
            "/metadata/product/vendor_name",
            "/metadata/version",
            "/severity_id",
            "/time",
            "/type_uid",
            "/user/type_id",
            "/service/name",
        ],
        6003 => &[
            "/activity_id",
            "/actor/user/name",
            "/api/operation",
            "/category_uid",
            "/class_uid",
            "/metadata/product/vendor_name",
            "/metadata/version",
            "/severity_id",
            "/src_endpoint",
            "/time",
            "/type_uid",
        ],
        other => panic!("class {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_carries_the_chain_and_ocsf_s_required_attributes() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    test.house.flush_reads().await.unwrap();
    let rows = export(&test, owner, "rows").await;
    let opened = export(&test, owner, "jsonl").await;
    let events = export(&test, owner, "ocsf").await;
    let mut classes = std::collections::BTreeSet::new();
    for ((row, line), event) in rows.iter().zip(&opened).zip(&events) {
        assert_eq!((&line["seq"], &line["link"], &line["record"]), (&row["seq"], &row["link"], &row["record"]));
        assert_eq!(line["event"]["sequence"], row["seq"]);
        assert_eq!(event["unmapped"]["bartizan"], *row);
        let class = event["class_uid"].as_u64().unwrap();
        for attribute in required(class) {
            assert!(event.pointer(attribute).is_some_and(|value| !value.is_null()), "{attribute}: {event}");
        }
        assert_eq!(event["type_uid"].as_u64(), Some(class * 100 + event["activity_id"].as_u64().unwrap()));
        classes.insert(class);
    }
    assert_eq!(classes.into_iter().collect::<Vec<_>>(), [3002, 6003]);
    let bad = test.ask(owner, Method::GET, "/activity-log/v1/records?format=xml", None).await;
    assert_eq!(bad.0, 400);
    for who in [Who::Contributor, Who::Reader] {
        let place = "/activity-log/v1/records?format=jsonl";
        assert_eq!(test.ask(callers.token(who), Method::GET, place, None).await.0, 404);
    }
    test.end().await;
}
