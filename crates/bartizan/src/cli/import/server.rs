//! One of the two sides: an MLflow server elsewhere, or a workspace here, which speaks the same.
//!
//! What the source says is not trusted: answers and lists are bounded, no redirect is followed, its addresses lead nowhere, and
//! nothing that it names becomes the name of a file.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::Stream;
use kernel::{Clock, Secret, SystemClock};
use outbound::{Answer, Call, Client, Method, Timeouts};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{
    bounds::{Bounds, Weight},
    fault::{Fault, clean},
    options::Mlflow,
};
use crate::{
    cli::{Session, SessionOptions},
    failure::Failure,
};

/// Most items of one list: beyond it a list is taken to have no end.
const MOST_ITEMS: usize = 2_000_000;
/// Most bytes of one answer in JSON.
const MOST_JSON: usize = 64 << 20;
/// Times that a call is tried.
const TRIES: u32 = 5;

/// One of the two sides.
pub struct Server {
    client: Client,
    /// What stands before `/api/…`, without the host.
    base: String,
    name: String,
    credential: Credential,
}

enum Credential {
    /// The value of the header, if there is one.
    Given(Option<Secret<String>>),
    /// A token of this server and when it expires, in epoch seconds; renewed before.
    Signed { options: Box<SessionOptions>, kept: Mutex<(Secret<String>, i64)> },
}

