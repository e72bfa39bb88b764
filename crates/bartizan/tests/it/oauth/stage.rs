//! A house with a person in a browser and an application of their own.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    gate::{Changes, Cx, Op, Row, enter},
    identity::{Application, COMMAND_LINE_CLIENT, Member, Person, Session, SignInWithPassword},
};
use kernel::{Action, AppId, Caller, Class, PrincipalId, PrincipalKind, ResourceId, Result, Secret, Source, Timestamp};
use outbound::{Call, Method};
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse};

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Of the verifier (RFC 7636, appendix B).
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const REDIRECT: &str = "https://app.example/cb";
pub const LOOPBACK: &str = "http://localhost:8400";
pub const SCOPE: &str = "https://management.azure.com/.default openid profile offline_access";

pub struct Stage {
    pub test: TestHouse,
    pub callers: Callers,
    /// The admin's browser.
    pub cookie: Secret<String>,
}

/// An answer of the token endpoint.
pub struct Told {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<String>,
}

impl Told {
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {}", self.body)).to_owned()
    }

    pub fn bearer(&self) -> Secret<String> {
        Secret::new(self.text("access_token"))
    }

    /// It is a refusal with this code and Entra's number.
    pub fn refuses(&self, error: &str, number: u32) {
        let found =
            (self.body["error"].as_str().unwrap_or_default(), self.body["error_codes"][0].as_u64().unwrap_or(0));
        assert_eq!(found, (error, u64::from(number)), "{}", self.body);
        let status = if error == "invalid_client" { 401 } else { 400 };
        assert_eq!(self.status, status);
        assert!(self.text("error_description").starts_with(&format!("AADSTS{number}: ")));
        assert!(self.body.get("access_token").is_none());
    }
}

/// Where the authorization endpoint sent a browser.
pub struct Sent {
    pub status: u16,
    pub location: String,
    pub html: String,
    pub policy: String,
    pub headers: BTreeMap<String, String>,
    /// The key that the browser was given on the way.
    pub browser: Option<String>,
}

impl Sent {
    /// The parameters of its answer, after `?` or `#`.
    pub fn answer(&self) -> BTreeMap<String, String> {
        assert_eq!(self.status, 303, "{}", self.html);
        let text = self.location.split_once(['?', '#']).unwrap_or_else(|| panic!("{}", self.location)).1;
        pairs(text)
    }

    pub fn is_to_sign_in(&self) -> bool {
        self.status == 303 && self.location.starts_with("/signin?")
    }

    /// Where the sign-in page would send the browser in the end.
    pub fn goes_on(&self) -> String {
        assert!(self.location.starts_with("/signin"), "{} {}", self.location, self.html);
        pairs(self.location.split_once('?').unwrap().1)["return"].clone()
    }
}

pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        let (mut bytes, mut out) = (text.bytes(), Vec::new());
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'%' => {
                    let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                b'+' => b' ',
                other => other,
            });
        }
        String::from_utf8(out).unwrap()
    };
    let split = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

