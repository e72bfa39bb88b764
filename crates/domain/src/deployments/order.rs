//! The order in which resources are made.

use std::collections::HashMap;

use kernel::{ResourceId, Result};

use super::{fault::invalid, template::Step};

/// Takes dependencies on what is not wanted away; refuses those on what is not there.
pub(super) fn without(mut steps: Vec<Step>, skipped: &[Step]) -> Result<Vec<Step>> {
    let known: Vec<String> = steps.iter().chain(skipped).flat_map(|step| step.names.clone()).collect();
    for step in &mut steps {
        if let Some(missing) = step.depends_on.iter().find(|name| !known.contains(name)) {
            return Err(invalid(format_args!("the resource `{missing}` is not defined in the template")));
        }
        step.depends_on
            .retain(|name| !skipped.iter().any(|other| other.names.contains(name)) || known_twice(name, &known));
    }
    Ok(steps)
}

/// A name that a skipped resource shares with another.
fn known_twice(name: &str, known: &[String]) -> bool {
    known.iter().filter(|other| *other == name).count() > 1
}

/// Each after all it depends on, else as written. `references` are the ids that each refers to.
pub(super) fn by_need(steps: Vec<Step>, references: &[Vec<ResourceId>]) -> Result<Vec<Step>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        for name in &step.names {
            by_name.entry(name.as_str()).or_default().push(at);
        }
    }
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let named = step.depends_on.iter().filter_map(|name| by_name.get(name.as_str())).flatten().copied();
        let referred = references.get(at).into_iter().flatten().filter_map(|id| by_name.get(id.folded())).flatten();
        needs.push(named.chain(referred.copied()).collect());
    }
    let mut places: Vec<usize> = Vec::with_capacity(steps.len());
    let mut is_placed = vec![false; steps.len()];
    while places.len() < steps.len() {
        let placed = |at: &usize| is_placed.get(*at).copied().unwrap_or(false);
        let next =
            (0..steps.len()).find(|at| !placed(at) && needs.get(*at).is_some_and(|needs| needs.iter().all(placed)));
        let Some(next) = next else {
            let stuck = steps.iter().enumerate().find(|(at, _)| !placed(at)).map(|(_, step)| step.id.to_string());
            let why = format_args!("the resource `{}` depends on itself, through others", stuck.unwrap_or_default());
            return Err(invalid(why));
        };
        if let Some(mark) = is_placed.get_mut(next) {
            *mark = true;
        }
        places.push(next);
    }
    let mut left: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(places.into_iter().filter_map(|at| left.get_mut(at).and_then(Option::take)).collect())
}
