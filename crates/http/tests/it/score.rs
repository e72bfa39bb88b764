//! The gateway, from TLS to a replica's Unix socket and back.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use domain::{
    gate::{Settings, enter},
    scoring::{
        CreateNamedKey, DeploymentRequest, EndpointRequest, ListRequests, ListServiceKeys, NamedKeyRequest,
        RequestSettings, ServiceKind, flush_requests,
    },
};
use futures::{StreamExt, stream};
use http::{Request, StatusCode};
use http_faces::faces::score::probe_replicas;

use crate::{
    client::{Answer, Served},
    replica::{Seen, listen},
    stand::Stand,
};

struct Service {
    stand: Stand,
    served: Served,
    seen: Arc<Seen>,
    key: String,
    base: String,
    _dir: tempfile::TempDir,
}

impl Service {
    /// A cluster service whose replica is a double.
    async fn new(requests: RequestSettings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { socket_dir: dir.path().to_str().unwrap().to_owned(), ..Settings::default() };
        let stand = Stand::with(settings).await;
        stand.iris().await;
        stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
        let request = DeploymentRequest {
            kind: Some(ServiceKind::Cluster),
            image: Some("iris".parse().unwrap()),
            requests: Some(requests),
            variables: Some(BTreeMap::new()),
            ..DeploymentRequest::default()
        };
        stand.deploy("svc", request).await.unwrap();
        let seen = listen(&stand.listening().await[0].socket);
        probe_replicas(&stand.house).await.unwrap();
        let op = ListServiceKeys { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
        let key = enter(&stand.house, &stand.owner, op).await.unwrap().primary.expose().clone();
        let served = Served::new(Arc::clone(&stand.house)).await;
        let base = format!("/api/v1/service/{}/svc", stand.guid);
        Self { stand, served, seen, key, base, _dir: dir }
    }

    fn request(&self, order: &str, body: Body) -> Request<Body> {
        Request::post(format!("{}/score", self.base))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .header("x-order", order)
            .body(body)
            .unwrap()
    }

    async fn score(&self, order: &str) -> Answer {
        self.served.send(self.request(order, Body::from("{\"data\":[1]}"))).await
    }
}

fn message(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(body["status_code"], answer.status.as_u16());
    body["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_reaches_the_replica_without_credentials() {
    let service = Service::new(RequestSettings::default()).await;
    let mut request = service.request("echo", Body::from("{\"data\":[1]}"));
    for (name, value) in [("cookie", "a=b"), ("x-forwarded-for", "1.2.3.4"), ("connection", "x-hop"), ("x-hop", "1")] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = service.served.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    let echo = answer.json();
    assert_eq!(echo["length"], 12);
    let headers: Vec<&str> = echo["headers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    for absent in ["authorization", "cookie", "x-forwarded-for", "x-hop", "connection"] {
        assert!(!headers.contains(&absent), "{absent}: {headers:?}");
    }
    assert!(headers.contains(&"x-order") && headers.contains(&"x-ms-request-id"));
    assert_eq!(answer.header("azureml-model-deployment"), Some("blue"));
}

#[tokio::test]
async fn health_and_swagger_are_the_replica_s_own() {
    let service = Service::new(RequestSettings::default()).await;
    for (path, body) in [("", "Healthy"), ("/", "Healthy"), ("/swagger.json", "{\"swagger\":\"2.0\"}")] {
        let request = Request::get(format!("{}{path}", service.base));
        let request = request.header("authorization", format!("Bearer {}", service.key)).body(Body::empty()).unwrap();
        let answer = service.served.send(request).await;
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, body.as_bytes()), "{path}");
    }
}

