//! What a registered version keeps.

use kernel::Kind;

use super::{
    super::{ArtifactPath, ArtifactPlace, DeleteArtifact, ListArtifacts},
    By, Owner, Stand, file, kind, name, new_logged_model, run_of_owner, version,
};

/// The paths below an `mlflow-artifacts:/` address.
async fn listed(stand: &Stand, uri: &str) -> Vec<String> {
    let place = ArtifactPlace::parse(uri.strip_prefix("mlflow-artifacts:/").unwrap()).unwrap();
    let listing = stand.ask(ListArtifacts { workspace: stand.workspace.clone(), place }).await.unwrap();
    listing.entries.into_iter().map(|entry| entry.path).collect()
}

#[tokio::test]
async fn a_version_whose_source_has_no_files_is_refused() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    let logged = stand.ask(new_logged_model(&stand, "0", None)).await.unwrap().id;
    stand.ask(name(&stand, "m")).await.unwrap();
    stand.ask(file(&stand, Owner::Run(run.clone()), "other/file")).await.unwrap();
    for source in [format!("runs:/{run}/model"), format!("models:/{logged}")] {
        let fault = stand.ask(version(&stand, "m", &source)).await.unwrap_err();
        assert_eq!(fault.kind(), Kind::Invalid, "{source}");
        assert!(fault.public().contains("log the model's files first"), "{}", fault.public());
    }
    // The number was not used up.
    stand.ask(file(&stand, Owner::LoggedModel(logged.clone()), "MLmodel")).await.unwrap();
    assert_eq!(stand.ask(version(&stand, "m", &format!("models:/{logged}"))).await.unwrap().version.version, 1);
    let mut prompt = version(&stand, "m", "dummy-source");
    assert_eq!(kind(&stand, By::Owner, version(&stand, "m", "dummy-source")).await, Kind::Invalid);
    prompt.tags.push((String::from("mlflow.prompt.is_prompt"), String::from("true")));
    assert_eq!(stand.ask(prompt).await.unwrap().version.files, 0);
}

#[tokio::test]
async fn a_version_keeps_the_files_it_was_registered_with() {
    let stand = Stand::new().await;
    let run = run_of_owner(&stand, "0").await;
    stand.ask(name(&stand, "m")).await.unwrap();
    stand.ask(file(&stand, Owner::Run(run.clone()), "model/MLmodel")).await.unwrap();
    let given = stand.ask(version(&stand, "m", &format!("runs:/{run}/model"))).await.unwrap();
    assert!(given.artifact_uri.starts_with("mlflow-artifacts:/registry/"), "{}", given.artifact_uri);
    stand.ask(file(&stand, Owner::Run(run.clone()), "model/late.pkl")).await.unwrap();
    assert_eq!(listed(&stand, &given.artifact_uri).await, ["MLmodel"]);
    let place = ArtifactPlace::of_run(run, ArtifactPath::parse("model").unwrap());
    stand.ask(DeleteArtifact { workspace: stand.workspace.clone(), place }).await.unwrap();
    assert_eq!(listed(&stand, &given.artifact_uri).await, ["MLmodel"]);
    let copy = stand.ask(version(&stand, "m", "models:/m/1")).await.unwrap();
    assert_eq!(listed(&stand, &copy.artifact_uri).await, ["MLmodel"]);
}
