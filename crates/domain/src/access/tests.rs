//! The decision, its rules one by one, and against a reference evaluator on random roles, scopes and assignments.

use std::sync::Arc;

use kernel::{Action, Class, PrincipalId, PrincipalKind, ResourceId, Timestamp};
use uuid::Uuid;

use super::{lint::lint, role::Rules, *};
use crate::identity::Membership;

mod reference;
mod timed;

const ML: &str = "Microsoft.MachineLearningServices/workspaces";
const WS: &str = "/subscriptions/s/resourceGroups/A/providers/Microsoft.MachineLearningServices/workspaces/w";

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn action(name: &'static str) -> Action {
    Action::new(name, Class::Control)
}

fn catalogue() -> Arc<Catalogue> {
    let served = [
        "Microsoft.Authorization/roleAssignments/read",
        "Microsoft.Authorization/roleAssignments/write",
        "Microsoft.Authorization/roleDefinitions/write",
        "Microsoft.MachineLearningServices/workspaces/read",
        "Microsoft.MachineLearningServices/workspaces/write",
        "Microsoft.MachineLearningServices/workspaces/delete",
        "Microsoft.MachineLearningServices/workspaces/computes/write",
        "Microsoft.MachineLearningServices/workspaces/computes/read",
        "Microsoft.MachineLearningServices/workspaces/models/write",
    ];
    Arc::new(Catalogue::new(served.map(action)))
}

fn assignment(principal: PrincipalId, role: Uuid, scope: &str) -> (Uuid, RoleAssignment) {
    let row = RoleAssignment {
        scope: id(scope),
        role,
        principal,
        kind: PrincipalKind::User,
        created_by: principal,
        created_at: Timestamp(0),
        bounds: None,
    };
    (Uuid::new_v4(), row)
}

fn role(actions: &[&str], not_actions: &[&str]) -> RoleDefinition {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
    RoleDefinition {
        id: Uuid::new_v4(),
        role_name: String::from("mine"),
        description: String::new(),
        permissions: Permissions { actions: owned(actions), not_actions: owned(not_actions), ..Permissions::default() },
        assignable_scopes: vec![id("/subscriptions/s")],
        authored: None,
    }
}

fn denial(principals: &[PrincipalId], scope: &str, actions: &[&str]) -> (Uuid, DenyAssignment) {
    let row = DenyAssignment {
        deny_name: String::from("no"),
        description: String::new(),
        scope: id(scope),
        permissions: role(actions, &[]).permissions,
        principals: principals.to_vec(),
        except: Vec::new(),
        is_for_scope_alone: false,
        authored: None,
    };
    (Uuid::new_v4(), row)
}

fn compile(rows: &Rows) -> Access {
    Access::compile(&catalogue(), rows, &Access::default())
}

fn held(grants: &[(PrincipalId, Uuid, &str)]) -> Rows {
    let assignments = grants.iter().map(|(principal, role, scope)| assignment(*principal, *role, scope)).collect();
    Rows { assignments, ..Rows::default() }
}

fn people<const N: usize>() -> [PrincipalId; N] {
    std::array::from_fn(|_| PrincipalId::random())
}

#[test]
fn roles_inherit_downwards_and_never_sideways() {
    let ann = PrincipalId::random();
    let access = compile(&held(&[(ann, READER, "/subscriptions/s/resourceGroups/a")]));
    let read = action("Microsoft.MachineLearningServices/workspaces/read");
    let write = action("Microsoft.MachineLearningServices/workspaces/write");
    assert!(access.allows(ann, &read, &id(WS)));
    assert!(!access.allows(ann, &write, &id(WS)));
    assert!(!access.allows(ann, &read, &id(&WS.replace("/A/", "/ab/"))));
    assert!(!access.allows(PrincipalId::random(), &read, &id(WS)));
}

