//! Uploads in parts, and tickets in the place of tokens.

use std::time::Duration;

use domain::tracking::sweep_uploads;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::stage::{Stage, Told, told};
use crate::{house::Who, oauth::run_token};

const TICKET: &str = "x-bartizan-ticket";

impl Stage {
    /// Begins an upload of `m.bin`.
    async fn create(&self, token: &Secret<String>, parts: u32) -> (u16, Value) {
        let body = json!({"path": "/home/me/m.bin", "num_parts": parts});
        self.ask(token, Method::POST, &format!("mlflow-artifacts/mpu/create/{}/big", self.root), body).await
    }

    async fn end_upload(&self, token: &Secret<String>, how: &str, upload: &Value, parts: Value) -> (u16, Value) {
        let body = json!({"path": "/home/me/m.bin", "upload_id": upload["upload_id"], "parts": parts});
        self.ask(token, Method::POST, &format!("mlflow-artifacts/mpu/{how}/{}/big", self.root), body).await
    }

    /// Sends a part as MLflow's client does: without a token, with the headers it was handed.
    async fn send(&self, credential: &Value, content: &[u8]) -> Told {
        let place = credential["url"].as_str().unwrap();
        let ticket = credential["headers"][TICKET].as_str().unwrap();
        self.bring(place, ticket, content).await
    }

    async fn bring(&self, place: &str, ticket: &str, content: &[u8]) -> Told {
        let call = self.test.client().call(Method::PUT, place).header(TICKET, ticket);
        told(call.body("application/octet-stream", content.to_vec())).await
    }
}

