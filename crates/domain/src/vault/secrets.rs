//! Secrets: text that somebody gave, in versions.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Secret as Hidden};
use serde::{Deserialize, Serialize};

use super::{
    AttributesForm, Kind, ObjectName, Shown,
    opened::{open, scope_of},
    version::{Draft, add_version},
};
use crate::{
    gate::{Cx, Op},
    resources::Addressed,
};

/// Bytes of a value, and of its content type; Azure's bounds.
const MOST_BYTES: usize = 25 * 1024;
const LONGEST_TYPE: usize = 255;

/// The kind of secrets.
#[derive(Clone, Copy, Debug)]
pub struct Secret;

impl Kind for Secret {
    const COLLECTION: &'static str = "secrets";
    const WORD: &'static str = "secret";
    const NOT_FOUND: &'static str = "SecretNotFound";
    const DISABLED: &'static str = "SecretDisabled";
    const SHOWS_DISABLED: bool = false;
    const TABLE: &'static str = "vault-secret";
    const VERSIONS: &'static str = "vault-secret-version";
    const DELETED: &'static str = "vault-secret-deleted";

    const READ: Action = Action::data("Microsoft.KeyVault/vaults/secrets/getSecret/action", Class::Vault);
    const LIST: Action = Action::data("Microsoft.KeyVault/vaults/secrets/readMetadata/action", Class::Vault);
    const UPDATE: Action = Action::data("Microsoft.KeyVault/vaults/secrets/update/action", Class::Control);
    const DELETE: Action = Action::data("Microsoft.KeyVault/vaults/secrets/delete", Class::Control);
    const RECOVER: Action = Action::data("Microsoft.KeyVault/vaults/secrets/recover/action", Class::Control);
    const PURGE: Action = Action::data("Microsoft.KeyVault/vaults/secrets/purge/action", Class::Control);
    const BACKUP: Action = Action::data("Microsoft.KeyVault/vaults/secrets/backup/action", Class::Vault);
    const RESTORE: Action = Action::data("Microsoft.KeyVault/vaults/secrets/restore/action", Class::Control);

    type Content = SecretContent;
    type Whole = ();
    type Patch = SecretPatch;

    fn patch(content: &mut SecretContent, patch: SecretPatch) -> Result<()> {
        if let Some(kind) = patch.content_type {
            check_type(&kind)?;
            content.content_type = Some(kind);
        }
        Ok(())
    }
}

/// What a version of a secret holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct SecretContent {
    value: String,
    /// What the value is, in words of whoever set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl SecretContent {
    /// What a certificate gives.
    pub(super) fn of_certificate(value: &Hidden<String>, content_type: &str) -> Self {
        Self { value: value.expose().clone(), content_type: Some(content_type.to_owned()) }
    }

    /// The value, for whoever was admitted to read it.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl Drop for SecretContent {
    fn drop(&mut self) {
        drop(Hidden::new(std::mem::take(&mut self.value)));
    }
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretContent(***)")
    }
}

/// What an update may change of a secret; its value never changes.
#[derive(Clone, Debug, Default)]
pub struct SecretPatch {
    /// What the value is.
    pub content_type: Option<String>,
}

fn check_type(kind: &str) -> Result<()> {
    if kind.len() <= LONGEST_TYPE {
        return Ok(());
    }
    Err(Error::invalid("contentType", format_args!("at most {LONGEST_TYPE} bytes")))
}

/// Gives a secret a value: its first version, or one more.
#[derive(Debug)]
pub struct SetSecret {
    /// The vault.
    pub vault: Addressed,
    /// The secret.
    pub name: ObjectName,
    /// The value.
    pub value: Hidden<String>,
    /// What the value is.
    pub content_type: Option<String>,
    /// Whether and when it may be used.
    pub attributes: AttributesForm,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl SetSecret {
    /// Refuses a value, or a content type, beyond the bounds.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check(&self) -> Result<()> {
        if self.value.expose().len() > MOST_BYTES {
            return Err(Error::invalid("value", format_args!("at most {MOST_BYTES} bytes")));
        }
        self.content_type.as_deref().map_or(Ok(()), check_type)
    }
}

#[async_trait]
impl Op for SetSecret {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/secrets/setSecret/action", Class::Control);
    type Output = Shown<Secret>;

    fn scope(&self) -> ResourceId {
        scope_of::<Secret>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Secret>> {
        self.check()?;
        let opened = open(cx, &self.vault).await?;
        let content = SecretContent { value: self.value.expose().clone(), content_type: self.content_type };
        let draft = Draft::new(self.attributes, self.tags, content);
        add_version::<Secret>(cx, &opened, &self.name, draft).await
    }
}
