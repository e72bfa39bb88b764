//! What an administrator says of a provider, and what of it is refused.

use std::{collections::HashSet, fmt::Display};

use kernel::{Error, PrincipalId, PrincipalKind, Result, Secret};
use serde_json::{Value, json};

use super::{
    GroupMapping, MultiFactorTrust,
    records::{Hidden, Provider},
};
use crate::{gate::Admission, identity::directory::require_power_over};

/// Characters of a name.
const LONGEST_NAME: usize = 120;
/// Characters of an identifier, a claim or a value of one.
const LONGEST_WORD: usize = 256;
/// Characters of a client's secret.
const LONGEST_SECRET: usize = 1024;
/// Scopes, and values of factors.
const MOST_WORDS: usize = 20;
/// Lines in the table of groups.
const MOST_GROUPS: usize = 500;

/// What a provider is to be; what is none stays as it is.
#[derive(Debug, Default)]
pub struct ProviderForm {
    /// For people; 1 to 120 characters.
    pub name: Option<String>,
    /// As which client we are known there.
    pub client_id: Option<String>,
    /// What proves that; empty for none.
    pub client_secret: Option<Secret<String>>,
    /// Whether it signs people in.
    pub is_enabled: Option<bool>,
    /// Scopes beside `openid`.
    pub scopes: Option<Vec<String>>,
    /// Whether people who come for the first time become users.
    pub creates_users: Option<bool>,
    /// The claim that a new user is named after.
    pub user_name_claim: Option<String>,
    /// The claim with groups: a name, or a JSON pointer (`/realm_access/roles`); empty for none.
    pub group_claim: Option<String>,
    /// What those mean here.
    pub groups: Option<Vec<GroupMapping>>,
    /// What counts as two factors.
    pub mfa: Option<MultiFactorTrust>,
}

impl ProviderForm {
    /// Whether anything is said that decides who gets into which group: whoever says it could put themselves there.
    pub(super) fn decides_groups(&self) -> bool {
        self.client_id.is_some() || self.group_claim.is_some() || self.groups.is_some()
    }

    /// All of it but the secret, as approvers read it.
    pub(super) fn in_words(&self) -> Value {
        let Self { name, client_id, client_secret, is_enabled, scopes, .. } = self;
        let Self { creates_users, user_name_claim, group_claim, groups, mfa, .. } = self;
        json!({
            "name": name,
            "clientId": client_id,
            "hasNewSecret": client_secret.is_some(),
            "isEnabled": is_enabled,
            "scopes": scopes,
            "createsUsers": creates_users,
            "userNameClaim": user_name_claim,
            "groupsClaim": group_claim,
            "groups": groups,
            "multiFactor": mfa,
        })
    }

    /// Writes it down. The words are checked; the groups are checked by [`check_groups`].
    pub(super) fn fill(self, provider: &mut Provider) -> Result<()> {
        let word = |field: &str, text: String| {
            is_word(&text)
                .then_some(text)
                .ok_or_else(|| wrong(field, "1 to 256 printable ASCII characters without spaces"))
        };
        if let Some(name) = self.name {
            let is_right = (1..=LONGEST_NAME).contains(&name.chars().count()) && name.trim() == name;
            if !is_right || name.chars().any(char::is_control) {
                return Err(wrong("displayName", "1 to 120 printable characters, without spaces around them"));
            }
            provider.name = name;
        }
        if let Some(id) = self.client_id {
            provider.client_id = word("clientId", id)?;
        }
        if let Some(secret) = self.client_secret {
            let text = secret.expose();
            if text.chars().count() > LONGEST_SECRET || text.chars().any(char::is_control) {
                return Err(wrong("clientSecret", "at most 1024 printable characters"));
            }
            provider.client_secret = (!text.is_empty()).then(|| Hidden::new(&secret));
        }
        if let Some(scopes) = self.scopes {
            provider.scopes = words("scopes", scopes)?;
        }
        if let Some(claim) = self.user_name_claim {
            provider.user_name_claim = word("userNameClaim", claim)?;
        }
        if let Some(claim) = self.group_claim {
            provider.group_claim = if claim.is_empty() { None } else { Some(word("groupsClaim", claim)?) };
        }
        if let Some(mfa) = self.mfa {
            provider.mfa =
                MultiFactorTrust { amr: words("multiFactor.amr", mfa.amr)?, acr: words("multiFactor.acr", mfa.acr)? };
        }
        provider.is_enabled = self.is_enabled.unwrap_or(provider.is_enabled);
        provider.creates_users = self.creates_users.unwrap_or(provider.creates_users);
        provider.groups = self.groups.unwrap_or_else(|| std::mem::take(&mut provider.groups));
        Ok(())
    }
}

/// Refuses a table that is none.
pub(super) fn check_groups(cx: &Admission<'_>, groups: &[GroupMapping]) -> Result<()> {
    if groups.len() > MOST_GROUPS {
        return Err(wrong("groupMappings", "at most 500 lines"));
    }
    let mut seen = HashSet::new();
    for mapping in groups {
        let length = mapping.value.chars().count();
        if !(1..=LONGEST_WORD).contains(&length) || mapping.value.chars().any(char::is_control) {
            return Err(wrong("groupMappings", "made of values of 1 to 256 printable characters"));
        }
        if !seen.insert(mapping) {
            return Err(wrong("groupMappings", "without a line that comes twice"));
        }
        if cx.house().identity.kind_of(mapping.group) != Some(PrincipalKind::Group) {
            let why = format_args!("`{}` is not the object id of a group", mapping.group);
            return Err(Error::invalid("groupMappings", why));
        }
    }
    Ok(())
}

/// Refuses unless the caller could put people into every group of the table: the provider's people will be there by it. The
/// caller holds `assigning`.
pub(super) async fn require_power_over_groups(cx: &Admission<'_>, groups: &[GroupMapping]) -> Result<()> {
    let distinct: HashSet<PrincipalId> = groups.iter().map(|mapping| mapping.group).collect();
    for group in distinct {
        require_power_over(cx, group).await?;
    }
    Ok(())
}

fn wrong(field: &str, rule: impl Display) -> Error {
    Error::invalid(field, format_args!("must be {rule}"))
}

/// Words as OAuth's scopes are (RFC 6749 §3.3).
fn is_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    (1..=LONGEST_WORD).contains(&text.len()) && text.chars().all(is_plain)
}

fn words(field: &str, words: Vec<String>) -> Result<Vec<String>> {
    match words.len() <= MOST_WORDS && words.iter().all(|word| is_word(word)) {
        true => Ok(words),
        false => Err(wrong(field, "at most 20 words of printable ASCII characters without spaces")),
    }
}
