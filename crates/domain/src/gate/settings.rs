//! What an operator sets, as far as rules need it.

use std::{sync::Arc, time::Duration};

use kernel::{KeyHolders, NoKeyHolders};

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that clients use: `https://localhost:8443`. Issuer of tokens, base of links.
    pub url: String,
    /// PEM of the installation's certificate authority, handed to agents.
    pub ca_pem: String,
    /// Host-style names end in this.
    pub suffix: String,
    /// How long an access token lives.
    pub token_lifetime: Duration,
    /// How long a run token lives; the agent refreshes it.
    pub run_token_lifetime: Duration,
    /// How long a key signs tokens before the next one takes over.
    pub signing_key_lifetime: Duration,
    /// Silence after which a run is `NotResponding`.
    pub silence: Duration,
    /// Further silence after which it is `Failed`.
    pub patience: Duration,
    /// Where prepared environments are cached on the local target.
    pub cache_dir: String,
    /// Directory, private to the server, for the Unix sockets of service replicas.
    pub socket_dir: String,
    /// Whether package indexes may be reached when environments are prepared.
    pub offline: bool,
    /// Whether MLflow's clients are told to send and read large files in parts. They do so without what
    /// `MLFLOW_TRACKING_SERVER_CERT_PATH` names, so it is only for servers whose certificate they trust anyway.
    pub mlflow_parts: bool,
    /// Who holds customers' keys elsewhere.
    pub key_holders: Arc<dyn KeyHolders>,
    /// How long what a customer's key opened is used after the key was last known to be allowed: while its holder cannot be asked.
    pub key_grace: Duration,
}

impl Settings {
    /// The server's own work asks more often; this holds when that work is stuck, or nothing can be found out.
    pub const KEY_GRACE: Duration = Duration::from_secs(45);

    /// The address of a vault or storage account under its own name, as Azure's clients demand it:
    /// `https://v1.vault.bartizan.test:8443/`. Its path-style twin needs no name server.
    pub fn own_url(&self, name: &str, kind: &str) -> String {
        format!("{}/", self.audience_of(&format!("{}.{kind}", name.to_ascii_lowercase())))
    }

    /// What all addresses of a kind end with, port included, as tokens for them are asked for: `https://vault.bartizan.test:8443`.
    pub fn audience_of(&self, kind: &str) -> String {
        let authority = self.url.trim_start_matches("https://");
        let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("https://{kind}.{}{port}", self.suffix)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::from("https://localhost:8443"),
            ca_pem: String::new(),
            suffix: String::from("bartizan.test"),
            token_lifetime: Duration::from_secs(3600),
            run_token_lifetime: Duration::from_secs(900),
            signing_key_lifetime: Duration::from_secs(30 * 24 * 3600),
            silence: Duration::from_secs(60),
            patience: Duration::from_secs(60),
            cache_dir: String::new(),
            socket_dir: String::new(),
            offline: false,
            mlflow_parts: false,
            key_holders: Arc::new(NoKeyHolders),
            key_grace: Self::KEY_GRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_carry_the_servers_port() {
        let at = |url: &str| Settings { url: url.to_owned(), ..Settings::default() }.own_url("V1", "vault");
        assert_eq!(at("https://localhost:8443"), "https://v1.vault.bartizan.test:8443/");
        assert_eq!(at("https://bartizan.example"), "https://v1.vault.bartizan.test/");
        assert_eq!(at("https://[::1]:8443"), "https://v1.vault.bartizan.test:8443/");
    }
}
