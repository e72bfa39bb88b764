//! Reading images: lists, one image, and its parts byte for byte.

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Action, Class, Error, ResourceId, Result};

use super::{
    Image, ImageRef, document,
    image::{Which, resolve},
    layer::Plan,
};
use crate::{
    gate::{Admission, ByteStream, Cx, Op, Shelf},
    resources::workspace_shelf,
};
use futures::{StreamExt, stream};

/// Seeing images (the article's "view models and images").
const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/environments/read", Class::Read);

/// The newest image of every name, by name.
#[derive(Debug)]
pub struct ListImages {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListImages {
    const ACTION: Action = READ;
    type Output = Vec<Image>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Image>> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut images: Vec<Image> = cx.all::<Image>(&shelf, b"").await?.into_iter().map(|row| row.value).collect();
        images.sort_by(|a, b| a.name.cmp(&b.name).then(b.number.cmp(&a.number)));
        images.dedup_by(|next, kept| next.name == kept.name);
        Ok(images)
    }
}

/// All images of a name, newest first.
#[derive(Debug)]
pub struct ListImageVersions {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
}

#[async_trait]
impl Op for ListImageVersions {
    const ACTION: Action = READ;
    type Output = Vec<Image>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Image>> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let rows = super::image::versions(cx, &shelf, &self.name).await?;
        if rows.is_empty() {
            return Err(Error::not_found(format_args!("the image `{}`", self.name)));
        }
        Ok(rows.into_iter().rev().map(|row| row.value).collect())
    }
}

/// One image.
#[derive(Debug)]
pub struct GetImage {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
    /// A number or a digest; the newest when none is given.
    pub version: Option<String>,
}

#[async_trait]
impl Op for GetImage {
    const ACTION: Action = READ;
    type Output = Image;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Image> {
        find(cx, &self.workspace, self.name, self.version.as_deref()).await.map(|(_, image)| image)
    }
}

async fn find(
    cx: &Admission<'_>,
    workspace: &ResourceId,
    name: String,
    version: Option<&str>,
) -> Result<(crate::gate::Shelf, Image)> {
    let (shelf, _) = workspace_shelf(cx, workspace).await?;
    let which = version.map_or(Ok(Which::Newest), str::parse)?;
    let image = resolve(cx, &shelf, &ImageRef { name, which }).await?;
    Ok((shelf, image))
}

/// Which part of an image.
#[derive(Clone, Debug)]
pub enum ReadPart {
    /// The manifest.
    Manifest,
    /// The configuration.
    Config,
    /// The layer with this digest.
    Layer(String),
    /// All of it as an OCI image layout in one tar archive.
    Archive,
}

/// Reads a part of an image: media type, length in bytes, content.
#[derive(Debug)]
pub struct ReadImage {
    /// The workspace.
    pub workspace: ResourceId,
    /// The name.
    pub name: String,
    /// A number or a digest.
    pub version: String,
    /// The part.
    pub part: ReadPart,
}

#[async_trait]
impl Op for ReadImage {
    const ACTION: Action = READ;
    type Output = (String, u64, ByteStream);

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, image) = find(cx, &self.workspace, self.name, Some(&self.version)).await?;
        cx.note("digest", &image.digest);
        match self.part {
            ReadPart::Manifest => Ok(at_hand(document::MANIFEST, image.manifest)),
            ReadPart::Config => Ok(at_hand(document::CONFIG, image.config)),
            ReadPart::Layer(digest) => {
                let layer = image.layers.iter().find(|layer| layer.digest == digest);
                let layer = layer.ok_or_else(|| Error::not_found("the layer"))?;
                cx.note("layer", &layer.digest);
                let (shelf, objects) = image.objects(cx, &shelf, layer).await?;
                let content = cx.open_blobs(&shelf, objects).await?;
                Ok((layer.media_type.clone(), layer.size, content))
            }
            ReadPart::Archive => {
                let plan = layout(cx, &shelf, image).await?;
                let length = plan.length();
                Ok((String::from("application/x-tar"), length, plan.open(cx, &shelf).await?))
            }
        }
    }
}

fn at_hand(media_type: &str, text: String) -> (String, u64, ByteStream) {
    let bytes = Bytes::from(text);
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    (media_type.to_owned(), length, stream::once(async move { Ok(bytes) }).boxed())
}

/// The OCI image layout: `oci-layout`, `index.json`, and every part under its digest.
async fn layout(cx: &Admission<'_>, shelf: &Shelf, image: Image) -> Result<Plan> {
    let mut plan = Plan::default();
    let at = |digest: &str| format!("blobs/{}", digest.replacen(':', "/", 1));
    plan.add_inline("oci-layout", Bytes::from_static(br#"{"imageLayoutVersion":"1.0.0"}"#))?;
    let tag = format!("{}:{}", image.name, image.number);
    plan.add_inline("index.json", Bytes::from(document::index(&image.manifest, &tag)?))?;
    plan.add_inline(&at(&image.digest), Bytes::from(image.manifest.clone()))?;
    plan.add_inline(&at(&document::digest_of(image.config.as_bytes())), Bytes::from(image.config.clone()))?;
    for layer in &image.layers {
        let (shelf, objects) = image.objects(cx, shelf, layer).await?;
        plan.add_objects(&at(&layer.digest), shelf, objects, layer.size)?;
    }
    Ok(plan)
}
