//! What becomes of the runs of a workspace that is deleted.

use kernel::Kind;

use super::stand::Stand;
use crate::{
    compute::{GetJob, ListJobs, RunState},
    resources::{DeleteWorkspace, Precondition, PutWorkspace, WorkspaceRequest},
};

fn recovery(stand: &Stand) -> PutWorkspace {
    PutWorkspace {
        id: stand.workspace.clone(),
        location: String::new(),
        tags: std::collections::BTreeMap::new(),
        request: WorkspaceRequest { recover: true, ..WorkspaceRequest::default() },
        precondition: Precondition::default(),
    }
}

#[tokio::test]
async fn a_deleted_workspace_ends_its_runs_with_their_tokens() {
    let stand = Stand::new().await;
    let agent = stand.running("runs").await;
    stand.submit("waits").await.unwrap();
    stand.ask(DeleteWorkspace { id: stand.workspace.clone(), purge: false, keep: false }).await.unwrap();
    assert!(!agent.is_known(&stand).await);
    assert_eq!(agent.beat(&stand).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(agent.report(&stand, RunState::Running).await.unwrap_err().kind(), Kind::NotFound);
    for refused in [
        stand.submit("more").await.map(drop),
        stand.ask(GetJob { id: stand.job_id("runs") }).await.map(drop),
        stand.ask(ListJobs { workspace: stand.workspace.clone(), skip: 0, top: 1 }).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), Kind::NotFound);
    }
    let started = stand.target.starts();
    stand.look().await;
    assert_eq!(stand.target.starts(), started, "nothing that waited is started");
    assert!(stand.target.alive.lock().unwrap().is_empty(), "its processes end");

    stand.ask(recovery(&stand)).await.unwrap();
    for job in ["runs", "waits"] {
        let found = stand.ask(GetJob { id: stand.job_id(job) }).await.unwrap();
        assert_eq!(found.launch.state, RunState::Canceled, "{job}");
        assert_eq!(found.launch.message.as_deref(), Some("the workspace was deleted"));
    }
    stand.look().await;
    assert_eq!(stand.target.starts(), started);
    assert!(!agent.is_known(&stand).await, "a run's token is dead for good");
    stand.running("again").await;
}
