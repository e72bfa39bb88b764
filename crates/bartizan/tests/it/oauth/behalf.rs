//! Tokens for tokens: on behalf of a user, and of a run for itself. Never for more than was given.

use std::time::Duration;

use domain::{
    compute::{NewJob, PutJob, StartRun},
    gate::enter,
    identity::identify,
    work::look_once,
};
use kernel::{Caller, Secret, Source};
use outbound::Method;
use serde_json::{Value, json};

use super::stage::{Stage, Told, claims_of, with};
use crate::house::{TestHouse, Who};

const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ARM: &str = "https://management.azure.com/.default";

/// An application that was called with a user's token.
struct Scene {
    stage: Stage,
    api: String,
    user: Told,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let api = stage.register(|_| {}).await;
        let scope = format!("api://{api}/.default openid offline_access");
        let sent = stage.go_through(&stage.asking(&[("scope", &scope)])).await;
        let user = stage.token(&stage.redeeming(&sent.answer()["code"])).await;
        Self { stage, api, user }
    }

    async fn call_on(&self, assertion: &str, more: &[(&str, &str)]) -> Told {
        let form = [
            ("grant_type", BEARER),
            ("client_id", self.api.as_str()),
            ("client_secret", self.stage.secret()),
            ("assertion", assertion),
            ("requested_token_use", "on_behalf_of"),
            ("scope", "https://management.azure.com/.default openid profile offline_access"),
        ];
        self.stage.token(&with(&form, more)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_calls_on_for_the_user_who_called_it() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    assert_eq!(stage.status(&scene.user.bearer()).await, 401, "the user's token is for the application alone");
    stage.test.clock.advance(Duration::from_secs(1800));
    let told = scene.call_on(&scene.user.text("access_token"), &[]).await;
    assert_eq!((told.status, stage.status(&told.bearer()).await), (200, 200), "{}", told.body);
    let (held, given) = (claims_of(&scene.user.text("access_token")), claims_of(&told.text("access_token")));
    assert_eq!(
        (&held["oid"], &held["sid"], &held["exp"]),
        (&given["oid"], &given["sid"], &given["exp"]),
        "no longer than it"
    );
    assert_eq!(given["appid"], scene.api);
    assert!(told.body.get("refresh_token").is_none(), "what is not the application's own is not renewed");
    // It ends with the grant that the user gave.
    stage.token(&stage.refreshing(&scene.user.text("refresh_token"))).await;
    stage.token(&stage.refreshing(&scene.user.text("refresh_token"))).await.refuses("invalid_grant", 50_173);
    assert_eq!(stage.status(&told.bearer()).await, 401);
    scene.call_on(&scene.user.text("access_token"), &[]).await.refuses("invalid_grant", 50_173);
    scene.stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_living_user_s_token_for_the_caller_is_taken() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let assertion = scene.user.text("access_token");
    let arm = stage.tokens().await;
    let run = run_token(&stage.test, stage.callers.token(Who::Owner).unwrap()).await;
    let (other_house, _) = TestHouse::new().await;
    let app = {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", scene.api.as_str()),
            ("client_secret", stage.secret()),
        ];
        let scope = format!("api://{}/.default", scene.api);
        stage.token(&[form.as_slice(), &[("scope", &scope)]].concat()).await
    };
    let (message, _) = assertion.rsplit_once('.').unwrap();
    let cases = [
        ("for another audience", arm.text("access_token")),
        ("an ID token", scene.user.text("id_token")),
        ("of an application", app.text("access_token")),
        ("of a run", run.expose().clone()),
        ("without a signature", format!("{message}.")),
        ("no token", String::from("x")),
    ];
    for (what, assertion) in &cases {
        let told = scene.call_on(assertion, &[]).await;
        assert_eq!(told.body["error_codes"][0], 50_013, "{what}");
        told.refuses("invalid_grant", 50_013);
    }
    scene.call_on(&assertion, &[("requested_token_use", "")]).await.refuses("invalid_request", 900_144);
    scene.call_on("", &[]).await.refuses("invalid_request", 900_144);
    scene.call_on(&assertion, &[("client_secret", "")]).await.refuses("invalid_client", 7_000_218);
    let public = stage.register(|app| app.is_public = true).await;
    scene
        .call_on(&assertion, &[("client_id", &public), ("client_secret", "")])
        .await
        .refuses("unauthorized_client", 700_051);
    let other = stage.register(|_| {}).await;
    scene.call_on(&assertion, &[("client_id", &other)]).await.refuses("invalid_grant", 50_013);
    scene.call_on(&assertion, &[("scope", "https://evil.example/.default")]).await.refuses("invalid_scope", 70_011);
    stage.test.clock.advance(Duration::from_secs(3600));
    scene.call_on(&assertion, &[]).await.refuses("invalid_grant", 50_013);
    other_house.end().await;
    scene.stage.end().await;
}

