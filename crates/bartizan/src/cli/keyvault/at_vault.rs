//! A signed-in connection to one vault: with a token for vaults, asked for as the vault's challenge says.

use clap::Args;
use outbound::{Call, Method};
use serde_json::Value;

use crate::{
    cli::{Session, SessionOptions, session::json_or_null},
    failure::Failure,
};

/// The version of the interface that is spoken.
const VERSION: &str = "7.6";

/// Which vault, and who signs in.
#[derive(Args, Clone, Debug)]
pub struct VaultOptions {
    /// The vault's name.
    #[arg(long, env = "BARTIZAN_KEY_VAULT", value_name = "NAME", hide_env_values = true)]
    pub vault_name: String,
    #[command(flatten)]
    pub session: SessionOptions,
}

/// The connection.
pub struct AtVault {
    session: Session,
    name: String,
}

impl AtVault {
    /// Signs in.
    pub async fn open(options: &VaultOptions) -> Result<Self, Failure> {
        // A vault may be named by its whole id too.
        let name = options.vault_name.rsplit('/').next().unwrap_or_default().to_owned();
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
            return Err(Failure::usage("--vault-name takes the name of a vault: letters, digits and `-`"));
        }
        let session = Session::open(&options.session).await?;
        let knock = session.client().get(&format!("/vaults/{name}/secrets")).query(&[("api-version", VERSION)]);
        let answer = knock.send().await?;
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let resource = resource_of(challenge)
            .ok_or_else(|| Failure::new("the server does not say how vaults are signed in to"))?;
        let (session, _) = Session::open_to(&options.session, Some(resource)).await?;
        Ok(Self { session, name })
    }

    /// A call below the vault.
    fn call(&self, method: Method, path: &str) -> Call {
        self.session.call(method, &format!("/vaults/{}/{path}", self.name)).query(&[("api-version", VERSION)])
    }

    /// A call without a body, or with one; an empty answer is null.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let call = self.call(method, path);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        json_or_null(call.send().await?.success().await?).await
    }

    /// What is at a place; none when nothing is.
    pub async fn ask_if_found(&self, path: &str) -> Result<Option<Value>, Failure> {
        let answer = self.call(Method::GET, path).send().await?;
        if answer.status().as_u16() == 404 {
            return Ok(None);
        }
        json_or_null(answer.success().await?).await.map(Some)
    }

    /// The entries of a list, all pages.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut entries = Vec::new();
        let mut call = self.call(Method::GET, path);
        loop {
            let mut page: Value = call.send_for_json().await?;
            if let Some(Value::Array(found)) = page.get_mut("value").map(Value::take) {
                entries.extend(found);
            }
            match page.get("nextLink").and_then(Value::as_str) {
                Some(next) => call = self.session.call(Method::GET, next),
                None => return Ok(entries),
            }
        }
    }
}

/// The resource that a challenge names.
fn resource_of(challenge: &str) -> Option<&str> {
    challenge.split_once("resource=\"")?.1.split('"').next().filter(|resource| resource.starts_with("https://"))
}

#[cfg(test)]
mod tests {
    use super::resource_of;

    #[test]
    fn a_challenge_names_the_resource() {
        let said = "Bearer authorization=\"https://h:1/t\", resource=\"https://vault.bartizan.test:1\"";
        assert_eq!(resource_of(said), Some("https://vault.bartizan.test:1"));
        assert_eq!(resource_of("Bearer resource=\"http://x\""), None);
        assert_eq!(resource_of(""), None);
    }
}
