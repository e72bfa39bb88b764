//! Just-in-time elevation through its doors: eligible, activated with a reason, over to the moment.

use std::time::Duration;

use domain::{
    access::{Asked, Expiry, OWNER, RequestRole, RequestType, Ticket, USER_ACCESS_ADMINISTRATOR, end_what_has_ended},
    gate::enter,
};
use kernel::{Caller, Kind, Principal, PrincipalKind, Proof, Source, WorkspaceId};

use super::*;

/// What is asked, beside who and which role.
fn ask(kind: &str, role: Uuid, principal: &str, more: &Value) -> Value {
    let mut properties = json!({
        "requestType": kind,
        "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{role}"),
        "principalId": principal,
    });
    for (name, value) in more.as_object().unwrap() {
        properties[name] = value.clone();
    }
    json!({"properties": properties})
}

fn for_minutes(minutes: u32) -> Value {
    json!({"scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": format!("PT{minutes}M")}}})
}

fn because(reason: &str) -> Value {
    json!({"justification": reason})
}

impl Town {
    async fn request(&self, who: &Secret<String>, scope: &str, of: &str, body: &Value) -> (u16, Value) {
        let place = Self::at(scope, &format!("{of}ScheduleRequests/{}", Uuid::new_v4()));
        self.ask(who, Method::PUT, &place, body).await
    }

    /// Makes somebody eligible at the group.
    async fn eligible(&self, principal: &str, role: Uuid, more: &Value) {
        let body = ask("AdminAssign", role, principal, more);
        let (status, answer) = self.request(self.owner(), &self.test.group(), "roleEligibility", &body).await;
        assert_eq!(status, 201, "{answer}");
    }

    async fn activate(&self, (id, token): &Person, role: Uuid, more: &Value) -> (u16, Value) {
        let body = ask("SelfActivate", role, id, more);
        self.request(token, &self.test.group(), "roleAssignment", &body).await
    }

    async fn may_tag(&self, who: &Secret<String>) -> bool {
        let body = json!({"tags": {"a": "b"}});
        self.ask(who, Method::PATCH, &self.test.workspace(), &body).await.0 == 200
    }

    fn pass(&self, minutes: u64) {
        self.test.clock.advance(Duration::from_secs(minutes * 60));
    }

