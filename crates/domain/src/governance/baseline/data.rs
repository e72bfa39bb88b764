//! Group 4: data protection.

use std::collections::BTreeMap;

use kernel::ResourceId;

use super::{
    ControlGroup,
    network::SETTINGS,
    sheet::{Elsewhere, Judgement, Sheet, either, fail, nothing, pass},
};

/// Tags that say how sensitive something is, in lower case.
const SENSITIVITY: [&str; 3] = ["sensitivity", "classification", "dataclassification"];

const ELSEWHERE: &[Elsewhere] = &[
    (
        3,
        "Monitor and block unauthorized transfer of sensitive data",
        "not offered: there is no data loss prevention; jobs have no network but what they are given",
    ),
    (5, "Discover and classify sensitive data", "not offered: contents are sealed and not looked into"),
    (7, "Use host-based data loss prevention", "not offered; hosts are their owner's"),
];

/// Judges the group.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    sheet.turn_to(ControlGroup::Data);
    sheet.elsewhere(ELSEWHERE);
    let picture = sheet.picture;
    let labelled = sheet.workspaces(
        |place| {
            let says = |name: &String| SENSITIVITY.contains(&name.to_lowercase().as_str());
            place.is_raised || place.tags.keys().any(says)
        },
        "has a tag that says how sensitive its data is, or is of high business impact",
        "have no tag `sensitivity` or `classification`, and are not of high business impact",
    );
    sheet.put(1, "Maintain an inventory of sensitive data", labelled, picture.workspaces_path());
    sheet.put(2, "Isolate systems that hold sensitive data", isolated(sheet), picture.workspaces_path());
    let transit = pass(
        "by the making of the server: it speaks TLS 1.2 and 1.3, and nothing else, to clients, agents and services",
    );
    sheet.put(4, "Encrypt sensitive data in transit", transit, String::from("/metadata/endpoints"));
    let roles = match picture.boundless_roles {
        0 => pass("whatever no role allows is refused, and no custom role allows everything"),
        some => fail(format!("{some} custom roles allow every action; name what they are for")),
    };
    sheet.put(6, "Control access by roles", roles, picture.at("providers/Microsoft.Authorization/roleDefinitions"));
    let rest = pass(
        "by the making of the server: everything stored is sealed under its workspace's key, and that under the root key, and under the customer's where one was named",
    );
    sheet.put(8, "Encrypt sensitive data at rest", rest, picture.workspaces_path());
    let told = either(
        picture.log.leaves,
        "changes of resources are sent to another system as they happen",
        "changes of resources reach no other system; make a diagnostic setting of the subscription with a webhook, syslog or OTLP sink",
    );
    sheet.put(9, "Log and alert on changes of critical resources", told, picture.in_subscription(SETTINGS));
}

/// Whether workspaces share what their data lies in.
fn isolated(sheet: &Sheet<'_>) -> Judgement {
    let mut users: BTreeMap<&ResourceId, usize> = BTreeMap::new();
    for id in sheet.picture.workspaces.iter().flat_map(|place| &place.companions) {
        *users.entry(id).or_default() += 1;
    }
    match users.values().filter(|count| **count > 1).count() {
        _ if users.is_empty() => nothing("there is no workspace here"),
        0 => pass("no two workspaces here share a storage account or vault, and each has a key of its own"),
        some => fail(format!("{some} storage accounts or vaults are shared by workspaces here")),
    }
}