#[test]
fn a_group_s_roles_reach_its_members_through_other_groups() {
    let [ann, inner, outer, other] = people();
    let mut rows = held(&[(outer, READER, "/subscriptions/s"), (other, OWNER, "/subscriptions/s")]);
    // The last two contain each other.
    rows.memberships =
        [(ann, inner), (inner, outer), (outer, inner)].map(|(member, group)| Membership { group, member }).to_vec();
    let access = compile(&rows);
    let read = action("Microsoft.MachineLearningServices/workspaces/read");
    let scope = id("/subscriptions/s");
    assert!(access.allows(ann, &read, &scope));
    assert!(!access.allows(ann, &action("Microsoft.MachineLearningServices/workspaces/write"), &scope));
    assert!(!access.allows(PrincipalId::random(), &read, &scope));
    assert_eq!((access.above(ann).len(), access.below(inner).len(), access.memberships()), (2, 2, 3));
    let said = access.explain(ann, &read, &scope);
    assert_eq!(said.allowed_by[0].through, [inner, outer]);
}

#[test]
fn the_three_roles_split_the_article_s_matrix() {
    let people = [OWNER, CONTRIBUTOR, READER].map(|role| (PrincipalId::random(), role, "/subscriptions/s"));
    let access = compile(&held(&people));
    let row = |name| people.map(|(who, _, _)| access.allows(who, &action(name), &id(WS)));
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/write"), [true, true, false]);
    assert_eq!(row("Microsoft.Authorization/roleAssignments/write"), [true, false, false]);
    assert_eq!(row("Microsoft.Authorization/workspaceEditions/write"), [true, false, false]);
    assert_eq!(row("Microsoft.Authorization/roleAssignments/read"), [true, true, true]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/experiments/runs/read"), [true, true, true]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/services/aks/listkeys/action"), [true, true, false]);
    assert_eq!(row("Microsoft.Directory/servicePrincipals/write"), [false, false, false]);
}

#[test]
fn directory_roles_split_the_directory() {
    let people = [APPLICATION_ADMINISTRATOR, USER_ADMINISTRATOR, DIRECTORY_READER]
        .map(|role| (PrincipalId::random(), role, "/"));
    let access = compile(&held(&people));
    let row = |name| people.map(|(who, _, _)| access.allows(who, &action(name), &ResourceId::root()));
    assert_eq!(row("Microsoft.Directory/users/read"), [true, true, true]);
    assert_eq!(row("Microsoft.Directory/users/write"), [true, true, false]);
    assert_eq!(row("Microsoft.Directory/users/password/update"), [true, true, false]);
    assert_eq!(row("Microsoft.Directory/groups/members/update"), [true, true, false]);
    assert_eq!(row("Microsoft.Directory/servicePrincipals/read"), [true, true, true]);
    assert_eq!(row("Microsoft.Directory/servicePrincipals/write"), [true, false, false]);
    assert_eq!(row("Microsoft.Directory/applications/write"), [true, false, false]);
    assert_eq!(row("Microsoft.Directory/roleAssignments/write"), [true, false, false]);
    assert_eq!(row("Microsoft.Directory/signingKeys/rotate/action"), [true, false, false]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/read"), [false, false, false]);
}

#[test]
fn the_published_roles_mean_what_they_say() {
    let [science, machines, both] = people();
    let mut grants = vec![(science, DATA_SCIENTIST, WS), (machines, COMPUTE_OPERATOR, WS)];
    grants.extend([(both, DATA_SCIENTIST, WS), (both, COMPUTE_OPERATOR, WS)]);
    let access = compile(&held(&grants));
    let row = |name| [science, machines, both].map(|who| access.allows(who, &action(name), &id(WS)));
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/read"), [true, false, true]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/models/write"), [true, false, true]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/write"), [false, false, false]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/delete"), [false, false, false]);
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/listKeys/action"), [false, false, false]);
    // What one role takes back, another grants: `notActions` is no deny.
    assert_eq!(row("Microsoft.MachineLearningServices/workspaces/computes/write"), [false, true, true]);
    assert_eq!(row("Microsoft.Authorization/roleAssignments/write"), [false, false, false]);
    // The linter says of the one that it leans on how `/*/` is read, of the other that it is no use alone.
    let findings = |role: Uuid| lint(&access.role(role).unwrap().permissions, access.catalogue());
    let rules: Vec<Rule> = findings(DATA_SCIENTIST).into_iter().map(|finding| finding.rule).collect();
    assert!(rules.contains(&Rule::SegmentWildcard), "{rules:?}");
    assert_eq!(
        findings(COMPUTE_OPERATOR).iter().map(|finding| finding.rule).collect::<Vec<_>>(),
        [Rule::SeesNoWorkspace]
    );
    assert!(!findings(READER).iter().any(|finding| finding.rule == Rule::SegmentWildcard));
}

