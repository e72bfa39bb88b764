//! A house with a storage account, someone who may do everything with its data, and signatures made by hand.

use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Clock, Secret, Timestamp};
use outbound::{Call, Method};
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse, Who};

/// The version that signatures here are made for.
pub const SV: &str = "2024-11-04";

pub struct Stage {
    pub test: TestHouse,
    pub callers: Callers,
    pub token: Secret<String>,
    /// `/blob/{account}`.
    pub base: String,
    pub account: String,
    /// The account's ARM id.
    pub id: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub code: String,
    pub headers: std::collections::BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Told {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code.as_str()), (status, code), "{}", self.text());
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.code, self.text());
        self
    }
}

const KEPT: [&str; 26] = [
    "x-ms-version-id",
    "x-ms-is-current-version",
    "etag",
    "content-length",
    "content-range",
    "content-type",
    "content-md5",
    "last-modified",
    "x-ms-lease-id",
    "x-ms-lease-time",
    "x-ms-lease-state",
    "x-ms-lease-status",
    "x-ms-snapshot",
    "x-ms-meta-a",
    "x-ms-meta-b",
    "x-ms-blob-type",
    "x-ms-version",
    "x-ms-request-id",
    "x-ms-blob-append-offset",
    "x-ms-blob-committed-block-count",
    "x-ms-copy-status",
    "x-ms-copy-id",
    "www-authenticate",
    "x-ms-tag-count",
    "content-disposition",
    "x-ms-request-server-encrypted",
];

impl Stage {
    pub async fn new() -> Self {
        Self::over(std::sync::Arc::new(store::blob::Memory::new())).await
    }

    pub async fn over(blobs: std::sync::Arc<dyn kernel::BlobStore>) -> Self {
        let meta = std::sync::Arc::new(store::meta::Memory::new(std::sync::Arc::new(seal::Sha256Chain)));
        let (test, callers) = TestHouse::over(meta, blobs).await;
        let owner = callers.token(Who::Owner).unwrap().clone();
        let made = test.ask(Some(&owner), Method::GET, &test.workspace(), None).await.1;
        let id = made["properties"]["storageAccount"].as_str().unwrap().to_owned();
        let account = id.rsplit('/').next().unwrap().to_owned();
        let principal = test.founded.principal.to_string();
        grant(&test, &owner, &principal, domain::access::BLOB_DATA_OWNER, &id).await;
        let secret = test.founded.client_secret.expose().to_owned();
        let token =
            storage_token(&test, &test.founded.app.to_string(), &secret, "https://storage.azure.com/.default").await;
        let stage = Self { base: format!("/blob/{account}"), test, callers, token, account, id };
        stage.ask(Method::PUT, "/box?restype=container", &[], b"").await.is(201);
        stage
    }

    /// As the one who may do everything.
    pub async fn ask(&self, method: Method, place: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        let call = self.call(method, place, headers, body).bearer(&self.token);
        told(call).await
    }

    /// Without any header of authorization.
    pub async fn bare(&self, method: Method, place: &str, headers: &[(&str, &str)], body: &[u8]) -> Told {
        told(self.call(method, place, headers, body)).await
    }

    pub fn call(&self, method: Method, place: &str, headers: &[(&str, &str)], body: &[u8]) -> Call {
        let has_body = method != Method::GET && method != Method::HEAD;
        let mut call = self.test.client().call(method, &format!("{}{place}", self.base));
        for (name, value) in headers {
            call = call.header(name, value);
        }
        if has_body { call.body("application/octet-stream", body.to_vec()) } else { call }
    }

    pub async fn put(&self, name: &str, body: &[u8]) -> Told {
        self.ask(Method::PUT, &format!("/box/{name}"), &[("x-ms-blob-type", "BlockBlob")], body).await
    }

    pub async fn get(&self, name: &str) -> Told {
        self.ask(Method::GET, &format!("/box/{name}"), &[], b"").await
    }

