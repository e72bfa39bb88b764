//! What an operator says when starting the server.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use kernel::{KeyHolders, NoKeyHolders};
use outbound::{Host, Network, Reach};
use seal::RootSealing;
use store::Holders;

use super::RootKeyOptions;
use crate::failure::Failure;

/// Options of `serve`, `init` and `quickstart`.
#[derive(Args, Clone, Debug)]
pub struct ServeOptions {
    /// Directory of the sealed data. It holds nothing in clear but the certificate authority's certificate, the activity
    /// log's public key and its checkpoints. Made at the first start.
    #[arg(long, value_name = "D", default_value = "bartizan-data")]
    pub data_dir: PathBuf,

    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,

    /// Who holds the root key.
    #[command(flatten)]
    pub root_key: RootKeyOptions,

    /// Where prepared Python environments are cached. Default: the user's cache directory.
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// The address that clients use, if it differs: `https://ml.example.org`.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Host-style addresses (vaults, storage accounts) end in this.
    #[arg(long, value_name = "NAME", default_value = "bartizan.test")]
    pub suffix: String,

    /// Days after which a new key signs tokens; the one before verifies until its last token has expired.
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=730))]
    pub signing_key_days: u32,

    /// JSON file that names holders of customers' keys: transit engines, PKCS#11 tokens, Azure key vaults. Workspaces and storage
    /// accounts can be held by their keys; without it by keys of vaults of this server alone.
    #[arg(long, value_name = "FILE")]
    pub key_holders: Option<PathBuf>,

    /// Seconds for which data stays open while the holder of its customer-managed key cannot be asked.
    #[arg(long, value_name = "SECONDS", default_value_t = 45, value_parser = clap::value_parser!(u32).range(45..=86_400))]
    pub key_grace: u32,

    /// Tell MLflow's clients to send and read large files in parts, side by side. They do so without the certificate that
    /// `MLFLOW_TRACKING_SERVER_CERT_PATH` names: only for clients that trust this server anyway (`REQUESTS_CA_BUNDLE`, or
    /// the machine's own store). Without it, single clients can still be told by `MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD`
    /// and `MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD`.
    #[arg(long)]
    pub mlflow_parts: bool,

    /// Never reach a package index: environments come from the cache alone.
    #[arg(long)]
    pub offline: bool,

    /// A server elsewhere that this one may reach, such as a sign-in provider: `login.example.org`, `host:8443`, or
    /// `http://localhost:9000` for trials on one machine. May be given several times; without it none is reached.
    #[arg(long, value_name = "HOST")]
    pub outbound_host: Vec<Host>,

    /// A private network in which such servers may be: `10.1.0.0/16`. Otherwise they need public addresses.
    #[arg(long, value_name = "NET")]
    pub outbound_network: Vec<Network>,

    /// PEM file of certificate authorities that vouch for such servers, beside the system's own.
    #[arg(long, value_name = "FILE")]
    pub outbound_ca: Option<PathBuf>,
}

impl ServeOptions {
    /// Who holds customers' keys elsewhere: nobody, when no file says so.
    pub fn holders(&self) -> Result<Arc<dyn KeyHolders>, Failure> {
        let Some(file) = &self.key_holders else { return Ok(Arc::new(NoKeyHolders)) };
        let holders = Holders::read(file, Arc::new(RootSealing)).map_err(|fault| Failure::usage(fault.to_string()))?;
        Ok(Arc::new(holders))
    }

    /// The file with the credentials of a first start.
    pub fn env_file(&self) -> PathBuf {
        beside(&self.data_dir, "env")
    }

    /// Which servers elsewhere may be reached.
    pub fn reach(&self) -> Result<Reach, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|fault| Failure::new(format!("cannot read {}: {fault}", path.display())))
        };
        let ca_pem = self.outbound_ca.as_ref().map(read).transpose()?.unwrap_or_default();
        Ok(Reach {
            hosts: self.outbound_host.clone(),
            networks: self.outbound_network.clone(),
            ca_pem,
            is_pinned: false,
        })
    }

    /// The cache of prepared environments, as an absolute path.
    pub fn cache_dir(&self) -> Result<PathBuf, Failure> {
        let given = self.cache_dir.clone();
        let xdg = || std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let chosen = given.or_else(|| xdg().or_else(home).map(|cache| cache.join("bartizan")));
        let chosen = chosen.ok_or_else(|| Failure::usage("there is no HOME; say where to cache with --cache-dir"))?;
        Ok(std::path::absolute(chosen)?)
    }
}

/// `D.key` beside `D`.
pub(super) fn beside(data_dir: &Path, extension: &str) -> PathBuf {
    let mut name = data_dir.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(extension);
    data_dir.with_file_name(name)
}
