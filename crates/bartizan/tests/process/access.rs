//! Roles and questions about access at the command line.

use std::fs;

use serde_json::{Value, json};

use crate::served::Served;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The documentation's "Data Scientist Custom", with the placeholder that it has there.
fn documented() -> Value {
    json!({
        "Name": "Data Scientist Custom",
        "IsCustom": true,
        "Description": "Can run experiment but can't create or delete compute.",
        "Actions": ["*"],
        "NotActions": [
            "Microsoft.MachineLearningServices/workspaces/*/delete",
            "Microsoft.MachineLearningServices/workspaces/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/write",
            "Microsoft.MachineLearningServices/workspaces/computes/*/delete",
            "Microsoft.Authorization/*/write",
        ],
        "AssignableScopes": ["/subscriptions/<subscriptionId>"],
    })
}

#[test]
fn roles_of_the_documentation_are_imported_assigned_and_explained() {
    let served = Served::with_workspace();
    let file = served.dir.path().join("role.json");
    fs::write(&file, documented().to_string()).unwrap();
    let file = format!("@{}", file.display());
    let told = served.bad(&["role", "definition", "create", "--role-definition", &file]);
    assert!(told.contains("placeholder") && told.contains("--scope"), "{told}");
    let workspace = text(&served.json(&["workspace", "show", "ws1"])["id"]);
    let made = served.json(&["role", "definition", "create", "--role-definition", &file, "--scope", &workspace]);
    assert_eq!(made["properties"]["type"], "CustomRole");
    let own = served.json(&["role", "definition", "list", "--custom-role-only"]);
    assert_eq!(own[0]["properties"]["roleName"], "Data Scientist Custom");
    let shown = served.good(&["role", "definition", "show", "data scientist custom"]);
    assert!(shown.contains("computes/*/write"), "{shown}");

    let person = served.json(&["ad", "sp", "create", "--name", "science"]);
    let id = text(&person["objectId"]);
    let write = "Microsoft.MachineLearningServices/workspaces/write";
    let ask = |action: &str| served.run(&["access", "explain", "--principal", "science", "--action", action]);
    let nothing = ask(write);
    assert_eq!(nothing.status.code(), Some(1));
    let words = String::from_utf8(nothing.stdout).unwrap();
    assert!(words.starts_with("Denied") && words.contains("would be allowed by role Contributor"), "{words}");
    let preview = ["access", "what-if", "--scope", &workspace, "--assign", "science=Data Scientist Custom"];
    let preview = served.good(&preview);
    assert!(preview.contains(&format!("{id} would gain")) && preview.contains("+ Microsoft.Machine"), "{preview}");
    let assign = ["role", "assignment", "create", "--assignee", "science", "--role", "Data Scientist Custom"];
    served.good(&[&assign[..], &["--scope", &workspace]].concat());
    let words = String::from_utf8(ask(write).stdout).unwrap();
    assert!(words.contains("taken back by role Data Scientist Custom"), "{words}");
    let read = ask("Microsoft.MachineLearningServices/workspaces/read");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stdout));

    // Changed by its name, and gone once nobody holds it.
    let mut changed = documented();
    changed["Description"] = json!("changed");
    changed["AssignableScopes"] = json!([workspace]);
    fs::write(served.dir.path().join("role.json"), changed.to_string()).unwrap();
    let updated = served.json(&["role", "definition", "update", "--role-definition", &file]);
    assert_eq!((&updated["name"], &updated["properties"]["description"]), (&made["name"], &json!("changed")));
    let told = served.bad(&["role", "definition", "delete", "Data Scientist Custom"]);
    assert!(told.contains("take its assignments back first"), "{told}");
    let held = served.json(&["role", "assignment", "list", "--scope", &workspace]);
    let own = held.as_array().unwrap().iter().find(|entry| entry["roleName"] == "Data Scientist Custom").unwrap();
    served.good(&["role", "assignment", "delete", "--id", &text(&own["id"])]);
    served.good(&["role", "definition", "delete", "Data Scientist Custom"]);
}

#[test]
fn the_linter_the_catalogue_and_the_least_role_have_commands() {
    let served = Served::with_workspace();
    let found = served.good(&["access", "lint", "--role", "AzureML Data Scientist"]);
    assert!(found.contains("segmentWildcard"), "{found}");
    let all = served.json(&["provider", "operation", "list"]);
    let ours = served.json(&["provider", "operation", "show", "-n", "Microsoft.MachineLearningServices"]);
    assert!(all.as_array().unwrap().len() > ours.as_array().unwrap().len());
    let told = served.bad(&["provider", "operation", "show", "-n", "Microsoft.Nothing"]);
    assert!(told.contains("the resource provider `Microsoft.Nothing` was not found"), "{told}");
    // What the owner did just now is what the least role allows.
    let owner = text(&served.json(&["account", "show"])["user"]["name"]);
    let file = served.dir.path().join("least.json");
    fs::write(&file, served.good(&["access", "suggest", "--principal", &owner])).unwrap();
    let least: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let actions = least["permissions"][0]["actions"].to_string();
    assert!(actions.contains("Microsoft.MachineLearningServices/workspaces/write"), "{least}");
    assert!(!actions.contains('*'), "{least}");
    served.good(&["role", "definition", "create", "--role-definition", file.to_str().unwrap()]);
}
