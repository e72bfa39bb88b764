//! Requests for roles that are long over are forgotten, and no others.

use std::time::Duration;

use domain::{access::end_what_has_ended, work::forget_old_requests};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_roles_are_forgotten_ninety_days_after_what_they_gave_has_ended() {
    let town = Town::new().await;
    let (ann, group) = (town.person("ann").await, town.test.group());
    // One for ten days, and one for good: what is there still is read with the request that made it, however old that is.
    let make = async |role: Uuid, end: &Value| {
        let place = Town::at(&group, &format!("roleEligibilityScheduleRequests/{}", Uuid::new_v4()));
        let role = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
        let body = json!({"properties": {"requestType": "AdminAssign", "roleDefinitionId": role, "principalId": ann.0,
            "scheduleInfo": {"expiration": end}}});
        let (status, answer) = town.ask(town.owner(), Method::PUT, &place, &body).await;
        assert_eq!(status, 201, "{answer}");
        place
    };
    let timed = make(READER, &json!({"type": "AfterDuration", "duration": "P10D"})).await;
    let lasting = make(CONTRIBUTOR, &json!({"type": "NoExpiration"})).await;
    for (days, is_kept) in [(99, true), (1, false)] {
        town.test.clock.advance(DAY * days);
        end_what_has_ended(&town.test.house).await.unwrap();
        forget_old_requests(&town.test.house).await.unwrap();
        let owner = town.test.owner_again().await;
        let expected = if is_kept { 200 } else { 404 };
        assert_eq!(
            town.ask(&owner, Method::GET, &timed, &Value::Null).await.0,
            expected,
            "it ended ten days after it began"
        );
        assert_eq!(town.ask(&owner, Method::GET, &lasting, &Value::Null).await.0, 200);
    }
    town.test.end().await;
}