impl Server {
    /// The source.
    pub fn named(options: &Mlflow) -> Result<Self, Failure> {
        let refuse = |why: &str| Failure::usage(format!("--from {}: {why}", clean(&options.from)));
        let (scheme, rest) = options.from.split_once("://").ok_or_else(|| {
            refuse(
                "it is no address of a server; stores of files are brought by a server over them, like `mlflow server \
                    --backend-store-uri PATH`",
            )
        })?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(scheme, "http" | "https") || path.contains(['?', '#', '%']) || host.contains('@') {
            return Err(refuse(
                "say `http://HOST` or `https://HOST`, with a path at most; credentials come from the environment",
            ));
        }
        let base = path.trim_matches('/');
        if base.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(refuse("its path is not in the shortest form"));
        }
        let base = if base.is_empty() { String::new() } else { format!("/{base}") };
        let pem = match &options.from_ca {
            Some(file) => {
                let cannot = |fault| Failure::usage(format!("cannot read {}: {fault}", file.display()));
                Some(std::fs::read(file).map_err(cannot)?)
            }
            None => None,
        };
        let credential = given();
        let is_here = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|here| host.strip_prefix(here).is_some_and(|port| port.is_empty() || port.starts_with(':')));
        if credential.is_some() && scheme == "http" && !is_here {
            return Err(refuse("a credential is sent over https only"));
        }
        let timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(120) };
        let client = Client::to_named_server(&format!("{scheme}://{host}"), pem.as_deref(), timeouts)?;
        let name = format!("{}{base}", client.base());
        Ok(Self { client, base, name, credential: Credential::Given(credential) })
    }

    /// The workspace.
    pub async fn workspace(options: &SessionOptions) -> Result<Self, Failure> {
        let (session, (expires, _)) = Session::open_to(options, None).await?;
        let base = format!("/mlflow/v1.0{}", session.workspace()?);
        let kept = Mutex::new((session.token().clone(), expires));
        let credential = Credential::Signed { options: Box::new(options.clone()), kept };
        Ok(Self { client: session.client().clone(), name: String::from("the workspace"), base, credential })
    }

    /// Its address, without credentials.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, method: &Method, place: &str) -> Result<Call, Fault> {
        let call = self.client.call(method.clone(), &format!("{}{place}", self.base));
        match &self.credential {
            Credential::Given(None) => Ok(call),
            Credential::Given(Some(header)) => Ok(call.authorization(header)),
            Credential::Signed { options, kept } => {
                let mut kept = kept.lock().await;
                if SystemClock.now().seconds().saturating_add(300) > kept.1 {
                    let (session, (expires, _)) =
                        Session::open_to(options, None).await.map_err(|fault| Fault::new(fault.to_string()))?;
                    *kept = (session.token().clone(), expires);
                }
                Ok(call.bearer(&kept.0))
            }
        }
    }

    /// Goes on with a success; everything else is a fault.
    async fn success(answer: Answer) -> Result<Answer, Fault> {
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        if (300..400).contains(&status) {
            return Err(Fault { status, ..Fault::new("the server sends elsewhere, and no redirect is followed") });
        }
        let said = answer.bytes(64 << 10).await.unwrap_or_default();
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        let words = said.get("message").and_then(Value::as_str).unwrap_or_default();
        let code = said.get("error_code").and_then(Value::as_str).unwrap_or_default();
        let may_pass = matches!(status, 408 | 429 | 500 | 502 | 503 | 504);
        Err(Fault { code: clean(code), words: format!("it answered {status}: {}", clean(words)), status, may_pass })
    }

    async fn once(
        &self,
        method: &Method,
        place: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Bytes, Fault> {
        let mut call = self.call(method, place).await?.query(query);
        if let Some(body) = body {
            call = call.json(body);
        }
        Ok(Self::success(call.send().await?).await?.bytes(MOST_JSON).await?)
    }

    /// The bytes of an answer, which is JSON. Tries again what may pass; what is asked for here may be asked for twice.
    pub async fn bytes(
        &self,
        method: Method,
        place: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Bytes, Fault> {
        let mut tried: u32 = 0;
        loop {
            tried = tried.saturating_add(1);
            match self.once(&method, place, query, body).await {
                Err(fault) if fault.may_pass && tried < TRIES => {
                    tokio::time::sleep(Duration::from_millis(250u64.saturating_mul(1 << tried))).await;
                }
                Err(fault) => {
                    let words = format!("{} {}: {}", clean(&self.name), clean(place), fault.words);
                    return Err(Fault { words, ..fault });
                }
                done => return done,
            }
        }
    }

    /// An answer in JSON.
    pub async fn json(
        &self,
        method: Method,
        place: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let bytes = self.bytes(method, place, query, body).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|fault| {
            Fault::new(format!("{} {}: it answered no JSON: {fault}", clean(&self.name), clean(place)))
        })
    }

    /// GET below `/api/2.0/mlflow`.
    pub async fn get(&self, place: &str, query: &[(&str, &str)]) -> Result<Value, Fault> {
        self.json(Method::GET, &format!("/api/2.0/mlflow/{place}"), query, None).await
    }

    /// The same; nothing where there is no such thing.
    pub async fn find(&self, place: &str, query: &[(&str, &str)]) -> Result<Option<Value>, Fault> {
        match self.get(place, query).await {
            Err(fault) if fault.is_missing() => Ok(None),
            found => found.map(Some),
        }
    }

    /// POST below `/api/2.0/mlflow`.
    pub async fn post(&self, place: &str, body: &Value) -> Result<Value, Fault> {
        self.json(Method::POST, &format!("/api/2.0/mlflow/{place}"), &[], Some(body)).await
    }

    /// PATCH below `/api/2.0/mlflow`.
    pub async fn patch(&self, place: &str, body: &Value) -> Result<Value, Fault> {
        self.json(Method::PATCH, &format!("/api/2.0/mlflow/{place}"), &[], Some(body)).await
    }

    /// POST of our own operations that take something over; whether it was new.
    pub async fn take_over(&self, what: &str, body: &Value) -> Result<bool, Fault> {
        match self.json(Method::POST, &format!("/api/2.0/bartizan/import/{what}"), &[], Some(body)).await {
            // Another try of the same call may have got through.
            Err(fault) if fault.is_taken() => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// What is picked of all items of a list that is asked for by POST, or by GET where `is_query`.
    pub async fn pages<T: Weight>(
        &self,
        place: &str,
        mut ask: Value,
        name: &str,
        is_query: bool,
        pick: impl Fn(Value) -> T,
    ) -> Result<Vec<T>, Fault> {
        let mut items: Vec<T> = Vec::new();
        let mut token = String::new();
        let mut bounds = Bounds::default();
        let named = |fault: Fault| Fault::new(format!("{} {place}: {}", self.name, fault.words));
        loop {
            if !token.is_empty()
                && let Some(fields) = ask.as_object_mut()
            {
                fields.insert(String::from("page_token"), json!(token));
            }
            let mut page = if is_query {
                let fields: Vec<(&str, &str)> = ask
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
                    .collect();
                self.get(place, &fields).await?
            } else {
                self.post(place, &ask).await?
            };
            let next = page.get("next_page_token").and_then(Value::as_str).unwrap_or_default().to_owned();
            let found = match page.get_mut(name).map(Value::take) {
                Some(Value::Array(found)) => found,
                _ => Vec::new(),
            };
            let is_empty = found.is_empty();
            for one in found {
                let item = pick(one);
                bounds.hold(item.weight()).map_err(named)?;
                items.push(item);
            }
            if items.len() > MOST_ITEMS {
                return Err(Fault::new(format!("{} {place}: the list has more than {MOST_ITEMS} items", self.name)));
            }
            if next.is_empty() {
                return Ok(items);
            }
            if is_empty {
                return Err(named(Fault::new("the list does not go on from page to page")));
            }
            bounds.go_on(&next).map_err(named)?;
            token = next;
        }
    }

    /// Begins to read a file; at most once, since it is read as a stream.
    pub async fn download(&self, path: &str) -> Result<Answer, Fault> {
        let place = format!("/api/2.0/mlflow-artifacts/artifacts/{}", escaped(path));
        let mut tried: u32 = 0;
        loop {
            tried = tried.saturating_add(1);
            let call = self.call(&Method::GET, &place).await?.without_deadline();
            let found = match call.send().await {
                Ok(answer) => Self::success(answer).await,
                Err(fault) => Err(fault.into()),
            };
            match found {
                Err(fault) if fault.may_pass && tried < TRIES => {
                    tokio::time::sleep(Duration::from_millis(250u64.saturating_mul(1 << tried))).await;
                }
                done => return done,
            }
        }
    }

    /// Writes a file.
    pub async fn upload<S>(&self, path: &str, length: Option<u64>, pieces: S) -> Result<(), Fault>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let place = format!("/api/2.0/mlflow-artifacts/artifacts/{}", escaped(path));
        let call = self.call(&Method::PUT, &place).await?.stream("application/octet-stream", length, pieces);
        Self::success(call.send().await?).await.map(drop)
    }

    /// What it says of its version; empty where it does not.
    pub async fn version(&self) -> String {
        let place = "/version";
        match self.once(&Method::GET, place, &[], None).await {
            Ok(said) if said.len() < 40 => clean(String::from_utf8_lossy(&said).trim()),
            _ => String::new(),
        }
    }
}

/// A credential for the source, from the environment.
fn given() -> Option<Secret<String>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new);
    if let Some(token) = variable("BARTIZAN_IMPORT_TOKEN") {
        return Some(Secret::new(["Bearer ", token.expose()].concat()));
    }
    let (name, password) = (variable("BARTIZAN_IMPORT_USERNAME")?, variable("BARTIZAN_IMPORT_PASSWORD")?);
    let pair = Secret::new([name.expose().as_str(), ":", password.expose()].concat());
    Some(Secret::new(["Basic ", &STANDARD.encode(pair.expose())].concat()))
}

/// A path with everything escaped but what never means anything.
fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_afar_cannot_leave_their_place() {
        assert_eq!(escaped("a b/ü?#%2e"), "a%20b/%C3%BC%3F%23%252e");
    }
}
