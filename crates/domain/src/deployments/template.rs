//! A template, read: what is to be made, in which order, with which bodies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kernel::{ResourceId, Result};
use serde_json::{Map, Value, json};

use super::{
    expression::{Budget, Evaluator, LARGEST, Surroundings, Wanted, below},
    fault::{invalid, unsupported},
    known::{self, Known},
    order,
    parameters::{self, Parameters},
    shape::{MOST_RESOURCES, child_of, growth, inner_template, is_nothing, is_secure, loop_of, relative, sent},
};

/// Azure's bounds.
const MOST_VARIABLES: usize = 512;
const MOST_OUTPUTS: usize = 64;

/// A resource that is to be made.
#[derive(Clone)]
pub struct Step {
    /// Its id.
    pub id: ResourceId,
    /// Its full type name.
    pub kind: String,
    /// The version its body is written for.
    pub api_version: String,
    /// As written; one for all turns of a loop.
    raw: Arc<Map<String, Value>>,
    copy: Option<(String, usize)>,
    /// By which names others depend on it, in lower case.
    pub(super) names: Vec<String>,
    /// On what it depends, as written, in lower case.
    pub(super) depends_on: BTreeSet<String>,
}

/// A template that makes sense, with its parameters. Resources that were made are added as they become known.
pub struct Plan {
    surroundings: Surroundings,
    parameters: Parameters,
    variables: Map<String, Value>,
    outputs: Map<String, Value>,
    names: BTreeMap<String, ResourceId>,
    references: Known,
    budget: Budget,
    /// In the order in which they are made.
    steps: Vec<Step>,
}

