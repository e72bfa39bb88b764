//! Groups 5 to 8: vulnerability management, inventory, secure configuration, malware defense.

use super::{
    ControlGroup,
    network::POLICIES,
    sheet::{Elsewhere, Judgement, Sheet, either, fail, nothing, pass},
};

const HOST: &str = "the host and its software are their owner's";
const PROCESS: &str = "a process of your organization, which cannot be seen from here";

const VULNERABILITY: &[Elsewhere] = &[
    (1, "Run vulnerability scans", HOST),
    (2, "Deploy patches of operating systems", HOST),
    (3, "Deploy patches of other software", HOST),
    (4, "Compare scans with each other", HOST),
    (5, "Rate what is found by risk", PROCESS),
];

const INVENTORY: &[Elsewhere] = &[
    (3, "Delete unauthorized resources", PROCESS),
    (4, "Define approved resources", PROCESS),
    (6, "Monitor for unapproved software", HOST),
    (7, "Remove unapproved software", HOST),
    (8, "Use approved applications only", HOST),
    (10, "Maintain a list of approved software", PROCESS),
];

const CONFIGURATION: &[Elsewhere] = &[
    (2, "Establish secure configurations of operating systems", HOST),
    (4, "Maintain secure configurations of operating systems", HOST),
    (5, "Store configurations securely", "templates are kept in your own version control"),
    (6, "Store images of operating systems securely", "no images of operating systems are kept here"),
    (7, "Deploy configuration management", "templates are deployed by whatever you deploy with"),
    (8, "Deploy configuration management for operating systems", HOST),
    (10, "Monitor configurations of operating systems", HOST),
];

const MALWARE: &[Elsewhere] = &[
    (1, "Use centrally managed anti-malware software", HOST),
    (2, "Scan files before they are uploaded", "yours to do: contents are sealed as they come, and not looked into"),
    (3, "Keep anti-malware software up to date", HOST),
];

/// Judges the groups.
pub(super) fn judge(sheet: &mut Sheet<'_>) {
    sheet.turn_to(ControlGroup::Vulnerability);
    sheet.elsewhere(VULNERABILITY);
    sheet.turn_to(ControlGroup::Inventory);
    sheet.elsewhere(INVENTORY);
    inventory(sheet);
    sheet.turn_to(ControlGroup::Configuration);
    sheet.elsewhere(CONFIGURATION);
    configuration(sheet);
    sheet.turn_to(ControlGroup::Malware);
    sheet.elsewhere(MALWARE);
}

fn inventory(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    let listed = pass("by the making of the server: it lists every resource that it has to whoever may read it");
    sheet.put(1, "Discover assets", listed, picture.in_subscription("resources"));
    let untagged = picture.workspaces.iter().filter(|place| place.tags.is_empty()).count();
    let described = match (picture.groups.1, untagged) {
        (0, 0) => pass("every resource group and workspace has a tag"),
        (groups, workspaces) => fail(format!(
            "{groups} resource groups and {workspaces} workspaces have no tag that says what they are for"
        )),
    };
    sheet.put(2, "Maintain asset metadata", described, picture.in_subscription("resourcegroups"));
    let states = picture.at("providers/Microsoft.Authorization/policyAssignments");
    let watched = match (picture.policies.len(), picture.strays) {
        (0, _) => fail("no policy is assigned here, so nothing tells what is unapproved"),
        (_, 0) => pass("every resource is as the policies want it"),
        (_, some) => fail(format!(
            "{some} resources are not as a policy wants them; `bartizan policy-assignment state` names them"
        )),
    };
    sheet.put(5, "Monitor for unapproved resources", watched, states.clone());
    let approved = either(
        picture.policies.iter().any(super::picture::InForce::prevents),
        "a policy keeps resources from being otherwise than approved",
        "no policy denies or modifies anything here",
    );
    sheet.put(9, "Use approved services only", approved, states);
    let guarded = match (picture.people.privileged, picture.people.unguarded) {
        (0, _) => nothing("no person holds a role here that changes anything"),
        (_, 0) => pass("nobody changes resources here without a second factor"),
        (all, some) => fail(format!(
            "{some} of {all} people change resources here with one factor; demand a second one, of everybody or for operations of the class `control`"
        )),
    };
    let policies = String::from("/graph/v1.0/identity/conditionalAccess/policies");
    sheet.put(11, "Limit who interacts with the resource manager", guarded, policies);
    sheet.put(12, "Limit the execution of scripts", walls(sheet), picture.below_workspace("computes"));
    sheet.put(13, "Segregate high-risk applications", walls(sheet), picture.below_workspace("computes"));
}

/// Whether the jails of jobs have all their walls.
fn walls(sheet: &Sheet<'_>) -> Judgement {
    sheet.within_workspaces(
        |inside| inside.missing_walls.is_empty(),
        "runs every program in a jail whose walls all stand",
        "have targets on which walls of the jail do not stand; `bartizan doctor` says which and why",
    )
}

fn configuration(sheet: &mut Sheet<'_>) {
    let picture = sheet.picture;
    let assignments = picture.at(POLICIES);
    let said = either(
        !picture.policies.is_empty(),
        "policies say what resources here should be",
        "no policy says what resources here should be; those that ship are a beginning",
    );
    sheet.put(1, "Establish secure configurations of resources", said, assignments.clone());
    let held = either(
        picture.policies.iter().any(super::picture::InForce::prevents),
        "a policy that denies or modifies keeps resources so",
        "no policy keeps resources so: none denies or modifies",
    );
    sheet.put(3, "Maintain secure configurations of resources", held, assignments.clone());
    let monitored = match (picture.policies.len(), picture.strays) {
        (0, _) => fail("no policy is assigned here that resources could be held against"),
        (some, 0) => {
            pass(format!("{some} policies are held against every resource whenever somebody asks; none is broken"))
        }
        (_, strays) => fail(format!("{strays} resources are not as a policy wants them")),
    };
    sheet.put(9, "Monitor configurations of resources", monitored, assignments);
    let secrets = match picture.long_secrets {
        0 => pass("every client secret ends within a year, and none is kept in clear"),
        some => fail(format!(
            "{some} client secrets last longer than a year; replace them by certificates, trusted issuers or shorter ones"
        )),
    };
    sheet.put(11, "Manage secrets securely", secrets, String::from("/graph/v1.0/applications"));
    let identities = sheet.within_workspaces(
        |inside| inside.keyed_endpoints == 0,
        "has an identity that is managed, and no endpoint that is called with a key",
        "have endpoints that are called with keys in place of identities; set `authMode` to `AMLToken`",
    );
    sheet.put(
        12,
        "Manage identities securely and automatically",
        identities,
        picture.below_workspace("onlineEndpoints"),
    );
    let exposed = sheet.workspaces(
        |place| place.refuses_secrets,
        "refuses jobs and deployments in whose variables, inputs or command line a secret is written out; code is looked at as `contentScan` says",
        "take jobs and deployments in which secrets are written out, with a warning; set `secretDetection` to `Refuse`",
    );
    sheet.put(13, "Eliminate unintended credential exposure", exposed, picture.workspaces_path());
}
