//! The tracking room: what a run's own code may do, writers at once, and what the log says about registrations.

use domain::{
    audit::{ActivityFilter, ListActivities},
    gate::{Activity, Actor, Outcome, enter},
    tracking::{
        ArtifactPath, ArtifactPlace, CreateExperiment, CreateLoggedModel, CreateModelVersion, CreateRegisteredModel,
        CreateRun, DeleteArtifact, DeleteExperiment, DeleteModelVersion, DeleteRegisteredModel, DeleteRun,
        ExperimentChange, ExperimentKey, GetExperiment, GetMetricHistory, GetModelVersion, GetRun, LogBatch, LogLinks,
        LoggedModelChange, LoggedModelStatus, Metric, ModelChange, Point, PutArtifact, Query, RestoreRun, RunLinks,
        SearchRuns, UpdateExperiment, UpdateLoggedModel, UpdateModelVersion, UpdateRegisteredModel, UpdateRun,
        VersionChange, VersionKey, View,
    },
};
use futures::{StreamExt, future::join_all, stream};
use kernel::{Caller, Kind, Result, RunCaller, RunId, Source, Who};

use crate::stand::Stand;

impl Stand {
    /// The code of a run.
    fn code_of(&self, run: &RunId) -> Caller {
        let Who::Principal(owner) = &self.owner.who else { panic!("the owner is a principal") };
        let run = RunCaller {
            run: run.clone(),
            workspace: self.guid,
            scope: self.workspace.clone(),
            on_behalf_of: owner.id,
            only: Vec::new(),
        };
        Caller { who: Who::Run(run), source: Source::internal() }
    }

    async fn begin(&self, caller: &Caller, experiment: &str) -> Result<RunId> {
        let mut tags = vec![(String::from("mlflow.user"), String::from("somebody else"))];
        if let Who::Run(parent) = &caller.who {
            tags.push((String::from("mlflow.parentRunId"), parent.run.to_string()));
        }
        let op = CreateRun {
            workspace: self.workspace.clone(),
            experiment: experiment.to_owned(),
            name: String::new(),
            started_at: None,
            tags,
        };
        enter(&self.house, caller, op).await.map(|made| made.run.id)
    }

    fn log(&self, run: &RunId, step: i64) -> LogBatch {
        let metric = Metric {
            key: String::from("loss"),
            point: Point::new(step, 1, 0.5),
            model: None,
            dataset_name: String::new(),
            dataset_digest: String::new(),
        };
        let params = vec![(format!("p{step}"), step.to_string())];
        let tags = vec![(String::from("last"), step.to_string())];
        LogBatch { workspace: self.workspace.clone(), run: run.clone(), metrics: vec![metric], params, tags }
    }

    fn place(&self, run: &RunId) -> ArtifactPlace {
        ArtifactPlace::of_run(run.clone(), ArtifactPath::parse("model/x").unwrap())
    }

    fn file(&self, run: &RunId) -> PutArtifact {
        let body = stream::iter([Ok(bytes::Bytes::from_static(b"x"))]).boxed();
        let (workspace, place) = (self.workspace.clone(), self.place(run));
        PutArtifact { workspace, place, most: 10, body, is_new_only: false, address: None }
    }

    async fn name_model(&self, caller: &Caller, name: &str) -> Result<()> {
        let op = CreateRegisteredModel {
            workspace: self.workspace.clone(),
            name: name.to_owned(),
            description: String::new(),
            tags: Vec::new(),
        };
        enter(&self.house, caller, op).await.map(drop)
    }

    fn version(&self, name: &str, source: String) -> CreateModelVersion {
        CreateModelVersion {
            workspace: self.workspace.clone(),
            name: name.to_owned(),
            source,
            run: None,
            description: String::new(),
            run_link: String::new(),
            tags: Vec::new(),
        }
    }

    fn logged_model(&self, run: &RunId) -> CreateLoggedModel {
        CreateLoggedModel {
            workspace: self.workspace.clone(),
            experiment: String::from("0"),
            name: String::from("m"),
            model_type: String::new(),
            source_run: Some(run.clone()),
            params: Vec::new(),
            tags: Vec::new(),
        }
    }

