//! What becomes of runs.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use kernel::{Caller, Kind, Source};

use super::stand::{Stand, body, whole};
use crate::{
    compute::{
        AppendLog, CancelJob, GetJob, GetJobLog, GetRunFile, ListJobLogs, ListJobs, NewJob, PutJob, PutRunArtifact,
        RunState, StartRun, Work,
    },
    gate::enter,
    tracking::{ArtifactPath, ArtifactPlace, ListArtifacts},
};

const LOG: &str = "user_logs/std_log.txt";

#[tokio::test]
async fn a_job_goes_its_way_from_submission_to_its_end() {
    let stand = Stand::new().await;
    let files: [(&str, &[u8]); 2] = [("train.py", b"print(1)\n"), ("requirements.txt", b"numpy\n")];
    let (code, snapshot) = stand.put_code("c", &files).await.unwrap();
    let mut job =
        NewJob { command: String::from("python train.py --lr ${{inputs.lr}}"), code: Some(code), ..NewJob::default() };
    job.inputs.insert(String::from("lr"), String::from("0.1"));
    job.variables.insert(String::from("SEED"), String::from("7"));
    let put = stand.ask(PutJob { id: stand.job_id("j"), job }).await.unwrap();
    assert_eq!(put.launch.state, RunState::Queued);
    assert_eq!(put.row.value.properties.properties["ContentSnapshotId"], snapshot);
    assert_eq!(stand.submit("j").await.unwrap_err().kind(), Kind::Exists);

    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Provisioning);
    let message = stand.message(0);
    assert_eq!((message["run"].as_str(), message["cache_dir"].as_str()), (Some("j"), Some("/cache")));
    let agent = stand.begin(&message).await.unwrap();
    let given = &agent.assignment;
    assert!(matches!(&given.launch.work, Work::Job { command, .. } if command == "python train.py --lr '0.1'"));
    assert_eq!(given.launch.requirements.as_deref(), Some("numpy\n"));
    assert_eq!(given.launch.variables["SEED"], "7");
    assert_eq!(given.launch.variables["MLFLOW_RUN_ID"], "j");
    assert_eq!(given.launch.variables["AZUREML_ARM_WORKSPACE_NAME"], "ws1");
    assert_eq!(given.files.len(), 2);
    assert_eq!(given.scope, stand.workspace);

    let sha256 = given.files.iter().find(|file| file.path == "train.py").unwrap().sha256.clone();
    let (content, length) = agent.tell(&stand, GetRunFile { address: agent.address.clone(), sha256 }).await.unwrap();
    assert_eq!((whole(content).await, length), (b"print(1)\n".to_vec(), 9));
    let other = seal::sha256_hex(b"somebody else's");
    let denied = agent.tell(&stand, GetRunFile { address: agent.address.clone(), sha256: other }).await;
    assert_eq!(denied.err().unwrap().kind(), Kind::NotFound);

    agent.report(&stand, RunState::Preparing).await.unwrap();
    agent.report(&stand, RunState::Starting).await.unwrap();
    agent.report(&stand, RunState::Running).await.unwrap();
    assert_eq!(agent.report(&stand, RunState::Starting).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(agent.report(&stand, RunState::Completed).await.unwrap_err().kind(), Kind::Invalid);
    let orders = agent.beat(&stand).await.unwrap();
    assert!(!orders.cancel && orders.token.is_none());

    let put = PutRunArtifact {
        address: agent.address.clone(),
        path: String::from("outputs/m/x.bin"),
        body: body(vec![1; 5]),
    };
    agent.tell(&stand, put).await.unwrap();
    for bad in ["x.bin", "outputs/../x", "/outputs/x", "secrets/x"] {
        let put = PutRunArtifact { address: agent.address.clone(), path: bad.to_owned(), body: body(vec![1]) };
        assert_eq!(agent.tell(&stand, put).await.unwrap_err().kind(), Kind::Invalid, "{bad}");
    }
    agent.report(&stand, RunState::Finalizing).await.unwrap();
    agent.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
    agent.finish(&stand, RunState::Failed, Some(1)).await.unwrap();

    let job = stand.ask(GetJob { id: stand.job_id("j") }).await.unwrap().launch;
    assert_eq!((job.state, job.exit_code), (RunState::Completed, Some(0)));
    assert_eq!(job.missing_walls, ["own-uid-range"]);
    assert!(job.started_at.is_some() && job.running_at.is_some() && job.ended_at.is_some());
    assert!(!agent.is_known(&stand).await, "the token is dead");
    assert_eq!(agent.beat(&stand).await.unwrap_err().kind(), Kind::NotFound);

    let place = ArtifactPlace::of_run("j".parse().unwrap(), ArtifactPath::parse("outputs/m").unwrap());
    let listed = stand.ask(ListArtifacts { workspace: stand.workspace.clone(), place: Some(place) }).await.unwrap();
    assert_eq!(listed.entries.len(), 1);
    let (page, has_more) = stand.ask(ListJobs { workspace: stand.workspace.clone(), skip: 0, top: 10 }).await.unwrap();
    assert_eq!((page.len(), has_more), (1, false));
}

