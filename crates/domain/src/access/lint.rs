//! The role linter: what in a role does not mean what it seems to mean.

use kernel::{Action, Class, ResourceId, Result};

use super::{Catalogue, Permissions, RoleDefinition, pattern::Pattern};
use crate::gate::{Cx, Op};

/// Lints the roles that can be assigned at a scope.
#[derive(Debug)]
pub struct LintRoles {
    /// Where.
    pub scope: ResourceId,
}

/// What was found in a role.
#[derive(Clone, Debug)]
pub struct Linted {
    /// The role.
    pub role: RoleDefinition,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// One thing in a role that misleads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind of thing.
    pub rule: Rule,
    /// The list it is in.
    pub list: &'static str,
    /// The pattern.
    pub pattern: String,
    /// What to know about it.
    pub message: String,
}

/// The kinds of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The role depends on `/*/` standing for no segment at all: elsewhere, where it is read to the letter, it means another thing.
    SegmentWildcard,
    /// Nothing is taken back by it: no pattern of the role allows what it matches. Other roles can grant it (`notActions` is no
    /// deny).
    TakesNothingBack,
    /// No operation is matched by it.
    MatchesNothing,
    /// Another pattern of the same list matches all that it does.
    Redundant,
    /// It lets its holder assign roles: with them, everything that the holder is allowed can be handed on.
    GrantsAccess,
    /// It allows everything that there is now and will be.
    AllowsEverything,
}

impl Rule {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SegmentWildcard => "segmentWildcard",
            Self::TakesNothingBack => "takesNothingBack",
            Self::MatchesNothing => "matchesNothing",
            Self::Redundant => "redundant",
            Self::GrantsAccess => "grantsAccess",
            Self::AllowsEverything => "allowsEverything",
        }
    }
}

impl Op for LintRoles {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleDefinitions/read", Class::Read);
    type Output = Vec<Linted>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Linted>> {
        let access = cx.house().access();
        let offered = access.roles().into_iter().filter(|role| role.is_assignable_at(&self.scope));
        let linted =
            offered.map(|role| Linted { role: role.clone(), findings: lint(&role.permissions, access.catalogue()) });
        Ok(linted.collect())
    }
}

/// A pattern of a role and the actions that it matches, as they are spelled.
struct Reach<'a> {
    list: &'static str,
    pattern: &'a str,
    matched: Vec<&'static str>,
}

impl Reach<'_> {
    fn holds(&self, other: &Self) -> bool {
        other.matched.iter().all(|action| self.matched.contains(action))
    }

    fn finding(&self, rule: Rule, message: impl Into<String>) -> Finding {
        Finding { rule, list: self.list, pattern: self.pattern.to_owned(), message: message.into() }
    }
}

/// What misleads in a role.
pub(super) fn lint(permissions: &Permissions, catalogue: &Catalogue) -> Vec<Finding> {
    let reaches: Vec<Reach<'_>> = permissions
        .patterns()
        .map(|(list, pattern)| Reach { list, pattern, matched: matched(catalogue, list, &Pattern::new(pattern)) })
        .collect();
    let mut findings = Vec::new();
    for (place, reach) in reaches.iter().enumerate() {
        if let Some(missed) = missed_to_the_letter(reach) {
            let message = format!("read to the letter, `*` needs a segment here, and `{missed}` would not be matched");
            findings.push(reach.finding(Rule::SegmentWildcard, message));
        }
        if reach.matched.is_empty() {
            findings.push(reach.finding(Rule::MatchesNothing, "no operation is matched by it"));
            continue;
        }
        let positive =
            reach.list.strip_prefix("not").map(|rest| if rest == "Actions" { "actions" } else { "dataActions" });
        match positive {
            Some(positive) => findings.extend(takes_nothing_back(reach, &reaches, positive)),
            None => findings.extend(grants_much(reach, permissions, catalogue)),
        }
        let mut others = reaches.iter().enumerate().filter(|(other, _)| *other != place);
        let twin = others.find(|(other, held)| {
            held.list == reach.list && held.holds(reach) && (held.matched.len() > reach.matched.len() || *other < place)
        });
        if let Some((_, twin)) = twin {
            let message = format!("`{}` of the same list matches all that it does", twin.pattern);
            findings.push(reach.finding(Rule::Redundant, message));
        }
    }
    findings
}

fn matched(catalogue: &Catalogue, list: &str, pattern: &Pattern) -> Vec<&'static str> {
    let is_data = list.to_ascii_lowercase().ends_with("dataactions");
    let entries = catalogue.entries().iter().map(|entry| entry.action).filter(|action| action.is_data() == is_data);
    entries.filter(|action| pattern.matches(&action.name().to_ascii_lowercase())).map(|action| action.name()).collect()
}

/// An action that the pattern matches here, and would not where every `*` stands for some text, so that `/*/` needs a segment.
fn missed_to_the_letter(reach: &Reach<'_>) -> Option<&'static str> {
    if !reach.pattern.contains("/*/") {
        return None;
    }
    // Two stars for each one keep `/*/` from being read as one slash.
    let letter = Pattern::new(&reach.pattern.replace('*', "**"));
    reach.matched.iter().copied().find(|action| !letter.matches(&action.to_ascii_lowercase()))
}

fn takes_nothing_back(reach: &Reach<'_>, all: &[Reach<'_>], positive: &str) -> Option<Finding> {
    let mut allowing = all.iter().filter(|other| other.list == positive);
    let takes = allowing.any(|other| reach.matched.iter().any(|action| other.matched.contains(action)));
    let message = "the role does not allow what this takes back, and it is no deny: another role can still grant it";
    (!takes).then(|| reach.finding(Rule::TakesNothingBack, message))
}

fn grants_much(reach: &Reach<'_>, permissions: &Permissions, catalogue: &Catalogue) -> Option<Finding> {
    const ASSIGN: &str = "Microsoft.Authorization/roleAssignments/write";
    let rules = super::role::Rules::new(permissions);
    if reach.pattern == "*" && permissions.not_actions.is_empty() {
        return Some(reach.finding(Rule::AllowsEverything, "it allows everything that there is now and will be"));
    }
    let assigns = reach.matched.iter().any(|action| action.eq_ignore_ascii_case(ASSIGN));
    let stands = catalogue.find(ASSIGN).is_some_and(|entry| rules.allow(&entry.action));
    let message = "whoever holds it can assign roles, as far as they are allowed themselves what those allow";
    (assigns && stands).then(|| reach.finding(Rule::GrantsAccess, message))
}
