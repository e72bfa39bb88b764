//! What an expression gives where it stands.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
};

use kernel::{ResourceId, Result};
use serde_json::{Map, Value};

use super::{
    super::fault::{invalid, unsupported},
    functions,
    parse::{Expr, Text, parse, text_of},
};

/// Most bytes that one evaluation of a template makes, all results together.
pub(in super::super) const LARGEST: usize = 4 << 20;
/// Most bytes that all evaluations of a deployment make together: each resource is evaluated when the template is read, and again
/// when it is made.
const LARGEST_IN_ALL: usize = 64 << 20;
/// How deep values and variables may nest.
const DEEPEST: usize = 64;

/// Where a template is deployed.
#[derive(Clone, Debug)]
pub(in super::super) struct Surroundings {
    /// The group or subscription.
    pub scope: ResourceId,
    /// `subscription()`
    pub subscription: Value,
    /// `resourceGroup()`; none in a deployment to a subscription.
    pub group: Option<Value>,
    /// `deployment()`
    pub deployment: Value,
}

/// What one deployment may still make by evaluating, from its reading to its outputs. Shared by all its evaluations.
#[derive(Debug)]
pub(in super::super) struct Budget(AtomicUsize);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicUsize::new(LARGEST_IN_ALL))
    }
}

impl Budget {
    pub(in super::super) fn spend(&self, size: usize) -> Result<()> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size));
        let why = |_| invalid(format_args!("evaluating it makes more than {LARGEST_IN_ALL} bytes in all"));
        spent.map(drop).map_err(why)
    }
}

pub(in super::super) fn size_of(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(size_of).fold(0, usize::saturating_add),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| key.len().saturating_add(size_of(value))).fold(0, usize::saturating_add)
        }
        _ => 0,
    };
    inner.saturating_add(8)
}

/// A value, or one that is known only once a resource is there.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Term {
    /// Known.
    Known(Value),
    /// Not before the resources it refers to are deployed.
    Later,
}

/// A resource that an expression refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub id: ResourceId,
    /// The version to ask by.
    pub api_version: Option<String>,
}

/// Evaluates the expressions of one template.
pub(in super::super) struct Evaluator<'a> {
    /// Where it is deployed.
    pub surroundings: &'a Surroundings,
    /// By name in lower case.
    pub parameters: &'a BTreeMap<String, Value>,
    /// As written.
    pub variables: &'a Map<String, Value>,
    /// Ids of the template's own resources, by name in lower case.
    pub names: &'a BTreeMap<String, ResourceId>,
    /// Resources as they are, by id in lower case.
    pub references: &'a BTreeMap<String, Value>,
    /// The loops around: name in lower case, and number.
    pub copy: Option<(String, usize)>,
    /// Whether what is not known yet is left as it is written, for previews.
    pub keeps_later: bool,
    /// Whether `newGuid()` is in its place: in defaults of parameters.
    pub is_default: bool,
    left: Cell<usize>,
    budget: &'a Budget,
    memory: RefCell<HashMap<String, Term>>,
    open: RefCell<Vec<String>>,
    wanted: RefCell<Vec<Wanted>>,
}

impl<'a> Evaluator<'a> {
    pub(in super::super) fn new(
        surroundings: &'a Surroundings,
        parameters: &'a BTreeMap<String, Value>,
        variables: &'a Map<String, Value>,
        names: &'a BTreeMap<String, ResourceId>,
        references: &'a BTreeMap<String, Value>,
        budget: &'a Budget,
    ) -> Self {
        Self {
            surroundings,
            parameters,
            variables,
            names,
            references,
            copy: None,
            keeps_later: false,
            is_default: false,
            left: Cell::new(LARGEST),
            budget,
            memory: RefCell::default(),
            open: RefCell::default(),
            wanted: RefCell::default(),
        }
    }

    /// What was referred to since the last time.
    pub(in super::super) fn take_wanted(&self) -> Vec<Wanted> {
        self.wanted.take()
    }

