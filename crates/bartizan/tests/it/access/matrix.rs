//! Who may do what, for every operation of the catalogue: a table that people can read, held against what the server says.

use std::{fmt::Write, path::Path};

use domain::access::{
    APPLICATION_ADMINISTRATOR, COMPUTE_OPERATOR, DATA_SCIENTIST, OWNER, USER_ACCESS_ADMINISTRATOR, USER_ADMINISTRATOR,
};

use super::*;

const ROLES: &[(&str, Uuid)] = &[
    ("Owner", OWNER),
    ("Contributor", CONTRIBUTOR),
    ("Reader", READER),
    ("User Access Administrator", USER_ACCESS_ADMINISTRATOR),
    ("AzureML Data Scientist", DATA_SCIENTIST),
    ("AzureML Compute Operator", COMPUTE_OPERATOR),
    ("Application Administrator", APPLICATION_ADMINISTRATOR),
    ("User Administrator", USER_ADMINISTRATOR),
];

const HEAD: &str = "# Who may do what\n\n\
Every operation that the server checks, and who may use it at a scope where they hold a role that ships (those of the directory,\n\
the last two, are held at `/`). Whoever holds no role may do none of it, and is told that nothing is there. `BARTIZAN_PRINT_MATRIX=1\n\
cargo test -p bartizan --test it the_matrix -- --nocapture` prints this file from what a server answers.\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_of_roles_is_what_the_server_says() {
    let town = Town::new().await;
    let ws = town.test.workspace();
    let mut people = Vec::new();
    for (name, role) in ROLES {
        let (id, _) = town.person(name).await;
        let is_of_directory = [APPLICATION_ADMINISTRATOR, USER_ADMINISTRATOR].contains(role);
        let scope = if is_of_directory { String::new() } else { ws.clone() };
        let (status, answer, _) = town.assign(town.owner(), &id, *role, &scope).await;
        assert_eq!(status, 201, "{name}: {answer}");
        people.push((id, scope));
    }
    people.push((town.person("stranger").await.0, ws.clone()));
    let place = "/providers/Microsoft.Authorization/providerOperations";
    let (status, catalogue) = town.ask(town.owner(), Method::GET, place, &Value::Null).await;
    assert_eq!(status, 200, "{catalogue}");
    let mut table = String::from(HEAD);
    let names: Vec<&str> = ROLES.iter().map(|(name, _)| *name).collect();
    writeln!(table, "| operation | {} |\n| --- |{}", names.join(" | "), " :-: |".repeat(names.len())).unwrap();
    for provider in catalogue["value"].as_array().unwrap() {
        for operation in provider["operations"].as_array().unwrap() {
            let action = operation["name"].as_str().unwrap();
            let mut row = Vec::new();
            for (id, scope) in &people {
                let body = json!({"principalId": id, "action": action});
                let (status, said) = town.post(town.owner(), scope, "explain", &body).await;
                assert_eq!(status, 200, "{action}: {said}");
                row.push(said["decision"] == "Allowed");
            }
            assert_eq!(row.pop(), Some(false), "a stranger may {action}");
            if operation["isServed"] == true {
                let marks: Vec<&str> = row.iter().map(|is_allowed| if *is_allowed { "✓" } else { " " }).collect();
                writeln!(table, "| `{action}` | {} |", marks.join(" | ")).unwrap();
            }
        }
    }
    if std::env::var_os("BARTIZAN_PRINT_MATRIX").is_some() {
        println!("{table}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/access-matrix.md");
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    let changed = table.lines().find(|line| !golden.lines().any(|known| known == *line));
    assert!(golden == table, "review docs/access-matrix.md; the first line that is new: {changed:?}");
    // And what the table says is what the doors do: three operations for each of three roles, and for nobody.
    for (who, expected) in
        [(Who::Owner, [200, 200, 201]), (Who::Contributor, [200, 200, 403]), (Who::Reader, [200, 403, 403])]
    {
        let token = town.callers.token(who).unwrap();
        let read = town.ask(token, Method::GET, &ws, &Value::Null).await.0;
        let write = town.ask(token, Method::PATCH, &ws, &json!({"tags": {}})).await.0;
        let share = town.assign(token, &people[8].0, READER, &ws).await.0;
        assert_eq!([read, write, share], expected, "{who:?}");
    }
    assert_eq!(town.test.ask(None, Method::GET, &ws, None).await.0, 401);
    town.test.end().await;
}