    pub(super) async fn records(&self, action: &str) -> Vec<Value> {
        self.test.house.flush_reads().await.unwrap();
        let place = "/providers/Microsoft.Insights/eventtypes/management/values";
        let (status, log) = self.ask(self.owner(), Method::GET, place, &Value::Null).await;
        assert_eq!(status, 200, "{log}");
        let all = log["value"].as_array().unwrap().iter();
        all.filter(|entry| entry["operationName"]["value"] == action).cloned().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eligible_role_gives_nothing_until_it_is_activated_and_nothing_after_its_end() {
    let town = Town::new().await;
    let ann = town.person("ann").await;
    let group = town.test.group();
    town.eligible(&ann.0, CONTRIBUTOR, &json!({"activationRules": {"maximumDuration": "PT30M"}})).await;
    assert!(!town.may_tag(&ann.1).await);
    assert_eq!(town.ask(&ann.1, Method::GET, &group, &Value::Null).await.0, 404);

    // She sees what she can activate, from anywhere around it, and nobody else's.
    town.eligible(&town.person("bob").await.0, READER, &json!({})).await;
    for scope in [group.clone(), town.test.subscription(), town.test.workspace()] {
        let place = Town::at(&scope, "roleEligibilityScheduleInstances?$filter=asTarget()");
        let (status, seen) = town.ask(&ann.1, Method::GET, &place, &Value::Null).await;
        assert_eq!((status, seen["value"].as_array().unwrap().len()), (200, 1), "{seen}");
        let properties = &seen["value"][0]["properties"];
        assert_eq!(properties["expandedProperties"]["roleDefinition"]["displayName"], "Contributor");
        assert_eq!(properties["activationRules"]["maximumDuration"], "PT30M");
    }
    let all = Town::at(&group, "roleEligibilitySchedules");
    assert_eq!(town.ask(&ann.1, Method::GET, &all, &Value::Null).await.1["value"].as_array().unwrap().len(), 1);
    assert_eq!(town.ask(town.owner(), Method::GET, &all, &Value::Null).await.1["value"].as_array().unwrap().len(), 2);

    let refused = [
        (json!({}), 400, "no reason"),
        (json!({"justification": " "}), 400, "a blank reason"),
        (json!({"justification": "x", "scheduleInfo": {"expiration": {"type": "NoExpiration"}}}), 400, "for ever"),
        (
            json!({"justification": "x", "scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": "PT31M"}}}),
            400,
            "too long",
        ),
        (
            json!({"justification": "x", "scheduleInfo": {"expiration": {"type": "AfterDuration", "duration": "P1Y"}}}),
            400,
            "no duration",
        ),
        (
            json!({"justification": "x", "scheduleInfo": {"expiration": {"type": "AfterDateTime", "endDateTime": "2020-01-01T00:00:00Z"}}}),
            400,
            "the past",
        ),
        (json!({"justification": "x", "condition": "@Resource[x]"}), 400, "a condition"),
        (
            json!({"justification": "x", "linkedRoleEligibilityScheduleId": Uuid::new_v4().to_string()}),
            403,
            "another's",
        ),
    ];
    for (more, expected, case) in refused {
        let (status, answer) = town.activate(&ann, CONTRIBUTOR, &more).await;
        assert_eq!(status, expected, "{case}: {answer}");
    }
    assert_eq!(town.activate(&ann, OWNER, &because("more")).await.0, 403);

