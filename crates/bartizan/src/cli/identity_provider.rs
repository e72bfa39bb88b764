//! Upstream sign-in providers.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{Session, SessionOptions, secret, session::json_or_null};
use crate::failure::Failure;

const PROVIDERS: &str = "/graph/v1.0/identity/identityProviders";

/// Commands on sign-in providers: a company's own Entra, Keycloak, Google. The server must be allowed to reach them: `bartizan
/// serve --outbound-host login.example.org`.
#[derive(Subcommand)]
pub enum Command {
    /// Make a provider known. Its endpoints are fetched from its discovery document and written down.
    Create(Box<Create>),
    /// List them.
    List(#[command(flatten)] SessionOptions),
    /// Show one, with the address to register there.
    Show(Which),
    /// Change one: what is not given stays.
    Update(Box<Update>),
    /// Delete one: the sessions that came from it end, and its people leave the groups that it put them into.
    Delete(Which),
    /// Say that somebody at a provider is a user here, for providers that create no users.
    LinkUser {
        /// The provider's id.
        id: String,
        /// The `sub` that the provider names them by. (An e-mail address is not one.)
        #[arg(long)]
        subject: String,
        /// Object id of the user.
        #[arg(long)]
        user: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take that back.
    UnlinkUser {
        /// The provider's id.
        id: String,
        /// The `sub` that the provider names them by.
        #[arg(long)]
        subject: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// One of them.
#[derive(Args)]
pub struct Which {
    /// Its id.
    id: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// A new provider.
#[derive(Args)]
pub struct Create {
    /// For people, on the sign-in page.
    #[arg(long)]
    name: String,
    /// Its issuer, exactly as it writes it: `https://login.example.org/realms/corp`.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// As which client this server is registered there.
    #[arg(long)]
    client_id: String,
    /// Let people who come for the first time become users, without any role.
    #[arg(long)]
    create_users: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    session: SessionOptions,
}

/// What is changed.
#[derive(Args)]
pub struct Update {
    /// Its id.
    id: String,
    /// For people, on the sign-in page.
    #[arg(long)]
    name: Option<String>,
    /// As which client this server is registered there.
    #[arg(long)]
    client_id: Option<String>,
    /// Whether people who come for the first time become users.
    #[arg(long, value_name = "BOOL")]
    create_users: Option<bool>,
    /// Sign people in again.
    #[arg(long)]
    enable: bool,
    /// Sign nobody in any more; the sessions that came from it end, with their tokens.
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Fetch its endpoints again.
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    session: SessionOptions,
}

/// What a new provider and a changed one have in common.
#[derive(Args)]
struct Terms {
    /// File with that client's secret, `-` for the standard input; an empty one for none.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Scope that is asked for beside `openid`; can be given several times. Default: profile, email.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Claim that a new user is named after. Default: `preferred_username`.
    #[arg(long, value_name = "CLAIM")]
    user_name_claim: Option<String>,
    /// Claim with groups: `groups`, or a JSON pointer like `/realm_access/roles`; an empty one for none.
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,
    /// What a value of that claim means here: the object id of a group. Can be given several times, and is the whole table;
    /// `--map ''` empties it.
    #[arg(long, value_name = "VALUE=GROUP-ID")]
    map: Vec<String>,
    /// Value in `amr` that counts as two factors, like `mfa`; can be given several times. Default: none does.
    #[arg(long, value_name = "VALUE")]
    mfa_amr: Vec<String>,
    /// Value of `acr` that counts as two factors; can be given several times. Default: none does.
    #[arg(long, value_name = "VALUE")]
    mfa_acr: Vec<String>,
    /// No claim counts as two factors any more.
    #[arg(long, conflicts_with_all = ["mfa_amr", "mfa_acr"])]
    no_mfa: bool,
}

const COLUMNS: &[(&str, &str)] =
    &[("Name", "/displayName"), ("Id", "/id"), ("Issuer", "/issuer"), ("Enabled", "/isEnabled")];

const ROWS: &[(&str, &str)] = &[
    ("Name", "/displayName"),
    ("Id", "/id"),
    ("Issuer", "/issuer"),
    ("Client id", "/clientId"),
    ("Redirect URI", "/redirectUri"),
    ("Enabled", "/isEnabled"),
    ("Scopes", "/scopes"),
    ("Creates users", "/createsUsers"),
    ("User name claim", "/userNameClaim"),
    ("Groups claim", "/groupsClaim"),
    ("Groups", "/groupMappings"),
    ("Two factors", "/multiFactor"),
    ("Endpoints of", "/endpointsDateTime"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Update(update) => update.run().await,
            Self::List(session) => {
                let found = Session::open(&session).await?.list(PROVIDERS).await?;
                session.output.entries(&found, COLUMNS)
            }
            Self::Show(Which { id, session }) => {
                let found: Value = Session::open(&session).await?.get(&place(&id)?).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Delete(Which { id, session }) => {
                Session::open(&session).await?.delete(&place(&id)?).await?;
                session.output.done("deleted; the sessions that came from it have ended", &Value::Null)
            }
            Self::LinkUser { id, subject, user, session } => {
                let body = json!({"subject": subject, "userId": user});
                let done = Session::open(&session).await?.post(&format!("{}/linkUser", place(&id)?), &body).await?;
                session.output.done("linked: this subject signs in as that user", &done)
            }
            Self::UnlinkUser { id, subject, session } => {
                let body = json!({"subject": subject});
                let done = Session::open(&session).await?.post(&format!("{}/unlinkUser", place(&id)?), &body).await?;
                session.output.done("unlinked; the user stays", &done)
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let mut body = self.terms.body()?;
        body.insert(String::from("displayName"), json!(self.name));
        body.insert(String::from("issuer"), json!(self.issuer));
        body.insert(String::from("clientId"), json!(self.client_id));
        body.insert(String::from("createsUsers"), json!(self.create_users));
        let made = Session::open(&self.session).await?.post(PROVIDERS, &Value::Object(body)).await?;
        self.session.output.entry(&made, ROWS)
    }
}

impl Update {
    async fn run(self) -> Result<ExitCode, Failure> {
        let mut body = self.terms.body()?;
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("displayName", self.name.map(Value::from));
        set("clientId", self.client_id.map(Value::from));
        set("createsUsers", self.create_users.map(Value::from));
        set("isEnabled", (self.enable || self.disable).then(|| Value::from(self.enable)));
        set("refreshEndpoints", self.refresh.then(|| Value::from(true)));
        if body.is_empty() {
            return Err(Failure::usage("say what is to be changed; `--help` lists what can be"));
        }
        let session = Session::open(&self.session).await?;
        let call = session.call(Method::PATCH, &place(&self.id)?).json(&Value::Object(body));
        let changed = json_or_null(call.send().await?.success().await?).await?;
        self.session.output.entry(&changed, ROWS)
    }
}

impl Terms {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        if let Some(file) = &self.client_secret_file {
            body.insert(String::from("clientSecret"), json!(secret::read(file)?.expose()));
        }
        if !self.scope.is_empty() {
            body.insert(String::from("scopes"), json!(self.scope));
        }
        for (name, claim) in [("userNameClaim", &self.user_name_claim), ("groupsClaim", &self.groups_claim)] {
            if let Some(claim) = claim {
                body.insert(name.to_owned(), json!(claim));
            }
        }
        if !self.map.is_empty() {
            let lines = self.map.iter().filter(|line| !line.is_empty()).map(|line| mapping(line));
            body.insert(String::from("groupMappings"), Value::Array(lines.collect::<Result<_, _>>()?));
        }
        if self.no_mfa || !self.mfa_amr.is_empty() || !self.mfa_acr.is_empty() {
            body.insert(String::from("multiFactor"), json!({"amr": self.mfa_amr, "acr": self.mfa_acr}));
        }
        Ok(body)
    }
}

/// The provider's address. What is no id is not put into one.
fn place(id: &str) -> Result<String, Failure> {
    match uuid::Uuid::try_parse(id) {
        Ok(id) => Ok(format!("{PROVIDERS}/{id}")),
        Err(_) => Err(Failure::usage(format!("`{id}` is not the id of a provider; `list` shows them"))),
    }
}

/// `VALUE=GROUP-ID`; a value may hold equals signs, a group's id does not.
fn mapping(line: &str) -> Result<Value, Failure> {
    match line.rsplit_once('=') {
        Some((value, group)) => Ok(json!({"value": value, "groupId": group})),
        None => Err(Failure::usage(format!("`{line}` is not like `VALUE=GROUP-ID`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_a_value_and_a_group() {
        let line = mapping("cn=owners,dc=corp=11111111-2222-3333-4444-555555555555").unwrap();
        assert_eq!(line["value"], "cn=owners,dc=corp");
        assert_eq!(line["groupId"], "11111111-2222-3333-4444-555555555555");
        assert!(mapping("owners").is_err());
    }

    #[test]
    fn what_is_no_id_does_not_become_an_address() {
        for bad in ["", "..", "x/../y", "name"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