/// The token of a run that an agent has begun.
pub async fn run_token(test: &TestHouse, owner: &Secret<String>) -> Secret<String> {
    let caller = identify(&test.house, owner.expose(), Source::internal()).await.unwrap();
    let id = format!("{}/jobs/j1", test.workspace()).parse().unwrap();
    let job = NewJob { command: String::from("python train.py"), ..NewJob::default() };
    enter(&test.house, &caller, PutJob { id, job }).await.unwrap();
    look_once(&test.house, true).await.unwrap();
    let bootstrap: Value = {
        let started = test.computer.started.lock().unwrap();
        serde_json::from_str(started.values().next().unwrap().bootstrap.expose()).unwrap()
    };
    let op = StartRun {
        run: bootstrap["run"].as_str().unwrap().parse().unwrap(),
        token: Secret::new(bootstrap["token"].as_str().unwrap().to_owned()),
        version: String::from("test"),
        missing_walls: Vec::new(),
        scratch: None,
    };
    enter(&test.house, &Caller::nobody(Source::internal()), op).await.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_s_token_is_exchanged_for_as_much_or_less() {
    let stage = Stage::new().await;
    let run = run_token(&stage.test, stage.callers.token(Who::Owner).unwrap()).await;
    let exchange = async |token: &str, more: &[(&str, &str)]| {
        let form = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
        stage.token(&with(&form, more)).await
    };
    let search = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/search", stage.test.workspace());
    let may_read = async |bearer: &Secret<String>| {
        stage.test.ask(Some(bearer), Method::POST, &search, Some(&json!({"max_results": 1}))).await.0
    };
    assert_eq!(may_read(&run).await, 200);
    let held = claims_of(run.expose());

    stage.test.clock.advance(Duration::from_secs(60));
    let same = exchange(run.expose(), &[]).await;
    assert_eq!((same.status, same.text("issued_token_type").as_str()), (200, ACCESS_TOKEN), "{}", same.body);
    let given = claims_of(&same.text("access_token"));
    for name in ["run", "workspace", "scope", "on_behalf_of", "aud", "exp"] {
        assert_eq!(held[name], given[name], "{name}");
    }
    assert_eq!((&given["act"]["sub"], same.body["expires_in"].as_i64()), (&held["run"], Some(840)));
    assert_eq!(may_read(&same.bearer()).await, 200);

    let read = "Microsoft.MachineLearningServices/workspaces/experiments/read";
    let write = "Microsoft.MachineLearningServices/workspaces/experiments/runs/write";
    let less = exchange(run.expose(), &[("scope", write)]).await;
    assert_eq!((less.text("scope").as_str(), may_read(&less.bearer()).await), (write, 403));
    let only = exchange(run.expose(), &[("scope", read)]).await;
    assert_eq!(may_read(&only.bearer()).await, 200);
    // Once narrow, always narrow.
    let token = less.text("access_token");
    exchange(&token, &[("scope", read)]).await.refuses("invalid_scope", 70_011);
    exchange(&token, &[("scope", &format!("{read} {write}"))]).await.refuses("invalid_scope", 70_011);
    assert_eq!(exchange(&token, &[]).await.text("scope"), write);
    // A listed action that runs do not have is not had by listing it.
    let more = exchange(run.expose(), &[("scope", "Microsoft.MachineLearningServices/workspaces/write")]).await;
    let (status, _) =
        stage.test.ask(Some(&more.bearer()), Method::PATCH, &stage.test.workspace(), Some(&json!({"tags": {}}))).await;
    assert_eq!(status, 403);

    let audience = held["aud"].as_str().unwrap();
    assert_eq!(exchange(run.expose(), &[("audience", audience)]).await.status, 200);
    for target in [("audience", "https://management.azure.com"), ("resource", "urn:bartizan:workspace:other")] {
        exchange(run.expose(), &[target]).await.refuses("invalid_target", 500_011);
    }
    let user = stage.tokens().await;
    for wrong in [user.text("access_token"), user.text("id_token"), String::from("x")] {
        exchange(&wrong, &[]).await.refuses("invalid_request", 50_013);
    }
    exchange(run.expose(), &[("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")])
        .await
        .refuses("invalid_request", 900_144);
    exchange(run.expose(), &[("actor_token", "x")]).await.refuses("invalid_request", 900_144);
    exchange("", &[]).await.refuses("invalid_request", 900_144);
    // Nothing else is to be had for it: not as a client's proof, not for a principal's token.
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion", run.expose().as_str()),
        ("scope", ARM),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ];
    assert_ne!(stage.token(&form).await.status, 200);
    stage.test.clock.advance(Duration::from_secs(840));
    exchange(run.expose(), &[]).await.refuses("invalid_request", 50_013);
    assert_eq!(may_read(&same.bearer()).await, 401);
    stage.end().await;
}