pub fn escape(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    text.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

/// The claims of a token, unverified.
pub fn claims_of(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// A request with some parameters in the place of others, or added; empty ones are left out.
pub fn with<'a>(base: &[(&'a str, &'a str)], other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = base.iter().filter(|(name, _)| !other.iter().any(|(replaced, _)| replaced == name));
    kept.chain(other).filter(|(_, value)| !value.is_empty()).copied().collect()
}

impl Stage {
    pub async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        let cookie = sign_in(&test).await;
        Self { test, callers, cookie }
    }

    pub fn token_place(&self) -> String {
        format!("/{}/oauth2/v2.0/token", self.test.founded.tenant)
    }

    pub fn issuer(&self) -> String {
        format!("{}/{}/v2.0", self.test.house.settings().url, self.test.founded.tenant)
    }

    pub async fn post(&self, place: &str, form: &[(&str, &str)]) -> Told {
        let answer = self.test.client().post(place).form(form).send().await.unwrap();
        let (status, retry_after) = (answer.status().as_u16(), answer.header("retry-after").map(str::to_owned));
        let body = serde_json::from_slice(&answer.bytes(1 << 20).await.unwrap()).unwrap();
        Told { status, body, retry_after }
    }

    pub async fn token(&self, form: &[(&str, &str)]) -> Told {
        self.post(&self.token_place(), form).await
    }

    /// The parameters of an authorization request of a public application at its loopback address.
    pub fn asking<'a>(&self, other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let client: &'static str = Box::leak(COMMAND_LINE_CLIENT.to_string().into_boxed_str());
        let base = [
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", LOOPBACK),
            ("scope", SCOPE),
            ("state", "s t&1"),
            ("nonce", "n1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        with(&base, other)
    }

    /// A browser at the authorization endpoint.
    pub async fn browse(&self, parameters: &[(&str, &str)], cookie: Option<&Secret<String>>) -> Sent {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        self.visit(&format!("/{}/oauth2/v2.0/authorize?{}", self.test.founded.tenant, pairs.join("&")), cookie).await
    }

    pub async fn visit(&self, place: &str, cookie: Option<&Secret<String>>) -> Sent {
        self.visit_in(None, place, cookie).await
    }

    /// Back to where the sign-in page would send this browser in the end.
    pub async fn come_back(&self, sent: &Sent, cookie: &Secret<String>) -> Sent {
        self.visit_in(sent.browser.as_deref(), &sent.goes_on(), Some(cookie)).await
    }

    /// The same in a browser that has a key.
    pub async fn visit_in(&self, browser: Option<&str>, place: &str, cookie: Option<&Secret<String>>) -> Sent {
        self.send_in(self.test.client().call(Method::GET, place), browser, cookie).await
    }

    pub async fn send(&self, call: Call, cookie: Option<&Secret<String>>) -> Sent {
        self.send_in(call, None, cookie).await
    }

    async fn send_in(&self, mut call: Call, browser: Option<&str>, cookie: Option<&Secret<String>>) -> Sent {
        let session = cookie.map(|key| format!("__Host-bartizan={}", key.expose()));
        let browser = browser.map(|key| format!("__Host-bartizan-browser={key}"));
        let jar: Vec<String> = session.into_iter().chain(browser).collect();
        if !jar.is_empty() {
            call = call.header("cookie", &jar.join("; "));
        }
        let answer = call.send().await.unwrap();
        let said = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        let names = ["referrer-policy", "access-control-allow-origin", "cache-control", "x-frame-options"];
        let headers = names.map(|name| (name.to_owned(), said(name))).into_iter().collect();
        let (status, location) = (answer.status().as_u16(), said("location"));
        let policy = said("content-security-policy");
        let given = said("set-cookie");
        let browser = given.strip_prefix("__Host-bartizan-browser=").and_then(|rest| rest.split(';').next());
        let browser = browser.map(str::to_owned);
        let html = String::from_utf8(answer.bytes(1 << 20).await.unwrap().to_vec()).unwrap();
        Sent { status, location, html, policy, headers, browser }
    }

    /// The same by way of the sign-in page, on which the person goes on as who they are.
    pub async fn go_through(&self, parameters: &[(&str, &str)]) -> Sent {
        let first = self.browse(parameters, Some(&self.cookie)).await;
        if !first.is_to_sign_in() {
            return first;
        }
        self.visit(&first.goes_on(), Some(&self.cookie)).await
    }

    /// A code for the public application.
    pub async fn code(&self) -> String {
        self.go_through(&self.asking(&[])).await.answer()["code"].clone()
    }

    pub fn redeeming<'a>(&self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        let client: &'static str = Box::leak(COMMAND_LINE_CLIENT.to_string().into_boxed_str());
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", LOOPBACK),
            ("code_verifier", VERIFIER),
            ("client_info", "1"),
        ]
    }

    /// A set of tokens of the public application.
    pub async fn tokens(&self) -> Told {
        let code = self.code().await;
        let told = self.token(&self.redeeming(&code)).await;
        assert_eq!(told.status, 200, "{}", told.body);
        told
    }

    pub fn refreshing<'a>(&self, token: &'a str) -> Vec<(&'a str, &'a str)> {
        let client: &'static str = Box::leak(COMMAND_LINE_CLIENT.to_string().into_boxed_str());
        vec![("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]
    }

    /// The status that a bearer token gets at the resource manager.
    pub async fn status(&self, bearer: &Secret<String>) -> u16 {
        self.test.ask(Some(bearer), Method::GET, &self.test.workspace(), None).await.0
    }

    /// The admin's object id.
    pub async fn admin(&self) -> PrincipalId {
        let told = self.tokens().await;
        claims_of(&told.text("access_token"))["oid"].as_str().unwrap().parse().unwrap()
    }

    /// Writes something down as the directory would.
    pub async fn write<T: domain::gate::Record>(&self, id: &[u8], change: impl FnOnce(Option<T>) -> T + Send) {
        let op = Write { id: id.to_vec(), change, record: std::marker::PhantomData::<fn() -> T> };
        enter(&self.test.house, &Caller::house(), op).await.unwrap();
    }

    /// A confidential application with these properties; gives its id. Its secret is the founding one's.
    pub async fn register(&self, change: impl FnOnce(&mut Application) + Send) -> String {
        let (app, principal) = (AppId::random(), PrincipalId::random());
        let member = Member {
            id: principal,
            kind: PrincipalKind::ServicePrincipal,
            name: String::from("app"),
            app: Some(app),
            is_disabled: false,
            created_at: Timestamp(0),
            valid_from: Timestamp(0),
            managed_by: None,
        };
        self.write::<Member>(principal.as_bytes(), |_| member).await;
        let owner = self.application(self.test.founded.app).await;
        let mut application = Application { app, principal, redirect_uris: vec![String::from(REDIRECT)], ..owner };
        change(&mut application);
        self.write::<Application>(app.as_bytes(), |_| application).await;
        app.to_string()
    }

    /// From now on one factor is not enough for the admin.
    pub async fn demand_second_factor(&self) {
        struct Demand;
        #[async_trait]
        impl Op for Demand {
            const ACTION: Action = Action::new("Test/write", Class::Control);
            type Output = ();
            fn scope(&self) -> ResourceId {
                ResourceId::root()
            }
            async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
                let id = cx.system().name_id::<Person>("admin");
                let mut row: Row<Person> = cx.get(cx.system(), &id).await?.unwrap();
                row.value.needs_mfa = true;
                let mut changes = Changes::new();
                changes.put(cx.system(), &row)?;
                cx.commit(changes).await
            }
        }
        enter(&self.test.house, &Caller::house(), Demand).await.unwrap();
    }

    pub async fn application(&self, app: AppId) -> Application {
        struct Read(AppId);
        #[async_trait]
        impl Op for Read {
            const ACTION: Action = Action::new("Test/read", Class::Open);
            type Output = Application;
            fn scope(&self) -> ResourceId {
                ResourceId::root()
            }
            async fn run(self, cx: &Cx<'_, Self>) -> Result<Application> {
                Ok(cx.get::<Application>(cx.system(), self.0.as_bytes()).await?.unwrap().value)
            }
        }
        enter(&self.test.house, &Caller::house(), Read(app)).await.unwrap()
    }

    pub fn secret(&self) -> &str {
        self.test.founded.client_secret.expose()
    }

    pub async fn end(self) {
        self.test.end().await;
    }
}