impl Plan {
    /// Reads a template.
    ///
    /// # Errors
    /// `Invalid` (`InvalidTemplate`) or `Unsupported`.
    pub(super) fn read(template: &Value, given: &Map<String, Value>, surroundings: Surroundings) -> Result<Self> {
        let template = template.as_object().ok_or_else(|| invalid("it is no object"))?;
        for field in ["$schema", "contentVersion"] {
            template.get(field).and_then(Value::as_str).ok_or_else(|| invalid(format_args!("`{field}` is missing")))?;
        }
        for field in ["functions", "definitions", "extensions", "imports", "languageVersion"] {
            if template.get(field).is_some_and(|value| !is_nothing(value)) {
                return Err(unsupported(format_args!("`{field}` in a template")));
            }
        }
        let object = |field: &str| match template.get(field) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(fields)) => Ok(fields.clone()),
            Some(_) => Err(invalid(format_args!("`{field}` is no object"))),
        };
        let variables = object("variables")?;
        let outputs = object("outputs")?;
        if variables.len() > MOST_VARIABLES || outputs.len() > MOST_OUTPUTS {
            return Err(invalid(format_args!("at most {MOST_VARIABLES} variables and {MOST_OUTPUTS} outputs")));
        }
        if variables.contains_key("copy") {
            return Err(unsupported("`copy` in variables"));
        }
        let budget = Budget::default();
        let parameters = parameters::read(&object("parameters")?, given, &surroundings, &budget)?;
        let mut plan = Self {
            surroundings,
            parameters,
            variables,
            outputs,
            names: BTreeMap::new(),
            references: Known::default(),
            budget,
            steps: Vec::new(),
        };
        let resources = match template.get("resources") {
            Some(Value::Array(all)) => all.as_slice(),
            Some(Value::Object(_)) => return Err(unsupported("a template whose resources have symbolic names")),
            _ => return Err(invalid("`resources` is no array")),
        };
        plan.add(resources)?;
        plan.check_nested()?;
        plan.connect()?;
        plan.check_outputs()?;
        Ok(plan)
    }

    fn evaluator(&self) -> Evaluator<'_> {
        let Self { surroundings, parameters, variables, names, references, budget, .. } = self;
        Evaluator::new(surroundings, &parameters.values, variables, names, &references.by_id, budget)
    }

    /// Reads the resources: their ids, conditions and loops.
    fn add(&mut self, resources: &[Value]) -> Result<()> {
        let (mut steps, mut skipped) = (Vec::new(), Vec::new());
        let evaluator = self.evaluator();
        let mut open: Vec<Map<String, Value>> = Vec::new();
        for resource in resources.iter().rev() {
            open.push(resource.as_object().cloned().ok_or_else(|| invalid("a resource is no object"))?);
        }
        let mut grown: usize = 0;
        while let Some(mut resource) = open.pop() {
            let children = resource.remove("resources");
            let numbers = loop_of(&evaluator, &resource)?;
            // Each turn costs what it says, whether or not it holds expressions.
            grown = grown.saturating_add(growth(&resource, numbers.len()));
            if grown > LARGEST {
                return Err(invalid(format_args!("its loops grow beyond {LARGEST} bytes")));
            }
            let resource = Arc::new(resource);
            for copy in numbers {
                if steps.len().saturating_add(skipped.len()) >= MOST_RESOURCES {
                    return Err(invalid(format_args!("a template makes at most {MOST_RESOURCES} resources")));
                }
                match self.step(&resource, copy)? {
                    Some((step, true)) => steps.push(step),
                    Some((step, false)) => skipped.push(step),
                    None => {}
                }
            }
            let Some(Value::Array(children)) = children else { continue };
            for child in children.into_iter().rev() {
                open.push(child_of(&resource, child)?);
            }
        }
        drop(evaluator);
        for step in steps.iter().chain(&skipped) {
            if steps.iter().filter(|other| other.id == step.id).count() > 1 {
                return Err(invalid(format_args!("the resource `{}` is defined more than once", step.id)));
            }
            for name in &step.names {
                self.names.insert(name.clone(), step.id.clone());
            }
        }
        self.steps = order::without(steps, &skipped)?;
        Ok(())
    }

    fn step(&self, resource: &Arc<Map<String, Value>>, copy: Option<(String, usize)>) -> Result<Option<(Step, bool)>> {
        let mut evaluator = self.evaluator();
        evaluator.copy.clone_from(&copy);
        let text = |field: &str| match resource.get(field).map(|value| evaluator.known(field, value)).transpose()? {
            Some(Value::String(text)) => Ok(text),
            _ => Err(invalid(format_args!("a resource has no `{field}`"))),
        };
        let (kind, name, api_version) = (text("type")?, text("name")?, text("apiVersion")?);
        let condition = resource.get("condition").map(|value| evaluator.known("condition", value)).transpose()?;
        let is_wanted = match condition {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return Err(invalid(format_args!("the condition of `{name}` is neither true nor false"))),
        };
        let id = match self.id_of(&evaluator, resource, &kind, &name) {
            Ok(id) => id,
            // What is not made needs no name that makes sense.
            Err(_) if !is_wanted => return Ok(None),
            Err(fault) => return Err(fault),
        };
        if resource.get("properties").is_some_and(|properties| properties.get("copy").is_some_and(Value::is_array)) {
            return Err(unsupported("`copy` within properties"));
        }
        let depends_on = match resource.get("dependsOn").filter(|_| is_wanted) {
            None | Some(Value::Null) => Value::Array(Vec::new()),
            Some(list) => evaluator.known("dependsOn", list)?,
        };
        let wrong = || invalid(format_args!("`dependsOn` of `{name}` is no array"));
        let depends_on = depends_on.as_array().ok_or_else(wrong)?;
        let depends_on = depends_on.iter().filter_map(Value::as_str).map(str::to_lowercase).collect::<BTreeSet<_>>();
        let mut names = vec![id.folded().to_owned(), name.to_lowercase()];
        names.extend(copy.as_ref().map(|(copy, _)| copy.clone()));
        Ok(Some((Step { id, kind, api_version, raw: Arc::clone(resource), copy, names, depends_on }, is_wanted)))
    }

    fn id_of(
        &self,
        evaluator: &Evaluator<'_>,
        resource: &Map<String, Value>,
        kind: &str,
        name: &str,
    ) -> Result<ResourceId> {
        let text = |field: &str| match resource.get(field).map(|value| evaluator.known(field, value)).transpose()? {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(format_args!("`{field}` of `{name}` is no text"))),
        };
        let own = self.surroundings.scope.subscription_id().map(|id| id.to_string()).unwrap_or_default();
        let subscription = text("subscriptionId")?.unwrap_or(own);
        let base = match (text("resourceGroup")?, text("scope")?) {
            (Some(group), _) => format!("/subscriptions/{subscription}/resourceGroups/{group}"),
            (None, Some(scope)) if scope.starts_with('/') => scope.trim_end_matches('/').to_owned(),
            (None, Some(scope)) => format!("{}{}", self.surroundings.scope, relative(&scope)?),
            (None, None) => self.surroundings.scope.to_string(),
        };
        let names: Vec<&str> = name.split('/').collect();
        let id = if kind.eq_ignore_ascii_case("Microsoft.Resources/resourceGroups") {
            format!("/subscriptions/{subscription}/resourceGroups/{name}")
        } else {
            format!("{base}{}", below(kind, &names)?)
        };
        id.parse().map_err(invalid)
    }

    /// Finds what resources refer to, and puts them into an order in which each comes after what it needs.
    fn connect(&mut self) -> Result<()> {
        let mut edges = Vec::with_capacity(self.steps.len());
        for at in 0..self.steps.len() {
            edges.push(self.wanted(at)?.into_iter().map(|wanted| wanted.id).collect::<Vec<_>>());
        }
        let referred: BTreeSet<&str> = edges.iter().flatten().map(ResourceId::folded).collect();
        known::check(referred.len())?;
        self.steps = order::by_need(std::mem::take(&mut self.steps), &edges)?;
        Ok(())
    }

    /// A nested deployment keeps its template, and the parameters that are not secure there: a secret must not get into either.
    fn check_nested(&self) -> Result<()> {
        let is_nested = |step: &&Step| step.kind.eq_ignore_ascii_case("Microsoft.Resources/deployments");
        for step in self.steps.iter().filter(is_nested).filter(|_| !self.parameters.secrets.is_empty()) {
            let name = step.id.name();
            let Some(inner) = inner_template(&step.raw) else {
                return Err(invalid(format_args!(
                    "the nested deployment `{name}` would keep secure parameters in clear: give its expressions the scope `inner`, \
                     and it secure parameters of its own"
                )));
            };
            let given = step.raw.get("properties").and_then(|properties| properties.get("parameters")?.as_object());
            for (parameter, value) in given.into_iter().flatten() {
                let declared = inner.get("parameters").and_then(Value::as_object).into_iter().flatten();
                let kind =
                    declared.filter(|(own, _)| own.eq_ignore_ascii_case(parameter)).find_map(|(_, of)| of.get("type"));
                let mut evaluator = self.evaluator();
                evaluator.copy.clone_from(&step.copy);
                evaluator.keeps_later = true;
                let evaluated = evaluator.known(parameter, value)?;
                let shows =
                    self.parameters.asks_for_secrets(Some(value))? || self.redact_value(&evaluated)? != evaluated;
                if shows && !kind.and_then(Value::as_str).is_some_and(is_secure) {
                    return Err(invalid(format_args!(
                        "the nested deployment `{name}` would show a secure parameter; make its own `{parameter}` secure"
                    )));
                }
            }
        }
        Ok(())
    }

    /// A secret must not come out where everybody who may read the deployment sees it.
    fn check_outputs(&self) -> Result<()> {
        for (name, output) in &self.outputs {
            let kind = output.get("type").and_then(Value::as_str);
            let kind = kind.ok_or_else(|| invalid(format_args!("the output `{name}` has no type")))?;
            let value = output.get("value").ok_or_else(|| invalid(format_args!("the output `{name}` has no value")))?;
            if output.get("copy").is_some() {
                return Err(unsupported("`copy` in outputs"));
            }
            let mut evaluator = self.evaluator();
            evaluator.keeps_later = true;
            let value = evaluator.known(name, value)?;
            if !is_secure(kind) && self.redact_value(&value)? != value {
                return Err(invalid(format_args!("the output `{name}` would show a secure parameter; make it secure")));
            }
        }
        Ok(())
    }

    /// What is to be made, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The parameters as they may be shown.
    pub fn parameters(&self) -> &Map<String, Value> {
        &self.parameters.shown
    }

    /// What has to be known of other resources before the body of a step is.
    ///
    /// # Errors
    /// `Invalid` for an expression that makes no sense.
    pub fn wanted(&self, step: usize) -> Result<Vec<Wanted>> {
        let Some(step) = self.steps.get(step) else { return Ok(Vec::new()) };
        let mut evaluator = self.evaluator();
        evaluator.copy.clone_from(&step.copy);
        evaluator.value(&sent(&step.raw))?;
        Ok(evaluator.take_wanted())
    }

    /// What has to be known before the outputs are.
    ///
    /// # Errors
    /// As above.
    pub fn wanted_of_outputs(&self) -> Result<Vec<Wanted>> {
        let evaluator = self.evaluator();
        for output in self.outputs.values() {
            evaluator.value(output.get("value").unwrap_or(&Value::Null))?;
        }
        Ok(evaluator.take_wanted())
    }

    /// Whether a resource was looked at: each is once.
    pub fn knows(&self, id: &ResourceId) -> bool {
        self.references.has(id)
    }

    /// A resource as it is now.
    ///
    /// # Errors
    /// `Invalid` when that is one too many, or more than is kept.
    pub fn know(&mut self, id: &ResourceId, resource: Value) -> Result<()> {
        self.references.keep(id, resource)
    }

    /// What is sent to make a step's resource.
    ///
    /// # Errors
    /// As above.
    pub fn body(&self, step: &Step) -> Result<Value> {
        self.evaluated(step, false)
    }

    /// The same for people: without secrets, and with what is not known yet as it is written.
    ///
    /// # Errors
    /// As above.
    pub fn preview(&self, step: &Step) -> Result<Value> {
        self.redact_value(&self.evaluated(step, true)?)
    }

    fn evaluated(&self, step: &Step, keeps_later: bool) -> Result<Value> {
        let mut evaluator = self.evaluator();
        evaluator.copy.clone_from(&step.copy);
        evaluator.keeps_later = keeps_later;
        let mut body = evaluator.known("properties", &sent(&step.raw))?;
        // A nested template with expressions of its own is evaluated there.
        if let Some(template) = inner_template(&step.raw)
            && let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut)
        {
            properties.insert(String::from("template"), template.clone());
        }
        Ok(body)
    }

    /// The outputs; secure ones without their values.
    ///
    /// # Errors
    /// As above.
    pub fn outputs(&self) -> Result<Map<String, Value>> {
        let evaluator = self.evaluator();
        let mut out = Map::new();
        for (name, output) in &self.outputs {
            let kind = output.get("type").and_then(Value::as_str).unwrap_or_default();
            let shown = if is_secure(kind) {
                json!({"type": kind})
            } else {
                let value = evaluator.known(name, output.get("value").unwrap_or(&Value::Null))?;
                json!({"type": kind, "value": self.redact_value(&value)?})
            };
            out.insert(name.clone(), shown);
        }
        Ok(out)
    }

    /// A value without the values of secure parameters.
    ///
    /// # Errors
    /// `Invalid` when there was too much to look through.
    pub fn redact_value(&self, value: &Value) -> Result<Value> {
        self.parameters.redact_value(value, &self.budget)
    }

    /// A sentence without them.
    pub fn redact(&self, text: &str) -> String {
        self.parameters.redact(text)
    }
}
