//! Traces over stores in memory: what comes twice, what comes late, what is too much, and what a run's code may do.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Kind, Result, RunId};
use serde_json::{json, value::RawValue};

use super::{
    Assessment, AssessmentPatch, CreateAssessment, DeleteTraces, GetTrace, LinkTraces, ListTraces, LogSpans, NewSpan,
    NewTrace, OpenedTrace, ReadTraces, SearchTraces, SpanHead, SpanStatus, StartTrace, TraceChange, TraceState,
    UpdateAssessment, UpdateTrace, Verdict,
};
use crate::{
    compute::tests::stand::{Agent, Stand},
    gate::{Op, enter},
    tracking::{CreateExperiment, CreateRun, DeleteExperiment, GetRun, Query},
};

fn span(trace: &str, at: u64, parent: Option<u64>, text: &str) -> NewSpan {
    let id = |at: u64| format!("{at:016x}");
    let head = SpanHead {
        id: id(at),
        parent: parent.map(id),
        name: format!("step {at}"),
        status: SpanStatus::Ok,
        started_at: at * 1_000_000,
        ended_at: Some((at + 10) * 1_000_000),
        usage: BTreeMap::from([(String::from("total_tokens"), 1.0)]),
        ..SpanHead::default()
    };
    let body = json!({"name": head.name, "attributes": [{"key": "text", "value": {"string_value": text}}]});
    NewSpan {
        trace: trace.to_owned(),
        head,
        inputs: Some(String::from("asked")),
        outputs: None,
        session: Some(String::from("s1")),
        user: None,
        shared: Arc::from(vec![(String::from("service.name"), String::from("shop"))]),
        tags: Vec::new(),
        body: RawValue::from_string(body.to_string()).unwrap(),
    }
}

fn export(stand: &Stand, experiment: &str, spans: Vec<NewSpan>) -> LogSpans {
    LogSpans { workspace: stand.workspace.clone(), experiment: experiment.to_owned(), run: None, spans }
}

fn whole(stand: &Stand, id: &str, experiment: &str) -> StartTrace {
    let trace = NewTrace {
        id: id.to_owned(),
        experiment: experiment.to_owned(),
        started_at: 5,
        duration: Some(7),
        state: TraceState::Ok,
        ..NewTrace::default()
    };
    StartTrace { workspace: stand.workspace.clone(), trace }
}

fn read(stand: &Stand, id: &str) -> ReadTraces {
    ReadTraces { workspace: stand.workspace.clone(), ids: vec![id.to_owned()], experiments: None, whole: false }
}

async fn opened(stand: &Stand, id: &str) -> OpenedTrace {
    stand.ask(read(stand, id)).await.unwrap().traces.pop().unwrap()
}

fn names(trace: &OpenedTrace) -> Vec<String> {
    let name = |body: &RawValue| {
        let body: serde_json::Value = serde_json::from_str(body.get()).unwrap();
        body["name"].as_str().unwrap().to_owned()
    };
    trace.spans.iter().map(|body| name(body)).collect()
}

fn search(stand: &Stand, filter: &str) -> SearchTraces {
    let query = Query { filter: filter.to_owned(), most: 100, ..Query::default() };
    SearchTraces { workspace: stand.workspace.clone(), experiments: vec![String::from("0")], query }
}

async fn kind_by<O: Op>(stand: &Stand, agent: &Agent, op: O) -> Result<(), Kind> {
    enter(&stand.house, &agent.caller, op).await.map(drop).map_err(|fault| fault.kind())
}

