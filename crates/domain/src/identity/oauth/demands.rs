//! The `claims` parameter (OpenID Connect Core §5.5) as far as Azure's clients use it: authentication contexts that a resource
//! demands, and what the client understands.

use serde::Deserialize;
use serde_json::Value;

use super::{TokenRefusal, refusal::Granted};
use crate::identity::policy::MULTI_FACTOR;

/// The longest `claims` parameter, in bytes.
const LONGEST: usize = 4096;
/// What a client declares that understands claims challenges.
const UNDERSTANDS_CHALLENGES: &str = "CP1";

/// What a request demands of the sign-in, and says of the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demands {
    /// Authentication contexts that must be satisfied.
    pub contexts: Vec<String>,
    /// What the client understands.
    pub capabilities: Vec<String>,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(default)]
    access_token: Option<Wanted>,
    #[serde(default)]
    id_token: Option<Wanted>,
}

/// Claims that are wanted in a token; those that nobody here knows are voluntary and passed over.
#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    acrs: Option<Claim>,
    #[serde(default)]
    xms_cc: Option<Claim>,
}

#[derive(Default, Deserialize)]
struct Claim {
    #[serde(default)]
    essential: bool,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    values: Vec<Value>,
}

impl Claim {
    fn texts(&self) -> impl Iterator<Item = &str> {
        self.value.iter().chain(&self.values).filter_map(Value::as_str)
    }
}

impl Demands {
    /// Reads the parameter; nothing is demanded when there is none.
    pub(super) fn read(parameter: Option<&str>) -> Granted<Self> {
        let malformed = |why: &str| TokenRefusal::Malformed(format!("the parameter `claims` {why}"));
        let Some(text) = parameter.filter(|text| !text.is_empty()) else { return Ok(Self::default()) };
        if text.len() > LONGEST {
            return Err(malformed("is too long").into());
        }
        // Serde reads structs from arrays too; nobody means that.
        if !text.trim_start().starts_with('{') {
            return Err(malformed("is not the JSON object it must be").into());
        }
        let read: Parameter = serde_json::from_str(text).map_err(|_| malformed("is not the JSON object it must be"))?;
        let mut demands = Self::default();
        for wanted in [read.access_token, read.id_token].into_iter().flatten() {
            if let Some(acrs) = wanted.acrs.filter(|acrs| acrs.essential) {
                demands.contexts.extend(acrs.texts().map(str::to_owned));
            }
            if let Some(capabilities) = wanted.xms_cc
                && capabilities.texts().any(|text| text == UNDERSTANDS_CHALLENGES)
            {
                demands.capabilities = vec![String::from(UNDERSTANDS_CHALLENGES)];
            }
        }
        demands.contexts.sort();
        demands.contexts.dedup();
        if demands.contexts.iter().any(|context| context != MULTI_FACTOR) {
            return Err(malformed("demands an authentication context that does not exist here; there is `c1`").into());
        }
        Ok(demands)
    }

    /// What a client is told to ask for when a second factor is missing.
    pub(super) fn second_factor() -> String {
        format!(r#"{{"access_token":{{"acrs":{{"essential":true,"value":"{MULTI_FACTOR}"}}}}}}"#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_and_capabilities_come_together() {
        let both = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["CP1","x"]},"nbf":{"value":"1"}}}"#;
        let read = Demands::read(Some(both)).unwrap();
        assert_eq!((read.contexts, read.capabilities), (vec![String::from("c1")], vec![String::from("CP1")]));
        assert_eq!(Demands::read(Some(&Demands::second_factor())).unwrap().contexts, ["c1"]);
        let voluntary = r#"{"id_token":{"acrs":{"value":"c9"},"auth_time":null}}"#;
        assert_eq!(Demands::read(Some(voluntary)).unwrap(), Demands::default());
        assert_eq!(Demands::read(None).unwrap(), Demands::default());
        assert_eq!(Demands::read(Some("")).unwrap(), Demands::default());
    }

    #[test]
    fn what_cannot_be_met_or_read_is_refused() {
        let unknown = r#"{"access_token":{"acrs":{"essential":true,"values":["c1","c2"]}}}"#;
        for text in [unknown, "{", "[]", "1", r#"{"access_token":1}"#, &format!("{{\"x\":\"{}\"}}", "a".repeat(5000))] {
            assert!(Demands::read(Some(text)).is_err(), "{text}");
        }
    }
}