#[tokio::test]
async fn a_bootstrap_token_works_once_and_not_for_long() {
    let stand = Stand::new().await;
    stand.submit("j").await.unwrap();
    stand.look().await;
    let message = stand.message(0);
    let mut wrong = message.clone();
    wrong["run"] = "k".into();
    assert_eq!(stand.begin(&wrong).await.err().unwrap().kind(), Kind::Unauthenticated);
    let mut wrong = message.clone();
    wrong["token"] = format!("{}x", message["token"].as_str().unwrap()).into();
    assert_eq!(stand.begin(&wrong).await.err().unwrap().kind(), Kind::Unauthenticated);
    stand.begin(&message).await.unwrap();
    assert_eq!(stand.begin(&message).await.err().unwrap().kind(), Kind::Unauthenticated);

    stand.submit("late").await.unwrap();
    stand.look().await;
    stand.pass(601);
    assert_eq!(stand.begin(&stand.message(1)).await.err().unwrap().kind(), Kind::Unauthenticated);

    let nonsense = StartRun {
        run: "j".parse().unwrap(),
        token: kernel::Secret::new(String::from("bzr_00000000000000000000000000000000_x")),
        version: String::new(),
        missing_walls: Vec::new(),
        scratch: None,
    };
    let fault = enter(&stand.house, &Caller::nobody(Source::internal()), nonsense).await.err().unwrap();
    assert_eq!(fault.kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn a_run_speaks_for_itself_alone() {
    let stand = Stand::new().await;
    let one = stand.running("one").await;
    let mut two = stand.running("two").await;
    two.address.run = one.address.run.clone();
    assert_eq!(two.beat(&stand).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(two.finish(&stand, RunState::Failed, None).await.unwrap_err().kind(), Kind::NotFound);
    // The owner of everything is no agent.
    two.caller = stand.owner.clone();
    assert_eq!(two.beat(&stand).await.unwrap_err().kind(), Kind::NotFound);
    two.caller = Caller::nobody(Source::internal());
    assert_eq!(two.beat(&stand).await.unwrap_err().kind(), Kind::Unauthenticated);
    // And an agent manages nothing.
    let cancel = CancelJob { id: stand.job_id("two") };
    assert_eq!(one.tell(&stand, cancel).await.unwrap_err().kind(), Kind::Denied);
    assert_eq!(stand.state("one").await, RunState::Running);
}

#[tokio::test]
async fn a_log_takes_each_byte_once() {
    let stand = Stand::new().await;
    let agent = stand.running("j").await;
    let append = async |offset: u64, bytes: Vec<u8>| {
        let (address, name) = (agent.address.clone(), LOG.to_owned());
        agent.tell(&stand, AppendLog { address, name, offset, bytes: Bytes::from(bytes) }).await
    };
    let read = async |offset: u64| {
        let (id, name) = (stand.job_id("j"), LOG.to_owned());
        stand.ask(GetJobLog { id, name, offset, wait: Duration::ZERO }).await.unwrap()
    };
    assert!(read(0).await.bytes.is_empty());
    append(0, b"hello ".to_vec()).await.unwrap();
    append(0, b"hello ".to_vec()).await.unwrap();
    append(3, b"lo world".to_vec()).await.unwrap();
    assert_eq!(append(100, b"x".to_vec()).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(read(0).await.bytes, "hello world");
    assert_eq!(read(6).await.bytes, "world");
    assert!(read(11).await.bytes.is_empty() && read(1 << 40).await.bytes.is_empty());

    // Over the edges of chunks, whatever the pieces.
    let mut due = b"hello world".to_vec();
    for (at, size) in [60_000_usize, 5_525, 1, 131_072, 70_000, 3].into_iter().enumerate() {
        let piece: Vec<u8> = (0..size).map(|byte| u8::try_from((byte + at) % 251).unwrap()).collect();
        append(u64::try_from(due.len()).unwrap(), piece.clone()).await.unwrap();
        due.extend(piece);
    }
    for offset in [0, 10, 65_535, 65_536, 65_537, 131_072, due.len() - 1] {
        assert_eq!(read(u64::try_from(offset).unwrap()).await.bytes, due[offset..], "{offset}");
    }
    let logs = stand.ask(ListJobLogs { id: stand.job_id("j") }).await.unwrap();
    assert_eq!(logs, [(LOG.to_owned(), u64::try_from(due.len()).unwrap())]);
    assert_eq!(append(0, vec![0; (1 << 20) + 1]).await.unwrap_err().kind(), Kind::TooLarge);
}

#[tokio::test]
async fn a_silent_run_is_not_responding_and_then_failed() {
    let stand = Stand::new().await;
    let agent = stand.running("j").await;
    stand.look().await;
    stand.pass(59);
    agent.beat(&stand).await.unwrap();
    stand.pass(59);
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Running);
    stand.pass(2);
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::NotResponding);
    // It speaks again, and goes on.
    agent.beat(&stand).await.unwrap();
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Running);
    stand.pass(61);
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::NotResponding);
    stand.pass(60);
    stand.look().await;
    let job = stand.ask(GetJob { id: stand.job_id("j") }).await.unwrap().launch;
    assert_eq!(job.state, RunState::Failed);
    assert!(job.message.unwrap().contains("no sign of life"));
    assert!(!agent.is_known(&stand).await);
    assert!(stand.target.alive.lock().unwrap().is_empty(), "its process was ended");
}