#[tokio::test]
async fn spans_come_in_any_order_and_again() {
    let stand = Stand::new().await;
    let late = vec![span("tr-1", 12, Some(10), "b"), span("tr-1", 11, Some(10), "a")];
    stand.ask(export(&stand, "0", late.clone())).await.unwrap();
    let open = opened(&stand, "tr-1").await.trace;
    assert_eq!((open.state, open.started_at, open.duration), (TraceState::InProgress, 11, Some(11)));
    for spans in [vec![span("tr-1", 10, None, "root")], late.clone(), late] {
        stand.ask(export(&stand, "0", spans)).await.unwrap();
    }
    let trace = opened(&stand, "tr-1").await;
    assert_eq!(names(&trace), ["step 10", "step 11", "step 12"]);
    assert_eq!((trace.trace.state, trace.trace.started_at, trace.trace.duration), (TraceState::Ok, 10, Some(12)));
    assert_eq!((trace.trace.pages, trace.trace.spans), (2, 3), "what came again is not kept again");
    assert_eq!(trace.trace.metadata["mlflow.trace.tokenUsage"], r#"{"total_tokens":1}"#);
    assert_eq!(
        (trace.trace.tags["service.name"].as_str(), trace.trace.metadata["mlflow.trace.session"].as_str()),
        ("shop", "s1")
    );
    // The same span with another content: the last word counts.
    stand.ask(export(&stand, "0", vec![span("tr-1", 12, Some(10), "another")])).await.unwrap();
    let trace = opened(&stand, "tr-1").await;
    assert_eq!(trace.spans.len(), 3);
    assert!(trace.spans[2].get().contains("another"));
}

#[tokio::test]
async fn what_the_application_says_of_the_whole_stays() {
    let stand = Stand::new().await;
    stand.ask(whole(&stand, "tr-1", "0")).await.unwrap();
    stand.ask(whole(&stand, "tr-1", "0")).await.unwrap();
    stand.ask(export(&stand, "0", vec![span("tr-1", 10, None, "root")])).await.unwrap();
    let trace = opened(&stand, "tr-1").await.trace;
    assert_eq!((trace.started_at, trace.duration, trace.state), (5, Some(7), TraceState::Ok));
    assert_eq!(trace.request_preview.as_deref(), Some("asked"));
    let other = CreateExperiment { workspace: stand.workspace.clone(), name: String::from("other"), tags: Vec::new() };
    let other = stand.ask(other).await.unwrap();
    assert_eq!(stand.ask(whole(&stand, "tr-1", &other)).await.unwrap_err().kind(), Kind::Invalid, "it does not move");
    let gone = DeleteExperiment { workspace: stand.workspace.clone(), id: other.clone() };
    stand.ask(gone).await.unwrap();
    for id in [other.as_str(), "no such"] {
        assert!(stand.ask(export(&stand, id, vec![span("tr-2", 1, None, "")])).await.is_err(), "{id}");
        assert!(stand.ask(whole(&stand, "tr-2", id)).await.is_err(), "{id}");
    }
}

#[tokio::test]
async fn ten_thousand_spans_and_large_ones_come_back_and_are_gone_when_deleted() {
    let stand = Stand::new().await;
    let many: Vec<NewSpan> = (2..10_002).map(|at| span("tr-1", at, Some(1), "x")).collect();
    stand.ask(export(&stand, "0", many)).await.unwrap();
    stand.ask(export(&stand, "0", vec![span("tr-1", 1, None, &"y".repeat(3 << 20))])).await.unwrap();
    let trace = opened(&stand, "tr-1").await;
    assert_eq!((trace.spans.len(), trace.spans[0].get().len() > 3 << 20), (10_001, true));
    let found = stand.ask(search(&stand, "span.name = 'step 9999' AND span.attributes.text = 'x'")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let delete = DeleteTraces {
        workspace: stand.workspace.clone(),
        experiment: String::from("0"),
        until: None,
        most: None,
        ids: vec![String::from("tr-1"), String::from("tr-1"), String::from("tr-2")],
    };
    assert_eq!(stand.ask(delete).await.unwrap(), 1);
    assert!(stand.ask(search(&stand, "")).await.unwrap().items.is_empty());
    // One that is begun anew under the same id has nothing of the old one.
    stand.ask(export(&stand, "0", vec![span("tr-1", 7, None, "new")])).await.unwrap();
    assert_eq!(names(&opened(&stand, "tr-1").await), ["step 7"]);
}

#[tokio::test]
async fn one_trace_is_bounded() {
    let stand = Stand::new().await;
    for at in 1..=9 {
        let full = stand.ask(export(&stand, "0", vec![span("tr-1", at, None, &"x".repeat(7 << 20))])).await;
        assert_eq!(full.err().map(|fault| fault.kind()), (at > 9).then_some(Kind::TooLarge), "{at}");
    }
    let more = stand.ask(export(&stand, "0", vec![span("tr-1", 10, None, &"x".repeat(7 << 20))])).await;
    assert_eq!(more.unwrap_err().kind(), Kind::TooLarge);
    let large = stand.ask(export(&stand, "0", vec![span("tr-2", 1, None, &"x".repeat(9 << 20))])).await;
    assert_eq!(large.unwrap_err().kind(), Kind::TooLarge);
    let tag = |key: String, value: String| UpdateTrace {
        workspace: stand.workspace.clone(),
        id: String::from("tr-1"),
        change: TraceChange::SetTag(key, value),
    };
    assert!(stand.ask(tag("k".repeat(251), String::new())).await.is_err());
    stand.ask(tag(String::from("long"), "v".repeat(9000))).await.unwrap();
    assert_eq!(opened(&stand, "tr-1").await.trace.tags["long"].len(), 8000);
    let mut labels = whole(&stand, "tr-3", "0");
    labels.trace.tags = (0..201).map(|at| (format!("t{at}"), String::new())).collect();
    assert_eq!(stand.ask(labels).await.unwrap_err().kind(), Kind::Invalid);
    for id in ["", "a b", "../x", &"x".repeat(65)] {
        assert!(stand.ask(whole(&stand, id, "0")).await.is_err(), "{id}");
    }
}

fn feedback(name: &str) -> Assessment {
    Assessment {
        id: String::new(),
        name: name.to_owned(),
        source_type: String::from("CODE"),
        source_id: String::new(),
        created_at: 1,
        updated_at: 1,
        span: None,
        rationale: None,
        metadata: BTreeMap::new(),
        overrides: None,
        is_valid: true,
        verdict: Verdict::Feedback { value: json!(1), error: None },
        created_by_run: None,
    }
}

#[tokio::test]
async fn a_judgement_that_is_sent_twice_is_one() {
    let stand = Stand::new().await;
    stand.ask(whole(&stand, "tr-1", "0")).await.unwrap();
    let judge = || CreateAssessment {
        workspace: stand.workspace.clone(),
        trace: String::from("tr-1"),
        assessment: feedback("ok"),
    };
    let first = stand.ask(judge()).await.unwrap();
    assert_eq!(stand.ask(judge()).await.unwrap().id, first.id);
    assert_eq!(opened(&stand, "tr-1").await.trace.assessments.len(), 1);
}

#[tokio::test]
async fn judgements_that_come_with_a_trace_change_none_that_are_there() {
    let stand = Stand::new().await;
    let with = |assessment: &Assessment| {
        let mut start = whole(&stand, "tr-1", "0");
        start.trace.assessments = vec![assessment.clone()];
        start
    };
    let first = Assessment { id: String::from("a-1"), ..feedback("ok") };
    stand.ask(with(&first)).await.unwrap();
    stand.ask(with(&Assessment { is_valid: false, ..first.clone() })).await.unwrap();
    let forged = Assessment { rationale: Some(String::from("forged")), ..first.clone() };
    assert_eq!(stand.ask(with(&forged)).await.unwrap_err().kind(), Kind::Exists);
    assert_eq!(opened(&stand, "tr-1").await.trace.assessments, [first]);
    let mut many = whole(&stand, "tr-2", "0");
    many.trace.assessments = vec![feedback("ok"); Assessment::MOST + 1];
    assert_eq!(stand.ask(many).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_run_s_code_changes_no_judgement_of_others() {
    let stand = Stand::new().await;
    let agent = stand.running("job").await;
    let get = GetRun { workspace: stand.workspace.clone(), run: agent.address.run.clone() };
    let home = stand.ask(get).await.unwrap().run.experiment;
    stand.ask(whole(&stand, "tr-1", &home)).await.unwrap();
    let judge = |id: &str, overrides: Option<&str>| CreateAssessment {
        workspace: stand.workspace.clone(),
        trace: String::from("tr-1"),
        assessment: Assessment { id: id.to_owned(), overrides: overrides.map(str::to_owned), ..feedback(id) },
    };
    let change = |id: &str| UpdateAssessment {
        workspace: stand.workspace.clone(),
        trace: String::from("tr-1"),
        id: id.to_owned(),
        patch: AssessmentPatch { is_valid: Some(false), ..AssessmentPatch::default() },
    };
    stand.ask(judge("a-people", None)).await.unwrap();
    assert_eq!(kind_by(&stand, &agent, judge("a-code", None)).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, change("a-people")).await, Err(Kind::Denied));
    assert_eq!(kind_by(&stand, &agent, judge("a-over", Some("a-people"))).await, Err(Kind::Denied));
    assert_eq!(kind_by(&stand, &agent, change("a-code")).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, judge("a-own", Some("a-code"))).await, Ok(()));
    let valid = |one: &Assessment| (one.id.clone(), one.is_valid);
    let told: Vec<(String, bool)> = opened(&stand, "tr-1").await.trace.assessments.iter().map(valid).collect();
    assert_eq!(told, [("a-people", true), ("a-code", false), ("a-own", true)].map(|(id, is)| (id.to_owned(), is)));
}

#[tokio::test]
async fn what_is_named_twice_is_there_once() {
    let stand = Stand::new().await;
    // The same page twice in one export: as many spans as one page holds, and the same ones again.
    let page: Vec<NewSpan> = (1..=1000).map(|at| span("tr-1", at, (at > 1).then_some(1), "x")).collect();
    stand.ask(export(&stand, "0", [page.clone(), page].concat())).await.unwrap();
    stand.ask(whole(&stand, "tr-2", "0")).await.unwrap();
    let trace = opened(&stand, "tr-1").await.trace;
    assert_eq!((trace.pages, trace.spans), (1, 1000));
    let ids: Vec<String> = ["tr-2", "tr-1", "tr-2", "tr-0"].map(String::from).into();
    let list = ListTraces { workspace: stand.workspace.clone(), ids: ids.clone(), experiments: None };
    let listed: Vec<String> = stand.ask(list).await.unwrap().into_iter().map(|trace| trace.id).collect();
    assert_eq!(listed, ["tr-2", "tr-1"]);
    let read = ReadTraces { ids, ..read(&stand, "") };
    assert_eq!(stand.ask(read).await.unwrap().traces.len(), 2);
}

#[tokio::test]
async fn a_trace_of_a_deleted_experiment_takes_no_more_spans() {
    let stand = Stand::new().await;
    let other = CreateExperiment { workspace: stand.workspace.clone(), name: String::from("other"), tags: Vec::new() };
    let other = stand.ask(other).await.unwrap();
    stand.ask(whole(&stand, "tr-1", &other)).await.unwrap();
    let late = |at| export(&stand, "0", vec![span("tr-1", at, None, "late")]);
    stand.ask(late(1)).await.unwrap();
    stand.ask(DeleteExperiment { workspace: stand.workspace.clone(), id: other }).await.unwrap();
    assert!(stand.ask(late(2)).await.is_err(), "whichever experiment the export names");
}

#[tokio::test]
async fn a_run_s_code_traces_into_its_own_experiment_and_links_its_own_run() {
    let stand = Stand::new().await;
    let agent = stand.running("job").await;
    let own: RunId = agent.address.run.clone();
    let get = GetRun { workspace: stand.workspace.clone(), run: own.clone() };
    let home = stand.ask(get).await.unwrap().run.experiment;
    let away = CreateExperiment { workspace: stand.workspace.clone(), name: String::from("away"), tags: Vec::new() };
    let away = stand.ask(away).await.unwrap();
    let by = |spans| export(&stand, &home, spans);
    assert_eq!(kind_by(&stand, &agent, by(vec![span("tr-own", 1, None, "")])).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, whole(&stand, "tr-own", &home)).await, Ok(()));
    assert_eq!(
        kind_by(&stand, &agent, export(&stand, &away, vec![span("tr-x", 1, None, "")])).await,
        Err(Kind::Denied)
    );
    assert_eq!(kind_by(&stand, &agent, whole(&stand, "tr-x", &away)).await, Err(Kind::Denied));
    // What somebody else's program did is not for it to rewrite, wherever it lies.
    stand.ask(whole(&stand, "tr-there", &away)).await.unwrap();
    stand.ask(export(&stand, &home, vec![span("tr-here", 1, None, "")])).await.unwrap();
    for id in ["tr-there", "tr-here"] {
        assert_eq!(kind_by(&stand, &agent, by(vec![span(id, 2, None, "forged")])).await, Err(Kind::Denied), "{id}");
    }
    assert_eq!(kind_by(&stand, &agent, whole(&stand, "tr-here", &home)).await, Err(Kind::Denied));
    let tag = |id: &str| UpdateTrace {
        workspace: stand.workspace.clone(),
        id: id.to_owned(),
        change: TraceChange::SetTag(String::from("a"), String::from("b")),
    };
    let judge = |id: &str| CreateAssessment {
        workspace: stand.workspace.clone(),
        trace: id.to_owned(),
        assessment: feedback("ok"),
    };
    assert_eq!(kind_by(&stand, &agent, tag("tr-here")).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, tag("tr-there")).await, Err(Kind::Denied));
    assert_eq!(kind_by(&stand, &agent, judge("tr-here")).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, judge("tr-there")).await, Err(Kind::Denied));
    let begun = CreateRun {
        workspace: stand.workspace.clone(),
        experiment: home.clone(),
        name: String::new(),
        started_at: None,
        tags: Vec::new(),
    };
    let other = stand.ask(begun).await.unwrap().run.id;
    let link = |id: &str, run: &RunId| LinkTraces {
        workspace: stand.workspace.clone(),
        traces: vec![id.to_owned()],
        run: run.clone(),
    };
    assert_eq!(kind_by(&stand, &agent, link("tr-here", &own)).await, Ok(()));
    assert_eq!(kind_by(&stand, &agent, link("tr-here", &other)).await, Err(Kind::Denied));
    assert_eq!(kind_by(&stand, &agent, link("tr-there", &own)).await, Err(Kind::Denied));
    let by_header = LogSpans { run: Some(other), ..by(vec![span("tr-new", 1, None, "")]) };
    assert_eq!(kind_by(&stand, &agent, by_header).await, Err(Kind::Denied));
    let delete = DeleteTraces {
        workspace: stand.workspace.clone(),
        experiment: home.clone(),
        until: None,
        most: None,
        ids: vec![String::from("tr-own")],
    };
    assert_eq!(kind_by(&stand, &agent, delete).await, Err(Kind::Denied), "what is deleted cannot be had back");
    let get = GetTrace { workspace: stand.workspace.clone(), id: String::from("tr-there") };
    assert_eq!(kind_by(&stand, &agent, get).await, Ok(()), "it reads its workspace");
}
