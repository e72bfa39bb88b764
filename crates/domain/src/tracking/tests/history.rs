//! Histories of metrics, page by page and sampled.

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result, RunId};

use super::{
    super::{
        GetMetricHistory, Page, Point, SampleMetricHistory,
        action::WRITE_RUNS,
        metric::{Chunk, chunk_id, prefix},
    },
    By, GetRun, Stand, kind, points, run_of_owner,
};
use crate::{
    gate::{Changes, Cx, Op},
    resources::workspace_shelf,
};

/// Ruins a stored chunk: whoever reads it fails.
struct Ruin {
    workspace: ResourceId,
    run: RunId,
    chunk: u32,
}

#[async_trait]
impl Op for Ruin {
    const ACTION: Action = WRITE_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let id = chunk_id(&prefix(&shelf, &self.run, "m"), self.chunk);
        let mut row = cx.get::<Chunk>(&shelf, &id).await?.unwrap();
        row.value.points = String::from("!");
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await
    }
}

fn history(stand: &Stand, run: &RunId, most: Option<usize>, token: Option<String>) -> GetMetricHistory {
    let (workspace, run, key) = (stand.workspace.clone(), run.clone(), String::from("m"));
    GetMetricHistory { workspace, run, key, most, page_token: token }
}

async fn page(stand: &Stand, run: &RunId, most: usize, token: Option<String>) -> Page<Point> {
    stand.ask(history(stand, run, Some(most), token)).await.unwrap()
}

/// The steps of all pages, and how many pages there were.
async fn steps(stand: &Stand, run: &RunId, most: usize) -> (Vec<i64>, usize) {
    let (mut steps, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = page(stand, run, most, token).await;
        pages += 1;
        assert!(page.items.len() <= most);
        steps.extend(page.items.iter().map(|point| point.step));
        token = page.next;
        if token.is_none() {
            return (steps, pages);
        }
    }
}

/// Logs points whose step is their place by time, in this order.
async fn log(stand: &Stand, run: &RunId, order: impl Iterator<Item = i64>) {
    let order: Vec<i64> = order.collect();
    for batch in order.chunks(1000) {
        let batch = batch.iter().map(|at| Point::new(*at, 1_000_000 + at, 0.5));
        stand.ask(points(stand, run, "m", batch)).await.unwrap();
    }
}

#[tokio::test]
async fn pages_of_a_history_follow_each_other_whatever_the_order_of_arrival() {
    let stand = Stand::new().await;
    let all: Vec<i64> = (0..2000).collect();
    let orders: [(&str, Vec<i64>); 3] = [
        ("in order", all.clone()),
        ("backwards", all.iter().rev().copied().collect()),
        // 777 and 2000 have no common divisor.
        ("mixed", all.iter().map(|at| at * 777 % 2000).collect()),
    ];
    for (case, order) in orders {
        let run = run_of_owner(&stand, "0").await;
        log(&stand, &run, order.into_iter()).await;
        for (most, pages) in [(1, 2000), (300, 7), (384, 6), (1000, 2), (2000, 1), (5000, 1)] {
            if most == 1 && case != "in order" {
                continue;
            }
            assert_eq!(steps(&stand, &run, most).await, (all.clone(), pages), "{case}, {most} a page");
        }
    }
}

#[tokio::test]
async fn what_arrives_between_pages_neither_repeats_nor_hides_anything() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    log(&stand, &run, (0..1000).map(|at| at * 2)).await;
    let first = page(&stand, &run, 500, None).await;
    assert_eq!(first.items.last().unwrap().step, 998);
    // Later ones, and earlier ones on both sides of the page's end.
    log(&stand, &run, [2000, 2001, 1, 1501].into_iter()).await;
    let second = page(&stand, &run, 5000, first.next).await;
    let expected: Vec<i64> = (500..751).map(|at| at * 2).chain([1501]).chain((751..1001).map(|at| at * 2)).collect();
    let found: Vec<i64> = second.items.iter().map(|point| point.step).collect();
    assert_eq!(found, [expected, vec![2001]].concat());
}

#[tokio::test]
async fn a_page_reads_the_chunks_it_needs_and_no_others() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    log(&stand, &run, 0..4000).await;
    let late = page(&stand, &run, 3500, None).await.next;
    let ruin = |chunk| Ruin { workspace: stand.workspace.clone(), run: run.clone(), chunk };
    stand.ask(ruin(3)).await.unwrap();
    assert_eq!(page(&stand, &run, 384, None).await.items.len(), 384);
    assert_eq!(page(&stand, &run, 384, late.clone()).await.items.first().unwrap().step, 3500);
    assert_eq!(kind(&stand, By::Owner, history(&stand, &run, Some(4000), None)).await, Kind::Internal);
}

#[tokio::test]
async fn a_page_is_bounded_whatever_is_asked() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    log(&stand, &run, 0..25_100).await;
    for most in [None, Some(usize::MAX)] {
        let first = stand.ask(history(&stand, &run, most, None)).await.unwrap();
        assert_eq!(first.items.len(), 25_000);
        let rest = stand.ask(history(&stand, &run, most, first.next)).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (100, None));
    }
}

#[tokio::test]
async fn a_token_belongs_to_its_run_and_metric() {
    let stand = Stand::new().await;
    let (one, two) = (run_of_owner(&stand, "0").await, run_of_owner(&stand, "0").await);
    for run in [&one, &two] {
        log(&stand, run, 0..10).await;
    }
    let token = page(&stand, &one, 5, None).await.next;
    assert!(token.is_some());
    let garbage = Some(String::from("x"));
    assert_eq!(kind(&stand, By::Owner, history(&stand, &two, None, token)).await, Kind::Invalid);
    assert_eq!(kind(&stand, By::Owner, history(&stand, &one, None, garbage)).await, Kind::Invalid);
}

