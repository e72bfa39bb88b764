//! Role definitions: the files of Azure's documentation are taken as they are.

use std::{
    fs,
    io::{self, Read},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{definition, scope_of};
use crate::{
    cli::{Session, SessionOptions},
    failure::Failure,
};

/// Commands on definitions.
///
/// A role is a JSON file in the form of Azure's documentation: `{"Name": "Reader of jobs", "Description": "…", "Actions":
/// ["Microsoft.MachineLearningServices/workspaces/*/read"], "NotActions": [], "AssignableScopes": ["/subscriptions/…"]}`.
/// `bartizan provider operation list` shows what can stand under `Actions`.
#[derive(Subcommand)]
pub enum Definition {
    /// List the roles that can be assigned at a scope.
    List {
        /// Resource id. Default: the subscription.
        #[arg(long)]
        scope: Option<String>,
        /// Only roles that somebody made, those for scopes below included.
        #[arg(long)]
        custom_role_only: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show one.
    Show {
        /// Its name or id.
        role: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Make a role.
    ///
    /// The file, in the form of Azure's documentation:
    /// {"Name": "Reader of jobs", "Description": "Sees jobs, and no models.",
    ///  "Actions": ["Microsoft.MachineLearningServices/workspaces/*/read"],
    ///  "NotActions": ["Microsoft.MachineLearningServices/workspaces/models/*"],
    ///  "AssignableScopes": ["/subscriptions/SUBSCRIPTION"]}
    #[command(verbatim_doc_comment)]
    Create(Written),
    /// Change a role that somebody made. It is found by the `Id` in the file, or else by its name.
    Update(Written),
    /// Delete a role that somebody made and nobody holds.
    Delete {
        /// Its name or id.
        role: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// A role in a file.
#[derive(Args)]
pub struct Written {
    /// The file with the role, `-` for the standard input; an `@` before it, as `az` has it, does not count.
    #[arg(long, value_name = "FILE")]
    role_definition: String,
    /// Where it can be assigned, in place of the file's `AssignableScopes`; can be given several times.
    #[arg(long, value_name = "RESOURCE-ID")]
    scope: Vec<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[
    ("Role", "/properties/roleName"),
    ("Type", "/properties/type"),
    ("Description", "/properties/description"),
    ("Actions", "/properties/permissions/0/actions"),
    ("Not actions", "/properties/permissions/0/notActions"),
    ("Data actions", "/properties/permissions/0/dataActions"),
    ("Not data actions", "/properties/permissions/0/notDataActions"),
    ("Scopes", "/properties/assignableScopes"),
    ("Id", "/name"),
];

impl Definition {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { scope, custom_role_only, session } => {
                let open = Session::open(&session).await?;
                let scope = scope.map_or_else(|| open.subscription(), Ok)?;
                let place =
                    format!("{}/providers/Microsoft.Authorization/roleDefinitions", scope.trim_end_matches('/'));
                let found = match custom_role_only {
                    true => open.list_where(&place, "type eq 'CustomRole' and atScopeAndBelow()").await?,
                    false => open.list(&place).await?,
                };
                let columns =
                    [("Role", "/properties/roleName"), ("Id", "/name"), ("Description", "/properties/description")];
                session.output.entries(&found, &columns)
            }
            Self::Show { role, session } => {
                let open = Session::open(&session).await?;
                session.output.entry(&known(&open, &role).await?, ROWS)
            }
            Self::Create(written) => written.put(false).await,
            Self::Update(written) => written.put(true).await,
            Self::Delete { role, session } => {
                let open = Session::open(&session).await?;
                let found = known(&open, &role).await?;
                let id = found.get("id").and_then(Value::as_str).unwrap_or_default();
                open.delete(id).await?;
                session.output.done(&format!("the role {role} is gone"), &Value::Null)
            }
        }
    }
}

/// A role that can be assigned at the subscription or anywhere below it.
async fn known(session: &Session, role: &str) -> Result<Value, Failure> {
    let scope = session.subscription()?;
    let below = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions");
    let found = session.list_where(&below, "type eq 'CustomRole' and atScopeAndBelow()").await?;
    let is = |entry: &&Value, pointer: &str| {
        entry.pointer(pointer).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(role))
    };
    let by_id = found.iter().find(|entry| is(entry, "/name"));
    match by_id.or_else(|| found.iter().find(|entry| is(entry, "/properties/roleName"))).cloned() {
        Some(entry) => Ok(entry),
        None => definition(session, &scope, role).await,
    }
}

impl Written {
    async fn put(self, is_update: bool) -> Result<ExitCode, Failure> {
        let text = self.read()?;
        let file: Value = serde_json::from_str(&text)
            .map_err(|fault| Failure::usage(format!("{} is no JSON: {fault}", self.role_definition)))?;
        let open = Session::open(&self.session).await?;
        let (id, mut properties) = read_role(&file)?;
        if !self.scope.is_empty() {
            assign_within(&mut properties, json!(self.scope));
        }
        fill_scopes(&open, &mut properties)?;
        let name = properties.get("roleName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = match (is_update, id) {
            (true, Some(id)) => id.to_string(),
            (true, None) => super::definition_id_of(&known(&open, &name).await?)?,
            (false, Some(id)) if known(&open, &id.to_string()).await.is_ok() => {
                return Err(Failure::new(format!("there is a role with the id {id}; change it with `update`")));
            }
            (false, id) => id.unwrap_or_else(Uuid::new_v4).to_string(),
        };
        let scope = properties.pointer("/assignableScopes/0").and_then(Value::as_str).unwrap_or_default();
        let place = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{id}");
        let made = open.put(&place, &json!({"properties": properties})).await?;
        let sentence =
            format!("the role {name} is there: bartizan role assignment create --assignee WHO --role '{name}'");
        self.session.output.done(&sentence, &made)
    }

    fn read(&self) -> Result<String, Failure> {
        let path = self.role_definition.trim_start_matches('@');
        let mut text = String::new();
        let read = match path {
            "-" => io::stdin().lock().take(1 << 20).read_to_string(&mut text).map(|_| text),
            path => fs::read_to_string(path),
        };
        read.map_err(|fault| Failure::usage(format!("cannot read {path}: {fault}")))
    }
}

/// The id, if there is one, and the `properties` of a role in any of the forms that are about: that of Azure's documentation
/// (`Name`, `Actions`), or that of its API, with `properties` around it or not.
fn read_role(file: &Value) -> Result<(Option<Uuid>, Value), Failure> {
    let inner = file.get("properties").unwrap_or(file);
    let object = inner.as_object().ok_or_else(|| Failure::usage("a role is a JSON object"))?;
    let field =
        |name: &str| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let permission = field("permissions").and_then(|list| list.get(0).cloned());
    let patterns = |name: &str| {
        let inside = permission.as_ref().and_then(|permission| permission.get(name).cloned());
        inside.or_else(|| field(name)).unwrap_or_else(|| json!([]))
    };
    let name = field("roleName").or_else(|| field("name")).ok_or_else(|| Failure::usage("the role has no `Name`"))?;
    let id = [file.get("name"), field("id").as_ref()]
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find_map(|id| id.rsplit('/').next().and_then(|guid| guid.parse().ok()));
    let properties = json!({
        "roleName": name,
        "type": "CustomRole",
        "description": field("description").unwrap_or_else(|| json!("")),
        "assignableScopes": field("assignableScopes").unwrap_or_else(|| json!([])),
        "permissions": [{
            "actions": patterns("actions"),
            "notActions": patterns("notActions"),
            "dataActions": patterns("dataActions"),
            "notDataActions": patterns("notDataActions"),
        }],
    });
    Ok((id, properties))
}

fn assign_within(properties: &mut Value, scopes: Value) {
    if let Some(object) = properties.as_object_mut() {
        object.insert(String::from("assignableScopes"), scopes);
    }
}

/// A role without scopes gets the one that commands work at; one that still holds the documentation's placeholder is told so.
fn fill_scopes(session: &Session, properties: &mut Value) -> Result<(), Failure> {
    let scopes = properties.get("assignableScopes").and_then(Value::as_array).cloned().unwrap_or_default();
    if scopes.is_empty() {
        assign_within(properties, json!([scope_of(session, None)?]));
    }
    match scopes.iter().filter_map(Value::as_str).find(|scope| scope.contains(['<', '{'])) {
        Some(scope) => Err(Failure::usage(format!(
            "`{scope}` is a placeholder: say where the role can be assigned with `--scope RESOURCE-ID`"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_in_each_of_its_forms() {
        let documented = json!({"Name": "Mine", "IsCustom": true, "Description": "d", "Actions": ["*"], "NotActions": ["*/write"],
            "AssignableScopes": ["/subscriptions/s"]});
        let flat = json!({"roleName": "Mine", "description": "d", "permissions": [{"actions": ["*"], "notActions": ["*/write"]}],
            "assignableScopes": ["/subscriptions/s"]});
        let id = Uuid::new_v4();
        let answered = json!({"name": id, "id": format!("/x/{id}"), "properties": flat});
        let (none, first) = read_role(&documented).unwrap();
        assert_eq!((none, read_role(&flat).unwrap()), (None, (None, first.clone())));
        assert_eq!(read_role(&answered).unwrap(), (Some(id), first.clone()));
        assert_eq!(first["permissions"][0]["notActions"], json!(["*/write"]));
        assert!(read_role(&json!({"Actions": []})).is_err() && read_role(&json!([])).is_err());
    }
}