/// Every action that is asked for anywhere is in the catalogue: a role could not name it otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn every_action_in_the_rooms_is_in_the_catalogue() {
    let town = Town::new().await;
    let place = "/providers/Microsoft.Authorization/providerOperations";
    let (_, catalogue) = town.ask(town.owner(), Method::GET, place, &Value::Null).await;
    let known = catalogue.to_string().to_ascii_lowercase();
    let rooms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src");
    let mut open = vec![rooms];
    let mut missing = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let shipped = text.split("#[cfg(test)]").next().unwrap();
                for call in shipped.split("Action::new(").skip(1).filter(|_| !path.ends_with("tests.rs")) {
                    let name = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                    let is_known = |name: &str| known.contains(&format!("\"{}\"", name.to_ascii_lowercase()));
                    missing
                        .extend(name.filter(|name| !name.starts_with("Test/") && !is_known(name)).map(str::to_owned));
                }
            }
        }
    }
    // What only the server itself does is asked of nobody.
    missing.retain(|name| !OF_THE_HOUSE.contains(&name.as_str()));
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "add to `CHECKED_WITHIN` in the catalogue, or to `OF_THE_HOUSE` here: {missing:#?}");
    let (status, one) = town.ask(town.owner(), Method::GET, &format!("{place}/microsoft.keyvault"), &Value::Null).await;
    assert_eq!((status, &one["name"]), (200, &json!("Microsoft.KeyVault")));
    assert_eq!(town.ask(town.owner(), Method::GET, &format!("{place}/None"), &Value::Null).await.0, 404);
    assert_eq!(town.test.ask(None, Method::GET, place, None).await.0, 401);
    town.test.end().await;
}

/// Actions of the server's own work, which no role is asked about.
const OF_THE_HOUSE: &[&str] = &[
    "Microsoft.AlertsManagement/alerts/sweep/action",
    "Microsoft.Authorization/approvalRequests/sweep",
    "Microsoft.Authorization/backups/restore/action",
    "Microsoft.Authorization/roleAssignmentScheduleRequests/sweep",
    "Microsoft.Authorization/roleAssignmentSchedules/end/action",
    "Microsoft.Authorization/roleEligibilitySchedules/end/action",
    "Microsoft.Authorization/rootKey/move/action",
    "Microsoft.ContainerRegistry/registries/sweep",
    "Microsoft.ContainerRegistry/registries/sweep/read",
    "Microsoft.Directory/certificates/issue/action",
    "Microsoft.Directory/grants/revoke/action",
    "Microsoft.Directory/grants/stale/delete",
    "Microsoft.Directory/grants/stale/read",
    "Microsoft.Directory/signIns/sweep",
    "Microsoft.Directory/tenants/write",
    "Microsoft.Insights/components/requests/write",
    "Microsoft.Insights/diagnosticSettings/deliver/action",
    "Microsoft.Insights/diagnosticSettings/deliver/read",
    "Microsoft.Insights/diagnosticsOutbox/send/action",
    "Microsoft.Insights/diagnosticsOutbox/send/read",
    "Microsoft.Insights/eventtypes/cuts/sign/action",
    "Microsoft.Insights/eventtypes/cuts/write",
    "Microsoft.Insights/logKeys/write",
    "Microsoft.Insights/metricAlerts/evaluate/action",
    "Microsoft.Insights/metricAlerts/evaluate/read",
    "Microsoft.Insights/metrics/count/action",
    "Microsoft.Insights/metrics/sweep/action",
    "Microsoft.KeyVault/locations/deletedVaults/find/read",
    "Microsoft.KeyVault/vaults/certificates/nearExpiry/action",
    "Microsoft.KeyVault/vaults/keys/check/read",
    "Microsoft.KeyVault/vaults/keys/follow/action",
    "Microsoft.KeyVault/vaults/keys/nearExpiry/action",
    "Microsoft.KeyVault/vaults/purgeDue/action",
    "Microsoft.MachineLearningServices/erasedWorkspaces/honour/action",
    "Microsoft.MachineLearningServices/erasedWorkspaces/sign/action",
    "Microsoft.MachineLearningServices/workspaces/breakGlass/end/action",
    "Microsoft.MachineLearningServices/workspaces/find/read",
    "Microsoft.MachineLearningServices/workspaces/metadata/artifacts/sweep",
    "Microsoft.MachineLearningServices/workspaces/metadata/artifacts/sweep/read",
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/rest/action",
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/supervise/action",
    "Microsoft.MachineLearningServices/workspaces/prove/action",
    "Microsoft.MachineLearningServices/workspaces/prove/read",
    "Microsoft.MachineLearningServices/workspaces/purge/action",
    "Microsoft.MachineLearningServices/workspaces/resealEncryption/piece/action",
    "Microsoft.MachineLearningServices/workspaces/resealEncryption/read",
    "Microsoft.MachineLearningServices/workspaces/retireKeyVersions/action",
    "Microsoft.MachineLearningServices/workspaces/syncKeys/action",
    "Microsoft.Resources/addresses/find/read",
    "Microsoft.Resources/addresses/found/action",
    "Microsoft.Storage/storageAccounts/blobServices/sweep",
    "Microsoft.Storage/storageAccounts/collect/action",
    "Microsoft.Storage/storageAccounts/sweep/read",
];
