//! How far a run's own code reaches.

use kernel::{Kind, RunId};

use super::{
    super::{
        CreateExperiment, DeleteRun, ExperimentChange, ExperimentKey, GetExperiment, RestoreRun, UpdateExperiment,
    },
    By, Owner, Stand, ask, file, home, kind, name, new_logged_model, new_run, own_run, run_of_owner, version,
};

fn new_experiment(stand: &Stand, name: &str) -> CreateExperiment {
    CreateExperiment { workspace: stand.workspace.clone(), name: name.to_owned(), tags: Vec::new() }
}

fn change(stand: &Stand, id: &str, change: ExperimentChange) -> UpdateExperiment {
    UpdateExperiment { workspace: stand.workspace.clone(), id: id.to_owned(), change }
}

fn delete(stand: &Stand, run: &RunId) -> DeleteRun {
    DeleteRun { workspace: stand.workspace.clone(), run: run.clone() }
}

#[tokio::test]
async fn a_run_s_code_begins_runs_only_below_itself_in_its_own_experiment() {
    let stand = Stand::new().await;
    let (one, two) = (stand.running("one").await, stand.running("two").await);
    let (me, other, code) = (own_run(&one), own_run(&two), By::Code(&one));
    let home = home(&stand, &one).await;
    let elsewhere = stand.ask(new_experiment(&stand, "elsewhere")).await.unwrap();
    let stranger = run_of_owner(&stand, &home).await;

    let child = ask(&stand, code, new_run(&stand, &home, Some(&me))).await.unwrap().run;
    assert_eq!((child.experiment.as_str(), child.created_by_run.as_ref()), (home.as_str(), Some(&me)));
    let grandchild = ask(&stand, code, new_run(&stand, &home, Some(&child.id))).await.unwrap().run;
    assert_eq!(grandchild.created_by_run, Some(me.clone()));

    let unknown: RunId = "unknown".parse().unwrap();
    let cases = [
        ("without a parent", &home, None),
        ("below another job", &home, Some(&other)),
        ("below a run that somebody else began", &home, Some(&stranger)),
        ("below a run that is not there", &home, Some(&unknown)),
        ("in another experiment", &elsewhere, Some(&me)),
        ("in another experiment, below nobody", &elsewhere, None),
    ];
    for (case, experiment, parent) in cases {
        assert_eq!(kind(&stand, code, new_run(&stand, experiment, parent)).await, Kind::Denied, "{case}");
    }
    // People are judged by their roles alone.
    stand.ask(new_run(&stand, &elsewhere, Some(&me))).await.unwrap();
}

#[tokio::test]
async fn a_refused_run_says_what_to_do_instead() {
    let stand = Stand::new().await;
    let one = stand.running("one").await;
    let home = home(&stand, &one).await;
    let fault = ask(&stand, By::Code(&one), new_run(&stand, &home, None)).await.unwrap_err();
    assert!(fault.public().contains("nested=True"), "{}", fault.public());
}

#[tokio::test]
async fn a_run_s_code_makes_no_experiments_and_finds_its_own() {
    let stand = Stand::new().await;
    let one = stand.running("one").await;
    let code = By::Code(&one);
    let home = home(&stand, &one).await;
    let workspace = stand.workspace.clone();
    let own = GetExperiment { workspace: workspace.clone(), key: ExperimentKey::Id(home.clone()) };
    let own = ask(&stand, code, own).await.unwrap().name;
    let by_name = GetExperiment { workspace, key: ExperimentKey::Name(own.clone()) };
    assert_eq!(ask(&stand, code, by_name).await.unwrap().id, home);

    for named in ["new", own.as_str()] {
        assert_eq!(kind(&stand, code, new_experiment(&stand, named)).await, Kind::Denied, "{named}");
    }
    let tag = ExperimentChange::SetTag(String::from("k"), String::from("v"));
    ask(&stand, code, change(&stand, &home, tag.clone())).await.unwrap();
    let elsewhere = stand.ask(new_experiment(&stand, "elsewhere")).await.unwrap();
    assert_eq!(kind(&stand, code, change(&stand, &elsewhere, tag)).await, Kind::Denied);
    for theirs in [ExperimentChange::Rename(String::from("mine")), ExperimentChange::Restore] {
        assert_eq!(kind(&stand, code, change(&stand, &home, theirs)).await, Kind::Denied);
    }
}

