//! What can be granted: the operation catalogue.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on resource providers.
#[derive(Subcommand)]
pub enum Command {
    /// Operations, as roles name them.
    #[command(subcommand)]
    Operation(Operation),
}

/// Commands on operations.
#[derive(Subcommand)]
pub enum Operation {
    /// List every operation that a role can name.
    List(#[command(flatten)] SessionOptions),
    /// List those of one provider.
    Show {
        /// Its namespace, such as Microsoft.MachineLearningServices.
        #[arg(short = 'n', long)]
        namespace: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const PLACE: &str = "/providers/Microsoft.Authorization/providerOperations";

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::Operation(operation) = self;
        let (providers, options) = match operation {
            Operation::List(options) => (Session::open(&options).await?.list(PLACE).await?, options),
            Operation::Show { namespace, session } => {
                (vec![Session::open(&session).await?.get(&format!("{PLACE}/{namespace}")).await?], session)
            }
        };
        let operations =
            |provider: &Value| provider.get("operations").and_then(Value::as_array).cloned().unwrap_or_default();
        let all: Vec<Value> = providers.iter().flat_map(operations).collect();
        options.output.entries(&all, &[("Operation", "/name"), ("Data", "/isDataAction"), ("Served", "/isServed")])
    }
}