#[tokio::test]
async fn a_run_whose_process_is_gone_fails() {
    let stand = Stand::new().await;
    stand.running("j").await;
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Running);
    stand.target.kill_all();
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Failed);
}

#[tokio::test]
async fn a_queued_job_is_canceled_at_once_and_a_running_one_by_its_agent() {
    let stand = Stand::new().await;
    stand.submit("queued").await.unwrap();
    let canceled = stand.ask(CancelJob { id: stand.job_id("queued") }).await.unwrap();
    assert_eq!(canceled.launch.state, RunState::Canceled);
    stand.look().await;
    assert_eq!(stand.target.starts(), 0);

    let agent = stand.running("running").await;
    let waiting = async {
        let op = crate::compute::Heartbeat { address: agent.address.clone(), wait: Duration::from_secs(20) };
        agent.tell(&stand, op).await.unwrap().cancel
    };
    let canceling = async { stand.ask(CancelJob { id: stand.job_id("running") }).await.unwrap().launch.state };
    // The held answer comes with the order, long before its time is up.
    let both = tokio::time::timeout(Duration::from_secs(10), async { tokio::join!(waiting, canceling) }).await;
    assert_eq!(both.unwrap(), (true, RunState::CancelRequested));
    agent.report(&stand, RunState::Finalizing).await.unwrap();
    assert_eq!(stand.state("running").await, RunState::CancelRequested, "the order stands");
    agent.finish(&stand, RunState::Canceled, None).await.unwrap();
    assert_eq!(stand.state("running").await, RunState::Canceled);
    assert_eq!(stand.ask(CancelJob { id: stand.job_id("running") }).await.unwrap().launch.state, RunState::Canceled);

    let agent = stand.running("stubborn").await;
    stand.ask(CancelJob { id: stand.job_id("stubborn") }).await.unwrap();
    stand.pass(30);
    agent.beat(&stand).await.unwrap();
    stand.look().await;
    assert_eq!(stand.state("stubborn").await, RunState::CancelRequested);
    stand.pass(31);
    agent.beat(&stand).await.unwrap();
    stand.look().await;
    assert_eq!(stand.state("stubborn").await, RunState::Canceled);
    assert!(!agent.is_known(&stand).await);
}

#[tokio::test]
async fn a_restarted_server_picks_up_what_was_queued_and_starts_nothing_twice() {
    let mut stand = Stand::new().await;
    let agent = stand.running("running").await;
    stand.submit("queued").await.unwrap();
    // A long time away: the silence was the server's own.
    stand.pass(3000);
    stand.restart().await;
    stand.look().await;
    assert_eq!(stand.target.starts(), 2);
    assert_eq!(stand.state("running").await, RunState::Running);
    assert_eq!(stand.state("queued").await, RunState::Provisioning);
    stand.look().await;
    stand.restart().await;
    stand.look().await;
    assert_eq!(stand.target.starts(), 2);
    agent.beat(&stand).await.unwrap();
    agent.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
}

