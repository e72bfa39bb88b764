//! Azure Resource Manager ids: `/subscriptions/{s}/resourceGroups/{g}/providers/{namespace}/{type}/{name}…`.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{InvalidId, SubscriptionId};

/// A management scope or resource. Keeps the caller's casing and compares without it (ARM's rule).
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceId {
    text: String,
    folded: String,
}

impl ResourceId {
    /// The tenant's own scope, `/`: above every subscription.
    pub fn root() -> Self {
        Self::of(String::from("/"))
    }

    /// The scope of a subscription.
    pub fn subscription(id: SubscriptionId) -> Self {
        Self::of(format!("/subscriptions/{id}"))
    }

    /// A child: `segments` such as `["resourceGroups", "rg1"]` are appended. Segments come from parsed names; one that
    /// holds a slash or is empty is refused.
    pub fn child<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidId> {
        let mut text = if self.is_root() { String::new() } else { self.text.clone() };
        for segment in segments {
            check(segment)?;
            text.push('/');
            text.push_str(segment);
        }
        if text.is_empty() { Ok(Self::root()) } else { Ok(Self::of(text)) }
    }

    fn of(text: String) -> Self {
        let folded = text.to_ascii_lowercase();
        Self { text, folded }
    }

    /// The id with the casing it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id for comparing, hashing and indexing: lower case.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// Whether this is the tenant's own scope.
    pub fn is_root(&self) -> bool {
        self.folded == "/"
    }

    /// Its segments, in the casing given.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('/').filter(|segment| !segment.is_empty())
    }

    /// The segment that follows the (case-insensitive) key: `value_of("resourceGroups")`.
    pub fn value_of(&self, key: &str) -> Option<&str> {
        let mut segments = self.segments();
        while let Some(segment) = segments.next() {
            if segment.eq_ignore_ascii_case(key) {
                return segments.next();
            }
        }
        None
    }

    /// The subscription it lies in.
    pub fn subscription_id(&self) -> Option<SubscriptionId> {
        self.value_of("subscriptions")?.parse().ok()
    }

    /// The last segment: the resource's own name.
    pub fn name(&self) -> &str {
        self.segments().next_back().unwrap_or("")
    }

    /// Whether `self` is `scope` or lies below it.
    pub fn is_within(&self, scope: &Self) -> bool {
        scope.is_root()
            || self.folded == scope.folded
            || self.folded.strip_prefix(&scope.folded).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The scopes that enclose it, itself first, the root last, as folded text. Access is inherited along this list.
    pub fn enclosing(&self) -> impl Iterator<Item = &str> {
        let mut rest = (!self.is_root()).then_some(self.folded.as_str());
        let up = std::iter::from_fn(move || {
            let here = rest?;
            rest = here.rsplit_once('/').map(|(parent, _)| parent).filter(|parent| !parent.is_empty());
            Some(here)
        });
        up.chain(std::iter::once("/"))
    }

    /// The workspace it is or lies in.
    pub fn workspace(&self) -> Option<Self> {
        self.up_to("microsoft.machinelearningservices/workspaces")
    }

    /// The key vault it is or lies in.
    pub fn vault(&self) -> Option<Self> {
        self.up_to("microsoft.keyvault/vaults")
    }

    /// The resource group it is or lies in.
    pub fn resource_group(&self) -> Option<Self> {
        self.up_to("resourcegroups")
    }

    fn up_to(&self, key: &str) -> Option<Self> {
        let key = format!("/{key}/");
        let start = self.folded.find(&key)?.checked_add(key.len())?;
        let end = self.folded.get(start..)?.find('/').map_or(self.folded.len(), |at| start.saturating_add(at));
        self.text.get(..end).map(|text| Self::of(text.to_owned()))
    }

    /// The scope one level up, as access sees it: workspace → resource group → subscription → root.
    pub fn parent(&self) -> Self {
        let mut segments: Vec<&str> = self.segments().collect();
        segments.truncate(segments.len().saturating_sub(2));
        if let [.., providers, _namespace] = segments.as_slice()
            && providers.eq_ignore_ascii_case("providers")
        {
            segments.truncate(segments.len().saturating_sub(2));
        }
        if segments.is_empty() { Self::root() } else { Self::of(format!("/{}", segments.join("/"))) }
    }
}

/// A segment is 1 to 260 printable ASCII characters without `/ \ % ? # " < >`, and not `.` or `..`.
fn check(segment: &str) -> Result<(), InvalidId> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '\\' | '%' | '?' | '#' | '"' | '<' | '>');
    let well_formed = !segment.is_empty() && segment.len() <= 260 && segment.chars().all(|c| plain(c) || c == ' ');
    if well_formed && segment != "." && segment != ".." {
        Ok(())
    } else {
        Err(InvalidId { kind: "segment of a resource id", text: segment.chars().take(80).collect() })
    }
}

impl FromStr for ResourceId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "/" {
            return Ok(Self::root());
        }
        let invalid = || InvalidId { kind: "resource id", text: text.chars().take(80).collect() };
        let body = text.strip_prefix('/').ok_or_else(invalid)?;
        if text.len() > 2048 {
            return Err(invalid());
        }
        body.split('/').try_for_each(check)?;
        Ok(Self::of(text.to_owned()))
    }
}

impl TryFrom<String> for ResourceId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}
impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.text
    }
}
impl PartialEq for ResourceId {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}
impl Eq for ResourceId {}
impl PartialOrd for ResourceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ResourceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded.cmp(&other.folded)
    }
}
impl Hash for ResourceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}
impl fmt::Display for ResourceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}
impl fmt::Debug for ResourceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WS: &str = "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/RG/providers/Microsoft.MachineLearningServices/workspaces/ws1";

    fn id(text: &str) -> ResourceId {
        text.parse().unwrap()
    }

    #[test]
    fn casing_is_kept_and_ignored() {
        assert_eq!(id(WS), id(&WS.to_uppercase().replace("/SUBSCRIPTIONS", "/subscriptions")));
        assert_eq!(id(WS).as_str(), WS);
    }

    #[test]
    fn a_sibling_with_a_longer_name_is_not_within() {
        assert!(id(&format!("{WS}/jobs/j")).is_within(&id(WS)));
        assert!(!id(&format!("{WS}2/jobs/j")).is_within(&id(WS)));
    }

    #[test]
    fn parents_follow_the_scopes() {
        let group = id(WS).parent();
        assert_eq!(group.name(), "RG");
        assert_eq!(group.parent().name(), "6f9619ff-8b86-d011-b42d-00c04fc964ff");
        assert!(group.parent().parent().is_root());
        assert_eq!(id(&format!("{WS}/jobs/j")).parent(), id(WS));
        assert_eq!(id(&format!("{WS}/jobs/j")).workspace(), Some(id(WS)));
    }

    #[test]
    fn an_id_is_never_a_path() {
        for bad in ["", "subscriptions", "/a//b", "/../etc", "/a/./b", "/a\\b", "/a%2fb", "/a#b", "/a\nb"] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad:?}");
        }
    }
}
