//! Shapes within a template: what of a resource is sent, its loop, what stands within another.

use kernel::Result;
use serde_json::{Map, Value};

use super::{
    expression::{Evaluator, Text, below, size_of, text_of},
    fault::{invalid, unsupported},
};

/// Most turns of a loop: Azure's bound on resources.
pub(super) const MOST_RESOURCES: usize = 800;
/// Fields of a resource that are about its deployment, and no part of what is sent.
const ABOUT: [&str; 14] = [
    "type",
    "name",
    "apiVersion",
    "dependsOn",
    "condition",
    "copy",
    "scope",
    "resources",
    "comments",
    "metadata",
    "resourceGroup",
    "subscriptionId",
    "existing",
    "import",
];

pub(super) fn is_secure(kind: &str) -> bool {
    kind.to_ascii_lowercase().starts_with("secure")
}

pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

/// The part of a resource that is sent.
pub(super) fn sent(raw: &Map<String, Value>) -> Value {
    let is_sent = |key: &String| !ABOUT.contains(&key.as_str());
    let mut body: Map<String, Value> =
        raw.iter().filter(|(key, _)| is_sent(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
    if inner_template(raw).is_some()
        && let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut)
    {
        properties.remove("template");
    }
    Value::Object(body)
}

/// The template of a nested deployment whose expressions are its own.
pub(super) fn inner_template(raw: &Map<String, Value>) -> Option<&Value> {
    let properties = raw.get("properties")?;
    let scope = properties.get("expressionEvaluationOptions")?.get("scope")?.as_str()?;
    scope.eq_ignore_ascii_case("inner").then(|| properties.get("template"))?
}

/// `copy` of a resource: one turn for each number.
pub(super) fn loop_of(
    evaluator: &Evaluator<'_>,
    resource: &Map<String, Value>,
) -> Result<Vec<Option<(String, usize)>>> {
    let Some(copy) = resource.get("copy") else { return Ok(vec![None]) };
    let copy = evaluator.known("copy", copy)?;
    let wrong = || invalid("a `copy` wants a name and a count");
    let name = copy.get("name").and_then(Value::as_str).ok_or_else(wrong)?.to_lowercase();
    let count = copy.get("count").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or_else(wrong)?;
    if count > MOST_RESOURCES {
        return Err(invalid(format_args!("a `copy` makes at most {MOST_RESOURCES} resources")));
    }
    Ok((0..count).map(|number| Some((name.clone(), number))).collect())
}

/// How many bytes a loop of this many turns makes of a resource; nothing for one that stands for itself.
pub(super) fn growth(resource: &Map<String, Value>, turns: usize) -> usize {
    if !resource.contains_key("copy") {
        return 0;
    }
    let sizes = resource.iter().map(|(key, value)| key.len().saturating_add(size_of(value)));
    sizes.fold(0, usize::saturating_add).saturating_mul(turns)
}

/// A resource within another, as if it stood beside it.
pub(super) fn child_of(parent: &Map<String, Value>, child: Value) -> Result<Map<String, Value>> {
    let Value::Object(mut child) = child else { return Err(invalid("a resource is no object")) };
    if parent.contains_key("copy") {
        return Err(unsupported("a resource within a `copy`; write it beside the other"));
    }
    for field in ["type", "name"] {
        let text = |of: &Map<String, Value>| of.get(field).and_then(Value::as_str).map(argument);
        let missing = || invalid(format_args!("a resource has no `{field}`"));
        let (above, own) = (text(parent).ok_or_else(missing)?, text(&child).ok_or_else(missing)?);
        child.insert(field.to_owned(), Value::String(format!("[concat({above}, '/', {own})]")));
    }
    Ok(child)
}

/// A string of a template as an argument within an expression.
fn argument(text: &str) -> String {
    match text_of(text) {
        Text::Expression(expression) => expression.to_owned(),
        Text::Plain(plain) => format!("'{}'", plain.replace('\'', "''")),
    }
}

/// `Microsoft.X/type/name` as a path below the scope.
pub(super) fn relative(scope: &str) -> Result<String> {
    let parts: Vec<&str> = scope.split('/').collect();
    let [namespace, rest @ ..] = parts.as_slice() else { return Err(invalid("a `scope` is empty")) };
    let types: Vec<&str> = rest.iter().step_by(2).copied().collect();
    let names: Vec<&str> = rest.iter().skip(1).step_by(2).copied().collect();
    below(&format!("{namespace}/{}", types.join("/")), &names)
}
