//! Commands on one thing of a collection, by its name.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// What finds a collection's address for whoever is signed in.
pub type Collection = fn(&Session) -> Result<String, Failure>;

/// Names one.
#[derive(Args)]
pub struct Named {
    /// Its name.
    #[arg(short, long)]
    pub name: String,
    #[command(flatten)]
    pub session: SessionOptions,
}

impl Named {
    /// Signs in, and says where it is.
    pub async fn open(&self, collection: Collection) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let place = format!("{}/{}", collection(&session)?, self.name);
        Ok((session, place))
    }

    /// Puts it, and shows what came of that.
    pub async fn put(
        &self,
        collection: Collection,
        body: impl FnOnce(&Session) -> Result<Value, Failure>,
        rows: &[(&str, &str)],
    ) -> Result<ExitCode, Failure> {
        let (session, place) = self.open(collection).await?;
        let made = session.put(&place, &body(&session)?).await?;
        self.session.output.entry(&made, rows)
    }

    /// Shows it.
    pub async fn show(self, collection: Collection, rows: &[(&str, &str)]) -> Result<ExitCode, Failure> {
        let (session, place) = self.open(collection).await?;
        let found: Value = session.get(&place).await?;
        self.session.output.entry(&found, rows)
    }

    /// Deletes it; `noun` says what it was.
    pub async fn delete(self, collection: Collection, noun: &str) -> Result<ExitCode, Failure> {
        let (session, place) = self.open(collection).await?;
        session.delete(&place).await?;
        self.session.output.done(&format!("{noun} {} is gone", self.name), &Value::Null)
    }
}

/// Lists all of a collection.
pub async fn list(
    options: SessionOptions,
    collection: Collection,
    columns: &[(&str, &str)],
) -> Result<ExitCode, Failure> {
    let session = Session::open(&options).await?;
    options.output.entries(&session.list(&collection(&session)?).await?, columns)
}
