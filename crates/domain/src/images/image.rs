//! Images as they are kept, and how they are referred to.

use std::str::FromStr;

use kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    gate::{Admission, BlobRef, Record, Row, Shelf},
    registry::objects_of,
};

/// One built image: a number below a name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// 1, 2, 3 … below its name.
    pub number: u32,
    /// `sha256:…` of the manifest.
    pub digest: String,
    /// The manifest, byte for byte.
    pub manifest: String,
    /// The configuration, byte for byte.
    pub config: String,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Name of the registered model.
    pub model: String,
    /// Its version.
    pub model_version: u64,
    /// Digest of the layer that holds the model's files: what scoring records name.
    pub model_digest: String,
    /// The code asset, if there is one.
    pub code: Option<String>,
    /// How it is served.
    pub engine: Engine,
    /// Text of its pip requirements.
    pub requirements: String,
    /// Object id of who built it.
    pub built_by: String,
    /// When.
    pub built_at: Timestamp,
    /// GUID of the registry that it was pushed to; none for images of releases before there was one, which lie on the workspace's
    /// shelf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Uuid>,
}

/// A layer of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageLayer {
    /// `sha256:…` of the archive.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// `application/vnd.oci.image.layer.v1.tar`.
    pub media_type: String,
    /// Where it lies, on the workspace's shelf; none when it lies in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef>,
    /// One line about what it holds.
    pub about: String,
    /// Names what it was made from; equal recipes are built once.
    pub(super) recipe: String,
}

/// How an image is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// ONNX Runtime in the model server's own process.
    Onnx {
        /// The model inside the image, absolute.
        model: String,
    },
    /// A Python worker around an entry script.
    Python {
        /// The script inside the image, absolute.
        entry: String,
        /// The directory given as `AZUREML_MODEL_DIR`.
        model_dir: String,
    },
}

impl Record for Image {
    const TABLE: &'static str = "image";
}

impl Image {
    /// The stored objects of a layer, in their order, with the shelf that they open on.
    pub(super) async fn objects(
        &self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        layer: &ImageLayer,
    ) -> Result<(Shelf, Vec<BlobRef>)> {
        match (&layer.blob, self.registry) {
            (Some(blob), _) => Ok((shelf.clone(), vec![blob.clone()])),
            (None, Some(registry)) => objects_of(cx, registry, &self.name, &layer.digest).await,
            (None, None) => Err(Error::internal("a layer that lies nowhere")),
        }
    }

    /// Bytes of all layers.
    pub fn size(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

pub(super) fn row_id(shelf: &Shelf, name: &str, number: u32) -> Vec<u8> {
    let mut id = shelf.name_id::<Image>(name);
    id.extend_from_slice(&number.to_be_bytes());
    id
}

/// All images of a name, oldest first.
pub(super) async fn versions(cx: &Admission<'_>, shelf: &Shelf, name: &str) -> Result<Vec<Row<Image>>> {
    cx.all::<Image>(shelf, &shelf.name_id::<Image>(name)).await
}

/// A reference to an image: a name, alone (the newest), with `:number` or with `@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRef {
    /// The name.
    pub name: String,
    /// Which of its versions.
    pub which: Which,
}

/// Which version of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest.
    Newest,
    /// By number.
    Number(u32),
    /// By digest of the manifest.
    Digest(String),
}

impl FromStr for ImageRef {
    type Err = Error;

    /// Also takes the last part of a resource id: `…/images/{name}/versions/{number or digest}`.
    fn from_str(text: &str) -> Result<Self> {
        let unusable = || {
            let why = "name an image as `name`, `name:number` or `name@sha256:…`";
            Error::invalid("image", why)
        };
        if let Some((_, below)) = text.rsplit_once("/images/") {
            return match below.split('/').collect::<Vec<_>>().as_slice() {
                [name] => Ok(Self { name: (*name).to_owned(), which: Which::Newest }),
                [name, "versions", version] => Ok(Self { name: (*name).to_owned(), which: version.parse()? }),
                _ => Err(unusable()),
            };
        }
        let (name, which) = match (text.split_once('@'), text.split_once(':')) {
            (Some((name, digest)), _) => (name, digest.parse()?),
            (None, Some((name, number))) => (name, number.parse()?),
            (None, None) => (text, Which::Newest),
        };
        super::name::check_image_name(name).map_err(|_| unusable())?;
        Ok(Self { name: name.to_owned(), which })
    }
}

impl FromStr for Which {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_digest = |hex: &str| hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        match text.strip_prefix("sha256:") {
            Some(hex) if is_digest(hex) => Ok(Self::Digest(text.to_owned())),
            None if text == "latest" => Ok(Self::Newest),
            _ => text
                .parse()
                .map(Self::Number)
                .map_err(|_| Error::invalid("version", "an image's version is its number or its digest `sha256:…`")),
        }
    }
}

/// The image that a reference means.
pub(crate) async fn resolve(cx: &Admission<'_>, shelf: &Shelf, wanted: &ImageRef) -> Result<Image> {
    let missing = || Error::not_found(format_args!("the image `{}`", wanted.name));
    let rows = versions(cx, shelf, &wanted.name).await?;
    let found = match &wanted.which {
        Which::Newest => rows.into_iter().next_back(),
        Which::Number(number) => rows.into_iter().find(|row| row.value.number == *number),
        Which::Digest(digest) => rows.into_iter().rev().find(|row| row.value.digest == *digest),
    };
    found.map(|row| row.value).ok_or_else(missing)
}

/// The image that was built last from a model version.
pub(crate) async fn newest_of_model(
    cx: &Admission<'_>,
    shelf: &Shelf,
    model: &str,
    version: u64,
) -> Result<Option<Image>> {
    let rows = cx.all::<Image>(shelf, b"").await?;
    let of_model =
        rows.into_iter().map(|row| row.value).filter(|image| image.model == model && image.model_version == version);
    Ok(of_model.max_by_key(|image| (image.built_at, image.number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_in_four_ways() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let read = |text: &str| text.parse::<ImageRef>().map(|image| (image.name, image.which)).ok();
        let named = |which| Some((String::from("iris"), which));
        assert_eq!(read("iris"), named(Which::Newest));
        assert_eq!(read("iris:3"), named(Which::Number(3)));
        assert_eq!(read(&format!("iris@{digest}")), named(Which::Digest(digest.clone())));
        assert_eq!(read("/subscriptions/s/x/workspaces/w/images/iris/versions/2"), named(Which::Number(2)));
        for bad in ["", "iris:x", "iris@sha256:00", "Iris", "iris@", "docker.io/library/iris"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
