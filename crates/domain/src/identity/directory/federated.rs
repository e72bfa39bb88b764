//! Federated credentials: tokens of somebody else's that stand for an application (workload identity). Exact issuer, subject
//! and audience; no secret anywhere.

use async_trait::async_trait;
use kernel::{Action, AppId, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{
    ApplicationKey, application_key,
    applications::{self, READ, WRITE},
    power::{require_power_over, require_way_in},
    removal::cut_off,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{Application, FederatedCredential, Member},
};

/// Credentials of one application (as Entra bounds them).
const MOST: usize = 20;
/// Bytes of an issuer, a subject or an audience (as Entra bounds them).
const LONGEST: usize = 600;
/// The audience where none is given, as Entra's clients ask for it.
const USUAL_AUDIENCE: &str = "api://AzureADTokenExchange";

/// What a credential is to be; what is none stays. A new one needs name, issuer and subject.
#[derive(Clone, Debug, Default)]
pub struct FederatedCredentialForm {
    /// Names it within the application; never changes.
    pub name: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Option<String>,
}

/// Adds a federated credential to an application.
#[derive(Debug)]
pub struct AddFederatedCredential {
    /// Client id.
    pub app: AppId,
    /// What it is to be.
    pub form: FederatedCredentialForm,
}

#[async_trait]
impl Op for AddFederatedCredential {
    const ACTION: Action = WRITE;
    type Output = FederatedCredential;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<FederatedCredential> {
        let (member, mut row) = find(cx, self.app).await?;
        require_power_over(cx, member.value.id).await?;
        let given = |field: &'static str, text: Option<String>| text.ok_or_else(|| Error::invalid(field, "is needed"));
        let made = FederatedCredential {
            id: Uuid::new_v4(),
            name: given("name", self.form.name)?,
            issuer: given("issuer", self.form.issuer)?,
            subject: given("subject", self.form.subject)?,
            audience: self.form.audience.unwrap_or_else(|| USUAL_AUDIENCE.to_owned()),
        };
        let all = &mut row.value.federated;
        if all.len() >= MOST {
            let why = format!("an application has at most {MOST} federated credentials; remove one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        check(&made, all)?;
        cx.note("credential", &made.name);
        cx.note("issuer", &made.issuer);
        cx.note("subject", &made.subject);
        all.push(made.clone());
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(made)
    }
}

/// Changes whose tokens stand for an application. Tokens that the old ones brought end.
#[derive(Debug)]
pub struct UpdateFederatedCredential {
    /// Client id.
    pub app: AppId,
    /// Its id or its name.
    pub credential: String,
    /// What is to be changed.
    pub form: FederatedCredentialForm,
}

#[async_trait]
impl Op for UpdateFederatedCredential {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (member, mut row) = find(cx, self.app).await?;
        require_power_over(cx, member.value.id).await?;
        let at = position(&row.value, &self.credential)?;
        let mut changed = row.value.federated.remove(at);
        if self.form.name.is_some_and(|name| name != changed.name) {
            return Err(Error::invalid("name", "cannot be changed; add another credential"));
        }
        changed.issuer = self.form.issuer.unwrap_or(changed.issuer);
        changed.subject = self.form.subject.unwrap_or(changed.subject);
        changed.audience = self.form.audience.unwrap_or(changed.audience);
        check(&changed, &row.value.federated)?;
        cx.note("credential", &changed.name);
        cx.note("issuer", &changed.issuer);
        cx.note("subject", &changed.subject);
        row.value.federated.insert(at, changed);
        keep(cx, member, &row).await
    }
}

/// Removes a federated credential. Tokens that it brought end.
#[derive(Debug)]
pub struct RemoveFederatedCredential {
    /// Client id.
    pub app: AppId,
    /// Its id or its name.
    pub credential: String,
}

#[async_trait]
impl Op for RemoveFederatedCredential {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let (member, mut row) = find(cx, self.app).await?;
        require_power_over(cx, member.value.id).await?;
        let at = position(&row.value, &self.credential)?;
        let gone = row.value.federated.remove(at);
        cx.note("credential", gone.name);
        keep(cx, member, &row).await
    }
}

/// Lists the federated credentials of an application.
#[derive(Debug)]
pub struct ListFederatedCredentials {
    /// Client id.
    pub app: AppId,
    /// Only the one with this id or name; it must be there.
    pub credential: Option<String>,
}

#[async_trait]
impl Op for ListFederatedCredentials {
    const ACTION: Action = READ;
    type Output = Vec<FederatedCredential>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, row) = find(cx, self.app).await?;
        match self.credential {
            Some(credential) => {
                let at = position(&row.value, &credential)?;
                Ok(row.value.federated.into_iter().skip(at).take(1).collect())
            }
            None => Ok(row.value.federated),
        }
    }
}

