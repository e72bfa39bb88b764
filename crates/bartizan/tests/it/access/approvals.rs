//! Approvals through their doors: what takes the word of others runs with it, once, and never without.

use std::time::Duration;

use domain::{
    access::{DecideApproval, OWNER},
    gate::enter,
};
use kernel::{Caller, Principal, PrincipalId, PrincipalKind, Proof, Source};

use super::*;

fn approvals(approvals: u8, principals: &[&str]) -> Value {
    json!({"operation": "roleGrant", "approvals": approvals, "approvers": {"principals": principals}})
}

impl Town {
    async fn rule(&self, scope: &str, properties: &Value) -> String {
        let place = Self::at(scope, &format!("approvalRules/{}", Uuid::new_v4()));
        let (status, answer) = self.ask(self.owner(), Method::PUT, &place, &json!({"properties": properties})).await;
        assert_eq!(status, 201, "{answer}");
        place
    }

    async fn decide(&self, who: &Secret<String>, request: &str, verb: &str) -> (u16, Value) {
        self.ask(who, Method::POST, &format!("{request}/{verb}"), &json!({"comment": "looked at it"})).await
    }

    async fn status(&self, request: &str) -> String {
        let (_, found) = self.ask(self.owner(), Method::GET, request, &Value::Null).await;
        found["properties"]["status"].as_str().unwrap_or_default().to_owned()
    }
}