#[test]
fn a_denial_wins_over_every_role() {
    let [ann, bob, team, everyone] = people();
    let everyone = PrincipalId::from(everyone.0.min(Uuid::nil()));
    let mut rows = held(&[(ann, OWNER, "/subscriptions/s"), (bob, OWNER, "/subscriptions/s")]);
    rows.memberships = vec![Membership { group: team, member: bob }];
    let (write, read) = (action("Microsoft.MachineLearningServices/workspaces/write"), action(CHECKED));
    rows.denials = vec![denial(&[team], WS, &["*/write"])];
    let access = compile(&rows);
    assert!(access.allows(ann, &write, &id(WS)) && !access.allows(bob, &write, &id(WS)));
    assert!(access.allows(bob, &write, &id("/subscriptions/s")) && access.allows(bob, &read, &id(WS)));
    assert_eq!(access.explain(bob, &write, &id(WS)).denied_by.len(), 1);
    // For everyone but one, at a scope alone.
    rows.denials = vec![denial(&[everyone], "/subscriptions/s", &["*"])];
    rows.denials[0].1.except = vec![team];
    rows.denials[0].1.is_for_scope_alone = true;
    let access = compile(&rows);
    assert!(access.allows(bob, &read, &id("/subscriptions/s")));
    assert!(!access.allows(ann, &read, &id("/subscriptions/s")));
    assert!(access.allows(ann, &read, &id(WS)));
    // Whoever may lift it otherwise can, and no denial reaches the directory.
    let lift = action("Microsoft.Authorization/denyAssignments/delete");
    assert!(access.allows(ann, &lift, &id("/subscriptions/s")));
    let clerk = PrincipalId::random();
    rows.assignments.push(assignment(clerk, USER_ADMINISTRATOR, "/"));
    rows.denials = vec![denial(&[everyone], "/", &["*"])];
    let access = compile(&rows);
    assert!(access.allows(clerk, &action("Microsoft.Directory/users/write"), &ResourceId::root()));
    assert!(!access.allows(ann, &read, &id(WS)) && access.allows(ann, &lift, &id(WS)));
}

#[test]
fn who_shares_neither_copies_everything_nor_rotates_the_root_key() {
    let [owner, keeper, operator] = people();
    let access = compile(&held(&[
        (owner, OWNER, "/"),
        (keeper, USER_ACCESS_ADMINISTRATOR, "/"),
        (operator, built_in::BACKUP_OPERATOR, "/"),
    ]));
    let may = |who, name: &'static str| access.allows(who, &action(name), &ResourceId::root());
    let (copy, rotate) = ("Microsoft.Authorization/backups/write", "Microsoft.Authorization/rootKey/write");
    assert!(may(owner, copy) && may(owner, rotate));
    assert!(!may(keeper, copy) && !may(keeper, rotate));
    assert!(may(keeper, "Microsoft.Authorization/rootKey/read"));
    assert!(may(operator, copy) && !may(operator, rotate));
}

const CHECKED: &str = "Microsoft.MachineLearningServices/workspaces/read";

