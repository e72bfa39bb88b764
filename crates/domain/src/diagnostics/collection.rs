//! Whether anything is collected, and where it goes.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    delivery::open_part,
    gate::{Admission, Changes, Cx, Op, Record, Row},
};

/// What the outbox holds back when nobody says: a working day to look.
const USUAL_HOURS: u32 = 24;
/// The longest.
const MOST_HOURS: u32 = 24 * 90;
const LONGEST_ADDRESS: usize = 2048;
const ONLY: &[u8] = b"1";

/// What an operator said of diagnostics. Off, and to nowhere, until then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Collection {
    /// Whether anything is collected.
    pub is_on: bool,
    /// Where it is sent; it stays in the outbox when there is nothing.
    pub destination: Option<String>,
    /// For so many hours an entry can be looked at, and removed, before it is sent.
    pub hold_hours: u32,
    /// When that was said.
    pub changed_at: Option<Timestamp>,
    /// Who said it: object id.
    pub changed_by: Option<String>,
}

impl Default for Collection {
    fn default() -> Self {
        Self { is_on: false, destination: None, hold_hours: USUAL_HOURS, changed_at: None, changed_by: None }
    }
}

impl Record for Collection {
    const TABLE: &'static str = "diagnostics-collection";
}

async fn row(cx: &Admission<'_>) -> Result<Row<Collection>> {
    let found = cx.get::<Collection>(cx.system(), ONLY).await?;
    Ok(found.unwrap_or_else(|| Row::new(ONLY, Collection::default())))
}

/// What was said.
pub(super) async fn said(cx: &Admission<'_>) -> Result<Collection> {
    Ok(row(cx).await?.value)
}

/// Reads what was said of diagnostics.
#[derive(Debug)]
pub struct GetCollection;

#[async_trait]
impl Op for GetCollection {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticsCollection/read", Class::Read);
    type Output = Collection;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Collection> {
        said(cx).await
    }
}

/// Turns collection on or off, and says where it goes. What is in the outbox already stays there, to be looked at or purged; it is
/// not sent while collection is off.
#[derive(Debug)]
pub struct PutCollection {
    /// Whether anything is collected.
    pub is_on: bool,
    /// Where it is sent. The address of before without its query, as it is shown, is the whole of it.
    pub destination: Option<String>,
    /// For how many hours entries are held back; a day when nobody says.
    pub hold_hours: Option<u32>,
}

#[async_trait]
impl Op for PutCollection {
    /// Not what a Contributor may do: it decides what leaves the installation.
    const ACTION: Action = Action::new("Microsoft.Authorization/diagnosticsCollection/write", Class::Control);
    type Output = Collection;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Collection> {
        let hold_hours = self.hold_hours.unwrap_or(USUAL_HOURS);
        if !(1..=MOST_HOURS).contains(&hold_hours) {
            return Err(Error::invalid("holdHours", format_args!("must be 1 to {MOST_HOURS}")));
        }
        let mut row = row(cx).await?;
        let destination = kept(self.destination, row.value.destination.as_ref());
        if let Some(address) = &destination {
            let is_url = address.starts_with("https://") || address.starts_with("http://");
            if !is_url || address.len() > LONGEST_ADDRESS {
                let why = format_args!("must be a URL of at most {LONGEST_ADDRESS} bytes");
                return Err(Error::invalid("destination", why));
            }
            cx.web().permits(address).map_err(|why| Error::invalid("destination", why))?;
        }
        cx.note("collection", if self.is_on { "on" } else { "off" });
        cx.note("destination", destination.as_deref().map_or("none", open_part));
        row.value = Collection {
            is_on: self.is_on,
            destination,
            hold_hours,
            changed_at: Some(cx.now()),
            changed_by: cx.caller().principal().map(|principal| principal.id.to_string()),
        };
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Whoever sends what was shown means the address of before, with the query that is not shown.
fn kept(said: Option<String>, before: Option<&String>) -> Option<String> {
    said.map(|address| match before {
        Some(old) if address == open_part(old) => old.clone(),
        _ => address,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_as_it_is_shown_is_the_address_of_before() {
        let before = String::from("https://a.example/in?key=k");
        let now = |said: &str| kept(Some(said.to_owned()), Some(&before)).unwrap();
        assert_eq!(now("https://a.example/in"), before);
        for other in ["https://a.example/in2", "https://a.example/in?key=l", "https://b.example/in"] {
            assert_eq!(now(other), other);
        }
        assert_eq!(kept(None, Some(&before)), None);
    }
}
