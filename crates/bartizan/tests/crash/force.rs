//! What was acknowledged is in force: whoever asks after the acknowledgement meets the new state, however many changes
//! went on at once.

use serde_json::json;

use crate::{
    client::{Outcome, Session},
    dice::{self, Dice},
    report::say,
    server::Site,
    traffic::READER,
};

const PRINCIPALS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_change_at_once_are_all_in_force() {
    let (seed, rounds) = (dice::seed(), dice::rounds("BARTIZAN_CRASH_ROUNDS", 6).saturating_mul(8));
    let mut dice = Dice::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let site = Site::within(dir.path());
    let server = site.start();
    let owner = Session::open(&site, &server).await;
    let group = format!("{}/resourceGroups/shared", owner.subscription);
    told(owner.call("PUT", &group, Some(&json!({"location": "local"})), None).await).unwrap();
    let mut people = Vec::new();
    for number in 0..PRINCIPALS {
        let body = json!({"displayName": format!("reader{number}")});
        let made = told(owner.call("POST", "/graph/v1.0/servicePrincipals", Some(&body), None).await).unwrap();
        let (app, secret) = (&made["appId"], &made["passwordCredentials"][0]["secretText"]);
        let session = owner.signed_in_as(&site, app.as_str().unwrap(), secret.as_str().unwrap()).await;
        people.push((made["id"].clone(), session.expect("a new principal cannot sign in")));
    }
    let role = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{READER}", owner.subscription);
    let (mut faults, mut refused) = (Vec::new(), 0);
    for round in 0..rounds {
        let places: Vec<_> = (0..PRINCIPALS)
            .map(|_| format!("{group}/providers/Microsoft.Authorization/roleAssignments/{}", dice.uuid()))
            .collect();
        for (method, may) in [("PUT", true), ("DELETE", false)] {
            let changes: Vec<_> = people
                .iter()
                .zip(&places)
                .map(|((id, _), place)| {
                    let body = json!({"properties": {"roleDefinitionId": role, "principalId": id}});
                    let (owner, place) = (owner.clone(), place.clone());
                    let body = (method == "PUT").then_some(body);
                    tokio::spawn(async move {
                        for refusals in 0..200_usize {
                            match owner.call(method, &place, body.as_ref(), None).await {
                                Outcome::Answered(412, _) => {}
                                outcome => return told(outcome).map(|_| refusals),
                            }
                        }
                        Err(String::from("refused 200 times"))
                    })
                })
                .collect();
            for change in changes {
                refused += change.await.unwrap().unwrap();
            }
            let mut wrong = 0;
            for (_, session) in &people {
                wrong += usize::from(session.read(&group).await.is_ok_and(|found| found.is_some()) != may);
            }
            if wrong > 0 {
                faults
                    .push(format!("round {round}: after {method} by all, {wrong} of {PRINCIPALS} have the old rights"));
            }
        }
    }
    let changes = rounds * 2 * PRINCIPALS as u64;
    say(format_args!(
        "roles at once: {rounds} rounds, seed {seed}: {changes} changes, {refused} times one was turned away because of \
         another (412) and asked again, {} faults",
        faults.len()
    ));
    faults.truncate(20);
    assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
}

fn told(outcome: Outcome) -> Result<serde_json::Value, String> {
    match outcome {
        Outcome::Answered(200..=299, reply) => Ok(reply),
        other => Err(format!("refused: {other:?}")),
    }
}
