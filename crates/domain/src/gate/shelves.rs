//! Shelves as operations make, close, lay to rest and destroy them: what becomes of a keyring is committed with the rest.

use kernel::{Error, Kind, Result};
use uuid::Uuid;

use super::{
    Admission, Changes, ForgottenKey, Row, Shelf,
    keys::{OwnKeyring, RestingKeyring, RestingShelf},
};
use crate::customer_keys::{CustomerKey, Terms};

impl Admission<'_> {
    /// A new shelf, for what has this GUID; it lasts once `changes` are committed.
    pub fn found_shelf(&self, of: impl Into<Uuid>, changes: &mut Changes) -> Result<Shelf> {
        let (shelf, row) = self.house().keys().found(of.into())?;
        changes.put::<OwnKeyring>(self.system(), &row)?;
        Ok(shelf)
    }

    /// Closes a shelf with a customer's key once `changes` are committed; whatever held it before, or only if `from` does.
    pub(crate) async fn close_shelf(
        &self,
        of: impl Into<Uuid>,
        from: Option<&CustomerKey>,
        key: CustomerKey,
        changes: &mut Changes,
    ) -> Result<()> {
        let (system, of) = (self.system(), of.into());
        let row = self.get::<OwnKeyring>(system, of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        if from.is_some() && row.value.key() != from {
            return Err(Error::new(Kind::Stale, "another key holds it by now"));
        }
        row.value = row.value.under(self.house(), of, key).await?;
        changes.put(system, &row).map(drop)
    }

    /// Takes a customer's key from a shelf once `changes` are committed: the server's own keyring holds it from then on. The key
    /// must still open it.
    pub(crate) async fn free_shelf(&self, of: impl Into<Uuid>, changes: &mut Changes) -> Result<()> {
        let (system, of) = (self.system(), of.into());
        let row = self.get::<OwnKeyring>(system, of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        row.value = row.value.freed(self.house(), of).await?;
        changes.put(system, &row).map(drop)
    }

    /// A shelf's keyring as far as it can be told without opening it: the numbers of its versions, and the customer's key that holds it.
    pub(crate) async fn keyring_of(&self, of: Uuid) -> Result<ForgottenKey> {
        let row = self.get::<OwnKeyring>(self.system(), of.as_bytes()).await?;
        let row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        Ok(ForgottenKey::of(&row.value))
    }

    /// Prepares a shelf's keyring for custodians once `changes` are committed. The customer's key must open it, and be this one.
    pub(crate) async fn prepare_recovery(
        &self,
        of: Uuid,
        key: &CustomerKey,
        terms: Terms,
        changes: &mut Changes,
    ) -> Result<()> {
        let system = self.system();
        let row = self.get::<OwnKeyring>(system, of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        if row.value.key() != Some(key) {
            return Err(Error::new(Kind::Conflict, "the workspace got another key at this moment; try again"));
        }
        row.value = row.value.prepared(self.house(), of, terms).await?;
        changes.put(system, &row).map(drop)
    }

    /// Takes out of a shelf's keyring what custodians open it with, once `changes` are committed; whether there was any.
    pub(crate) async fn drop_recovery(&self, of: Uuid, changes: &mut Changes) -> Result<bool> {
        let system = self.system();
        let row = self.get::<OwnKeyring>(system, of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        let had_any = row.value.drop_recovery();
        if had_any {
            changes.put(system, &row)?;
        }
        Ok(had_any)
    }

    /// A new shelf that a customer's key closes; it lasts once `changes` are committed.
    pub(crate) async fn found_closed_shelf(
        &self,
        of: impl Into<Uuid>,
        key: CustomerKey,
        changes: &mut Changes,
    ) -> Result<Shelf> {
        let of = of.into();
        let (shelf, mut row) = self.house().keys().found(of)?;
        row.value = row.value.under(self.house(), of, key).await?;
        changes.put::<OwnKeyring>(self.system(), &row)?;
        Ok(shelf)
    }

    /// Destroys a shelf's key once `changes` are committed: nothing under it can be read again. Says which it was.
    pub(crate) async fn forget_shelf(&self, of: impl Into<Uuid>, changes: &mut Changes) -> Result<ForgottenKey> {
        let (system, of) = (self.system(), of.into());
        let id = of.as_bytes();
        let mut forgotten = ForgottenKey::default();
        if let Some(row) = self.get::<OwnKeyring>(system, id).await? {
            forgotten = ForgottenKey::of(&row.value);
            changes.delete(system, &row);
        }
        if let Some(row) = self.get::<RestingKeyring>(system, id).await? {
            forgotten = ForgottenKey::of(&row.value.0);
            changes.delete(system, &row);
        }
        Ok(forgotten)
    }

    /// Closes a shelf once `changes` are committed: no door finds it until it is reopened.
    pub(crate) async fn rest_shelf(&self, of: impl Into<Uuid>, changes: &mut Changes) -> Result<()> {
        let (system, of) = (self.system(), of.into());
        let id = of.as_bytes();
        let row = self.get::<OwnKeyring>(system, id).await?;
        let row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        changes.put(system, &Row::new(id.as_slice(), RestingKeyring(row.value.clone())))?;
        changes.delete(system, &row);
        Ok(())
    }

    /// Opens the keyring of what rests; whoever holds its key may be slow to answer.
    pub(crate) async fn open_resting(&self, of: impl Into<Uuid>) -> Result<RestingShelf> {
        let of = of.into();
        let row = self.get::<RestingKeyring>(self.system(), of.as_bytes()).await?;
        let row = row.ok_or_else(|| Error::not_found("the key of what was deleted"))?;
        let ring = row.value.0.open(self.house(), of).await?;
        Ok(RestingShelf { of, row, ring })
    }

    /// Reopens a shelf that was closed; others find it once `changes` are committed.
    pub(crate) fn reopen_shelf(&self, resting: RestingShelf, changes: &mut Changes) -> Result<Shelf> {
        let (system, RestingShelf { of, row, ring }) = (self.system(), resting);
        changes.put(system, &Row::new(of.as_bytes().as_slice(), row.value.0.clone()))?;
        changes.delete(system, &row);
        Ok(self.house().keys().enroll(of, ring))
    }
}
