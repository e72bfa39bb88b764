//! Building an image: model, code and requirements in; layers, configuration and manifest out.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Who};

use super::{
    Engine, Image, ImageLayer, document,
    image::{row_id, versions},
    layer::Plan,
    name::{check_image_name, check_model_name},
    registry::{self, Home},
};
use crate::{
    gate::{Admission, BlobRef, Changes, Cx, Op, Row, Shelf},
    provenance::{Made, Statements, attach, is_stated, require_model, statements},
    registry::{Hung, Published, RepositoryName, is_published, objects_of, publish},
    resources::{Resource, ResourceType, Workspace, find, require_for_images, workspace_shelf},
    snapshots::{CodeVersion, find_manifest},
    tracking::{ModelFiles, model_files},
};

/// Largest archive of one layer, in bytes.
const MOST_LAYER: u64 = 64 << 30;
/// Longest requirements file, in bytes.
const MOST_REQUIREMENTS: usize = 64 << 10;
/// The runtime that ONNX models get unless their requirements name another version.
const ONNX_RUNTIME: &str = "onnxruntime==1.31.1";
/// How often two builders of one name try again.
const ATTEMPTS: usize = 8;

/// The code around a model: a code asset and the entry script in it.
#[derive(Clone, Debug)]
pub struct Code {
    /// Resource id of the code asset's version.
    pub asset: ResourceId,
    /// Path of the script within it.
    pub script: String,
}

/// What goes into an image.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// Its name.
    pub(crate) name: String,
    /// Name of the registered model.
    pub(crate) model: String,
    /// Its version.
    pub(crate) version: u64,
    /// The code around it.
    pub(crate) code: Option<Code>,
    /// Text of a pip requirements file.
    pub(crate) requirements: Option<String>,
}

/// What was made: all of an image but its number.
pub(crate) struct Built {
    image: Image,
    /// The registry that its parts were sealed for.
    home: Home,
    /// What it is made of.
    parts: Vec<Published>,
    /// What is said about it.
    said: Statements,
}

/// Makes layers and documents of an image. Layers that an image of the workspace has already are not made again.
pub(crate) async fn build(cx: &Admission<'_>, shelf: &Shelf, recipe: Recipe) -> Result<Built> {
    check_image_name(&recipe.name)?;
    check_repository(&recipe.name)?;
    let files = model_files(cx, shelf, &recipe.model, recipe.version).await?;
    let at = format!("azureml-models/{}/{}", files.name, files.version);
    let signed = require_model(cx, shelf, &files).await?;
    let engine = engine(&recipe, &files, &at)?;
    let requirements = requirements(&engine, recipe.requirements.as_deref())?;

    let mut plans = vec![(model_plan(&files, &at)?, format!("model {} version {}", files.name, files.version))];
    let (mut asset, mut tree) = (None, None);
    if let Some(code) = &recipe.code {
        let (plan, snapshot) = code_plan(cx, shelf, code).await?;
        plans.push((plan, String::from("code")));
        tree = Some(snapshot);
        asset = Some(code.asset.to_string());
    }
    if !requirements.is_empty() {
        let mut plan = Plan::default();
        plan.add_inline("azureml-environment/requirements.txt", Bytes::from(requirements.clone()))?;
        plans.push((plan, String::from("requirements")));
    }
    // Only now: what cannot be built makes no registry either.
    let home = registry::ensure(cx).await?;
    let known = cx.all::<Image>(shelf, b"").await?.into_iter().map(|row| row.value);
    let known = known.filter(|image| image.registry == Some(home.guid)).flat_map(|image| {
        let name = image.name;
        image.layers.into_iter().map(move |layer| (layer.recipe.clone(), (name.clone(), layer)))
    });
    let known: HashMap<String, (String, ImageLayer)> = known.collect();
    let mut layers = Vec::with_capacity(plans.len());
    let mut parts = Vec::with_capacity(plans.len().saturating_add(1));
    for (plan, about) in plans {
        let (layer, blob) = layer(cx, (shelf, &home), plan, about, &known).await?;
        parts.push(Published { digest: layer.digest.clone(), length: layer.size, blob });
        layers.push(layer);
    }
    let version = files.version.to_string();
    let words = document::Words {
        model: &files.name,
        version: &version,
        model_dir: &format!("/{at}"),
        engine: &engine,
        layers: &layers,
    };
    let config = document::config(&words)?;
    let manifest = document::manifest(&config, &layers)?;
    let most = u64::try_from(config.len()).unwrap_or(u64::MAX);
    let blob = cx.put_blob(&home.shelf, most, stream::iter([Ok(Bytes::from(config.clone()))])).await?;
    parts.push(Published { digest: document::digest_of(config.as_bytes()), length: blob.length, blob: Some(blob) });
    let image = Image {
        name: recipe.name,
        number: 0,
        digest: document::digest_of(manifest.as_bytes()),
        manifest,
        config,
        model: files.name.clone(),
        model_version: files.version,
        model_digest: layers.first().map(|layer| layer.digest.clone()).unwrap_or_default(),
        layers,
        code: asset,
        engine,
        requirements,
        built_by: builder(cx),
        built_at: cx.now(),
        registry: Some(home.guid),
    };
    let made = Made { image: &image, files: &files, model: &signed, code: tree.as_deref() };
    let said = statements(cx, (shelf, &home.shelf), &made).await?;
    Ok(Built { image, home, parts, said })
}

