//! The chain of an image, sound and broken. What is tampered with is sealed under the right key, as by somebody who got at the store.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result, RunId};

use super::{GetStatementKeys, LinkState, VerifyImage, image::ImageStatement};
use crate::{
    compute::{
        Launch, NewJob, PutJob, PutRunArtifact, RunState, Work,
        tests::stand::{Agent, Stand, body},
    },
    gate::{Changes, Cx, Op, Record, Row, Shelf},
    images::{Engine, Image, ImageRef, PackageModel, PutModelVersion},
    resources::{GetResource, Precondition, workspace_shelf},
    scoring::{
        Deployment, DeploymentRequest, EndpointRequest, GetServiceLog, PutDeployment, PutEndpoint, ServiceState,
        supervise,
    },
    tracking::{Artifact, DeleteModelVersion, ModelVersion, action::WRITE_MODELS},
};

/// What somebody does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    /// A file of the first version becomes that of the second.
    ModelFile,
    /// … keeps its hash, and other bytes lie behind it.
    ModelBytes,
    /// The version names another run.
    ModelRun,
    /// The run names another snapshot.
    RunSnapshot,
    /// The image's row is started in another way.
    ImageEngine,
    /// … has another manifest.
    ImageManifest,
    /// … names layers of the other image.
    ImageLayers,
    /// … installs something else.
    ImageRequirements,
    /// The statement of one image lies at the other one.
    ImageStatement,
    /// There is none.
    NoImageStatement,
    /// A character of the signed text is another one.
    StatementText,
}

struct Tamper {
    workspace: ResourceId,
    what: Swap,
}

/// Reads all rows of a kind, changes them, and writes them.
async fn each<T: Record>(cx: &Cx<'_, Tamper>, shelf: &Shelf, change: impl Fn(&mut [Row<T>])) {
    let mut rows = cx.all::<T>(shelf, b"").await.unwrap();
    change(&mut rows);
    let mut changes = Changes::new();
    for row in &rows {
        changes.put(shelf, row).unwrap();
    }
    cx.commit(changes).await.unwrap();
}

#[async_trait]
impl Op for Tamper {
    const ACTION: Action = WRITE_MODELS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let first = |image: &Image| image.model_version == 1;
        match self.what {
            Swap::ModelFile => {
                let swap = |rows: &mut [Row<Artifact>]| {
                    let two = rows.iter().find(|row| row.value.blob.sha256 == seal::sha256_hex(b"two")).unwrap();
                    let blob = two.value.blob.clone();
                    let one = seal::sha256_hex(b"one");
                    rows.iter_mut()
                        .filter(|row| row.value.blob.sha256 == one)
                        .for_each(|row| row.value.blob = blob.clone());
                };
                each(cx, &shelf, swap).await;
            }
            Swap::ModelBytes => {
                let swap = |rows: &mut [Row<Artifact>]| {
                    let two = rows.iter().find(|row| row.value.blob.sha256 == seal::sha256_hex(b"two")).unwrap();
                    let (blob, one) = (two.value.blob.clone(), seal::sha256_hex(b"one"));
                    for row in rows.iter_mut().filter(|row| row.value.blob.sha256 == one) {
                        row.value.blob = blob.clone();
                        row.value.blob.sha256.clone_from(&one);
                    }
                };
                each(cx, &shelf, swap).await;
            }
            Swap::ModelRun => {
                let other: RunId = "elsewhere".parse().unwrap();
                each::<ModelVersion>(cx, &shelf, |rows| {
                    rows.iter_mut().for_each(|row| row.value.run = Some(other.clone()))
                })
                .await;
            }
            Swap::RunSnapshot => {
                each::<Launch>(cx, &shelf, |rows| {
                    for row in rows {
                        if let Work::Job { snapshot, .. } = &mut row.value.work {
                            *snapshot = Some("0".repeat(64));
                        }
                    }
                })
                .await;
            }
            Swap::ImageEngine | Swap::ImageManifest | Swap::ImageLayers | Swap::ImageRequirements => {
                each::<Image>(cx, &shelf, |rows| {
                    let other = rows.iter().find(|row| !first(&row.value)).unwrap().value.clone();
                    for row in rows.iter_mut().filter(|row| first(&row.value)) {
                        match self.what {
                            Swap::ImageEngine => row.value.engine = Engine::Onnx { model: String::from("/other.onnx") },
                            Swap::ImageManifest => row.value.manifest.clone_from(&other.manifest),
                            Swap::ImageLayers => row.value.layers.clone_from(&other.layers),
                            _ => row.value.requirements = String::from("evil==1\n"),
                        }
                    }
                })
                .await;
            }
            Swap::ImageStatement => {
                each::<ImageStatement>(cx, &shelf, |rows| {
                    let said: Vec<ImageStatement> = rows.iter().rev().map(|row| row.value.clone()).collect();
                    rows.iter_mut().zip(said).for_each(|(row, said)| row.value = said);
                })
                .await;
            }
            Swap::NoImageStatement => {
                let mut changes = Changes::new();
                for row in cx.all::<ImageStatement>(&shelf, b"").await? {
                    changes.delete(&shelf, &row);
                }
                cx.commit(changes).await?;
            }
            Swap::StatementText => {
                each::<ImageStatement>(cx, &shelf, |rows| {
                    for row in rows {
                        row.value.envelope = row.value.envelope.replacen("\"payload\":\"e", "\"payload\":\"f", 1);
                    }
                })
                .await;
            }
        }
        Ok(())
    }
}

