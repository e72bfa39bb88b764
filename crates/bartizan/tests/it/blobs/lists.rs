//! Lists, and names that are hard to write.

use outbound::Method;

use super::stage::{Stage, escaped};

fn names(xml: &str) -> Vec<String> {
    xml.split("<Name>").skip(1).map(|part| part.split("</Name>").next().unwrap().to_owned()).collect()
}

fn next(xml: &str) -> String {
    xml.split("<NextMarker>").nth(1).map(|part| part.split('<').next().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_in_order_and_by_directories() {
    let stage = Stage::new().await;
    let mut due: Vec<String> = (0..30).map(|at| format!("dir{}/f{at:02}", at % 3)).collect();
    due.push(String::from("top"));
    due.sort();
    for name in &due {
        stage.put(name, b"x").await.is(201);
    }
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let place = format!("/box?restype=container&comp=list&maxresults=7&marker={marker}");
        let page = stage.ask(Method::GET, &place, &[], b"").await.is(200).text();
        found.extend(names(&page));
        marker = next(&page);
        if marker.is_empty() {
            break;
        }
    }
    assert_eq!(found, due);
    let tops = stage
        .ask(Method::GET, "/box?restype=container&comp=list&delimiter=/&maxresults=2", &[], b"")
        .await
        .is(200)
        .text();
    assert_eq!(names(&tops), ["dir0/", "dir1/"]);
    let rest = format!("/box?restype=container&comp=list&delimiter=/&marker={}", next(&tops));
    assert_eq!(names(&stage.ask(Method::GET, &rest, &[], b"").await.is(200).text()), ["dir2/", "top"]);
    let below = "/box?restype=container&comp=list&prefix=dir1%2F&delimiter=%2F";
    assert_eq!(names(&stage.ask(Method::GET, below, &[], b"").await.is(200).text()).len(), 10);
    for (place, code) in [
        ("/box?restype=container&comp=list&maxresults=0", "OutOfRangeQueryParameterValue"),
        ("/box?restype=container&comp=list&marker=x", "InvalidQueryParameterValue"),
        ("/box?restype=container&comp=list&include=secrets", "InvalidQueryParameterValue"),
        ("/box?restype=container&comp=list&comp=list", "InvalidQueryParameterValue"),
    ] {
        stage.ask(Method::GET, place, &[], b"").await.refuses(400, code);
    }
    let all = stage.ask(Method::GET, "?comp=list", &[], b"").await.is(200).text();
    assert!(names(&all).contains(&String::from("box")), "{all}");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_name_is_one_blob_however_it_is_escaped() {
    let stage = Stage::new().await;
    for name in [
        "a b",
        "a+b",
        "ü",
        "100%",
        "what?",
        "a//b",
        "/lead",
        "trail/",
        "a\\b",
        "%2e%2e",
        "a&b=c",
        "<tag>",
        "subscriptions/X",
    ] {
        stage.put(&escaped(name), name.as_bytes()).await.is(201);
        let slashed = name.split('/').map(escaped).collect::<Vec<_>>().join("/");
        assert_eq!(stage.get(&slashed).await.is(200).text(), name, "{slashed}");
        let listed = stage
            .ask(Method::GET, &format!("/box?restype=container&comp=list&prefix={}", escaped(name)), &[], b"")
            .await;
        let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert_eq!(names(&listed.is(200).text()), [shown], "{name}");
    }
    for bad in ["a%00b", "a%0Ab", "%FF", "x%2F..%2Fy", "%2E%2E%2F%2E%2E%2Fetc", "a%zz", "x%5C..%5Cy"] {
        let told = stage.put(bad, b"x").await;
        assert_eq!(told.status, 400, "{bad}");
    }
    for bad in ["/Box", "/a", "/$root", "/a--b"] {
        let told = stage.ask(Method::PUT, &format!("{bad}?restype=container"), &[], b"").await;
        told.refuses(400, "InvalidResourceName");
    }
    let host = format!("{}.blob.core.bartizan.test", stage.account);
    let call = stage.test.client().call(Method::GET, "/box/a%20b").header("host", &host).bearer(&stage.token);
    assert_eq!(super::stage::told(call).await.is(200).text(), "a b");
    stage.test.end().await;
}
