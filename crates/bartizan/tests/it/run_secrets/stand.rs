//! A house with secrets in its workspace's vault, people who submit jobs, and agents that begin them.

use domain::work::look_once;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::vault::Bank;

pub const ML: &str = "Microsoft.MachineLearningServices/workspaces";

/// The stand.
pub struct Scene {
    pub bank: Bank,
    /// Somebody who keeps the vault.
    pub keeper: Secret<String>,
}

/// An agent that began its run.
pub struct Agent {
    pub run: String,
    pub token: Secret<String>,
    pub assignment: Value,
}

impl Scene {
    pub async fn new() -> Self {
        let bank = Bank::new().await;
        let keeper = bank.keeper().await;
        Self { bank, keeper }
    }

    pub fn owner(&self) -> &Secret<String> {
        self.bank.owner().unwrap()
    }

    pub fn job(&self, name: &str) -> String {
        format!("{}/jobs/{name}", self.bank.test.workspace())
    }

    pub async fn ask(&self, who: &Secret<String>, method: Method, place: &str, body: Value) -> (u16, Value) {
        self.bank.test.ask(Some(who), method, place, Some(&body).filter(|body| !body.is_null())).await
    }

    /// Submits a job with these variables.
    pub async fn submit(&self, who: &Secret<String>, name: &str, variables: Value) -> (u16, Value) {
        let job = json!({"jobType": "Command", "command": "python train.py", "environmentVariables": variables});
        self.ask(who, Method::PUT, &self.job(name), json!({"properties": job})).await
    }

    /// Lets the target start what is queued, and the agent of a run say its first word.
    pub async fn begin(&self, run: &str) -> Agent {
        look_once(&self.bank.test.house, true).await.unwrap();
        let messages: Vec<Value> = {
            let started = self.bank.test.computer.started.lock().unwrap();
            started.values().map(|spec| serde_json::from_str(spec.bootstrap.expose()).unwrap()).collect()
        };
        let message = messages.iter().find(|message| message["run"] == run).expect("the run was started");
        let token = Secret::new(message["token"].as_str().unwrap().to_owned());
        let body = json!({"version": "test", "missing_walls": []});
        let (status, assignment) = self.ask(&token, Method::POST, &agent(run, "start"), body).await;
        assert_eq!(status, 200, "{assignment}");
        let token = Secret::new(assignment["run_token"].as_str().unwrap().to_owned());
        Agent { run: run.to_owned(), token, assignment }
    }

    /// What an agent gets when it asks for its run's secrets.
    pub async fn fetch(&self, who: &Secret<String>, run: &str) -> (u16, Value) {
        self.ask(who, Method::GET, &agent(run, "secrets"), Value::Null).await
    }

    /// A person with a role of these actions at the workspace; and the place of the assignment.
    pub async fn with_actions(&self, name: &str, actions: &[&str]) -> (Secret<String>, String) {
        let (test, workspace) = (&self.bank.test, self.bank.test.workspace());
        let person = self.bank.person(name).await;
        let (role, owner) = (Uuid::new_v4(), test.owner_again().await);
        let place = |kind: &str, id: Uuid| format!("{workspace}/providers/Microsoft.Authorization/{kind}/{id}");
        let permission = json!({"actions": actions, "notActions": [], "dataActions": [], "notDataActions": []});
        let body = json!({"properties": {
            "roleName": name, "type": "CustomRole", "description": "", "assignableScopes": [workspace], "permissions": [permission],
        }});
        let (status, made) = self.ask(&owner, Method::PUT, &place("roleDefinitions", role), body).await;
        assert_eq!(status, 201, "{made}");
        let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"roleDefinitionId": definition, "principalId": person.id}});
        let assignment = place("roleAssignments", Uuid::new_v4());
        let (status, made) = self.ask(&owner, Method::PUT, &assignment, body).await;
        assert_eq!(status, 201, "{made}");
        (test.token(&person.app, person.secret.expose()).await.unwrap(), assignment)
    }

    /// All that the activity log shows of an action.
    pub async fn records(&self, action: &str) -> Vec<Value> {
        self.bank.test.house.flush_reads().await.unwrap();
        let place = "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01";
        let place = format!("{}{place}", self.bank.test.subscription());
        let (status, log) = self.ask(self.owner(), Method::GET, &place, Value::Null).await;
        assert_eq!(status, 200, "{log}");
        let all = log["value"].as_array().unwrap().iter();
        all.filter(|event| event["operationName"]["value"] == action).cloned().collect()
    }
}

/// A place of the agents' face.
fn agent(run: &str, below: &str) -> String {
    format!("/agent/v1/runs/{run}/{below}")
}

impl Agent {
    pub async fn finish(&self, scene: &Scene) {
        let body = json!({"state": "Completed", "missing_walls": []});
        let (status, said) = scene.ask(&self.token, Method::POST, &agent(&self.run, "finish"), body).await;
        assert_eq!(status, 204, "{said}");
    }
}
