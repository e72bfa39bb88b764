//! Signing in, and who is signed in.

use std::{
    fs,
    io::Read,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use kernel::{Clock, Secret, SystemClock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Session, SessionOptions, say,
    session::{connect, sign_in},
};
use crate::failure::Failure;

/// Sign in as a service principal. People sign in through a browser in a later release.
#[derive(Args)]
pub struct Login {
    /// Client id of the service principal.
    #[arg(long, env = "AZURE_CLIENT_ID", hide_env_values = true)]
    client_id: String,
    /// File that holds the client secret; `-` reads it from standard input. Default: AZURE_CLIENT_SECRET.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    session: SessionOptions,
}

/// Commands on the present sign-in.
#[derive(Subcommand)]
pub enum Command {
    /// Show tenant and subscriptions of who is signed in.
    Show(#[command(flatten)] SessionOptions),
}

/// What a sign-in leaves behind: a token that expires within the hour, never the secret.
#[derive(Serialize, Deserialize)]
pub struct Remembered {
    url: String,
    ca: PathBuf,
    tenant: String,
    token: String,
    expires_on: i64,
}

impl Remembered {
    /// Fills in what the options leave open, and gives the token.
    pub fn fill(self, options: &mut SessionOptions) -> Result<Secret<String>, Failure> {
        if self.expires_on <= SystemClock.now().seconds() {
            return Err(Failure::new("the remembered sign-in has expired; run `bartizan login` again"));
        }
        if options.url.as_ref().is_some_and(|url| url.trim_end_matches('/') != self.url.trim_end_matches('/')) {
            return Err(Failure::usage(format!(
                "the remembered sign-in is for {}; run `bartizan login` for this server",
                self.url
            )));
        }
        options.url.get_or_insert(self.url);
        options.ca.get_or_insert(self.ca);
        options.tenant.get_or_insert(self.tenant);
        Ok(Secret::new(self.token))
    }
}

fn file() -> Result<PathBuf, Failure> {
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let config = xdg.or_else(home).ok_or_else(|| Failure::usage("there is no HOME to remember a sign-in in"))?;
    Ok(config.join("bartizan").join("sign-in.json"))
}

/// The remembered sign-in.
pub fn remembered() -> Result<Option<Remembered>, Failure> {
    match fs::read_to_string(file()?) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// Forgets it.
pub fn logout() -> Result<ExitCode, Failure> {
    match fs::remove_file(file()?) {
        Ok(()) => say("signed out"),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => say("nobody was signed in"),
        Err(fault) => return Err(fault.into()),
    }
    Ok(ExitCode::SUCCESS)
}

impl Login {
    /// Signs in and remembers the token.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let secret = self.secret()?;
        let options = &self.session;
        let client = connect(options)?;
        let tenant = options.tenant.clone().unwrap_or_else(|| String::from("organizations"));
        let signed = sign_in(&client, &tenant, &self.client_id, &secret).await?;
        let ca = options.ca.clone().unwrap_or_default();
        let remembered = Remembered {
            url: client.base().to_owned(),
            ca: std::path::absolute(ca)?,
            tenant,
            token: signed.token.expose().clone(),
            expires_on: signed.expires_on,
        };
        write(&remembered)?;
        let session = Session::with(client, signed.token, options.clone());
        let subscriptions = session.list("/subscriptions").await?;
        options.output.entries(&subscriptions, COLUMNS)
    }

    fn secret(&self) -> Result<Secret<String>, Failure> {
        let mut text = String::new();
        match &self.secret_file {
            Some(path) if path == Path::new("-") => {
                std::io::stdin().read_to_string(&mut text)?;
            }
            Some(path) => text = fs::read_to_string(path)?,
            None => {
                text = std::env::var("AZURE_CLIENT_SECRET").map_err(|_| {
                    Failure::usage("no client secret: give --secret-file FILE, or set AZURE_CLIENT_SECRET")
                })?;
            }
        }
        Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

fn write(remembered: &Remembered) -> Result<(), Failure> {
    let path = file()?;
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let text = serde_json::to_vec(remembered).map_err(|fault| Failure::new(fault.to_string()))?;
    let _ = fs::remove_file(&path);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok(std::io::Write::write_all(&mut out, &text)?)
}

const COLUMNS: &[(&str, &str)] =
    &[("Subscription", "/subscriptionId"), ("Name", "/displayName"), ("Tenant", "/tenantId"), ("State", "/state")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let Self::Show(options) = self;
        let session = Session::open(&options).await?;
        let subscriptions: Vec<Value> = session.list("/subscriptions").await?;
        match options.output {
            super::Format::Json => {
                options.output.done("", &json!({"server": session.client().base(), "subscriptions": subscriptions}))
            }
            super::Format::Table => {
                say(&format!("signed in to {}", session.client().base()));
                options.output.entries(&subscriptions, COLUMNS)
            }
        }
    }
}
