//! What storage accounts hold, in the words of Microsoft's `az storage`.

mod account;
mod blob;
mod container;
mod signature;
mod xml;

use clap::{Args, Subcommand};
use outbound::{Answer, Call, Method};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// What tokens for the data of every account are for.
const RESOURCE: &str = "https://storage.azure.com";
/// The version of the protocol that is spoken here.
const VERSION: &str = "2024-11-04";
/// Bytes of an answer that is no blob.
const MOST_ANSWER: usize = 64 << 20;

/// Commands on the data of storage accounts. Roles of data (`Storage Blob Data Contributor` and the like) let in; managing an account
/// does not.
#[derive(Subcommand)]
pub enum Command {
    /// Storage accounts themselves.
    #[command(subcommand)]
    Account(account::Command),
    /// Containers of blobs.
    #[command(subcommand)]
    Container(container::Command),
    /// Blobs.
    #[command(subcommand)]
    Blob(blob::Command),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<std::process::ExitCode, Failure> {
        match self {
            Self::Account(command) => command.run().await,
            Self::Container(command) => command.run().await,
            Self::Blob(command) => command.run().await,
        }
    }
}

/// Which account.
#[derive(Args, Clone, Debug)]
pub struct InAccount {
    /// Name of the storage account.
    #[arg(long, value_name = "NAME")]
    account_name: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// A signed-in connection to one account.
struct Account {
    session: Session,
    base: String,
}

impl Account {
    async fn open(options: &InAccount) -> Result<Self, Failure> {
        let (session, _) = Session::open_to(&options.session, Some(RESOURCE)).await?;
        Ok(Self { session, base: format!("/blob/{}", escaped(&options.account_name)) })
    }

    fn call(&self, method: Method, place: &str) -> Call {
        self.session.call(method, &format!("{}{place}", self.base)).header("x-ms-version", VERSION)
    }

    /// Sends a call whose answer has no body worth reading.
    async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = call.send().await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let code = answer.header("x-ms-error-code").unwrap_or_default().to_owned();
        let body = answer.bytes(MOST_ANSWER).await?;
        let text = String::from_utf8_lossy(&body);
        let message = xml::leaf(&text, "Message").unwrap_or_default();
        let message = message.lines().next().unwrap_or_default();
        Err(Failure::new(format!("{} {code}: {message}", status.as_u16())))
    }

    /// Sends a call for a document.
    async fn document(&self, call: Call) -> Result<String, Failure> {
        let body = self.send(call).await?.bytes(MOST_ANSWER).await?;
        String::from_utf8(body.to_vec()).map_err(|_| Failure::new("the answer is not text"))
    }
}

/// A name as part of an address.
fn escaped(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    name.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
