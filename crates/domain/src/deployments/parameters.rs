//! The parameters of a template: what is declared, what is given, and what is a secret.

use std::collections::BTreeMap;

use kernel::Result;
use serde_json::{Map, Value, json};

use super::{
    expression::{Budget, Evaluator, Surroundings, parameters_in, size_of},
    fault::{invalid, unsupported},
};

/// Azure's bound.
const MOST: usize = 256;
/// Different texts within all secure parameters: whatever is shown is searched for each.
const MOST_SECRETS: usize = 256;
/// Secrets that are looked for at the price of the text once.
const SECRETS_AT_ONCE: usize = 16;

/// The parameters of one deployment.
#[derive(Clone, Default)]
pub(super) struct Parameters {
    /// By name in lower case.
    pub values: BTreeMap<String, Value>,
    /// As they are stored and shown: secure ones without their values.
    pub shown: Map<String, Value>,
    /// All texts within secure ones.
    pub secrets: Vec<String>,
}

impl Parameters {
    /// Whether an expression asks for a secure parameter.
    pub(super) fn asks_for_secrets(&self, value: Option<&Value>) -> Result<bool> {
        let asked = value.map(parameters_in).transpose()?.unwrap_or_default();
        let is_secure =
            |(name, shown): (&String, &Value)| shown.get("value").is_none() && asked.contains(&name.to_lowercase());
        Ok(self.shown.iter().any(is_secure))
    }
}

struct Declared<'a> {
    name: &'a str,
    kind: Kind,
    rules: &'a Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Bool,
    Object,
    Array,
    SecureText,
    SecureObject,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "string" => Self::Text,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "object" => Self::Object,
            "array" => Self::Array,
            "securestring" => Self::SecureText,
            "secureobject" => Self::SecureObject,
            _ => return None,
        })
    }

    /// As Azure shows it.
    fn word(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Int => "Int",
            Self::Bool => "Bool",
            Self::Object => "Object",
            Self::Array => "Array",
            Self::SecureText => "SecureString",
            Self::SecureObject => "SecureObject",
        }
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::SecureText | Self::SecureObject)
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text | Self::SecureText => value.is_string(),
            Self::Int => value.is_i64(),
            Self::Bool => value.is_boolean(),
            Self::Object | Self::SecureObject => value.is_object(),
            Self::Array => value.is_array(),
        }
    }
}

/// Reads what was given against what is declared, and evaluates the defaults of the rest. What it keeps counts for the budget.
///
/// # Errors
/// `Invalid`; no message holds a value.
pub(super) fn read(
    declared: &Map<String, Value>,
    given: &Map<String, Value>,
    surroundings: &Surroundings,
    budget: &Budget,
) -> Result<Parameters> {
    if declared.len() > MOST {
        return Err(invalid(format_args!("a template has at most {MOST} parameters")));
    }
    let declared = declared.iter().map(|(name, rules)| declaration(name, rules)).collect::<Result<Vec<_>>>()?;
    let mut out = Parameters::default();
    for (name, value) in given {
        if !declared.iter().any(|one| one.name.eq_ignore_ascii_case(name)) {
            return Err(invalid(format_args!("the parameter `{name}` is not declared")));
        }
        if value.get("reference").is_some() {
            return Err(unsupported(format_args!("a parameter that refers to a vault (`{name}`)")));
        }
        let value = value.get("value").ok_or_else(|| invalid(format_args!("the parameter `{name}` has no `value`")))?;
        // Clients send null for what they leave to the default.
        if !value.is_null() {
            out.values.insert(name.to_lowercase(), value.clone());
        }
    }
    for one in in_order(&declared)? {
        let key = one.name.to_lowercase();
        if !out.values.contains_key(&key) {
            let default = default_of(one, &out.values, surroundings, budget)?;
            if !one.kind.is_secure() && out.asks_for_secrets(one.rules.get("defaultValue"))? {
                let why = "the default of the parameter `{}` would show a secure one; make it secure too";
                return Err(invalid(why.replace("{}", one.name)));
            }
            out.values.insert(key.clone(), default);
        }
        if let Some(value) = out.values.get(&key) {
            one.check(value)?;
            // Evaluating a default charges for what expressions make; what is kept, shown and stored is charged for each.
            budget.spend(size_of(value))?;
            if one.kind.is_secure() {
                collect(value, &mut out.secrets);
            }
            let shown = if one.kind.is_secure() {
                json!({"type": one.kind.word()})
            } else {
                json!({"type": one.kind.word(), "value": value})
            };
            out.shown.insert(one.name.to_owned(), shown);
        }
    }
    // The longest first, so that no piece of one stays when another is taken out of a text.
    out.secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    out.secrets.dedup();
    if out.secrets.len() > MOST_SECRETS {
        let why = format_args!("its secure parameters hold more than {MOST_SECRETS} different texts");
        return Err(invalid(why));
    }
    Ok(out)
}

