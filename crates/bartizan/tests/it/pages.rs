//! Lists in parts: `$top`, the link to what follows, and filters by tags and types.

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

/// Reads a list part by part; gives the size of each and all names.
async fn parts(test: &TestHouse, who: &Secret<String>, first: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut names, mut next) = (Vec::new(), Vec::new(), Some(first.to_owned()));
    while let Some(place) = next {
        let (status, page) = test.ask(Some(who), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{page}");
        let value = page["value"].as_array().unwrap();
        sizes.push(value.len());
        names.extend(value.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        next = page["nextLink"].as_str().map(str::to_owned);
        assert!(sizes.len() < 50, "the pages end");
    }
    (sizes, names)
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_parts_that_end_and_hold_each_entry_once() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let subscription = test.subscription();
    for (name, tag) in [("a", "x"), ("b", "y"), ("C", "x")] {
        let body = json!({"location": "local", "tags": {"Team": tag}});
        let place = format!("{subscription}/resourceGroups/{name}");
        assert_eq!(test.ask(Some(owner), Method::PUT, &place, Some(&body)).await.0, 201);
    }
    let groups = format!("{subscription}/resourcegroups");
    let (sizes, names) = parts(&test, owner, &format!("{groups}?api-version=2022-09-01&$top=3")).await;
    assert_eq!((sizes, names.as_slice()), (vec![3, 1], ["a", "b", "C", "rg"].map(String::from).as_slice()));
    let (sizes, _) = parts(&test, owner, &format!("{groups}?$top=4")).await;
    assert_eq!(sizes, [4], "no link to nothing");
    // A client that escapes the link it was given gets on all the same.
    let (_, page) = test.ask(Some(owner), Method::GET, &format!("{groups}?$top=1"), None).await;
    let escaped = page["nextLink"].as_str().unwrap().replace('$', "%24");
    let (sizes, names) = parts(&test, owner, &escaped).await;
    assert_eq!((sizes.len(), names.len()), (3, 3), "{names:?}");

    let tagged = |filter: &str| format!("{groups}?$top=1&$filter={}", filter.replace(' ', "%20"));
    assert_eq!(parts(&test, owner, &tagged("tagName eq 'team' and tagValue eq 'x'")).await.1, ["a", "C"]);
    assert_eq!(parts(&test, owner, &tagged("tagName eq 'team'")).await.1.len(), 3);
    assert_eq!(parts(&test, owner, &tagged("tagName eq 'none'")).await.1.len(), 0);

    for name in ["ws2", "ws3"] {
        let place = test.workspace().replace("ws1", name);
        let body = json!({"location": "local", "tags": {"team": "x"}});
        let (status, made) = test.ask(Some(owner), Method::PUT, &place, Some(&body)).await;
        assert!(status < 300, "{made}");
    }
    let in_group = test.workspace().replace("/ws1", "");
    let in_subscription = format!("{subscription}/providers/Microsoft.MachineLearningServices/workspaces");
    for place in [in_group, in_subscription] {
        let (sizes, names) = parts(&test, owner, &format!("{place}?$top=2")).await;
        assert_eq!((sizes, names.as_slice()), (vec![2, 1], ["ws1", "ws2", "ws3"].map(String::from).as_slice()));
        assert_eq!(test.ask(Some(owner), Method::GET, &format!("{place}?$skip=5"), None).await.0, 400);
    }
    let filter =
        "resourceType eq 'microsoft.machinelearningservices/WORKSPACES' and tagName eq 'team' and tagValue eq 'x'";
    let place = format!("{subscription}/resources?$top=1&$filter={}", filter.replace(' ', "%20"));
    assert_eq!(parts(&test, owner, &place).await, (vec![1, 1], vec![String::from("ws2"), String::from("ws3")]));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_part_of_a_list_is_refused() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let groups = format!("{}/resourcegroups", test.subscription());
    for query in [
        "$top=0",
        "$top=1001",
        "$top=-1",
        "$top=x",
        "$skiptoken=*",
        "$skiptoken=AAAA",
        "$filter=name%20eq%20'a'",
        "$filter=tagName",
    ] {
        let (status, answer) = test.ask(Some(owner), Method::GET, &format!("{groups}?{query}"), None).await;
        assert_eq!((status, answer["error"]["message"].is_string()), (400, true), "{query}: {answer}");
    }
    // A list holds nothing that its reader may not read, in whatever part.
    let all = format!("{}/resources?$top=1", test.subscription());
    let stranger = callers.token(Who::Stranger);
    assert_eq!(test.ask(stranger, Method::GET, &all, None).await.0, 404);
    assert_eq!(test.ask(stranger, Method::GET, &groups, None).await.1.get("value"), None::<&Value>);
    test.end().await;
}
