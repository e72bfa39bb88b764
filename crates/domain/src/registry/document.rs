//! What is read of a manifest. It is kept and given back byte for byte; of its fields only those are read that say what it refers to.
//! Fields that nobody here knows are none of our business (OCI Image Specification 1.1, "Considerations").

use std::collections::{BTreeMap, BTreeSet};

use kernel::Result;
use serde::Deserialize;

use super::{Digest, fault};

/// Bytes of the largest manifest (distribution specification: at least 4 MiB).
pub const MOST_MANIFEST: usize = 4 << 20;
/// Blobs, or manifests, that one manifest names.
const MOST_NAMED: usize = 1000;

/// Media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What a manifest says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) media_type: String,
    /// Blobs that must be in the repository.
    pub(super) blobs: BTreeSet<Digest>,
    /// Blobs that may lie elsewhere.
    pub(super) foreign: BTreeSet<Digest>,
    /// Manifests that must be there.
    pub(super) children: BTreeSet<Digest>,
    pub(super) subject: Option<Digest>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// Digest of the configuration.
    pub(super) config: Option<(String, Digest)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    #[serde(default)]
    schema_version: u8,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    #[serde(rename = "size")]
    _size: u64,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl Descriptor {
    fn digest(&self) -> Result<Digest> {
        self.digest.parse().map_err(|_| bad("a descriptor's digest is not well formed"))
    }

    /// Layers that the publisher gives out elsewhere.
    fn is_foreign(&self) -> bool {
        let is_marked = self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign.");
        is_marked && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

fn bad(why: impl Into<String>) -> kernel::Error {
    fault::invalid("MANIFEST_INVALID", why)
}

impl Document {
    /// Reads a manifest that was sent as `media_type`; what it says itself when nothing was said.
    pub(super) fn read(text: &str, media_type: Option<&str>) -> Result<Self> {
        let read: Read = serde_json::from_str(text)
            .map_err(|why| bad(format!("the body is no manifest: {why}").chars().take(200).collect::<String>()))?;
        let said = media_type.map(|said| said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let media_type = match (said.filter(|said| !said.is_empty()), &read.media_type) {
            (Some(said), Some(own)) if !said.eq_ignore_ascii_case(own) => {
                return Err(bad(format!("it was sent as `{said}`, and its own `mediaType` says another")));
            }
            (Some(said), None) => said,
            (_, Some(own)) => own.clone(),
            (None, None) if read.manifests.is_some() => INDEX.to_owned(),
            (None, None) => IMAGE.to_owned(),
        };
        if read.schema_version != 2 {
            return Err(bad("`schemaVersion` must be 2"));
        }
        let mut document = Self {
            media_type,
            blobs: BTreeSet::new(),
            foreign: BTreeSet::new(),
            children: BTreeSet::new(),
            subject: read.subject.as_ref().map(Descriptor::digest).transpose()?,
            artifact_type: read.artifact_type.filter(|kind| !kind.is_empty()),
            annotations: read.annotations.unwrap_or_default(),
            config: None,
        };
        match document.media_type.as_str() {
            IMAGE | DOCKER_IMAGE => {
                let config = read.config.ok_or_else(|| bad("an image manifest has a `config`"))?;
                let layers = read.layers.ok_or_else(|| bad("an image manifest has `layers`"))?;
                if read.manifests.is_some() {
                    return Err(bad("an image manifest has no `manifests`"));
                }
                bounded(layers.len())?;
                let digest = config.digest()?;
                if document.artifact_type.is_none() {
                    document.artifact_type = Some(config.media_type.clone());
                }
                document.blobs.insert(digest.clone());
                document.config = Some((config.media_type, digest));
                for layer in &layers {
                    let digest = layer.digest()?;
                    let kind = if layer.is_foreign() { &mut document.foreign } else { &mut document.blobs };
                    kind.insert(digest);
                }
            }
            INDEX | DOCKER_LIST => {
                let manifests = read.manifests.ok_or_else(|| bad("an index has `manifests`"))?;
                if read.layers.is_some() || read.config.is_some() {
                    return Err(bad("an index has neither `config` nor `layers`"));
                }
                bounded(manifests.len())?;
                document.children = manifests.iter().map(Descriptor::digest).collect::<Result<_>>()?;
            }
            other => {
                let other: String = other.chars().take(120).collect();
                return Err(bad(format!(
                    "`{other}` is not taken; send an OCI image manifest or index, or Docker's schema 2"
                )));
            }
        }
        Ok(document)
    }

    /// Whether its children are manifests.
    pub(super) fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }
}

/// Whether manifests of this type name manifests.
pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

fn bounded(count: usize) -> Result<()> {
    if count <= MOST_NAMED {
        return Ok(());
    }
    Err(bad(format!("a manifest names at most {MOST_NAMED} others")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn digest(of: u8) -> String {
        format!("sha256:{}", format!("{of:02x}").repeat(32))
    }

    fn descriptor(of: u8, kind: &str) -> Value {
        json!({"mediaType": kind, "digest": digest(of), "size": 1})
    }

    #[test]
    fn a_manifest_says_what_it_names() {
        let mut layer = descriptor(3, "application/vnd.oci.image.layer.nondistributable.v1.tar");
        layer["urls"] = json!(["https://elsewhere.example/x"]);
        let image = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": descriptor(1, "application/vnd.example.config"),
            "layers": [descriptor(2, "x"), descriptor(2, "x"), layer],
            "subject": descriptor(4, IMAGE),
            "unknown": {"kept": true},
        });
        let read = Document::read(&image.to_string(), Some("application/vnd.oci.image.manifest.v1+json; x=y")).unwrap();
        let names = |set: &BTreeSet<Digest>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&read.blobs), [digest(1), digest(2)]);
        assert_eq!(names(&read.foreign), [digest(3)]);
        assert_eq!(read.subject.unwrap().to_string(), digest(4));
        assert_eq!(read.artifact_type.as_deref(), Some("application/vnd.example.config"));
        let index = json!({"schemaVersion": 2, "manifests": [descriptor(5, IMAGE)], "artifactType": "a/b"});
        let read = Document::read(&index.to_string(), None).unwrap();
        assert_eq!((read.media_type.as_str(), names(&read.children)), (INDEX, vec![digest(5)]));
        assert_eq!(read.artifact_type.as_deref(), Some("a/b"));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let image = json!({"schemaVersion": 2, "config": descriptor(1, "c"), "layers": []});
        assert!(Document::read(&image.to_string(), None).is_ok());
        assert!(Document::read(&image.to_string(), Some(INDEX)).is_err(), "an index without manifests");
        assert!(Document::read(&image.to_string(), Some("text/plain")).is_err());
        let with = |field: &str, value: Value| {
            let mut changed = image.clone();
            changed[field] = value;
            changed.to_string()
        };
        for bad in [
            String::from("{}"),
            String::from("[]"),
            String::from("no"),
            with("schemaVersion", json!(1)),
            with("mediaType", json!(INDEX)),
            with("layers", json!([{"mediaType": "x", "digest": "sha256:00", "size": 1}])),
            with("layers", json!([{"mediaType": "x", "digest": digest(1), "size": -1}])),
            with("layers", Value::Null),
            with("manifests", json!([])),
            with("subject", json!({"mediaType": "x", "digest": "../..", "size": 1})),
            with("layers", json!(vec![descriptor(1, "x"); MOST_NAMED + 1])),
        ] {
            assert!(Document::read(&bad, Some(IMAGE)).is_err(), "{bad}");
        }
        // Depth is bounded by the parser.
        assert!(Document::read(&"[".repeat(100_000), Some(IMAGE)).is_err());
    }
}
