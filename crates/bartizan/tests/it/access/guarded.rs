//! That nothing which takes approval has a door without a guard.

use http_faces::faces;

/// What can give a role, deploy, change a key or destroy, by the name of its action: each such door is guarded.
#[test]
fn every_door_that_deploys_grants_changes_keys_or_destroys_is_guarded() {
    const SUCH: &[&str] = &[
        "/approvalrules/delete",
        "/approvalrules/write",
        "/denyassignments/delete",
        "/denyassignments/write",
        "/groups/members/update",
        "/identityproviders/write",
        "/keys/",
        "breakglass/write",
        "/onlineendpoints/deployments/write",
        "/onlineendpoints/namedkeys/write",
        "/onlineendpoints/write",
        "/resourcegroups/delete",
        "/roleassignments/write",
        "/roledefinitions/write",
        "/workspaces/delete",
        "elevateaccess",
        "purge",
        "regeneratecredential",
        "regeneratekey",
        "registries/write",
        "resealencryption",
        "resynckeys",
        "rotate",
        "schedulerequests/write",
        "storageaccounts/write",
    ];
    /// Takes away, and gives nothing.
    const NOT: &[(&str, &str)] = &[
        ("DELETE", "/groups/members/update"),
        // Nothing is kept in one.
        ("DELETE", "microsoft.operationalinsights/workspaces/delete"),
    ];
    let doors = faces::doors();
    let mut bare = Vec::new();
    let mut found = 0;
    for door in doors.list() {
        let action = door.action.name().to_ascii_lowercase();
        // Keys of a vault are what its users keep there, as its secrets are: older versions go on, and what is deleted rests.
        let is_kept = action.contains("vaults/keys/") && !action.contains("purge");
        let is_not =
            is_kept || NOT.iter().any(|(method, end)| door.method.as_str() == *method && action.ends_with(end));
        if action.ends_with("/read") || is_not || !SUCH.iter().any(|such| action.contains(such)) {
            continue;
        }
        found += 1;
        if door.guards.is_empty() {
            bare.push(format!("{} {} {}", door.method, door.path, door.action.name()));
        }
    }
    assert!(found > 40, "{found}");
    assert!(bare.is_empty(), "declare `GUARDS` on the operations behind these, or say why not: {bare:#?}");
}
