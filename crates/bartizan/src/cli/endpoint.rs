//! Web services: an endpoint, its deployment, its credentials, and scoring.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use outbound::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Session, SessionOptions, endpoint_key, image, output, say};
use crate::failure::Failure;

/// Commands on web services.
#[derive(Subcommand)]
pub enum Command {
    /// Deploy an image as a web service and wait until it is healthy.
    Create(Create),
    /// Switch how callers prove themselves, without a restart.
    Update {
        /// Name of the endpoint.
        name: String,
        /// Key or token.
        #[arg(long, value_enum)]
        auth: Auth,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List endpoints.
    List(#[command(flatten)] SessionOptions),
    /// Show one with its deployments.
    Show {
        /// Name of the endpoint.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show the two keys of a service that takes keys.
    Keys {
        /// Name of the endpoint.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Make one of the two keys anew; the other stays valid, so that callers can move without a pause.
    RegenerateKey {
        /// Name of the endpoint.
        name: String,
        /// Which one.
        #[arg(long, value_enum)]
        key: Key,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Keys by name, one for each client: make, list, revoke.
    #[command(subcommand)]
    Key(endpoint_key::Command),
    /// Share the calls between deployments: `bartizan endpoint traffic NAME blue=90 green=10`.
    Traffic {
        /// Name of the endpoint.
        name: String,
        /// Shares in percent, 100 in sum; those that are not named get nothing.
        #[arg(required = true, value_parser = share)]
        shares: Vec<(String, u8)>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take one deployment away that gets no traffic.
    Remove {
        /// Name of the endpoint.
        name: String,
        /// Name of the deployment.
        #[arg(long)]
        deployment: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Get a token for a service that takes tokens.
    Token {
        /// Name of the endpoint.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Score: send a JSON body, print the answer.
    Score {
        /// Name of the endpoint.
        name: String,
        /// File with the body; `-` is standard input.
        #[arg(long, short = 'f', default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Print the end of a deployment's log.
    Logs {
        /// Name of the endpoint.
        name: String,
        /// Name of the deployment.
        #[arg(long, default_value = "blue")]
        deployment: String,
        /// How many lines.
        #[arg(long, default_value_t = 100)]
        tail: u32,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List the latest scoring requests: who, when, how long, with which result.
    Requests {
        /// Name of the endpoint.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take a service down.
    Delete {
        /// Name of the endpoint.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// How callers prove themselves.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Auth {
    /// Two static keys.
    Key,
    /// Tokens that expire.
    Token,
}

impl Auth {
    /// Azure's word for it.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Key => "Key",
            Self::Token => "AMLToken",
        }
    }
}

/// Which key.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Key {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

/// What to deploy.
#[derive(Args)]
pub struct Create {
    /// Name of the endpoint: 3 to 32 lower-case letters, digits or `-`.
    name: String,
    /// Name of the image.
    #[arg(long)]
    image: String,
    /// Name of the deployment; one beside others gets no calls until `bartizan endpoint traffic` gives it some.
    #[arg(long, default_value = "blue")]
    deployment: String,
    /// The kind of service: a cluster takes keys or tokens; a single container takes keys if asked to.
    #[arg(long, default_value = "Cluster", value_parser = ["Cluster", "SingleContainer"])]
    kind: String,
    /// Key or token.
    #[arg(long, value_enum, default_value = "key")]
    auth: Auth,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("State", "/properties/provisioningState"),
    ("Auth", "/properties/authMode"),
    ("Scoring URI", "/properties/scoringUri"),
    ("Swagger URI", "/properties/swaggerUri"),
    ("Traffic", "/properties/traffic"),
];

/// The address of an endpoint.
pub fn place(session: &Session, name: &str) -> Result<String, Failure> {
    Ok(format!("{}/onlineEndpoints/{name}", session.workspace()?))
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Update { name, auth, session } => {
                let open = Session::open(&session).await?;
                let done = set_auth(&open, &name, auth).await?;
                session.output.entry(&done, ROWS)
            }
            Self::List(options) => {
                let session = Session::open(&options).await?;
                let found = session.list(&format!("{}/onlineEndpoints", session.workspace()?)).await?;
                options.output.entries(&found, ROWS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&place(&open, &name)?).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Keys { name, session } => {
                let open = Session::open(&session).await?;
                let keys = open.post(&format!("{}/listKeys", place(&open, &name)?), &json!({})).await?;
                session.output.entry(&keys, &[("Primary", "/primaryKey"), ("Secondary", "/secondaryKey")])
            }
            Self::RegenerateKey { name, key, session } => {
                let open = Session::open(&session).await?;
                let body = json!({"keyType": format!("{key:?}")});
                let call = open.call(Method::POST, &format!("{}/regenerateKeys", place(&open, &name)?));
                image::wait(&open, call.json(&body).send().await?.success().await?).await?;
                session.output.done("the key was made anew", &Value::Null)
            }
            Self::Key(command) => command.run().await,
            Self::Traffic { name, shares, session } => {
                let open = Session::open(&session).await?;
                let traffic: serde_json::Map<String, Value> =
                    shares.into_iter().map(|(name, share)| (name, share.into())).collect();
                open.patch(&place(&open, &name)?, &json!({"properties": {"traffic": traffic}})).await?;
                let found: Value = open.get(&place(&open, &name)?).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Remove { name, deployment, session } => {
                let open = Session::open(&session).await?;
                let at = format!("{}/deployments/{deployment}", place(&open, &name)?);
                image::wait(&open, open.call(Method::DELETE, &at).send().await?.success().await?).await?;
                session.output.done(&format!("{deployment} is removed"), &Value::Null)
            }
            Self::Token { name, session } => {
                let open = Session::open(&session).await?;
                let token = open.post(&format!("{}/token", place(&open, &name)?), &json!({})).await?;
                session.output.entry(&token, &[("Token", "/accessToken"), ("Expires", "/expiryTimeUtc")])
            }
            Self::Score { name, file, session } => {
                let open = Session::open(&session).await?;
                let body = if file.as_os_str() == "-" {
                    let mut body = Vec::new();
                    std::io::Read::read_to_end(&mut std::io::stdin(), &mut body)?;
                    body
                } else {
                    std::fs::read(&file)?
                };
                let found: Value = open.get(&place(&open, &name)?).await?;
                let credential = credential(&open, &name, &found).await?;
                let (status, answer) = score(&open, scoring_uri(&found)?, credential.as_ref(), body).await?;
                output::pour(&answer)?;
                say("");
                Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Self::Logs { name, deployment, tail, session } => {
                let open = Session::open(&session).await?;
                let at = format!("{}/deployments/{deployment}/getLogs", place(&open, &name)?);
                let log = open.post(&at, &json!({"tail": tail})).await?;
                say(log.get("content").and_then(Value::as_str).unwrap_or_default());
                Ok(ExitCode::SUCCESS)
            }
            Self::Requests { name, session } => {
                let open = Session::open(&session).await?;
                let found = open.list(&format!("{}/requests", place(&open, &name)?)).await?;
                session.output.entries(&found, REQUESTS)
            }
            Self::Delete { name, session } => {
                let open = Session::open(&session).await?;
                let call = open.call(Method::DELETE, &place(&open, &name)?);
                image::wait(&open, call.send().await?.success().await?).await?;
                session.output.done(&format!("{name} is down"), &Value::Null)
            }
        }
    }
}

/// Columns of a scoring request.
pub const REQUESTS: &[(&str, &str)] = &[
    ("Time", "/TimeGenerated"),
    ("Method", "/HTTPMethod"),
    ("Status", "/StatusCode"),
    ("Duration ms", "/Duration"),
    ("Caller", "/Caller"),
    ("Model digest", "/ModelDigest"),
    ("Request", "/RequestId"),
];

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        deploy(&session, &self.name, &self.deployment, &self.image, &self.kind, self.auth).await?;
        let found: Value = session.get(&place(&session, &self.name)?).await?;
        self.session.output.entry(&found, ROWS)
    }
}

/// `blue=90`.
fn share(text: &str) -> Result<(String, u8), String> {
    let pair = text.split_once('=').and_then(|(name, share)| Some((name.to_owned(), share.parse().ok()?)));
    pair.ok_or_else(|| String::from("say a deployment, `=`, and a share in percent, as in `blue=90`"))
}

/// Deploys an image and waits until it is healthy. The first deployment of an endpoint gets all calls; another one gets none until
/// it is given some.
pub async fn deploy(
    session: &Session,
    name: &str,
    deployment: &str,
    image: &str,
    kind: &str,
    auth: Auth,
) -> Result<(), Failure> {
    let at = place(session, name)?;
    let body = json!({"location": "local", "properties": {"authMode": auth.mode()}});
    let call = session.call(Method::PUT, &at).json(&body);
    image::wait(session, call.send().await?.success().await?).await?;
    let body = json!({"location": "local", "properties": {"endpointComputeType": kind, "image": image}});
    let call = session.call(Method::PUT, &format!("{at}/deployments/{deployment}")).json(&body);
    image::wait(session, call.send().await?.success().await?).await?;
    let found: Value = session.get(&at).await?;
    let traffic = found.pointer("/properties/traffic").and_then(Value::as_object);
    let is_called = traffic.is_some_and(|shares| shares.values().any(|share| share.as_u64() != Some(0)));
    if is_called {
        return Ok(());
    }
    let body = json!({"location": "local", "properties": {"authMode": auth.mode(), "traffic": {deployment: 100}}});
    let call = session.call(Method::PUT, &at).json(&body);
    image::wait(session, call.send().await?.success().await?).await?;
    Ok(())
}

/// Switches the form of authentication.
pub async fn set_auth(session: &Session, name: &str, auth: Auth) -> Result<Value, Failure> {
    let at = place(session, name)?;
    let found: Value = session.get(&at).await?;
    let traffic = found.pointer("/properties/traffic").cloned().unwrap_or_default();
    let body = json!({"location": "local", "properties": {"authMode": auth.mode(), "traffic": traffic}});
    let call = session.call(Method::PUT, &at).json(&body);
    image::wait(session, call.send().await?.success().await?).await?;
    session.get(&at).await
}

/// Where a service is scored.
pub fn scoring_uri(endpoint: &Value) -> Result<&str, Failure> {
    let uri = endpoint.pointer("/properties/scoringUri").and_then(Value::as_str);
    uri.ok_or_else(|| Failure::new("the endpoint has no scoring address yet"))
}

/// The key or token that a service takes; none when it takes neither.
pub async fn credential(
    session: &Session,
    name: &str,
    endpoint: &Value,
) -> Result<Option<kernel::Secret<String>>, Failure> {
    let at = place(session, name)?;
    let (action, pointer) = match endpoint.pointer("/properties/authMode").and_then(Value::as_str) {
        Some("Key") => ("listKeys", "/primaryKey"),
        Some("AMLToken") => ("token", "/accessToken"),
        _ => return Ok(None),
    };
    let answer = session.post(&format!("{at}/{action}"), &json!({})).await?;
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text.map(|text| kernel::Secret::new(text.to_owned())))
}

/// Sends a body to a service.
pub async fn score(
    session: &Session,
    uri: &str,
    credential: Option<&kernel::Secret<String>>,
    body: Vec<u8>,
) -> Result<(StatusCode, Vec<u8>), Failure> {
    let mut call = session.client().call(Method::POST, uri).body("application/json", body);
    if let Some(credential) = credential {
        call = call.bearer(credential);
    }
    let answer = call.deadline(Duration::from_secs(120)).send().await?;
    let status = answer.status();
    Ok((status, answer.bytes(64 << 20).await?.to_vec()))
}
