//! The compiled snapshot: what is assigned where, with the values of its parameters in place.

use kernel::{Error, Kind, ResourceId, Result};

use super::{
    PolicyAssignment, PolicyDefinition, built_in, definition::Mode, effect::Effect, facts::Facts, rule::Bound,
};
use crate::gate::House;

/// Everything that is assigned, by the ids of the assignments.
#[derive(Default)]
pub(crate) struct Policies {
    assigned: Vec<Assigned>,
    /// The assignments could not be read: no resource is written.
    is_closed: bool,
}

/// A definition in force at a scope.
#[derive(Debug)]
pub(super) struct Assigned {
    pub id: String,
    pub name: String,
    pub definition: String,
    pub definition_name: String,
    pub scope: ResourceId,
    pub not_scopes: Vec<ResourceId>,
    pub is_enforced: bool,
    pub message: Option<String>,
    mode: Mode,
    pub bound: Bound,
}

/// Compiles the snapshot from the store.
pub(crate) async fn compiled(house: &House) -> Result<Policies> {
    let definitions = house.all::<PolicyDefinition>(house.system(), b"").await?;
    let mut assigned = Vec::new();
    for row in house.all::<PolicyAssignment>(house.system(), b"").await? {
        let named = definitions.iter().map(|row| &row.value).chain(built_in::all());
        let definition = found(named, &row.value.definition);
        let definition = definition.ok_or_else(|| Error::internal("an assignment of a policy that is not there"))?;
        assigned.push(Assigned::of(&row.value, definition)?);
    }
    assigned.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Policies { assigned, is_closed: false })
}

/// The definition with this id.
pub(super) fn found<'a>(mut all: impl Iterator<Item = &'a PolicyDefinition>, id: &str) -> Option<&'a PolicyDefinition> {
    all.find(|definition| definition.id().eq_ignore_ascii_case(id))
}

impl Policies {
    /// A snapshot under which nothing is written.
    pub(crate) fn closed() -> Self {
        Self { assigned: Vec::new(), is_closed: true }
    }

    /// Whether nothing is assigned anywhere, and that is known.
    pub(super) fn is_empty(&self) -> bool {
        self.assigned.is_empty() && !self.is_closed
    }

    /// What is assigned.
    ///
    /// # Errors
    /// `Unavailable` when it could not be read.
    pub(super) fn assigned(&self) -> Result<&[Assigned]> {
        if self.is_closed {
            let why = "policies cannot be read just now, so no resource can be written; try again";
            return Err(Error::new(Kind::Unavailable, why));
        }
        Ok(&self.assigned)
    }
}

impl Assigned {
    /// An assignment of a definition.
    ///
    /// # Errors
    /// `Invalid` when the values do not fit the definition.
    pub fn of(assignment: &PolicyAssignment, definition: &PolicyDefinition) -> Result<Self> {
        Ok(Self {
            id: assignment.id(),
            name: assignment.name.clone(),
            definition: definition.id(),
            definition_name: definition.name.clone(),
            scope: assignment.scope.clone(),
            not_scopes: assignment.not_scopes.clone(),
            is_enforced: assignment.is_enforced,
            message: assignment.message.clone(),
            mode: definition.mode,
            bound: definition.rule()?.bind(&assignment.parameters)?,
        })
    }

    /// Whether it is asked about this resource at all.
    pub fn covers(&self, facts: &Facts) -> bool {
        let is_group = facts.id.segments().all(|segment| !segment.eq_ignore_ascii_case("providers"));
        self.bound.effect != Effect::Disabled
            && facts.id.is_within(&self.scope)
            && !self.not_scopes.iter().any(|place| facts.id.is_within(place))
            && !(is_group && self.mode == Mode::Indexed)
    }

    /// Whether its condition holds for this resource, which it covers.
    pub fn applies(&self, facts: &Facts) -> bool {
        self.covers(facts) && self.bound.condition.holds(facts)
    }
}
