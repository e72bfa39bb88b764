//! Searches over opened runs that are kept in memory: they find what is stored, whoever wrote it.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result, RunId};

use super::{
    super::{
        CreateExperiment, DatasetInput, DeleteExperiment, DeleteRun, DeleteRunTag, ExperimentChange, LogBatch,
        LogLinks, Point, Query, RestoreRun, RunLinks, RunStatus, RunView, SearchRuns, UpdateExperiment, UpdateRun,
        View,
        action::READ_RUNS,
        recall::{begin, recall},
    },
    Stand, new_run, points, run_of_owner,
};
use crate::{
    gate::{Cx, House, Op, enter},
    impact::RaiseImpact,
    resources::{DeleteWorkspace, workspace_shelf},
};

fn search(stand: &Stand, experiments: &[&str], filter: &str, order: &[&str], view: View) -> SearchRuns {
    let order_by = order.iter().map(|key| (*key).to_owned()).collect();
    SearchRuns {
        workspace: stand.workspace.clone(),
        experiments: experiments.iter().map(|id| (*id).to_owned()).collect(),
        query: Query { filter: filter.to_owned(), order_by, most: 1000, page_token: None },
        view,
    }
}

async fn found(stand: &Stand, house: &House, op: SearchRuns) -> Vec<RunView> {
    enter(house, &stand.owner, op).await.unwrap().items
}

fn ids(views: &[RunView]) -> Vec<RunId> {
    views.iter().map(|view| view.run.id.clone()).collect()
}

/// A house over the same store that keeps nothing.
async fn forgetful(stand: &mut Stand) -> Arc<House> {
    let keeping = Arc::clone(&stand.house);
    stand.restart().await;
    stand.house.recall.bound(0);
    std::mem::replace(&mut stand.house, keeping)
}

fn log(
    stand: &Stand,
    run: &RunId,
    metric: Option<(&str, i64, f64)>,
    params: &[(&str, &str)],
    tags: &[(&str, &str)],
) -> LogBatch {
    let (key, step, value) = metric.unwrap_or_default();
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let metrics = metric.map(|_| Point::new(step, 1, value)).into_iter();
    LogBatch { params: pairs(params), tags: pairs(tags), ..points(stand, run, key, metrics) }
}

/// Every kind of question, in words that compare.
async fn answers(stand: &Stand, house: &House, experiments: &[&str]) -> Vec<String> {
    let filters = [
        "",
        "metrics.loss > 0.5",
        "metrics.loss != 0.25 and params.depth = '3'",
        "metrics.\"never logged\" < 1",
        "tags.team LIKE 'r%' and attributes.status = 'RUNNING'",
        "tags.team IS NULL",
        "params.depth ILIKE '3'",
        "dataset.name = 'iris'",
        "datasets.context = 'train' and dataset.digest != 'x'",
        "run_name LIKE 'Run%'",
        "artifact_uri LIKE '%/artifacts' and start_time > 0",
    ];
    let orders: [&[&str]; 4] =
        [&[], &["metrics.loss DESC"], &["params.depth", "tags.team DESC"], &["lifecycle_stage", "run_name"]];
    let mut all = Vec::new();
    for filter in filters {
        for (order, view) in orders.iter().zip([View::All, View::Active, View::Deleted, View::All]) {
            let views = found(stand, house, search(stand, experiments, filter, order, view)).await;
            all.push(format!("{filter} {order:?} {view:?}: {views:?}"));
        }
    }
    all
}

#[tokio::test]
async fn what_is_kept_answers_as_the_store_does() {
    let mut stand = Stand::new().await;
    let other = forgetful(&mut stand).await;
    let new = CreateExperiment { workspace: stand.workspace.clone(), name: String::from("second"), tags: Vec::new() };
    let second = stand.ask(new).await.unwrap();
    let experiments = ["0", second.as_str(), "404"];
    let mut runs = Vec::new();
    for at in 0..6 {
        let mut op = new_run(&stand, if at % 2 == 0 { "0" } else { &second }, None);
        op.name = format!("Run {at}");
        op.started_at = Some(kernel::Timestamp(1000 + at / 2));
        runs.push(stand.ask(op).await.unwrap().run.id);
    }
    let same = async |stand: &Stand, step: &str| {
        let kept = answers(stand, &stand.house, &experiments).await;
        assert_eq!(kept, answers(stand, &other, &experiments).await, "{step}");
        assert_eq!((stand.house.recall.held().1, other.recall.held().1), (2, 0), "{step}");
    };
    same(&stand, "fresh runs").await;
    let workspace = || stand.workspace.clone();
    for (at, loss) in [0.75, f64::NAN, 0.25, f64::NEG_INFINITY].into_iter().enumerate() {
        stand
            .ask(log(&stand, &runs[at], Some(("loss", 1, loss)), &[("depth", "3")], &[("team", "red")]))
            .await
            .unwrap();
    }
    same(&stand, "logged").await;
    stand.ask(log(&stand, &runs[0], Some(("loss", 2, 0.1)), &[], &[("team", "blue"), ("new", "é")])).await.unwrap();
    stand.ask(log(&stand, &runs[4], Some(("other", 2, 0.1)), &[("width", "")], &[])).await.unwrap();
    stand.ask(DeleteRunTag { workspace: workspace(), run: runs[1].clone(), key: String::from("team") }).await.unwrap();
    let update = UpdateRun {
        workspace: workspace(),
        run: runs[2].clone(),
        status: Some(RunStatus::Finished),
        ended_at: None,
        name: Some(String::from("renamed")),
    };
    stand.ask(update).await.unwrap();
    let dataset = DatasetInput {
        name: String::from("iris"),
        digest: String::from("d"),
        source_type: String::from("local"),
        source: String::from("s"),
        schema: Some(String::from("columns")),
        profile: None,
        tags: vec![(String::from("mlflow.data.context"), String::from("train"))],
    };
    let more = RunLinks { datasets: vec![dataset], ..RunLinks::default() };
    stand.ask(LogLinks { workspace: workspace(), run: runs[3].clone(), more }).await.unwrap();
    same(&stand, "changed").await;
    stand.ask(DeleteRun { workspace: workspace(), run: runs[0].clone() }).await.unwrap();
    same(&stand, "a run deleted").await;
    stand.ask(DeleteExperiment { workspace: workspace(), id: second.clone() }).await.unwrap();
    same(&stand, "an experiment deleted").await;
    stand.ask(RestoreRun { workspace: workspace(), run: runs[0].clone() }).await.unwrap();
    let restore = UpdateExperiment { workspace: workspace(), id: second.clone(), change: ExperimentChange::Restore };
    stand.ask(restore).await.unwrap();
    same(&stand, "both restored").await;
}

