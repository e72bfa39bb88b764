//! `secret://name` and `secret://name/version`: a secret of the workspace's own key vault, as the value of a variable.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Error, Result};

use crate::vault::{ObjectName, VersionId};

const SCHEME: &str = "secret://";
/// Different secrets that one run may name: each is a read of the vault with a record of its own.
const MOST: usize = 64;
/// Where variables are, in requests.
pub(super) const FIELD: &str = "properties.environmentVariables";

/// A secret that a variable names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: ObjectName,
    /// The newest when none.
    pub(super) version: Option<VersionId>,
}

impl Reference {
    /// Reads the value of a variable; none when it is a plain one.
    ///
    /// # Errors
    /// Why it names no secret, though it looks as if it should.
    fn parse(value: &str) -> Result<Option<Self>, &'static str> {
        let Some(scheme) = value.get(..SCHEME.len()).filter(|start| start.eq_ignore_ascii_case(SCHEME)) else {
            return Ok(None);
        };
        if scheme != SCHEME {
            return Err("`secret://` is written in lower case");
        }
        let named = value.strip_prefix(SCHEME).unwrap_or_default();
        let (name, version) = named.split_once('/').map_or((named, None), |(name, version)| (name, Some(version)));
        let why = "must be `secret://name` or `secret://name/version`, with a name of letters, digits and `-`";
        let name = ObjectName::new(name).map_err(|_| why)?;
        let version = version.map(|text| text.parse::<VersionId>().map_err(|_| why)).transpose()?;
        Ok(Some(Self { name, version }))
    }

    /// As it is written, the name's casing aside.
    pub(super) fn folded(&self) -> (String, Option<String>) {
        (self.name.as_str().to_ascii_lowercase(), self.version.map(|version| version.to_string()))
    }
}

/// The secrets that variables name, by variable. Variables that the server sets itself are no place for one: what they hold is
/// somebody's name for something.
///
/// # Errors
/// `Invalid`, naming the variable, for what should be a reference and is none, and for too many secrets.
pub(super) fn references(variables: &BTreeMap<String, String>) -> Result<BTreeMap<String, Reference>> {
    let mut found = BTreeMap::new();
    for (variable, value) in variables.iter().filter(|(name, _)| !crate::compute::is_set_by_us(name)) {
        let reference = Reference::parse(value)
            .map_err(|why| Error::invalid(FIELD, format_args!("the value of `{variable}`: {why}")))?;
        found.extend(reference.map(|reference| (variable.clone(), reference)));
    }
    let different: BTreeSet<_> = found.values().map(Reference::folded).collect();
    if different.len() > MOST {
        return Err(Error::invalid(FIELD, format_args!("at most {MOST} different secrets")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_whole_value_and_nothing_else_is_one() {
        let version = "6f9619ff8b86d011b42d00c04fc964ff";
        let found = Reference::parse(&format!("secret://Db-Password/{version}")).unwrap().unwrap();
        assert_eq!(
            (found.name.as_str(), found.version.map(|id| id.to_string())),
            ("Db-Password", Some(version.to_owned()))
        );
        assert!(Reference::parse("secret://x").unwrap().unwrap().version.is_none());
        for plain in ["", "secret:", "secret:/x", "see secret://x", " secret://x", "https://x", "sécret://x"] {
            assert_eq!(Reference::parse(plain), Ok(None), "{plain}");
        }
        for bad in
            ["secret://", "secret://a_b", "secret://a/", "secret://a/1", "secret://a/b/c", "SECRET://a", "secret://a?x"]
        {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_of_ours_name_no_secrets_and_there_are_not_too_many() {
        let of = |pairs: Vec<(String, String)>| references(&pairs.into_iter().collect());
        let ours = ["MLFLOW_EXPERIMENT_NAME", "AZUREML_ARM_PROJECT_NAME"]
            .map(|name| (name.to_owned(), String::from("secret://x")));
        assert!(of(ours.to_vec()).unwrap().is_empty());
        let many = |count: usize| (0..count).map(|n| (format!("A{n}"), format!("secret://s{n}"))).collect::<Vec<_>>();
        assert_eq!(of(many(MOST)).unwrap().len(), MOST);
        assert!(of(many(MOST + 1)).is_err());
        let same = (0..200).map(|n| (format!("A{n}"), String::from("secret://s"))).collect();
        assert_eq!(of(same).unwrap().len(), 200);
        let told = of(vec![(String::from("DB"), String::from("secret://a_b"))]).unwrap_err();
        assert!(told.public().contains("`DB`"), "{}", told.public());
    }
}
