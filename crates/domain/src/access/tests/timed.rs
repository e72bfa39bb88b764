//! What begins and ends by itself, in the snapshot.

use super::*;
use crate::access::lasting::Lasting;

const GROUP: &str = "/subscriptions/s/resourceGroups/A";

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn window(from: i64, until: Option<i64>) -> Window {
    Window { from: at(from), until: until.map(at) }
}

fn timed(principal: PrincipalId, role: Uuid, window: Window, eligibility: Option<Uuid>) -> (Uuid, RoleAssignment) {
    let (name, mut row) = assignment(principal, role, GROUP);
    row.bounds = Some(Bounds { window, eligibility, request: Uuid::nil() });
    (name, row)
}

fn eligible(principal: PrincipalId, role: Uuid, window: Window) -> (Uuid, Eligibility) {
    let held = Eligibility {
        scope: id(GROUP),
        role,
        principal,
        kind: PrincipalKind::User,
        window,
        terms: ActivationTerms::default(),
        created_by: principal,
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
        request: Uuid::nil(),
    };
    (Uuid::new_v4(), held)
}

/// The snapshot, moved on from moment to moment, each asked whether ann may write there.
fn answers(rows: &Rows, ann: PrincipalId, moments: &[i64]) -> Vec<bool> {
    let write = action("Microsoft.MachineLearningServices/workspaces/write");
    let mut access = compile(rows);
    let mut said = Vec::new();
    for moment in moments {
        if let Some(moved) = access.moved_to(at(*moment)) {
            access = moved;
        }
        let fresh = compile(&Rows { at: at(*moment), ..rows.clone() });
        assert_eq!(access.allows(ann, &write, &id(WS)), fresh.allows(ann, &write, &id(WS)), "at {moment}");
        assert_eq!(access.ended(at(*moment)).len(), fresh.ended(at(*moment)).len(), "at {moment}");
        said.push(access.allows(ann, &write, &id(WS)));
    }
    said
}

#[test]
fn an_assignment_counts_from_its_beginning_up_to_its_end_and_not_a_moment_longer() {
    let ann = PrincipalId::random();
    let rows = Rows { assignments: vec![timed(ann, OWNER, window(10, Some(20)), None)], ..Rows::default() };
    assert_eq!(answers(&rows, ann, &[0, 9, 10, 19, 20, 30]), [false, false, true, true, false, false]);
    let mut access = compile(&rows).moved_to(Timestamp(19_999)).unwrap();
    assert!(access.moved_to(Timestamp(19_999)).is_none(), "nothing happens twice");
    access = access.moved_to(at(20)).unwrap();
    assert!(access.is_timeless() && access.ended(at(20)).len() == 1);
    // A permanent one beside it stays.
    let mut both = rows.clone();
    both.assignments.push(assignment(ann, OWNER, GROUP));
    assert_eq!(answers(&both, ann, &[0, 15, 25]), [true, true, true]);
}

#[test]
fn an_activation_counts_no_longer_than_its_eligibility_and_the_way_to_it() {
    let [ann, team, outer] = people();
    let given = eligible(outer, OWNER, window(0, Some(15)));
    let mut rows = Rows {
        assignments: vec![timed(ann, OWNER, window(5, Some(100)), Some(given.0))],
        eligibilities: vec![given.clone()],
        memberships: [(ann, team), (team, outer)].map(|(member, group)| Membership { group, member }).to_vec(),
        ..Rows::default()
    };
    assert_eq!(answers(&rows, ann, &[0, 5, 14, 15, 50]), [false, true, true, false, false]);
    rows.eligibilities[0].1.window.until = None;
    assert_eq!(answers(&rows, ann, &[0, 5, 99, 100]), [false, true, true, false]);
    type Change = fn(&mut Rows);
    let cases: [(&str, Change); 5] = [
        ("left the group", |rows| rows.memberships.truncate(1)),
        ("the group left", |rows| rows.memberships.remove(0).group.clone_into(&mut PrincipalId::random())),
        ("no eligibility", |rows| rows.eligibilities.clear()),
        ("another role", |rows| rows.eligibilities[0].1.role = READER),
        ("another scope", |rows| rows.eligibilities[0].1.scope = id("/subscriptions/s/resourceGroups/B")),
    ];
    for (case, change) in cases {
        let mut changed = rows.clone();
        change(&mut changed);
        assert_eq!(answers(&changed, ann, &[5, 50]), [false, false], "{case}");
        assert_eq!(compile(&changed).ended(at(5)).len(), 1, "{case}");
    }
}

#[test]
fn what_is_held_for_a_time_is_not_held_for_good() {
    let [ann, bob] = people();
    let mut rows = Rows { assignments: vec![timed(ann, OWNER, window(0, Some(20)), None)], ..Rows::default() };
    rows.assignments.push(assignment(bob, OWNER, GROUP));
    let access = compile(&rows);
    let write = action("Microsoft.MachineLearningServices/workspaces/write");
    let may = |who, lasting| {
        let may = access.allows_lasting(who, &write, &id(WS), lasting);
        assert_eq!(access.may_grant_all(who, &id(WS), lasting), may);
        assert_eq!(access.lacks(who, &[write], &id(WS), lasting).is_none(), may);
        may
    };
    let spans = [Lasting::Now, Lasting::Until(at(20)), Lasting::Until(at(21)), Lasting::ForGood];
    assert_eq!(spans.map(|span| may(ann, span)), [true, true, false, false]);
    assert_eq!(spans.map(|span| may(bob, span)), [true; 4]);
}

#[test]
fn eligibility_allows_nothing_but_to_ask_for_it() {
    let [ann, bob] = people();
    let rows = Rows { eligibilities: vec![eligible(ann, OWNER, window(0, Some(20)))], ..Rows::default() };
    let access = compile(&rows);
    let ask = action("Microsoft.Authorization/roleAssignmentScheduleRequests/write");
    let see = action("Microsoft.Authorization/roleEligibilityScheduleInstances/read");
    for action in [action("Microsoft.MachineLearningServices/workspaces/read"), ask, see] {
        assert!(!access.allows(ann, &action, &id(GROUP)), "{}", action.name());
    }
    let subscription = id("/subscriptions/s");
    assert!(access.is_invited(ann, &ask, &id(GROUP)) && !access.is_invited(ann, &ask, &subscription));
    assert!(access.is_invited(ann, &see, &subscription) && access.is_invited(ann, &see, &id(WS)));
    assert!(!access.is_invited(ann, &see, &id("/subscriptions/t")));
    assert!(!access.is_invited(bob, &ask, &id(GROUP)) && !access.is_invited(bob, &see, &subscription));
    assert!(!access.is_invited(ann, &action("Microsoft.Authorization/roleAssignments/write"), &id(GROUP)));
    let later = access.moved_to(at(20)).unwrap();
    assert!(!later.is_invited(ann, &ask, &id(GROUP)) && later.lapsed(at(20)).len() == 1);
    let mut denied = rows;
    denied.denials = vec![denial(&[ann], GROUP, &["Microsoft.Authorization/*"])];
    let with_door = Arc::new(Catalogue::new([ask]));
    let access = Access::compile(&with_door, &denied, &Access::default());
    assert!(!access.is_invited(ann, &ask, &id(GROUP)), "a denial keeps from asking too");
}
