//! Secrets of a workspace by name: what the `Keyvault` class of `azureml-core` asks for, of people and of the code of runs.
//!
//! They are ordinary secrets of the workspace's own key vault. **Invariant:** nobody reads a value here who could not have it in a
//! run: a person must be allowed to submit jobs too, and of a run whoever submitted it must be allowed to read secrets still.

use std::{collections::BTreeSet, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret as Hidden, Who};

use super::{
    keeper::{Keeper, refused},
    read::{READ, require_submitter},
};
use crate::{
    compute::Job,
    gate::{Admission, Cx, Op},
    resources::{ResourceType, workspace_shelf},
    vault::{
        AttributesForm, DeleteObject, Kind as _, ListObjects, ObjectName, Page, Paging, Secret, SetSecret,
        require_deletable, require_settable,
    },
};

/// Secrets of one request: each is an operation of the vault's with a record of its own.
const MOST: usize = 64;
/// Bytes of all values of one request.
const MOST_BYTES: usize = 256 << 10;

const LIST: Action = Action::new("Microsoft.MachineLearningServices/workspaces/metadata/secrets/read", Class::Vault);
const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/secrets/write", Class::Control);
const DELETE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/secrets/delete", Class::Control);

/// A secret that was found.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    /// Its name, as it was asked for.
    pub name: String,
    /// Its newest value.
    pub value: Hidden<String>,
    /// What the value is, in words of whoever set it.
    pub content_type: Option<String>,
    /// When this version was made, epoch seconds.
    pub created: i64,
    /// When something about it changed last, epoch seconds.
    pub updated: i64,
}

/// What was found of the names that were asked for.
#[derive(Clone, Debug, Default)]
pub struct FoundSecrets {
    /// Those that are there.
    pub found: Vec<NamedSecret>,
    /// Names that no secret has.
    pub missing: Vec<String>,
}

/// Reads secrets by name.
#[derive(Debug)]
pub struct GetSecrets {
    /// The workspace.
    pub workspace: ResourceId,
    /// Their names; at most 64.
    pub names: Vec<String>,
}