    fn change_model(&self, name: &str, change: ModelChange) -> UpdateRegisteredModel {
        UpdateRegisteredModel { workspace: self.workspace.clone(), name: name.to_owned(), change }
    }
}

fn kind<T>(result: Result<T>) -> Option<Kind> {
    result.err().map(|fault| fault.kind())
}

#[tokio::test]
async fn a_run_s_code_writes_its_own_and_nothing_else() {
    let stand = Stand::new().await;
    let (house, workspace) = (&stand.house, &stand.workspace);
    let mine = stand.begin(&stand.owner, "0").await.unwrap();
    let foreign = stand.begin(&stand.owner, "0").await.unwrap();
    let code = stand.code_of(&mine);
    let denied = Some(Kind::Denied);

    enter(house, &code, stand.log(&mine, 1)).await.unwrap();
    enter(house, &code, stand.file(&mine)).await.unwrap();
    let child = stand.begin(&code, "0").await.unwrap();
    enter(house, &code, stand.log(&child, 1)).await.unwrap();
    let seen = enter(house, &code, GetRun { workspace: workspace.clone(), run: child.clone() }).await.unwrap();
    assert_eq!(seen.run.user, "owner", "a child belongs to whoever submitted the job, whatever a tag says");
    enter(house, &code, GetRun { workspace: workspace.clone(), run: foreign.clone() }).await.unwrap();

    assert_eq!(kind(enter(house, &code, stand.log(&foreign, 1)).await), denied);
    assert_eq!(kind(enter(house, &code, stand.file(&foreign)).await), denied);
    let gone = DeleteArtifact { workspace: workspace.clone(), place: stand.place(&foreign) };
    assert_eq!(kind(enter(house, &code, gone).await), denied);
    let gone = DeleteRun { workspace: workspace.clone(), run: foreign.clone() };
    assert_eq!(kind(enter(house, &code, gone).await), denied);
    let update =
        UpdateRun { workspace: workspace.clone(), run: foreign.clone(), status: None, ended_at: None, name: None };
    assert_eq!(kind(enter(house, &code, update).await), denied);
    assert_eq!(kind(enter(house, &code, stand.logged_model(&foreign)).await), denied);
    let gone = DeleteExperiment { workspace: workspace.clone(), id: String::from("0") };
    assert_eq!(kind(enter(house, &code, gone).await), denied);

    // Its own experiment may be labelled; another's not.
    let other = CreateExperiment { workspace: workspace.clone(), name: String::from("other"), tags: Vec::new() };
    let other = enter(house, &stand.owner, other).await.unwrap();
    let label = |id: &str| UpdateExperiment {
        workspace: workspace.clone(),
        id: id.to_owned(),
        change: ExperimentChange::SetTag(String::from("a"), String::from("b")),
    };
    enter(house, &code, label("0")).await.unwrap();
    assert_eq!(kind(enter(house, &code, label(&other)).await), denied);

    // The sister's code may not touch what this one made either.
    let sister = stand.code_of(&foreign);
    assert_eq!(kind(enter(house, &sister, stand.log(&child, 2)).await), denied);
    let model = enter(house, &code, stand.logged_model(&mine)).await.unwrap();
    let ready = || UpdateLoggedModel {
        workspace: workspace.clone(),
        id: model.id.clone(),
        change: LoggedModelChange::Finalize(LoggedModelStatus::Ready),
    };
    assert_eq!(kind(enter(house, &sister, ready()).await), denied);
    enter(house, &code, ready()).await.unwrap();

    let filter = ActivityFilter { most: 1000, ..ActivityFilter::default() };
    let listed = enter(house, &stand.owner, ListActivities { scope: workspace.clone(), filter }).await.unwrap();
    let denials = listed.found.iter().filter(|one| one.activity.outcome == Outcome::Denied).count();
    assert_eq!(denials, 10, "each denial is in the log");
}

