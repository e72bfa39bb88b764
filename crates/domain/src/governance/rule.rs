//! Rules: if a resource is like this, then that.

use kernel::{Error, Result};
use serde_json::{Map, Value};

use super::{
    condition::{Condition, Reader},
    effect::{Details, Effect},
    parameters::Parameters,
    value::{Given, Said},
};

/// A rule as it was written, read.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    condition: Condition,
    effect: Said,
    details: Details,
    parameters: Parameters,
}

/// A rule with the values of an assignment.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub condition: Condition,
    pub effect: Effect,
    pub details: Details,
}

impl Rule {
    /// Reads a rule with the parameters it may name.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn read(rule: &Value, declared: &Map<String, Value>) -> Result<Self> {
        let at = "properties.policyRule";
        let parameters = Parameters::read(declared)?;
        let map = rule.as_object().ok_or_else(|| Error::invalid(at, "must be an object"))?;
        let (Some(condition), Some(then), 2) = (map.get("if"), map.get("then"), map.len()) else {
            return Err(Error::invalid(at, "has `if` and `then`, and nothing else"));
        };
        let condition = Reader::new().read("properties.policyRule.if", 1, condition)?;
        let then = then.as_object().ok_or_else(|| Error::invalid("properties.policyRule.then", "must be an object"))?;
        if then.keys().any(|key| !["effect", "details"].contains(&key.as_str())) {
            return Err(Error::invalid("properties.policyRule.then", "has `effect` and `details`, and nothing else"));
        }
        let effect = then.get("effect").filter(|effect| effect.is_string());
        let effect = effect.ok_or_else(|| Error::invalid("properties.policyRule.then.effect", "must be a text"))?;
        let effect = Said::read("properties.policyRule.then.effect", effect)?;
        let details = Details::read(then.get("details"))?;
        let rule = Self { condition, effect, details, parameters };
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<()> {
        let mut named = Vec::new();
        self.condition.parameters(&mut named);
        named.extend(self.effect.parameter());
        named.extend(self.details.operations.iter().flat_map(|operation| operation.parameters()));
        if let Some(missing) = named.into_iter().find(|name| !self.parameters.has(name)) {
            let why = format_args!("names the parameter `{missing}`, which is not declared");
            return Err(Error::invalid("properties.policyRule", why));
        }
        let words: Vec<&Value> = match &self.effect {
            Said::Plain(word) => vec![word],
            Said::Parameter(name) => self.parameters.possible(name),
        };
        words.into_iter().try_for_each(|word| self.effect_of(word).map(drop))
    }

    fn effect_of(&self, word: &Value) -> Result<Effect> {
        let at = "properties.policyRule.then.effect";
        let effect = Effect::read(at, word.as_str().unwrap_or_default())?;
        match effect {
            Effect::Modify if self.details.operations.is_empty() => {
                Err(Error::invalid(at, "`modify` wants `details.operations`"))
            }
            Effect::AuditIfNotExists if !self.details.wants_settings => {
                Err(Error::invalid(at, "`auditIfNotExists` wants `details.type`"))
            }
            fits => Ok(fits),
        }
    }

    /// The rule with what an assignment gives its parameters.
    ///
    /// # Errors
    /// `Invalid`, naming the parameter.
    pub fn bind(&self, values: &Map<String, Value>) -> Result<Bound> {
        let given: Given = self.parameters.bind(values)?;
        Ok(Bound {
            condition: self.condition.resolve(&given)?,
            effect: self.effect_of(&self.effect.resolve(&given)?)?,
            details: self.details.resolve(&given)?,
        })
    }
}
