//! A house with a registry, those who pull and push, and content to send.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{BlobStore, Secret};
use outbound::Method;
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse, Who};

pub const REGISTRY: &str = "conreg1";
pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub struct Stage {
    pub test: TestHouse,
    pub callers: Callers,
    pub blobs: Arc<dyn BlobStore>,
    /// The registry's ARM id.
    pub id: String,
    /// `Basic …` of one who may pull, push and delete.
    pub all: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }
}

const KEPT: [&str; 16] = [
    "location",
    "range",
    "content-range",
    "content-length",
    "content-type",
    "docker-content-digest",
    "docker-upload-uuid",
    "docker-distribution-api-version",
    "oci-subject",
    "oci-tag",
    "oci-filters-applied",
    "link",
    "www-authenticate",
    "etag",
    "accept-ranges",
    "cache-control",
];

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", seal::sha256_hex(bytes))
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

impl Stage {
    pub async fn new() -> Self {
        let blobs: Arc<dyn BlobStore> = Arc::new(store::blob::Memory::new());
        let meta = Arc::new(store::meta::Memory::new(Arc::new(seal::Sha256Chain)));
        let (test, callers) = TestHouse::over(meta, Arc::clone(&blobs)).await;
        let id = format!("{}/providers/Microsoft.ContainerRegistry/registries/{REGISTRY}", test.group());
        let owner = callers.token(Who::Owner);
        let body = json!({"location": "local", "sku": {"name": "Premium"}});
        let (status, made) = test.ask(owner, Method::PUT, &id, Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        let mut stage = Self { test, callers, blobs, id, all: String::new() };
        stage.all = stage.person("pusher", &[domain::access::ACR_PUSH, domain::access::ACR_DELETE]).await;
        stage
    }

    /// A service principal with these roles at the registry: its `Basic` credential.
    pub async fn person(&self, name: &str, roles: &[uuid::Uuid]) -> String {
        let (app, secret, _) = self.robot(name, roles).await;
        basic(&app, &secret)
    }

    /// The same: application, secret, and the assignments.
    pub async fn robot(&self, name: &str, roles: &[uuid::Uuid]) -> (String, String, Vec<String>) {
        let owner = self.test.owner_again().await;
        let body = json!({"displayName": name});
        let (status, made) =
            self.test.ask(Some(&owner), Method::POST, "/graph/v1.0/servicePrincipals", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        let mut places = Vec::new();
        for role in roles {
            let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
            let body = json!({"properties": {"roleDefinitionId": definition, "principalId": made["id"]}});
            let place =
                format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", self.id, uuid::Uuid::new_v4());
            let (status, said) = self.test.ask(Some(&owner), Method::PUT, &place, Some(&body)).await;
            assert_eq!(status, 201, "{said}");
            places.push(place);
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["appId"]), text(&made["passwordCredentials"][0]["secretText"]), places)
    }

    pub async fn ask_as(
        &self,
        who: Option<&str>,
        method: Method,
        place: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Told {
        let has_body = method != Method::GET && method != Method::HEAD;
        let mut call = self.test.client().call(method, place);
        if let Some(who) = who {
            call = call.header("authorization", who);
        }
        let kind = headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| *value);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "content-type") {
            call = call.header(name, value);
        }
        if has_body {
            call = call.body(kind.unwrap_or("application/octet-stream"), body.to_vec());
        }
        let answer = call.send().await.unwrap_or_else(|fault| panic!("{place}: {fault}"));
        let status = answer.status().as_u16();
        let header = |name: &&str| Some(((*name).to_owned(), answer.header(name)?.to_owned()));
        let headers = KEPT.iter().filter_map(header).collect();
        let body = answer.bytes(64 << 20).await.unwrap();
        Told { status, headers, body: body.to_vec() }
    }

    /// As the one who may do everything.
    pub async fn ask(&self, method: Method, place: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        self.ask_as(Some(&self.all), method, place, headers, body).await
    }

    pub async fn get(&self, place: &str) -> Told {
        self.ask(Method::GET, place, &[], b"").await
    }

    /// `/v2/conreg1/{rest}`.
    pub fn at(&self, rest: &str) -> String {
        format!("/v2/{REGISTRY}/{rest}")
    }

    /// Pushes a blob in one piece.
    pub async fn push(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let place = self.at(&format!("{repository}/blobs/uploads/?digest={digest}"));
        self.ask(Method::POST, &place, &[], bytes).await.is(201);
        digest
    }

    pub async fn put_manifest(&self, repository: &str, reference: &str, manifest: &Value) -> Told {
        let kind = manifest["mediaType"].as_str().unwrap_or(IMAGE);
        let place = self.at(&format!("{repository}/manifests/{reference}"));
        self.ask(Method::PUT, &place, &[("content-type", kind)], manifest.to_string().as_bytes()).await
    }

    /// Pushes an image of one layer under a tag: its manifest.
    pub async fn image(&self, repository: &str, tag: &str, layer: &[u8]) -> Value {
        let config = format!("{{\"of\":\"{tag}\"}}");
        self.push(repository, config.as_bytes()).await;
        self.push(repository, layer).await;
        let manifest = manifest(config.as_bytes(), layer);
        self.put_manifest(repository, tag, &manifest).await.is(201);
        manifest
    }

    /// An access token for these scopes.
    pub async fn token(&self, who: &str, scopes: &[&str]) -> (String, Value) {
        let mut place = String::from("/oauth2/token?service=localhost&offline_token=true");
        for scope in scopes {
            place.push_str(&format!("&scope={scope}"));
        }
        let told = self.ask_as(Some(who), Method::GET, &place, &[], b"").await.is(200);
        assert_eq!(told.header("cache-control"), "no-store");
        let body = told.json();
        (format!("Bearer {}", body["access_token"].as_str().unwrap()), body)
    }

    pub fn owner(&self) -> &Secret<String> {
        self.callers.token(Who::Owner).unwrap()
    }
}

pub fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

pub fn manifest(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    })
}
