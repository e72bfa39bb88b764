//! The remembered sign-in: a file of its own, which nobody else may read. It holds tokens, never a password or a secret.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use kernel::{Clock, Secret, SystemClock};
use outbound::Client;
use serde::{Deserialize, Serialize};

use super::{
    SessionOptions,
    session::{SignIn, Tokens, User, default_scope},
};
use crate::failure::Failure;

/// A token that ends sooner than this, in seconds, is not worth using.
const TOO_LATE: i64 = 60;

/// What a sign-in leaves behind. No `Debug`: it holds tokens.
#[derive(Clone, Serialize, Deserialize)]
pub struct Remembered {
    /// The server.
    pub url: String,
    /// Its certificate authority.
    pub ca: PathBuf,
    /// The tenant.
    pub tenant: String,
    /// Who signed in.
    pub user: User,
    /// Client id of the application that signed in.
    pub client: String,
    refresh_token: Option<String>,
    /// Access tokens by resource.
    tokens: BTreeMap<String, Kept>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    token: String,
    expires_on: i64,
}

/// Where it is.
fn file() -> Result<PathBuf, Failure> {
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let config = xdg.or_else(home).ok_or_else(|| Failure::usage("there is no HOME to remember a sign-in in"))?;
    Ok(config.join("bartizan").join("sign-in.json"))
}

/// Reads it. One of another release is as good as none.
pub fn read() -> Result<Option<Remembered>, Failure> {
    match fs::read_to_string(file()?) {
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// Forgets it; whether there was one.
pub fn forget() -> Result<bool, Failure> {
    let _turn = lock()?;
    match fs::remove_file(file()?) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

/// Waits for other commands that change the sign-in. A refresh token is good once: two commands that used it would look
/// like a thief and its victim, and end the sign-in.
fn lock() -> Result<File, Failure> {
    let path = file()?.with_extension("lock");
    if let Some(dir) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    lock.lock()?;
    Ok(lock)
}

/// Whether a refusal ends the sign-in (RFC 6749, section 5.2), rather than saying that something else is wrong with what was
/// asked.
fn is_over(fault: &outbound::Error) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let outbound::Error::Answered { status: 400..=401, body } = fault else { return false };
    let refusal = serde_json::from_slice::<Refusal>(body);
    refusal.is_ok_and(|refusal| {
        ["invalid_grant", "interaction_required", "invalid_client"].contains(&refusal.error.as_str())
    })
}

impl Remembered {
    /// A sign-in that was just made, to a server at `url`.
    pub fn new(
        options: &SessionOptions,
        client: &Client,
        tenant: &str,
        app: &str,
        user: User,
    ) -> Result<Self, Failure> {
        Ok(Self {
            url: client.base().to_owned(),
            ca: std::path::absolute(options.ca.clone().unwrap_or_default())?,
            tenant: tenant.to_owned(),
            user,
            client: app.to_owned(),
            refresh_token: None,
            tokens: BTreeMap::new(),
        })
    }

    /// Remembers it instead of the one before.
    pub fn keep(mut self, resource: &str, tokens: Tokens) -> Result<(), Failure> {
        let _turn = lock()?;
        self.take(resource, tokens);
        self.write()
    }

    /// Whether it can outlive its access token.
    pub fn can_refresh(&self) -> bool {
        self.refresh_token.is_some()
    }

    /// Fills in what the options leave open.
    pub fn fill(&self, options: &mut SessionOptions) -> Result<(), Failure> {
        if options.url.as_ref().is_some_and(|url| url.trim_end_matches('/') != self.url) {
            return Err(Failure::usage(format!(
                "the remembered sign-in is for {}; run `bartizan login` for this server",
                self.url
            )));
        }
        options.url.get_or_insert_with(|| self.url.clone());
        options.ca.get_or_insert_with(|| self.ca.clone());
        options.tenant.get_or_insert_with(|| self.tenant.clone());
        Ok(())
    }

    /// A token for a resource: the one that is kept, or a new one.
    pub async fn token(&self, client: &Client, resource: &str) -> Result<SignIn, Failure> {
        if let Some(kept) = self.fresh(resource) {
            return Ok(kept);
        }
        let ended = || Failure::new("the remembered sign-in has ended; run `bartizan login` again");
        let _turn = lock()?;
        // Another command may have been faster.
        let mut now = read()?.ok_or_else(ended)?;
        if let Some(kept) = now.fresh(resource) {
            return Ok(kept);
        }
        let refresh_token = Secret::new(now.refresh_token.clone().ok_or_else(|| now.without_refresh())?);
        let scope = format!("{} openid profile offline_access", default_scope(resource));
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", now.client.as_str()),
            ("refresh_token", refresh_token.expose().as_str()),
            ("scope", scope.as_str()),
        ];
        let place = format!("/{}/oauth2/v2.0/token", now.tenant);
        let answered = client.post(&place).form(&form).send_for_json::<Tokens>().await;
        let tokens = answered.map_err(|fault| match is_over(&fault) {
            true => Failure::new(format!(
                "the remembered sign-in does not count any more; run `bartizan login` again ({fault})"
            )),
            false => fault.into(),
        })?;
        let signed = now.take(resource, tokens);
        now.write()?;
        Ok(signed)
    }

    /// Why there is no next token. A service principal's sign-in never has a refresh token, and its secret is not kept.
    fn without_refresh(&self) -> Failure {
        match self.user.kind.as_str() {
            "servicePrincipal" => Failure::new(
                "the remembered sign-in of a service principal holds no other token: set AZURE_CLIENT_ID and \
                 AZURE_CLIENT_SECRET for one, or run `bartizan login --service-principal` again",
            ),
            _ => Failure::new("the remembered sign-in has ended; run `bartizan login` again"),
        }
    }

    fn fresh(&self, resource: &str) -> Option<SignIn> {
        let kept = self.tokens.get(resource)?;
        let is_fresh = kept.expires_on > SystemClock.now().seconds().saturating_add(TOO_LATE);
        is_fresh.then(|| SignIn { token: Secret::new(kept.token.clone()), expires_on: kept.expires_on })
    }

    fn take(&mut self, resource: &str, mut tokens: Tokens) -> SignIn {
        if let Some(next) = tokens.refresh_token.take() {
            self.refresh_token = Some(next);
        }
        let signed = SignIn::from(tokens);
        let kept = Kept { token: signed.token.expose().clone(), expires_on: signed.expires_on };
        self.tokens.retain(|_, kept| kept.expires_on > SystemClock.now().seconds());
        self.tokens.insert(resource.trim_end_matches('/').to_owned(), kept);
        signed
    }

    /// Writes the whole file beside the old one and puts it in its place: no reader sees half of it.
    fn write(&self) -> Result<(), Failure> {
        let path = file()?;
        let fresh = path.with_extension("new");
        let text = Secret::new(serde_json::to_string(self).map_err(|fault| Failure::new(fault.to_string()))?);
        let _ = fs::remove_file(&fresh);
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        out.write_all(text.expose().as_bytes())?;
        out.sync_all()?;
        Ok(fs::rename(&fresh, &path)?)
    }
}
