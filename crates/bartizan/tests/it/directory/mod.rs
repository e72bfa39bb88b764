//! The directory through its doors: users, groups, applications, as Microsoft Graph's clients ask for them.

mod ending;
mod rights;
mod shapes;

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    access::{APPLICATION_ADMINISTRATOR, OWNER, READER, USER_ADMINISTRATOR},
    gate::enter,
    identity::{COMMAND_LINE_CLIENT, SignInWithPassword},
};
use kernel::{Caller, Secret, Source};
use outbound::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Callers, TestHouse, Who};

const GRAPH: &str = "/graph/v1.0";
const PASSWORD: &str = "gravel teapot misnomer";
const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-rules-of-rfc-7636";

/// A house and what is asked of its directory.
struct Office {
    test: TestHouse,
    callers: Callers,
}

type Told = (u16, Value);

impl Office {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        Self { test, callers }
    }

    fn owner(&self) -> Secret<String> {
        self.callers.token(Who::Owner).unwrap().clone()
    }

    async fn ask(&self, token: &Secret<String>, method: Method, place: &str, body: &Value) -> Told {
        let body = (!body.is_null()).then_some(body);
        self.test.ask(Some(token), method, &format!("{GRAPH}/{place}"), body).await
    }

    async fn get(&self, place: &str) -> Value {
        let (status, body) = self.ask(&self.owner(), Method::GET, place, &Value::Null).await;
        assert_eq!(status, 200, "{place}: {body}");
        body
    }

    async fn post(&self, place: &str, body: Value) -> Value {
        let (status, answer) = self.ask(&self.owner(), Method::POST, place, &body).await;
        assert!((200..300).contains(&status), "{place}: {status} {answer}");
        answer
    }

    async fn patch(&self, place: &str, body: Value) {
        let (status, answer) = self.ask(&self.owner(), Method::PATCH, place, &body).await;
        assert_eq!((status, &answer), (204, &Value::Null), "{place}");
    }

    async fn delete(&self, place: &str) {
        let (status, answer) = self.ask(&self.owner(), Method::DELETE, place, &Value::Null).await;
        assert_eq!((status, &answer), (204, &Value::Null), "{place}");
    }

    /// A user with the password of all, who need not change it; the object id.
    async fn user(&self, name: &str) -> String {
        let body = json!({
            "userPrincipalName": name,
            "displayName": name,
            "accountEnabled": true,
            "mailNickname": name.split('@').next(),
            "passwordProfile": {"password": PASSWORD, "forceChangePasswordNextSignIn": false},
        });
        text(&self.post("users", body).await["id"])
    }

    async fn group(&self, name: &str) -> String {
        let body = json!({"displayName": name, "mailEnabled": false, "securityEnabled": true, "mailNickname": "x"});
        text(&self.post("groups", body).await["id"])
    }

    async fn put_into(&self, token: &Secret<String>, group: &str, member: &str) -> u16 {
        let body = json!({"@odata.id": format!("https://graph.example/v1.0/directoryObjects/{member}")});
        self.ask(token, Method::POST, &format!("groups/{group}/members/$ref"), &body).await.0
    }

    async fn grant(&self, principal: &str, role: Uuid, scope: &str) -> u16 {
        let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": principal}});
        let place = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", Uuid::new_v4());
        self.test.ask(Some(&self.owner()), Method::PUT, &place, Some(&body)).await.0
    }

    /// What the sign-in says to a person: a token, or the refusal.
    async fn sign_in(&self, name: &str, password: &str) -> Result<Secret<String>, String> {
        let (url, tenant) = (self.test.house.settings().url.clone(), self.test.founded.tenant);
        let challenge = URL_SAFE_NO_PAD.encode(seal::Sha256::of(VERIFIER.as_bytes()));
        let (client, scope) =
            (COMMAND_LINE_CLIENT.to_string(), format!("{url}/.default openid profile offline_access"));
        let query = [
            ("client_id", client.as_str()),
            ("response_type", "code"),
            ("redirect_uri", "http://localhost"),
            ("scope", &scope),
            ("state", "s"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let place = format!("/{tenant}/oauth2/v2.0/authorize");
        let asked = self.test.client().get(&place).query(&query).send().await.unwrap();
        // A sign-in counts for a request that came before it, in the same browser; the way back says which.
        let browser = asked.header("set-cookie").and_then(|line| line.split(';').next()).unwrap().to_owned();
        let back = asked.header("location").and_then(|to| to.strip_prefix("/signin?return=")).map(unescape).unwrap();
        let op = SignInWithPassword {
            user_name: name.to_owned(),
            password: Secret::new(password.to_owned()),
            agent: String::from("a test"),
        };
        let step = enter(&self.test.house, &Caller::nobody(Source::internal()), op).await.unwrap();
        let cookie = step.map_err(|refusal| format!("{refusal:?}"))?.cookie;
        let cookie = format!("__Host-bartizan={}; {browser}", cookie.expose());
        let answer = self.test.client().get(&back).header("cookie", &cookie).send().await.unwrap();
        let location = answer.header("location").unwrap_or_default().to_owned();
        let code = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).ok_or(location.clone())?;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client.as_str()),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", "http://localhost"),
            ("scope", &scope),
        ];
        let token: Value =
            self.test.client().post(&format!("/{tenant}/oauth2/v2.0/token")).form(&form).send_for_json().await.unwrap();
        Ok(Secret::new(text(&token["access_token"])))
    }

    /// What the token may do with the workspace: 200, 404 when it may not know of it, 401 when it is no token.
    async fn reads(&self, token: &Secret<String>) -> u16 {
        self.test.ask(Some(token), Method::GET, &self.test.workspace(), None).await.0
    }

    /// Time goes on: sign-ins of one second are not told from what was revoked in it.
    fn pass(&self) {
        self.test.clock.advance(Duration::from_secs(1));
    }

    async fn end(self) {
        self.test.end().await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().as_bytes().to_vec();
    let bytes = parts.fold(first, |mut bytes, part| {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
        bytes
    });
    String::from_utf8(bytes).unwrap()
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<_> = list["value"].as_array().unwrap().iter().map(|entry| text(&entry["displayName"])).collect();
    names.sort();
    names
}
