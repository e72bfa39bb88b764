//! The directory that is decided about, and the right answers.

use domain::{
    access::{Permissions, RoleAssignment, RoleDefinition, Rows},
    identity::Membership,
};
use kernel::{Action, Class, PrincipalId, PrincipalKind, ResourceId, Timestamp};
use uuid::Uuid;

const NOUNS: [&str; 20] = [
    "jobs",
    "models",
    "environments",
    "data",
    "datastores",
    "computes",
    "onlineEndpoints",
    "batchEndpoints",
    "codes",
    "components",
    "registries",
    "schedules",
    "featurestores",
    "notebooks",
    "secrets",
    "keys",
    "connections",
    "metrics",
    "images",
    "snapshots",
];
const VERBS: [&str; 5] = ["read", "write", "delete", "listKeys/action", "run/action"];
const SPACE: &str = "Microsoft.MachineLearningServices/workspaces";

/// A question, and its answer.
pub struct Request {
    pub principal: PrincipalId,
    pub action: Action,
    pub scope: ResourceId,
    pub want: bool,
}

/// The directory.
pub struct Town {
    pub actions: Vec<Action>,
    pub rows: Rows,
    pub groups: Vec<PrincipalId>,
    pub requests: Vec<Request>,
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }
}

impl Town {
    pub fn new(assignments: usize, roles: usize, requests: usize) -> Self {
        let mut dice = Dice(11);
        let names = NOUNS.iter().flat_map(|noun| VERBS.iter().map(move |verb| format!("{SPACE}/{noun}/{verb}")));
        let whole = ["read", "write", "delete"].map(|verb| format!("{SPACE}/{verb}"));
        // An action's name lives as long as the program.
        let actions: Vec<Action> =
            names.chain(whole).map(|name| Action::new(String::leak(name), Class::Control)).collect();
        let definitions: Vec<RoleDefinition> = (0..roles).map(|at| role(&mut dice, at)).collect();
        let scopes = scopes(assignments / 1000);
        let people: Vec<PrincipalId> = (0..assignments * 35 / 100).map(|_| PrincipalId::random()).collect();
        let groups: Vec<PrincipalId> = (0..assignments / 20).map(|_| PrincipalId::random()).collect();
        let mut memberships = Vec::new();
        for person in &people {
            for _ in 0..*dice.pick(&[0, 1, 1, 2, 3]) {
                memberships.push(Membership { group: *dice.pick(&groups), member: *person });
            }
        }
        let held: Vec<(Uuid, RoleAssignment)> = (0..assignments)
            .map(|_| {
                let principal = if dice.roll(10) < 7 { *dice.pick(&people) } else { *dice.pick(&groups) };
                // One in twenty at a subscription, four at a group, the rest at a workspace.
                let level = [0, 1, 1, 1, 1].get(dice.roll(20)).copied().unwrap_or(2);
                let scope = dice.pick(&scopes[level]);
                let role = if dice.roll(100) < 3 { dice.roll(2) } else { dice.roll(roles) };
                let row = RoleAssignment {
                    scope: scope.clone(),
                    role: definitions[role].id,
                    principal,
                    kind: PrincipalKind::User,
                    created_by: principal,
                    created_at: Timestamp(0),
                    bounds: None,
                };
                (Uuid::new_v4(), row)
            })
            .collect();
        let rows = Rows { definitions, assignments: held, memberships, ..Rows::default() };
        let mut town = Self { actions, rows, groups, requests: Vec::new() };
        let plain = Plain::new(&town);
        let asked: Vec<Request> = (0..requests)
            .map(|_| {
                let principal = *dice.pick(&people);
                let own = plain.held(principal);
                let (scope, action) = match own.get(dice.roll(own.len().max(1))) {
                    // Mostly about what somebody holds: below it, and an action of its role.
                    Some(row) if dice.roll(10) < 6 => {
                        let below: Vec<_> = scopes[2].iter().filter(|scope| scope.is_within(&row.scope)).collect();
                        let allowed: Vec<_> =
                            town.actions.iter().filter(|action| plain.grants(row.role, action)).collect();
                        let action = if allowed.is_empty() { dice.pick(&town.actions) } else { *dice.pick(&allowed) };
                        ((*dice.pick(&below)).clone(), *action)
                    }
                    _ => (dice.pick(&scopes[2]).clone(), *dice.pick(&town.actions)),
                };
                let want = plain.allows(principal, &action, &scope);
                Request { principal, action, scope, want }
            })
            .collect();
        town.requests = asked;
        town
    }