    /// A value that must be known before anything is deployed.
    pub(in super::super) fn known(&self, field: &str, value: &Value) -> Result<Value> {
        match self.value(value)? {
            Term::Known(value) => Ok(value),
            Term::Later => Err(invalid(format_args!("`{field}` must not refer to resources that are being deployed"))),
        }
    }

    /// Evaluates all expressions within a value.
    pub(in super::super) fn value(&self, value: &Value) -> Result<Term> {
        self.within(value, 0)
    }

    fn within(&self, value: &Value, depth: usize) -> Result<Term> {
        if depth > DEEPEST {
            return Err(invalid(format_args!("it is nested deeper than {DEEPEST}")));
        }
        let deeper = depth.saturating_add(1);
        match value {
            Value::String(text) => self.text(text, deeper),
            Value::Array(all) => {
                // All of it is looked at, so that everything it refers to is found.
                let all = all.iter().map(|value| self.within(value, deeper)).collect::<Result<Vec<_>>>()?;
                let known = all.into_iter().map(Term::into_known).collect::<Option<Vec<_>>>();
                Ok(known.map_or(Term::Later, |all| Term::Known(Value::Array(all))))
            }
            Value::Object(fields) => {
                let mut out = Map::new();
                let mut is_later = false;
                for (key, value) in fields {
                    match self.within(value, deeper)? {
                        Term::Known(value) => {
                            out.insert(key.clone(), value);
                        }
                        Term::Later => is_later = true,
                    }
                }
                Ok(if is_later { Term::Later } else { Term::Known(Value::Object(out)) })
            }
            other => Ok(Term::Known(other.clone())),
        }
    }

    fn text(&self, text: &str, depth: usize) -> Result<Term> {
        let expression = match text_of(text) {
            Text::Plain(text) => return Ok(Term::Known(text.into())),
            Text::Expression(expression) => expression,
        };
        match self.run(&parse(expression)?, depth)? {
            Term::Later if self.keeps_later => Ok(Term::Known(text.into())),
            term => Ok(term),
        }
    }

    fn run(&self, expr: &Expr, depth: usize) -> Result<Term> {
        let term = match expr {
            Expr::Literal(value) => Term::Known(value.clone()),
            Expr::Call(name, arguments) => self.call(name, arguments, depth)?,
            Expr::Member(of, name) => match self.run(of, depth)? {
                Term::Known(value) => Term::Known(member(&value, name)?),
                Term::Later => Term::Later,
            },
            Expr::Index(of, index) => match (self.run(of, depth)?, self.run(index, depth)?) {
                (Term::Known(value), Term::Known(index)) => Term::Known(element(&value, &index)?),
                _ => Term::Later,
            },
        };
        if let Term::Known(value) = &term {
            self.spend(value)?;
        }
        Ok(term)
    }

    fn spend(&self, value: &Value) -> Result<()> {
        let size = size_of(value);
        let left = self.left.get().checked_sub(size);
        self.left.set(left.ok_or_else(|| invalid(format_args!("it grows beyond {LARGEST} bytes")))?);
        self.budget.spend(size)
    }

    fn call(&self, name: &str, arguments: &[Expr], depth: usize) -> Result<Term> {
        match name.to_ascii_lowercase().as_str() {
            "if" => return self.choose(arguments, depth),
            "and" => return self.fold(arguments, depth, false),
            "or" => return self.fold(arguments, depth, true),
            _ => {}
        }
        let given = arguments.iter().map(|argument| self.run(argument, depth)).collect::<Result<Vec<_>>>()?;
        let Some(given) = given.into_iter().map(Term::into_known).collect::<Option<Vec<_>>>() else {
            return Ok(Term::Later);
        };
        let text = |at: usize| given.get(at).and_then(Value::as_str);
        let need = |at: usize| text(at).ok_or_else(|| invalid(format_args!("the function `{name}` wants text")));
        Ok(Term::Known(match name.to_ascii_lowercase().as_str() {
            "parameters" => {
                let found = self.parameters.get(&need(0)?.to_lowercase()).cloned();
                found.ok_or_else(|| {
                    invalid(format_args!("the parameter `{}` is not declared", need(0).unwrap_or_default()))
                })?
            }
            "variables" => return self.variable(need(0)?, depth),
            "subscription" => self.surroundings.subscription.clone(),
            "resourcegroup" => {
                let none = || invalid("`resourceGroup()` is known in deployments to resource groups alone");
                self.surroundings.group.clone().ok_or_else(none)?
            }
            "deployment" => self.surroundings.deployment.clone(),
            "resourceid" => self.resource_id(&texts(name, &given)?)?.into(),
            "subscriptionresourceid" => self.in_subscription(&texts(name, &given)?)?.into(),
            "copyindex" => self.copy_index(&given)?,
            "newguid" if self.is_default => uuid::Uuid::new_v4().to_string().into(),
            "newguid" => return Err(invalid("`newGuid()` has its place in defaults of parameters")),
            "reference" => return self.reference(need(0)?, text(1), text(2)),
            _ => functions::call(name, &given)?,
        }))
    }

