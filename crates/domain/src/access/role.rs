//! Role definitions: what a role allows, and what it takes back from that.

use kernel::{Action, PrincipalId, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Catalogue, built_in, pattern::Pattern};
use crate::gate::{Admission, Record};

/// What a role allows. An action is allowed when a pattern of `actions` matches it and none of `not_actions` does; data actions
/// are asked of the other two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Permissions {
    /// Patterns of control-plane actions.
    pub actions: Vec<String>,
    /// Patterns taken back. What another role grants is not their concern (they are no deny).
    pub not_actions: Vec<String>,
    /// Patterns of data-plane actions.
    pub data_actions: Vec<String>,
    /// Patterns taken back.
    pub not_data_actions: Vec<String>,
}

impl Permissions {
    /// The patterns that allow this action, and those that take it back.
    pub(super) fn lists(&self, action: &Action) -> (&[String], &[String]) {
        match action.is_data() {
            true => (&self.data_actions, &self.not_data_actions),
            false => (&self.actions, &self.not_actions),
        }
    }

    /// All patterns, each with the name of its list.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lists = [
            ("actions", &self.actions),
            ("notActions", &self.not_actions),
            ("dataActions", &self.data_actions),
            ("notDataActions", &self.not_data_actions),
        ];
        lists.into_iter().flat_map(|(list, patterns)| patterns.iter().map(move |pattern| (list, pattern.as_str())))
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleDefinition {
    /// Its id.
    pub id: Uuid,
    /// Its name; no two of a directory are the same, case aside.
    pub role_name: String,
    /// For people.
    pub description: String,
    /// What it allows.
    pub permissions: Permissions,
    /// Where, and below where, it can be assigned.
    pub assignable_scopes: Vec<ResourceId>,
    /// Who made it and changed it last, and when; none for those that ship.
    pub authored: Option<Authored>,
}

/// Who made something and changed it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authored {
    /// Who made it.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
    /// Who changed it last.
    pub updated_by: PrincipalId,
    /// When.
    pub updated_at: Timestamp,
}

impl Authored {
    /// Written now, by whoever asks; `before` says who made it.
    pub(crate) fn now(cx: &Admission<'_>, before: Option<Self>) -> Option<Self> {
        let by = cx.caller().principal().map_or(PrincipalId::from(Uuid::nil()), |principal| principal.id);
        let made = before.map_or((by, cx.now()), |before| (before.created_by, before.created_at));
        Some(Self { created_by: made.0, created_at: made.1, updated_by: by, updated_at: cx.now() })
    }
}

impl Record for RoleDefinition {
    const TABLE: &'static str = "role-definition";
}

impl RoleDefinition {
    /// The role that ships under this id.
    pub fn built_in(id: Uuid) -> Option<&'static Self> {
        built_in::all().iter().find(|role| role.id == id)
    }

    /// Whether somebody made it, rather than that it ships.
    pub fn is_custom(&self) -> bool {
        self.authored.is_some()
    }

    /// Whether all it allows is in the directory: such a role is given and taken by the directory's own administrators.
    pub fn is_of_directory(&self) -> bool {
        let Permissions { actions, data_actions, .. } = &self.permissions;
        data_actions.is_empty() && actions.iter().all(|pattern| pattern.starts_with("Microsoft.Directory/"))
    }

    /// Whether it can be assigned at the scope.
    pub fn is_assignable_at(&self, scope: &ResourceId) -> bool {
        self.assignable_scopes.iter().any(|assignable| scope.is_within(assignable))
    }
}

/// A role as decisions are made by it: which entries of the catalogue it allows is known beforehand.
#[derive(Debug)]
pub(super) struct Role {
    pub definition: RoleDefinition,
    allowed: Rules,
    /// A bit for every entry of the catalogue.
    known: Vec<u64>,
}

/// Patterns of a role, read.
#[derive(Debug)]
pub(super) struct Rules {
    lists: [Vec<Pattern>; 4],
}

impl Rules {
    pub(super) fn new(permissions: &Permissions) -> Self {
        let Permissions { actions, not_actions, data_actions, not_data_actions } = permissions;
        let read = |texts: &Vec<String>| texts.iter().map(|text| Pattern::new(text)).collect();
        Self { lists: [actions, not_actions, data_actions, not_data_actions].map(read) }
    }

    /// Whether the action is allowed and not taken back.
    pub(super) fn allow(&self, action: &Action) -> bool {
        matches!(self.deciding(action), (Some(_), None))
    }

    /// The place of the pattern that allows the action in its list, and of the one that takes it back.
    pub(super) fn deciding(&self, action: &Action) -> (Option<usize>, Option<usize>) {
        let [actions, not_actions, data_actions, not_data_actions] = &self.lists;
        let (allow, take_back) = match action.is_data() {
            true => (data_actions, not_data_actions),
            false => (actions, not_actions),
        };
        let folded = action.name().to_ascii_lowercase();
        let first = |patterns: &[Pattern]| patterns.iter().position(|pattern| pattern.matches(&folded));
        (first(allow), first(take_back))
    }
}

impl Role {
    pub(super) fn compile(definition: RoleDefinition, catalogue: &Catalogue) -> Self {
        let allowed = Rules::new(&definition.permissions);
        let known = bits(catalogue, |action| allowed.allow(action));
        Self { definition, allowed, known }
    }

    /// The pattern that allows the action, and the one that takes it back.
    pub(super) fn deciding(&self, action: &Action) -> (Option<&str>, Option<&str>) {
        let (allow, take_back) = self.definition.permissions.lists(action);
        let (allows, takes_back) = self.allowed.deciding(action);
        let text = allows.and_then(|at| allow.get(at)).map(String::as_str);
        (text, takes_back.and_then(|at| take_back.get(at)).map(String::as_str))
    }

    /// Whether it allows the action, whose place in the catalogue is `place`.
    pub(super) fn allows(&self, action: &Action, place: Option<usize>) -> bool {
        match place {
            Some(place) => bit(&self.known, place),
            None => self.allowed.allow(action),
        }
    }
}

/// A bit for every entry of the catalogue.
pub(super) fn bits(catalogue: &Catalogue, is_set: impl Fn(&Action) -> bool) -> Vec<u64> {
    let of_word = |entries: &[super::Entry]| {
        entries.iter().rev().fold(0_u64, |word, entry| (word << 1) | u64::from(is_set(&entry.action)))
    };
    catalogue.entries().chunks(64).map(of_word).collect()
}

/// The bit of an entry.
pub(super) fn bit(words: &[u64], place: usize) -> bool {
    words.get(place.div_euclid(64)).is_some_and(|word| (word >> place.rem_euclid(64)) & 1 == 1)
}