#[tokio::test]
async fn a_run_that_is_named_often_is_sampled_once() {
    let stand = Stand::new().await;
    let (one, two) = (run_of_owner(&stand, "0").await, run_of_owner(&stand, "0").await);
    log(&stand, &one, 0..3000).await;
    log(&stand, &two, 0..10).await;
    let sample = |runs: Vec<RunId>, most: usize| SampleMetricHistory {
        workspace: stand.workspace.clone(),
        runs,
        key: String::from("m"),
        steps: None,
        most,
    };
    let named = vec![two.clone(), one.clone(), two.clone(), one.clone()];
    let found = stand.ask(sample(named, 100)).await.unwrap();
    let counts: Vec<(RunId, usize)> = found.iter().map(|(run, points)| (run.clone(), points.len())).collect();
    assert_eq!(counts, [(two, 10), (one.clone(), 100)]);
    let ends = (found[1].1[0].step, found[1].1[99].step);
    assert_eq!(ends, (0, 2999));
    assert_eq!(kind(&stand, By::Owner, sample(vec![one.clone(); 101], 1)).await, Kind::Invalid);
    assert_eq!(kind(&stand, By::Owner, sample(vec![one], 2501)).await, Kind::Invalid);
}

/// Points stored of the metric, in the order of arrival.
async fn stored(stand: &Stand, run: &RunId) -> usize {
    let (mut count, mut token) = (0, None);
    loop {
        let page = page(stand, run, 25_000, token).await;
        count += page.items.len();
        token = page.next;
        if token.is_none() {
            return count;
        }
    }
}

#[tokio::test]
async fn a_request_that_is_repeated_adds_nothing_however_far_back_it_lies() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    log(&stand, &run, 0..30_000).await;
    for again in [0..1000, 29_000..30_000, 14_500..15_500] {
        log(&stand, &run, again).await;
    }
    log(&stand, &run, [0, 15_000, 29_999, 7, 7].into_iter()).await;
    assert_eq!(stored(&stand, &run).await, 30_000);
    // One that differs in anything is another.
    stand.ask(points(&stand, &run, "m", [Point::new(0, 1_000_000, 0.75)].into_iter())).await.unwrap();
    stand.ask(points(&stand, &run, "m", [Point::new(0, 1_000_001, 0.5)].into_iter())).await.unwrap();
    assert_eq!(stored(&stand, &run).await, 30_002);
    // From here on the points do not lie by time.
    log(&stand, &run, 29_000..30_000).await;
    assert_eq!(stored(&stand, &run).await, 30_002);
}

#[tokio::test]
async fn writers_to_one_metric_at_once_lose_nothing() {
    let stand = std::sync::Arc::new(Stand::new().await);
    let run = run_of_owner(&stand, "0").await;
    let tasks: Vec<_> = (0..8_i64)
        .map(|writer| {
            let (stand, run) = (std::sync::Arc::clone(&stand), run.clone());
            tokio::spawn(async move {
                for at in 0..25 {
                    // Each has a clock of its own, and repeats everything once.
                    let point = Point::new(at, 1_000_000 - writer * 50 + at, 0.5);
                    for _ in 0..2 {
                        stand.ask(points(&stand, &run, "m", [point].into_iter())).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stored(&stand, &run).await, 200);
}

#[tokio::test]
async fn the_latest_value_is_the_greatest_by_step_time_and_value() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    let arrivals = [
        (Point::new(5, 10, 1.0), 1.0),
        (Point::new(4, 99, 9.0), 1.0),
        (Point::new(5, 9, 9.0), 1.0),
        (Point::new(5, 10, 0.5), 1.0),
        (Point::new(5, 10, 2.0), 2.0),
        (Point::new(5, 10, f64::NAN), f64::NAN),
        (Point::new(5, 10, f64::INFINITY), f64::NAN),
        (Point::new(6, 0, -1.0), -1.0),
    ];
    for (point, expected) in arrivals {
        stand.ask(points(&stand, &run, "m", [point].into_iter())).await.unwrap();
        let view = stand.ask(GetRun { workspace: stand.workspace.clone(), run: run.clone() }).await.unwrap();
        assert_eq!(view.metrics["m"].value.to_bits(), expected.to_bits(), "{point:?}");
    }
}

#[tokio::test]
async fn a_sample_keeps_the_peaks() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    log(&stand, &run, (0..5000).filter(|at| ![1234, 3210].contains(at))).await;
    let peaks = [Point::new(1234, 1_001_234, 7.0), Point::new(3210, 1_003_210, -7.0)];
    stand.ask(points(&stand, &run, "m", peaks.into_iter())).await.unwrap();
    let (workspace, key) = (stand.workspace.clone(), String::from("m"));
    let op = SampleMetricHistory { workspace, runs: vec![run], key, steps: None, most: 50 };
    let sample = stand.ask(op).await.unwrap().remove(0).1;
    let steps: Vec<i64> = sample.iter().map(|point| point.step).collect();
    assert!(steps.len() <= 50 && steps.contains(&1234) && steps.contains(&3210), "{steps:?}");
    assert_eq!((steps[0], steps[steps.len() - 1]), (0, 4999));
}