    /// `if`: only the branch that is taken counts.
    fn choose(&self, arguments: &[Expr], depth: usize) -> Result<Term> {
        let [condition, then, otherwise] = arguments else {
            return Err(invalid("the function `if` wants a condition and two values"));
        };
        match self.run(condition, depth)? {
            Term::Known(Value::Bool(true)) => self.run(then, depth),
            Term::Known(Value::Bool(false)) => self.run(otherwise, depth),
            Term::Known(_) => Err(invalid("the condition of an `if` is neither true nor false")),
            Term::Later => {
                self.run(then, depth)?;
                self.run(otherwise, depth)?;
                Ok(Term::Later)
            }
        }
    }

    /// `and` and `or`: whatever decides ends it.
    fn fold(&self, arguments: &[Expr], depth: usize, decisive: bool) -> Result<Term> {
        let mut is_later = false;
        for argument in arguments {
            match self.run(argument, depth)? {
                Term::Known(Value::Bool(truth)) if truth == decisive => return Ok(Term::Known(decisive.into())),
                Term::Known(Value::Bool(_)) => {}
                Term::Known(_) => return Err(invalid("`and` and `or` want true or false")),
                Term::Later => is_later = true,
            }
        }
        Ok(if is_later { Term::Later } else { Term::Known((!decisive).into()) })
    }

    fn variable(&self, name: &str, depth: usize) -> Result<Term> {
        let key = name.to_lowercase();
        if let Some(known) = self.memory.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = self.variables.iter().find(|(name, _)| name.to_lowercase() == key).map(|(_, value)| value);
        let raw = found.ok_or_else(|| invalid(format_args!("the variable `{name}` is not declared")))?;
        if self.open.borrow().contains(&key) {
            return Err(invalid(format_args!("the variable `{name}` is defined by itself")));
        }
        self.open.borrow_mut().push(key.clone());
        let term = self.within(raw, depth)?;
        self.open.borrow_mut().pop();
        self.memory.borrow_mut().insert(key, term.clone());
        Ok(term)
    }

    /// `copyIndex()`, `copyIndex(offset)`, `copyIndex('loop', offset)`
    fn copy_index(&self, given: &[Value]) -> Result<Value> {
        let (name, number) = self.copy.as_ref().ok_or_else(|| invalid("`copyIndex()` has its place in a `copy`"))?;
        let offset = match given {
            [Value::String(wanted), ..] if wanted.to_lowercase() != *name => {
                return Err(invalid(format_args!("there is no loop `{wanted}` around")));
            }
            [Value::String(_), offset] | [offset @ Value::Number(_)] => offset.as_i64().unwrap_or(0),
            _ => 0,
        };
        let number = i64::try_from(*number).unwrap_or(i64::MAX);
        Ok(number.saturating_add(offset).into())
    }

