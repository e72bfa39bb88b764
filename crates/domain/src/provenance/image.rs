//! The statement about an image, and what hangs on it in the registry: its provenance and its bill of materials, as artifacts that name
//! the image as their subject (OCI Image Specification 1.1). Neither enters the image's digest, so both may tell the time.

use bytes::Bytes;
use futures::stream;
use kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    keys, sbom,
    statement::{Definition, Digests, Named, OF_IMAGE, OF_MODEL, PROVENANCE, Statement, Words, digest, files_digest},
};
use crate::{
    gate::{Admission, Changes, Record, Row, Shelf},
    images::{Engine, Image},
    registry::{Attachment, Published},
    tracking::ModelFiles,
};

/// Type of a manifest of ours.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of what has none: `{}`.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Type of an attached statement, and of the envelope that it lies in.
const IN_TOTO: &str = "application/vnd.in-toto+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// Type of an attached bill of materials.
const CYCLONE_DX: &str = "application/vnd.cyclonedx+json";

/// The envelope of an image, with the one of its model as it was then: an image outlives the version that it was built from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ImageStatement {
    pub(super) envelope: String,
    pub(super) model: String,
}

impl Record for ImageStatement {
    const TABLE: &'static str = "image-statement";
}

pub(super) fn row_id(shelf: &Shelf, name: &str, digest: &str) -> Vec<u8> {
    shelf.name_id::<ImageStatement>(&format!("{name}@{digest}"))
}

/// An image that was just built.
pub(crate) struct Made<'a> {
    /// It.
    pub(crate) image: &'a Image,
    /// The model in it.
    pub(crate) files: &'a ModelFiles,
    /// That model's envelope.
    pub(crate) model: &'a str,
    /// The id of the tree of its code, if it has code.
    pub(crate) code: Option<&'a str>,
}

/// What is said about an image, sealed for the registry that it goes to.
pub(crate) struct Statements {
    kept: ImageStatement,
    /// What is attached to the image.
    pub(crate) attached: Attached,
}

/// Artifacts of an image.
pub(crate) struct Attached {
    /// Their bytes.
    pub(crate) parts: Vec<Published>,
    /// Their manifests.
    pub(crate) manifests: Vec<Attachment>,
}

/// Signs an image's provenance and writes down what it is made of. `home` is the registry's shelf.
///
/// # Errors
/// What making a key and writing to the registry bring.
pub(crate) async fn statements(
    cx: &Admission<'_>,
    (shelf, home): (&Shelf, &Shelf),
    made: &Made<'_>,
) -> Result<Statements> {
    let mut changes = Changes::new();
    let key = keys::signer(cx, shelf, &mut changes).await?;
    if !changes.is_empty() {
        cx.commit(changes).await?;
    }
    let image = made.image;
    let model = Statement::open([&key], made.model, OF_MODEL).map(|(model, _)| model);
    let subject = Named { name: Some(image.name.clone()), uri: None, digest: subject_digest(&image.digest) };
    let envelope = Statement::new(cx, subject, definition(made, model.as_ref())).signed(&key)?;
    let bill = sbom::document(image, made.files, &cx.now().rfc3339())?;

    let mut attached = Attached { parts: Vec::new(), manifests: Vec::new() };
    let empty = put(cx, home, "{}").await?;
    let config = descriptor(EMPTY, &empty);
    attached.parts.push(empty);
    for (artifact, kind, text, predicate) in
        [(IN_TOTO, ENVELOPE, &envelope, Some(PROVENANCE)), (CYCLONE_DX, CYCLONE_DX, &bill, None)]
    {
        let part = put(cx, home, text).await?;
        let mut annotations = json!({"org.opencontainers.image.created": cx.now().rfc3339()});
        if let (Some(predicate), Some(words)) = (predicate, annotations.as_object_mut()) {
            words.insert(String::from("in-toto.io/predicate-type"), json!(predicate));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact,
            "config": config,
            "layers": [descriptor(kind, &part)],
            "subject": {"mediaType": MANIFEST, "digest": image.digest, "size": image.manifest.len()},
            "annotations": annotations,
        });
        attached.parts.push(part);
        attached.manifests.push(Attachment(manifest.to_string()));
    }
    Ok(Statements { kept: ImageStatement { envelope, model: made.model.to_owned() }, attached })
}

/// Adds an image's statement to `changes`.
///
/// # Errors
/// What reading the present one brings.
pub(crate) async fn attach(
    cx: &Admission<'_>,
    shelf: &Shelf,
    image: &Image,
    said: &Statements,
    changes: &mut Changes,
) -> Result<()> {
    let id = row_id(shelf, &image.name, &image.digest);
    let row = match cx.get::<ImageStatement>(shelf, &id).await? {
        Some(mut row) => {
            row.value = said.kept.clone();
            row
        }
        None => Row::new(id, said.kept.clone()),
    };
    changes.put(shelf, &row)?;
    Ok(())
}