/// The request that an answer names.
fn request_of(answer: &Value, code: &str) -> String {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    answer["error"]["target"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn x25_a_grant_runs_once_with_the_approval_of_two_others_and_its_record_names_them() {
    let town = Town::new().await;
    let [bob, carol, dave, eve] =
        [town.person("bob").await, town.person("carol").await, town.person("dave").await, town.person("eve").await];
    let (owner, group) = (town.owner(), town.test.group());
    town.rule(&group, &approvals(2, &[&bob.0, &carol.0, &dave.0])).await;
    // Elsewhere nothing has changed, and what is another kind of thing has not either.
    let other = town.another_group().await;
    assert_eq!(town.assign(owner, &eve.0, READER, &other).await.0, 201);
    assert_eq!(town.ask(owner, Method::PATCH, &town.test.workspace(), &json!({"tags": {"a": "b"}})).await.0, 200);

    let ws = town.test.workspace();
    let (status, answer, _) = town.assign(owner, &eve.0, CONTRIBUTOR, &ws).await;
    assert_eq!(status, 409, "{answer}");
    let request = request_of(&answer, "ApprovalRequired");
    assert!(answer["error"]["message"].as_str().unwrap().contains("0 of 2"), "{answer}");
    let (status, answer) = town.decide(owner, &request, "approve").await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("SelfApproval")), "{answer}");
    let reader = town.callers.token(Who::Reader).unwrap();
    assert_eq!(town.decide(reader, &request, "approve").await.0, 403);
    assert_eq!(town.decide(&eve.1, &request, "approve").await.0, 404);
    // An approver sees what is asked without holding any role.
    let (status, seen) = town.ask(&bob.1, Method::GET, &request, &Value::Null).await;
    assert_eq!(status, 200, "{seen}");
    assert_eq!(seen["properties"]["operation"]["role"]["name"], "Contributor");
    assert_eq!(seen["properties"]["operation"]["principal"]["name"], "eve");
    let list = Town::at(&town.test.subscription(), "approvalRequests?$filter=status%20eq%20'Pending'");
    assert_eq!(town.ask(&bob.1, Method::GET, &list, &Value::Null).await.1["value"].as_array().unwrap().len(), 1);
    assert_eq!(town.ask(&eve.1, Method::GET, &list, &Value::Null).await.0, 403);

    assert_eq!(town.decide(&bob.1, &request, "approve").await.0, 200);
    assert_eq!(town.decide(&bob.1, &request, "approve").await.0, 409, "each person once");
    let (_, answer, _) = town.assign(owner, &eve.0, CONTRIBUTOR, &ws).await;
    assert_eq!(request_of(&answer, "ApprovalRequired"), request);
    assert!(answer["error"]["message"].as_str().unwrap().contains("1 of 2"), "{answer}");
    assert_eq!(town.decide(&carol.1, &request, "approve").await.0, 200);
    assert_eq!(town.status(&request).await, "Approved");
    // Another role, another principal, another scope or another caller is not what was approved.
    let (_, answer, _) = town.assign(owner, &eve.0, OWNER, &ws).await;
    assert_ne!(request_of(&answer, "ApprovalRequired"), request);
    let (_, answer, _) = town.assign(owner, &dave.0, CONTRIBUTOR, &ws).await;
    assert_ne!(request_of(&answer, "ApprovalRequired"), request);
    let (_, answer, _) = town.assign(owner, &eve.0, CONTRIBUTOR, &group).await;
    assert_ne!(request_of(&answer, "ApprovalRequired"), request);

    // Of several who send it at once, one is done.
    let send = || town.assign(owner, &eve.0, CONTRIBUTOR, &ws);
    let (a, b, c) = tokio::join!(send(), send(), send());
    let mut statuses = [a.0, b.0, c.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409], "{} {} {}", a.1, b.1, c.1);
    assert_eq!(town.status(&request).await, "Used");
    assert_eq!(town.decide(&dave.1, &request, "deny").await.0, 409);
    let place = [a, b, c].into_iter().find(|(status, ..)| *status == 201).unwrap().2;
    assert_eq!(town.ask(owner, Method::DELETE, &place, &Value::Null).await.0, 200);
    let (status, answer, _) = town.assign(owner, &eve.0, CONTRIBUTOR, &ws).await;
    assert_eq!(status, 409, "it counted once: {answer}");

    let made = town.records("Microsoft.Authorization/roleAssignments/write").await;
    let name = request.rsplit('/').next().unwrap();
    let done =
        made.iter().find(|entry| entry["status"]["value"] == "Succeeded" && entry.to_string().contains(name)).unwrap();
    for who in [&bob.0, &carol.0, &town.test.founded.principal.to_string()] {
        assert!(done.to_string().contains(who), "{who}: {done}");
    }
    let said = town.records("Microsoft.Authorization/approvalRequests/decisions/write").await;
    assert!(said.iter().filter(|entry| entry.to_string().contains("approved")).count() >= 2, "{said:?}");
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x25_what_is_denied_or_expired_does_not_run() {
    let town = Town::new().await;
    let [bob, carol, eve] = [town.person("bob").await, town.person("carol").await, town.person("eve").await];
    let (owner, group) = (town.owner(), town.test.group());
    let mut terms = approvals(1, &[&bob.0, &carol.0]);
    terms["requestLifetime"] = json!("PT10M");
    town.rule(&group, &terms).await;
    let denied = request_of(&town.assign(owner, &eve.0, READER, &group).await.1, "ApprovalRequired");
    assert_eq!(town.decide(&bob.1, &denied, "deny").await.1["properties"]["status"], "Denied");
    let (status, answer, _) = town.assign(owner, &eve.0, READER, &group).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("ApprovalDenied")), "{answer}");
    assert_eq!(town.decide(&carol.1, &denied, "approve").await.0, 409, "a no is a no");

    let old = request_of(&town.assign(owner, &eve.0, CONTRIBUTOR, &group).await.1, "ApprovalRequired");
    assert_eq!(town.decide(&bob.1, &old, "approve").await.0, 200);
    town.test.clock.advance(Duration::from_secs(600));
    let (status, answer) = town.decide(&carol.1, &old, "approve").await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ApprovalExpired")), "{answer}");
    let (status, answer, _) = town.assign(owner, &eve.0, CONTRIBUTOR, &group).await;
    assert_eq!(status, 409, "{answer}");
    let fresh = request_of(&answer, "ApprovalExpired");
    assert_ne!(fresh, old);
    assert_eq!(town.decide(&bob.1, &fresh, "approve").await.0, 200);
    assert_eq!(town.assign(owner, &eve.0, CONTRIBUTOR, &group).await.0, 201);
    // After its time, what was denied can be asked for again.
    let again = request_of(&town.assign(owner, &eve.0, READER, &group).await.1, "ApprovalRequired");
    assert_ne!(again, denied);
    // Approvals count by what approvers are now.
    assert_eq!(town.decide(&carol.1, &again, "approve").await.0, 200);
    let off = json!({"accountEnabled": false});
    let who = format!("/graph/v1.0/servicePrincipals/{}", carol.0);
    assert_eq!(town.ask(owner, Method::PATCH, &who, &off).await.0, 204);
    assert_eq!(town.status(&again).await, "Pending");
    assert_eq!(town.assign(owner, &eve.0, READER, &group).await.0, 409);
    // Whom a rule names is not deleted.
    assert_eq!(town.ask(owner, Method::DELETE, &who, &Value::Null).await.0, 409);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_changed_by_its_own_terms_and_written_by_those_who_may_grant() {
    let town = Town::new().await;
    let [bob, carol] = [town.person("bob").await, town.person("carol").await];
    let (owner, group) = (town.owner(), town.test.group());
    let place = Town::at(&group, &format!("approvalRules/{}", Uuid::new_v4()));
    let put = async |body: Value| town.ask(owner, Method::PUT, &place, &json!({"properties": body})).await;
    let mut managed = approvals(1, &[&bob.0, &carol.0]);
    managed["bypass"] = json!([Uuid::new_v4().to_string()]);
    let bad = [
        ("no approvers", approvals(1, &[])),
        ("too few", approvals(2, &[&bob.0, &carol.0])),
        ("none demanded", approvals(0, &[&bob.0, &carol.0])),
        ("too many demanded", approvals(11, &[&bob.0, &carol.0])),
        ("nobody", approvals(1, &[&bob.0, &Uuid::new_v4().to_string()])),
        ("nobody bypasses", managed),
        (
            "no role",
            json!({"operation": "purge", "approvals": 1, "approvers": {"roles": [Uuid::new_v4().to_string()]}}),
        ),
        (
            "another operation",
            json!({"operation": "rule", "approvals": 1, "approvers": {"roles": [OWNER.to_string()]}}),
        ),
        ("an unknown field", json!({"operation": "purge", "approvals": 1, "approvers": {}, "x": 1})),
        (
            "too long",
            json!({"operation": "purge", "approvals": 1, "approvers": {"roles": [OWNER.to_string()]}, "requestLifetime": "P31D"}),
        ),
    ];
    for (case, body) in bad {
        let (status, answer) = put(body).await;
        assert_eq!(status, 400, "{case}: {answer}");
    }
    let contributor = town.callers.token(Who::Contributor).unwrap();
    let body = json!({"properties": approvals(1, &[&bob.0, &carol.0])});
    assert_eq!(town.ask(contributor, Method::PUT, &place, &body).await.0, 403);
    assert_eq!(put(approvals(1, &[&bob.0, &carol.0])).await.0, 201);
    // Weaker, stronger, or gone: by the rule itself.
    let mut weaker = approvals(1, &[&bob.0, &carol.0]);
    weaker["bypass"] = json!([town.test.founded.principal.to_string()]);
    let request = request_of(&put(weaker.clone()).await.1, "ApprovalRequired");
    let gone = town.ask(owner, Method::DELETE, &place, &Value::Null).await;
    assert_ne!(request_of(&gone.1, "ApprovalRequired"), request);
    assert_eq!(town.decide(&bob.1, &request, "approve").await.0, 200);
    let other = approvals(1, &[&carol.0, &bob.0]);
    assert_eq!(put(other).await.0, 409, "only what was approved");
    assert_eq!(put(weaker).await.0, 201);
    // Whoever is named needs no approval, and the record says so.
    assert_eq!(town.assign(owner, &bob.0, READER, &group).await.0, 201);
    let made = town.records("Microsoft.Authorization/roleAssignments/write").await;
    assert!(made.iter().any(|entry| entry.to_string().contains("approvalBypassed")), "{made:?}");
    let (status, answer) = town.ask(owner, Method::DELETE, &place, &Value::Null).await;
    assert_eq!(status, 200, "the bypass is for the rule's own change too: {answer}");
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_keys_purges_groups_and_activations_wait_for_approval_too() {
    let town = Town::new().await;
    let [bob, carol, eve] = [town.person("bob").await, town.person("carol").await, town.person("eve").await];
    let (owner, group, ws) = (town.owner(), town.test.group(), town.test.workspace());
    let endpoint = format!("{ws}/onlineEndpoints/endpoint-1");
    let (status, answer) = town.ask(owner, Method::PUT, &endpoint, &json!({"properties": {"authMode": "Key"}})).await;
    assert!(status < 300, "{answer}");
    for operation in ["deploy", "keyChange", "purge", "roleGrant"] {
        let mut terms = approvals(1, &[&bob.0, &carol.0]);
        terms["operation"] = json!(operation);
        town.rule(if operation == "keyChange" { "" } else { &group }, &terms).await;
    }
    let key = |text: &str| text.repeat(8);
    let keys = |word: &str| json!({"properties": {"authMode": "Key", "keys": {"primaryKey": key(word), "secondaryKey": key("abcde")}}});
    let regenerate = format!("{endpoint}/regenerateKeys");
    let steps = [
        (
            Method::PUT,
            format!("{endpoint}/deployments/first"),
            json!({"properties": {"model": format!("{ws}/models/m/versions/1")}}),
        ),
        (
            Method::PATCH,
            format!("{endpoint}/deployments/first"),
            json!({"properties": {"model": format!("{ws}/models/m/versions/1")}}),
        ),
        (Method::PATCH, endpoint.clone(), json!({"properties": {"traffic": {"first": 0}}})),
        (Method::PUT, endpoint.clone(), keys("12345")),
        (Method::PUT, endpoint.clone(), keys("54321")),
        (Method::POST, regenerate.clone(), json!({"keyType": "Primary"})),
        // Another form of proof takes the keys away.
        (Method::PATCH, endpoint.clone(), json!({"properties": {"authMode": "AMLToken"}})),
        (Method::POST, format!("{ws}/resyncKeys"), Value::Null),
        (Method::POST, String::from("/graph/v1.0/signingKeys/rotate"), Value::Null),
        (Method::DELETE, ws.clone(), Value::Null),
        (Method::DELETE, group.clone(), Value::Null),
    ];
    let mut requests = Vec::new();
    for (method, place, body) in steps {
        let (status, answer) = town.ask(owner, method.clone(), &place, &body).await;
        assert_eq!((status, &answer["error"]["code"]), (409, &json!("ApprovalRequired")), "{method} {place}: {answer}");
        requests.push(answer["error"].get("target").cloned().unwrap_or_else(|| answer["error"]["message"].clone()));
        assert!(!answer.to_string().contains("1234512345"), "{answer}");
    }
    requests.sort_by_key(ToString::to_string);
    requests.dedup();
    assert_eq!(requests.len(), 11, "keys that differ are two requests");
    assert_eq!(town.ask(owner, Method::GET, &ws, &Value::Null).await.0, 200);
    let all = Town::at("", "approvalRequests");
    let (_, seen) = town.ask(&bob.1, Method::GET, &all, &Value::Null).await;
    assert!(!seen.to_string().contains("1234512345"), "no key is shown");

    // A key that was approved is changed, once.
    let body = json!({"keyType": "Primary"});
    let request = request_of(&town.ask(owner, Method::POST, &regenerate, &body).await.1, "ApprovalRequired");
    assert_eq!(town.decide(&carol.1, &request, "approve").await.0, 200);
    assert!(town.ask(owner, Method::POST, &regenerate, &body).await.0 < 300);
    assert_eq!(town.ask(owner, Method::POST, &regenerate, &body).await.0, 409);

    // Membership of a group gives what the group holds.
    let new = json!({"displayName": "team", "mailNickname": "team", "mailEnabled": false, "securityEnabled": true});
    let team = town.ask(owner, Method::POST, "/graph/v1.0/groups", &new).await.1["id"].as_str().unwrap().to_owned();
    let join = format!("/graph/v1.0/groups/{team}/members/$ref");
    let member = |id: &str| json!({"@odata.id": format!("https://localhost/v1.0/directoryObjects/{id}")});
    assert_eq!(town.ask(owner, Method::POST, &join, &member(&eve.0)).await.0, 204, "it holds nothing yet");
    let request = request_of(&town.assign(owner, &team, READER, &group).await.1, "ApprovalRequired");
    assert_eq!(town.decide(&bob.1, &request, "approve").await.0, 200);
    assert_eq!(town.assign(owner, &team, READER, &group).await.0, 201);
    let (status, answer) = town.ask(owner, Method::POST, &join, &member(&bob.0)).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ApprovalRequired")), "{answer}");

    // Eligibility is a grant, and so is each activation; one can demand approvals of its own.
    let other = town.another_group().await;
    let definition = format!("/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}");
    let rules = json!({"approval": {"approvals": 1, "approvers": {"principals": [bob.0, carol.0]}}});
    let eligible = json!({"properties": {"requestType": "AdminAssign", "roleDefinitionId": definition, "principalId": eve.0, "activationRules": rules}});
    let at = |scope: &str, of: &str| Town::at(scope, &format!("{of}ScheduleRequests/{}", Uuid::new_v4()));
    assert_eq!(town.ask(owner, Method::PUT, &at(&group, "roleEligibility"), &eligible).await.0, 409);
    assert_eq!(town.ask(owner, Method::PUT, &at(&other, "roleEligibility"), &eligible).await.0, 201);
    let activate = json!({"properties": {"requestType": "SelfActivate", "roleDefinitionId": definition, "principalId": eve.0, "justification": "x"}});
    let request = request_of(
        &town.ask(&eve.1, Method::PUT, &at(&other, "roleAssignment"), &activate).await.1,
        "ApprovalRequired",
    );
    assert_eq!(town.decide(&eve.1, &request, "approve").await.0, 403);
    assert_eq!(town.decide(&bob.1, &request, "approve").await.0, 200);
    let mut longer = activate.clone();
    longer["properties"]["justification"] = json!("y");
    assert_eq!(town.ask(&eve.1, Method::PUT, &at(&other, "roleAssignment"), &longer).await.0, 409);
    assert_eq!(town.ask(&eve.1, Method::PUT, &at(&other, "roleAssignment"), &activate).await.0, 201);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_approve_by_group_and_role_and_robots_only_when_they_are_named() {
    let town = Town::new().await;
    let (owner, group) = (town.owner(), town.test.group());
    let robot = town.person("robot").await;
    let new = |name: &str| {
        json!({"userPrincipalName": name, "displayName": name, "accountEnabled": true,
        "passwordProfile": {"password": "gravel teapot misnomer", "forceChangePasswordNextSignIn": false}})
    };
    let mut people = Vec::new();
    for name in ["ann@example.com", "ben@example.com"] {
        let (status, made) = town.ask(owner, Method::POST, "/graph/v1.0/users", &new(name)).await;
        assert_eq!(status, 201, "{made}");
        people.push(made["id"].as_str().unwrap().to_owned());
    }
    let team = json!({"displayName": "team", "mailNickname": "team", "mailEnabled": false, "securityEnabled": true});
    let team = town.ask(owner, Method::POST, "/graph/v1.0/groups", &team).await.1["id"].as_str().unwrap().to_owned();
    let join = format!("/graph/v1.0/groups/{team}/members/$ref");
    for id in [&people[0], &robot.0] {
        let member = json!({"@odata.id": format!("https://localhost/v1.0/directoryObjects/{id}")});
        assert_eq!(town.ask(owner, Method::POST, &join, &member).await.0, 204);
    }
    for id in [&people[1], &robot.0] {
        assert_eq!(town.assign(owner, id, OWNER, &group).await.0, 201);
    }
    let terms = json!({"operation": "roleGrant", "approvals": 2, "approvers": {"principals": [team], "roles": [OWNER.to_string()]}});
    town.rule(&group, &terms).await;
    let request = request_of(&town.assign(owner, &people[0], READER, &group).await.1, "ApprovalRequired");
    assert_eq!(town.decide(&robot.1, &request, "approve").await.0, 403, "neither by group nor by role");
    for id in &people {
        let op = DecideApproval {
            name: request.rsplit('/').next().unwrap().parse().unwrap(),
            scope: group.parse().unwrap(),
            approves: true,
            comment: String::new(),
        };
        enter(&town.test.house, &user(&town, id), op).await.unwrap();
    }
    assert_eq!(town.status(&request).await, "Approved");
    let leave = format!("/graph/v1.0/groups/{team}/members/{}/$ref", people[0]);
    assert_eq!(town.ask(owner, Method::DELETE, &leave, &Value::Null).await.0, 204);
    assert_eq!(town.status(&request).await, "Pending", "whoever has left the group counts no more");
    // Whoever comes into the group becomes an approver: that is a change of the rule.
    let member = json!({"@odata.id": format!("https://localhost/v1.0/directoryObjects/{}", people[1])});
    let (status, answer) = town.ask(owner, Method::POST, &join, &member).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("ApprovalRequired")), "{answer}");
    town.test.end().await;
}

fn user(town: &Town, id: &str) -> Caller {
    let id: PrincipalId = id.parse().unwrap();
    let (tenant, kind) = (town.test.house.tenant().unwrap(), PrincipalKind::User);
    let principal = Principal { id, tenant, kind, app: None, name: String::from("a person"), proof: Proof::default() };
    Caller { who: kernel::Who::Principal(principal), source: Source::internal() }
}