impl Built {
    /// Adds the image to `changes`, with what the registry holds of it. An image with the same name and digest is taken as it is, and
    /// nothing is added, as long as the registry holds it; what went from there is published again under the number that it has.
    pub(crate) async fn keep(
        &self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        workspace: Row<Resource<Workspace>>,
        changes: &mut Changes,
    ) -> Result<Image> {
        let rows = versions(cx, shelf, &self.image.name).await?;
        let last = rows.last().map_or(0, |row| row.value.number);
        if let Some(mut row) = rows.into_iter().find(|row| row.value.digest == self.image.digest) {
            if self.stands(cx, &row.value).await? && is_stated(cx, shelf, &row.value).await? {
                for blob in self.all_parts().into_iter().filter_map(|part| part.blob.as_ref()) {
                    cx.drop_blob(blob).await;
                }
                return Ok(row.value);
            }
            require_for_images(cx, shelf, &workspace.value).await?;
            row.value.registry = Some(self.home.guid);
            changes.put(shelf, &row)?;
            let mut tags = vec![row.value.number.to_string()];
            tags.extend((row.value.number == last).then(|| String::from("latest")));
            self.hang(cx, shelf, &tags, changes).await?;
            return Ok(row.value);
        }
        require_for_images(cx, shelf, &workspace.value).await?;
        let number =
            last.checked_add(1).ok_or_else(|| Error::new(Kind::Conflict, "the image has too many versions"))?;
        let image = Image { number, ..self.image.clone() };
        changes.put(shelf, &Row::new(row_id(shelf, &image.name, number), image.clone()))?;
        let tags = [number.to_string(), String::from("latest")];
        self.hang(cx, shelf, &tags, changes).await?;
        Ok(image)
    }

    fn all_parts(&self) -> Vec<&Published> {
        self.parts.iter().chain(&self.said.attached.parts).collect()
    }

    /// Adds what the registry holds of it to `changes`, with what is said about it.
    async fn hang(&self, cx: &Admission<'_>, shelf: &Shelf, tags: &[String], changes: &mut Changes) -> Result<()> {
        attach(cx, shelf, &self.image, &self.said, changes).await?;
        let attached = &self.said.attached.manifests;
        let hung = Hung { parts: self.all_parts(), manifest: &self.image.manifest, tags, attached };
        publish(cx, &self.home.shelf, &self.image.name, &hung, changes).await
    }

    /// Whether an equal image can be read where it lies. Those of releases before there was a registry lie on the workspace's shelf.
    async fn stands(&self, cx: &Admission<'_>, image: &Image) -> Result<bool> {
        match image.registry {
            None => Ok(true),
            Some(registry) if registry == self.home.guid => {
                is_published(cx, &self.home.shelf, &image.name, &image.digest).await
            }
            Some(_) => Ok(false),
        }
    }
}

/// The image's name is that of its repository.
fn check_repository(name: &str) -> Result<()> {
    let why = "the image is pushed into a repository of this name: single `.` between letters and digits, or any number of `-`";
    name.parse::<RepositoryName>().map(drop).map_err(|_| Error::invalid("targetImageName", why))
}

/// What serves the model. Nothing is parsed: the names of files decide.
fn engine(recipe: &Recipe, files: &ModelFiles, at: &str) -> Result<Engine> {
    if let Some(code) = &recipe.code {
        return Ok(Engine::Python { entry: format!("/app/{}", code.script), model_dir: format!("/{at}") });
    }
    let mut models =
        files.files.iter().map(|(path, _)| path).filter(|path| path.to_ascii_lowercase().ends_with(".onnx"));
    match (models.next(), models.next()) {
        (Some(model), None) => Ok(Engine::Onnx { model: format!("/{at}/{model}") }),
        (Some(_), Some(_)) => Err(Error::invalid(
            "entryScript",
            "the model has several `.onnx` files; name a code asset (`codeId`) and its script (`entryScript`) with `init()` and `run(data)`",
        )),
        (None, _) => Err(Error::invalid(
            "entryScript",
            "the model is no single `.onnx` file; name a code asset (`codeId`) and its script (`entryScript`) with `init()` and `run(data)`",
        )),
    }
}

fn requirements(engine: &Engine, given: Option<&str>) -> Result<String> {
    let given = given.unwrap_or_default();
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if given.len() > MOST_REQUIREMENTS || !given.chars().all(is_text) {
        let why = format!("must be a pip requirements file of at most {MOST_REQUIREMENTS} bytes");
        return Err(Error::invalid("requirements", why));
    }
    let has_runtime = given.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with("onnxruntime"));
    Ok(match engine {
        Engine::Onnx { .. } if given.trim().is_empty() => format!("{ONNX_RUNTIME}\n"),
        Engine::Onnx { .. } if !has_runtime => format!("{}\n{ONNX_RUNTIME}\n", given.trim_end()),
        Engine::Onnx { .. } | Engine::Python { .. } => given.to_owned(),
    })
}