#[tokio::test]
async fn what_another_server_wrote_is_found_by_the_next_search() {
    let mut stand = Stand::new().await;
    let first = Arc::clone(&stand.house);
    stand.restart().await;
    let second = Arc::clone(&stand.house);
    let all = |stand: &Stand| search(stand, &["0"], "", &["run_id"], View::Active);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(run_of_owner(&stand, "0").await);
    }
    made.sort();
    let high = |stand: &Stand| search(stand, &["0"], "metrics.m > 1", &[], View::Active);
    for (writer, reader) in [(&first, &second), (&second, &first), (&first, &first), (&second, &first)] {
        for (at, run) in made.clone().iter().enumerate() {
            assert_eq!(ids(&found(&stand, reader, all(&stand)).await), made);
            let value = if at % 2 == 0 { 2.0 } else { 0.5 };
            let step = stand.house.log_head().await.unwrap().0.cast_signed();
            enter(writer, &stand.owner, points(&stand, run, "m", [Point::new(step, 1, value)].into_iter()))
                .await
                .unwrap();
            let high_now = found(&stand, reader, high(&stand)).await;
            assert_eq!(ids(&high_now).contains(run), at % 2 == 0);
        }
        let mut high_now = ids(&found(&stand, reader, high(&stand)).await);
        high_now.sort();
        assert_eq!(high_now, made.iter().step_by(2).cloned().collect::<Vec<_>>());
        let fresh = enter(writer, &stand.owner, new_run(&stand, "0", None)).await.unwrap().run.id;
        made.push(fresh);
        made.sort();
    }
    let deleted = made.remove(0);
    enter(&second, &stand.owner, DeleteRun { workspace: stand.workspace.clone(), run: deleted }).await.unwrap();
    assert_eq!(ids(&found(&stand, &first, all(&stand)).await), made);
    assert_eq!(first.recall.held().1, 1);
}