    pub fn allowed(&self) -> usize {
        self.requests.iter().filter(|request| request.want).count()
    }
}

/// Subscriptions, groups and workspaces.
fn scopes(times: usize) -> [Vec<ResourceId>; 3] {
    let id = |text: String| text.parse::<ResourceId>().unwrap();
    let subscriptions: Vec<_> = (0..3 * times).map(|at| format!("/subscriptions/s{at}")).collect();
    let groups: Vec<_> =
        subscriptions.iter().flat_map(|above| (0..5).map(move |at| format!("{above}/resourceGroups/rg{at}"))).collect();
    let workspaces = groups.iter().flat_map(|above| {
        (0..6).map(move |at| format!("{above}/providers/Microsoft.MachineLearningServices/workspaces/ws{at}"))
    });
    let workspaces = workspaces.map(id).collect();
    [subscriptions.into_iter().map(id).collect(), groups.into_iter().map(id).collect(), workspaces]
}

fn role(dice: &mut Dice, at: usize) -> RoleDefinition {
    let mut permissions = Permissions::default();
    match at {
        0 => permissions.actions.push(String::from("*")),
        1 => permissions.actions.push(String::from("*/read")),
        _ => {
            for _ in 0..3 + dice.roll(8) {
                let noun = dice.pick(&NOUNS);
                let forms = ["NOUN/*", "NOUN/read", "NOUN/write", "*/read", "NOUN/*/action", "NOUN/delete"];
                permissions.actions.push(format!("{SPACE}/{}", dice.pick(&forms).replace("NOUN", noun)));
            }
        }
    }
    for _ in 0..*dice.pick(&[0, 0, 1, 2]) {
        let noun = dice.pick(&NOUNS);
        let forms = [
            format!("{SPACE}/{noun}/*"),
            String::from("*/delete"),
            format!("{SPACE}/*/listKeys/action"),
            format!("{SPACE}/secrets/*"),
        ];
        permissions.not_actions.push(dice.pick(&forms).clone());
    }
    RoleDefinition {
        id: Uuid::new_v4(),
        role_name: format!("role{at}"),
        description: String::new(),
        permissions,
        assignable_scopes: vec![ResourceId::root()],
        authored: None,
    }
}

/// The rules as one would say them.
pub struct Plain<'a> {
    by: std::collections::HashMap<PrincipalId, Vec<&'a RoleAssignment>>,
    groups: std::collections::HashMap<PrincipalId, Vec<PrincipalId>>,
    roles: std::collections::HashMap<Uuid, &'a RoleDefinition>,
}

impl<'a> Plain<'a> {
    pub fn new(town: &Town) -> Plain<'_> {
        let mut plain = Plain { by: Default::default(), groups: Default::default(), roles: Default::default() };
        for (_, row) in &town.rows.assignments {
            plain.by.entry(row.principal).or_default().push(row);
        }
        for row in &town.rows.memberships {
            plain.groups.entry(row.member).or_default().push(row.group);
        }
        plain.roles = town.rows.definitions.iter().map(|role| (role.id, role)).collect();
        plain
    }

    /// What a person holds, by itself and through groups.
    pub fn held(&self, person: PrincipalId) -> Vec<&'a RoleAssignment> {
        let groups = self.groups.get(&person).into_iter().flatten().copied();
        let all = std::iter::once(person).chain(groups);
        all.flat_map(|id| self.by.get(&id).into_iter().flatten().copied()).collect()
    }

    pub fn grants(&self, role: Uuid, action: &Action) -> bool {
        let permissions = &self.roles[&role].permissions;
        let any = |patterns: &[String]| {
            patterns.iter().any(|pattern| matches(&pattern.to_lowercase(), &action.name().to_lowercase()))
        };
        any(&permissions.actions) && !any(&permissions.not_actions)
    }

    pub fn allows(&self, person: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
        self.held(person).iter().any(|row| scope.is_within(&row.scope) && self.grants(row.role, action))
    }
}

/// `*` is any text, `/*/` also one slash.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once("/*/") {
        Some((head, tail)) if !head.contains('*') => {
            let Some(rest) = text.strip_prefix(head).and_then(|rest| rest.strip_prefix('/')) else { return false };
            let mut ends = rest.match_indices('/').map(|(at, _)| &rest[at + 1..]);
            matches(tail, rest) || ends.any(|end| matches(tail, end))
        }
        _ => match pattern.split_once('*') {
            None => pattern == text,
            Some((head, tail)) => {
                text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|at| matches(tail, &rest[at..])))
            }
        },
    }
}