    fn reference(&self, of: &str, api_version: Option<&str>, how: Option<&str>) -> Result<Term> {
        let id = match self.names.get(&of.to_lowercase()) {
            Some(id) => id.clone(),
            None if of.starts_with('/') => of.parse().map_err(invalid)?,
            None => return Err(invalid(format_args!("the resource `{of}` is not defined in the template"))),
        };
        if let Some(found) = self.references.get(id.folded()) {
            let is_full = how.is_some_and(|how| how.eq_ignore_ascii_case("full"));
            let shown = if is_full { Some(found) } else { found.get("properties") };
            return Ok(Term::Known(shown.cloned().unwrap_or(Value::Null)));
        }
        self.wanted.borrow_mut().push(Wanted { id, api_version: api_version.map(str::to_owned) });
        Ok(Term::Later)
    }

    /// `resourceId([subscription], [group], type, name…)`
    fn resource_id(&self, given: &[&str]) -> Result<String> {
        let (around, kind, names) = told_apart(given)?;
        let own = self.surroundings.subscription.get("subscriptionId").and_then(Value::as_str).unwrap_or_default();
        let in_own = |group: &str| format!("/subscriptions/{own}/resourceGroups/{group}");
        let base = match around {
            [] => self.surroundings.scope.to_string(),
            [subscription] if uuid::Uuid::try_parse(subscription).is_ok() => format!("/subscriptions/{subscription}"),
            [group] => in_own(group),
            [subscription, group] => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
            _ => return Err(invalid("the function `resourceId` wants a type and its names")),
        };
        Ok(format!("{base}{}", below(kind, names)?))
    }

    fn in_subscription(&self, given: &[&str]) -> Result<String> {
        let (around, kind, names) = told_apart(given)?;
        let own = self.surroundings.subscription.get("subscriptionId").and_then(Value::as_str).unwrap_or_default();
        let subscription = around.first().copied().unwrap_or(own);
        Ok(format!("/subscriptions/{subscription}{}", below(kind, names)?))
    }
}

impl Term {
    fn into_known(self) -> Option<Value> {
        match self {
            Self::Known(value) => Some(value),
            Self::Later => None,
        }
    }
}

fn texts<'v>(name: &str, given: &'v [Value]) -> Result<Vec<&'v str>> {
    let text =
        |value: &'v Value| value.as_str().ok_or_else(|| invalid(format_args!("the function `{name}` wants text")));
    given.iter().map(text).collect()
}

/// What stands before the type, the type, and the names.
fn told_apart<'g, 't>(given: &'g [&'t str]) -> Result<(&'g [&'t str], &'t str, &'g [&'t str])> {
    let none = || invalid("an id wants a type such as `Microsoft.Storage/storageAccounts`");
    let at = given.iter().position(|part| part.contains('/')).ok_or_else(none)?;
    let (around, rest) = given.split_at(at);
    rest.split_first().map(|(kind, names)| (around, *kind, names)).ok_or_else(none)
}

/// `/providers/{namespace}/{type}/{name}…`
pub(in super::super) fn below(kind: &str, names: &[&str]) -> Result<String> {
    let (namespace, types) = kind.split_once('/').ok_or_else(|| invalid(format_args!("`{kind}` is no type")))?;
    let types: Vec<&str> = types.split('/').collect();
    if types.len() != names.len() {
        let why = format_args!("the type `{kind}` and the number of names ({}) do not go together", names.len());
        return Err(invalid(why));
    }
    let pairs: String = types.iter().zip(names).map(|(kind, name)| format!("/{kind}/{name}")).collect();
    Ok(format!("/providers/{namespace}{pairs}"))
}

fn member(value: &Value, name: &str) -> Result<Value> {
    let fields = value.as_object();
    let exact = fields.and_then(|fields| fields.get(name));
    let folded = || fields?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let missing = || invalid(format_args!("the property `{name}` is not there"));
    exact.or_else(folded).cloned().ok_or_else(missing)
}

fn element(value: &Value, index: &Value) -> Result<Value> {
    match index {
        Value::String(name) => member(value, name),
        Value::Number(at) => {
            let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
            let found = at.and_then(|at| value.as_array()?.get(at)).cloned();
            found.ok_or_else(|| invalid("an index is outside of its array"))
        }
        _ => Err(unsupported("an index that is neither text nor number")),
    }
}
