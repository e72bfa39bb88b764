//! Virtual networks, private endpoints, and who is let into a workspace through them.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on networks.
#[derive(Subcommand)]
pub enum Command {
    /// Virtual networks: names for ranges of client addresses.
    #[command(subcommand)]
    Vnet(Vnet),
    /// Private endpoints: the subnets from which a workspace is reached when public access is disabled.
    #[command(subcommand)]
    PrivateEndpoint(PrivateEndpoint),
    /// The requests of private endpoints to be let into the workspace (-w), and their answers.
    #[command(subcommand)]
    Connection(Connection),
}

/// Commands on virtual networks.
#[derive(Subcommand)]
pub enum Vnet {
    /// Create one, or change its ranges and subnets.
    Create {
        /// Its name.
        name: String,
        /// A range, such as `10.1.0.0/16`; may be given several times.
        #[arg(long, value_name = "NET", required = true)]
        address_prefix: Vec<String>,
        /// A subnet as `name=10.1.2.0/24`; may be given several times. Those not named are removed.
        #[arg(long, value_name = "NAME=NET")]
        subnet: Vec<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Delete one without private endpoints.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Commands on private endpoints.
#[derive(Subcommand)]
pub enum PrivateEndpoint {
    /// Ask that a subnet be let into the workspace (-w). It is at once if you may approve it, else somebody who may has to.
    Create {
        /// Its name.
        name: String,
        /// The virtual network, in the same resource group.
        #[arg(long)]
        vnet: String,
        /// The subnet.
        #[arg(long)]
        subnet: String,
        /// Leave the answer to somebody else, even if you may give it.
        #[arg(long)]
        manual: bool,
        /// For whoever answers.
        #[arg(long)]
        message: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group.
    List(#[command(flatten)] SessionOptions),
    /// Delete one. Its subnet is let in no more.
    Delete {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Commands on connections.
#[derive(Subcommand)]
pub enum Connection {
    /// List them, with who asks and what was answered.
    List(#[command(flatten)] SessionOptions),
    /// Let one in.
    Approve(Answer),
    /// Refuse one, or shut it out again.
    Reject(Answer),
    /// Remove one.
    Delete {
        /// Its name, as `list` shows it.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// An answer.
#[derive(clap::Args)]
pub struct Answer {
    /// Its name, as `list` shows it.
    name: String,
    /// Why.
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const NETWORKS: &[(&str, &str)] =
    &[("Name", "/name"), ("Ranges", "/properties/addressSpace/addressPrefixes"), ("Subnets", "/properties/subnets")];
const ENDPOINTS: &[(&str, &str)] = &[("Name", "/name"), ("Subnet", "/properties/subnet/id"), ("Id", "/id")];
const CONNECTIONS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Private endpoint", "/properties/privateEndpoint/id"),
    ("Status", "/properties/privateLinkServiceConnectionState/status"),
    ("Description", "/properties/privateLinkServiceConnectionState/description"),
];

fn place(open: &Session, kind: &str, name: &str) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.Network/{kind}/{name}", open.group()?))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Vnet(command) => command.run().await,
            Self::PrivateEndpoint(command) => command.run().await,
            Self::Connection(command) => command.run().await,
        }
    }
}

impl Vnet {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, address_prefix, subnet, session } => {
                let open = Session::open(&session).await?;
                let subnets = subnet.iter().map(|text| subnet_of(text)).collect::<Result<Vec<_>, _>>()?;
                let subnets = (!subnets.is_empty()).then_some(subnets);
                let properties = json!({"addressSpace": {"addressPrefixes": address_prefix}, "subnets": subnets});
                let body = json!({"location": "local", "properties": properties});
                let made = open.put(&place(&open, "virtualNetworks", &name)?, &body).await?;
                session.output.entry(&made, NETWORKS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let found = open.list(place(&open, "virtualNetworks", "")?.trim_end_matches('/')).await?;
                session.output.entries(&found, NETWORKS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&place(&open, "virtualNetworks", &name)?).await?;
                session.output.done(&format!("virtual network {name} is gone"), &Value::Null)
            }
        }
    }
}

fn subnet_of(text: &str) -> Result<Value, Failure> {
    let wrong = || Failure::usage(format!("`{text}` is no subnet: say name=10.1.2.0/24"));
    let (name, prefix) = text.split_once('=').ok_or_else(wrong)?;
    Ok(json!({"name": name, "properties": {"addressPrefix": prefix}}))
}

impl PrivateEndpoint {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, vnet, subnet, manual, message, session } => {
                let open = Session::open(&session).await?;
                let service = json!({
                    "name": name,
                    "properties": {
                        "privateLinkServiceId": open.workspace()?,
                        "groupIds": ["amlworkspace"],
                        "requestMessage": message,
                    },
                });
                let kind = if manual { "manualPrivateLinkServiceConnections" } else { "privateLinkServiceConnections" };
                let subnet = format!("{}/subnets/{subnet}", place(&open, "virtualNetworks", &vnet)?);
                let body = json!({"location": "local", "properties": {"subnet": {"id": subnet}, kind: [service]}});
                let made = open.put(&place(&open, "privateEndpoints", &name)?, &body).await?;
                session.output.entry(&made, ENDPOINTS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let found = open.list(place(&open, "privateEndpoints", "")?.trim_end_matches('/')).await?;
                session.output.entries(&found, ENDPOINTS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&place(&open, "privateEndpoints", &name)?).await?;
                session.output.done(&format!("private endpoint {name} is gone"), &Value::Null)
            }
        }
    }
}

impl Connection {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let found = open.list(&format!("{}/privateEndpointConnections", open.workspace()?)).await?;
                session.output.entries(&found, CONNECTIONS)
            }
            Self::Approve(answer) => answer.give("Approved").await,
            Self::Reject(answer) => answer.give("Rejected").await,
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/privateEndpointConnections/{name}", open.workspace()?)).await?;
                session.output.done(&format!("connection {name} is gone"), &Value::Null)
            }
        }
    }
}

impl Answer {
    async fn give(self, status: &str) -> Result<ExitCode, Failure> {
        let open = Session::open(&self.session).await?;
        let place = format!("{}/privateEndpointConnections/{}", open.workspace()?, self.name);
        let state = json!({"status": status, "description": self.description});
        let answered = open.put(&place, &json!({"properties": {"privateLinkServiceConnectionState": state}})).await?;
        self.session.output.entry(&answered, CONNECTIONS)
    }
}
