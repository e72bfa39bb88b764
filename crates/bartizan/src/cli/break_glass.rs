//! Opening a workspace without its customer-managed key: two people together, each with a key of their own.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use kernel::Secret;
use outbound::Method;
use seal::{EncryptionAlgorithm, VaultCiphertext, VaultKey, VaultKeyShape, key_from_pem, to_pem};
use serde_json::{Value, json};

use super::{Session, SessionOptions, session::json_or_null};
use crate::failure::Failure;

/// Bits of a custodian's key.
const BITS: u32 = 3072;
/// Bytes of the largest file that is read as a key.
const LARGEST: u64 = 64 << 10;

/// Which workspace.
#[derive(Args)]
pub struct Named {
    /// The workspace's name.
    name: String,
    #[command(flatten)]
    session: SessionOptions,
}

impl Named {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let open = Session::open(&self.session).await?;
        let place = format!("{}/{}/encryption/breakGlass", open.workspaces()?, self.name);
        Ok((open, place))
    }
}

/// Commands of whoever holds the customer's key, and of the custodians they name.
///
/// It is off until it is enabled, which takes the customer's key to open the workspace and its holder's rights on that key. Each custodian
/// keeps a private key that the server never sees; one of them alone opens nothing, and neither does the server.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key of your own as a custodian, on this machine. Nothing is sent; its public half is what `enable` takes.
    NewKey {
        /// Where to put the private key (PEM); a file that is there is left alone. Keep it where you alone find it.
        #[arg(long, value_name = "FILE")]
        private_key: PathBuf,
        /// Where to put the public key (JSON Web Key).
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// Name who may open the workspace, any two together, and for how long at most. Takes every right on its customer-managed key.
    Enable {
        #[command(flatten)]
        of: Named,
        /// A custodian: the object id of a person, and the file with their public key. Two to five.
        #[arg(long = "custodian", value_name = "PERSON=FILE", required = true)]
        custodians: Vec<String>,
        /// For how long at most: 5 to 1440 minutes.
        #[arg(long, default_value_t = 60)]
        longest_minutes: u32,
    },
    /// Show who may open it, and what is asked for or open just now.
    Show {
        #[command(flatten)]
        of: Named,
    },
    /// Take it back: from now on the customer-managed key alone opens the workspace. What is open is closed.
    Disable {
        #[command(flatten)]
        of: Named,
    },
    /// Ask to open it, as a custodian. Another custodian has fifteen minutes to approve.
    Request {
        #[command(flatten)]
        of: Named,
        /// The file with your private key. It stays here; your share alone is sent.
        #[arg(long, value_name = "FILE")]
        private_key: PathBuf,
        /// For how long.
        #[arg(long, default_value_t = 30)]
        minutes: u32,
        /// Why: everybody who sees the workspace sees it, and the log keeps it.
        #[arg(long)]
        reason: String,
    },
    /// Approve what another custodian asked for. The workspace is open from then on, until its time is over or somebody closes it.
    Approve {
        #[command(flatten)]
        of: Named,
        /// The request's name, as `show` says it.
        #[arg(long)]
        request: String,
        /// The file with your private key. It stays here; your share alone is sent.
        #[arg(long, value_name = "FILE")]
        private_key: PathBuf,
    },
    /// Close it at once.
    Close {
        #[command(flatten)]
        of: Named,
    },
}

const ROWS: &[(&str, &str)] = &[
    ("State", "/state"),
    ("Custodian", "/custodians/0/name"),
    ("Custodian", "/custodians/1/name"),
    ("Custodian", "/custodians/2/name"),
    ("Custodian", "/custodians/3/name"),
    ("Custodian", "/custodians/4/name"),
    ("Longest (minutes)", "/longestMinutes"),
    ("Agreed", "/agreedAt"),
    ("Agreed by", "/agreedBy"),
    ("Request", "/request/name"),
    ("Requested by", "/request/requestedBy"),
    ("Reason", "/request/reason"),
    ("Request ends", "/request/expiresAt"),
    ("Opened by", "/opening/requestedBy"),
    ("Approved by", "/opening/approvedBy"),
    ("Because", "/opening/reason"),
    ("Open until", "/opening/until"),
];
const REQUEST: &[(&str, &str)] =
    &[("Request", "/name"), ("Requested by", "/requestedBy"), ("Minutes", "/minutes"), ("Ends", "/expiresAt")];
