//! Who is to be told of certificates of a vault: kept, and given to whoever asks. The server sends no mail.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind as Fault, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::Certificate;
use crate::{
    gate::{Admission, Changes, Cx, Op, Record, Row},
    resources::Addressed,
    vault::opened::{ATTEMPTS, Opened, open, too_busy},
};

/// Contacts of one vault, and bytes of what is said of one.
const MOST: usize = 100;
const LONGEST: usize = 254;

/// Somebody who is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateContact {
    /// Address of mail.
    pub email: String,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of a telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The contacts of a vault. On its shelf, under one id.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contacts {
    list: Vec<CertificateContact>,
}

impl Record for Contacts {
    const TABLE: &'static str = "vault-certificate-contacts";
}

const ID: &[u8] = b"1";
/// As Azure has it: reading them is managing them.
const MANAGE: Action = Action::data("Microsoft.KeyVault/vaults/certificatecontacts/write", Class::Control);

async fn found(cx: &Admission<'_>, opened: &Opened) -> Result<Option<Row<Contacts>>> {
    cx.get::<Contacts>(&opened.shelf, ID).await
}

fn missing() -> Error {
    Error::new(Fault::NotFound, "Contacts not found").coded("ContactsNotFound")
}

/// Sets the contacts of a vault, instead of those before.
#[derive(Debug)]
pub struct PutContacts {
    /// The vault.
    pub vault: Addressed,
    /// The contacts.
    pub list: Vec<CertificateContact>,
}

#[async_trait]
impl Op for PutContacts {
    const ACTION: Action = MANAGE;
    type Output = Vec<CertificateContact>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let is_short = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= LONGEST);
        let fits = |contact: &CertificateContact| {
            let (email, is_mail) = (&contact.email, contact.email.contains('@'));
            is_mail && email.len() <= LONGEST && is_short(&contact.name) && is_short(&contact.phone)
        };
        if !(1..=MOST).contains(&self.list.len()) || !self.list.iter().all(fits) {
            let why = format!("1 to {MOST} contacts, each with an `email`, and nothing longer than {LONGEST} bytes");
            return Err(Error::invalid("contacts", why));
        }
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let version = found(cx, &opened).await?.map_or(0, |row| row.version);
            let row = Row { id: ID.to_vec(), version, value: Contacts { list: self.list.clone() } };
            let mut changes = Changes::new();
            changes.put(&opened.shelf, &row)?;
            cx.note("contacts", self.list.len().to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| self.list),
            }
        }
        Err(too_busy::<Certificate>())
    }
}

/// Reads the contacts of a vault.
#[derive(Debug)]
pub struct GetContacts {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for GetContacts {
    const ACTION: Action = MANAGE;
    type Output = Vec<CertificateContact>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let opened = open(cx, &self.vault).await?;
        Ok(found(cx, &opened).await?.ok_or_else(missing)?.value.list)
    }
}

/// Removes the contacts of a vault, and gives those that were.
#[derive(Debug)]
pub struct DeleteContacts {
    /// The vault.
    pub vault: Addressed,
}

#[async_trait]
impl Op for DeleteContacts {
    const ACTION: Action = MANAGE;
    type Output = Vec<CertificateContact>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let row = found(cx, &opened).await?.ok_or_else(missing)?;
            let mut changes = Changes::new();
            changes.delete(&opened.shelf, &row);
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| row.value.list),
            }
        }
        Err(too_busy::<Certificate>())
    }
}