#[async_trait]
impl Op for GetSecrets {
    const ACTION: Action = READ;
    type Output = FoundSecrets;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<FoundSecrets> {
        require_runner(cx, &self.workspace).await?;
        let names = distinct(&self.names)?;
        cx.note("secrets", told(&names));
        let (_, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let keeper = Keeper::of(cx, &workspace.value).await?;
        let mut answer = FoundSecrets::default();
        let mut bytes: usize = 0;
        for name in names {
            let what = format!("the secret `{}`", name.as_str());
            let Some(shown) = keeper.read(cx, (&name, None), &what).await? else {
                answer.missing.push(name.as_str().to_owned());
                continue;
            };
            let content = &shown.version.content;
            bytes = bytes.saturating_add(content.value().len());
            if bytes > MOST_BYTES {
                let why = format!("these secrets have more than {MOST_BYTES} bytes together; ask for fewer at once");
                return Err(Error::invalid("secrets", why));
            }
            answer.found.push(NamedSecret {
                name: name.as_str().to_owned(),
                value: Hidden::new(content.value().to_owned()),
                content_type: content.content_type.clone(),
                created: shown.version.attributes.created,
                updated: shown.version.attributes.updated,
            });
        }
        Ok(answer)
    }
}

/// Lists the names of the workspace's secrets.
#[derive(Debug)]
pub struct ListSecrets {
    /// The workspace.
    pub workspace: ResourceId,
    /// Those after this mark, as the page before gave it.
    pub after: Option<String>,
}

#[async_trait]
impl Op for ListSecrets {
    const ACTION: Action = LIST;
    type Output = Page<String>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page<String>> {
        require_runner(cx, &self.workspace).await?;
        let (_, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let keeper = Keeper::of(cx, &workspace.value).await?;
        let paging = Paging { most: None, after: self.after };
        let op = ListObjects::<Secret> { vault: keeper.vault.clone(), paging, kind: PhantomData };
        let page = keeper.enter(cx, op).await;
        let page = page.map_err(|fault| refused(fault, "the list of the workspace's secrets", "read"))?;
        Ok(Page { entries: page.entries.into_iter().map(|shown| shown.name).collect(), next: page.next })
    }
}

/// A secret that is to be.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Hidden<String>,
    /// What the value is.
    pub content_type: Option<String>,
}

/// Gives secrets a value each: their first version, or one more. What cannot be is refused before the first of them is set.
#[derive(Debug)]
pub struct SetSecrets {
    /// The workspace.
    pub workspace: ResourceId,
    /// The secrets; at most 64, each name once.
    pub secrets: Vec<NewSecret>,
}

#[async_trait]
impl Op for SetSecrets {
    const ACTION: Action = WRITE;
    /// Their names.
    type Output = Vec<String>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<String>> {
        let all: Vec<String> = self.secrets.iter().map(|secret| secret.name.clone()).collect();
        let names = distinct(&all)?;
        if names.len() != all.len() {
            return Err(Error::invalid("secrets", "a name comes twice; case does not count"));
        }
        let bytes = self.secrets.iter().fold(0_usize, |sum, secret| sum.saturating_add(secret.value.expose().len()));
        if bytes > MOST_BYTES {
            let why = format!("these secrets have more than {MOST_BYTES} bytes together; set fewer at once");
            return Err(Error::invalid("secrets", why));
        }
        cx.note("secrets", told(&names));
        let (_, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let keeper = Keeper::of(cx, &workspace.value).await?;
        let ops: Vec<SetSecret> = names.iter().zip(self.secrets).map(|(name, new)| op(&keeper, name, new)).collect();
        for (name, op) in names.iter().zip(&ops) {
            op.check()?;
            require_settable(cx, &keeper.vault, name).await.map_err(kept)?;
        }
        for (name, op) in names.iter().zip(ops) {
            let set = keeper.enter(cx, op).await;
            set.map_err(|fault| refused(fault, &format!("the secret `{}`", name.as_str()), "set"))?;
        }
        Ok(all)
    }
}

fn op(keeper: &Keeper, name: &ObjectName, new: NewSecret) -> SetSecret {
    SetSecret {
        vault: keeper.vault.clone(),
        name: name.clone(),
        value: new.value,
        content_type: new.content_type,
        attributes: AttributesForm::default(),
        tags: std::collections::BTreeMap::new(),
    }
}

/// Deletes secrets: they rest in the vault, and can be recovered there. One that is not there is refused before any is deleted.
#[derive(Debug)]
pub struct DeleteSecrets {
    /// The workspace.
    pub workspace: ResourceId,
    /// Their names; at most 64.
    pub names: Vec<String>,
}

#[async_trait]
impl Op for DeleteSecrets {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let names = distinct(&self.names)?;
        cx.note("secrets", told(&names));
        let (_, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let keeper = Keeper::of(cx, &workspace.value).await?;
        for name in &names {
            require_deletable(cx, &keeper.vault, name).await.map_err(kept)?;
        }
        for name in names {
            let what = format!("the secret `{}`", name.as_str());
            let op = DeleteObject::<Secret> { vault: keeper.vault.clone(), name, kind: PhantomData };
            keeper.enter(cx, op).await.map_err(|fault| match fault.code() {
                Some(Secret::NOT_FOUND) => fault,
                _ => refused(fault, &what, "deleted"),
            })?;
        }
        Ok(())
    }
}

/// Refuses callers who could not have a value in a run: principals who may not submit jobs, and runs whose submitter may not read
/// secrets any more.
async fn require_runner(cx: &Admission<'_>, workspace: &ResourceId) -> Result<()> {
    match &cx.caller().who {
        Who::Run(run) => {
            cx.note("run", run.run.as_str());
            require_submitter(cx, run.on_behalf_of, workspace)
        }
        Who::Principal(_) | Who::Keyed(_) | Who::House | Who::Nobody => cx.require(&Job::WRITE, workspace).await,
    }
}

/// What a secret's own state forbids is no lack of a right.
fn kept(fault: Error) -> Error {
    if fault.kind() != Kind::Denied {
        return fault;
    }
    Error::new(Kind::Conflict, fault.public().to_owned()).because(fault)
}

/// The names, each once.
///
/// # Errors
/// `Invalid` for what is no name, for none, and for too many.
fn distinct(names: &[String]) -> Result<Vec<ObjectName>> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in names {
        let name = ObjectName::new(name)?;
        if seen.insert(name.as_str().to_ascii_lowercase()) {
            found.push(name);
        }
    }
    if (1..=MOST).contains(&found.len()) {
        return Ok(found);
    }
    Err(Error::invalid("secrets", format_args!("1 to {MOST} of them")))
}

/// For the record.
fn told(names: &[ObjectName]) -> String {
    names.iter().map(ObjectName::as_str).collect::<Vec<_>>().join(", ")
}
