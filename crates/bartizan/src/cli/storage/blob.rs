//! Blobs.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use outbound::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{Account, InAccount, escaped, signature, xml};
use crate::{cli::say, failure::Failure};

/// Bytes that go in one request; the server's bound.
const MOST: u64 = 4000 << 20;

/// Which blob.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// Name of the container.
    #[arg(short, long, value_name = "NAME")]
    container_name: String,
    /// Name of the blob.
    #[arg(short, long)]
    name: String,
    #[command(flatten)]
    account: InAccount,
}

impl Named {
    fn place(&self) -> String {
        format!("/{}/{}", escaped(&self.container_name), escaped(&self.name))
    }

    /// The same of one of its versions, where one is named.
    fn place_at(&self, version: Option<&str>) -> String {
        let version = version.map(|version| format!("?versionid={}", escaped(version)));
        format!("{}{}", self.place(), version.unwrap_or_default())
    }
}

/// Commands on blobs.
#[derive(Subcommand)]
pub enum Command {
    /// Upload a file.
    Upload {
        #[command(flatten)]
        at: Named,
        /// The file.
        #[arg(short, long)]
        file: PathBuf,
        /// Replace what is there.
        #[arg(long)]
        overwrite: bool,
        /// What kind of content it is, like `text/csv`.
        #[arg(long, default_value = "application/octet-stream")]
        content_type: String,
    },
    /// Download a blob to a file.
    Download {
        #[command(flatten)]
        at: Named,
        /// The file; it must not exist.
        #[arg(short, long)]
        file: PathBuf,
        /// An older version, as `list --versions` names it.
        #[arg(long, value_name = "ID")]
        version_id: Option<String>,
    },
    /// List the blobs of a container.
    List {
        /// Name of the container.
        #[arg(short, long, value_name = "NAME")]
        container_name: String,
        /// Only those whose names begin so.
        #[arg(long, default_value = "")]
        prefix: String,
        /// Older versions too.
        #[arg(long)]
        versions: bool,
        #[command(flatten)]
        account: InAccount,
    },
    /// Show a blob's size, kind and times.
    Show(#[command(flatten)] Named),
    /// Delete a blob.
    Delete {
        #[command(flatten)]
        at: Named,
        /// What becomes of its snapshots: `include` or `only`.
        #[arg(long, value_parser = ["include", "only"])]
        delete_snapshots: Option<String>,
        /// Only this older version.
        #[arg(long, value_name = "ID", conflicts_with = "delete_snapshots")]
        version_id: Option<String>,
    },
    /// Sign for a part of what you may do with a blob, for at most seven days, and a day for a person. Prints the query to add to its
    /// address; whoever has it has that access.
    GenerateSas {
        #[command(flatten)]
        at: Named,
        /// What for: letters of `racwd` (read, add, create, write, delete), in this order.
        #[arg(long, default_value = "r")]
        permissions: String,
        /// Until when, like 2026-01-31T12:00Z.
        #[arg(long)]
        expiry: String,
        /// The only address, or range of addresses, that may use it.
        #[arg(long)]
        ip: Option<String>,
    },
}

const COLUMNS: &[(&str, &str)] =
    &[("Name", "/name"), ("Bytes", "/length"), ("Type", "/contentType"), ("Changed", "/lastModified")];
const VERSIONS: &[(&str, &str)] =
    &[("Name", "/name"), ("Version", "/versionId"), ("Is now", "/isCurrentVersion"), ("Bytes", "/length")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Upload { at, file, overwrite, content_type } => upload(&at, &file, overwrite, &content_type).await,
            Self::Download { at, file, version_id } => download(&at, &file, version_id.as_deref()).await,
            Self::List { container_name, prefix, versions, account } => {
                let found = list(&Account::open(&account).await?, &container_name, &prefix, versions).await?;
                account.session.output.entries(&found, if versions { VERSIONS } else { COLUMNS })
            }
            Self::Show(at) => {
                let open = Account::open(&at.account).await?;
                let answer = open.send(open.call(Method::HEAD, &at.place())).await?;
                let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
                let shown = json!({
                    "name": at.name,
                    "length": header("content-length").parse::<u64>().unwrap_or_default(),
                    "contentType": header("content-type"),
                    "lastModified": header("last-modified"),
                    "etag": header("etag"),
                    "blobType": header("x-ms-blob-type"),
                    "leaseState": header("x-ms-lease-state"),
                });
                at.account.session.output.entry(&shown, COLUMNS)
            }
            Self::Delete { at, delete_snapshots, version_id } => {
                let open = Account::open(&at.account).await?;
                let mut call = open.call(Method::DELETE, &at.place_at(version_id.as_deref()));
                if let Some(word) = &delete_snapshots {
                    call = call.header("x-ms-delete-snapshots", word);
                }
                open.send(call).await?;
                at.account.session.output.done(&format!("blob {} is gone", at.name), &Value::Null)
            }
            Self::GenerateSas { at, permissions, expiry, ip } => {
                let open = Account::open(&at.account).await?;
                let wanted = signature::Wanted {
                    account: &at.account.account_name,
                    container: &at.container_name,
                    blob: Some(&at.name),
                    permissions: &permissions,
                    expiry: &expiry,
                    ip: ip.as_deref(),
                };
                let sas = signature::delegated(&open, &wanted).await?;
                match at.account.session.output {
                    crate::cli::Format::Table => say(&sas),
                    crate::cli::Format::Json => return at.account.session.output.done("", &json!(sas)),
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

async fn upload(at: &Named, file: &std::path::Path, overwrite: bool, kind: &str) -> Result<ExitCode, Failure> {
    let cannot = |fault: std::io::Error| Failure::usage(format!("cannot read {}: {fault}", file.display()));
    let open = Account::open(&at.account).await?;
    let source = tokio::fs::File::open(file).await.map_err(cannot)?;
    let length = source.metadata().await.map_err(cannot)?.len();
    if length > MOST {
        return Err(Failure::usage(
            "the file has more than 4,000 MiB; upload it with a client that sends blocks, like rclone",
        ));
    }
    let mut call = open.call(Method::PUT, &at.place()).header("x-ms-blob-type", "BlockBlob");
    if !overwrite {
        call = call.header("if-none-match", "*");
    }
    let answer = open.send(call.stream(kind, Some(length), ReaderStream::with_capacity(source, 256 << 10))).await?;
    let etag = answer.header("etag").unwrap_or_default().to_owned();
    let done = format!("{} bytes are in {}/{}", length, at.container_name, at.name);
    at.account.session.output.done(&done, &json!({"etag": etag, "length": length}))
}

async fn download(at: &Named, file: &std::path::Path, version: Option<&str>) -> Result<ExitCode, Failure> {
    let cannot = |fault: std::io::Error| Failure::usage(format!("cannot write {}: {fault}", file.display()));
    let open = Account::open(&at.account).await?;
    let answer = open.send(open.call(Method::GET, &at.place_at(version)).without_deadline()).await?;
    let mut target = tokio::fs::File::create_new(file).await.map_err(cannot)?;
    let mut pieces = Box::pin(answer.stream());
    let mut length: usize = 0;
    while let Some(piece) = pieces.try_next().await? {
        target.write_all(&piece).await.map_err(cannot)?;
        length = length.saturating_add(piece.len());
    }
    target.sync_all().await.map_err(cannot)?;
    at.account.session.output.done(&format!("{length} bytes are in {}", file.display()), &json!({"length": length}))
}

async fn list(account: &Account, container: &str, prefix: &str, versions: bool) -> Result<Vec<Value>, Failure> {
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let place = format!(
            "/{}?restype=container&comp=list&prefix={}&marker={}{}",
            escaped(container),
            escaped(prefix),
            escaped(&marker),
            if versions { "&include=versions" } else { "" },
        );
        let text = account.document(account.call(Method::GET, &place)).await?;
        for part in xml::parts(&text, "Blob") {
            let length = xml::leaf(part, "Content-Length").and_then(|length| length.parse::<u64>().ok());
            found.push(json!({
                "name": xml::leaf(part, "Name"),
                "length": length,
                "contentType": xml::leaf(part, "Content-Type"),
                "lastModified": xml::leaf(part, "Last-Modified"),
                "etag": xml::leaf(part, "Etag"),
                "blobType": xml::leaf(part, "BlobType"),
                "versionId": xml::leaf(part, "VersionId"),
                "isCurrentVersion": xml::leaf(part, "IsCurrentVersion").is_some_and(|word| word == "true"),
            }));
        }
        match xml::leaf(&text, "NextMarker") {
            Some(next) => marker = next,
            None => return Ok(found),
        }
    }
}