    let (status, made) = town.activate(&ann, CONTRIBUTOR, &because("the index is broken")).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["properties"]["status"], "Provisioned");
    assert_eq!(made["properties"]["scheduleInfo"]["expiration"]["duration"], "PT30M");
    assert!(town.may_tag(&ann.1).await);
    let (status, again) = town.activate(&ann, CONTRIBUTOR, &because("twice")).await;
    assert_eq!(status, 409, "{again}");
    let active = Town::at(&group, "roleAssignmentScheduleInstances?$filter=asTarget()");
    let (_, seen) = town.ask(&ann.1, Method::GET, &active, &Value::Null).await;
    assert_eq!(seen["value"][0]["properties"]["assignmentType"], "Activated", "{seen}");

    town.test.clock.advance(Duration::from_millis(30 * 60 * 1000 - 1));
    assert!(town.may_tag(&ann.1).await);
    town.test.clock.advance(Duration::from_millis(1));
    assert!(!town.may_tag(&ann.1).await, "over to the moment, before anybody looked");
    end_what_has_ended(&town.test.house).await.unwrap();
    let ended = town.records("Microsoft.Authorization/roleAssignmentSchedules/end/action").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert!(ended[0].to_string().contains(&ann.0), "{}", ended[0]);
    let asked = town.records("Microsoft.Authorization/roleAssignmentScheduleRequests/write").await;
    assert!(asked.iter().any(|entry| entry.to_string().contains("the index is broken")), "{asked:?}");
    end_what_has_ended(&town.test.house).await.unwrap();
    assert_eq!(town.records("Microsoft.Authorization/roleAssignmentSchedules/end/action").await.len(), 1);
    // And she may again, with a reason.
    assert_eq!(town.activate(&ann, CONTRIBUTOR, &because("still")).await.0, 201);
    let body = ask("SelfDeactivate", CONTRIBUTOR, &ann.0, &json!({}));
    assert_eq!(town.request(&ann.1, &group, "roleAssignment", &body).await.0, 201);
    assert!(!town.may_tag(&ann.1).await);
    assert_eq!(town.request(&ann.1, &group, "roleAssignment", &body).await.0, 404);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_others_eligible_for_more_or_longer_than_they_may_grant() {
    let town = Town::new().await;
    let (ann, bob, eve) = (town.person("ann").await, town.person("bob").await, town.person("eve").await);
    let group = town.test.group();
    let contributor = town.callers.token(Who::Contributor).unwrap();
    for (who, of, kind) in [
        (contributor, "roleEligibility", "AdminAssign"),
        (contributor, "roleAssignment", "AdminAssign"),
        (contributor, "roleAssignment", "SelfActivate"),
        (contributor, "roleAssignment", "AdminRemove"),
    ] {
        let body = ask(kind, READER, &ann.0, &for_minutes(10));
        assert_eq!(town.request(who, &group, of, &body).await.0, 403, "{of} {kind}");
    }
    // Whoever is only eligible asks for themselves, and for nothing else.
    town.eligible(&bob.0, OWNER, &json!({})).await;
    for (of, kind, whom, expected) in [
        ("roleEligibility", "AdminAssign", &bob.0, 404),
        ("roleAssignment", "AdminAssign", &bob.0, 404),
        ("roleAssignment", "SelfActivate", &ann.0, 403),
        ("roleAssignment", "AdminRemove", &bob.0, 404),
    ] {
        let mut more = for_minutes(10);
        more["justification"] = json!("x");
        let (status, answer) = town.request(&bob.1, &group, of, &ask(kind, OWNER, whom, &more)).await;
        assert_eq!(status, expected, "{of} {kind}: {answer}");
    }
    // What he has for a time he gives for no longer, in no way.
    let mut more = for_minutes(30);
    more["justification"] = json!("an incident");
    assert_eq!(town.activate(&bob, OWNER, &more).await.0, 201);
    let (status, answer, _) = town.assign(&bob.1, &eve.0, READER, &group).await;
    assert_eq!(status, 403, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("ends by itself"), "{answer}");
    let custom = role("mine", &["*/read"], &[], &[&group]);
    assert_eq!(town.define_at(&bob.1, &group, &custom).await, 403);
    for (of, minutes, expected) in [
        ("roleEligibility", 31, 403),
        ("roleAssignment", 31, 403),
        ("roleAssignment", 30, 201),
        ("roleEligibility", 30, 201),
    ] {
        let body = ask("AdminAssign", READER, &eve.0, &for_minutes(minutes));
        let (status, answer) = town.request(&bob.1, &group, of, &body).await;
        assert_eq!(status, expected, "{of} {minutes}: {answer}");
    }
    let body = ask("AdminAssign", READER, &ann.0, &json!({}));
    assert_eq!(town.request(&bob.1, &group, "roleEligibility", &body).await.0, 403);
    // And whoever would act as him, or enter his group, needs the right to grant what he can activate.
    let clerk = town.person("clerk").await;
    let place = Town::at("", &format!("roleAssignments/{}", Uuid::new_v4()));
    let administrator = domain::access::APPLICATION_ADMINISTRATOR;
    let body = ask("", administrator, &clerk.0, &json!({}));
    assert_eq!(town.ask(town.owner(), Method::PUT, &place, &body).await.0, 201);
    town.eligible(&ann.0, USER_ACCESS_ADMINISTRATOR, &json!({})).await;
    let secret = format!("/graph/v1.0/servicePrincipals/{}/addPassword", ann.0);
    let (status, answer) = town.ask(&clerk.1, Method::POST, &secret, &json!({})).await;
    assert!([403, 404].contains(&status), "{status} {answer}");
    town.test.end().await;
}