const OPENING: &[(&str, &str)] =
    &[("Opened by", "/requestedBy"), ("Approved by", "/approvedBy"), ("Because", "/reason"), ("Open until", "/until")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::NewKey { private_key, public_key } => new_key(&private_key, &public_key),
            Self::Enable { of, custodians, longest_minutes } => {
                let custodians: Vec<Value> = custodians.iter().map(|one| custodian(one)).collect::<Result<_, _>>()?;
                let (open, place) = of.open().await?;
                let body = json!({"custodians": custodians, "longestMinutes": longest_minutes});
                let answer = open.call(Method::PUT, &place).json(&body).send().await?.success().await?;
                of.session.output.entry(&json_or_null(answer).await?, ROWS)
            }
            Self::Show { of } => {
                let (open, place) = of.open().await?;
                of.session.output.entry(&open.get::<Value>(&place).await?, ROWS)
            }
            Self::Disable { of } => {
                let (open, place) = of.open().await?;
                open.delete(&place).await?;
                let said = format!("the customer-managed key alone opens {} from now on", of.name);
                of.session.output.done(&said, &json!({"state": "Disabled"}))
            }
            Self::Request { of, private_key, minutes, reason } => {
                let (open, place) = of.open().await?;
                let share = share(&open, &place, &private_key).await?;
                let body = json!({"share": share.expose(), "minutes": minutes, "reason": reason});
                of.session.output.entry(&open.post(&format!("{place}/request"), &body).await?, REQUEST)
            }
            Self::Approve { of, request, private_key } => {
                let (open, place) = of.open().await?;
                let share = share(&open, &place, &private_key).await?;
                let body = json!({"share": share.expose(), "request": request});
                of.session.output.entry(&open.post(&format!("{place}/approve"), &body).await?, OPENING)
            }
            Self::Close { of } => {
                let (open, place) = of.open().await?;
                open.call(Method::POST, &format!("{place}/close")).send().await?.success().await?;
                of.session.output.done(&format!("{} is closed", of.name), &json!({"closed": true}))
            }
        }
    }
}

fn new_key(private_key: &Path, public_key: &Path) -> Result<ExitCode, Failure> {
    let mut private = OpenOptions::new().write(true).create_new(true).mode(0o600).open(private_key)?;
    let mut public = OpenOptions::new().write(true).create_new(true).open(public_key)?;
    let key = VaultKey::generate(VaultKeyShape::Rsa(BITS)).map_err(|fault| Failure::new(fault.to_string()))?;
    private.write_all(to_pem(Some(&key), &[]).expose().as_bytes())?;
    private.sync_all()?;
    let text = serde_json::to_string(key.public()).map_err(|fault| Failure::new(fault.to_string()))?;
    public.write_all(text.as_bytes())?;
    public.sync_all()?;
    super::output::say(&format!(
        "{} is your private key: keep it. {} goes to whoever enables break-glass",
        private_key.display(),
        public_key.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A key's file, if it is as large as keys are.
fn read(file: &Path) -> Result<Secret<String>, Failure> {
    let cannot = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|why| cannot(&why))?.len();
    if size > LARGEST {
        return Err(cannot(&"is larger than keys are"));
    }
    std::fs::read_to_string(file).map(Secret::new).map_err(|why| cannot(&why))
}

fn custodian(text: &str) -> Result<Value, Failure> {
    let (who, file) =
        text.split_once('=').ok_or_else(|| Failure::usage("a custodian is `PERSON=FILE`: an object id and a file"))?;
    let key: Value = serde_json::from_str(read(Path::new(file))?.expose())
        .map_err(|_| Failure::new(format!("{file} holds no public key: it is what `new-key --public-key` wrote")))?;
    Ok(json!({"principalId": who, "publicKey": key}))
}

/// One's own share, unwrapped here.
async fn share(open: &Session, place: &str, private_key: &Path) -> Result<Secret<String>, Failure> {
    let pem = read(private_key)?;
    let key = key_from_pem(&pem).map_err(|fault| Failure::new(format!("{}: {fault}", private_key.display())))?;
    let found: Value = open.get(place).await?;
    let wrapped = found.get("wrappedShare").and_then(Value::as_str).ok_or_else(|| {
        Failure::new("you have no share of this workspace: break-glass is disabled, or you are not a custodian")
    })?;
    let value = STANDARD.decode(wrapped).map_err(|fault| Failure::new(fault.to_string()))?;
    let sealed = VaultCiphertext { value, ..VaultCiphertext::default() };
    let share = key
        .decrypt(EncryptionAlgorithm::RsaOaep256, &sealed, &[])
        .map_err(|_| Failure::new("this private key does not open your share: another public key was named for you"))?;
    Ok(Secret::new(STANDARD.encode(share.expose())))
}
