//! The two documents of an image: its configuration and its manifest (OCI Image Format Specification 1.1).
//!
//! Both are written field by field in a fixed order and hold no time and no name of a machine, so that equal inputs give
//! equal digests.

use std::collections::BTreeMap;

use kernel::{Error, Result};
use serde::Serialize;

use super::{Engine, ImageLayer};

/// Media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of a configuration.
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer.
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of an index.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The time of everything in an image.
const EPOCH: &str = "1970-01-01T00:00:00Z";
/// The port of the article's containers.
const PORT: &str = "5001/tcp";

#[derive(Serialize)]
struct Config<'a> {
    created: &'static str,
    /// The layers hold no machine code; the field is required, and this is what most tools accept.
    architecture: &'static str,
    os: &'static str,
    config: Execution<'a>,
    rootfs: RootFs<'a>,
    history: Vec<History>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution<'a> {
    exposed_ports: BTreeMap<&'static str, Empty>,
    env: Vec<String>,
    working_dir: &'static str,
    labels: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<&'a str>,
}

#[derive(Serialize)]
struct History {
    created: &'static str,
    created_by: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
}

/// What a configuration says.
pub(super) struct Words<'a> {
    pub(super) model: &'a str,
    pub(super) version: &'a str,
    pub(super) model_dir: &'a str,
    pub(super) engine: &'a Engine,
    pub(super) layers: &'a [ImageLayer],
}

/// The configuration.
pub(super) fn config(words: &Words<'_>) -> Result<String> {
    let (engine, start) = match words.engine {
        Engine::Onnx { model } => ("onnx", model.as_str()),
        Engine::Python { entry, .. } => ("python", entry.as_str()),
    };
    let mut env = vec![format!("AZUREML_MODEL_DIR={}", words.model_dir)];
    if let Engine::Python { entry, .. } = words.engine {
        env.push(format!("AZUREML_ENTRY_SCRIPT={entry}"));
    }
    // A layer that is not compressed is its own diff (§"Layer DiffID").
    let diff_ids = words.layers.iter().map(|layer| layer.digest.as_str()).collect();
    let history =
        words.layers.iter().map(|layer| History { created: EPOCH, created_by: layer.about.clone() }).collect();
    let labels = [
        ("dev.bartizan.engine", engine),
        ("dev.bartizan.engine.start", start),
        ("dev.bartizan.model.name", words.model),
        ("dev.bartizan.model.version", words.version),
    ];
    written(&Config {
        created: EPOCH,
        architecture: "amd64",
        os: "linux",
        config: Execution {
            exposed_ports: BTreeMap::from([(PORT, Empty {})]),
            env,
            working_dir: "/",
            labels: BTreeMap::from(labels),
        },
        rootfs: RootFs { kind: "layers", diff_ids },
        history,
    })
}

/// The manifest over a configuration and its layers.
pub(super) fn manifest(config: &str, layers: &[ImageLayer]) -> Result<String> {
    let digest = digest_of(config.as_bytes());
    let layers = layers.iter().map(|layer| Descriptor {
        media_type: &layer.media_type,
        digest: &layer.digest,
        size: layer.size,
    });
    written(&Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config: Descriptor { media_type: CONFIG, digest: &digest, size: length(config) },
        layers: layers.collect(),
    })
}

/// The `index.json` of an image layout that holds this one manifest, under a tag.
pub(super) fn index(manifest: &str, tag: &str) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u8,
        media_type: &'static str,
        manifests: [Entry<'a>; 1],
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(flatten)]
        manifest: Descriptor<'a>,
        annotations: BTreeMap<&'static str, &'a str>,
    }
    let digest = digest_of(manifest.as_bytes());
    let entry = Entry {
        manifest: Descriptor { media_type: MANIFEST, digest: &digest, size: length(manifest) },
        annotations: BTreeMap::from([("org.opencontainers.image.ref.name", tag)]),
    };
    written(&Index { schema_version: 2, media_type: INDEX, manifests: [entry] })
}

/// `sha256:` and the digest.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", seal::sha256_hex(bytes))
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

fn written(document: &impl Serialize) -> Result<String> {
    serde_json::to_string(document).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_configuration_has_no_time_and_names_its_layers() {
        let engine = Engine::Onnx { model: String::from("/azureml-models/m/1/m.onnx") };
        let words = Words { model: "m", version: "1", model_dir: "/azureml-models/m/1", engine: &engine, layers: &[] };
        let text = config(&words).unwrap();
        assert_eq!(text, config(&words).unwrap());
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["created"], EPOCH);
        assert_eq!(read["config"]["Env"], json!(["AZUREML_MODEL_DIR=/azureml-models/m/1"]));
        assert_eq!(read["config"]["ExposedPorts"], json!({"5001/tcp": {}}));
        assert_eq!(read["rootfs"], json!({"type": "layers", "diff_ids": []}));
        let manifest: Value = serde_json::from_str(&manifest(&text, &[]).unwrap()).unwrap();
        assert_eq!(manifest["schemaVersion"], 2);
        assert_eq!(manifest["config"]["digest"], digest_of(text.as_bytes()));
        assert_eq!(manifest["config"]["size"], text.len());
    }
}
