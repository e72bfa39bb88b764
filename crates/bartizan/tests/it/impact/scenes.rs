//! What high business impact means, by the operations behind the doors.

use domain::{
    compute::{Destruction, GetJob, NewJob, SCRATCH_WALL, ScratchEnd, Swap},
    diagnostics::{GetOutboxEntry, PurgeOutbox, PutCollection, send_what_is_due},
    gate::enter,
    impact::{FindingKind, prove_what_is_raised},
    resources::Wanted,
    tracking::{
        CreateExperiment, CreateRun, DatasetInput, ExperimentKey, GetRun, LogBatch, LogLinks, RunLinks, UpdateRun,
        azure::{PatchRun, RunPatch},
    },
    work::look_once,
};
use kernel::{Caller, Kind, Principal, PrincipalKind, Source, Who};

use super::stand::{KEY, Stand, begin, collect, cycle, finish, house, impact, job, outbox, patch, raise, submit};

#[tokio::test(flavor = "multi_thread")]
async fn i_04_the_outbox_of_a_raised_workspace_stays_empty_over_a_whole_cycle() {
    let stand = Stand::new().await;
    stand.build_wall();
    // nothing is collected until somebody says so.
    cycle(&stand, 0).await;
    assert!(outbox(&stand).await.is_empty());
    collect(&stand, true).await;
    cycle(&stand, 1).await;
    let entries = outbox(&stand).await;
    let told: Vec<serde_json::Value> = entries.iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
    // I-01: these fields and no others.
    let kinds: Vec<&str> = told.iter().map(|said| said["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 3, "{told:?}");
    let of = |kind: &str| told.iter().find(|said| said["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {told:?}"));
    assert_eq!(of("jobSubmitted")["experiment"], "churn");
    assert_eq!(of("jobSubmitted")["environmentVariables"], serde_json::json!(["LR", "NOTE"]));
    assert_eq!(of("datasetsUsed")["datasets"], serde_json::json!(["iris"]));
    assert_eq!(of("serviceDeployed")["environmentVariables"], serde_json::json!(["THRESHOLD"]));
    for entry in &entries {
        for never in [KEY, "ws1", "train.py", "/secret/path", "subscriptions", "owner"] {
            assert!(!entry.body.contains(never), "{never}: {}", entry.body);
        }
        let one = enter(&stand.test.house, &house(), GetOutboxEntry { id: entry.id }).await.unwrap();
        assert_eq!(one.body, entry.body);
    }
    // Without a destination nothing is ever due.
    stand.test.clock.advance(std::time::Duration::from_secs(100 * 24 * 3600));
    send_what_is_due(&stand.test.house).await.unwrap();
    assert!(outbox(&stand).await.iter().all(|entry| entry.sent_at.is_none()));

    raise(&stand).await;
    assert!(outbox(&stand).await.is_empty(), "what was collected before goes with the raise");
    cycle(&stand, 2).await;
    assert!(outbox(&stand).await.is_empty());
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i_04_owners_opt_out_and_what_is_collected_can_be_purged() {
    let stand = Stand::new().await;
    collect(&stand, true).await;
    submit(&stand, &stand.owner, "j1", job("churn")).await.unwrap();
    patch(&stand, Wanted { sends_diagnostics: Some(false), ..Wanted::default() }).await.unwrap();
    submit(&stand, &stand.owner, "j2", job("churn")).await.unwrap();
    assert_eq!(outbox(&stand).await.len(), 1);
    assert_eq!(enter(&stand.test.house, &house(), PurgeOutbox).await.unwrap(), 1);
    assert!(outbox(&stand).await.is_empty());
    patch(&stand, Wanted { sends_diagnostics: Some(true), ..Wanted::default() }).await.unwrap();
    collect(&stand, false).await;
    submit(&stand, &stand.owner, "j3", job("churn")).await.unwrap();
    assert!(outbox(&stand).await.is_empty());
    // Whoever owns a workspace does not decide what leaves the installation.
    let op = PutCollection { is_on: true, destination: None, hold_hours: None };
    assert_eq!(enter(&stand.test.house, &stand.contributor().await, op).await.unwrap_err().kind(), Kind::NotFound);
    let far = PutCollection { is_on: true, destination: Some(String::from("ftp://x")), hold_hours: None };
    assert_eq!(enter(&stand.test.house, &house(), far).await.unwrap_err().kind(), Kind::Invalid);
    let long = PutCollection { is_on: true, destination: None, hold_hours: Some(0) };
    assert_eq!(enter(&stand.test.house, &house(), long).await.unwrap_err().kind(), Kind::Invalid);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_16_a_workspace_is_raised_for_good_and_the_report_goes_down_to_nothing() {
    let stand = Stand::new().await;
    collect(&stand, true).await;
    submit(&stand, &stand.owner, "before", job("churn")).await.unwrap();
    let (before, assignment) = begin(&stand, "before", &[SCRATCH_WALL]).await;
    assert!(assignment.launch.required_walls.is_empty());
    assert!(!impact(&stand).await.is_raised);
    submit(&stand, &stand.owner, "queued", job("churn")).await.unwrap();
    let fault = patch(&stand, Wanted { hbi: Some(true), ..Wanted::default() }).await.unwrap_err();
    assert!(fault.kind() == Kind::Invalid && fault.public().contains("raise"), "{fault:?}");

    let report = raise(&stand).await;
    let kinds: Vec<FindingKind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert!(report.is_raised && report.proven_at.is_none());
    assert_eq!(kinds, [FindingKind::Node, FindingKind::Run], "{report:?}");
    assert_eq!(report.findings[1].name, "before");
    prove_what_is_raised(&stand.test.house).await.unwrap();
    assert!(impact(&stand).await.proven_at.is_none());

    // What was queued begins as one of those after; and a target without the wall takes nothing.
    let (queued, assignment) = begin(&stand, "queued", &[]).await;
    assert_eq!(assignment.launch.required_walls, [SCRATCH_WALL]);
    let fault = submit(&stand, &stand.owner, "after", job("churn")).await.unwrap_err();
    assert!(fault.kind() == Kind::Invalid && fault.public().contains(SCRATCH_WALL), "{fault:?}");
    stand.build_wall();
    let made = submit(&stand, &stand.owner, "after", job("churn")).await.unwrap();
    assert!(made.row.value.properties.hbi);
    assert_eq!(made.row.value.properties.required_walls, [SCRATCH_WALL]);

    finish(&stand, &queued, true).await;
    assert_eq!(impact(&stand).await.found, 1, "only what began before is left");
    finish(&stand, &before, true).await;
    prove_what_is_raised(&stand.test.house).await.unwrap();
    let report = impact(&stand).await;
    assert_eq!((report.found, report.proven_at.is_some()), (0, true), "{report:?}");
    assert_eq!(report.looked_through["run"], 3);

    let raised = report.raised.clone().unwrap();
    let fault = patch(&stand, Wanted { hbi: Some(false), ..Wanted::default() }).await.unwrap_err();
    assert!(fault.kind() == Kind::Invalid && fault.public().contains("taken back"), "{fault:?}");
    // Once more changes nothing.
    assert_eq!(raise(&stand).await.raised.unwrap().0, raised.0);
    patch(&stand, Wanted { hbi: Some(true), ..Wanted::default() }).await.unwrap();
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_16_a_single_job_is_treated_as_one_of_high_impact() {
    let stand = Stand::new().await;
    collect(&stand, true).await;
    let raised = || NewJob { hbi: true, ..job("churn") };
    assert_eq!(submit(&stand, &stand.owner, "j1", raised()).await.unwrap_err().kind(), Kind::Invalid);
    stand.build_wall();
    submit(&stand, &stand.owner, "j1", raised()).await.unwrap();
    assert!(outbox(&stand).await.is_empty());
    let (agent, assignment) = begin(&stand, "j1", &[]).await;
    assert_eq!(assignment.launch.required_walls, [SCRATCH_WALL]);
    // What its code says of its data stays too.
    let dataset = DatasetInput {
        name: String::from("patients"),
        digest: String::from("d"),
        source_type: String::from("local"),
        source: String::from("x"),
        schema: None,
        profile: None,
        tags: Vec::new(),
    };
    let more = RunLinks { datasets: vec![dataset], ..RunLinks::default() };
    let op = LogLinks { workspace: stand.workspace.clone(), run: "j1".parse().unwrap(), more };
    enter(&stand.test.house, &agent, op).await.unwrap();
    assert!(outbox(&stand).await.is_empty());
    assert!(!impact(&stand).await.is_raised);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x_05_the_record_of_a_run_says_what_became_of_its_scratch() {
    let stand = Stand::new().await;
    let scratch = async |name: &str| {
        let op = GetJob { id: stand.id(&["jobs", name]) };
        enter(&stand.test.house, &stand.owner, op).await.unwrap().launch.scratch
    };
    submit(&stand, &stand.owner, "cleared", job("e")).await.unwrap();
    assert_eq!(scratch("cleared").await, None);
    let (agent, _) = begin(&stand, "cleared", &[]).await;
    let begun = scratch("cleared").await.unwrap();
    assert_eq!((begun.swap, begun.destroyed), (Swap::Forbidden, None));
    finish(&stand, &agent, true).await;
    let how = |destroyed: Option<Destruction>| destroyed.map(|end| end.how);
    assert_eq!(how(scratch("cleared").await.unwrap().destroyed), Some(ScratchEnd::Cleared));

    // One that does not say so, and whose process is seen to be gone.
    submit(&stand, &stand.owner, "silent", job("e")).await.unwrap();
    let (agent, _) = begin(&stand, "silent", &[SCRATCH_WALL]).await;
    finish(&stand, &agent, false).await;
    let ended = scratch("silent").await.unwrap();
    assert_eq!((ended.swap, ended.destroyed), (Swap::Possible, None));
    stand.test.clock.advance(std::time::Duration::from_secs(30));
    look_once(&stand.test.house, true).await.unwrap();
    assert_eq!(how(scratch("silent").await.unwrap().destroyed), Some(ScratchEnd::WithAgent));
    stand.test.end().await;
}

/// I-03: names that tell who works here.
#[tokio::test(flavor = "multi_thread")]
async fn i_03_a_name_with_the_caller_s_own_is_warned_of_and_refused_where_the_impact_is_high() {
    let stand = Stand::new().await;
    stand.build_wall();
    // The owner as a person of this name; programs have none that tells.
    let Who::Principal(owner) = &stand.owner.who else { panic!("no principal") };
    let person =
        Principal { kind: PrincipalKind::User, name: String::from("alice.smith@corp.example"), ..owner.clone() };
    let alice = Caller { who: Who::Principal(person), source: Source::internal() };
    let named = |display: Option<&str>, experiment: &str| NewJob {
        display_name: display.map(str::to_owned),
        ..job(experiment)
    };
    let taken = submit(&stand, &alice, "alice_smith-1", named(Some("of Alice Smith"), "churn")).await.unwrap();
    let warnings = &taken.row.value.properties.warnings;
    let own: Vec<&String> = warnings.iter().filter(|words| words.contains("your own name")).collect();
    assert_eq!(own.len(), 2, "{warnings:?}");
    assert!(own[0].contains("`name`") && own[1].contains("`properties.displayName`"), "{own:?}");
    submit(&stand, &stand.owner, "alice_smith-2", job("churn")).await.unwrap();
    let workspace = || stand.workspace.clone();
    let experiment = async |name: &str| {
        enter(
            &stand.test.house,
            &alice,
            CreateExperiment { workspace: workspace(), name: name.to_owned(), tags: Vec::new() },
        )
        .await
    };
    let run = async |experiment: &str, name: &str| {
        let (experiment, name) = (experiment.to_owned(), name.to_owned());
        let op = CreateRun { workspace: workspace(), experiment, name, started_at: None, tags: Vec::new() };
        enter(&stand.test.house, &alice, op).await
    };
    let old = experiment("alice.smith").await.unwrap();
    let warned = run(&old, "alice-smith-3").await.unwrap().run;
    assert!(warned.tags["bartizan.warning"].contains("your own name"), "{:?}", warned.tags);

    raise(&stand).await;
    for (name, job, field) in [
        ("alice-smith-4", named(None, "churn"), "name"),
        ("j4", named(Some("for ALICE.SMITH"), "churn"), "properties.displayName"),
        ("j4", named(None, "alice_smith"), "properties.experimentName"),
    ] {
        let fault = submit(&stand, &alice, name, job).await.unwrap_err();
        assert_eq!((fault.kind(), fault.target()), (Kind::Invalid, Some(field)), "{name}");
        assert!(!fault.public().contains("lice"), "{fault:?}");
    }
    assert_eq!(experiment("by-alice-smith").await.unwrap_err().kind(), Kind::Invalid);
    let new = experiment("churn-2").await.unwrap();
    assert_eq!(run(&new, "alice smith").await.unwrap_err().kind(), Kind::Invalid);
    let good = run(&new, "").await.unwrap().run;
    let rename = UpdateRun {
        workspace: workspace(),
        run: good.id.clone(),
        status: None,
        ended_at: None,
        name: Some(String::from("alice.smith")),
    };
    assert_eq!(enter(&stand.test.house, &alice, rename).await.unwrap_err().kind(), Kind::Invalid);
    let batch = LogBatch {
        workspace: workspace(),
        run: good.id.clone(),
        metrics: Vec::new(),
        params: Vec::new(),
        // The last one counts.
        tags: ["fine", "alice.smith"].map(|name| (String::from("mlflow.runName"), String::from(name))).to_vec(),
    };
    assert_eq!(enter(&stand.test.house, &alice, batch).await.unwrap_err().kind(), Kind::Invalid);
    let kept = enter(&stand.test.house, &alice, GetRun { workspace: workspace(), run: good.id }).await.unwrap();
    assert_eq!(kept.run.name, good.name);
    // Azure's clients make and change runs at another door, and say a name in a tag there, too.
    let tagged = async |name: Option<&str>| {
        let tag = name.map(|name| (String::from("mlflow.runName"), Some(name.to_owned())));
        let patch = RunPatch { tags: tag.into_iter().collect(), ..RunPatch::default() };
        let (experiment, run) = (ExperimentKey::Id(new.clone()), "r-9".parse().unwrap());
        let op = PatchRun { workspace: workspace(), experiment, run, may_make: true, patch };
        enter(&stand.test.house, &alice, op).await
    };
    assert_eq!(tagged(Some("alice.smith")).await.unwrap_err().kind(), Kind::Invalid);
    tagged(None).await.unwrap();
    assert_eq!(tagged(Some("alice.smith")).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(tagged(Some("fine")).await.unwrap().run.name, "fine");
    submit(&stand, &alice, "j5", job("churn")).await.unwrap();
    stand.test.end().await;
}