async fn find(cx: &Admission<'_>, app: AppId) -> Result<(Row<Member>, Row<Application>)> {
    let found = application_key::find(cx, ApplicationKey::Client(app)).await?;
    applications::note(cx, &found.1.value);
    Ok(found)
}

fn position(application: &Application, named: &str) -> Result<usize> {
    let fits = |known: &FederatedCredential| known.name == named || known.id.to_string() == named;
    let at = application.federated.iter().position(fits);
    at.ok_or_else(|| Error::not_found("the federated credential"))
}

/// Stores an application that lost a credential, and cuts off what that brought.
async fn keep(cx: &Admission<'_>, mut member: Row<Member>, row: &Row<Application>) -> Result<()> {
    let mut changes = Changes::new();
    require_way_in(cx, &mut changes, &row.value).await?;
    cut_off(cx, &mut changes, &mut member.value).await?;
    changes.put(cx.system(), &member)?;
    changes.put(cx.system(), row)?;
    cx.commit(changes).await
}

fn check(credential: &FederatedCredential, others: &[FederatedCredential]) -> Result<()> {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let starts = credential.name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_named = starts && (3..=120).contains(&credential.name.len()) && credential.name.chars().all(is_letter);
    if !is_named {
        return Err(Error::invalid(
            "name",
            "must be 3 to 120 letters, digits, `-` or `_`, and begin with one of the former",
        ));
    }
    let fields =
        [("issuer", &credential.issuer), ("subject", &credential.subject), ("audiences", &credential.audience)];
    for (field, text) in fields {
        let is_plain = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
        // A pattern would be read as one by people, and is compared as it stands.
        if !is_plain || text.trim() != text || text.contains('*') {
            let why = format_args!("must be 1 to {LONGEST} characters without wildcards or spaces around them");
            return Err(Error::invalid(field, why));
        }
    }
    if !credential.issuer.starts_with("https://") {
        return Err(Error::invalid("issuer", "must be the `iss` of the tokens: an `https` address"));
    }
    if others.iter().any(|other| other.name == credential.name) {
        return Err(Error::new(Kind::Exists, "the application has a federated credential of this name already"));
    }
    let is_twin =
        |other: &FederatedCredential| other.issuer == credential.issuer && other.subject == credential.subject;
    if others.iter().any(is_twin) {
        return Err(Error::new(Kind::Exists, "the application trusts this issuer and subject already"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(name: &str, issuer: &str, subject: &str) -> FederatedCredential {
        let [name, issuer, subject] = [name, issuer, subject].map(str::to_owned);
        FederatedCredential { id: Uuid::new_v4(), name, issuer, subject, audience: USUAL_AUDIENCE.to_owned() }
    }

    #[test]
    fn a_credential_says_exactly_whose_tokens_it_takes() {
        let good = credential("ci-main", "https://ci.example", "repo:a/b:ref:refs/heads/main");
        assert!(check(&good, &[]).is_ok());
        let bad = [
            credential("c", "https://ci.example", "s"),
            credential("-ci", "https://ci.example", "s"),
            credential("ci main", "https://ci.example", "s"),
            credential("ci-main", "http://ci.example", "s"),
            credential("ci-main", "https://ci.example", "repo:a/*"),
            credential("ci-main", "https://ci.example", ""),
            credential("ci-main", "https://ci.example ", "s"),
        ];
        for bad in bad {
            assert!(check(&bad, &[]).is_err(), "{bad:?}");
        }
        let twins =
            [credential("ci-main", "https://other.example", "s"), credential("other", &good.issuer, &good.subject)];
        for twin in twins {
            assert_eq!(check(&twin, std::slice::from_ref(&good)).unwrap_err().kind(), Kind::Exists);
        }
    }
}