#[tokio::test]
async fn a_new_file_replaces_none_that_came_while_it_was_on_its_way() {
    let stand = Stand::new().await;
    let run = stand.begin(&stand.owner, "0").await.unwrap();
    let (asked, comes) = tokio::sync::oneshot::channel::<()>();
    let (done, goes_on) = tokio::sync::oneshot::channel::<()>();
    let slow = stream::once(async move {
        asked.send(()).unwrap();
        goes_on.await.unwrap();
        Ok::<_, kernel::Error>(bytes::Bytes::from_static(b"late"))
    });
    let late = PutArtifact { body: slow.boxed(), is_new_only: true, ..stand.file(&run) };
    let soon = async {
        comes.await.unwrap();
        enter(&stand.house, &stand.owner, stand.file(&run)).await.unwrap();
        done.send(()).unwrap();
    };
    let (late, ()) = futures::join!(enter(&stand.house, &stand.owner, late), soon);
    let fault = late.unwrap_err();
    assert_eq!((fault.kind(), fault.code()), (Kind::Exists, Some("BlobAlreadyExists")));
    enter(&stand.house, &stand.owner, stand.file(&run)).await.unwrap();
}

#[tokio::test]
async fn a_run_registers_what_it_made_and_moves_no_alias_of_others() {
    let stand = Stand::new().await;
    let house = &stand.house;
    let mine = stand.run_with(&[("model.onnx", b"mine")]).await;
    let foreign = stand.run_with(&[("model.onnx", b"foreign")]).await;
    let code = stand.code_of(&mine);
    stand.name_model(&stand.owner, "shared").await.unwrap();
    let made = enter(house, &code, stand.version("shared", format!("runs:/{mine}/model"))).await.unwrap();
    assert_eq!((made.version.version, made.version.files), (1, 1));
    let stolen = stand.version("shared", format!("runs:/{foreign}/model"));
    assert_eq!(kind(enter(house, &code, stolen).await), Some(Kind::Denied));
    let alias = || ModelChange::SetAlias(String::from("champion"), 1);
    assert_eq!(kind(enter(house, &code, stand.change_model("shared", alias())).await), Some(Kind::Denied));
    stand.name_model(&code, "own").await.unwrap();
    enter(house, &code, stand.version("own", format!("runs:/{mine}/model"))).await.unwrap();
    enter(house, &code, stand.change_model("own", alias())).await.unwrap();
    let gone = DeleteRegisteredModel { workspace: stand.workspace.clone(), name: String::from("own") };
    assert_eq!(kind(enter(house, &code, gone).await), Some(Kind::Denied));

    let filter = ActivityFilter { most: 1000, ..ActivityFilter::default() };
    let listed = enter(house, &stand.owner, ListActivities { scope: stand.workspace.clone(), filter }).await.unwrap();
    let registration = listed.found.iter().map(|one| &one.activity).find(|activity| {
        let detail = |key: &str| activity.detail.get(key).map(String::as_str);
        activity.outcome == Outcome::Succeeded && detail("model") == Some("shared") && detail("version") == Some("1")
    });
    let Who::Principal(owner) = &stand.owner.who else { panic!("the owner is a principal") };
    let expected = Actor::Run { run: mine, on_behalf_of: owner.id };
    assert_eq!(registration.map(|activity| &activity.actor), Some(&expected), "a registration names its initiator");
}