fn declaration<'a>(name: &'a str, rules: &'a Value) -> Result<Declared<'a>> {
    let wrong = || invalid(format_args!("the parameter `{name}` is not declared with a type that there is"));
    let rules = rules.as_object().ok_or_else(wrong)?;
    let kind = rules.get("type").and_then(Value::as_str).and_then(Kind::parse).ok_or_else(wrong)?;
    Ok(Declared { name, kind, rules })
}

fn default_of(
    one: &Declared<'_>,
    known: &BTreeMap<String, Value>,
    surroundings: &Surroundings,
    budget: &Budget,
) -> Result<Value> {
    let missing = || invalid(format_args!("the parameter `{}` has neither a value nor a default", one.name));
    let default = one.rules.get("defaultValue").ok_or_else(missing)?;
    let (none, names, references) = (Map::new(), BTreeMap::new(), BTreeMap::new());
    let mut evaluator = Evaluator::new(surroundings, known, &none, &names, &references, budget);
    evaluator.is_default = true;
    evaluator.known(one.name, default)
}

/// Defaults may refer to other parameters: those come first.
fn in_order<'a, 'd>(declared: &'d [Declared<'a>]) -> Result<Vec<&'d Declared<'a>>> {
    let mut order: Vec<&Declared<'_>> = Vec::new();
    let mut left: Vec<(&Declared<'_>, Vec<String>)> = Vec::new();
    for one in declared {
        let needs = one.rules.get("defaultValue").map(parameters_in).transpose()?.unwrap_or_default();
        left.push((one, needs));
    }
    while !left.is_empty() {
        let is_done = |name: &String| {
            let is_known = declared.iter().any(|one| one.name.to_lowercase() == *name);
            !is_known || order.iter().any(|one| one.name.to_lowercase() == *name)
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = left.into_iter().partition(|(_, needs)| needs.iter().all(is_done));
        if ready.is_empty() {
            let name = waiting.first().map(|(one, _)| one.name).unwrap_or_default();
            return Err(invalid(format_args!("the default of the parameter `{name}` is defined by itself")));
        }
        order.extend(ready.into_iter().map(|(one, _)| one));
        left = waiting;
    }
    Ok(order)
}

impl Declared<'_> {
    fn check(&self, value: &Value) -> Result<()> {
        let name = self.name;
        if !self.kind.fits(value) {
            return Err(invalid(format_args!("the parameter `{name}` is not of the type `{}`", self.kind.word())));
        }
        if let Some(allowed) = self.rules.get("allowedValues").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            return Err(invalid(format_args!("the value of the parameter `{name}` is not one of those allowed")));
        }
        let length = match value {
            Value::String(text) => i64::try_from(text.chars().count()).ok(),
            Value::Array(all) => i64::try_from(all.len()).ok(),
            _ => None,
        };
        let bounds = [("minLength", "maxLength", length), ("minValue", "maxValue", value.as_i64())];
        for (least, most, measure) in bounds {
            let Some(measure) = measure else { continue };
            let rule = |key: &str| self.rules.get(key).and_then(Value::as_i64);
            if rule(least).is_some_and(|least| measure < least) || rule(most).is_some_and(|most| measure > most) {
                return Err(invalid(format_args!("the parameter `{name}` is outside of `{least}` and `{most}`")));
            }
        }
        Ok(())
    }
}

fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => secrets.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| collect(value, secrets)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, secrets)),
        _ => {}
    }
}

impl Parameters {
    /// A text without the values of secure parameters.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            if out == *secret || (secret.len() >= 4 && out.contains(secret.as_str())) {
                out = out.replace(secret.as_str(), "***");
            }
        }
        out
    }

    /// A value without them. Looking for them counts for the budget, so that it ends.
    ///
    /// # Errors
    /// `Invalid` when the budget is spent.
    pub(super) fn redact_value(&self, value: &Value, budget: &Budget) -> Result<Value> {
        let searches = self.secrets.len().div_ceil(SECRETS_AT_ONCE);
        budget.spend(size_of(value).saturating_mul(searches))?;
        Ok(self.redacted(value))
    }

    fn redacted(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Array(all) => Value::Array(all.iter().map(|value| self.redacted(value)).collect()),
            Value::Object(fields) => {
                Value::Object(fields.iter().map(|(key, value)| (self.redact(key), self.redacted(value))).collect())
            }
            other => other.clone(),
        }
    }
}