/// A job's model in two versions, with an image of each.
struct Built {
    stand: Stand,
    first: Image,
}

async fn trained(stand: &Stand, name: &str, code: &ResourceId, content: &[u8]) -> Agent {
    let job = NewJob { command: String::from("python train.py"), code: Some(code.clone()), ..NewJob::default() };
    stand.ask(PutJob { id: stand.job_id(name), job }).await.unwrap();
    stand.look().await;
    let agent = stand.begin(&stand.message(stand.target.starts() - 1)).await.unwrap();
    let path = String::from("outputs/m/model.onnx");
    let put = PutRunArtifact { address: agent.address.clone(), path, body: body(content.to_vec()) };
    agent.tell(stand, put).await.unwrap();
    for state in [RunState::Preparing, RunState::Starting, RunState::Running] {
        agent.report(stand, state).await.unwrap();
    }
    agent.finish(stand, RunState::Completed, Some(0)).await.unwrap();
    agent
}

/// Two versions of a model, each from a job of its own.
async fn registered(stand: &Stand) {
    let (code, _) = stand.put_code("train", &[("train.py", b"print()")]).await.unwrap();
    for (version, content) in [("1", &b"one"[..]), ("2", b"two")] {
        let agent = trained(stand, &format!("train-{version}"), &code, content).await;
        let id = stand.child(&["models", "iris", "versions", version]);
        let uri = format!("runs:/{}/outputs/m", agent.address.run);
        let put = PutModelVersion { id, uri, description: String::new(), tags: BTreeMap::new() };
        stand.ask(put).await.unwrap();
    }
}

fn package(stand: &Stand, version: &str) -> PackageModel {
    let id = stand.child(&["models", "iris", "versions", version]);
    PackageModel { id, image: format!("iris-{version}"), code: None, requirements: None }
}

impl Built {
    async fn new() -> Self {
        let stand = Stand::new().await;
        registered(&stand).await;
        let first = stand.ask(package(&stand, "1")).await.unwrap();
        stand.ask(package(&stand, "2")).await.unwrap();
        Self { stand, first }
    }

    /// Each link's kind and state.
    async fn links(&self) -> Vec<(&'static str, LinkState)> {
        let image: ImageRef = "iris-1".parse().unwrap();
        let op = VerifyImage { workspace: self.stand.workspace.clone(), image };
        let verified = self.stand.ask(op).await.unwrap();
        verified.chain.links.into_iter().map(|link| (link.of, link.state)).collect()
    }

    async fn tamper(&self, what: Swap) {
        self.stand.ask(Tamper { workspace: self.stand.workspace.clone(), what }).await.unwrap();
    }

    fn deployment(&self) -> ResourceId {
        self.stand.child(&["onlineEndpoints", "iris-service", "deployments", "blue"])
    }

    async fn deploy(&self) -> Result<()> {
        let put = PutEndpoint {
            id: self.deployment().parent(),
            request: EndpointRequest::default(),
            must_exist: false,
            precondition: Precondition::default(),
        };
        self.stand.ask(put).await.unwrap();
        let request = DeploymentRequest { image: Some("iris-1".parse().unwrap()), ..DeploymentRequest::default() };
        let put =
            PutDeployment { id: self.deployment(), request, is_patch: false, precondition: Precondition::default() };
        self.stand.ask(put).await.map(drop)
    }