#[test]
fn nobody_grants_what_they_do_not_hold() {
    let [owner, keeper, limited] = people();
    let sharing = role(
        &["Microsoft.MachineLearningServices/workspaces/*/read", "Microsoft.Authorization/roleAssignments/*"],
        &["Microsoft.MachineLearningServices/workspaces/modules/read"],
    );
    let mut rows = held(&[
        (owner, OWNER, "/subscriptions/s"),
        (keeper, USER_ACCESS_ADMINISTRATOR, "/subscriptions/s"),
        (limited, sharing.id, "/subscriptions/s"),
    ]);
    rows.definitions = vec![sharing];
    let access = compile(&rows);
    let given = |actions: &[&str], not: &[&str]| access.allowed_by(&Rules::new(&role(actions, not).permissions));
    let lacks =
        |who, actions: &[&str], not: &[&str]| access.lacks(who, &given(actions, not), &id(WS), lasting::Lasting::Now);
    assert!(lacks(owner, &["*"], &[]).is_none() && lacks(keeper, &["*"], &[]).is_none());
    assert!(lacks(limited, &["Microsoft.MachineLearningServices/workspaces/computes/read"], &[]).is_none());
    assert!(lacks(limited, &["Microsoft.MachineLearningServices/workspaces/computes/*"], &[]).is_some());
    let modules = lacks(limited, &["Microsoft.MachineLearningServices/workspaces/*/read"], &[]).unwrap();
    assert_eq!(modules.name(), "Microsoft.MachineLearningServices/workspaces/modules/read");
    // Elsewhere they hold nothing.
    let elsewhere = access.lacks(limited, &given(&["*/read"], &[]), &id("/subscriptions/t"), lasting::Lasting::Now);
    assert!(elsewhere.is_some());
}

#[test]
fn an_explanation_says_what_takes_it_back_and_what_would_change_it() {
    let ann = PrincipalId::random();
    let elsewhere = WS.replace("/A/", "/b/");
    let access = compile(&held(&[(ann, DATA_SCIENTIST, WS), (ann, CONTRIBUTOR, elsewhere.as_str())]));
    let said = access.explain(ann, &action("Microsoft.MachineLearningServices/workspaces/computes/write"), &id(WS));
    assert!(!said.is_allowed && said.allowed_by.is_empty());
    assert_eq!(said.taken_back_by[0].pattern, format!("{ML}/computes/*/write"));
    assert_eq!(said.held_elsewhere[0].scope, id(&elsewhere));
    let offered: Vec<&str> = said.would_allow.iter().map(|offer| offer.role_name.as_str()).collect();
    assert_eq!(offered[0], "AzureML Compute Operator", "{offered:?}");
    assert!(offered.contains(&"Contributor"));
}

#[test]
fn the_linter_names_what_misleads() {
    let rules = |actions: &[&str], not: &[&str]| -> Vec<Rule> {
        lint(&role(actions, not).permissions, &catalogue()).into_iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules(&["*"], &[]), [Rule::AllowsEverything]);
    assert_eq!(rules(&["*/read"], &["*/write"]), [Rule::TakesNothingBack]);
    assert_eq!(rules(&["Microsoft.Nothing/*"], &[]), [Rule::MatchesNothing]);
    assert_eq!(rules(&["*/read", "Microsoft.MachineLearningServices/workspaces/read"], &[]), [Rule::Redundant]);
    assert_eq!(rules(&["Microsoft.Authorization/roleAssignments/*"], &[]), [Rule::GrantsAccess]);
    assert_eq!(rules(&["Microsoft.Authorization/roleAssignments/*"], &["Microsoft.Authorization/*/write"]), []);
}

#[test]
fn roles_and_denials_are_read_once() {
    let (catalogue, ann) = (catalogue(), PrincipalId::random());
    let mut rows = Rows { denials: vec![denial(&[ann], WS, &["*/write"])], ..Rows::default() };
    let before = Access::compile(&catalogue, &rows, &Access::default());
    let after = Access::compile(&catalogue, &rows, &before);
    assert!(std::ptr::eq(before.compiled(OWNER).unwrap(), after.compiled(OWNER).unwrap()));
    let write = action("Microsoft.MachineLearningServices/workspaces/write");
    let found =
        |access: &Access, of: &Action| access.denials_of(&[ann], of, &id(WS)).next().map(std::sync::Arc::as_ptr);
    assert!(found(&before, &write).is_some() && found(&before, &write) == found(&after, &write));
    // One that has changed is read anew.
    rows.denials[0].1.permissions.actions = vec![String::from("*/delete")];
    let changed = Access::compile(&catalogue, &rows, &after);
    let delete = action("Microsoft.MachineLearningServices/workspaces/delete");
    assert!(found(&changed, &write).is_none() && found(&changed, &delete).is_some());
}
