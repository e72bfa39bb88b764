//! Diagnostic settings: which events of a subscription or workspace go to which sinks.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Category, Sink,
    cursor::{Cursor, cursor, cursor_id},
    sink::open_part,
};
use crate::{
    audit::ListActivities,
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    resources::{ResourceType, StorageAccount, find, require_scope},
};

/// Settings of one resource (Azure's limit).
const MOST: usize = 5;
const LONGEST_NAME: usize = 260;

const READ: Action = Action::new("Microsoft.Insights/diagnosticSettings/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Insights/diagnosticSettings/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Insights/diagnosticSettings/delete", Class::Control);

/// A category, or a group of them, and whether it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Whether its events are sent.
    pub is_enabled: bool,
}

/// A setting.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// The subscription or workspace whose events these are.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
    /// Which events.
    pub choices: Vec<Choice>,
    /// Where they go; one of each kind at most.
    pub sinks: Vec<Sink>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

impl Record for Setting {
    const TABLE: &'static str = "diagnostic-setting";
}

impl Setting {
    /// The categories that are on.
    pub(super) fn wanted(&self) -> Vec<Category> {
        let is_on = |category: &&Category| {
            self.choices.iter().filter(|choice| choice.is_enabled).any(|choice| match choice.is_group {
                true => category.groups.iter().any(|group| group.eq_ignore_ascii_case(&choice.name)),
                false => category.name.eq_ignore_ascii_case(&choice.name),
            })
        };
        Category::all_of(&self.scope).iter().filter(is_on).copied().collect()
    }
}

