//! Event subscriptions.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Session, SessionOptions,
    named::{self, Named},
};
use crate::failure::Failure;

/// Commands on pushed events.
#[derive(Subcommand)]
pub enum Command {
    /// Webhooks that are told what happens to runs, models and services of a workspace.
    #[command(subcommand)]
    EventSubscription(Subscriptions),
}

/// Commands on event subscriptions.
#[derive(Subcommand)]
pub enum Subscriptions {
    /// Create one, or replace it: under a name of 3 to 64 letters, digits or hyphens. The webhook is asked first whether it wants events.
    Create(Box<Create>),
    /// List those of the workspace.
    List(#[command(flatten)] SessionOptions),
    /// Show one, and how far it has got.
    Show(Named),
    /// Delete one.
    Delete(Named),
}

/// How events are wrapped.
#[derive(Clone, Copy, ValueEnum)]
enum Schema {
    /// Event Grid's own.
    Eventgridschema,
    /// CloudEvents 1.0.
    Cloudeventschemav1_0,
}

/// What a subscription shall be.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    named: Named,
    /// The webhook's address. The server must be allowed to reach it: `serve --outbound-host`.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// How events are wrapped.
    #[arg(long, value_enum, default_value = "eventgridschema")]
    event_delivery_schema: Schema,
    /// A type: RunCompleted, RunStatusChanged (of failed runs), ModelRegistered, ModelDeployed; can be given several times.
    /// Default: all.
    #[arg(long, value_name = "TYPE")]
    included_event_types: Vec<String>,
    /// Only events whose subject begins so: `models/churn`.
    #[arg(long, value_name = "TEXT")]
    subject_begins_with: Option<String>,
    /// Only events whose subject ends so.
    #[arg(long, value_name = "TEXT")]
    subject_ends_with: Option<String>,
    /// Key, operator and values: `data.modelName StringIn churn wine`.
    #[arg(long, num_args = 3.., value_name = "WORD")]
    advanced_filter: Vec<String>,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Endpoint", "/properties/destination/properties/endpointBaseUrl"),
    ("Schema", "/properties/eventDeliverySchema"),
    ("Types", "/properties/filter/includedEventTypes"),
    ("Next", "/properties/delivery/nextSequence"),
    ("Last error", "/properties/delivery/lastError"),
];

fn collection(session: &Session) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.EventGrid/eventSubscriptions", session.workspace()?))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::EventSubscription(command) = self;
        match command {
            Subscriptions::Create(create) => {
                let body = |_: &Session| Ok(json!({"properties": create.properties()?}));
                create.named.put(collection, body, ROWS).await
            }
            Subscriptions::List(options) => named::list(options, collection, ROWS).await,
            Subscriptions::Show(named) => named.show(collection, ROWS).await,
            Subscriptions::Delete(named) => named.delete(collection, "event subscription").await,
        }
    }
}

impl Create {
    fn properties(&self) -> Result<Value, Failure> {
        let schema = match self.event_delivery_schema {
            Schema::Eventgridschema => "EventGridSchema",
            Schema::Cloudeventschemav1_0 => "CloudEventSchemaV1_0",
        };
        Ok(json!({
            "destination": {"endpointType": "WebHook", "properties": {"endpointUrl": self.endpoint}},
            "eventDeliverySchema": schema,
            "filter": {
                "includedEventTypes": self.included_event_types,
                "subjectBeginsWith": self.subject_begins_with,
                "subjectEndsWith": self.subject_ends_with,
                "advancedFilters": self.advanced()?,
            },
        }))
    }

    fn advanced(&self) -> Result<Vec<Value>, Failure> {
        match self.advanced_filter.as_slice() {
            [] => Ok(Vec::new()),
            [key, operator, values @ ..] if !values.is_empty() => {
                Ok(vec![json!({"key": key, "operatorType": operator, "values": values})])
            }
            _ => Err(Failure::usage("--advanced-filter needs a key, an operator and at least one value")),
        }
    }
}