/// Whether an image has a statement.
///
/// # Errors
/// What reading it brings.
pub(crate) async fn is_stated(cx: &Admission<'_>, shelf: &Shelf, image: &Image) -> Result<bool> {
    Ok(cx.get::<ImageStatement>(shelf, &row_id(shelf, &image.name, &image.digest)).await?.is_some())
}

async fn put(cx: &Admission<'_>, home: &Shelf, text: &str) -> Result<Published> {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let blob = cx.put_blob(home, length, stream::iter([Ok(Bytes::from(text.to_owned()))])).await?;
    Ok(Published { digest: format!("sha256:{}", blob.sha256), length: blob.length, blob: Some(blob) })
}

fn descriptor(kind: &str, part: &Published) -> Value {
    json!({"mediaType": kind, "digest": part.digest, "size": part.length})
}

fn subject_digest(of: &str) -> Digests {
    digest("sha256", of.strip_prefix("sha256:").unwrap_or(of))
}

fn definition(made: &Made<'_>, model: Option<&Statement>) -> Definition {
    let image = made.image;
    let version = image.model_version.to_string();
    let said = [("image", image.name.as_str()), ("model", &image.model), ("version", &version), ("base", "scratch")];
    let mut materials = vec![Named {
        name: Some(String::from("model")),
        uri: Some(format!("models:/{}/{version}", image.model)),
        digest: files_digest(&made.files.files),
    }];
    if let Some(tree) = made.code {
        let uri = Some(format!("urn:bartizan:snapshot:{tree}"));
        materials.push(Named { name: Some(String::from("code")), uri, digest: digest("bartizanTree", tree) });
    }
    for name in ["run", "snapshot"] {
        materials.extend(model.and_then(|model| model.material(name)).cloned());
    }
    let mut found = engine_words(&image.engine);
    found.insert(String::from("layers"), layer_words(image));
    found.insert(String::from("requirementsSha256"), seal::sha256_hex(image.requirements.as_bytes()));
    Definition {
        build_type: OF_IMAGE.to_owned(),
        external_parameters: said.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        internal_parameters: found,
        resolved_dependencies: materials,
    }
}

fn layer_words(image: &Image) -> String {
    image.layers.iter().map(|layer| layer.digest.as_str()).collect::<Vec<_>>().join(" ")
}

fn engine_words(engine: &Engine) -> Words {
    let words = match engine {
        Engine::Onnx { model } => [("engine", "onnx"), ("start", model.as_str()), ("modelDirectory", "")],
        Engine::Python { entry, model_dir } => [("engine", "python"), ("start", entry), ("modelDirectory", model_dir)],
    };
    words.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[derive(Deserialize)]
struct Manifest {
    config: Part,
    layers: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    digest: String,
}

/// In what an image is not what its statement says.
pub(super) fn differs(statement: &Statement, image: &Image) -> Option<&'static str> {
    let hash = |text: &str| format!("sha256:{}", seal::sha256_hex(text.as_bytes()));
    if statement.about() != Some(&subject_digest(&image.digest)) || statement.said("image") != image.name {
        return Some("its statement is about another image");
    }
    if hash(&image.manifest) != image.digest {
        return Some("its manifest has another digest than the one that was signed");
    }
    let Ok(manifest) = serde_json::from_str::<Manifest>(&image.manifest) else {
        return Some("its manifest is no manifest");
    };
    if hash(&image.config) != manifest.config.digest {
        return Some("its configuration is not the one in its manifest");
    }
    let named = manifest.layers.iter().map(|layer| &layer.digest);
    if !named.eq(image.layers.iter().map(|layer| &layer.digest)) || statement.found("layers") != layer_words(image) {
        return Some("its layers are not those that were signed");
    }
    let is_engine = engine_words(&image.engine).iter().all(|(name, value)| statement.found(name) == value);
    if !is_engine {
        return Some("it is started in another way than the one that was signed");
    }
    if statement.found("requirementsSha256") != seal::sha256_hex(image.requirements.as_bytes()) {
        return Some("its requirements are not those that were signed");
    }
    let version = image.model_version.to_string();
    let is_model = statement.said("model") == image.model && statement.said("version") == version;
    let is_layer = image.layers.first().is_some_and(|layer| layer.digest == image.model_digest);
    (!is_model || !is_layer).then_some("it names another model than the one that was signed")
}

/// The digest of the files of an image's model, as its statement says it.
pub(super) fn model_in(statement: &Statement) -> Result<&Digests> {
    let model = statement.material("model").map(|model| &model.digest);
    model.ok_or_else(|| Error::internal("a statement about an image without a model"))
}
