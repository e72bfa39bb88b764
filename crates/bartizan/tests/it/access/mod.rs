//! Roles through their doors: definitions that people write, what keeps them in bounds, and what is asked about them.

mod approvals;
mod approved;
mod elevation;
mod forgotten;
mod guarded;
mod insight;
mod matrix;
mod roles;
mod whole_group;

use domain::access::{CONTRIBUTOR, READER};
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{Callers, TestHouse, Who};

const ML: &str = "Microsoft.MachineLearningServices/workspaces";

/// A house with people in it.
struct Town {
    test: TestHouse,
    callers: Callers,
}

/// Somebody: object id and token.
type Person = (String, Secret<String>);

impl Town {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        Self { test, callers }
    }

    fn owner(&self) -> &Secret<String> {
        self.callers.token(Who::Owner).unwrap()
    }

    async fn ask(&self, who: &Secret<String>, method: Method, place: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then_some(body);
        self.test.ask(Some(who), method, place, body).await
    }

    /// A service principal that holds nothing yet.
    async fn person(&self, name: &str) -> Person {
        self.test.principal(self.owner(), name, None).await
    }

    fn at(scope: &str, place: &str) -> String {
        format!("{scope}/providers/Microsoft.Authorization/{place}")
    }

    /// Writes a role.
    async fn define(&self, who: &Secret<String>, id: Uuid, properties: &Value) -> (u16, Value) {
        let place = Self::at(&self.test.subscription(), &format!("roleDefinitions/{id}"));
        self.ask(who, Method::PUT, &place, &json!({"properties": properties})).await
    }

    /// Assigns a role; gives the place of the assignment too.
    async fn assign(&self, who: &Secret<String>, person: &str, role: Uuid, scope: &str) -> (u16, Value, String) {
        let place = Self::at(scope, &format!("roleAssignments/{}", Uuid::new_v4()));
        let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": person}});
        let (status, answer) = self.ask(who, Method::PUT, &place, &body).await;
        (status, answer, place)
    }

    async fn post(&self, who: &Secret<String>, scope: &str, place: &str, body: &Value) -> (u16, Value) {
        self.ask(who, Method::POST, &Self::at(scope, place), body).await
    }

    /// A second group, beside the one that every test has.
    async fn another_group(&self) -> String {
        let group = format!("{}/resourceGroups/other", self.test.subscription());
        assert_eq!(self.ask(self.owner(), Method::PUT, &group, &json!({"location": "local"})).await.0, 201);
        group
    }
}

/// A role of these actions that can be assigned at these scopes.
fn role(name: &str, actions: &[&str], not_actions: &[&str], scopes: &[&str]) -> Value {
    json!({
        "roleName": name,
        "type": "CustomRole",
        "description": "",
        "assignableScopes": scopes,
        "permissions": [{"actions": actions, "notActions": not_actions, "dataActions": [], "notDataActions": []}],
    })
}
