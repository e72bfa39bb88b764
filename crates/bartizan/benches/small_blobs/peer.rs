//! Azurite from npm, over TLS, its blobs on the same disk.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

const PACKAGE: &str = "azurite@3.37.0";
pub const PEER: &str = "Azurite 3.37.0";
/// The account that Azurite documents for development, and its key.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

pub struct Peer {
    child: Child,
    pub port: u16,
}

/// Its script; installed once.
fn script() -> Result<PathBuf, String> {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("blob-peer");
    let script = home.join("node_modules/azurite/dist/src/blob/main.js");
    std::fs::create_dir_all(&home).map_err(|why| why.to_string())?;
    if !script.exists() {
        let arguments = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        match Command::new("npm").args(arguments).arg(&home).arg(PACKAGE).status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("npm could not install {PACKAGE}: {status}")),
            Err(why) => return Err(format!("npm is not here: {why}")),
        }
    }
    Ok(script)
}

impl Peer {
    pub async fn start(dir: &Path, authority: &seal::Authority) -> Result<Self, String> {
        let (script, place) = (script()?, dir.join("azurite"));
        std::fs::create_dir_all(&place).unwrap();
        let identity = authority.issue(&[String::from("localhost")], 2026).unwrap();
        std::fs::write(place.join("chain.pem"), &identity.chain_pem).unwrap();
        std::fs::write(place.join("key.pem"), identity.key_pem.expose()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("node")
            .arg(script)
            .args([
                "--silent",
                "--disableTelemetry",
                "--blobHost",
                "127.0.0.1",
                "--blobPort",
                &port.to_string(),
                "--location",
            ])
            .arg(&place)
            .arg("--cert")
            .arg(place.join("chain.pem"))
            .arg("--key")
            .arg(place.join("key.pem"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("node is not here: {why}"))?;
        let peer = Self { child, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(peer);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(String::from("it does not listen"))
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