/// A setting, and how far each of its sinks has got.
#[derive(Clone, Debug)]
pub struct SettingStatus {
    /// The setting.
    pub setting: Setting,
    /// By the name of the sink.
    pub cursors: Vec<(&'static str, Cursor)>,
    /// The newest record of the log.
    pub head: u64,
}

/// All settings of a scope begin with this.
pub(super) fn scope_id(shelf: &Shelf, scope: &ResourceId) -> Vec<u8> {
    shelf.name_id::<Setting>(scope.folded())
}

pub(super) fn setting_id(shelf: &Shelf, scope: &ResourceId, name: &str) -> Vec<u8> {
    let name = shelf.name_id::<Setting>(&format!("{}|{}", scope.folded(), name.to_ascii_lowercase()));
    [scope_id(shelf, scope), name].concat()
}

async fn status(cx: &Admission<'_>, row: Row<Setting>) -> Result<SettingStatus> {
    let mut cursors = Vec::new();
    for sink in &row.value.sinks {
        if let Some(found) = cursor(cx, &row.id, sink.word()).await? {
            cursors.push((sink.word(), found.value));
        }
    }
    let (head, _) = cx.house().log_head().await?;
    Ok(SettingStatus { setting: row.value, cursors, head })
}

/// Refuses what is no subscription or workspace, or is not there.
async fn require_there(cx: &Admission<'_>, scope: &ResourceId) -> Result<()> {
    require_scope(cx, "scope", scope).await.map_err(|fault| match fault.kind() {
        Kind::Invalid => Error::not_found(format_args!("the resource `{scope}`")),
        _ => fault,
    })
}

async fn of_name(cx: &Admission<'_>, scope: &ResourceId, name: &str) -> Result<Row<Setting>> {
    let found = cx.get::<Setting>(cx.system(), &setting_id(cx.system(), scope, name)).await?;
    found.ok_or_else(|| Error::not_found(format_args!("the diagnostic setting `{name}` of `{scope}`")))
}

/// Creates a setting, or replaces one. A sink that it had before goes on where it was.
#[derive(Debug)]
pub struct PutSetting {
    /// The subscription or workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
    /// Which events.
    pub choices: Vec<Choice>,
    /// Where they go. A webhook or collector at the same address keeps its query and its secret when it
    /// comes without.
    pub sinks: Vec<Sink>,
}

#[async_trait]
impl Op for PutSetting {
    const ACTION: Action = WRITE;
    type Output = SettingStatus;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<SettingStatus> {
        require_there(cx, &self.scope).await?;
        // What is sent is what could be read.
        cx.require(&ListActivities::ACTION, &self.scope).await?;
        self.check(cx).await?;
        let shelf = cx.system();
        let id = setting_id(shelf, &self.scope, &self.name);
        let present = cx.get::<Setting>(shelf, &id).await?;
        if present.is_none()
            && cx.page::<Setting>(shelf, &scope_id(shelf, &self.scope), None, MOST).await?.len() >= MOST
        {
            let why = format!("a resource has at most {MOST} diagnostic settings; delete one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        let mut row = present.unwrap_or_else(|| {
            let empty = Setting {
                scope: self.scope.clone(),
                name: self.name.clone(),
                choices: Vec::new(),
                sinks: Vec::new(),
                created_at: cx.now(),
                changed_at: cx.now(),
            };
            Row::new(id, empty)
        });
        for sink in &mut self.sinks {
            sink.keep_secrets(&row.value.sinks);
        }
        let mut changes = Changes::new();
        let first = cx.house().log_head().await?.0.saturating_add(1);
        for sink in &self.sinks {
            if cursor(cx, &row.id, sink.word()).await?.is_none() {
                changes.put(shelf, &Row::new(cursor_id(&row.id, sink.word()), Cursor::from(first)))?;
            }
            cx.note(sink.word(), destination(sink));
        }
        for gone in row.value.sinks.iter().filter(|old| self.sinks.iter().all(|new| new.word() != old.word())) {
            forget(cx, &mut changes, &row.id, gone).await?;
        }
        row.value.choices = self.choices;
        row.value.sinks = self.sinks;
        row.value.changed_at = cx.now();
        cx.note("setting", row.value.name.as_str());
        changes.put(shelf, &row)?;
        cx.commit(changes).await?;
        status(cx, row).await
    }
}

impl PutSetting {
    async fn check(&self, cx: &Cx<'_, Self>) -> Result<()> {
        if !(1..=LONGEST_NAME).contains(&self.name.len()) {
            return Err(Error::invalid("name", format_args!("must have 1 to {LONGEST_NAME} characters")));
        }
        let known = Category::all_of(&self.scope);
        for choice in &self.choices {
            let is_known = known.iter().any(|category| match choice.is_group {
                true => category.groups.iter().any(|group| group.eq_ignore_ascii_case(&choice.name)),
                false => category.name.eq_ignore_ascii_case(&choice.name),
            });
            if !is_known {
                let names: Vec<_> = known.iter().map(|category| category.name).collect();
                let why = format_args!("there is no category `{}` here, but {}", choice.name, names.join(", "));
                return Err(Error::invalid("properties.logs", why));
            }
        }
        if self.sinks.is_empty() {
            let why = "names no destination: give `storageAccountId`, `webhook`, `syslog` or `otlp`";
            return Err(Error::invalid("properties", why));
        }
        for sink in &self.sinks {
            sink.check(cx)?;
            if let Sink::Archive { account } = sink {
                find::<StorageAccount>(cx, account).await.map_err(|fault| match fault.kind() {
                    Kind::NotFound => {
                        Error::invalid("properties.storageAccountId", format_args!("there is no `{account}`"))
                    }
                    _ => fault,
                })?;
                cx.require(&StorageAccount::WRITE, account).await?;
            }
        }
        Ok(())
    }
}

/// For the record: where events go, without what may be secret in an address.
fn destination(sink: &Sink) -> String {
    match sink {
        Sink::Archive { account } => account.to_string(),
        Sink::Webhook { url: address, .. } | Sink::Otlp { url: address, .. } | Sink::Syslog { server: address } => {
            open_part(address).to_owned()
        }
    }
}

async fn forget(cx: &Admission<'_>, changes: &mut Changes, owner: &[u8], sink: &Sink) -> Result<()> {
    if let Some(row) = cursor(cx, owner, sink.word()).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

/// Removes what was set at a workspace that ends, once `changes` are committed.
pub(crate) async fn end_settings(cx: &Admission<'_>, changes: &mut Changes, scope: &ResourceId) -> Result<()> {
    for row in cx.all::<Setting>(cx.system(), &scope_id(cx.system(), scope)).await? {
        for sink in &row.value.sinks {
            forget(cx, changes, &row.id, sink).await?;
        }
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

/// Reads a setting and its state.
#[derive(Debug)]
pub struct GetSetting {
    /// The subscription or workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for GetSetting {
    const ACTION: Action = READ;
    type Output = SettingStatus;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SettingStatus> {
        let row = of_name(cx, &self.scope, &self.name).await?;
        status(cx, row).await
    }
}

/// Lists the settings of a scope.
#[derive(Debug)]
pub struct ListSettings {
    /// The subscription or workspace.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ListSettings {
    const ACTION: Action = READ;
    type Output = Vec<SettingStatus>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        require_there(cx, &self.scope).await?;
        let mut found = Vec::new();
        for row in cx.all::<Setting>(cx.system(), &scope_id(cx.system(), &self.scope)).await? {
            found.push(status(cx, row).await?);
        }
        found.sort_by(|a, b| a.setting.name.cmp(&b.setting.name));
        Ok(found)
    }
}

/// Whether events of a resource are sent anywhere: a setting with a category that is on, and a sink.
pub(crate) async fn has_settings(cx: &Admission<'_>, scope: &ResourceId) -> Result<bool> {
    let rows = cx.all::<Setting>(cx.system(), &scope_id(cx.system(), scope)).await?;
    Ok(rows.iter().any(|row| !row.value.wanted().is_empty() && !row.value.sinks.is_empty()))
}

/// Removes a setting, with what its sinks had before them.
#[derive(Debug)]
pub struct DeleteSetting {
    /// The subscription or workspace.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for DeleteSetting {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let row = of_name(cx, &self.scope, &self.name).await?;
        let mut changes = Changes::new();
        for sink in &row.value.sinks {
            forget(cx, &mut changes, &row.id, sink).await?;
        }
        changes.delete(cx.system(), &row);
        cx.note("setting", row.value.name.as_str());
        cx.commit(changes).await
    }
}

/// Lists the categories of a scope.
#[derive(Debug)]
pub struct ListCategories {
    /// The subscription or workspace.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ListCategories {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticSettingsCategories/read", Class::Read);
    type Output = &'static [Category];

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        require_there(cx, &self.scope).await?;
        Ok(Category::all_of(&self.scope))
    }
}
