//! Reading files, and addresses that are none.

use outbound::Method;
use serde_json::{Value, json};

use super::stage::{Stage, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_by_ranges_while_it_is_the_same() {
    let stage = Stage::new().await;
    let content: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    stage.put("data.bin", content.clone()).await;
    let get = async |headers: &[(&str, &str)]| {
        let call = stage.call(Method::GET, "data.bin");
        told(headers.iter().fold(call, |call, (name, value)| call.header(name, value))).await
    };
    let whole = get(&[]).await.is(200);
    assert_eq!((whole.header("accept-ranges"), whole.header("content-length")), ("bytes", "200000"));
    assert_eq!(whole.body, content);
    let etag = whole.header("etag").to_owned();
    for (asked, from, length) in [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-65545", 65_530, 16),
        ("bytes=199999-", 199_999, 1),
        ("bytes=-5", 199_995, 5),
        ("bytes=100000-99999999", 100_000, 100_000),
    ] {
        let part = get(&[("range", asked)]).await.is(206);
        let said = format!("bytes {from}-{}/200000", from + length - 1);
        assert_eq!((part.header("content-range"), part.header("content-length")), (&*said, &*length.to_string()));
        assert_eq!(part.body, content[from..from + length], "{asked}");
    }
    let beyond = get(&[("range", "bytes=200000-")]).await.is(416);
    assert_eq!((beyond.header("content-range"), beyond.body.len()), ("bytes */200000", 0));
    for odd in ["bytes=5-1", "lines=1-2", "bytes=0-1,5-6", "bytes=x-"] {
        assert_eq!(get(&[("range", odd)]).await.is(200).body.len(), content.len(), "{odd}");
    }
    get(&[("range", "bytes=0-9"), ("if-range", &etag)]).await.is(206);
    get(&[("range", "bytes=0-9"), ("if-range", "\"other\"")]).await.is(200);
    get(&[("range", "bytes=0-9"), ("if-range", "Wed, 21 Oct 2015 07:28:00 GMT")]).await.is(200);
    assert_eq!(get(&[("if-none-match", &etag)]).await.is(304).body.len(), 0);
    get(&[("if-none-match", "\"other\"")]).await.is(200);
    let head = told(stage.call(Method::HEAD, "data.bin")).await.is(200);
    assert_eq!((head.header("content-length"), head.header("etag"), head.body.len()), ("200000", &*etag, 0));
    told(stage.call(Method::HEAD, "nothing")).await.is(404);
    // Another content is another file.
    stage.put("data.bin", b"short".to_vec()).await;
    let now = get(&[("range", "bytes=0-9"), ("if-range", &etag)]).await.is(200);
    assert_eq!((now.body.as_slice(), now.header("etag") == etag), (b"short".as_slice(), false));
    stage.put("empty", Vec::new()).await;
    assert_eq!(told(stage.call(Method::GET, "empty")).await.is(200).header("content-length"), "0");
    told(stage.call(Method::GET, "empty").header("range", "bytes=0-")).await.is(416);
    stage.test.end().await;
}

/// Attack rows 24 and 25: what a stranger wrote never runs in a browser that opens it here.
#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_told_to_be_something_that_a_browser_runs() {
    let stage = Stage::new().await;
    let script = b"<script>alert(1)</script>".to_vec();
    for (name, kind) in [
        ("x.html", "text/plain; charset=utf-8"),
        ("x.svg", "text/plain; charset=utf-8"),
        ("x.xml", "text/plain; charset=utf-8"),
        ("x.js", "text/plain; charset=utf-8"),
        ("x.pdf", "application/octet-stream"),
        ("x", "application/octet-stream"),
        ("plot.png", "image/png"),
        ("MLmodel", "text/plain; charset=utf-8"),
    ] {
        // The type that whoever uploads it names is nobody's business.
        let call = stage.call(Method::PUT, name).body("text/html", script.clone());
        told(call).await.is(200);
        let got = told(stage.call(Method::GET, name)).await.is(200);
        assert_eq!(got.header("content-type"), kind, "{name}");
        assert!(got.header("content-disposition").starts_with("attachment; filename"), "{name}");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        let policy = got.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
    }
    stage.test.end().await;
}