/// What Azure's log leaves out stands in ours: what was begun, registered, moved and deleted, by name and number alone.
#[tokio::test]
async fn each_step_of_a_model_s_life_leaves_a_record_that_names_it() {
    let stand = Stand::new().await;
    let (house, owner) = (&stand.house, &stand.owner);
    let run = stand.run_with(&[("model.onnx", b"x")]).await;
    let mut batch = stand.log(&run, 1);
    batch.params = vec![(String::from("p"), String::from("canary-value"))];
    batch.tags = vec![(String::from("t"), String::from("canary-value"))];
    enter(house, owner, batch).await.unwrap();
    let links = LogLinks { workspace: stand.workspace.clone(), run: run.clone(), more: RunLinks::default() };
    enter(house, owner, links).await.unwrap();
    stand.name_model(owner, "wine").await.unwrap();
    for _ in 0..2 {
        enter(house, owner, stand.version("wine", format!("runs:/{run}/model"))).await.unwrap();
    }
    let stage = VersionChange::Stage { stage: String::from("production"), archives_others: false };
    let tag = VersionChange::SetTag(String::from("k"), String::from("canary-value"));
    for change in [stage, tag] {
        let (workspace, name) = (stand.workspace.clone(), String::from("wine"));
        enter(house, owner, UpdateModelVersion { workspace, name, version: 1, change }).await.unwrap();
    }
    for change in [
        ModelChange::SetAlias(String::from("champion"), 1),
        ModelChange::DeleteAlias(String::from("champion")),
        ModelChange::SetTag(String::from("k"), String::from("canary-value")),
        ModelChange::Describe(String::from("canary-value")),
    ] {
        enter(house, owner, stand.change_model("wine", change)).await.unwrap();
    }
    enter(house, owner, stand.change_model("wine", ModelChange::Rename(String::from("port")))).await.unwrap();
    let (workspace, name) = (stand.workspace.clone(), String::from("port"));
    enter(house, owner, DeleteModelVersion { workspace, name, version: 2 }).await.unwrap();
    let (workspace, name) = (stand.workspace.clone(), String::from("port"));
    enter(house, owner, DeleteRegisteredModel { workspace, name }).await.unwrap();
    enter(house, owner, DeleteRun { workspace: stand.workspace.clone(), run: run.clone() }).await.unwrap();
    enter(house, owner, RestoreRun { workspace: stand.workspace.clone(), run: run.clone() }).await.unwrap();

    let filter = ActivityFilter { most: 1000, ..ActivityFilter::default() };
    let listed = enter(house, owner, ListActivities { scope: stand.workspace.clone(), filter }).await.unwrap();
    let records: Vec<_> = listed.found.iter().map(|one| &one.activity).collect();
    let run = run.to_string();
    let expected: &[(&str, &[(&str, &str)])] = &[
        ("experiments/runs/write", &[("run", &run)]),
        ("experiments/runs/delete", &[("run", &run)]),
        ("models/write", &[("model", "wine")]),
        ("models/write", &[("model", "wine"), ("version", "2"), ("registered", "wine:2")]),
        ("models/write", &[("model", "wine"), ("version", "1"), ("stage", "Production")]),
        ("models/write", &[("model", "wine"), ("alias", "champion"), ("version", "1")]),
        ("models/write", &[("model", "wine"), ("newName", "port")]),
        ("models/delete", &[("model", "port"), ("version", "2")]),
        ("models/delete", &[("model", "port")]),
    ];
    for (action, details) in expected {
        let is_it = |activity: &&Activity| {
            let says = |(key, value): &(&str, &str)| activity.detail.get(*key).is_some_and(|told| told == value);
            activity.outcome == Outcome::Succeeded && activity.action.ends_with(action) && details.iter().all(says)
        };
        assert!(records.iter().any(is_it), "{action} {details:?}");
    }
    for activity in &records {
        assert!(!format!("{activity:?}").contains("canary-value"), "{activity:?}");
    }
}