#[tokio::test]
async fn writers_and_searches_at_once_see_what_was_acknowledged() {
    let stand = Arc::new(Stand::new().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let stand = Arc::clone(&stand);
            tokio::spawn(async move {
                let run = run_of_owner(&stand, "0").await;
                for at in 0..20_i32 {
                    let point = Point::new(i64::from(at), 1, f64::from(at));
                    stand.ask(points(&stand, &run, "m", [point].into_iter())).await.unwrap();
                    let mine = format!("run_id = '{run}' and metrics.m = {at}");
                    let op = search(&stand, &["0"], &mine, &[], View::Active);
                    assert_eq!(ids(&found(&stand, &stand.house, op).await), std::slice::from_ref(&run));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_searches_go_on() {
    let stand = Stand::new().await;
    let mut experiments = vec![String::from("0")];
    for at in 0..4 {
        let new = CreateExperiment { workspace: stand.workspace.clone(), name: format!("e{at}"), tags: Vec::new() };
        experiments.push(stand.ask(new).await.unwrap());
    }
    let long = "x".repeat(2000);
    for experiment in &experiments {
        for _ in 0..5 {
            let run = run_of_owner(&stand, experiment).await;
            stand.ask(log(&stand, &run, Some(("m", 0, 1.0)), &[("long", &long)], &[])).await.unwrap();
        }
    }
    for (most, kept) in [(1 << 20, 5), (40_000, 2), (1000, 0)] {
        stand.pass(16 * 60);
        stand.house.recall.forget_idle(stand.house.now());
        stand.house.recall.bound(most);
        for _ in 0..2 {
            for experiment in &experiments {
                stand.pass(1);
                let op = search(&stand, &[experiment], "params.long LIKE 'x%' and metrics.m = 1", &[], View::Active);
                assert_eq!(found(&stand, &stand.house, op).await.len(), 5);
                let (bytes, _) = stand.house.recall.held();
                assert!(bytes <= most, "{bytes} of {most}");
            }
        }
        let (_, held) = stand.house.recall.held();
        assert!(held <= kept && (held > 0) == (kept > 0), "{held} of {kept} at {most}");
        let names: Vec<&str> = experiments.iter().map(String::as_str).collect();
        assert_eq!(found(&stand, &stand.house, search(&stand, &names, "", &[], View::All)).await.len(), 25);
    }
}

/// Locks the workspace's shelf, as the refusal of a customer's key does.
struct Lock(ResourceId);

#[async_trait]
impl Op for Lock {
    const ACTION: Action = READ_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.0.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        workspace_shelf(cx, &self.0).await?.0.lock();
        cx.house().recall.forget_locked();
        Ok(())
    }
}

#[tokio::test]
async fn what_is_kept_goes_with_its_key() {
    for case in ["locked", "deleted", "purged", "idle"] {
        let stand = Stand::new().await;
        run_of_owner(&stand, "0").await;
        let op = search(&stand, &["0"], "", &[], View::Active);
        assert_eq!(found(&stand, &stand.house, op).await.len(), 1);
        assert!(stand.house.recall.held().0 > 0);
        let delete = |purge| DeleteWorkspace { id: stand.workspace.clone(), purge, keep: true };
        match case {
            "locked" => stand.ask(Lock(stand.workspace.clone())).await.unwrap(),
            "deleted" => stand.ask(delete(false)).await.unwrap(),
            "purged" => stand.ask(delete(true)).await.unwrap(),
            _ => {
                stand.pass(16 * 60);
                stand.house.recall.forget_idle(stand.house.now());
            }
        }
        assert_eq!(stand.house.recall.held(), (0, 0), "{case}");
    }
}

#[tokio::test]
async fn what_is_kept_goes_when_another_server_deletes_the_workspace() {
    let mut stand = Stand::new().await;
    run_of_owner(&stand, "0").await;
    let first = Arc::clone(&stand.house);
    found(&stand, &first, search(&stand, &["0"], "", &[], View::Active)).await;
    first.forget_keyless().await.unwrap();
    assert_eq!(first.recall.held().1, 1);
    stand.restart().await;
    stand.ask(DeleteWorkspace { id: stand.workspace.clone(), purge: true, keep: false }).await.unwrap();
    first.forget_keyless().await.unwrap();
    assert_eq!(first.recall.held(), (0, 0));
}

#[tokio::test]
async fn nothing_is_kept_of_a_workspace_of_high_business_impact() {
    let stand = Stand::new().await;
    run_of_owner(&stand, "0").await;
    found(&stand, &stand.house, search(&stand, &["0"], "", &[], View::Active)).await;
    assert_eq!(stand.house.recall.held().1, 1);
    stand.ask(RaiseImpact { workspace: stand.workspace.clone() }).await.unwrap();
    assert_eq!(stand.house.recall.held(), (0, 0));
    let op = search(&stand, &["0"], "", &[], View::Active);
    assert_eq!(found(&stand, &stand.house, op).await.len(), 1);
    assert_eq!(stand.house.recall.held(), (0, 0));
}

#[tokio::test]
async fn what_is_kept_goes_when_another_server_raises_the_workspace() {
    let mut stand = Stand::new().await;
    run_of_owner(&stand, "0").await;
    let first = Arc::clone(&stand.house);
    found(&stand, &first, search(&stand, &["0"], "", &[], View::Active)).await;
    stand.restart().await;
    stand.ask(RaiseImpact { workspace: stand.workspace.clone() }).await.unwrap();
    assert_eq!(first.recall.held().1, 1);
    first.forget_keyless().await.unwrap();
    assert_eq!(first.recall.held(), (0, 0));
}

/// A search that has read the workspace when what is kept of it has to go.
struct Overtaken(ResourceId);

#[async_trait]
impl Op for Overtaken {
    const ACTION: Action = READ_RUNS;
    type Output = Vec<bool>;

    fn scope(&self) -> ResourceId {
        self.0.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<bool>> {
        let mut kept = Vec::new();
        for goes in [false, true] {
            let (shelf, moment) = begin(cx, &self.0).await?;
            if goes {
                cx.house().recall.forget_shelves(&[shelf.id().to_vec()]);
            }
            let moment = moment.unwrap();
            assert_eq!(moment.is_over(cx), goes);
            kept.push(recall(cx, &shelf, "0", &moment).await?.is_some());
        }
        Ok(kept)
    }
}

#[tokio::test]
async fn a_search_under_way_keeps_nothing_of_what_had_to_go() {
    let stand = Stand::new().await;
    run_of_owner(&stand, "0").await;
    assert_eq!(stand.ask(Overtaken(stand.workspace.clone())).await.unwrap(), [true, false]);
    assert_eq!(stand.house.recall.held(), (0, 0));
}