fn named(parts: &[(u32, &str)]) -> Value {
    parts.iter().map(|(number, etag)| json!({"part_number": number, "etag": etag, "url": "x"})).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_in_parts_and_is_read_as_one() {
    let stage = Stage::new().await;
    let owner = stage.owner();
    let pieces: Vec<Vec<u8>> = [100_000_usize, 65_536, 7]
        .iter()
        .map(|size| (0..*size).map(|n| u8::try_from(n * 7 % 253).unwrap()).collect())
        .collect();
    let (status, upload) = stage.create(owner, 3).await;
    assert_eq!((status, upload["credentials"].as_array().unwrap().len()), (200, 3), "{upload}");
    let url = upload["credentials"][0]["url"].as_str().unwrap();
    assert!(
        url.starts_with(&stage.test.house.settings().url) && !url.contains('?'),
        "no secret is in an address: {url}"
    );
    // A request for an upload that was lost on its way back means the same upload.
    let (_, again) = stage.create(owner, 3).await;
    assert_eq!(again["upload_id"], upload["upload_id"]);
    // In any order, and the last one of a number counts.
    let mut tags = vec![String::new(); 3];
    stage.send(&upload["credentials"][1], b"something else").await.is(200);
    for at in [2, 0, 1] {
        let sent = stage.send(&upload["credentials"][at], &pieces[at]).await.is(200);
        tags[at] = sent.header("etag").to_owned();
    }
    assert_eq!(tags[0], format!("\"{}\"", seal::sha256_hex(&pieces[0])));
    let (_, other) = stage.create(owner, 3).await;
    assert_ne!(other["upload_id"], upload["upload_id"], "something came of the first one");
    let list = format!("mlflow-artifacts/mpu/parts/{}", upload["upload_id"].as_str().unwrap());
    let (_, state) = stage.ask(owner, Method::GET, &list, Value::Null).await;
    assert_eq!(
        (&state["num_parts"], &state["completed"], state["parts"].as_array().unwrap().len()),
        (&json!(3), &json!(false), 3)
    );
    let all = [(1, tags[0].as_str()), (2, tags[1].as_str()), (3, tags[2].as_str())];
    for wrong in [
        named(&[]),
        named(&all[..2]),
        named(&[all[1], all[0], all[2]]),
        named(&[all[0], all[0], all[2]]),
        named(&[all[0], (2, tags[0].as_str()), all[2]]),
        named(&[all[0], (2, ""), all[2]]),
        named(&[all[0], all[1], all[2], (4, "x")]),
        json!("x"),
    ] {
        let (status, said) = stage.end_upload(owner, "complete", &upload, wrong.clone()).await;
        assert_eq!((status, &said["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{wrong}: {said}");
    }
    told(stage.call(Method::GET, "big/m.bin")).await.is(404);
    // Asked twice, it is done once.
    for _ in 0..2 {
        assert_eq!(stage.end_upload(owner, "complete", &upload, named(&all)).await, (200, json!({})));
    }
    assert_eq!(stage.end_upload(owner, "complete", &upload, named(&all[..2])).await.0, 409);
    assert_eq!(stage.end_upload(owner, "abort", &upload, Value::Null).await.0, 409);
    stage.send(&upload["credentials"][0], b"late").await.is(409);
    let whole = pieces.concat();
    let got = told(stage.call(Method::GET, "big/m.bin")).await.is(200);
    assert_eq!((got.body.len(), got.body == whole), (whole.len(), true));
    let part = told(stage.call(Method::GET, "big/m.bin").header("range", "bytes=99990-165540")).await.is(206);
    assert!(part.body == whole[99_990..=165_540]);
    // A version of a model holds what was joined, as anything else does.
    stage.post("mlflow/registered-models/create", json!({"name": "m"})).await;
    let source = format!("runs:/{}/big", stage.run);
    let made = stage.post("mlflow/model-versions/create", json!({"name": "m", "source": source})).await;
    assert_eq!(made["model_version"]["version"], "1");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_broke_off_goes_on_and_what_is_given_up_is_removed() {
    let stage = Stage::new().await;
    let owner = stage.owner();
    let (_, upload) = stage.create(owner, 2).await;
    stage.send(&upload["credentials"][0], b"first").await.is(200);
    let resume = |parts: u32| json!({"path": "m.bin", "num_parts": parts, "upload_id": upload["upload_id"]});
    let place = format!("mlflow-artifacts/mpu/create/{}/big", stage.root);
    let (status, again) = stage.ask(owner, Method::POST, &place, resume(2)).await;
    assert_eq!(
        (status, &again["upload_id"], &again["parts"][0]["size"]),
        (200, &upload["upload_id"], &json!(5)),
        "{again}"
    );
    assert_eq!(stage.ask(owner, Method::POST, &place, resume(3)).await.0, 400);
    // Nobody else goes on with it, ends it, or learns of it.
    let contributor = stage.callers.token(Who::Contributor).unwrap();
    assert_eq!(stage.ask(contributor, Method::POST, &place, resume(2)).await.0, 404);
    assert_eq!(stage.end_upload(contributor, "complete", &upload, named(&[(1, "x"), (2, "y")])).await.0, 404);
    assert_eq!(stage.end_upload(contributor, "abort", &upload, Value::Null).await.0, 200, "and nothing happens");
    let own = upload["credentials"][1]["url"].as_str().unwrap();
    let theirs = stage.test.client().call(Method::PUT, own).bearer(contributor).body("x/y", b"x".to_vec());
    told(theirs).await.is(404);
    // With a token it needs no ticket.
    let mine = stage.test.client().call(Method::PUT, own).bearer(owner).body("x/y", b"second".to_vec());
    let second = told(mine).await.is(200);
    let first = again["parts"][0]["etag"].as_str().unwrap();
    let parts = named(&[(1, first), (2, second.header("etag"))]);
    assert_eq!(stage.end_upload(owner, "complete", &upload, parts).await.0, 200);
    assert_eq!(told(stage.call(Method::GET, "big/m.bin")).await.is(200).body, b"firstsecond");

    let (_, aborted) = stage.create(owner, 1).await;
    stage.send(&aborted["credentials"][0], b"x").await.is(200);
    for _ in 0..2 {
        assert_eq!(stage.end_upload(owner, "abort", &aborted, Value::Null).await, (200, json!({})));
    }
    stage.send(&aborted["credentials"][0], b"x").await.is(401);
    assert_eq!(stage.end_upload(owner, "complete", &aborted, named(&[(1, "x")])).await.0, 404);
    // What nobody goes on with for a day is gone.
    let (_, left) = stage.create(owner, 1).await;
    stage.send(&left["credentials"][0], b"x").await.is(200);
    stage.test.clock.advance(Duration::from_secs(24 * 3600 + 1));
    sweep_uploads(&stage.test.house).await.unwrap();
    let owner = stage.test.owner_again().await;
    let list = format!("mlflow-artifacts/mpu/parts/{}", left["upload_id"].as_str().unwrap());
    assert_eq!(stage.ask(&owner, Method::GET, &list, Value::Null).await.0, 404);
    assert_eq!(stage.end_upload(&owner, "complete", &left, named(&[(1, "x")])).await.0, 404);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_for_one_part_and_ends_with_what_it_came_from() {
    let stage = Stage::new().await;
    let owner = stage.owner();
    let (_, upload) = stage.create(owner, 2).await;
    let place = |at: usize| upload["credentials"][at]["url"].as_str().unwrap().to_owned();
    let code = |at: usize| upload["credentials"][at]["headers"][TICKET].as_str().unwrap().to_owned();
    stage.bring(&place(0), &code(0), b"x").await.is(200);
    // For another part, another upload, another workspace; and spelled in every other way.
    stage.bring(&place(1), &code(0), b"x").await.is(401);
    let (_, second) = stage.create(owner, 3).await;
    stage.bring(second["credentials"][0]["url"].as_str().unwrap(), &code(0), b"x").await.is(401);
    let elsewhere = place(0).replace("/ws1/", "/ws2/");
    stage.bring(&elsewhere, &code(0), b"x").await.is(401);
    let (until, tag) = code(0).split_once('.').map(|(until, tag)| (until.to_owned(), tag.to_owned())).unwrap();
    let later = format!("{}.{tag}", until.parse::<i64>().unwrap() + 1000);
    for forged in [
        later.as_str(),
        "",
        ".",
        "x",
        &until,
        &format!("{until}."),
        &format!("{until}.{}", "A".repeat(43)),
        &"9".repeat(5000),
    ] {
        stage.bring(&place(0), forged, b"x").await.is(401);
    }
    told(stage.test.client().call(Method::PUT, &place(0)).body("x/y", b"x".to_vec())).await.is(401);
    // Nothing else is done with it.
    for (method, below) in [
        (Method::GET, stage.file("x")),
        (Method::PUT, stage.file("x")),
        (Method::GET, place(0).rsplit_once('/').unwrap().0.to_owned()),
    ] {
        told(stage.test.client().call(method, &below).header(TICKET, &code(0)).body("x/y", b"x".to_vec()))
            .await
            .is(401);
    }
    // It ends with its time.
    stage.test.clock.advance(Duration::from_secs(4 * 3600));
    stage.bring(&place(0), &code(0), b"x").await.is(401);
    // It ends with the right.
    let owner = stage.test.owner_again().await;
    let scope = stage.test.workspace();
    let (user, token) =
        stage.test.principal(&owner, "user", Some((&domain::access::CONTRIBUTOR.to_string(), &scope))).await;
    let (status, theirs) = stage.create(&token, 1).await;
    assert_eq!(status, 200, "{theirs}");
    stage.send(&theirs["credentials"][0], b"x").await.is(200);
    let assignments = format!("{scope}/providers/Microsoft.Authorization/roleAssignments");
    let (_, held) = stage.test.ask(Some(&owner), Method::GET, &assignments, None).await;
    let of_user = |entry: &&Value| entry["properties"]["principalId"] == json!(user);
    let held = held["value"].as_array().unwrap().iter().find(of_user).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.test.ask(Some(&owner), Method::DELETE, &held, None).await.0, 200);
    let refused = stage.send(&theirs["credentials"][0], b"x").await;
    assert!(matches!(refused.status, 403 | 404), "{refused:?}");
    // It ends with whoever it was given to.
    let (user, token) =
        stage.test.principal(&owner, "other", Some((&domain::access::CONTRIBUTOR.to_string(), &scope))).await;
    let (_, theirs) = stage.create(&token, 1).await;
    stage.send(&theirs["credentials"][0], b"x").await.is(200);
    let gone =
        stage.test.ask(Some(&owner), Method::DELETE, &format!("/graph/v1.0/servicePrincipals/{user}"), None).await;
    assert_eq!(gone.0, 204, "{}", gone.1);
    let refused = stage.send(&theirs["credentials"][0], b"x").await;
    assert!(matches!(refused.status, 401 | 403 | 404), "{refused:?}");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_with_a_ticket_for_it_alone() {
    let stage = Stage::new().await;
    stage.put("a b/ü.bin", b"0123456789".to_vec()).await;
    stage.put("other", b"other".to_vec()).await;
    let sign = async |token: &Secret<String>, path: &str| {
        stage.ask(token, Method::GET, &format!("mlflow-artifacts/presigned/{}/{path}", stage.root), Value::Null).await
    };
    let (status, signed) = sign(stage.owner(), "a%20b/%C3%BC.bin").await;
    assert_eq!((status, &signed["file_size"]), (200, &json!(10)), "{signed}");
    let (url, ticket) = (signed["url"].as_str().unwrap(), signed["headers"][TICKET].as_str().unwrap());
    let get = async |place: &str, ticket: &str| {
        told(stage.test.client().get(place).header(TICKET, ticket).header("range", "bytes=2-4")).await
    };
    assert_eq!(get(url, ticket).await.is(206).body, b"234");
    get(&stage.file("other"), ticket).await.is(401);
    get(url, &format!("{ticket}A")).await.is(401);
    let put = stage.test.client().call(Method::PUT, url).header(TICKET, ticket).body("x/y", b"x".to_vec());
    told(put).await.is(401);
    assert_eq!(sign(stage.owner(), "nothing").await.0, 404);
    assert_eq!(sign(stage.callers.token(Who::Reader).unwrap(), "other").await.0, 200, "reading is enough");
    assert_eq!(sign(stage.callers.token(Who::Stranger).unwrap(), "other").await.0, 404);
    stage.test.clock.advance(Duration::from_secs(15 * 60 + 1));
    get(url, ticket).await.is(401);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_parts_are_no_small_ones() {
    let stage = Stage::new().await;
    let owner = stage.owner();
    for (count, due) in [(100, 200), (101, 400)] {
        let (_, upload) = stage.create(owner, count).await;
        let mut tags = Vec::new();
        for credential in upload["credentials"].as_array().unwrap() {
            tags.push(stage.send(credential, b"x").await.is(200).header("etag").to_owned());
        }
        let parts: Vec<(u32, &str)> = (1..).zip(tags.iter().map(String::as_str)).collect();
        let (status, said) = stage.end_upload(owner, "complete", &upload, named(&parts)).await;
        assert_eq!((parts.len(), status), (usize::try_from(count).unwrap(), due), "{said}");
    }
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_have_bounds_and_runs_send_whole_files() {
    let stage = Stage::new().await;
    let owner = stage.owner();
    for bad in [0, 10_001, u32::MAX] {
        assert_eq!(stage.create(owner, bad).await.0, 400, "{bad}");
    }
    let reader = stage.callers.token(Who::Reader).unwrap();
    assert_eq!(stage.create(reader, 1).await.0, 403);
    // Others than those that are the same.
    for at in 0..200 {
        let body = json!({"path": format!("f{at}"), "num_parts": 1});
        let place = format!("mlflow-artifacts/mpu/create/{}", stage.root);
        assert_eq!(stage.ask(owner, Method::POST, &place, body).await.0, 200, "{at}");
    }
    assert_eq!(stage.create(owner, 1).await.0, 429);
    let info = async |token: &Secret<String>| {
        let place = format!("/mlflow/v1.0{}/api/3.0/mlflow/server-info", stage.test.workspace());
        stage.test.ask(Some(token), Method::GET, &place, None).await.1
    };
    let said = info(owner).await;
    for offered in [
        "multipart_uploads_enabled",
        "multipart_downloads_enabled",
        "presigned_upload_run_id_supported",
        "presigned_upload_model_id_supported",
    ] {
        assert_eq!(said[offered], json!(false), "{offered}: an operator says so where clients can use it");
    }
    let run = run_token(&stage.test, owner).await;
    let (status, said) = stage.create(&run, 1).await;
    let words = said["message"].as_str().unwrap();
    assert!(status == 501 && words.starts_with("Multipart upload is not supported"), "{status} {said}");
    stage.test.end().await;
}
