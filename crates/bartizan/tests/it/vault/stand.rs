//! A house whose workspace's vault is used, with people who hold roles there.

use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Callers, TestHouse, Who};

/// A vault in a house.
pub struct Bank {
    pub test: TestHouse,
    pub callers: Callers,
    /// The vault's resource id.
    pub id: String,
}

/// Somebody: how they sign in.
pub struct Person {
    pub app: String,
    pub secret: Secret<String>,
    /// Object id.
    pub id: String,
}

impl Bank {
    /// The vault of the workspace that every house has.
    pub async fn new() -> Self {
        Self::at(TestHouse::new().await).await
    }

    /// The same in a house that is there.
    pub async fn at((test, callers): (TestHouse, Callers)) -> Self {
        let (_, ws) = test.ask(callers.token(Who::Owner), Method::GET, &test.workspace(), None).await;
        let id = ws["properties"]["keyVault"].as_str().unwrap().to_owned();
        Self { test, callers, id }
    }

    /// One more vault of the group.
    pub async fn another(&self, name: &str) -> String {
        let id = format!("{}/providers/Microsoft.KeyVault/vaults/{name}", self.test.group());
        let (status, made) = self.test.ask(self.owner(), Method::PUT, &id, Some(&json!({"location": "local"}))).await;
        assert_eq!(status, 201, "{made}");
        id
    }

    /// The owner's token for management.
    pub fn owner(&self) -> Option<&Secret<String>> {
        self.callers.token(Who::Owner)
    }

    pub fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap()
    }

    /// The port that the server listens on.
    pub fn port(&self) -> String {
        self.test.house.settings().url.rsplit(':').next().unwrap().to_owned()
    }

    /// What tokens for vaults are asked for.
    pub fn resource(&self) -> String {
        format!("https://vault.bartizan.test:{}", self.port())
    }

    /// A service principal without any role.
    pub async fn person(&self, name: &str) -> Person {
        let place = "/graph/v1.0/servicePrincipals";
        let (status, made) =
            self.test.ask(self.owner(), Method::POST, place, Some(&json!({"displayName": name}))).await;
        assert_eq!(status, 201, "{made}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let secret = Secret::new(text(&made["passwordCredentials"][0]["secretText"]));
        Person { app: text(&made["appId"]), secret, id: text(&made["id"]) }
    }

    /// Gives somebody a role at a scope.
    pub async fn assign(&self, id: &str, role: Uuid, scope: &str) -> u16 {
        let owner = self.test.owner_again().await;
        let place = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{}", Uuid::new_v4());
        let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": id}});
        let (status, answer) = self.test.ask(Some(&owner), Method::PUT, &place, Some(&body)).await;
        assert!(status == 201 || status >= 400, "{answer}");
        status
    }

    /// A token of somebody's for a resource.
    pub async fn token(&self, app: &str, secret: &Secret<String>, resource: &str) -> Secret<String> {
        let scope = format!("{resource}/.default");
        let secret = secret.expose().as_str();
        let form =
            [("grant_type", "client_credentials"), ("client_id", app), ("client_secret", secret), ("scope", &scope)];
        let place = format!("/{}/oauth2/v2.0/token", self.test.founded.tenant);
        let answer: Value = self.test.client().post(&place).form(&form).send_for_json().await.unwrap();
        Secret::new(answer["access_token"].as_str().unwrap().to_owned())
    }

    /// A person with these roles, by a token for vaults.
    pub async fn with(&self, name: &str, roles: &[(Uuid, &str)]) -> Secret<String> {
        let person = self.person(name).await;
        for (role, scope) in roles {
            assert_eq!(self.assign(&person.id, *role, scope).await, 201, "{name}");
        }
        self.token(&person.app, &person.secret, &self.resource()).await
    }

    /// Somebody who may do everything with what the vault holds.
    pub async fn keeper(&self) -> Secret<String> {
        self.with("keeper", &[(domain::access::KEY_VAULT_ADMINISTRATOR, &self.test.group())]).await
    }

    /// The owner of the subscription, by a token for vaults.
    pub async fn owner_at_vaults(&self) -> Secret<String> {
        let founded = &self.test.founded;
        self.token(&founded.app.to_string(), &founded.client_secret, &self.resource()).await
    }

    /// A request to the vault.
    pub async fn ask(&self, who: &Secret<String>, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.ask_at(self.name(), who, method, path, body).await
    }

    /// A request to any vault.
    pub async fn ask_at(
        &self,
        vault: &str,
        who: &Secret<String>,
        method: Method,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let sign = if path.contains('?') { '&' } else { '?' };
        let place = format!("/vaults/{vault}/{path}{sign}api-version=7.6");
        self.test.ask(Some(who), method, &place, Some(&body).filter(|body| !body.is_null())).await
    }

    /// Sets a secret; gives its id.
    pub async fn set(&self, who: &Secret<String>, name: &str, value: &str) -> String {
        let (status, made) = self.ask(who, Method::PUT, &format!("secrets/{name}"), json!({"value": value})).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }
}
