//! Roles for a time, and approvals, at the command line.

use serde_json::Value;

use crate::served::Served;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The object id of whoever is signed in.
fn own_id(served: &Served) -> String {
    let own = text(&served.json(&["account", "show"])["user"]["name"]);
    let all = served.json(&["ad", "sp", "list"]);
    let is_own = |entry: &&Value| entry.to_string().contains(&own);
    let found = all.as_array().unwrap().iter().find(is_own).unwrap_or_else(|| panic!("{all}"));
    text(found.get("objectId").or_else(|| found.get("id")).unwrap())
}

#[test]
fn a_role_is_made_eligible_activated_and_ended_by_commands() {
    let served = Served::with_workspace();
    let ws = text(&served.json(&["workspace", "show", "ws1"])["id"]);
    let own = own_id(&served);
    let told = served.bad(&["role", "activate", "--role", "Reader", "--reason", "x", "--scope", &ws]);
    assert!(told.contains("you are not eligible for `Reader`"), "{told}");
    let create = ["role", "eligibility", "create", "--assignee", &own, "--role", "Reader", "--scope", &ws];
    served.good(&[&create[..], &["--max-duration", "PT1H", "--ticket"]].concat());
    let seen = served.good(&["role", "eligibility", "list", "--own", "--scope", &ws]);
    assert!(seen.contains("Reader") && seen.contains("PT1H") && seen.contains("Ticketing"), "{seen}");
    let activate = ["role", "activate", "--role", "reader", "--reason", "the index", "--scope", &ws];
    assert!(served.bad(&activate).contains("number of a ticket"));
    let long = [&activate[..], &["--ticket", "4711", "--duration", "PT61M"]].concat();
    assert!(served.bad(&long).contains("at most 60 minutes"));
    let done = served.good(&[&activate[..], &["--ticket", "4711", "--duration", "PT10M"]].concat());
    assert!(done.contains("is active at"), "{done}");
    served.good(&["role", "deactivate", "--role", "Reader", "--scope", &ws]);
    served.good(&["role", "eligibility", "delete", "--assignee", &own, "--role", "Reader", "--scope", &ws]);
    assert!(served.good(&["role", "eligibility", "list", "--scope", &ws]).contains("nothing found"));

    let bob = text(&served.json(&["ad", "sp", "create", "--name", "bob"])["objectId"]);
    let made = served.json(&[
        "role",
        "assignment",
        "create",
        "--assignee",
        &bob,
        "--role",
        "Reader",
        "--scope",
        &ws,
        "--duration",
        "P1D",
    ]);
    assert_eq!(made["properties"]["status"], "Provisioned", "{made}");
}

#[test]
fn what_takes_approval_says_how_to_get_it() {
    let served = Served::with_workspace();
    let ws = text(&served.json(&["workspace", "show", "ws1"])["id"]);
    for name in ["bob", "carol"] {
        served.good(&["ad", "sp", "create", "--name", name]);
    }
    let rule = ["approval", "rule", "create", "--operation", "roleGrant", "--scope", &ws];
    served.good(&[&rule[..], &["--approver", "bob", "--approver", "carol"]].concat());
    assert!(served.good(&["approval", "rule", "list", "--scope", &ws]).contains("roleGrant"));
    let assign = ["role", "assignment", "create", "--assignee", "bob", "--role", "Reader", "--scope", &ws];
    let told = served.bad(&assign);
    assert!(told.contains("0 of 1") && told.contains("bartizan approval approve"), "{told}");
    let waiting = served.json(&["approval", "list", "--scope", &ws]);
    let name = text(&waiting[0]["name"]);
    assert!(told.contains(&name), "{told} {waiting}");
    let shown = served.good(&["approval", "show", &name]);
    assert!(shown.contains("Reader") && shown.contains("Pending"), "{shown}");
    let told = served.bad(&["approval", "approve", &name, "--comment", "mine"]);
    assert!(told.contains("nobody decides on their own request"), "{told}");
    assert!(served.bad(&["approval", "deny", "6f9619ff-8b86-d011-b42d-00c04fc964ff"]).contains("no request"));
}
