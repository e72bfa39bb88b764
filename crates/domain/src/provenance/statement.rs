//! in-toto statements (Attestation Framework 1.0) with SLSA provenance (1.0) as their predicate. Verifiers elsewhere read them too, so
//! the fields are the specifications' own.

use std::collections::BTreeMap;

use kernel::{Error, Result, Who};
use seal::StatementKey;
use serde::{Deserialize, Serialize};

use crate::gate::{Admission, BlobRef};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The predicate of every statement.
pub(super) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// What is signed when a model version is registered.
pub(super) const OF_MODEL: &str = "urn:bartizan:build:model-version:1";
/// What is signed when an image is built.
pub(super) const OF_IMAGE: &str = "urn:bartizan:build:image:1";

/// Digests by their algorithm.
pub(super) type Digests = BTreeMap<String, String>;
/// Words by their names.
pub(super) type Words = BTreeMap<String, String>;

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    pub(super) subject: Vec<Named>,
    predicate_type: String,
    pub(super) predicate: Provenance,
}

/// Something with digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) uri: Option<String>,
    #[serde(default, skip_serializing_if = "Digests::is_empty")]
    pub(super) digest: Digests,
}

/// How it came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Provenance {
    pub(super) build_definition: Definition,
    pub(super) run_details: Details,
}

/// From what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition {
    pub(super) build_type: String,
    /// What whoever asked said.
    pub(super) external_parameters: Words,
    /// What the server made of it.
    #[serde(default)]
    pub(super) internal_parameters: Words,
    #[serde(default)]
    pub(super) resolved_dependencies: Vec<Named>,
}

/// By whom and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) builder: Builder,
    pub(super) metadata: Metadata,
}

/// The server, as the builder of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Builder {
    pub(super) id: String,
}

/// One act of building.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) finished_on: String,
}

impl Statement {
    /// A statement of now.
    pub(super) fn new(cx: &Admission<'_>, subject: Named, mut definition: Definition) -> Self {
        definition.internal_parameters.insert(String::from("by"), asked_by(cx));
        let workspace = cx.scope().workspace().map(|id| id.to_string()).unwrap_or_default();
        Self {
            kind: STATEMENT.to_owned(),
            subject: vec![subject],
            predicate_type: PROVENANCE.to_owned(),
            predicate: Provenance {
                build_definition: definition,
                run_details: Details {
                    builder: Builder { id: format!("{}{workspace}", cx.settings().url) },
                    metadata: Metadata { finished_on: cx.now().rfc3339() },
                },
            },
        }
    }

    /// Its envelope.
    pub(super) fn signed(&self, key: &StatementKey) -> Result<String> {
        let text =
            serde_json::to_vec(self).map_err(|why| Error::internal("a statement could not be written").because(why))?;
        Ok(key.sign(&text)?)
    }

    /// The statement of a build type in an envelope, and the id of the key that signed it; none unless one of the keys did.
    pub(super) fn open<'k>(
        keys: impl IntoIterator<Item = &'k StatementKey>,
        envelope: &str,
        build_type: &str,
    ) -> Option<(Self, String)> {
        let (text, signer) = keys.into_iter().find_map(|key| Some((key.open(envelope)?, key.id().to_owned())))?;
        let statement: Self = serde_json::from_slice(&text).ok()?;
        let is_ours = statement.kind == STATEMENT
            && statement.predicate_type == PROVENANCE
            && statement.predicate.build_definition.build_type == build_type;
        is_ours.then_some((statement, signer))
    }

    /// Digests of what it is about.
    pub(super) fn about(&self) -> Option<&Digests> {
        self.subject.first().map(|subject| &subject.digest)
    }

    /// A word of whoever asked.
    pub(super) fn said(&self, name: &str) -> &str {
        self.predicate.build_definition.external_parameters.get(name).map_or("", String::as_str)
    }

    /// A word of the server.
    pub(super) fn found(&self, name: &str) -> &str {
        self.predicate.build_definition.internal_parameters.get(name).map_or("", String::as_str)
    }

    /// Something that went into it, by its name.
    pub(super) fn material(&self, name: &str) -> Option<&Named> {
        let materials = &self.predicate.build_definition.resolved_dependencies;
        materials.iter().find(|material| material.name.as_deref() == Some(name))
    }
}

fn asked_by(cx: &Admission<'_>) -> String {
    match &cx.caller().who {
        Who::Principal(principal) => principal.id.to_string(),
        Who::Run(run) => format!("run {}", run.run),
        Who::Keyed(_) | Who::House | Who::Nobody => String::from("the server"),
    }
}

/// A digest under its algorithm.
pub(super) fn digest(algorithm: &str, hex: impl Into<String>) -> Digests {
    Digests::from([(algorithm.to_owned(), hex.into())])
}

/// The digest of a set of files: the lines that `sha256sum` prints of them, sorted by path, hashed once more (`dirHash` of in-toto's
/// digest sets). What was joined from parts has no digest of its own bytes; a set with such a file gets a digest of another name.
pub(super) fn files_digest(files: &[(String, BlobRef)]) -> Digests {
    let mut sorted: Vec<(&str, &str)> =
        files.iter().map(|(path, blob)| (path.as_str(), blob.sha256.as_str())).collect();
    sorted.sort_unstable();
    let mut hash = seal::Sha256::default();
    for (path, sha256) in &sorted {
        hash.update(format!("{sha256}  {path}\n").as_bytes());
    }
    let is_plain = sorted.iter().all(|(path, sha256)| sha256.len() == 64 && !path.contains('\n'));
    digest(if is_plain { "dirHash" } else { "bartizanFiles" }, seal::hex(&hash.finish()))
}

/// The digest as one word.
pub(super) fn word(digests: &Digests) -> Option<String> {
    digests.iter().next().map(|(algorithm, hex)| format!("{algorithm}:{hex}"))
}
