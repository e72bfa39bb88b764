//! The rules of Azure RBAC as one would say them (requirements A-26, Z1 and Z13), without a thought for speed, and the compiled
//! snapshot beside them on random input.

#![allow(clippy::string_slice, reason = "tests")]

use super::*;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    fn some<T: Clone>(&mut self, all: &[T], most: usize) -> Vec<T> {
        (0..self.roll(most + 1)).map(|_| self.pick(all).clone()).collect()
    }
}

/// `*` is any text, `/*/` also one slash.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some((head, tail)) = pattern.split_once("/*/")
        && !head.contains('*')
    {
        let Some(rest) = text.strip_prefix(head).and_then(|rest| rest.strip_prefix('/')) else { return false };
        let ends = rest.match_indices('/').map(|(at, _)| &rest[at + 1..]);
        return matches(tail, rest) || ends.into_iter().any(|end| matches(tail, end));
    }
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.strip_prefix(head).is_some_and(|rest| (0..=rest.len()).any(|at| matches(tail, &rest[at..])))
        }
    }
}

fn any(patterns: &[String], action: &Action) -> bool {
    let action = action.name().to_lowercase();
    patterns.iter().any(|pattern| matches(&pattern.to_lowercase(), &action))
}

fn grants(permissions: &Permissions, action: &Action) -> bool {
    let Permissions { actions, not_actions, data_actions, not_data_actions } = permissions;
    let (allow, take_back) = if action.is_data() { (data_actions, not_data_actions) } else { (actions, not_actions) };
    any(allow, action) && !any(take_back, action)
}

fn belongs(rows: &Rows, member: PrincipalId, group: PrincipalId) -> bool {
    let mut reached = vec![member];
    loop {
        let more = rows.memberships.iter().filter(|row| reached.contains(&row.member) && !reached.contains(&row.group));
        let more: Vec<PrincipalId> = more.map(|row| row.group).collect();
        if more.is_empty() {
            return reached.contains(&group);
        }
        reached.extend(more);
    }
}

/// Effective = the union over assignments of (actions − notActions), minus deny assignments; scopes inherit; groups nest.
fn allowed(rows: &Rows, who: PrincipalId, action: &Action, scope: &ResourceId) -> bool {
    let is_granted = rows.assignments.iter().any(|(_, row)| {
        let role = built_in::all().iter().chain(&rows.definitions).find(|role| role.id == row.role);
        belongs(rows, who, row.principal)
            && scope.is_within(&row.scope)
            && role.is_some_and(|role| grants(&role.permissions, action))
    });
    let is_denied = rows.denials.iter().any(|(_, row)| {
        let named = |list: &[PrincipalId]| list.iter().any(|id| id.0.is_nil() || belongs(rows, who, *id));
        let is_out_of_reach = action.name().starts_with("Microsoft.Directory/")
            || ["Microsoft.Authorization/denyAssignments/read", "Microsoft.Authorization/denyAssignments/delete"]
                .contains(&action.name());
        let applies = if row.is_for_scope_alone { *scope == row.scope } else { scope.is_within(&row.scope) };
        applies && !is_out_of_reach && named(&row.principals) && !named(&row.except) && grants(&row.permissions, action)
    });
    is_granted && !is_denied
}

#[test]
fn the_snapshot_agrees_with_the_reference_on_random_directories() {
    let catalogue = Arc::new(Catalogue::new([]));
    let actions: Vec<Action> = catalogue.entries().iter().map(|entry| entry.action).collect();
    let scopes: Vec<String> = ["/", "/subscriptions/s", "/subscriptions/t"]
        .into_iter()
        .map(String::from)
        .chain((0..3).map(|group| format!("/subscriptions/s/resourceGroups/g{group}")))
        .chain((0..3).map(|ws| WS.replace("/A/", &format!("/g{ws}/"))))
        .chain([format!("{}/computes/c", WS.replace("/A/", "/G0/"))])
        .collect();
    let mut dice = Dice(7);
    let (mut yes, mut no, mut denied) = (0, 0, 0);
    for _ in 0..60 {
        let rows = random_rows(&mut dice, &actions, &scopes);
        let access = Access::compile(&catalogue, &rows.0, &Access::default());
        for _ in 0..200 {
            let (who, action, scope) = (*dice.pick(&rows.1), dice.pick(&actions), id(dice.pick::<String>(&scopes)));
            let expected = allowed(&rows.0, who, action, &scope);
            assert_eq!(access.allows(who, action, &scope), expected, "{who} {} {scope}", action.name());
            let said = access.explain(who, action, &scope);
            assert_eq!(said.is_allowed, expected);
            assert_eq!(!said.allowed_by.is_empty() && said.denied_by.is_empty(), expected);
            match expected {
                true => yes += 1,
                false => no += 1,
            }
            denied += usize::from(!said.allowed_by.is_empty() && !said.denied_by.is_empty());
        }
    }
    // The dice reach both answers, and both reasons for a no.
    assert!(yes > 1000 && no > 1000 && denied > 50, "{yes} {no} {denied}");
}

/// A directory of some people and groups with roles of their own, and everybody in it.
fn random_rows(dice: &mut Dice, actions: &[Action], scopes: &[String]) -> (Rows, Vec<PrincipalId>) {
    let everybody: [PrincipalId; 12] = people();
    let groups = &everybody[6..];
    let pattern = |dice: &mut Dice| {
        let name = dice.pick(actions).name();
        let cut = name.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        let (at, end) = (*dice.pick(&cut), name.rfind('/').unwrap());
        match dice.roll(6) {
            0 => name.to_owned(),
            1 => name.to_uppercase(),
            2 => format!("{}/*", &name[..at]),
            3 => format!("*{}", &name[at..]),
            4 => format!("{}/*{}", &name[..at], &name[end..]),
            _ => format!("{}*{}", &name[..at + 2], &name[end..]),
        }
    };
    let mut rows = Rows::default();
    for _ in 0..4 {
        let mut made = role(&[], &[]);
        made.permissions.actions = (0..=dice.roll(4)).map(|_| pattern(dice)).collect();
        made.permissions.not_actions = (0..dice.roll(3)).map(|_| pattern(dice)).collect();
        made.permissions.data_actions = (0..dice.roll(3)).map(|_| pattern(dice)).collect();
        made.permissions.not_data_actions = (0..dice.roll(2)).map(|_| pattern(dice)).collect();
        rows.definitions.push(made);
    }
    let own: Vec<Uuid> =
        rows.definitions.iter().map(|role| role.id).chain([OWNER, CONTRIBUTOR, READER, DATA_SCIENTIST]).collect();
    for _ in 0..10 {
        rows.assignments.push(assignment(*dice.pick(&everybody), *dice.pick(&own), dice.pick::<String>(scopes)));
    }
    for _ in 0..8 {
        rows.memberships.push(Membership { group: *dice.pick(groups), member: *dice.pick(&everybody) });
    }
    for _ in 0..dice.roll(4) {
        let mut row = denial(&dice.some(&everybody, 3), dice.pick::<String>(scopes), &[]);
        row.1.permissions.actions = vec![pattern(dice), pattern(dice)];
        row.1.except = dice.some(&everybody, 2);
        row.1.is_for_scope_alone = dice.roll(3) == 0;
        if dice.roll(3) == 0 {
            row.1.principals.push(PrincipalId::from(Uuid::nil()));
        }
        rows.denials.push(row);
    }
    (rows, everybody.to_vec())
}