fn model_plan(files: &ModelFiles, at: &str) -> Result<Plan> {
    let mut plan = Plan::default();
    for (path, blob) in &files.files {
        plan.add(&format!("{at}/{path}"), blob.clone())?;
    }
    Ok(plan)
}

/// What an image holds of its code, and the id of the code's tree.
async fn code_plan(cx: &Admission<'_>, shelf: &Shelf, code: &Code) -> Result<(Plan, String)> {
    if code.asset.workspace() != cx.scope().workspace() {
        return Err(Error::invalid("codeId", "the code asset must lie in the same workspace"));
    }
    cx.require(&CodeVersion::READ, &code.asset).await?;
    let (_, asset) = find::<CodeVersion>(cx, &code.asset).await?;
    let mut plan = Plan::default();
    let mut has_script = false;
    for file in find_manifest(cx, shelf, &asset.value.properties.snapshot).await?.files {
        has_script = has_script || file.path == code.script;
        plan.add_snapshot_file(&format!("app/{}", file.path), file)?;
    }
    if !has_script {
        let why = format!("the code asset holds no file `{}`", code.script.chars().take(120).collect::<String>());
        return Err(Error::invalid("entryScript", why));
    }
    Ok((plan, asset.value.properties.snapshot))
}

/// A layer in the registry, and its bytes where they were made just now.
async fn layer(
    cx: &Admission<'_>,
    (shelf, home): (&Shelf, &Home),
    plan: Plan,
    about: String,
    known: &HashMap<String, (String, ImageLayer)>,
) -> Result<(ImageLayer, Option<BlobRef>)> {
    let recipe = plan.recipe();
    if let Some((repository, layer)) = known.get(&recipe)
        && objects_of(cx, home.guid, repository, &layer.digest).await.is_ok()
    {
        return Ok((ImageLayer { about, ..layer.clone() }, None));
    }
    let length = plan.length();
    let blob = cx.put_blob(&home.shelf, MOST_LAYER, Box::pin(plan.stream(cx, shelf))).await?;
    if blob.length != length {
        return Err(Error::internal(format!("a layer of {length} bytes came out with {} bytes", blob.length)));
    }
    let (digest, media_type) = (format!("sha256:{}", blob.sha256), document::LAYER.to_owned());
    let layer = ImageLayer { digest, size: blob.length, media_type, blob: None, about, recipe };
    Ok((layer, Some(blob)))
}

fn builder(cx: &Admission<'_>) -> String {
    match &cx.caller().who {
        Who::Principal(principal) => principal.id.to_string(),
        Who::Run(run) => run.on_behalf_of.to_string(),
        Who::Keyed(_) | Who::House | Who::Nobody => String::new(),
    }
}

/// Builds an image from a registered model's version.
#[derive(Debug)]
pub struct PackageModel {
    /// The version: `{workspace}/models/{name}/versions/{v}`.
    pub id: ResourceId,
    /// The image's name.
    pub image: String,
    /// The code around the model; none for a single `.onnx` file.
    pub code: Option<Code>,
    /// Text of a pip requirements file.
    pub requirements: Option<String>,
}

const BUILD: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/environments/build/action", Class::Control);

/// Refuses whoever may not build images.
pub(crate) async fn require_build(cx: &Admission<'_>, scope: &ResourceId) -> Result<()> {
    cx.require(&BUILD, scope).await?;
    cx.require(&PackageModel::ACTION, scope).await
}

#[async_trait]
impl Op for PackageModel {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/models/package/action", Class::Control);
    type Output = Image;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Image> {
        cx.require(&BUILD, &self.id).await?;
        let (model, version) = super::model::parse_version(&self.id)?;
        check_model_name(&model)?;
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        let recipe = Recipe { name: self.image, model, version, code: self.code, requirements: self.requirements };
        let built = build(cx, &shelf, recipe).await?;
        cx.note("digest", &built.image.digest);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (_, workspace) = workspace_shelf(cx, &self.id).await?;
            let mut changes = Changes::new();
            let image = built.keep(cx, &shelf, workspace, &mut changes).await?;
            cx.note("image", format!("{}:{}", image.name, image.number));
            if changes.is_empty() {
                return Ok(image);
            }
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => {}
                other => return other.map(|()| image),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onnx_models_get_a_runtime() {
        let onnx = Engine::Onnx { model: String::from("/m.onnx") };
        assert_eq!(requirements(&onnx, None).unwrap(), "onnxruntime==1.31.1\n");
        assert_eq!(requirements(&onnx, Some("onnxruntime==1.20.0")).unwrap(), "onnxruntime==1.20.0");
        assert_eq!(requirements(&onnx, Some("numpy")).unwrap(), "numpy\nonnxruntime==1.31.1\n");
        let python = Engine::Python { entry: String::new(), model_dir: String::new() };
        assert_eq!(requirements(&python, None).unwrap(), "");
        assert!(requirements(&python, Some("a\0b")).is_err());
        assert!(requirements(&python, Some(&"a".repeat(70_000))).is_err());
    }
}