#[tokio::test]
async fn without_a_valid_credential_every_service_answers_alike() {
    let service = Service::new(RequestSettings::default()).await;
    let unknown = format!("/api/v1/service/{}/nosuch", service.stand.guid);
    let elsewhere = String::from("/api/v1/service/00000000-0000-0000-0000-000000000001/svc");
    let nonsense = String::from("/api/v1/service/not-a-guid/svc");
    for credential in [None, Some("Bearer wrong"), Some("Basic abc")] {
        let mut bodies = Vec::new();
        for base in [&service.base, &unknown, &elsewhere, &nonsense] {
            let mut request = Request::post(format!("{base}/score"));
            if let Some(credential) = credential {
                request = request.header("authorization", credential);
            }
            let answer = service.served.send(request.body(Body::from("{}")).unwrap()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{base}");
            assert!(answer.header("www-authenticate").is_some());
            bodies.push(message(&answer));
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        assert!(bodies[0].contains("Authorization"));
    }
    assert_eq!(service.seen.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_declared_or_not() {
    let service = Service::new(RequestSettings::default()).await;
    let declared = service.request("echo", Body::from(vec![b'x'; 64 * 1024 + 1]));
    let answer = service.served.send(declared).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(message(&answer).contains("65536"));
    let pieces = stream::iter(0..80).map(|_| Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 1024])));
    let answer = service.served.send(service.request("echo", Body::from_stream(pieces))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let fits = service.request("echo", Body::from(vec![b'x'; 64 * 1024]));
    assert_eq!(service.served.send(fits).await.json()["length"], 64 * 1024);
}

#[tokio::test]
async fn a_slow_replica_is_given_up() {
    let service = Service::new(RequestSettings { timeout_ms: 200, ..RequestSettings::default() }).await;
    let began = Instant::now();
    let answer = service.score("slow").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(message(&answer).contains("in time"));
    // One that begins to answer and stalls is cut, and never taken for whole.
    let answer = service.score("stall").await;
    assert!(!answer.is_whole);
    assert_eq!(answer.body.as_ref(), b"begun");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn what_breaks_off_is_a_bad_gateway() {
    let service = Service::new(RequestSettings::default()).await;
    let answer = service.score("die").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(message(&answer).contains("broke off"));
    assert!(!service.score("break").await.is_whole);
    // The next call is served all the same.
    assert_eq!(service.score("echo").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_script_s_own_failure_passes_as_it_is() {
    let service = Service::new(RequestSettings::default()).await;
    let answer = service.score("fail").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.header("x-ms-run-function-failed"), Some("true"));
    assert_eq!(message(&answer), "run() raised");
}

#[tokio::test]
async fn an_answer_streams_and_cannot_speak_for_the_server() {
    let service = Service::new(RequestSettings::default()).await;
    let answer = service.score("pieces").await;
    assert_eq!(answer.body.as_ref(), b"piece 0;piece 1;piece 2;");
    let answer = service.score("speak").await;
    assert_eq!(answer.header("x-own"), Some("kept"));
    assert_eq!((answer.header("set-cookie"), answer.header("clear-site-data")), (None, None));
    assert!(answer.header("content-security-policy").unwrap().contains("'none'"));
    assert_ne!(answer.header("x-ms-request-id"), Some("forged"));
}

#[tokio::test]
async fn a_full_service_says_when_to_come_back() {
    let service = Service::new(RequestSettings { concurrent: 1, wait_ms: 50, timeout_ms: 5000 }).await;
    let (first, second) = tokio::join!(service.score("wait"), service.score("wait"));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    let refused = if first.status == StatusCode::OK { &second } else { &first };
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(message(refused).contains("busy"));
}

#[tokio::test]
async fn a_replica_that_is_gone_is_unavailable() {
    let service = Service::new(RequestSettings::default()).await;
    let socket = service.stand.listening().await[0].socket.clone();
    std::fs::remove_file(&socket).unwrap();
    let answer = service.score("echo").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), Some("1"));
    for _ in 0..3 {
        probe_replicas(&service.stand.house).await.unwrap();
    }
    let answer = service.score("echo").await;
    assert!(message(&answer).contains("no replica"));
}

#[tokio::test]
async fn connections_to_a_replica_are_used_again() {
    let service = Service::new(RequestSettings::default()).await;
    let before = service.seen.connections.load(Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(service.score("echo").await.status, StatusCode::OK);
    }
    assert_eq!(service.seen.connections.load(Ordering::SeqCst) - before, 1);
    assert_eq!(service.seen.calls.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn one_call_is_one_record_and_carries_the_answer_s_id() {
    let service = Service::new(RequestSettings { timeout_ms: 200, ..RequestSettings::default() }).await;
    let good = service.score("echo").await;
    let late = service.score("slow").await;
    flush_requests(&service.stand.house).await.unwrap();
    let op = ListRequests { endpoint: service.stand.id(&["onlineEndpoints", "svc"]), most: 10 };
    let found = enter(&service.stand.house, &service.stand.owner, op).await.unwrap();
    let mut listed: Vec<_> = found.iter().map(|record| (record.status, record.request.to_string())).collect();
    listed.sort();
    let id = |answer: &Answer| answer.header("x-ms-request-id").unwrap().to_owned();
    assert_eq!(listed, [(200, id(&good)), (504, id(&late))]);
    let record = &found[0];
    assert_eq!((record.method.as_str(), record.caller.as_str()), ("POST", "key primary"));
    assert_eq!(record.url, format!("{}/score", service.base));
}

fn refusal(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_open_inference_protocol_has_the_same_walls_and_its_own_words() {
    let service = Service::new(RequestSettings::default()).await;
    let infer = |model: &str, credential: &str, body: Body| {
        let request = Request::post(format!("{}/v2/models/{model}/infer", service.base));
        request.header("authorization", format!("Bearer {credential}")).body(body).unwrap()
    };
    let answer = service.served.send(infer("iris", &service.key, Body::from("{}"))).await;
    assert_eq!((answer.status, &answer.json()["length"]), (StatusCode::OK, &2.into()));
    for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/iris", "/v2/models/iris/ready"] {
        let request = Request::get(format!("{}{path}", service.base));
        let bare = service.served.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(bare.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(refusal(&bare).contains("Authorization"));
        let request = Request::get(format!("{}{path}", service.base));
        let request = request.header("authorization", format!("Bearer {}", service.key)).body(Body::empty()).unwrap();
        assert_eq!(service.served.send(request).await.status, StatusCode::OK, "{path}");
    }
    let wrong = service.served.send(infer("iris", "wrong", Body::from("{}"))).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    refusal(&wrong);
    let unknown = service.served.send(infer("rose", &service.key, Body::from("{}"))).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(refusal(&unknown).contains("model"));
    let large = service.served.send(infer("iris", &service.key, Body::from(vec![b'x'; 64 * 1024 + 1]))).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refusal(&large).contains("65536"));
    flush_requests(&service.stand.house).await.unwrap();
    let op = ListRequests { endpoint: service.stand.id(&["onlineEndpoints", "svc"]), most: 20 };
    let found = enter(&service.stand.house, &service.stand.owner, op).await.unwrap();
    let url = format!("{}/v2/models/iris/infer", service.base);
    assert!(found.iter().any(|record| record.url == url && record.status == 200 && record.caller == "key primary"));
    assert!(found.iter().any(|record| record.status == 404));
}

#[tokio::test]
async fn a_key_that_has_had_its_calls_is_told_when_to_come_back() {
    let service = Service::new(RequestSettings::default()).await;
    let named = EndpointRequest { named_keys: Some(true), ..EndpointRequest::default() };
    service.stand.endpoint("svc", named).await.unwrap();
    let make = |name: &str, request: NamedKeyRequest| CreateNamedKey {
        endpoint: service.stand.id(&["onlineEndpoints", "svc"]),
        name: name.to_owned(),
        request,
    };
    let one = NamedKeyRequest { calls_a_minute: Some(1), ..NamedKeyRequest::default() };
    let slow = enter(&service.stand.house, &service.stand.owner, make("slow", one)).await.unwrap();
    let green =
        NamedKeyRequest { deployments: [String::from("green")].into_iter().collect(), ..NamedKeyRequest::default() };
    let green = enter(&service.stand.house, &service.stand.owner, make("green", green)).await.unwrap();
    let call = async |key: &str| {
        let mut request = service.request("echo", Body::from("{}"));
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        service.served.send(request).await
    };
    assert_eq!(call(slow.text.expose()).await.status, StatusCode::OK);
    let refused = call(slow.text.expose()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(message(&refused).contains("minute"));
    let elsewhere = call(green.text.expose()).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN);
    assert!(message(&elsewhere).contains("azureml-model-deployment"));
    assert_eq!(service.seen.calls.load(Ordering::SeqCst), 1, "what is refused reaches no replica");
}
