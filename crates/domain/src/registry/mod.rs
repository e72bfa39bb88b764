//! The registry room: what a container registry holds, as the OCI Distribution Specification 1.1 and Docker's clients ask for it.
//!
//! Bytes are sealed objects; names, digests and everything else are sealed rows, all under the registry's own key. **Invariant:** content
//! counts once its digest was verified, and is kept as long as something names it. **Invariant:** a manifest is kept and given back byte
//! for byte, as the type that it was sent as.

mod arrive;
mod blob;
mod content;
mod document;
mod fault;
mod finish;
mod manifest;
mod name;
mod place;
mod publish;
mod put_manifest;
mod referrers;
mod repository;
mod sweep;
mod tags;
mod tokens;
mod upload;

pub use arrive::{Arrival, Credential, INSUFFICIENT, Login, Need, SignInToRegistry, arrive, greet};
pub use blob::{BlobPart, DeleteRegistryBlob, GetRegistryBlob, MountBlob, OpenedBlob};
pub use document::{INDEX, MOST_MANIFEST};
pub use fault::invalid;
pub use finish::{FinishUpload, PutBlobWhole};
pub use manifest::{DeleteManifest, GetManifest, OpenedManifest};
pub use name::{Digest, Reference, RepositoryName, TagName};
pub(crate) use place::Registries;
pub use place::RegistryPlace;
pub(crate) use publish::{Attachment, Hung, Published, is_published, objects_of, publish};
pub use put_manifest::{PutManifest, PutOutcome};
pub use referrers::{ListReferrers, Referrer, Referrers};
pub use repository::{
    DELETE, DeleteRepository, InRepository, ListRepositories, MOST_LISTED, Names, PULL, PUSH, Repository, Span,
};
pub use sweep::sweep_registries;
pub use tags::{Detail, Details, Entries, GetDetails, ListTags, ManifestView, TagView};
pub use tokens::{ExchangeForRegistry, GetRegistryToken, IssuedTokens};
pub use upload::{AppendUpload, CancelUpload, Chunk, GetUpload, StartUpload, UploadState};
