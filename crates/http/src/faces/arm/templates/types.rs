//! Which types of resources a template can make: those that have a door for it.

use std::{collections::HashSet, sync::OnceLock};

use domain::deployments::Plan;
use http::Method;
use kernel::{Error, Kind, ResourceId, Result};

/// Groups are below subscriptions directly.
const GROUPS: &str = "microsoft.resources/resourcegroups";

/// Refuses a plan with a resource that nothing here makes.
///
/// # Errors
/// `Invalid`, naming the type.
pub(super) fn require_doors(plan: &Plan) -> Result<()> {
    static DOORS: OnceLock<HashSet<String>> = OnceLock::new();
    let known = DOORS.get_or_init(|| {
        let doors = crate::faces::doors();
        let puts =
            doors.list().iter().filter(|door| door.method == Method::PUT && door.path.starts_with("/subscriptions"));
        puts.map(|door| type_of(door.path.split('/'))).collect()
    });
    for step in plan.steps() {
        if !known.contains(&type_of(step.id.folded().split('/'))) {
            let why = format!("the resource type `{}` of `{}` cannot be deployed here", step.kind, short(&step.id));
            return Err(Error::new(Kind::Invalid, why).coded("InvalidResourceType"));
        }
    }
    Ok(())
}

fn short(id: &ResourceId) -> &str {
    id.name()
}

/// The type in lower case, without the names: what follows the last `providers`.
fn type_of<'a>(segments: impl Iterator<Item = &'a str>) -> String {
    let segments: Vec<String> = segments.map(str::to_ascii_lowercase).collect();
    let Some(at) = segments.iter().rposition(|segment| segment == "providers") else { return String::from(GROUPS) };
    let mut rest = segments.iter().skip(at.saturating_add(1));
    let namespace = rest.next().cloned().unwrap_or_default();
    let types: Vec<&str> = rest.step_by(2).map(String::as_str).collect();
    format!("{namespace}/{}", types.join("/"))
}

#[cfg(test)]
mod tests {
    use super::type_of;

    #[test]
    fn a_type_is_what_follows_the_last_provider() {
        for (path, wanted) in [
            ("/subscriptions/s/resourceGroups/g", "microsoft.resources/resourcegroups"),
            ("/subscriptions/s/resourceGroups/g/providers/M.X/a/n/b/m", "m.x/a/b"),
            ("/subscriptions/s/providers/M.X/a/n/providers/M.Y/c/o", "m.y/c"),
        ] {
            assert_eq!(type_of(path.split('/')), wanted);
        }
    }
}