#[tokio::test]
async fn writers_at_once_lose_and_repeat_nothing() {
    let stand = Stand::new().await;
    let house = &stand.house;
    let run = stand.run_with(&[("model.onnx", b"x")]).await;
    let logged = join_all((0..40).map(|step| enter(house, &stand.owner, stand.log(&run, step)))).await;
    assert!(logged.iter().all(std::result::Result::is_ok));
    let again = join_all((0..40).map(|step| enter(house, &stand.owner, stand.log(&run, step)))).await;
    assert!(again.iter().all(std::result::Result::is_ok));
    let history = GetMetricHistory {
        workspace: stand.workspace.clone(),
        run: run.clone(),
        key: String::from("loss"),
        most: None,
        page_token: None,
    };
    let points = enter(house, &stand.owner, history).await.unwrap().items;
    assert_eq!(points.iter().map(|point| point.step).collect::<Vec<_>>(), (0..40).collect::<Vec<i64>>());
    let seen =
        enter(house, &stand.owner, GetRun { workspace: stand.workspace.clone(), run: run.clone() }).await.unwrap();
    assert_eq!(seen.run.params.len(), 40);

    stand.name_model(&stand.owner, "many").await.unwrap();
    let source = format!("runs:/{run}/model");
    let made = join_all((0..10).map(|_| enter(house, &stand.owner, stand.version("many", source.clone())))).await;
    let mut numbers: Vec<u64> = made.into_iter().map(|one| one.unwrap().version.version).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_registered_version_keeps_its_files() {
    let stand = Stand::new().await;
    let run = stand.run_with(&[("x", b"before")]).await;
    stand.name_model(&stand.owner, "fixed").await.unwrap();
    enter(&stand.house, &stand.owner, stand.version("fixed", format!("runs:/{run}/model"))).await.unwrap();
    enter(&stand.house, &stand.owner, stand.file(&run)).await.unwrap();
    let gone = DeleteArtifact { workspace: stand.workspace.clone(), place: stand.place(&run) };
    enter(&stand.house, &stand.owner, gone).await.unwrap();
    let key = VersionKey::Number(1);
    let op = GetModelVersion { workspace: stand.workspace.clone(), name: String::from("fixed"), key };
    let view = enter(&stand.house, &stand.owner, op).await.unwrap();
    let address = format!("{}/x", view.artifact_uri.trim_start_matches("mlflow-artifacts:/"));
    let place = ArtifactPlace::parse(&address).unwrap().unwrap();
    let op = domain::tracking::GetArtifact {
        workspace: stand.workspace.clone(),
        place,
        wanted: domain::tracking::Wanted::default(),
    };
    let mut file = enter(&stand.house, &stand.owner, op).await.unwrap();
    assert_eq!(file.body.next().await.unwrap().unwrap(), "before");
}

#[tokio::test]
async fn the_default_experiment_is_there_before_anybody_wrote_it() {
    let stand = Stand::new().await;
    let house = &stand.house;
    let find = |key| GetExperiment { workspace: stand.workspace.clone(), key };
    let by_name = |name: &str| find(ExperimentKey::Name(name.to_owned()));
    assert_eq!(enter(house, &stand.owner, by_name("Default")).await.unwrap().id, "0");
    let taken =
        CreateExperiment { workspace: stand.workspace.clone(), name: String::from("Default"), tags: Vec::new() };
    assert_eq!(kind(enter(house, &stand.owner, taken).await), Some(Kind::Exists));
    let rename = |name: &str| UpdateExperiment {
        workspace: stand.workspace.clone(),
        id: String::from("0"),
        change: ExperimentChange::Rename(name.to_owned()),
    };
    enter(house, &stand.owner, rename("first")).await.unwrap();
    assert_eq!(kind(enter(house, &stand.owner, by_name("Default")).await), Some(Kind::NotFound));
    enter(house, &stand.owner, rename("second")).await.unwrap();
    assert_eq!(enter(house, &stand.owner, by_name("second")).await.unwrap().id, "0");
    assert_eq!(kind(enter(house, &stand.owner, by_name("first")).await), Some(Kind::NotFound));
    let again = CreateExperiment { workspace: stand.workspace.clone(), name: String::from("first"), tags: Vec::new() };
    enter(house, &stand.owner, again).await.unwrap();
}

#[tokio::test]
async fn a_reader_reads_and_a_search_needs_no_more() {
    let stand = Stand::new().await;
    let reader = stand.reader().await;
    let run = stand.begin(&stand.owner, "0").await.unwrap();
    let op = SearchRuns {
        workspace: stand.workspace.clone(),
        experiments: vec![String::from("0"), String::from("404")],
        query: Query { most: 10, ..Query::default() },
        view: View::Active,
    };
    let found = enter(&stand.house, &reader, op).await.unwrap().items;
    assert_eq!(found.iter().map(|one| &one.run.id).collect::<Vec<_>>(), [&run]);
    assert_eq!(kind(enter(&stand.house, &reader, stand.log(&run, 1)).await), Some(Kind::Denied));
    assert_eq!(kind(enter(&stand.house, &reader, stand.file(&run)).await), Some(Kind::Denied));
    let stranger = Caller::nobody(Source::internal());
    assert_eq!(kind(enter(&stand.house, &stranger, stand.log(&run, 1)).await), Some(Kind::Unauthenticated));
}
