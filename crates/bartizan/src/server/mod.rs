//! The server, assembled: a checklist from the data directory to open doors, and the same list backwards at the end.

mod checkpoints;
mod data_dir;
mod env_file;
mod options;
mod restored;
mod retention;
mod root_key;
mod services;

pub(crate) use checkpoints::read_all as read_checkpoints;
pub use checkpoints::{CHECKPOINTS, PUBLIC_KEY};
pub use data_dir::DataDir;
pub(crate) use data_dir::refuse_incomplete;
pub use env_file::EnvFile;
pub use options::ServeOptions;
pub use restored::{INCOMPLETE, Unpacked, unpack};
pub use retention::CUTS;
pub use root_key::{RootKeyOptions, open_holder, read_choice};

use std::{net::SocketAddr, sync::Arc, time::Duration};

use compute::local::{LocalComputer, LocalConfig};
use domain::{
    audit::LogKey,
    compute::RestReplicas,
    gate::{House, Parts, Settings, enter},
    identity::{Charter, FoundHouse, IssueServerCertificate},
    resources::FoundAddresses,
};
use http_faces::{App, Listener, Tls, faces};
use kernel::{Caller, ComputeDriver, Limits, Secret, SystemClock, Web};
use outbound::WebClient;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::failure::Failure;

/// A server that runs until it is told to stop.
pub struct Server {
    /// The house it serves.
    pub house: Arc<House>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What was founded, if this was the first start.
    pub founded: Option<FirstStart>,
    data: DataDir,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// The credentials of a first start: shown once.
pub struct FirstStart {
    /// Ids and secret of the owning service principal.
    pub charter: Charter,
    /// Sign-in name of the admin user.
    pub admin: String,
    /// The admin's password.
    pub password: Secret<String>,
}

impl Server {
    /// Opens the data directory, founds the house if it is new, binds the port and starts serving.
    pub async fn start(options: &ServeOptions) -> Result<Self, Failure> {
        compute::forbid_core_dumps()?;
        let data = DataDir::open(&options.data_dir, &options.root_key).await?;
        let socket = bind(options.listen).await?;
        let address = socket.local_addr()?;
        let sockets = data.socket_dir()?;
        let mut settings = Settings {
            url: options.url.clone().unwrap_or_else(|| format!("https://localhost:{}", address.port())),
            ca_pem: data.read_public("ca.pem")?.unwrap_or_default(),
            suffix: options.suffix.clone(),
            cache_dir: options.cache_dir()?.display().to_string(),
            socket_dir: sockets.display().to_string(),
            offline: options.offline,
            mlflow_parts: options.mlflow_parts,
            key_holders: options.holders()?,
            key_grace: Duration::from_secs(u64::from(options.key_grace)),
            signing_key_lifetime: Duration::from_secs(u64::from(options.signing_key_days) * 24 * 3600),
            ..Settings::default()
        };
        let target = local_target()?;
        let web: Arc<dyn Web> = Arc::new(WebClient::new(options.reach()?, WebClient::PATIENCE)?);
        let mut house = open_house(&data, &target, &web, settings.clone()).await?;
        let public_key = enter(&house, &Caller::house(), LogKey).await?;
        checkpoints::check_tail(&data, &house, &public_key).await?;
        retention::restore_cut(&data, &house).await?;
        let names = certificate_names(options, address);
        let (identity, ca_pem) = enter(&house, &Caller::house(), IssueServerCertificate { names }).await?;
        if ca_pem != settings.ca_pem {
            data.write_public("ca.pem", ca_pem.as_bytes())?;
            settings.ca_pem = ca_pem;
            house = open_house(&data, &target, &web, settings).await?;
        }
        let founded = found(&house, &data, options).await?;
        enter(&house, &Caller::house(), FoundAddresses).await?;

        let house = Arc::new(house);
        let tls = Tls::from_pem(&identity.chain_pem, identity.key_pem.expose()).map_err(Failure::new)?;
        let app = App::new(Arc::clone(&house), Arc::new(Limits::default()));
        let hosts = host_names(options, address);
        let listener = Listener::new(socket, tls, app.clone(), faces::doors(), &hosts, &options.suffix);
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(listener.run(stopped.clone())),
            tokio::spawn(domain::work::house_work(Arc::clone(&house), stopped.clone())),
            tokio::spawn(services::keep_running(Arc::clone(&house), stopped.clone())),
            tokio::spawn(checkpoints::keep_signing(data.clone(), Arc::clone(&house), stopped.clone())),
            tokio::spawn(retention::keep_cutting(data.clone(), Arc::clone(&house), stopped)),
        ];
        Ok(Self { house, address, founded, data, stop, tasks })
    }

    /// The data directory.
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// Signs the activity log as it is now, with everything that was queued for it.
    pub async fn sign_checkpoint(&self) -> Result<(), Failure> {
        self.house.flush_reads().await?;
        checkpoints::sign(&self.data, &self.house).await
    }