impl Town {
    async fn define_at(&self, who: &Secret<String>, scope: &str, properties: &Value) -> u16 {
        let place = Self::at(scope, &format!("roleDefinitions/{}", Uuid::new_v4()));
        self.ask(who, Method::PUT, &place, &json!({"properties": properties})).await.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_ends_with_its_eligibility_its_group_and_its_principal() {
    let town = Town::new().await;
    let ann = town.person("ann").await;
    let group = town.test.group();
    let members = |team: &str| format!("/graph/v1.0/groups/{team}/members");
    let (_, team) = town
        .ask(
            town.owner(),
            Method::POST,
            "/graph/v1.0/groups",
            &json!({"displayName": "team", "mailNickname": "team", "mailEnabled": false, "securityEnabled": true}),
        )
        .await;
    let team = team["id"].as_str().unwrap().to_owned();
    let enter = json!({"@odata.id": format!("https://localhost/v1.0/directoryObjects/{}", ann.0)});
    let join = format!("{}/$ref", members(&team));
    assert_eq!(town.ask(town.owner(), Method::POST, &join, &enter).await.0, 204);
    town.eligible(&team, CONTRIBUTOR, &for_minutes(50)).await;
    assert_eq!(town.activate(&ann, CONTRIBUTOR, &because("x")).await.0, 201);
    assert!(town.may_tag(&ann.1).await);
    // It lasts no longer than the eligibility, though the terms would let it.
    let active = Town::at(&group, "roleAssignmentSchedules?$filter=asTarget()");
    let (_, seen) = town.ask(&ann.1, Method::GET, &active, &Value::Null).await;
    let end = seen["value"][0]["properties"]["endDateTime"].as_str().unwrap().to_owned();
    assert!(end.contains("T00:50:00"), "{end}");

    let leave = format!("{}/{}/$ref", members(&team), ann.0);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &leave, &Value::Null).await.0, 204);
    assert!(!town.may_tag(&ann.1).await);
    end_what_has_ended(&town.test.house).await.unwrap();
    assert_eq!(town.ask(town.owner(), Method::POST, &join, &enter).await.0, 204);
    assert!(!town.may_tag(&ann.1).await, "it does not come back with the membership");

    assert_eq!(town.activate(&ann, CONTRIBUTOR, &because("y")).await.0, 201);
    let body = ask("AdminRemove", CONTRIBUTOR, &team, &json!({}));
    assert_eq!(town.request(town.owner(), &group, "roleEligibility", &body).await.0, 201);
    assert!(!town.may_tag(&ann.1).await);

