//! What follows when the condition of a rule holds.

use kernel::{Error, Result};
use serde_json::{Map, Value};

use super::{
    alias::Alias,
    condition::Subject,
    value::{Given, Said},
};

/// Modifications of one rule.
const MOST_OPERATIONS: usize = 20;
/// The kind of thing whose want can be audited.
pub(super) const SETTINGS: &str = "Microsoft.Insights/diagnosticSettings";

/// An effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Audit,
    Deny,
    Modify,
    AuditIfNotExists,
    Disabled,
}

impl Effect {
    /// Reads its word.
    ///
    /// # Errors
    /// `Invalid`; `Unsupported` for those of Azure that there are not here.
    pub fn read(at: &str, word: &str) -> Result<Self> {
        match word.to_ascii_lowercase().as_str() {
            "audit" => Ok(Self::Audit),
            "deny" => Ok(Self::Deny),
            "modify" => Ok(Self::Modify),
            "auditifnotexists" => Ok(Self::AuditIfNotExists),
            "disabled" => Ok(Self::Disabled),
            "deployifnotexists" => Err(Error::invalid(
                at,
                "`deployIfNotExists` is not supported; audit, and deploy what is wanted by a template",
            )),
            _ => Err(Error::invalid(at, "must be `audit`, `deny`, `modify`, `auditIfNotExists` or `disabled`")),
        }
    }

    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Deny => "deny",
            Self::Modify => "modify",
            Self::AuditIfNotExists => "auditIfNotExists",
            Self::Disabled => "disabled",
        }
    }
}

/// What a rule says beside its effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Details {
    /// Of `modify`: what is set.
    pub operations: Vec<Operation>,
    /// Of `auditIfNotExists`: there is to be a diagnostic setting at the resource.
    pub wants_settings: bool,
}

/// One modification: this field gets this value.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub target: Target,
    pub value: Said,
}

/// What can be modified.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Tag(Said),
    Alias(&'static Alias),
}

impl Details {
    /// Reads `details`.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn read(details: Option<&Value>) -> Result<Self> {
        let at = "properties.policyRule.then.details";
        let Some(details) = details else { return Ok(Self::default()) };
        let map = details.as_object().ok_or_else(|| Error::invalid(at, "must be an object"))?;
        const KNOWN: [&str; 4] = ["roleDefinitionIds", "conflictEffect", "operations", "type"];
        if let Some(key) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let key: String = key.chars().take(40).collect();
            return Err(Error::invalid(format!("{at}.{key}"), "is not offered"));
        }
        if map.get("conflictEffect").is_some_and(|word| !word.as_str().is_some_and(|w| w.eq_ignore_ascii_case("deny")))
        {
            return Err(Error::invalid(
                format!("{at}.conflictEffect"),
                "must be `deny`: of two that set the same, none wins",
            ));
        }
        Ok(Self { operations: operations(at, map)?, wants_settings: wants_settings(at, map)? })
    }

    /// The same, with values in place of parameters.
    ///
    /// # Errors
    /// `Invalid` when a value does not fit.
    pub fn resolve(&self, given: &Given) -> Result<Self> {
        let operations = self.operations.iter().map(|operation| operation.resolve(given)).collect::<Result<_>>()?;
        Ok(Self { operations, wants_settings: self.wants_settings })
    }
}

fn wants_settings(at: &str, map: &Map<String, Value>) -> Result<bool> {
    match map.get("type").map(Value::as_str) {
        None => Ok(false),
        Some(Some(kind)) if kind.eq_ignore_ascii_case(SETTINGS) => Ok(true),
        Some(_) => Err(Error::invalid(format!("{at}.type"), format_args!("must be `{SETTINGS}`"))),
    }
}

fn operations(at: &str, map: &Map<String, Value>) -> Result<Vec<Operation>> {
    let at = format!("{at}.operations");
    let list = match map.get("operations") {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if (1..=MOST_OPERATIONS).contains(&list.len()) => list,
        Some(_) => return Err(Error::invalid(at, format_args!("must be a list of 1 to {MOST_OPERATIONS}"))),
    };
    list.iter().map(|one| Operation::read(&at, one)).collect()
}

impl Operation {
    fn read(at: &str, value: &Value) -> Result<Self> {
        let map = value.as_object().ok_or_else(|| Error::invalid(at, "must hold objects"))?;
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        if map.len() != 3 || !map.contains_key("value") {
            return Err(Error::invalid(at, "each has `operation`, `field` and `value`, and nothing else"));
        }
        if !text("operation").eq_ignore_ascii_case("addOrReplace") {
            return Err(Error::invalid(at, "the only operation is `addOrReplace`"));
        }
        let target = match Subject::field(&format!("{at}.field"), text("field"))? {
            Subject::Tag(name) => Target::Tag(name),
            Subject::Alias(alias) if !alias.words.is_empty() => Target::Alias(alias),
            _ => return Err(Error::invalid(format!("{at}.field"), "cannot be modified")),
        };
        let value = Said::read(&format!("{at}.value"), map.get("value").unwrap_or(&Value::Null))?;
        let operation = Self { target, value };
        if let Said::Plain(plain) = &operation.value {
            operation.check(plain)?;
        }
        Ok(operation)
    }

    fn check(&self, value: &Value) -> Result<()> {
        let at = "properties.policyRule.then.details.operations.value";
        match (&self.target, value.as_str()) {
            (Target::Tag(_), Some(text)) if text.len() <= 256 => Ok(()),
            (Target::Tag(_), _) => Err(Error::invalid(at, "the value of a tag is a text of at most 256 bytes")),
            (Target::Alias(alias), Some(text)) if alias.words.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
                Ok(())
            }
            (Target::Alias(alias), _) => {
                Err(Error::invalid(at, format_args!("must be one of {}", alias.words.join(", "))))
            }
        }
    }

    fn resolve(&self, given: &Given) -> Result<Self> {
        let target = match &self.target {
            Target::Tag(name) => {
                let name = name.resolve(given)?;
                if !name.as_str().is_some_and(|name| (1..=512).contains(&name.len())) {
                    return Err(Error::invalid("properties.parameters", "the name of a tag has 1 to 512 characters"));
                }
                Target::Tag(Said::Plain(name))
            }
            Target::Alias(alias) => Target::Alias(alias),
        };
        let value = self.value.resolve(given)?;
        let resolved = Self { target, value: Said::Plain(value.clone()) };
        resolved.check(&value)?;
        Ok(resolved)
    }

    /// The parameters that it names.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let of_target = match &self.target {
            Target::Tag(said) => said.parameter(),
            Target::Alias(_) => None,
        };
        of_target.into_iter().chain(self.value.parameter())
    }
}