struct Write<T, F> {
    id: Vec<u8>,
    change: F,
    record: std::marker::PhantomData<fn() -> T>,
}

#[async_trait]
impl<T: domain::gate::Record, F: FnOnce(Option<T>) -> T + Send> Op for Write<T, F> {
    const ACTION: Action = Action::new("Test/write", Class::Control);
    type Output = ();
    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }
    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let found = cx.get::<T>(cx.system(), &self.id).await?;
        let (version, value) = found.map_or((0, None), |row| (row.version, Some(row.value)));
        let row = Row { id: self.id, version, value: (self.change)(value) };
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await
    }
}

/// The admin signs in with a browser.
pub async fn sign_in(test: &TestHouse) -> Secret<String> {
    let password = Secret::new(String::from("correct horse battery"));
    let op = SignInWithPassword { user_name: String::from("admin"), password, agent: String::from("test") };
    enter(&test.house, &Caller::nobody(Source::internal()), op).await.unwrap().unwrap().cookie
}

/// A session that was ended.
pub fn end(found: Option<Session>, now: Timestamp) -> Session {
    let mut session = found.unwrap();
    session.ended_at = Some(now);
    session
}

/// A claims request for a second factor.
pub fn second_factor() -> String {
    json!({"access_token": {"acrs": {"essential": true, "value": "c1"}, "xms_cc": {"values": ["CP1"]}}}).to_string()
}