    // A principal that is deleted leaves neither eligibility nor activation, and a role that can be activated cannot be removed.
    let id = Uuid::new_v4();
    assert_eq!(town.define(town.owner(), id, &role("mine", &[&format!("{ML}/write")], &[], &[&group])).await.0, 201);
    town.eligible(&ann.0, id, &json!({})).await;
    let place = Town::at(&town.test.subscription(), &format!("roleDefinitions/{id}"));
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place, &Value::Null).await.0, 409);
    assert_eq!(town.activate(&ann, id, &because("z")).await.0, 201);
    let who = format!("/graph/v1.0/servicePrincipals/{}", ann.0);
    assert_eq!(town.ask(town.owner(), Method::DELETE, &who, &Value::Null).await.0, 204);
    for list in ["roleEligibilitySchedules", "roleAssignmentSchedules"] {
        let place = format!("{}?$filter=principalId eq '{}'", Town::at(&group, list), ann.0).replace(' ', "%20");
        let (_, left) = town.ask(town.owner(), Method::GET, &place, &Value::Null).await;
        assert_eq!(left["value"], json!([]), "{list}");
    }
    assert_eq!(town.ask(town.owner(), Method::DELETE, &place, &Value::Null).await.0, 200);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_activations_at_once_one_is_made_and_a_request_counts_once() {
    let town = Town::new().await;
    let ann = town.person("ann").await;
    town.eligible(&ann.0, CONTRIBUTOR, &json!({})).await;
    let reason = because("at once");
    let one = || town.activate(&ann, CONTRIBUTOR, &reason);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    let mut statuses = [a.0, b.0, c.0, d.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    // What was sent once does nothing when it is sent again, its activation over or not.
    let place = Town::at(&town.test.group(), &format!("roleAssignmentScheduleRequests/{}", Uuid::new_v4()));
    let end = ask("SelfDeactivate", CONTRIBUTOR, &ann.0, &json!({}));
    assert_eq!(town.ask(&ann.1, Method::PUT, &place, &end).await.0, 201);
    let start = ask("SelfActivate", CONTRIBUTOR, &ann.0, &because("again"));
    assert_eq!(town.ask(&ann.1, Method::PUT, &place, &start).await.0, 409);
    assert!(!town.may_tag(&ann.1).await);
    let (status, read) = town.ask(&ann.1, Method::GET, &place, &Value::Null).await;
    assert_eq!((status, &read["properties"]["status"]), (200, &json!("Revoked")), "{read}");
    // An activation of what begins later begins then.
    let later = json!({"justification": "tonight", "scheduleInfo": {"startDateTime": "2026-01-01T00:20:00Z",
        "expiration": {"type": "AfterDuration", "duration": "PT10M"}}});
    assert_eq!(town.activate(&ann, CONTRIBUTOR, &later).await.0, 201);
    let mut seen = vec![town.may_tag(&ann.1).await];
    for _ in 0..3 {
        town.pass(10);
        seen.push(town.may_tag(&ann.1).await);
    }
    assert_eq!(seen, [false, false, true, false]);
    town.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_asked_of_people_and_code_activates_nothing() {
    let town = Town::new().await;
    let robot = town.person("robot").await;
    let group = town.test.group();
    let mfa = json!({"activationRules": {"enabledRules": ["MultiFactorAuthentication"]}});
    let body = ask("AdminAssign", CONTRIBUTOR, &robot.0, &mfa);
    let (status, answer) = town.request(town.owner(), &group, "roleEligibility", &body).await;
    assert_eq!(status, 400, "a robot has no second factor: {answer}");
    let new = json!({"userPrincipalName": "ann@example.com", "displayName": "ann", "accountEnabled": true,
        "passwordProfile": {"password": "gravel teapot misnomer", "forceChangePasswordNextSignIn": false}});
    let (status, made) = town.ask(town.owner(), Method::POST, "/graph/v1.0/users", &new).await;
    assert_eq!(status, 201, "{made}");
    let ann = made["id"].as_str().unwrap();
    town.eligible(ann, CONTRIBUTOR, &mfa).await;
    let caller = |proof: Proof| {
        let (tenant, kind) = (town.test.house.tenant().unwrap(), PrincipalKind::User);
        let principal =
            Principal { id: ann.parse().unwrap(), tenant, kind, app: None, name: String::from("ann"), proof };
        Caller { who: kernel::Who::Principal(principal), source: Source::internal() }
    };
    let activate = async |proof: Proof| {
        let asked = Asked {
            request_type: RequestType::SelfActivate,
            role: CONTRIBUTOR,
            principal: ann.parse().unwrap(),
            start: None,
            expiry: Expiry::Unsaid,
            justification: String::from("x"),
            ticket: Ticket::default(),
            linked: None,
            terms: None,
        };
        let op = RequestRole { name: Uuid::new_v4(), scope: group.parse().unwrap(), asked };
        enter(&town.test.house, &caller(proof), op).await.map_err(|fault| (fault.kind(), fault.challenge().is_some()))
    };
    let strong = || Proof { contexts: vec![String::from("c1")], ..Proof::default() };
    assert_eq!(activate(Proof::default()).await.unwrap_err(), (Kind::Unauthenticated, true));
    let run = Some((WorkspaceId::from(Uuid::new_v4()), "r1".parse().unwrap()));
    assert_eq!(activate(Proof { run, ..strong() }).await.unwrap_err(), (Kind::Denied, false));
    activate(strong()).await.unwrap();
    town.test.end().await;
}