    async fn state(&self) -> (ServiceState, String) {
        let row = self.stand.ask(GetResource::<Deployment>::new(self.deployment())).await.unwrap();
        (row.value.properties.state, row.value.properties.reason.unwrap_or_default())
    }
}

#[tokio::test]
async fn x_24_a_chain_goes_from_the_snapshot_to_the_image() {
    let built = Built::new().await;
    let sound = ["snapshot", "run", "model", "image"].map(|of| (of, LinkState::Sound));
    assert_eq!(built.links().await, sound);
    let keys = built.stand.ask(GetStatementKeys { workspace: built.stand.workspace.clone() }).await.unwrap();
    assert_eq!(keys.len(), 1);
    // Built again, it is the same image, and nothing is signed anew.
    built.stand.pass(60);
    let again = built.stand.ask(package(&built.stand, "1")).await.unwrap();
    assert_eq!((again.number, &again.digest), (1, &built.first.digest));
    // The image outlives the model version, whose statement it keeps.
    let delete =
        DeleteModelVersion { workspace: built.stand.workspace.clone(), name: String::from("iris"), version: 1 };
    built.stand.ask(delete).await.unwrap();
    let links = built.links().await;
    assert!(
        matches!(links.as_slice(), [_, _, ("model", LinkState::Absent(_)), ("image", LinkState::Sound)]),
        "{links:?}"
    );
}

#[tokio::test]
async fn x_24_a_swap_breaks_the_chain_where_it_was_made() {
    for (what, of) in [
        (Swap::ModelFile, "model"),
        (Swap::ModelRun, "model"),
        (Swap::RunSnapshot, "run"),
        (Swap::ImageEngine, "image"),
        (Swap::ImageManifest, "image"),
        (Swap::ImageLayers, "image"),
        (Swap::ImageRequirements, "image"),
        (Swap::ImageStatement, "image"),
        (Swap::NoImageStatement, "image"),
        (Swap::StatementText, "image"),
    ] {
        let built = Built::new().await;
        built.tamper(what).await;
        let links = built.links().await;
        let broken = links.iter().find(|(_, state)| matches!(state, LinkState::Broken(_)));
        assert_eq!(broken.map(|(of, _)| *of), Some(of), "{what:?} {links:?}");
        let fault = built.deploy().await.unwrap_err();
        assert_eq!((fault.kind(), fault.code()), (Kind::Conflict, Some("ChainBroken")), "{what:?}");
        assert!(fault.public().contains(&format!("broken at the {of} `")), "{what:?} {}", fault.public());
    }
}

#[tokio::test]
async fn x_24_a_replica_whose_model_was_swapped_does_not_begin() {
    let built = Built::new().await;
    built.deploy().await.unwrap();
    built.stand.look().await;
    built.tamper(Swap::ModelFile).await;
    let message = built.stand.message(built.stand.target.starts() - 1);
    let fault = built.stand.begin(&message).await.err().unwrap();
    assert!(fault.public().contains("broken at the model `iris:1`"), "{}", fault.public());
    // Nor when its agent asks again.
    assert!(built.stand.begin(&message).await.is_err());
    supervise(&built.stand.house).await.unwrap();
    let (state, reason) = built.state().await;
    assert_eq!(state, ServiceState::Failed);
    assert!(reason.contains("broken at the model `iris:1`"), "{reason}");
    let log = built.stand.ask(GetServiceLog { deployment: built.deployment(), tail: 5 }).await.unwrap();
    assert!(log.contains("broken at the model `iris:1`"), "{log}");
}

#[tokio::test]
async fn x_24_other_bytes_behind_a_hash_that_was_signed_are_not_built_from() {
    let stand = Stand::new().await;
    registered(&stand).await;
    stand.ask(Tamper { workspace: stand.workspace.clone(), what: Swap::ModelBytes }).await.unwrap();
    let fault = stand.ask(package(&stand, "1")).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict, "{fault}");
    assert!(fault.public().contains("are not those that were registered"), "{}", fault.public());
    assert!(stand.ask(package(&stand, "2")).await.is_ok());
}

#[tokio::test]
async fn x_24_a_swapped_model_is_not_built_from() {
    let built = Built::new().await;
    built.tamper(Swap::ModelFile).await;
    let id = built.stand.child(&["models", "iris", "versions", "1"]);
    let pack = PackageModel { id, image: String::from("other"), code: None, requirements: None };
    let fault = built.stand.ask(pack).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict);
    assert!(fault.public().contains("its files are not those that were signed"), "{}", fault.public());
}
