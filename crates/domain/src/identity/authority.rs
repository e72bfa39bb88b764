//! The installation's certificate authority: made once, its key sealed, and the server's certificate issued at each start.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Secret};
use seal::{Authority, ServerIdentity};
use serde::{Deserialize, Serialize};

use crate::gate::{Changes, Cx, Op, Record, Row};

/// The stored authority.
#[derive(Serialize, Deserialize)]
struct StoredAuthority {
    key_pem: String,
    certificate_pem: String,
}

impl Record for StoredAuthority {
    const TABLE: &'static str = "authority";
}

impl Drop for StoredAuthority {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.key_pem)));
    }
}

/// Issues a certificate for the server, making the authority at the first call.
#[derive(Debug)]
pub struct IssueServerCertificate {
    /// DNS names, wildcards and addresses.
    pub names: Vec<String>,
}

#[async_trait]
impl Op for IssueServerCertificate {
    const ACTION: Action = Action::new("Microsoft.Directory/certificates/issue/action", Class::Control);
    /// The server's identity, and the authority's certificate in PEM.
    type Output = (ServerIdentity, String);

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let now = cx.now().rfc3339();
        let year = now.get(..4).and_then(|year| year.parse().ok());
        let year = year.ok_or_else(|| Error::internal("the clock tells no year"))?;
        let authority = match cx.get::<StoredAuthority>(cx.system(), b"1").await? {
            Some(row) => Authority::new(Secret::new(row.value.key_pem.clone()), row.value.certificate_pem.clone()),
            None => {
                let fresh = Authority::generate(year)?;
                let stored = StoredAuthority {
                    key_pem: fresh.key_pem().expose().clone(),
                    certificate_pem: fresh.certificate_pem().to_owned(),
                };
                let mut changes = Changes::new();
                changes.put(cx.system(), &Row::new(b"1".as_slice(), stored))?;
                cx.commit(changes).await?;
                fresh
            }
        };
        let identity = authority.issue(&self.names, year)?;
        Ok((identity, authority.certificate_pem().to_owned()))
    }
}