#[tokio::test]
async fn a_run_s_code_deletes_what_it_began_and_never_its_own_run() {
    let stand = Stand::new().await;
    let (one, two) = (stand.running("one").await, stand.running("two").await);
    let (me, code) = (own_run(&one), By::Code(&one));
    let home = home(&stand, &one).await;
    let child = ask(&stand, code, new_run(&stand, &home, Some(&me))).await.unwrap().run.id;
    for theirs in [&me, &own_run(&two), &run_of_owner(&stand, &home).await] {
        assert_eq!(kind(&stand, code, delete(&stand, theirs)).await, Kind::Denied, "{theirs}");
    }
    ask(&stand, code, delete(&stand, &child)).await.unwrap();
    let restore = |run: &RunId| RestoreRun { workspace: stand.workspace.clone(), run: run.clone() };
    ask(&stand, code, restore(&child)).await.unwrap();
    // What a person deleted, the run's code does not bring back.
    stand.ask(delete(&stand, &me)).await.unwrap();
    assert_eq!(kind(&stand, code, restore(&me)).await, Kind::Denied);
}

#[tokio::test]
async fn a_run_s_code_registers_only_what_itself_made() {
    let stand = Stand::new().await;
    let (one, two) = (stand.running("one").await, stand.running("two").await);
    let (me, other, code) = (own_run(&one), own_run(&two), By::Code(&one));
    let home = home(&stand, &one).await;
    ask(&stand, code, file(&stand, Owner::Run(me.clone()), "model/MLmodel")).await.unwrap();
    ask(&stand, By::Code(&two), file(&stand, Owner::Run(other.clone()), "model/MLmodel")).await.unwrap();
    let child = ask(&stand, code, new_run(&stand, &home, Some(&me))).await.unwrap().run.id;
    ask(&stand, code, file(&stand, Owner::Run(child.clone()), "model/MLmodel")).await.unwrap();
    let logged = ask(&stand, code, new_logged_model(&stand, &home, Some(&me))).await.unwrap().id;
    ask(&stand, code, file(&stand, Owner::LoggedModel(logged.clone()), "MLmodel")).await.unwrap();
    let foreign = stand.ask(new_logged_model(&stand, &home, None)).await.unwrap().id;
    stand.ask(file(&stand, Owner::LoggedModel(foreign.clone()), "MLmodel")).await.unwrap();

    // The name may be anybody's: what matters is what lies under it.
    ask(&stand, code, name(&stand, "mine")).await.unwrap();
    stand.ask(name(&stand, "theirs")).await.unwrap();
    stand.ask(version(&stand, "theirs", &format!("models:/{foreign}"))).await.unwrap();
    for model in ["mine", "theirs"] {
        for source in [format!("runs:/{me}/model"), format!("runs:/{child}/model"), format!("models:/{logged}")] {
            let given = ask(&stand, code, version(&stand, model, &source)).await.unwrap();
            assert_eq!(given.version.files, 1, "{model} {source}");
        }
        for source in [format!("runs:/{other}/model"), format!("models:/{foreign}"), String::from("models:/theirs/1")] {
            assert_eq!(kind(&stand, code, version(&stand, model, &source)).await, Kind::Denied, "{model} {source}");
        }
        let mut prompt = version(&stand, model, "dummy-source");
        prompt.tags.push((String::from("mlflow.prompt.is_prompt"), String::from("true")));
        assert_eq!(kind(&stand, code, prompt).await, Kind::Denied, "{model}: a version without a source");
        let mut claim = version(&stand, model, &format!("models:/{logged}"));
        claim.run = Some(other.clone());
        assert_eq!(kind(&stand, code, claim).await, Kind::Denied, "{model}: another run's name on it");
    }
}

#[tokio::test]
async fn a_run_s_code_logs_models_in_its_own_experiment_only() {
    let stand = Stand::new().await;
    let (one, two) = (stand.running("one").await, stand.running("two").await);
    let code = By::Code(&one);
    let home = home(&stand, &one).await;
    let elsewhere = stand.ask(new_experiment(&stand, "elsewhere")).await.unwrap();
    ask(&stand, code, new_logged_model(&stand, &home, None)).await.unwrap();
    assert_eq!(kind(&stand, code, new_logged_model(&stand, &elsewhere, None)).await, Kind::Denied);
    let of_another = new_logged_model(&stand, &home, Some(&own_run(&two)));
    assert_eq!(kind(&stand, code, of_another).await, Kind::Denied);
}
