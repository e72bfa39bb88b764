//! What bounds a run, and the lists of what it left.

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use kernel::{Action, Class, Kind, ResourceId, Result, RunId};

use super::stand::{Agent, Stand, body};
use crate::{
    compute::{
        AppendLog, ListJobOutputs, NewJob, PutJob, PutRunArtifact,
        brought::Brought,
        log::{LogTotal, PROGRAM_LOG},
    },
    gate::{Changes, Cx, Op, Record, Row},
    resources::workspace_shelf,
    tracking::{ArtifactPath, ArtifactPlace, CreateRun, DeleteArtifact, GetRun, PutArtifact},
};

/// The least scratch that a job can have.
const SCRATCH: usize = 16 << 20;

/// Writes a run's count as it is given: what would take the run hours.
struct Preset<T> {
    workspace: ResourceId,
    run: RunId,
    count: T,
}

#[async_trait]
impl<T: Record> Op for Preset<T> {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/jobs/write", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let id = shelf.name_id::<T>(self.run.as_str());
        let version = cx.get::<T>(&shelf, &id).await?.map_or(0, |row| row.version);
        let mut changes = Changes::new();
        changes.put(&shelf, &Row { id, version, value: self.count })?;
        cx.commit(changes).await
    }
}

impl Stand {
    /// The agent of a job with the least scratch.
    async fn small(&self, name: &str) -> Agent {
        let job = NewJob { command: String::from("true"), scratch_mib: Some(16), ..NewJob::default() };
        self.ask(PutJob { id: self.job_id(name), job }).await.unwrap();
        self.look().await;
        self.begin(&self.message(self.target.starts() - 1)).await.unwrap()
    }

    fn file(&self, run: &str, path: &str, length: usize) -> PutArtifact {
        let place = ArtifactPlace::of_run(run.parse().unwrap(), ArtifactPath::parse(path).unwrap());
        let (workspace, body) = (self.workspace.clone(), body(vec![1; length]));
        PutArtifact { workspace, place, most: 64 << 30, body, is_new_only: false, address: None }
    }

    async fn preset<T: Record>(&self, run: &str, count: T) {
        let (workspace, run) = (self.workspace.clone(), run.parse().unwrap());
        self.ask(Preset { workspace, run, count }).await.unwrap();
    }

    /// The paths of all outputs, page by page.
    async fn outputs(&self, name: &str, top: usize) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = self.ask(ListJobOutputs { id: self.job_id(name), after, top }).await.unwrap();
            pages.push(page.files.into_iter().map(|(path, _)| path).collect());
            match page.next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    }
}

impl Agent {
    /// Brings a file itself.
    async fn bring(&self, stand: &Stand, path: &str, length: usize) -> Result<()> {
        let (address, path) = (self.address.clone(), path.to_owned());
        self.tell(stand, PutRunArtifact { address, path, body: body(vec![1; length]) }).await
    }

    /// Carries a file for the run's code.
    async fn carry(&self, stand: &Stand, path: &str, length: usize) -> Result<()> {
        self.tell(stand, stand.file(self.address.run.as_str(), path, length)).await
    }

    async fn append(&self, stand: &Stand, name: &str, offset: u64, length: usize) -> Result<()> {
        let (address, name, bytes) = (self.address.clone(), name.to_owned(), Bytes::from(vec![b'x'; length]));
        self.tell(stand, AppendLog { address, name, offset, bytes }).await
    }
}

fn kind<T>(result: Result<T>) -> Option<Kind> {
    result.err().map(|fault| fault.kind())
}

#[tokio::test]
async fn outputs_come_page_by_page_each_once_and_a_page_is_one_record() {
    let stand = Stand::new().await;
    let agent = stand.small("j").await;
    assert_eq!(stand.outputs("j", 2).await, [Vec::<String>::new()]);
    let mut due = Vec::new();
    for path in ["outputs/a", "outputs/d1/b", "outputs/d1/d2/c", "outputs/d3/d", "logs/e", "f", "g/h"] {
        agent.carry(&stand, path, 3).await.unwrap();
        due.push(path.to_owned());
    }
    stand.small("other").await.carry(&stand, "not/mine", 1).await.unwrap();
    due.sort();

    assert_eq!(stand.outputs("j", 1000).await, [due.clone()]);
    assert_eq!(stand.outputs("j", 7).await.len(), 1, "no empty page follows a full last one");
    let before = stand.records().await;
    let pages = stand.outputs("j", 3).await;
    assert_eq!(stand.records().await, before + 3);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    let mut all = pages.concat();
    all.sort();
    assert_eq!(all, due);
    let least = stand.ask(ListJobOutputs { id: stand.job_id("j"), after: None, top: 0 }).await.unwrap().files;
    assert_eq!(least.iter().map(|(_, length)| *length).collect::<Vec<_>>(), [3], "at least one");

    let wrong = ListJobOutputs { id: stand.job_id("j"), after: Some(String::from("outputs/a")), top: 3 };
    assert_eq!(kind(stand.ask(wrong).await), Some(Kind::Invalid));
    let missing = ListJobOutputs { id: stand.job_id("none"), after: None, top: 3 };
    assert_eq!(kind(stand.ask(missing).await), Some(Kind::NotFound));
}