#[tokio::test]
async fn a_target_that_refuses_is_tried_again_and_given_up() {
    let stand = Stand::new().await;
    stand.target.refusals.store(1, Ordering::SeqCst);
    stand.submit("lucky").await.unwrap();
    stand.look().await;
    assert_eq!(stand.state("lucky").await, RunState::Queued);
    stand.look().await;
    assert_eq!(stand.target.starts(), 0, "not at once");
    stand.pass(6);
    stand.look().await;
    assert_eq!(stand.state("lucky").await, RunState::Provisioning);

    stand.target.refusals.store(3, Ordering::SeqCst);
    stand.submit("unlucky").await.unwrap();
    for _ in 0..3 {
        stand.look().await;
        stand.pass(16);
    }
    let job = stand.ask(GetJob { id: stand.job_id("unlucky") }).await.unwrap().launch;
    assert_eq!(job.state, RunState::Failed);
    assert!(job.message.unwrap().contains("could not start"));
}

#[tokio::test]
async fn an_agent_that_never_comes_is_not_waited_for() {
    let stand = Stand::new().await;
    stand.submit("j").await.unwrap();
    stand.look().await;
    stand.pass(100);
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Provisioning);
    stand.pass(30);
    stand.look().await;
    assert_eq!(stand.state("j").await, RunState::Failed);
}

#[tokio::test]
async fn the_queue_is_served_in_order_within_what_runs_at_once() {
    let stand = Stand::new().await;
    for at in 0..6 {
        stand.submit(&format!("j{at}")).await.unwrap();
        stand.pass(1);
    }
    stand.look().await;
    assert_eq!(stand.target.starts(), 4);
    assert_eq!(stand.state("j3").await, RunState::Provisioning);
    assert_eq!(stand.state("j4").await, RunState::Queued);
    let agent = stand.begin(&stand.message(0)).await.unwrap();
    agent.finish(&stand, RunState::Failed, Some(1)).await.unwrap();
    stand.target.alive.lock().unwrap().remove("process-0");
    stand.look().await;
    stand.look().await;
    assert_eq!(stand.state("j4").await, RunState::Provisioning);
    assert_eq!(stand.state("j5").await, RunState::Queued);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_only_then() {
    let stand = Stand::new().await;
    let agent = stand.running("j").await;
    stand.pass(500);
    assert!(agent.beat(&stand).await.unwrap().token.is_none());
    stand.pass(101);
    let (token, expires) = agent.beat(&stand).await.unwrap().token.unwrap();
    assert_eq!(expires, stand.house.now().seconds() + 900);
    assert!(crate::identity::identify(&stand.house, token.expose(), Source::internal()).await.is_ok());
    assert!(agent.beat(&stand).await.unwrap().token.is_none());
}

#[tokio::test]
async fn looking_and_living_leave_no_records_and_changes_do() {
    let stand = Stand::new().await;
    let agent = stand.running("j").await;
    stand.look().await;
    let before = stand.records().await;
    for _ in 0..5 {
        stand.look().await;
        agent.beat(&stand).await.unwrap();
    }
    assert_eq!(stand.records().await, before);
    agent.finish(&stand, RunState::Completed, Some(0)).await.unwrap();
    assert_eq!(stand.records().await, before + 1);
}

#[tokio::test]
async fn what_a_job_may_not_say_is_refused() {
    let stand = Stand::new().await;
    let base = || NewJob { command: String::from("true"), ..NewJob::default() };
    let refuse = async |job: NewJob| stand.ask(PutJob { id: stand.job_id("bad"), job }).await.unwrap_err().kind();
    assert_eq!(refuse(NewJob::default()).await, Kind::Invalid);
    assert_eq!(refuse(NewJob { timeout: Some(String::from("5m")), ..base() }).await, Kind::Invalid);
    assert_eq!(refuse(NewJob { memory_mib: Some(1), ..base() }).await, Kind::Invalid);
    assert_eq!(refuse(NewJob { compute: Some(stand.child(&["computes", "gpu"])), ..base() }).await, Kind::Invalid);
    assert_eq!(
        refuse(NewJob { code: Some(stand.child(&["codes", "c", "versions", "1"])), ..base() }).await,
        Kind::Invalid
    );
    let walls = vec![String::from("own-uid-range")];
    assert_eq!(refuse(NewJob { required_walls: walls, ..base() }).await, Kind::Invalid);
    let job = NewJob { required_walls: vec![String::from("seccomp")], ..base() };
    stand.ask(PutJob { id: stand.job_id("good"), job }).await.unwrap();
    let mut job = base();
    job.variables.insert(String::from("API_KEY"), String::from("0123456789abcdef"));
    let put = stand.ask(PutJob { id: stand.job_id("warned"), job }).await.unwrap();
    assert_eq!(put.row.value.properties.warnings.len(), 1);
}