/// Attack rows 1 to 9: no spelling of a path leads anywhere else, for whatever is done with it.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_are_refused_on_every_verb() {
    let stage = Stage::new().await;
    stage.put("a/b.txt", b"x".to_vec()).await;
    let long = "x".repeat(1001);
    let hostile = [
        "..",
        "../../x",
        "a/../b",
        "./a",
        "a//b",
        "%2e%2e/x",
        "%2E%2E%2Fx",
        "%252e%252e%252fx",
        "%25252e%25252e/x",
        "..%5cx",
        "a%5Cb",
        "a%255cb",
        "%00",
        "a%00b",
        "a%0ab",
        "a%0d%0aX:y",
        "%23x",
        "x%23/../..",
        "a%3fb",
        "..;/x",
        "..%3b/x",
        "a/..%3bx/b",
        "C:/x",
        "C%3A/x",
        "%2fetc/passwd",
        "%252fetc",
        "%EF%BC%8E%EF%BC%8E/x",
        "%E2%80%A5/x",
        "a%EF%BC%BCb",
        "%E2%80%AEx",
        "%ff",
        "...",
        "a%20/%20..%20/b",
        long.as_str(),
    ];
    let mut wrong = Vec::new();
    let owner = stage.owner();
    for bad in hostile {
        let below = |door: &str| stage.api(&format!("mlflow-artifacts/{door}/{}/{bad}", stage.root));
        let listed = stage.api(&format!("mlflow-artifacts/artifacts?path={}/{bad}", stage.root));
        let of_run = stage.api(&format!("mlflow/artifacts/list?run_id={}&path={bad}", stage.run));
        let body = json!({"path": "/tmp/m.bin", "num_parts": 1, "upload_id": uuid::Uuid::nil(), "parts": []});
        for (method, place, sent) in [
            (Method::GET, below("artifacts"), None),
            (Method::HEAD, below("artifacts"), None),
            (Method::PUT, below("artifacts"), Some(&body)),
            (Method::DELETE, below("artifacts"), None),
            (Method::GET, below("presigned"), None),
            (Method::POST, below("mpu/create"), Some(&body)),
            (Method::POST, below("mpu/complete"), Some(&body)),
            (Method::POST, below("mpu/abort"), Some(&body)),
            (Method::GET, listed, None),
            (Method::GET, of_run, None),
        ] {
            // This client resolves such steps before it sends them; `mlflow_artifacts_suite.py` sends them as they are.
            let path = place.split('?').next().unwrap().to_ascii_lowercase().replace("%2e", ".");
            if path.split('/').any(|segment| matches!(segment, "." | "..")) {
                continue;
            }
            let mut call = stage.test.client().call(method.clone(), &place).bearer(owner);
            if let Some(body) = sent {
                call = call.json(body);
            }
            let answer = told(call).await;
            let said = answer.json();
            let is_head = method == Method::HEAD;
            if answer.status != 400 || !(is_head || said["message"] == "Invalid path") {
                wrong.push(format!("{method} {place} → {} {said}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    // The name that an upload takes from the client's own disk is a name alone.
    for (local, status) in
        [("/etc/passwd", 200), ("C:\\x\\m.bin", 200), ("x/..", 400), ("/tmp/", 400), ("a%2f..", 400), ("", 400)]
    {
        let body = json!({"path": local, "num_parts": 1});
        let below = format!("mlflow-artifacts/mpu/create/{}", stage.root);
        assert_eq!(stage.ask(owner, Method::POST, &below, body).await.0, status, "{local}");
    }
    let (status, listed) =
        stage.ask(owner, Method::GET, &format!("mlflow-artifacts/artifacts?path={}", stage.root), Value::Null).await;
    assert_eq!((status, &listed["files"]), (200, &json!([{"path": "a", "is_dir": true}])), "nothing else came of it");
    stage.test.end().await;
}