#[tokio::test]
async fn what_a_run_brings_counts_whichever_way_it_comes() {
    let stand = Stand::new().await;
    let agent = stand.small("j").await;
    let too_large = Some(Kind::TooLarge);
    assert_eq!(kind(agent.bring(&stand, "outputs/x", SCRATCH + 1).await), too_large);
    assert_eq!(kind(agent.carry(&stand, "x", SCRATCH + 1).await), too_large);
    for at in 0..2 {
        agent.bring(&stand, "outputs/same", SCRATCH).await.unwrap();
        agent.carry(&stand, &format!("m/{at}"), SCRATCH - 1).await.unwrap();
    }
    // Two bytes are left, for both.
    for (way, refused) in
        [("agent", agent.bring(&stand, "outputs/x", 3).await), ("code", agent.carry(&stand, "x", 3).await)]
    {
        let fault = refused.unwrap_err();
        assert_eq!(fault.kind(), Kind::TooLarge, "{way}");
        assert!(fault.public().contains("ask for more scratch"), "{way}: {fault}");
    }
    agent.carry(&stand, "last", 2).await.unwrap();
    assert_eq!(kind(agent.carry(&stand, "x", 1).await), too_large);
    assert_eq!(stand.outputs("j", 10).await.concat(), ["last", "m/0", "m/1", "outputs/same"]);

    // What is deleted counts on, and what the run's code brings to a run of its own making counts as its own.
    let gone = DeleteArtifact { workspace: stand.workspace.clone(), place: stand.file("j", "m", 0).place };
    agent.tell(&stand, gone).await.unwrap();
    assert_eq!(kind(agent.carry(&stand, "x", 1).await), too_large);
    let me = GetRun { workspace: stand.workspace.clone(), run: agent.address.run.clone() };
    let child = CreateRun {
        workspace: stand.workspace.clone(),
        experiment: agent.tell(&stand, me).await.unwrap().run.experiment,
        name: String::new(),
        started_at: None,
        tags: vec![(String::from("mlflow.parentRunId"), String::from("j"))],
    };
    let child = agent.tell(&stand, child).await.unwrap().run.id;
    assert_eq!(kind(agent.tell(&stand, stand.file(child.as_str(), "x", 1)).await), too_large);
    // People are no run, and another run has its own count.
    stand.ask(stand.file("j", "by/owner", SCRATCH + 1)).await.unwrap();
    stand.small("other").await.carry(&stand, "x", 1).await.unwrap();
}

#[tokio::test]
async fn a_run_brings_at_most_so_many_files() {
    let stand = Stand::new().await;
    let agent = stand.small("j").await;
    stand.preset("j", Brought { files: 19_998, bytes: 0 }).await;
    agent.carry(&stand, "a", 0).await.unwrap();
    agent.bring(&stand, "outputs/b", 0).await.unwrap();
    assert_eq!(kind(agent.carry(&stand, "c", 0).await), Some(Kind::TooLarge));
    assert_eq!(kind(agent.bring(&stand, "outputs/c", 0).await), Some(Kind::TooLarge));
}

#[tokio::test]
async fn files_that_travel_together_all_arrive_and_count() {
    let stand = Stand::new().await;
    let agent = stand.small("j").await;
    stand.preset("j", Brought { files: 20_000 - 48, bytes: 0 }).await;
    let carried = join_all((0..40).map(|at| {
        let (agent, stand) = (&agent, &stand);
        async move { agent.carry(stand, &format!("c/{at}"), 1).await }
    }));
    let brought = join_all((0..8).map(|at| {
        let (agent, stand) = (&agent, &stand);
        async move { agent.bring(stand, &format!("outputs/{at}"), 1).await }
    }));
    let (carried, brought) = tokio::join!(carried, brought);
    for result in carried.into_iter().chain(brought) {
        result.unwrap();
    }
    assert_eq!(kind(agent.carry(&stand, "more", 1).await), Some(Kind::TooLarge));
    assert_eq!(stand.outputs("j", 1000).await.concat().len(), 48);
}

#[tokio::test]
async fn the_logs_of_a_run_are_bounded_together_whatever_their_names() {
    let stand = Stand::new().await;
    let agent = stand.small("j").await;
    for name in ["logs/own.log", "user_logs/other.txt", "user_logs/deep/er.txt"] {
        let run = name.replace(['/', '.', '_'], "-");
        let agent = stand.small(&run).await;
        agent.append(&stand, name, 0, 10).await.unwrap();
        stand.preset(&run, LogTotal { logs: 1, other_bytes: (256 << 20) - 5 }).await;
        assert_eq!(kind(agent.append(&stand, name, 10, 6).await), Some(Kind::TooLarge), "{name}");
        agent.append(&stand, name, 10, 5).await.unwrap();
        assert_eq!(kind(agent.append(&stand, "user_logs/new", 0, 1).await), Some(Kind::TooLarge), "{name}");
        // The program's output has its own bound, so what lies beside it cannot silence it.
        agent.append(&stand, PROGRAM_LOG, 0, 1000).await.unwrap();
    }
    stand.preset("j", LogTotal { logs: 520, other_bytes: 0 }).await;
    for name in ["logs/x", "user_logs/x", PROGRAM_LOG] {
        assert_eq!(kind(agent.append(&stand, name, 0, 1).await), Some(Kind::TooLarge), "{name}");
    }
}
