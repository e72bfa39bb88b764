//! The order in which resources are made.

use std::collections::{BTreeSet, HashMap, HashSet};

use kernel::{ResourceId, Result};

use super::{fault::invalid, template::Step};

/// Takes dependencies on what is not wanted away; refuses those on what is not there.
pub(super) fn without(mut steps: Vec<Step>, skipped: &[Step]) -> Result<Vec<Step>> {
    let unwanted: HashSet<&str> = skipped.iter().flat_map(|step| &step.names).map(String::as_str).collect();
    let mut known: HashMap<String, usize> = HashMap::new();
    for name in steps.iter().chain(skipped).flat_map(|step| &step.names) {
        let times = known.entry(name.clone()).or_default();
        *times = times.saturating_add(1);
    }
    // A name that a skipped resource shares with another still stands for that one.
    let is_shared = |name: &String| known.get(name).is_some_and(|times| *times > 1);
    for step in &mut steps {
        if let Some(missing) = step.depends_on.iter().find(|name| !known.contains_key(*name)) {
            return Err(invalid(format_args!("the resource `{missing}` is not defined in the template")));
        }
        step.depends_on.retain(|name| !unwanted.contains(name.as_str()) || is_shared(name));
    }
    Ok(steps)
}

/// Each after all it depends on, else as written. `references` are the ids that each refers to.
pub(super) fn by_need(steps: Vec<Step>, references: &[Vec<ResourceId>]) -> Result<Vec<Step>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        for name in &step.names {
            by_name.entry(name.as_str()).or_default().push(at);
        }
    }
    let mut missing: Vec<usize> = Vec::with_capacity(steps.len());
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        let named = step.depends_on.iter().filter_map(|name| by_name.get(name.as_str())).flatten();
        let referred = references.get(at).into_iter().flatten().filter_map(|id| by_name.get(id.folded())).flatten();
        let needs: BTreeSet<usize> = named.chain(referred).copied().collect();
        missing.push(needs.len());
        for need in needs {
            needed_by.get_mut(need).into_iter().for_each(|others| others.push(at));
        }
    }
    let mut ready: BTreeSet<usize> =
        missing.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| at).collect();
    let mut left: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut placed = Vec::with_capacity(left.len());
    while let Some(next) = ready.pop_first() {
        placed.extend(left.get_mut(next).and_then(Option::take));
        for at in needed_by.get(next).into_iter().flatten() {
            let Some(count) = missing.get_mut(*at) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                ready.insert(*at);
            }
        }
    }
    match left.into_iter().flatten().next() {
        None => Ok(placed),
        Some(stuck) => Err(invalid(format_args!("the resource `{}` depends on itself, through others", stuck.id))),
    }
}
