//! Group 1: network security.

use super::{
    ControlGroup,
    sheet::{Elsewhere, Sheet, either, fail, nothing, pass},
};

const ELSEWHERE: &[Elsewhere] = &[
    (
        5,
        "Record network packets",
        "packets are recorded where the host's network is run; this server sees requests alone",
    ),
    (6, "Deploy network-based intrusion detection", "it stands before the server, in the network that the host is in"),
    (
        7,
        "Manage traffic to web applications",
        "no web applications are hosted here but scoring services, which 1.3 is about",
    ),
    (
        8,
        "Minimize complexity of network security rules",
        "a workspace has one list of networks; there are no rules to group",
    ),
];

/// Judges the group.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    sheet.turn_to(ControlGroup::Network);
    sheet.elsewhere(ELSEWHERE);
    let picture = sheet.picture;
    let within = sheet.workspaces(
        |place| !place.network.rules.public_access,
        "takes no request from outside its private endpoints",
        "are open to the public network; set `publicNetworkAccess` to `Disabled`",
    );
    sheet.put(1, "Protect resources within virtual networks", within, picture.workspaces_path());
    let watched = pass(
        "by the making of the server: every request and every change of a network rule is in the activity log, with its address",
    );
    sheet.put(2, "Monitor and log traffic and configuration of networks", watched, picture.activity_log());
    let shielded = pass(
        "by the making of the server: services answer over TLS alone, and their gateway bounds and records every call",
    );
    sheet.put(3, "Protect critical web applications", shielded, picture.below_workspace("onlineEndpoints"));
    let limited = sheet.workspaces(
        |place| place.is_limited(),
        "takes requests from named networks alone",
        "take requests from every address; name networks in `ipAllowlist`, or close them",
    );
    sheet.put(4, "Deny communications with known malicious addresses", limited, picture.workspaces_path());
    let is_held = picture.policies.iter().any(|policy| policy.is_about_networks && policy.prevents());
    let standard = either(
        is_held,
        "a policy that denies or modifies keeps network settings as they should be",
        "no policy keeps network settings; assign `workspace-public-access-off` with the effect `Deny`",
    );
    sheet.put(9, "Maintain standard security configurations of networks", standard, picture.at(POLICIES));
    let documented = match picture.networks {
        (0, _) => nothing("there is no virtual network and no private endpoint here"),
        (_, 0) => pass("every virtual network and private endpoint has a tag"),
        (all, bare) => fail(format!(
            "{bare} of {all} virtual networks and private endpoints have no tag that says what they are for"
        )),
    };
    sheet.put(10, "Document traffic configuration rules", documented, picture.in_subscription("resources"));
    let told = either(
        picture.log.leaves,
        "a diagnostic setting of the subscription sends each change to another system, where it can be watched",
        "changes of network settings reach no other system; make a diagnostic setting of the subscription with a webhook, syslog or OTLP sink",
    );
    sheet.put(11, "Detect changes of network configurations", told, picture.in_subscription(SETTINGS));
}

/// Below a scope.
pub(super) const POLICIES: &str = "providers/Microsoft.Authorization/policyAssignments";
/// Below a scope.
pub(super) const SETTINGS: &str = "providers/Microsoft.Insights/diagnosticSettings";
