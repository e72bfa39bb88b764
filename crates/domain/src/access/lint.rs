//! The role linter: what in a role does not mean what it seems to mean.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use super::{
    Catalogue, Permissions, READ_WORKSPACE, RoleDefinition,
    pattern::Pattern,
    role::{Rules, bit, bits},
};
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
    /// It allows things in a workspace, and not to see the workspace: it is of use with another role alone.
    SeesNoWorkspace,
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
            Self::SeesNoWorkspace => "seesNoWorkspace",
        }
    }
}

#[async_trait]
impl Op for LintRoles {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleDefinitions/read", Class::Read);
    type Output = Vec<Linted>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Linted>> {
        let access = Arc::clone(&cx.house().access());
        let mut linted = Vec::new();
        for role in access.roles().into_iter().filter(|role| role.is_assignable_at(&self.scope)) {
            linted.push(Linted { role: role.clone(), findings: lint(&role.permissions, access.catalogue()) });
            // Others are served meanwhile: this is a question, and may take its time.
            tokio::task::yield_now().await;
        }
        Ok(linted)
    }
}

/// A pattern of a role and the entries of the catalogue that it matches.
struct Reach<'a> {
    list: &'static str,
    pattern: &'a str,
    matched: Vec<u64>,
}

impl Reach<'_> {
    fn count(&self) -> u32 {
        self.matched.iter().map(|word| word.count_ones()).sum()
    }

    fn holds(&self, other: &Self) -> bool {
        self.matched.iter().zip(&other.matched).all(|(here, there)| there & !here == 0)
    }

    fn meets(&self, other: &Self) -> bool {
        self.matched.iter().zip(&other.matched).any(|(here, there)| here & there != 0)
    }

    fn finding(&self, rule: Rule, message: impl Into<String>) -> Finding {
        Finding { rule, list: self.list, pattern: self.pattern.to_owned(), message: message.into() }
    }
}

/// What misleads in a role.
pub(super) fn lint(permissions: &Permissions, catalogue: &Catalogue) -> Vec<Finding> {
    let reach = |(list, pattern)| Reach { list, pattern, matched: matched(catalogue, list, &Pattern::new(pattern)) };
    let reaches: Vec<Reach<'_>> = permissions.patterns().map(reach).collect();
    let rules = Rules::new(permissions);
    let mut findings = Vec::new();
    for (place, reach) in reaches.iter().enumerate() {
        if let Some(missed) = missed_to_the_letter(reach, catalogue) {
            let message = format!("read to the letter, `*` needs a segment here, and `{missed}` would not be matched");
            findings.push(reach.finding(Rule::SegmentWildcard, message));
        }
        if reach.count() == 0 {
            findings.push(reach.finding(Rule::MatchesNothing, "no operation is matched by it"));
            continue;
        }
        match reach.list {
            "notActions" => findings.extend(takes_nothing_back(reach, &reaches, "actions")),
            "notDataActions" => findings.extend(takes_nothing_back(reach, &reaches, "dataActions")),
            _ => findings.extend(grants_much(reach, permissions, &rules, catalogue)),
        }
        let mut others = reaches.iter().enumerate().filter(|(other, _)| *other != place);
        let twin = others.find(|(other, held)| {
            held.list == reach.list && held.holds(reach) && (held.count() > reach.count() || *other < place)
        });
        if let Some((_, twin)) = twin {
            let message = format!("`{}` of the same list matches all that it does", twin.pattern);
            findings.push(reach.finding(Rule::Redundant, message));
        }
    }
    findings.extend(sees_no_workspace(permissions, &rules, catalogue));
    findings
}

fn matched(catalogue: &Catalogue, list: &str, pattern: &Pattern) -> Vec<u64> {
    let is_data = list.to_ascii_lowercase().ends_with("dataactions");
    bits(catalogue, |action| action.is_data() == is_data && pattern.matches(&action.name().to_ascii_lowercase()))
}

/// An action that the pattern matches here, and would not where every `*` stands for some text, so that `/*/` needs a segment.
fn missed_to_the_letter(reach: &Reach<'_>, catalogue: &Catalogue) -> Option<&'static str> {
    if !reach.pattern.contains("/*/") {
        return None;
    }
    // Two stars for each one keep `/*/` from being read as one slash.
    let letter = matched(catalogue, reach.list, &Pattern::new(&reach.pattern.replace('*', "**")));
    let mut places = catalogue.entries().iter().enumerate();
    let (_, missed) = places.find(|(place, _)| bit(&reach.matched, *place) && !bit(&letter, *place))?;
    Some(missed.action.name())
}

fn takes_nothing_back(reach: &Reach<'_>, all: &[Reach<'_>], positive: &str) -> Option<Finding> {
    let takes = all.iter().any(|other| other.list == positive && other.meets(reach));
    let message = "the role does not allow what this takes back, and it is no deny: another role can still grant it";
    (!takes).then(|| reach.finding(Rule::TakesNothingBack, message))
}

fn grants_much(reach: &Reach<'_>, permissions: &Permissions, rules: &Rules, catalogue: &Catalogue) -> Option<Finding> {
    if reach.pattern == "*" && permissions.not_actions.is_empty() {
        return Some(reach.finding(Rule::AllowsEverything, "it allows everything that there is now and will be"));
    }
    let assign = catalogue.find("Microsoft.Authorization/roleAssignments/write")?;
    let stands = rules.allow(&assign.action) && bit(&reach.matched, catalogue.place(&assign.action)?);
    let message = "whoever holds it can assign roles, as far as they are allowed themselves what those allow";
    stands.then(|| reach.finding(Rule::GrantsAccess, message))
}

/// A role for things in a workspace that does not let its holder see the workspace: alone, it is answered as if nothing were there.
fn sees_no_workspace(permissions: &Permissions, rules: &Rules, catalogue: &Catalogue) -> Option<Finding> {
    const WORKSPACES: &str = "microsoft.machinelearningservices/workspaces/";
    let is_within = |action: &Action| action.name().to_ascii_lowercase().starts_with(WORKSPACES);
    let allows_some = catalogue.entries().iter().any(|entry| is_within(&entry.action) && rules.allow(&entry.action));
    (allows_some && !rules.allow(&READ_WORKSPACE)).then(|| Finding {
        rule: Rule::SeesNoWorkspace,
        list: "actions",
        pattern: permissions.actions.first().cloned().unwrap_or_default(),
        message: format!("without `{}` its holder is told that there is no such workspace", READ_WORKSPACE.name()),
    })
}
