//! Searches, page by page.

use kernel::{ResourceId, RunId};

use super::{
    super::{
        CreateExperiment, DeleteModelVersion, DeleteRegisteredModel, DeleteRun, Point, Query, SearchExperiments,
        SearchLoggedModels, SearchModelVersions, SearchRegisteredModels, SearchRuns, View,
    },
    Owner, Stand, file, name, new_logged_model, points, run_of_owner, version,
};

fn query(order: &[&str], most: usize, page_token: Option<String>) -> Query {
    let order_by = order.iter().map(|key| (*key).to_owned()).collect();
    Query { filter: String::new(), order_by, most, page_token }
}

fn runs(stand: &Stand, query: Query) -> SearchRuns {
    let (workspace, experiments) = (stand.workspace.clone(), vec![String::from("0")]);
    SearchRuns { workspace, experiments, query, view: View::Active }
}

/// The runs of all pages.
async fn all_runs(stand: &Stand, order: &[&str], most: usize) -> Vec<RunId> {
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page = stand.ask(runs(stand, query(order, most, token))).await.unwrap();
        assert!(page.items.len() <= most);
        found.extend(page.items.into_iter().map(|view| view.run.id));
        token = page.next;
        if token.is_none() {
            return found;
        }
    }
}

fn measure(stand: &Stand, run: &RunId, step: i64, value: f64) -> super::LogBatch {
    points(stand, run, "m", [Point::new(step, 1, value)].into_iter())
}

#[tokio::test]
async fn pages_of_a_search_are_its_whole_cut_in_pieces() {
    let stand = Stand::new().await;
    let values = [3.0, f64::NAN, 1.0, 3.0, f64::INFINITY, -0.5, 3.0, f64::NAN];
    for value in values {
        let run = run_of_owner(&stand, "0").await;
        stand.ask(measure(&stand, &run, 0, value)).await.unwrap();
    }
    for _ in 0..3 {
        run_of_owner(&stand, "0").await;
    }
    let orders: [&[&str]; 5] =
        [&[], &["metrics.m ASC"], &["metrics.m DESC"], &["tags.none", "run_id DESC"], &["status"]];
    for order in orders {
        let whole = all_runs(&stand, order, 50_000).await;
        assert_eq!(whole.len(), 11);
        for most in [1, 2, 3, 10, 11] {
            assert_eq!(all_runs(&stand, order, most).await, whole, "{order:?}, {most} a page");
        }
    }
}

#[tokio::test]
async fn the_next_page_begins_where_the_last_one_ended_even_when_its_last_run_moves_or_goes() {
    let stand = Stand::new().await;
    let mut made = Vec::new();
    for value in 0..6 {
        let run = run_of_owner(&stand, "0").await;
        stand.ask(measure(&stand, &run, 0, f64::from(value))).await.unwrap();
        made.push(run);
    }
    let order = ["metrics.m"];
    let first = stand.ask(runs(&stand, query(&order, 2, None))).await.unwrap();
    assert_eq!(first.items.last().unwrap().run.id, made[1]);
    let rest = async || {
        let page = stand.ask(runs(&stand, query(&order, 10, first.next.clone()))).await.unwrap();
        page.items.into_iter().map(|view| view.run.id).collect::<Vec<_>>()
    };
    stand.ask(DeleteRun { workspace: stand.workspace.clone(), run: made[1].clone() }).await.unwrap();
    assert_eq!(rest().await, made[2..]);
    stand.ask(measure(&stand, &made[0], 1, 2.5)).await.unwrap();
    assert_eq!(rest().await, [&made[2..3], &made[..1], &made[3..]].concat());
    assert!(stand.ask(runs(&stand, query(&["metrics.other"], 2, first.next.clone()))).await.is_err());
}

async fn register(stand: &Stand, model: &str, versions: usize) {
    let run = run_of_owner(stand, "0").await;
    stand.ask(file(stand, Owner::Run(run.clone()), "model/MLmodel")).await.unwrap();
    stand.ask(name(stand, model)).await.unwrap();
    for _ in 0..versions {
        stand.ask(version(stand, model, &format!("runs:/{run}/model"))).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_deletes_page_by_page_misses_nothing() {
    let stand = Stand::new().await;
    for model in ["a", "b", "c", "d", "e"] {
        register(&stand, model, 2).await;
    }
    let workspace = || stand.workspace.clone();
    let (mut versions, mut token) = (Vec::new(), None);
    loop {
        let page =
            SearchModelVersions { workspace: workspace(), query: query(&["name", "version_number DESC"], 3, token) };
        let page = stand.ask(page).await.unwrap();
        for view in page.items {
            let (name, version) = (view.name, view.version.version);
            versions.push(format!("{name}{version}"));
            stand.ask(DeleteModelVersion { workspace: workspace(), name, version }).await.unwrap();
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(versions, ["a2", "a1", "b2", "b1", "c2", "c1", "d2", "d1", "e2", "e1"]);
    let (mut models, mut token) = (Vec::new(), None);
    loop {
        let page = SearchRegisteredModels { workspace: workspace(), query: query(&["name DESC"], 2, token) };
        let page = stand.ask(page).await.unwrap();
        for view in page.items {
            models.push(view.model.name.clone());
            stand.ask(DeleteRegisteredModel { workspace: workspace(), name: view.model.name }).await.unwrap();
        }
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(models, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn experiments_and_logged_models_come_in_pages() {
    let stand = Stand::new().await;
    let workspace = || -> ResourceId { stand.workspace.clone() };
    for at in 0..5 {
        let new = CreateExperiment { workspace: workspace(), name: format!("e{at}"), tags: Vec::new() };
        stand.ask(new).await.unwrap();
        stand.ask(new_logged_model(&stand, "0", None)).await.unwrap();
    }
    let (mut names, mut token) = (Vec::new(), None);
    loop {
        let query = query(&["name"], 4, token);
        let page = stand.ask(SearchExperiments { workspace: workspace(), query, view: View::Active }).await.unwrap();
        names.extend(page.items.into_iter().map(|one| one.name));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["Default", "e0", "e1", "e2", "e3", "e4"]);
    let (mut ids, mut token) = (Vec::new(), None);
    loop {
        let (experiments, datasets) = (vec![String::from("0")], Vec::new());
        let query = query(&[], 2, token);
        let page = SearchLoggedModels { workspace: workspace(), experiments, datasets, query };
        let page = stand.ask(page).await.unwrap();
        ids.extend(page.items.into_iter().map(|model| model.id));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((count, ids.len()), (5, 5));
}