    /// The value of a key of the account.
    pub async fn key(&self, name: &str) -> String {
        let owner = self.callers.token(Who::Owner);
        let place = format!("{}/listKeys", self.id);
        let (status, keys) = self.test.ask(owner, Method::POST, &place, Some(&json!({}))).await;
        assert_eq!(status, 200, "{keys}");
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().find(|key| key["keyName"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// Changes the account.
    pub async fn set(&self, properties: Value) -> (u16, Value) {
        let owner = self.callers.token(Who::Owner);
        self.test.ask(owner, Method::PATCH, &self.id, Some(&json!({"properties": properties}))).await
    }

    /// So many seconds from now, as signatures say it.
    pub fn at(&self, seconds: i64) -> String {
        Timestamp((self.test.clock.now().seconds() + seconds) * 1000).rfc3339()
    }

    /// The query of a service SAS for a container (`sr=c`) or blob (`sr=b`). `more` replaces or adds fields.
    pub fn service_sas(&self, key: &str, resource: &str, sr: &str, sp: &str, more: &[(&str, &str)]) -> String {
        let expiry = self.at(600);
        let mut fields = vec![("sv", SV), ("sr", sr), ("sp", sp), ("se", expiry.as_str())];
        set_all(&mut fields, more);
        let of = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        let text = [
            of("sp"),
            of("st"),
            of("se"),
            &format!("/blob/{}/{resource}", self.account),
            of("si"),
            of("sip"),
            of("spr"),
            of("sv"),
            of("sr"),
            "",
            "",
            of("rscc"),
            of("rscd"),
            of("rsce"),
            of("rscl"),
            of("rsct"),
        ];
        signed(&fields, key, &text.join("\n"))
    }

    /// The query of an account SAS.
    pub fn account_sas(&self, key: &str, more: &[(&str, &str)]) -> String {
        let expiry = self.at(600);
        let mut fields = vec![("sv", SV), ("ss", "b"), ("srt", "sco"), ("sp", "rwdlacu"), ("se", expiry.as_str())];
        set_all(&mut fields, more);
        let of = |name: &str| fields.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        let names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"];
        let text = format!("{}\n{}\n", self.account, names.map(of).join("\n"));
        signed(&fields, key, &text)
    }
}

/// The text of an element.
pub fn leaf(xml: &str, name: &str) -> String {
    xml.split(&format!("<{name}>")).nth(1).map(|part| part.split('<').next().unwrap().to_owned()).unwrap_or_default()
}

/// The query of a SAS under a delegation key, as it was told.
pub fn delegated(key: &str, account: &str, resource: &str, sr: &str, sp: &str, se: &str) -> String {
    let fields = ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion"];
    let fields = fields.map(|name| leaf(key, name));
    let [oid, tid, start, expiry, service, version] = &fields;
    let resource = format!("/blob/{account}/{resource}");
    let text = [
        sp, "", se, &resource, oid, tid, start, expiry, service, version, "", "", "", "", "", SV, sr, "", "", "", "",
        "", "", "",
    ];
    let said = [
        ("sv", SV),
        ("sr", sr),
        ("sp", sp),
        ("se", se),
        ("skoid", oid),
        ("sktid", tid),
        ("skt", start),
        ("ske", expiry),
        ("sks", service),
        ("skv", version),
    ];
    signed(&said, &leaf(key, "Value"), &text.join("\n"))
}

fn set_all<'a>(fields: &mut Vec<(&'a str, &'a str)>, more: &[(&'a str, &'a str)]) {
    for (name, value) in more {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
}

/// The code of a text under a key.
pub fn code(key: &str, text: &str) -> String {
    STANDARD.encode(seal::message_code(&Secret::new(STANDARD.decode(key).unwrap()), text.as_bytes()))
}

fn signed(fields: &[(&str, &str)], key: &str, text: &str) -> String {
    let mut query: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    query.push(format!("sig={}", escaped(&code(key, text))));
    query.join("&")
}

pub fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

pub async fn told(call: Call) -> Told {
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    let header = |name: &str| answer.header(name).map(str::to_owned);
    let code = header("x-ms-error-code").unwrap_or_default();
    let headers = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), header(name)?))).collect();
    let body = answer.bytes(64 << 20).await.unwrap().to_vec();
    Told { status, code, headers, body }
}

pub async fn grant(test: &TestHouse, owner: &Secret<String>, principal: &str, role: uuid::Uuid, scope: &str) {
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
    let body = json!({"properties": {"roleDefinitionId": definition, "principalId": principal}});
    let place = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", uuid::Uuid::new_v4());
    let (status, answer) = test.ask(Some(owner), Method::PUT, &place, Some(&body)).await;
    assert_eq!(status, 201, "{answer}");
}

pub async fn storage_token(test: &TestHouse, app: &str, secret: &str, scope: &str) -> Secret<String> {
    let form = [("grant_type", "client_credentials"), ("client_id", app), ("client_secret", secret), ("scope", scope)];
    let place = format!("/{}/oauth2/v2.0/token", test.founded.tenant);
    let answer: Value = test.client().post(&place).form(&form).send_for_json().await.unwrap();
    Secret::new(answer["access_token"].as_str().unwrap().to_owned())
}
