//! Every door, knocked on by everyone; and the golden lists of doors.

use std::{collections::BTreeSet, fs, path::Path};

use http_faces::{Door, faces};
use outbound::Method;
use serde_json::json;

use crate::house::{TestHouse, WORKSPACE, Who};

fn golden(name: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

fn line(door: &Door) -> String {
    format!("{} {} {}", door.method, door.path, door.action.name())
}

/// Doors without an identity: each line of the golden file carries its reason, and none is added without one.
#[test]
fn public_doors_are_the_golden_ones() {
    let golden: BTreeSet<String> = golden("public-routes.txt")
        .iter()
        .map(|line| line.split(" # ").next().unwrap().trim_end().to_owned())
        .collect();
    let doors = faces::doors();
    let open: BTreeSet<String> = doors.list().iter().filter(|door| door.action.is_public()).map(line).collect();
    let added: Vec<_> = open.difference(&golden).collect();
    let gone: Vec<_> = golden.difference(&open).collect();
    assert!(added.is_empty(), "new public doors need a line with a reason in golden/public-routes.txt: {added:#?}");
    assert!(gone.is_empty(), "the list may shrink: remove {gone:#?}");
}

#[test]
fn the_list_of_doors_is_the_golden_one() {
    let doors = faces::doors();
    let now: BTreeSet<String> = doors.list().iter().map(line).collect();
    if std::env::var_os("BARTIZAN_PRINT_ROUTES").is_some() {
        println!("{}", now.iter().cloned().collect::<Vec<_>>().join("\n"));
    }
    let golden = golden("routes.txt");
    let added: Vec<_> = now.difference(&golden).collect();
    let gone: Vec<_> = golden.difference(&now).collect();
    assert!(added.is_empty() && gone.is_empty(), "review golden/routes.txt: added {added:#?}, gone {gone:#?}");
}

/// A path with every parameter filled in: real names where they matter, else names of nothing.
pub fn fill(test: &TestHouse, path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment {
        "{subscription}" => test.founded.subscription.to_string(),
        "{group}" => String::from("rg"),
        "{workspace}" => String::from(WORKSPACE),
        "{tenant}" => test.founded.tenant.to_string(),
        "{principal}" => test.founded.principal.to_string(),
        _ if segment.starts_with('{') => String::from("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// What a caller without any business there gets, and what one with the right role does not get.
#[tokio::test(flavor = "multi_thread")]
async fn every_door_answers_each_caller_as_it_must() {
    let (test, callers) = TestHouse::new().await;
    let doors = faces::doors();
    let mut wrong = Vec::new();
    for door in doors.list().iter().filter(|door| !door.action.is_public()) {
        // Deleting what the other doors need would spoil the walk; its own tests cover it.
        let place = fill(&test, &door.path);
        let is_tenant_wide = !door.path.contains("/subscriptions/") && !door.path.starts_with("/agent/");
        let reads = door.action.name().to_ascii_lowercase().ends_with("/read");
        for who in [Who::Nobody, Who::Stranger, Who::Reader, Who::Contributor, Who::Owner] {
            let is_harmful = door.method == Method::DELETE && matches!(who, Who::Owner | Who::Contributor);
            if is_harmful {
                continue;
            }
            let method = Method::from_bytes(door.method.as_str().as_bytes()).unwrap();
            let body = (method != Method::GET && method != Method::HEAD).then(|| json!({}));
            let (status, _) = test.ask(callers.token(who), method, &place, body.as_ref()).await;
            // The tokens of these callers are for managing; what vaults and accounts hold takes tokens of its own (`vault/doors.rs`,
            // `blobs/access.rs`, `registry/rights.rs`).
            let is_data = ["/blob/", "/vaults/", "/v2/", "/acr/"].iter().any(|place| door.path.starts_with(place));
            let is_right = match who {
                _ if is_data => status == 401,
                Who::Nobody => status == 401,
                Who::Stranger => status == 404,
                // Below a scope that a reader may read, a refusal is a 403; above it, everything is unknown.
                Who::Reader if is_tenant_wide => status == 404,
                // Secrets are for those who could have them in a run: reading alone is not enough.
                Who::Reader if door.path.starts_with("/credential/") => status == 403,
                Who::Reader if reads => status != 401 && status != 403,
                Who::Reader => status == 403 || (door.path.starts_with("/agent/") && status == 404),
                Who::Contributor if is_tenant_wide => status == 404,
                Who::Contributor if door.action.name().starts_with("Microsoft.Authorization/") && !reads => {
                    status == 403
                }
                Who::Contributor => status != 401 && status != 403,
                Who::Owner => status != 401 && status != 403,
            };
            if !is_right || status >= 500 {
                wrong.push(format!("{who:?} {} {} → {status}", door.method, door.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    test.end().await;
}

/// An unknown Host reaches nothing, whatever it asks for (DNS rebinding).
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_refused() {
    let (test, callers) = TestHouse::new().await;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""] {
        let call = test.client().get("/subscriptions").bearer(callers.token(Who::Owner).unwrap()).header("host", host);
        match call.send().await {
            Ok(answer) => assert!(matches!(answer.status().as_u16(), 421 | 400), "{host}: {}", answer.status()),
            Err(outbound::Error::Header { .. } | outbound::Error::CutOff { .. }) => {}
            Err(fault) => panic!("{host}: {fault}"),
        }
    }
    test.end().await;
}
