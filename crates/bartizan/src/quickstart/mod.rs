//! The main job end to end, as a client would do it: over TLS, signed in, through the public interface alone.

mod plan;
mod scan;
mod stage;

use std::{path::Path, process::ExitCode, time::Instant};

use clap::Args;
use kernel::Secret;
use outbound::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    cli::{
        Session, SessionOptions, activity_log, endpoint, image, model, say, serve, session, tell, upload, verify_log,
    },
    failure::Failure,
    server::{EnvFile, ServeOptions, Server},
};
use plan::Plan;
use stage::Stage;

/// Options of `quickstart`.
#[derive(Args)]
pub struct QuickstartOptions {
    #[command(flatten)]
    server: ServeOptions,
    /// Stay up afterwards, until told to stop.
    #[arg(long = "serve")]
    stay: bool,
}

const GROUP: &str = "quickstart";
const WORKSPACE: &str = "quickstart";
const MODEL: &str = "classifier";
const IMAGE: &str = "classifier";
const ENDPOINT: &str = "classifier";

/// Runs the main job end to end and prints a transcript.
pub fn quickstart(options: QuickstartOptions) -> Result<ExitCode, Failure> {
    serve::start_log("warn");
    serve::runtime()?.block_on(async {
        let started = Instant::now();
        let mut stage = Stage::new(10);
        stage.begin("start the house: keys, certificate authority, tenant, subscription, owner");
        let server = Server::start(&options.server).await?;
        let outcome = match run(&options.server, &server, &mut stage).await {
            Ok(()) => {
                say(&format!("\ndone in {:.0} s", started.elapsed().as_secs_f64()));
                say(&format!("  settings for your own tools: source {}", options.server.env_file().display()));
                if options.stay {
                    let stop = serve::StopSignal::listen()?;
                    say(&format!(
                        "  bartizan listens on {}; end it with Ctrl-C or SIGTERM",
                        server.house.settings().url
                    ));
                    stop.heard().await;
                } else {
                    let dir = options.server.data_dir.display();
                    say(&format!("  the server ends now; `bartizan serve --data-dir {dir}` starts it again for them"));
                }
                tell("stopping");
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => Err(failure),
        };
        server.stop().await?;
        outcome
    })
}

async fn run(options: &ServeOptions, server: &Server, stage: &mut Stage) -> Result<(), Failure> {
    let mut env = credentials(options, server)?;
    let plan = Plan::new(options.offline)?;
    stage.note(&format!("listens on {}; data sealed in {}", server.house.settings().url, options.data_dir.display()));

    stage.begin("sign in as the owning service principal (OAuth 2.0 client credentials over TLS)");
    let session = sign_in(&env).await?;
    stage.begin("create a resource group and a workspace with its vault, storage, telemetry and datastores");
    session.put(&session.group()?, &json!({"location": "local"})).await?;
    let workspace = session.put(&session.workspace()?, &json!({"location": "local", "properties": {}})).await?;
    stage.note(&format!("workspace {}", text(&workspace, "/properties/workspaceId")));

    let run_name = train(&session, &plan, stage).await?;
    let (model_version, image) = package(&session, &plan, &run_name, stage).await?;
    let scoring = serve_model(&session, &plan, &image, stage).await?;
    show_log(&session, server, options, stage).await?;
    scan::prove(stage, server.data().path(), &plan)?;

    let token = session.token().expose().clone();
    env.set("BARTIZAN_STORAGE_ACCOUNT", name_of(&workspace, "/properties/storageAccount"))
        .set("BARTIZAN_KEY_VAULT", name_of(&workspace, "/properties/keyVault"))
        .set("MLFLOW_TRACKING_URI", format!("{}/mlflow/v1.0{}", session.client().base(), session.workspace()?))
        .set("MLFLOW_TRACKING_TOKEN", token)
        .set("BARTIZAN_SCORE_URL", scoring.url)
        .set("BARTIZAN_SCORE_KEY", scoring.key.expose())
        .set("BARTIZAN_SCORE_BODY", plan.score_body())
        .set("BARTIZAN_MODEL", format!("{MODEL}:{model_version}"))
        .set("BARTIZAN_PID", std::process::id().to_string());
    env.write(&options.env_file())
}

/// The credentials that this or an earlier start wrote beside the data directory.
fn credentials(options: &ServeOptions, server: &Server) -> Result<EnvFile, Failure> {
    let path = options.env_file();
    if !path.exists() {
        return Err(Failure::usage(format!(
            "{} was founded before and {} is gone; choose an empty --data-dir",
            options.data_dir.display(),
            path.display()
        )));
    }
    let mut env = EnvFile::read(&path)?;
    env.set("BARTIZAN_URL", &server.house.settings().url)
        .set("BARTIZAN_RESOURCE_GROUP", GROUP)
        .set("BARTIZAN_WORKSPACE", WORKSPACE);
    env.write(&path)?;
    Ok(env)
}

async fn sign_in(env: &EnvFile) -> Result<Session, Failure> {
    let get = |name: &str| env.get(name).map(str::to_owned).ok_or_else(|| Failure::new(format!("{name} is not set")));
    let options = SessionOptions {
        url: Some(get("BARTIZAN_URL")?),
        ca: Some(get("BARTIZAN_CA")?.into()),
        tenant: Some(get("AZURE_TENANT_ID")?),
        subscription: Some(get("AZURE_SUBSCRIPTION_ID")?),
        resource_group: Some(String::from(GROUP)),
        workspace: Some(String::from(WORKSPACE)),
        ..SessionOptions::default()
    };
    let client = session::connect(&options)?;
    let secret = Secret::new(get("AZURE_CLIENT_SECRET")?);
    let app = get("AZURE_CLIENT_ID")?;
    let signed = session::sign_in(&client, &get("AZURE_TENANT_ID")?, &app, &secret).await?;
    Ok(Session::with(client, signed.token, options, &app))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn name_of(value: &Value, pointer: &str) -> String {
    text(value, pointer).rsplit('/').next().unwrap_or_default().to_owned()
}

/// Snapshot, job with live progress, metrics.
async fn train(session: &Session, plan: &Plan, stage: &mut Stage) -> Result<String, Failure> {
    stage.begin("snapshot the training code");
    let code = upload(session, &plan.code_dir(), None).await?;
    stage.note(&format!("{} files, {} sent; snapshot {}", code.files, code.sent, code.id));

    stage.begin("train in a jail: no network but the workspace's own interface, no token in reach");
    let name = format!("train_{}", seal::hex(&seal::random::<4>().map_err(kernel::Error::from)?));
    let properties = json!({
        "jobType": "Command",
        "command": "python train.py",
        "codeId": code.code_id,
        "experimentName": "quickstart",
        "environmentVariables": {"CANARY": plan.canary()},
    });
    session.put(&format!("{}/jobs/{name}", session.workspace()?), &json!({"properties": properties})).await?;
    let ended = stage.follow(session, &name).await?;
    let status = text(&ended, "/properties/status");
    if status != "Completed" {
        let why = text(&ended, "/properties/error/message");
        return Err(Failure::new(format!("the training job ended as {status}: {why}")));
    }
    let missing = ended.pointer("/properties/missingWalls").and_then(Value::as_array).map_or(0, Vec::len);
    stage.note(&if missing == 0 {
        String::from("every wall of the jail stood")
    } else {
        format!("{missing} walls could not be built here; see `bartizan doctor` and the job's record")
    });
    show_metrics(session, &name, stage).await?;
    Ok(name)
}

async fn show_metrics(session: &Session, run: &str, stage: &mut Stage) -> Result<(), Failure> {
    let place = format!("/mlflow/v1.0{}/api/2.0/mlflow/runs/get", session.workspace()?);
    let found: Value = session.call(Method::GET, &place).query(&[("run_id", run)]).send_for_json().await?;
    let metrics = found.pointer("/run/data/metrics").and_then(Value::as_array).cloned().unwrap_or_default();
    let shown = metrics.iter().map(|metric| {
        let value = metric.get("value").and_then(Value::as_f64).unwrap_or(f64::NAN);
        format!("{} {value:.4}", text(metric, "/key"))
    });
    stage.note(&format!("metrics as MLflow's interface gives them: {}", shown.collect::<Vec<_>>().join(", ")));
    Ok(())
}

/// Registered model and image.
async fn package(session: &Session, plan: &Plan, run: &str, stage: &mut Stage) -> Result<(String, String), Failure> {
    stage.begin("register the model and build its image (OCI, reproducible, no daemon)");
    let registered = model::register(session, MODEL, run, plan.model_path()).await?;
    let version = text(&registered, "/name");
    stage.note(&format!("model {MODEL}, version {version}"));
    let code = match plan.serving_dir() {
        Some(dir) => Some(upload(session, &dir, None).await?.code_id),
        None => None,
    };
    let built = image::package(session, IMAGE, &format!("{MODEL}:{version}"), code, plan.entry_script()).await?;
    stage.note(&format!("image {IMAGE}@{}", text(&built, "/properties/digest")));
    Ok((version, IMAGE.to_owned()))
}

/// What `D.env` says of the service.
struct Scoring {
    url: String,
    key: Secret<String>,
}

/// Deploys, scores with a key, switches to tokens, scores with one, switches back.
async fn serve_model(session: &Session, plan: &Plan, image: &str, stage: &mut Stage) -> Result<Scoring, Failure> {
    stage.begin("deploy it as a web service: a replica in a jail of its own");
    let at = format!("{}/onlineEndpoints/{ENDPOINT}", session.workspace()?);
    let known = session.list(&format!("{}/onlineEndpoints", session.workspace()?)).await?;
    if known.iter().any(|endpoint| text(endpoint, "/name") == ENDPOINT) {
        let answer = session.call(Method::DELETE, &at).send().await?.success().await?;
        image::wait(session, answer).await?;
    }
    endpoint::deploy(session, ENDPOINT, "blue", image, "Cluster", endpoint::Auth::Key).await?;
    let found: Value = session.get(&at).await?;
    let url = endpoint::scoring_uri(&found)?.to_owned();
    stage.note(&url);

    stage.begin("score it over TLS with a key and with a token; a wrong key and no key are refused");
    let body = plan.score_body().as_bytes().to_vec();
    let key = endpoint::credential(session, ENDPOINT, &found).await?;
    let key = key.ok_or_else(|| Failure::new("the service has no key"))?;
    stage.note(&format!("request {}", plan.score_body()));
    expect(session, &url, Some(&key), &body, StatusCode::OK, "with the key", stage).await?;
    let wrong = Secret::new(String::from("bzk_not-the-key"));
    expect(session, &url, Some(&wrong), &body, StatusCode::UNAUTHORIZED, "with a wrong key", stage).await?;
    expect(session, &url, None, &body, StatusCode::UNAUTHORIZED, "with no key", stage).await?;

    let switched = endpoint::set_auth(session, ENDPOINT, endpoint::Auth::Token).await?;
    let token = endpoint::credential(session, ENDPOINT, &switched).await?;
    expect(session, &url, token.as_ref(), &body, StatusCode::OK, "with a token, after the switch", stage).await?;
    expect(session, &url, Some(&key), &body, StatusCode::UNAUTHORIZED, "with the key, after the switch", stage).await?;
    endpoint::set_auth(session, ENDPOINT, endpoint::Auth::Key).await?;
    expect(session, &url, Some(&key), &body, StatusCode::OK, "with the key, switched back", stage).await?;
    Ok(Scoring { url, key })
}

async fn expect(
    session: &Session,
    url: &str,
    credential: Option<&Secret<String>>,
    body: &[u8],
    wanted: StatusCode,
    how: &str,
    stage: &mut Stage,
) -> Result<(), Failure> {
    let (status, answer) = endpoint::score(session, url, credential, body.to_vec()).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    stage.note(&format!("{how}: {} {answer}", status.as_u16()));
    if status == wanted {
        return Ok(());
    }
    Err(Failure::new(format!("scoring {how} gave {status} instead of {wanted}")))
}

/// The activity log with its initiators, and its verification from the files alone.
async fn show_log(
    session: &Session,
    server: &Server,
    options: &ServeOptions,
    stage: &mut Stage,
) -> Result<(), Failure> {
    stage.begin("show the activity log and verify its chain offline");
    let place = format!("{}/providers/Microsoft.Insights/eventtypes/management/values", session.subscription()?);
    let page: Value = session.call(Method::GET, &place).query(&[("$top", "1000")]).send_for_json().await?;
    let events = page.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
    stage.note(&format!("{} records, oldest first; repeated ones counted", events.len()));
    for (event, count) in story(events) {
        stage.note(&format!(
            "{:>4} {:<28} {:<9} {:<58} {}",
            if count > 1 { format!("{count}x") } else { String::new() },
            text(&event, "/caller").chars().take(28).collect::<String>(),
            text(&event, "/status/value"),
            text(&event, "/operationName/value").replace("Microsoft.MachineLearningServices", "…"),
            text(&event, "/shortResource"),
        ));
    }
    server.sign_checkpoint().await?;
    let verified = verify_log::verify_data_dir(Path::new(&options.data_dir)).await?;
    stage.note(&verify_log::sentence(&verified));
    Ok(())
}

/// Who did what, oldest first, each with how often it was done.
fn story(mut events: Vec<Value>) -> Vec<(Value, usize)> {
    let mut told: Vec<(Value, usize)> = Vec::new();
    events.reverse();
    for mut event in events {
        activity_log::shorten(&mut event);
        let same = |(known, _): &&mut (Value, usize)| {
            ["/caller", "/status/value", "/operationName/value", "/shortResource"]
                .iter()
                .all(|part| known.pointer(part) == event.pointer(part))
        };
        match told.iter_mut().find(same) {
            Some((_, count)) => *count += 1,
            None => told.push((event, 1)),
        }
    }
    told
}