    /// Lets requests in flight finish, writes what is queued, signs a last checkpoint.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        // What is held open until something changes would keep the listener.
        self.house.end_waits();
        enter(&self.house, &Caller::house(), RestReplicas).await?;
        for task in self.tasks {
            let _ = tokio::time::timeout(Duration::from_secs(15), task).await;
        }
        self.house.flush_reads().await?;
        checkpoints::sign(&self.data, &self.house).await?;
        // Replicas are gone, and their sockets with them.
        let _ = std::fs::remove_dir_all(&self.house.settings().socket_dir);
        Ok(())
    }
}

async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|fault| match fault.kind() {
        std::io::ErrorKind::AddrInUse => {
            Failure::new(format!("{listen} is in use by another program; choose another port with --listen"))
        }
        _ => Failure::new(format!("cannot listen on {listen}: {fault}")),
    })
}

/// This machine as a compute target; probes what it can enforce.
pub fn local_target() -> Result<Arc<dyn ComputeDriver>, Failure> {
    let config = LocalConfig { executable: std::env::current_exe()?, python: None };
    Ok(Arc::new(LocalComputer::new(config)?))
}

/// Opens the house of a data directory that nobody serves. Tools work in it as the house itself.
pub async fn open_at_rest(data: &DataDir) -> Result<House, Failure> {
    let web: Arc<dyn Web> = Arc::new(kernel::NoWeb);
    let settings = Settings { ca_pem: data.read_public("ca.pem")?.unwrap_or_default(), ..Settings::default() };
    open_house(data, &local_target()?, &web, settings).await
}

async fn open_house(
    data: &DataDir,
    target: &Arc<dyn ComputeDriver>,
    web: &Arc<dyn Web>,
    settings: Settings,
) -> Result<House, Failure> {
    let parts = Parts {
        meta: Arc::clone(&data.stores().meta),
        blobs: Arc::clone(&data.stores().blob),
        root: data.root_key(),
        compute: Arc::clone(target),
        web: Arc::clone(web),
        clock: Arc::new(SystemClock),
        settings,
        actions: http_faces::faces::doors().list().iter().map(|door| door.action).collect(),
    };
    Ok(House::open(parts).await?)
}

/// Founds the house when it has no tenant yet. The credentials are on disk before the house exists.
async fn found(house: &House, data: &DataDir, options: &ServeOptions) -> Result<Option<FirstStart>, Failure> {
    if house.tenant().is_some() {
        return Ok(None);
    }
    let password = seal::new_client_secret().map_err(kernel::Error::from)?;
    let first = FirstStart { charter: Charter::draw()?, admin: String::from("admin"), password };
    first.settings(house, data).write(&options.env_file())?;
    let FirstStart { charter, admin, password } = &first;
    let op = FoundHouse { admin: admin.clone(), password: password.clone(), charter: charter.clone() };
    enter(house, &Caller::house(), op).await?;
    Ok(Some(first))
}

impl FirstStart {
    /// What a shell needs after a first start.
    pub fn settings(&self, house: &House, data: &DataDir) -> EnvFile {
        let ca = data.path().join("ca.pem").display().to_string();
        let mut file = EnvFile::default();
        file.set("BARTIZAN_URL", &house.settings().url)
            .set("BARTIZAN_CA", &ca)
            .set("AZURE_TENANT_ID", self.charter.tenant.to_string())
            .set("AZURE_CLIENT_ID", self.charter.app.to_string())
            .set("AZURE_CLIENT_SECRET", self.charter.client_secret.expose())
            .set("AZURE_SUBSCRIPTION_ID", self.charter.subscription.to_string())
            .set("MLFLOW_TRACKING_SERVER_CERT_PATH", &ca)
            .set("BARTIZAN_ADMIN_USER", &self.admin)
            .set("BARTIZAN_ADMIN_PASSWORD", self.password.expose());
        file
    }
}

/// Names that the server goes by, for its certificate.
fn certificate_names(options: &ServeOptions, address: SocketAddr) -> Vec<String> {
    let suffix = &options.suffix;
    let mut names = host_names(options, address);
    let below = ["*.vault", "*.blob.core", "*.azurecr", "*.local.inference"];
    names.extend(below.iter().map(|level| format!("{level}.{suffix}")));
    names.push(suffix.clone());
    names
}

fn host_names(options: &ServeOptions, address: SocketAddr) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    let listen = address.ip();
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let host = options.url.as_deref().and_then(|url| url.strip_prefix("https://"));
    if let Some(host) = host.and_then(|rest| rest.split([':', '/']).next()).filter(|host| !host.is_empty()) {
        names.push(host.to_owned());
    }
    names.sort();
    names.dedup();
    names
}
